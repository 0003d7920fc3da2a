"""The port that the workers share, reserved by a process that does not listen on it.

In: a host and a port. Out: sockets that are bound, and the port (0 takes a free one). Always: the port stays reserved
while no worker runs; a port on which a program listens, or that another supervisor is taking, is refused.
"""

import errno
import os
import socket
import sys
from dataclasses import dataclass, field


@dataclass(slots=True)
class Reserved:
    """What is bound, until `release`."""

    port: int
    sockets: list[socket.socket] = field(default_factory=list)

    def release(self) -> None:
        """Release the port."""
        for one in self.sockets:
            one.close()
        self.sockets.clear()


def reserve(host: str, port: int) -> Reserved:
    """Bind each address that `host` resolves to to one port, shared with children of the same user (SO_REUSEPORT).

    A bound socket that does not listen gets no connections. Raises OSError: EADDRINUSE where it is taken.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    reserved = Reserved(port)
    try:
        for family, address in addresses:
            place = (address[0], reserved.port, *address[2:])
            if reserved.port:
                _refuse_taken(family, place)
            one = _bound(family, place, shared=True)
            reserved.sockets.append(one)
            reserved.port = one.getsockname()[1]
            _claim(reserved, f"{address[0]} {reserved.port}")
    except BaseException:
        reserved.release()
        raise
    return reserved


def _bound(family: int, place: tuple[str | int, ...], *, shared: bool) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(place)
    except OSError:
        one.close()
        raise
    return one


def _refuse_taken(family: int, place: tuple[str | int, ...]) -> None:
    """A socket that is not shared cannot be bound beside one that listens."""
    _bound(family, place, shared=False).close()


def _claim(reserved: Reserved, name: str) -> None:
    """Two supervisors that start at the same moment: neither listens yet, so a name distinguishes them. Linux only."""
    if not sys.platform.startswith("linux"):
        return
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    reserved.sockets.append(one)
    try:
        one.bind(f"\0holdfast listens on {name}")
    except OSError as error:
        raise OSError(errno.EADDRINUSE, f"{os.strerror(errno.EADDRINUSE)}: {name}") from error
