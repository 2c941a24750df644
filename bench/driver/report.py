"""From measured rounds to a Markdown report."""

import statistics
import time

from . import proc
from .targets import CLUSTER, SINGLE


def _values(rounds, system, key):
    return [row[key] for row in rounds.get(system, []) if key in row]


def median(rounds, system, key):
    """The median of a number over the rounds, or None."""
    values = _values(rounds, system, key)
    return statistics.median(values) if values else None


def _number(value):
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _spread(rounds, key):
    parts = []
    for system in ("kafka", "ottla", "unavoidable"):
        values = _values(rounds, system, key)
        if values:
            parts.append(f"{system} {' '.join(_number(value) for value in values)}")
    return "; ".join(parts)


def markdown(rounds, command, commit):
    """The report. `rounds` is system -> list of measured dicts, one per round and scenario."""
    lines = [
        "# Benchmark",
        "",
        f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, commit {commit}, `{command}`.",
        proc.machine() + ".",
        "",
        "Medians over the rounds, systems alternating in one sitting, a fresh broker for each scenario. Client and broker",
        "share the machine. CPU is the broker's alone, from `/proc/PID/stat`; memory is resident.",
        "",
        "| what | Ottla | Kafka 4.3.1 | unavoidable | Ottla / Kafka | target | reached |",
        "|---|--:|--:|--:|--:|---|---|",
    ]
    missed = judged = 0
    for target in SINGLE + CLUSTER:
        ours, kafka, floor = (median(rounds, system, target.key) for system in ("ottla", "kafka", "unavoidable"))
        if ours is None and kafka is None:
            continue
        verdict = target.missed(ours, kafka, floor)
        judged, missed = judged + (verdict is not None), missed + (verdict is True)
        ratio = _number(ours / kafka) if ours is not None and kafka else "-"
        word = {None: "-", True: "**no**", False: "yes"}[verdict]
        unit = f" ({target.unit})" if target.unit else ""
        lines.append(
            f"| {target.title}{unit} | {_number(ours)} | {_number(kafka)} | {_number(floor)} | {ratio} | {target.text()} | {word} |"
        )
    lines += ["", f"{judged - missed} of {judged} targets reached.", "", "## Rounds", "", "| what | values |", "|---|---|"]
    keys = list(dict.fromkeys(key for rows in rounds.values() for row in rows for key in row))
    lines += [f"| {key} | {_spread(rounds, key)} |" for key in keys]
    return "\n".join(lines) + "\n"
