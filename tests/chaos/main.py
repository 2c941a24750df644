"""One run: brokers, load and nemesis for some time, then no faults until all is well again, then the checks.

Started by `run`, in namespaces of its own. Ends with 0 when nothing is wrong.
"""

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

from checker import History, check
from checker.history import load_events
from load.clients import Load
from nemesis import KINDS, plan
from nemesis import changes as _changes
from nemesis import machine as _machine
from nemesis import network as _network
from nemesis.faults import FAULTS
from report import render
from world.logs import compare_disks, read_all
from world.world import World

# Generous: the machine may be busy with other things. Only service that does not come back at all is wrong.
BACK_TIMEOUT = 240
assert _changes and _machine and _network and set(KINDS) == set(FAULTS), "each kind has a fault"


def arguments():
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="tests/chaos/run", description="Real brokers and clients under real faults.")
    parser.add_argument("--seconds", type=float, default=300, help="how long faults go on (300)")
    parser.add_argument("--seed", type=int, default=None, help="which faults, when; chosen if not given")
    parser.add_argument("--brokers", type=int, choices=(3, 5), default=3, help="size of the cluster (3)")
    parser.add_argument("--faults", default="", help=f"only these, with commas between: {', '.join(KINDS)}")
    parser.add_argument("--length", type=float, default=1.0, help="stretches the times of all faults (1)")
    parser.add_argument("--acks", choices=("all", "1"), default="all", help="1: one producer asks the leader only, so that lost writes are found")
    parser.add_argument("--out", type=Path, required=True, help="folder for report, journals and logs")
    options = parser.parse_args()
    options.kinds = [kind for kind in options.faults.split(",") if kind]
    unknown = set(options.kinds) - set(KINDS)
    if unknown:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    if options.seed is None:
        options.seed = random.randrange(1 << 31)
    return options


class Run:
    """What happened, from begin to end."""

    def __init__(self, options):
        self.options, self.begin, self.seconds = options, time.time(), 0.0
        self.notes, self.steps, self.findings, self.not_possible = [], [], [], {}
        self.history = self.world = None
        chosen = f" --faults {options.faults}" if options.faults else ""
        chosen += " --acks 1" if options.acks == "1" else ""
        self.command = f"tests/chaos/run --seconds {options.seconds:g} --seed {options.seed} --brokers {options.brokers}{chosen}"

    def note(self, text):
        """Says what happens, now and in the report."""
        at = time.time() - self.begin
        self.notes.append((at, text))
        print(f"{at:7.1f} s  {text}", flush=True)

    def run(self):
        """All of it."""
        options = self.options
        self.world = World(options.out, options.brokers, options.seed, self.note)
        try:
            self.world.start()
            self.note("brokers are up")
            load = Load(self.world.cluster.bootstrap, self.world.topic, self.world.partitions, options.out, options.acks)
            if late := load.not_up(BACK_TIMEOUT):
                raise AssertionError(f"nothing of {late} was acknowledged")
            self.note("clients are up")
            time.sleep(2)
            self._faults()
            self._recover(load)
            self.findings += load.stop()
            self._read()
        finally:
            self.seconds = time.time() - self.begin
            self.world.close()
        self._check()

    def _faults(self):
        world, end = self.world, time.monotonic() + self.options.seconds
        for kind, cls in FAULTS.items():
            if why := cls.refusal(world):
                self.not_possible[kind] = why
        for step in plan(self.options.seed, self.options.kinds, self.options.length):
            if time.monotonic() >= end:
                return
            if step.kind in self.not_possible:
                if set(self.options.kinds) <= set(self.not_possible) and self.options.kinds:
                    return
                continue
            self._step(step)

    def _step(self, step):
        world = self.world
        dice = random.Random(step.seed)
        fault = FAULTS[step.kind](world, dice)
        around = FAULTS[step.around](world, dice) if step.around and step.around not in self.not_possible else None
        if fault.wants_whole or step.wait:
            missing = world.cluster.wait_whole(BACK_TIMEOUT)
            if missing:
                raise AssertionError(f"not back after {BACK_TIMEOUT} s without faults: {missing}")
        self.steps.append((time.time(), f"{step.kind}, {step.around}" if around else step.kind))
        if around:
            self.note(f"{step.around}: {around.begin()}")
        self.note(f"{step.kind}: {fault.begin()}")
        time.sleep(step.hold)
        fault.end()
        self.note(f"{step.kind}: over")
        if around:
            around.end()
            self.note(f"{step.around}: over")
        time.sleep(step.rest)
        world.look_for_dead()

    def _recover(self, load):
        world = self.world
        world.heal()
        self.steps.append((time.time(), "healing"))
        if missing := world.cluster.wait_whole(BACK_TIMEOUT):
            raise AssertionError(f"not back {BACK_TIMEOUT} s after all faults: {missing}")
        self.note("whole again")
        world.look_for_dead()
        self.findings += world.ended_by_themselves
        self.findings += [f"the {name} load ended early" for name in load.dead()]
        time.sleep(8)
        if late := load.drain(BACK_TIMEOUT):
            self.findings.append(f"producers of {late} cannot deliver")
        self.note("producers are done")
        # Readers and groups come to the end of what is there.
        time.sleep(12)

    def _read(self):
        world = self.world
        self.log, self.writers, wrong = read_all(world.cluster, world.topic, world.partitions)
        self.findings += wrong + compare_disks(world.cluster, world.topic, world.partitions)

    def _check(self):
        self.history = History(load_events(self.options.out.glob("*.jsonl")), self.log, self.writers)
        self.findings += map(str, check(self.history))
        healed = self.steps[-1][0]
        for client in sorted({event["client"] for event in self.history.of("open")}):
            fresh = {(event["s"], event["n"]) for event in self.history.of("send") if event["client"] == client and event["t"] > healed}
            if not any((event["s"], event["n"]) in fresh for event in self.history.of("ack")):
                self.findings.append(f"{client} got nothing through after all faults")


def main():
    """Runs, reports, and says with its exit code whether anything is wrong."""
    run = Run(arguments())
    run.note(f"seed {run.options.seed}")
    try:
        run.run()
    except Exception as error:  # noqa: BLE001, what ends a run belongs to its report
        traceback.print_exc()
        run.findings.append(f"the run ended early: {error}")
    report = run.options.out / "report.md"
    report.write_text(render(run), encoding="utf-8")
    print("\n".join(map(str, run.findings[:20])) or "nothing wrong")
    print(f"report: {report}")
    return 1 if run.findings else 0


if __name__ == "__main__":
    sys.exit(main())
