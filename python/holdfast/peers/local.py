"""Questions to a process on the same machine, over a socket in the data directory: as `rpc`, without the way over NATS.

Role: listen on `DATA/peers/<node>.sock`; keep a connection to the socket of the process that leads, while there is one.
In: questions and answers as bytes. Out: the same, with the number that joins them. Always: both ends run as the same
user, by the kernel's word; a frame, what is not read yet and the number of connections are bounded; what was written
and has no answer when the connection ends is not known; without a socket nothing is missing: NATS is the other way.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import structlog

from holdfast.settings import NodeSettings

log = structlog.get_logger(__name__)

Answer = Callable[[bytes], None]
"""Sends the answer to one question."""

_HEADER = struct.Struct(">IQQ")  # bytes that follow; number of the question; epoch that a question is for
_PLACE_BYTES_MAX = 100  # of a socket's address; a longer one is reached through its directory
_CREDENTIALS = struct.Struct("3i")  # process, user, group


def socket_of(directory: Path, node: str) -> Path:
    """Where a process of a data directory listens."""
    return directory / "peers" / f"{node}.sock"


class _Frames(asyncio.Protocol):
    """One connection: bytes into frames."""

    def __init__(
        self,
        bytes_max: int,
        on_frame: Callable[["_Frames", int, int, bytes], None],
        on_lost: Callable[["_Frames"], None],
        on_made: Callable[["_Frames"], bool] = lambda _frames: True,
    ) -> None:
        self._bytes_max = bytes_max
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._on_made = on_made
        self._parts: list[bytes] = []
        self._have = 0
        self._need = _HEADER.size
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it
        if not _is_own(transport.get_extra_info("socket")) or not self._on_made(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._have += len(data)
        if self._have < self._need:
            return
        bytes_ = data if len(self._parts) == 1 else b"".join(self._parts)
        at, self._need = 0, _HEADER.size
        while len(bytes_) - at >= self._need:
            size, number, epoch = _HEADER.unpack_from(bytes_, at)
            if size > self._bytes_max:
                log.error("local-frame-too-large", bytes=size)
                self.abort()
                return
            end = at + _HEADER.size + size
            if len(bytes_) < end:
                self._need = _HEADER.size + size
                break
            self._on_frame(self, number, epoch, bytes_[at + _HEADER.size : end])
            at = end
        rest = bytes_[at:]
        self._parts, self._have = ([rest] if rest else []), len(rest)

    def pause_writing(self) -> None:
        """The other end does not read: it gets nothing more to answer."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    @property
    def open(self) -> bool:
        """Whether what is written may still arrive."""
        return self._transport is not None and not self._transport.is_closing()

    def write(self, number: int, epoch: int, payload: bytes) -> None:
        """One frame; nothing where the connection has ended."""
        if self._transport is not None:
            self._transport.write(_HEADER.pack(len(payload), number, epoch) + payload)

    def close(self) -> None:
        """End it; what was written is sent before."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class LocalServer:
    """A process's own socket. `take(epoch, question, answer)` gets each question, and must not raise."""

    def __init__(
        self,
        directory: Path | None,
        node: str,
        question_bytes_max: Callable[[], int],
        settings: NodeSettings,
        take: Callable[[int, bytes, Answer], None],
    ) -> None:
        self._path = None if directory is None else socket_of(directory, node)
        self._question_bytes_max = question_bytes_max
        self._connections_max = settings.peers_max
        self._take = take
        self._server: asyncio.Server | None = None
        self._open: set[_Frames] = set()

    async def open(self) -> None:
        """Listen. Where the file system has no sockets, the others ask over NATS."""
        if self._path is None:
            return
        try:
            bound = _bound(self._path)
        except OSError as fault:
            log.warning("no-local-socket", path=str(self._path), why=str(fault))
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._accept, sock=bound)

    def close(self) -> None:
        """Take nothing more; answers that were given are sent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for one in tuple(self._open):
            one.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _accept(self) -> asyncio.Protocol:
        return _Frames(self._question_bytes_max(), self._on_frame, self._open.discard, self._has_room)

    def _has_room(self, frames: _Frames) -> bool:
        if len(self._open) >= self._connections_max:
            return False
        self._open.add(frames)
        return True

    def _on_frame(self, frames: _Frames, number: int, epoch: int, payload: bytes) -> None:
        self._take(epoch, payload, partial(frames.write, number, 0))


class LocalLink:
    """The way to the process that leads, where it is on this machine."""

    def __init__(
        self,
        directory: Path | None,
        settings: NodeSettings,
        on_answer: Callable[[int, bytes], None],
        on_lost: Callable[[], None],
    ) -> None:
        """`on_lost`: what was sent and has no answer gets none."""
        self._directory = directory
        self._settings = settings
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._node = ""
        self._frames: _Frames | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._next_s = 0.0

    def reaches(self, node: str) -> bool:
        """Whether a question to that process may go this way now."""
        return self._frames is not None and self._node == node and self._frames.open

    def look_for(self, node: str | None) -> None:
        """Connect to that process, if it is here; called often."""
        if node is None or self._directory is None or self.reaches(node):
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_s and (self._connecting is None or self._connecting.done()):
            self._next_s = loop.time() + self._settings.local_retry_ms / 1000
            self._connecting = loop.create_task(self._connect(node, socket_of(self._directory, node)))

    def send(self, number: int, epoch: int, payload: bytes) -> None:
        """Send a question; only while it `reaches`."""
        assert self._frames is not None, "Invariant: it reaches the process that the question is for"
        self._frames.write(number, epoch, payload)

    def close(self) -> None:
        """Ask nothing more."""
        if self._connecting is not None:
            self._connecting.cancel()
        self._directory = None
        if self._frames is not None:
            self._frames.abort()

    async def _connect(self, node: str, path: Path) -> None:
        if self._frames is not None:
            self._next_s = 0.0
            self._frames.abort()
            return  # it ends first: then the next attempt
        with contextlib.suppress(OSError):
            one = _connected(path)
            frames = _Frames(self._settings.answer_bytes_max, self._on_frame, self._ended)
            await asyncio.get_running_loop().create_unix_connection(lambda: frames, sock=one)
            if frames.open:
                self._node, self._frames = node, frames

    def _on_frame(self, _frames: _Frames, number: int, _epoch: int, payload: bytes) -> None:
        self._on_answer(number, payload)

    def _ended(self, frames: _Frames) -> None:
        if frames is self._frames:
            self._frames = None
            self._on_lost()


def _is_own(one: socket.socket) -> bool:
    """Whether the process at the other end runs as this one's user."""
    credentials = one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(credentials)[1]
    if user != os.geteuid():
        log.error("local-socket-of-another-user", user=user)
    return user == os.geteuid()


def _bound(path: Path) -> socket.socket:
    """Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    with _own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as one, _place(path) as place:
        one.settimeout(0)
        one.bind(place)
        path.chmod(0o600)
        return one


def _connected(path: Path) -> socket.socket:
    """At once, or OSError: where nobody listens."""
    with _own(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as one, _place(path) as place:
        one.settimeout(0)
        one.connect(place)
        return one


@contextlib.contextmanager
def _own(one: socket.socket) -> Iterator[socket.socket]:
    try:
        yield one
    except OSError:
        one.close()
        raise


@contextlib.contextmanager
def _place(path: Path) -> Iterator[str]:
    """An address of at most 108 bytes for it, as the kernel wants one."""
    if len(os.fsencode(path)) <= _PLACE_BYTES_MAX:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
