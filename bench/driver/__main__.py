"""bench/run: rounds of scenarios over the systems, then a report."""

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import time
import traceback
from pathlib import Path

from harness import schema

from . import clusters, group_scenarios, report, scenarios

SCENARIOS = {**scenarios.SCENARIOS, **group_scenarios.SCENARIOS}
ALL = {**SCENARIOS, **clusters.SCENARIOS}
OURS_ALONE = scenarios.OURS_ALONE | clusters.OURS_ALONE


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=sorted(ALL), help="only these scenarios")
    parser.add_argument("--cluster", action="store_true", help="the scenarios of three brokers instead of those of one")
    parser.add_argument("--systems", nargs="+", default=["kafka", "ottla"], choices=["kafka", "ottla"])
    parser.add_argument("--gigabytes", type=float, default=4.0, help="produced and consumed with 1,000 B")
    parser.add_argument("--cluster-gigabytes", type=float, default=2.0, help="produced to three replicas")
    parser.add_argument("--millions", type=float, default=8.0, help="messages of 100 B")
    parser.add_argument("--compaction-millions", type=float, default=20.0, help="keyed records of 100 B")
    parser.add_argument("--latency-seconds", type=int, default=20)
    parser.add_argument("--recovery-gigabytes", type=float, default=5.0)
    parser.add_argument("--commit-seconds", type=int, default=10)
    parser.add_argument("--idle-seconds", type=float, default=5.0)
    parser.add_argument("--kafka-everywhere", action="store_true", help="also the scenarios that are ours alone")
    return parser.parse_args()


def plan(options):
    """(round, scenario, system) in the order of measurement: the systems take turns, and who begins changes."""
    for number in range(options.rounds):
        for name in options.only or (clusters.SCENARIOS if options.cluster else SCENARIOS):
            systems = options.systems if number % 2 == 0 else options.systems[::-1]
            for system in systems:
                if system == "kafka" and number > 0 and name in scenarios.ONCE:
                    continue
                if system == "kafka" and name in OURS_ALONE and not options.kafka_everywhere:
                    continue
                yield number, name, system


def main():
    """Measures and reports; the exit code is about measuring, not about targets."""
    options = arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1 << 20) if hard > 0 else 1 << 20, hard))
    # The first question would read the schemas while a clock runs.
    schema.key_of("Metadata")
    rounds, failures = {}, 0
    for number, name, system in plan(options):
        begin = time.monotonic()
        try:
            numbers = ALL[name](system, options)
        except Exception:  # noqa: BLE001 one failed measurement must not cost the others
            failures += 1
            print(f"round {number + 1} {name} {system}: FAILED\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            continue
        rounds.setdefault(system, []).append(numbers)
        text = " ".join(f"{key}={value:.4g}" for key, value in numbers.items())
        print(f"round {number + 1} {name} {system} ({time.monotonic() - begin:.0f} s): {text}", file=sys.stderr, flush=True)
        if name in scenarios.FLOORS and system == options.systems[-1]:
            floor = scenarios.FLOORS[name](options)
            rounds.setdefault("unavoidable", []).append(floor)
            print(f"round {number + 1} {name} unavoidable: {floor}", file=sys.stderr, flush=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    text = report.markdown(rounds, "bench/run " + shlex.join(sys.argv[1:]), commit or "unknown")
    folder = Path(os.environ["OTTLA_BENCH_RESULTS"])
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    (folder / f"{stamp}.md").write_text(text)
    (folder / f"{stamp}.json").write_text(json.dumps(rounds, indent=1))
    print(text)
    print(f"Written to {folder / stamp}.md and .json", file=sys.stderr)
    sys.exit(1 if failures else 0)


main()
