"""A switch in user space: each host's network namespace ends in a TUN device, and this process moves the packets.

So a cut may be of one direction or one pair, and delay, loss and duplicates need nothing of the kernel but TUN
devices (netem is often not built in). Rules come as JSON lines on standard input, each answered with a line; the end
of the input ends the process. Hosts are numbers: 10.77.0.N.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

from . import links

PREFIX = "10.77.0."
MTU = 16_000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI, _CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _enter(descriptor):
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def open_tun(host, namespace):
    """A TUN device in a namespace, up and with the host's address; returns its descriptor."""
    own, target = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open(namespace, os.O_RDONLY)
    try:
        _enter(target)
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH", b"chaos0", _IFF_TUN | _IFF_NO_PI))
        for command in (
            f"ip link set lo up mtu {MTU}",
            f"ip addr add {PREFIX}{host}/24 dev chaos0",
            f"ip link set chaos0 up mtu {MTU} txqueuelen 2000",
        ):
            subprocess.run(command.split(), check=True)
        return tun
    finally:
        _enter(own)
        os.close(own)
        os.close(target)


class Switch:
    """Moves packets between descriptors by the last number of their IPv4 target."""

    def __init__(self, tuns, dice):
        self.tuns, self.dice, self.rules = tuns, dice, {}
        self.hosts = {tun: host for host, tun in tuns.items()}
        self.waiting, self.number = [], 0

    def run(self):
        """Until the input ends."""
        poll = select.epoll()
        for descriptor in [sys.stdin.fileno(), *self.hosts]:
            poll.register(descriptor, select.EPOLLIN)
        print("ready", flush=True)
        while True:
            timeout = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else -1
            for descriptor, _ in poll.poll(timeout):
                if descriptor in self.hosts:
                    self._drain(descriptor)
                elif not self._command():
                    return
            self._deliver()

    @staticmethod
    def _line():
        line = bytearray()
        while not line.endswith(b"\n"):
            part = os.read(sys.stdin.fileno(), 1)
            if not part:
                return b""
            line += part
        return bytes(line)

    def _command(self):
        line = self._line()
        if not line:
            return False
        self.rules = links.decode(json.loads(line))
        print("ok", flush=True)
        return True

    def _drain(self, tun):
        source = self.hosts[tun]
        for _ in range(64):
            try:
                packet = os.read(tun, 65_536)
            except BlockingIOError:
                return
            if packet[0] >> 4 == 4:
                self._forward(source, packet[19], packet)

    def _forward(self, source, target, packet):
        tun = self.tuns.get(target)
        if tun is None:
            return
        rule = self.rules.get((source, target))
        if rule is None:
            self._write(tun, packet)
            return
        now = time.monotonic()
        for delay in rule.fate(self.dice):
            self.number += 1
            heapq.heappush(self.waiting, (now + delay, self.number, tun, packet))

    def _deliver(self):
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            _, _, tun, packet = heapq.heappop(self.waiting)
            self._write(tun, packet)

    @staticmethod
    def _write(tun, packet):
        try:
            os.write(tun, packet)
        except OSError:
            pass  # A full queue or a host that is down loses packets, as a switch does.


def main():
    """`python -m world.switch SEED HOST=NAMESPACE...`"""
    places = dict(item.split("=", 1) for item in sys.argv[2:])
    tuns = {int(host): open_tun(int(host), namespace) for host, namespace in places.items()}
    Switch(tuns, random.Random(int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
