"""The control pipe between a supervisor and its children: a socket pair that the child has as its stdin.

In: an assignment first, then news for the child. Out: the child's task, whether it listens, why it failed.
Always: a message is four bytes of length and JSON; secrets go this way and are in no argument list; the end of the
socket is the end of the other process.
"""

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Literal, TypeAlias

import msgspec

from holdfast.settings import Settings

_LENGTH_BYTES = 4
_INHERITED = 0  # stdin

Outcome: TypeAlias = Literal["taken", "failed"]  # of an attempt to take a snapshot


def fingerprint_of(settings: Settings) -> str:
    """A fingerprint: equal only for equal settings."""
    return hashlib.sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()


class Assignment(msgspec.Struct, frozen=True):
    """The task of a child. `nats` is one address or several with commas, the secret in the first one's user part."""

    node: str
    directory: str
    nats: str
    scope: str = "main"
    host: str = "127.0.0.1"
    port: int = 8080
    own_port: int = 0
    probes: tuple[str, int] | None = None
    auth: bool = True
    log_level: str = "info"
    loop: str = "uvloop"
    settings: Settings = msgspec.field(default_factory=Settings)
    own_nats: bool = True
    fingerprint: str = ""  # of the settings, as the supervisor has them

    def disagreement(self) -> str:
        """Why this process must not start with these settings: it reads other ones than were sent. "": it may."""
        if self.fingerprint == fingerprint_of(self.settings):
            return ""
        return (
            "it reads other settings than the supervisor has: holdfast was changed on the disk while it runs; "
            "restart `holdfast serve`"
        )

    @property
    def shares_snapshots(self) -> bool:
        """Whether snapshots also go through NATS: on a single machine the directory has them."""
        shared = self.settings.snapshots.shared
        return not self.own_nats if shared is None else shared

    def __repr__(self) -> str:
        return f"Assignment(node={self.node!r}, scope={self.scope!r}, directory={self.directory!r})"


class LogState(msgspec.Struct, frozen=True, tag=True):
    """To a child: what is wrong with the nats-server and what to do about it; empty: nothing."""

    fault: str


class WorkerDied(msgspec.Struct, frozen=True, tag=True):
    """To the other workers: the process of this one has certainly ended. Its lease is free before its time is over."""

    node: str


class Listening(msgspec.Struct, frozen=True, tag=True):
    """From a child: it answers requests, on the shared port and on `url`, which is its own. `keys`: in force."""

    url: str
    keys: int = 0


class Failed(msgspec.Struct, frozen=True, tag=True):
    """From a child, as its last message: why it ends."""

    why: str


class SnapshotTried(msgspec.Struct, frozen=True, tag=True):
    """From the process that takes snapshots: an attempt is over."""

    outcome: Outcome


class SnapshotCounts(msgspec.Struct, frozen=True, tag=True):
    """To a worker, for its metrics: attempts to take a snapshot since the supervisor started, and how they ended."""

    taken_total: int = 0
    failed_total: int = 0
    failures_in_a_row: int = 0

    def after(self, outcome: Outcome) -> "SnapshotCounts":
        """With one more attempt."""
        if outcome == "taken":
            return SnapshotCounts(self.taken_total + 1, self.failed_total, 0)
        return SnapshotCounts(self.taken_total, self.failed_total + 1, self.failures_in_a_row + 1)


class Retained(msgspec.Struct, frozen=True, tag=True):
    """From the process that takes snapshots, and on to the workers, for their metrics: what is kept on the disk."""

    bytes_by_part: dict[str, int]
    budget_bytes: int
    free_bytes: int
    since_ms: int | None = None
    days_left: float | None = None
    dead_letters: int = 0
    dead_since_ms: int | None = None


Received: TypeAlias = LogState | WorkerDied | Listening | Failed | SnapshotTried | SnapshotCounts | Retained
Message: TypeAlias = Assignment | Received
_decoder = msgspec.json.Decoder(Received)
_assignments = msgspec.json.Decoder(Assignment)


def encoded(message: Message) -> bytes:
    """The bytes of a message on the pipe."""
    body = msgspec.json.encode(message)
    return len(body).to_bytes(_LENGTH_BYTES) + body


class ControlPipe:
    """One end. `open` within an event loop, then `send` and `received`."""

    def __init__(self, end: socket.socket, bytes_max: int) -> None:
        self._end = end
        self._bytes_max = bytes_max
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Hand the socket to the event loop."""
        self._reader, self._writer = await asyncio.open_connection(sock=self._end)

    def send(self, message: Message) -> bool:
        """Send and do not wait. False when the other end has closed, or has not read for so long that it is dropped."""
        writer = self._writer
        if writer is None or writer.is_closing() or writer.transport.get_write_buffer_size() > self._bytes_max:
            return False
        writer.write(encoded(message))
        return True

    async def received(self) -> AsyncIterator[Received]:
        """Messages of the other end, until it closes. Raises msgspec.DecodeError for invalid ones."""
        assert self._reader is not None, "Invariant: opened"
        try:
            while True:
                length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES))
                if length > self._bytes_max:
                    raise msgspec.DecodeError(f"a message of {length} bytes")
                yield _decoder.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    async def close(self) -> None:
        """Send what is still to be sent, and close."""
        if self._writer is None:
            self._end.close()
            return
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return


class ParentGoneError(Exception):
    """The supervisor ended before it sent a task, or the task cannot be read."""


def inherited(bytes_max: int) -> tuple[Assignment, ControlPipe]:
    """In a child, before its event loop runs: wait for the assignment. Raises ParentGoneError."""
    # A copy of the descriptor: what the child starts itself has an empty stdin, and not this socket.
    try:
        end = socket.socket(fileno=os.dup(_INHERITED))
    except OSError as fault:
        raise ParentGoneError("this is started by `holdfast serve`, with a pipe as its stdin") from fault
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _INHERITED)
    os.close(nothing)
    length = int.from_bytes(_exactly(end, _LENGTH_BYTES))
    if length > bytes_max:
        raise ParentGoneError(f"an assignment of {length} bytes")
    try:
        return _assignments.decode(_exactly(end, length)), ControlPipe(end, bytes_max)
    except msgspec.DecodeError as fault:
        raise ParentGoneError(f"the supervisor is of another version, restart `holdfast serve` ({fault})") from fault


def _exactly(end: socket.socket, number: int) -> bytes:
    parts = b""
    while len(parts) < number:
        part = end.recv(number - len(parts))
        if not part:
            raise ParentGoneError("the supervisor ended before it sent a task")
        parts += part
    return parts
