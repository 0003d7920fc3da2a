"""Three hosts on one machine: a network namespace each, and a switch between them, where the test itself is.

In: root, and `ip` with namespaces. Out: an address for each host, programs started on it, and links that can be cut,
one way or both, lose packets or become slow. Always: the names are this process's own; the machine's own network is
not touched; everything is removed at the end.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self

HOSTS = ("a", "b", "c")
_CLONE_NEWNET = 0x40000000
_NETWORK = "10.211.77"


def can_partition() -> str:
    """Why hosts cannot be made here; empty when they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return "`ip` and `tc` are not installed (package iproute2)"
    name = f"hf{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return "" if made.returncode == 0 else f"no network namespaces: {made.stderr.decode().strip()}"


class Network:
    """The switch and the hosts. Within the block this thread is at the switch."""

    def __init__(self) -> None:
        self._prefix = f"hf{os.getpid()}"
        self._switch = f"{self._prefix}-switch"
        self._home = -1
        self.netem = False  # whether the kernel can lose and delay packets by itself

    def __enter__(self) -> Self:
        try:
            self._make()
            self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            _enter(f"/var/run/netns/{self._switch}")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._home >= 0:
            _enter(f"/proc/self/fd/{self._home}")
            os.close(self._home)
        self._remove()

    def address(self, host: str) -> str:
        """Of a host."""
        return f"{_NETWORK}.{HOSTS.index(host) + 1}"

    def on(self, host: str, command: list[str]) -> list[str]:
        """The command that runs `command` there."""
        return ["ip", "netns", "exec", f"{self._prefix}-{host}", *command]

    @contextlib.contextmanager
    def cut(self, host: str) -> Iterator[None]:
        """Nothing comes from it or to it."""
        self._ip(["ip", "-n", self._switch, "link", "set", f"v{host}", "down"])
        try:
            yield
        finally:
            self._ip(["ip", "-n", self._switch, "link", "set", f"v{host}", "up"])

    @contextlib.contextmanager
    def cannot_send(self, host: str, others: tuple[str, ...]) -> Iterator[None]:
        """What it sends to these does not arrive; what they send arrives, and clients notice nothing."""
        for other in others:
            self._ip(self.on(host, ["ip", "route", "add", "blackhole", f"{self.address(other)}/32"]))
        try:
            yield
        finally:
            for other in others:
                self._ip(self.on(host, ["ip", "route", "del", "blackhole", f"{self.address(other)}/32"]))

    @contextlib.contextmanager
    def slow(self, host: str, *, loss_percent: int = 0) -> Iterator[None]:
        """What it sends is slow: 200 ms and losses where the kernel has netem, else 400 kbit a second."""
        shape = ["netem", "delay", "200ms", "50ms", *(["loss", f"{loss_percent}%"] if loss_percent else [])]
        if not self.netem:
            shape = ["tbf", "rate", "400kbit", "burst", "16kbit", "latency", "200ms"]
        self._ip(self.on(host, ["tc", "qdisc", "add", "dev", "eth0", "root", *shape]))
        try:
            yield
        finally:
            self._ip(self.on(host, ["tc", "qdisc", "del", "dev", "eth0", "root"]))

    def _make(self) -> None:
        self._ip(["ip", "netns", "add", self._switch])
        for command in (
            ["link", "set", "lo", "up"],
            ["link", "add", "br0", "type", "bridge"],
            ["address", "add", f"{_NETWORK}.254/24", "dev", "br0"],
            ["link", "set", "br0", "up"],
        ):
            self._ip(["ip", "-n", self._switch, *command])
        for host in HOSTS:
            space = f"{self._prefix}-{host}"
            self._ip(["ip", "netns", "add", space])
            # Made inside the switch, so that the machine's own network never has them.
            pair = ["link", "add", f"v{host}", "type", "veth", "peer", "name", "eth0", "netns", space]
            self._ip(["ip", "-n", self._switch, *pair])
            self._ip(["ip", "-n", self._switch, "link", "set", f"v{host}", "master", "br0", "up"])
            self._ip(["ip", "-n", space, "address", "add", f"{self.address(host)}/24", "dev", "eth0"])
            for link in ("lo", "eth0"):
                self._ip(["ip", "-n", space, "link", "set", link, "up"])
        tried = self.on(HOSTS[0], ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "1%"])
        self.netem = subprocess.run(tried, capture_output=True, check=False).returncode == 0
        if self.netem:
            self._ip(self.on(HOSTS[0], ["tc", "qdisc", "del", "dev", "lo", "root"]))

    def _remove(self) -> None:
        for name in (*HOSTS, "switch"):
            if Path(f"/var/run/netns/{self._prefix}-{name}").exists():
                subprocess.run(["ip", "netns", "del", f"{self._prefix}-{name}"], capture_output=True, check=False)

    @staticmethod
    def _ip(command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"


def _enter(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(descriptor)
