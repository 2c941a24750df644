"""A network namespace for each broker, and the switch between them. All of it is gone when its processes are."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

from . import links
from .switch import PREFIX

CLIENTS = 100
_PLACE = Path("/run/netns")


def address(host):
    """The address of a host."""
    return f"{PREFIX}{host}"


class Network:
    """Hosts 1.. for brokers, and `CLIENTS` for everybody else, who live in the run's own namespace."""

    def __init__(self, hosts, seed):
        subprocess.run(["mount", "-t", "tmpfs", "none", str(_PLACE.parent)], check=True)
        _PLACE.mkdir(parents=True)
        places = [f"{CLIENTS}=/proc/self/ns/net"]
        for host in hosts:
            subprocess.run(["ip", "netns", "add", f"host{host}"], check=True)
            places.append(f"{host}={_PLACE}/host{host}")
        self.rules = {}
        self.switch = subprocess.Popen(
            [sys.executable, "-m", "world.switch", str(seed), *places],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.switch.stdout.readline() == "ready\n", "the switch did not start"

    address = staticmethod(address)

    @staticmethod
    def inside(host):
        """What a command line begins with to run on a host."""
        return ["nsenter", f"--net={_PLACE}/host{host}"]

    def impose(self, rules):
        """Sets the rules of directed pairs of hosts, beside those that are there."""
        self.rules.update(rules)
        self._tell()

    def heal(self, pairs=None):
        """Takes rules away: these, or all."""
        for pair in list(self.rules) if pairs is None else pairs:
            self.rules.pop(pair, None)
        self._tell()

    def _tell(self):
        self.switch.stdin.write(json.dumps(links.encode(self.rules)) + "\n")
        self.switch.stdin.flush()
        assert self.switch.stdout.readline() == "ok\n", "the switch is gone"

    def close(self):
        """Ends the switch."""
        with contextlib.suppress(OSError):
            self.switch.stdin.close()
        self.switch.wait(10)
