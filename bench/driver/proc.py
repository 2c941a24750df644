"""What a process costs, from /proc: CPU seconds, resident and proportional memory, threads."""

import os
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
MEGABYTE = 1e6


def cpu_seconds(pid):
    """User and system CPU seconds of a process with all its threads."""
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory(pid):
    """(resident, proportional) megabytes; proportional leaves out what is shared with other processes."""
    resident = proportional = 0.0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            resident = int(line.split()[1]) * 1024 / MEGABYTE
        elif line.startswith("Pss:"):
            proportional = int(line.split()[1]) * 1024 / MEGABYTE
    return resident, proportional


class Cost:
    """CPU seconds and wall seconds of processes over a `with` block."""

    def __init__(self, *pids):
        self.pids = pids

    def __enter__(self):
        self._cpu = sum(cpu_seconds(pid) for pid in self.pids)
        self._begin = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self._begin
        self.cpu = sum(cpu_seconds(pid) for pid in self.pids) - self._cpu


def machine():
    """One line about the machine."""
    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "unknown CPU",
    )
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    gigabytes = int(total.split()[1]) / 1e6
    load = Path("/proc/loadavg").read_text().split()[0]
    return f"{os.cpu_count()} x {model}, {gigabytes:.0f} GB, Linux {os.uname().release}, load at the start {load}"
