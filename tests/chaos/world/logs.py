"""Reading back what the cluster holds: from the leaders, by hand, and from the disks of all replicas."""

from checker.history import Writer
from harness import batches
from harness.wire import Wire
from ledger import Verdict, read_partition


def read_all(cluster, topic, partitions):
    """(partition -> [(offset, id)], partition -> [`Writer`], what is wrong with offsets or checksums)."""
    verdict, log, writers = Verdict(), {}, {}
    _, _, rows = cluster.metadata()
    for partition in range(partitions):
        leader = rows[topic, partition]["LeaderId"]
        seen = []
        with Wire(cluster.brokers[leader].bootstrap) as wire:
            read = read_partition(wire, topic, partition, verdict, seen)
        writers[partition] = [
            Writer(part.base_offset, part.producer_id, part.producer_epoch, part.base_sequence, part.leader_epoch) for part in seen
        ]
        log[partition] = [(offset, value.rsplit(b":", 1)[0].decode(errors="replace")) for offset, value in read]
    return log, writers, [str(verdict)] if verdict.gaps or verdict.bad_crc else []


def compare_disks(cluster, topic, partitions):
    """Where the files of two in-sync replicas of a quiet topic are not the same batches."""
    wrong, (_, _, rows) = [], cluster.metadata()
    for partition in range(partitions):
        copies = {number: _batches(cluster.brokers[number], topic, partition) for number in rows[topic, partition]["IsrNodes"]}
        leader = rows[topic, partition]["LeaderId"]
        for number, copy in copies.items():
            differing = [pair for pair in zip(copies[leader], copy) if pair[0] != pair[1]]
            if differing:
                wrong.append(f"{topic}-{partition}: leader {leader} and {number} differ: {differing[0]}")
            elif len(copy) != len(copies[leader]):
                wrong.append(f"{topic}-{partition}: leader {leader} has {len(copies[leader])} batches, {number} has {len(copy)}")
    return wrong


def _batches(broker, topic, partition):
    found = []
    for segment in broker.segments(topic, partition):
        parts = batches.parse(segment.read_bytes())
        found += [(part.base_offset, part.last_offset, part.leader_epoch, part.crc) for part in parts]
    return found
