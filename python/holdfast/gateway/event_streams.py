"""Event streams: server-sent events, from OUT to one connection.

In: a feed, a client's place and filter, its connection. Out: events in the order of LOG, each with its id; heartbeats;
at the end an event `end` with the reason. Always: what a connection has that its client did not take is bounded by one
write; a client that takes nothing for a while is cut, and reads on later from its last id; a key that ended, or
changed, ends its streams.
"""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import orjson
import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from nats.errors import Error as NatsError

from holdfast.errors import LogError
from holdfast.events.feed import Feed, Part
from holdfast.events.places import Gap, Place, Start, gap_as_json, gap_between, place_in
from holdfast.gateway.keyring import Key
from holdfast.gateway.refusals import Refusal, overloaded
from holdfast.gateway.replies import Reply
from holdfast.nats.outlets import is_wanted, token
from holdfast.nats.stream_reader import Entry
from holdfast.settings import EventSettings

Admit = Callable[[web.BaseRequest], Key | Awaitable[Key]]

log = structlog.get_logger(__name__)

RETRY_MS: Final = 1_000
_SUBJECTS_REMEMBERED_MAX = 10_000
_LOOK_S = 1.0  # how often a stream looks whether its client is still there

REASONS: Final = {
    "stopping": "This process stops. Read on from the last id.",
    "slow": "Nothing was taken for events.stall_ms. Read on from the last id, and read faster.",
    "key": "The key has ended or was changed. Use a key that is in force.",
    "made-again": "The stream of events was made again. Read on from the last id.",
    "unreadable": "The stream of events cannot be read just now. Read on from the last id.",
    "upto-end": "This is all that is published now.",
}


class Wanted:
    """Which events a client gets: of some channels and kinds; a gap always."""

    def __init__(self, channels: tuple[str, ...] | None, kinds: frozenset[str] | None) -> None:
        self._channels = None if channels is None else frozenset(token(one) for one in channels)
        self._kinds = kinds
        self._known: dict[str, bool] = {}

    def __call__(self, subject: str) -> bool:
        """By the subject, `hf.<scope>.out.<kind>.<channel>`."""
        found = self._known.get(subject)
        if found is None:
            found = is_wanted(subject, self._channels, self._kinds)
            if len(self._known) >= _SUBJECTS_REMEMBERED_MAX:
                self._known.clear()
            self._known[subject] = found
        return found


