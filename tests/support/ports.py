"""Ports of loopback that nobody uses now."""

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """That many different ones; somebody could be faster, so a server on one may still have to say so."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
