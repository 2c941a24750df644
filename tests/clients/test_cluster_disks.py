"""Three brokers and their disks: logs that are gone, damaged disks, full disks."""

import json
import shutil

import pytest

from harness import batches
from harness.cluster import Cluster
from harness.disks import fill, small_disk
from harness.tools import KafkaTools
from harness.waiting import eventually
from harness.wire import error_name, fetch, list_offset, produce
from test_cluster import finish, more, under_load

pytestmark = [
    pytest.mark.ottla_only("a replica that lost its files is not made again in silence"),
    pytest.mark.timeout(300),
]


def code(answer):
    return error_name(answer["ErrorCode"])


@pytest.fixture
def cluster():
    """Three brokers of one's own."""
    with Cluster(3) as item:
        yield item


def test_a_leader_that_lost_one_log_is_filled_again_from_the_others(cluster):
    ledger = under_load(cluster, partitions=3)
    victim = cluster.brokers[cluster.leader("t", 0)]
    victim.kill()
    more(ledger, 200)
    shutil.rmtree(victim.partition_dir("t", 0))
    victim.restart()
    finish(cluster, ledger)
    assert victim.segments("t", 0)[-1].stat().st_size > 0


def test_all_brokers_stop_and_the_first_leader_loses_its_log(cluster):
    ledger = under_load(cluster, partitions=1)
    first = cluster.leader("t", 0)
    for broker in cluster.brokers.values():
        broker.kill()
    shutil.rmtree(cluster.brokers[first].partition_dir("t", 0))
    for broker in cluster.brokers.values():
        broker.launch()
    more(ledger, 200)
    finish(cluster, ledger)


def offline(cluster, topic):
    """Whether the partition has no leader; others are there to ask."""
    return cluster.partitions(topic)[0]["LeaderId"] == -1


def lose_the_only_copy(cluster):
    """A topic of one replica with a record, whose log is gone."""
    cluster.create("single", 1, 1)
    with cluster.to_leaders("single")(0) as wire:
        eventually(lambda: code(produce(wire, "single", batches.batch([b"precious"]))) == "NONE")
    victim = cluster.brokers[cluster.leader("single")]
    victim.kill()
    eventually(lambda: offline(cluster, "single"), 60)
    return victim, victim.partition_dir("single")


def test_the_last_copy_is_never_replaced_by_an_empty_one(cluster, tmp_path):
    victim, folder = lose_the_only_copy(cluster)
    shutil.move(folder, tmp_path / "kept")
    victim.restart()
    eventually(lambda: "was here, and its log is missing" in victim.output(2000))
    for _ in range(2):
        assert offline(cluster, "single")
        with victim.wire() as wire:
            assert code(produce(wire, "single", batches.batch([b"x"]))) != "NONE"
            assert code(fetch(wire, "single", 0)) != "NONE"
        victim.kill()
        victim.restart()
    # Put back, it serves what it held.
    victim.kill()
    shutil.move(tmp_path / "kept", folder)
    victim.restart()
    eventually(lambda: not offline(cluster, "single"), 30)
    with cluster.to_leaders("single")(0) as wire:
        eventually(lambda: list_offset(wire, "single", -1)["Offset"] == 1)


def test_an_administrator_gives_the_last_copy_up(cluster):
    victim, folder = lose_the_only_copy(cluster)
    shutil.rmtree(folder)
    victim.restart()
    eventually(lambda: offline(cluster, "single"), 30)
    tools = KafkaTools(cluster.bootstrap)
    tools("leader-election", "--election-type", "unclean", "--topic", "single", "--partition", "0")
    eventually(lambda: cluster.leader("single") == victim.node_id, 30)
    with cluster.to_leaders("single")(0) as wire:
        eventually(lambda: code(produce(wire, "single", batches.batch([b"new"]))) == "NONE", 30)
    victim.stop()
    victim.restart()
    with cluster.to_leaders("single")(0) as wire:
        eventually(lambda: list_offset(wire, "single", -1)["Offset"] == 1, 30)


@pytest.mark.root
def test_a_full_disk_on_one_broker_of_three_loses_nothing():
    with small_disk(96) as folder:
        cluster = Cluster(3)
        victim = cluster.brokers[2]
        victim.data_dirs = [folder / "data"]
        with cluster:
            ledger = under_load(cluster, partitions=3)
            ballast = fill(folder)
            # Others lead in its place, and all goes on without it.
            eventually(lambda: all(cluster.leader("t", index) != 2 for index in range(3)), 20)
            before = {index: len(ledger.acknowledged[index]) for index in range(3)}
            eventually(lambda: all(len(ledger.acknowledged[index]) > before[index] + 100 for index in range(3)), 60)
            with victim.wire() as wire:
                assert code(fetch(wire, "t", 0, partition=0)) in ("NONE", "NOT_LEADER_OR_FOLLOWER")
            ballast.unlink()
            more(ledger, 1000)
            finish(cluster, ledger)


def test_a_log_directory_that_fails_takes_only_its_own_replicas_out(tmp_path):
    cluster = Cluster(3)
    good, bad = tmp_path / "good", tmp_path / "bad"
    cluster.brokers[2].data_dirs = [good, bad]
    with cluster:
        ledger = under_load(cluster, partitions=6)
        on_bad = {int(item.name.rsplit("-", 1)[1]) for item in bad.glob("t-*")}
        assert 0 < len(on_bad) < 6
        bad.rename(tmp_path / "gone")
        more(ledger, 1000)

        def only_the_bad_are_out():
            rows = cluster.partitions("t")
            return all((2 in rows[index]["IsrNodes"]) == (index not in on_bad) for index in rows)

        eventually(only_the_bad_are_out, 60)
        assert all(cluster.leader("t", index) != 2 for index in on_bad)
        described = KafkaTools(cluster.bootstrap)("log-dirs", "--describe", "--broker-list", "2")
        rows = json.loads(described.splitlines()[-1])["brokers"][0]["logDirs"]
        assert {row["logDir"]: bool(row["error"]) for row in rows} == {str(good): False, str(bad): True}
        # With its disk back, it is as before after a restart.
        cluster.brokers[2].kill()
        (tmp_path / "gone").rename(bad)
        cluster.brokers[2].restart()
        finish(cluster, ledger)