class EventStreams:
    """Those of one worker."""

    def __init__(self, feed: Feed, settings: EventSettings) -> None:
        self.feed = feed
        self.settings = settings
        self.closing = asyncio.Event()
        self.open = 0
        self.sent_total = 0
        self.ended: Counter[str] = Counter()
        self._of: Counter[str | None] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def check_room(self, key: Key) -> None:
        """Raises Refusal 503 where a bound is reached."""
        settings = self.settings
        of_key = self._of[key.id] >= settings.connections_per_key_max
        if of_key or self.open >= settings.connections_max:
            which = "of this key" if of_key else "of this process"
            raise overloaded(
                f"Too many event streams {which} are open.",
                retry_after_s=max(1, RETRY_MS // 1000),
                queue="event-streams",
            )

    def begin(self, key: Key) -> None:
        """One more is open."""
        self.open += 1
        self._of[key.id] += 1
        self.feed.join()

    def end(self, key: Key, reason: str) -> None:
        """It has ended."""
        self.open -= 1
        self.ended[reason] += 1
        self._of[key.id] -= 1
        if not self._of[key.id]:
            del self._of[key.id]
        self.feed.leave()

    async def close(self) -> None:
        """End all of them, with a reason."""
        self.closing.set()
        for _ in range(100):
            if not self.open:
                break
            await asyncio.sleep(0.01)
        await self.feed.close()


class EventStream(Reply):
    """One of them, as the answer to a request."""

    def __init__(
        self,
        streams: EventStreams,
        start: Start,
        wanted: Wanted,
        key: Key,
        admit: Admit,
        *,
        follow: bool,
        sequence: int,
    ) -> None:
        super().__init__(200, b"", sequence, content_type=b"text/event-stream", close=True)
        self._streams = streams
        self._settings = streams.settings
        self._begin = start
        self._wanted = wanted
        self._key = key
        self._admit = admit
        self._follow = follow
        self._cursor = start.cursor  # of OUT: read up to here
        self._seen = start.cursor  # of OUT: the newest entry that was there
        self._newest: bytes | None = None  # the newest entry that was passed over
        self._last = start.place  # as the client knows it
        self._out = bytearray()
        self._sent_s = self._checked_s = _now_s()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the headers. Raises ConnectionResetError when the client has disconnected."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has disconnected")
        self._req = request
        transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            b"X-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\n"
            b"Holdfast-Sequence: %d\r\n%bConnection: close\r\n\r\n" % (self._sequence, self._lines)
        )
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - as the base class has it
        """Send events until the end, and why it is the end."""
        request, self._req = self._req, None
        if request is None or request.method == "HEAD":
            return
        streams, reason = self._streams, "disconnected"
        streams.begin(self._key)
        try:
            _bound(request, self._settings)
            reason = await self._send(request)
        finally:
            streams.end(self._key, reason)
            log.info("events-ended", key=self._key.id, reason=reason, place=str(self._last))

    async def _send(self, request: web.BaseRequest) -> str:
        try:
            reason = await self._until_over(request)
        except TimeoutError:
            reason = "slow"
        except (LogError, NatsError) as fault:
            log.warning("events-unreadable", why=str(fault))
            reason = "unreadable"
        transport = request.transport
        if transport is not None and not transport.is_closing():
            body = {"reason": reason, "detail": REASONS[reason], "id": str(self._last)}
            transport.write(b"event: end\ndata: %b\n\n" % orjson.dumps(body))
            transport.close()
            asyncio.get_running_loop().call_later(self._settings.linger_ms / 1000, transport.abort)
        return reason

    async def _until_over(self, request: web.BaseRequest) -> str:
        feed = self._streams.feed
        generation = feed.generation
        self._out += b"retry: %d\nid: %b\n\n" % (RETRY_MS, str(self._last).encode())
        if self._begin.gap is not None:
            self._put_gap(self._begin.gap)
        await self._write(request)
        while not self._streams.closing.is_set():
            part = await self._more()
            if feed.generation != generation:
                return "made-again"
            if part is None:
                return "upto-end"
            for entry in part.entries:
                self._put(entry)
                if len(self._out) >= self._settings.chunk_bytes_max:
                    await self._write(request)
            self._cursor = part.upto
            if self._is_due(self._checked_s):
                self._checked_s = _now_s()
                if not await self._is_in_force(request):
                    return "key"
            if not self._out and self._is_due(self._sent_s):
                self._put_heartbeat()
            await self._write(request)
        return "stopping"

    async def _more(self) -> Part | None:
        """None: a stream that does not follow has everything."""
        feed = self._streams.feed
        if self._follow:
            return await feed.after(self._cursor, min(_LOOK_S, self._settings.heartbeat_ms / 1000))
        part = await feed.page(self._cursor)
        return part if part.upto > self._cursor else None

    def _is_due(self, since_s: float) -> bool:
        return (_now_s() - since_s) * 1000 >= self._settings.heartbeat_ms

    def _put(self, entry: Entry) -> None:
        if entry.sequence != self._seen + 1:
            before = place_in(self._newest) if self._newest is not None else self._last
            self._put_gap(gap_between(before, place_in(entry.payload)))
        self._seen = entry.sequence
        if not self._wanted(entry.subject):
            self._newest = entry.payload
            return
        self._newest = None
        self._last = place_in(entry.payload)
        self._out += b"id: %b\ndata: %b\n\n" % (str(self._last).encode(), entry.payload)
        self._streams.sent_total += 1

    def _put_gap(self, gap: Gap) -> None:
        self._last, self._newest = Place(gap.sequence, gap.index), None
        self._out += b"id: %b\ndata: %b\n\n" % (gap.id.encode(), orjson.dumps(gap_as_json(gap)))

    def _put_heartbeat(self) -> None:
        """A comment; with the id of what was passed over, so that a client need not go through that again."""
        if self._newest is not None:
            self._last, self._newest = place_in(self._newest), None
        self._out += b": heartbeat\nid: %b\n\n" % str(self._last).encode()

    async def _write(self, request: web.BaseRequest) -> None:
        """What is to be sent, if anything.

        Raises TimeoutError where the client takes nothing, ConnectionResetError where it has disconnected.
        """
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client has disconnected")
        if self._out:
            request.transport.write(bytes(self._out))
            self._out.clear()
            self._sent_s = _now_s()
        if request.protocol.writing_paused:
            async with asyncio.timeout(self._settings.stall_ms / 1000):
                await request.writer.drain()
        else:
            await asyncio.sleep(0)

    async def _is_in_force(self, request: web.BaseRequest) -> bool:
        try:
            admitted = self._admit(request)
            key = admitted if isinstance(admitted, Key) else await admitted
        except Refusal:
            return False
        return (key.id, key.channels, key.operations) == (self._key.id, self._key.channels, self._key.operations)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _bound(request: web.BaseRequest, settings: EventSettings) -> None:
    """Have the kernel hold little for a client that does not read, and end a connection whose other side is lost."""
    found = request.get_extra_info("socket")
    if found is None:
        return
    with contextlib.suppress(OSError), socket.fromfd(found.fileno(), socket.AF_INET, socket.SOCK_STREAM) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.kernel_bytes_max)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            silent_ms = settings.stall_ms + 2 * settings.linger_ms
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silent_ms)
