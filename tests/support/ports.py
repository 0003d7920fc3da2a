"""Ports of loopback that nobody uses now, and that nobody else is given soon.

In: the number of the test process (pytest-xdist), where there are several. Out: port numbers.
Always: below the range from which the system takes ports for outgoing connections, in turn, from a part that belongs to
this process alone: what listens on a port a moment later finds it free.
"""

import itertools
import os
import socket
from contextlib import ExitStack

FIRST, EACH, PROCESSES = 20_000, 1_000, 12
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES
_begin = FIRST + _process * EACH
# Another run of the tests on this machine most likely begins elsewhere.
_turn = itertools.cycle(range(_begin, _begin + EACH))
_candidates = itertools.islice(_turn, os.getpid() * 37 % EACH, None)


def free_ports(count: int) -> list[int]:
    """That many different ones."""
    ports: list[int] = []
    with ExitStack() as stack:
        for port in itertools.islice(_candidates, EACH):
            probe = stack.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise OSError(f"of {EACH} ports from {_begin} on, not {count} are free")


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
