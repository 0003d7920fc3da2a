"""Reading a stream in order from a sequence on, with its own gap check.

Role: the one reader for LOG (replay and follow) and IN. In: a stream and the last sequence already had. Out: entries,
strictly ascending and, unless the stream allows gaps, without a hole. Always: what is asked for is bounded (messages
and bytes), so nothing is dropped and memory stays flat; a consumer that stops delivering, or skips, is made again from
the last entry; a message that is really missing stops the reader with GapError.
"""

import asyncio
import contextlib
import time
import uuid
from collections import deque
from typing import NamedTuple

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from holdfast.errors import ApiError, GapError, LogError
from holdfast.nats.appender import get_message
from holdfast.nats.connection import Connection
from holdfast.settings import LogSettings
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

_MS_IN_NS = 1_000_000
_REPLY_TOKENS_SHORT = 9


class Entry(NamedTuple):
    """One message of a stream."""

    sequence: int
    subject: str
    payload: bytes


class Delivery(NamedTuple):
    """What the reply subject of a delivery contains."""

    consumer: str
    sequence: int
    still_to_come: int


def read_delivery(reply: str) -> Delivery:
    """Parse `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer sequence>.<time>.<pending>`.

    Newer servers may put a domain and an account after ACK, and a token at the end.
    """
    tokens = reply.split(".")
    if len(tokens) == _REPLY_TOKENS_SHORT:
        return Delivery(tokens[3], int(tokens[5]), int(tokens[8]))
    return Delivery(tokens[5], int(tokens[7]), int(tokens[10]))


class StreamReader:
    """An ordered, gap-checked, bounded reader. `take` returns what has arrived."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        after: int,
        settings: LogSettings,
        *,
        gaps_allowed: bool = False,
        is_sparse: bool = False,
    ) -> None:
        """`is_sparse`: a stream that holds the last message of each subject; what it skips is not looked for."""
        self._connection = connection
        self._stream = stream
        self._settings = settings
        self._gaps_allowed = gaps_allowed
        self._is_sparse = is_sparse
        self._buffer: deque[Entry] = deque()
        self._buffered_bytes = 0
        self._received = after
        self._taken = after
        self._asked = 0
        self._end: int | None = None
        self._consumer = ""
        self._inbox = ""
        self._generation = 0
        self._skipped_to = 0
        self._skips = 0
        self._last_answer_s = 0.0
        self._renew = False
        self._failure: LogError | None = None
        self._arrived = asyncio.Event()
        self._wake = asyncio.Event()
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self.gaps_total = 0

    @property
    def taken(self) -> int:
        """The last sequence that was handed over."""
        return self._taken

    @property
    def end(self) -> int | None:
        """The stream's highest sequence by its newest report; None before the first."""
        return self._end

    @property
    def at_end(self) -> bool:
        """Whether everything up to that sequence has been taken."""
        return self._end is not None and self._taken >= self._end

    async def open(self) -> None:
        """Begin to read in the background."""
        self._inbox = self._connection.new_inbox()
        self._subscription = await self._connection.listen(f"{self._inbox}.*", self._on_message)
        self._connection.watch(self._on_connection)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop, and leave nothing behind on the server."""
        self._connection.unwatch(self._on_connection)
        await cancel_and_wait(self._task)
        if self._subscription is not None:
            with contextlib.suppress(Exception):
                await self._subscription.unsubscribe()
        await self._drop_consumer()

    async def take(self, messages_max: int, bytes_max: int) -> list[Entry]:
        """At least one entry, when there is one; at most `messages_max`, and (beyond the first) `bytes_max`."""
        while not self._buffer:
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()
        entries: list[Entry] = []
        size = 0
        while self._buffer and len(entries) < messages_max:
            entry = self._buffer[0]
            size += len(entry.payload)
            if entries and size > bytes_max:
                size -= len(entry.payload)
                break
            entries.append(self._buffer.popleft())
        self._buffered_bytes -= size
        self._taken = entries[-1].sequence
        self._wake.set()
        return entries

    async def wait_end(self) -> None:
        """Wait until the stream has reported its end."""
        while self._end is None:
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()

    async def _run(self) -> None:
        while self._failure is None:
            try:
                await self._make_consumer()
                await self._serve()
            except ApiError as error:
                log.warning("reader-renewed", stream=self._stream, why=str(error))
            except LogError as fault:
                log.info("reader-waits", stream=self._stream, why=str(fault))
            if self._skips > 1:
                await self._judge_gap()
            if self._failure is None:
                await asyncio.sleep(self._settings.reader_retry_ms / 1000 if self._skips != 1 else 0)
        self._arrived.set()

    async def _make_consumer(self) -> None:
        await self._drop_consumer()
        self._generation += 1
        self._asked = 0
        self._renew = False
        name = f"holdfast-{uuid.uuid4().hex[:16]}"
        answer = await self._connection.api(
            f"CONSUMER.CREATE.{self._stream}.{name}",
            {
                "stream_name": self._stream,
                "config": {
                    "name": name,
                    "deliver_policy": "by_start_sequence",
                    "opt_start_seq": self._received + 1,
                    "ack_policy": "none",
                    "replay_policy": "instant",
                    "mem_storage": True,
                    "num_replicas": 1,
                    "inactive_threshold": self._settings.consumer_idle_ms * _MS_IN_NS,
                },
            },
        )
        self._consumer = name
        self._last_answer_s = time.monotonic()
        self._say_end(self._received + answer.get("num_pending", 0))

    async def _drop_consumer(self) -> None:
        if self._consumer:
            name, self._consumer = self._consumer, ""
            with contextlib.suppress(LogError):
                await self._connection.api(f"CONSUMER.DELETE.{self._stream}.{name}")

    async def _serve(self) -> None:
        """Keep enough messages requested; return when the consumer must be made again."""
        settings = self._settings
        while not self._renew:
            waiting = self._asked + len(self._buffer)
            while waiting + settings.pull_messages_max <= settings.read_ahead_messages_max and self._has_room():
                await self._pull(settings.pull_messages_max)
                waiting += settings.pull_messages_max
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.pull_heartbeat_ms / 1000):
                    await self._wake.wait()
            silent_ms = (time.monotonic() - self._last_answer_s) * 1000
            if self._asked > 0 and silent_ms > settings.reader_silence_ms:
                log.info("reader-silent", stream=self._stream, silent_ms=int(silent_ms))
                return

    def _has_room(self) -> bool:
        return self._buffered_bytes < self._settings.read_ahead_bytes_max

    async def _pull(self, messages: int) -> None:
        settings = self._settings
        if self._asked == 0:
            self._last_answer_s = time.monotonic()
        self._asked += messages
        request = (
            f'{{"batch":{messages},"max_bytes":{settings.read_ahead_bytes_max // 2},'
            f'"expires":{settings.pull_expires_ms * _MS_IN_NS},'
            f'"idle_heartbeat":{settings.pull_heartbeat_ms * _MS_IN_NS}}}'
        )
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        await self._connection.publish(subject, request.encode(), f"{self._inbox}.{self._generation}")

    async def _on_message(self, message: Msg) -> None:
        if not message.reply.startswith("$JS.ACK."):
            if message.subject.endswith(f".{self._generation}"):
                self._last_answer_s = time.monotonic()
                self._on_status(message)
            return
        consumer, sequence, still_to_come = read_delivery(message.reply)
        if consumer != self._consumer or self._renew:
            return
        self._last_answer_s = time.monotonic()
        self._asked -= 1
        if sequence != self._received + 1 and (sequence <= self._received or not self._accept_skip(sequence)):
            return
        self._received = sequence
        self._skips = 0
        self._buffer.append(Entry(sequence, message.subject, message.data))
        self._buffered_bytes += len(message.data)
        self._say_end(sequence + still_to_come)
        if self._asked * 2 <= self._settings.read_ahead_messages_max:
            self._wake.set()

    def _accept_skip(self, sequence: int) -> bool:
        """A delivery that is not the next: read again first; a stream that allows gaps may then go on."""
        if self._is_sparse:
            return True
        if self._skips and self._gaps_allowed and sequence == self._skipped_to:
            self.gaps_total += 1
            log.error("stream-gap", stream=self._stream, wanted=self._received + 1, found=sequence)
            return True
        self._skips += 1
        self._skipped_to = sequence
        self._renew = True
        self._wake.set()
        return False

    def _on_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status", "")
        if status == "100":  # a heartbeat
            return
        left = headers.get("Nats-Pending-Messages")
        if status in {"404", "408", "409"} and left is not None:
            self._asked = max(0, self._asked - int(left))
        else:
            log.info("reader-renewed", stream=self._stream, why=f"{status} {headers.get('Description', '')}")
            self._renew = True
        self._wake.set()

    def _on_connection(self, connected: bool, _why: str) -> None:
        if connected:  # the server has forgotten the earlier requests
            self._renew = True
            self._wake.set()

    def _say_end(self, end: int) -> None:
        self._end = max(self._end or 0, end)
        self._arrived.set()

    async def _judge_gap(self) -> None:
        """The consumer skipped twice. Is the message there at all?"""
        wanted = self._received + 1
        if await get_message(self._connection, self._stream, wanted) is None and self._connection.connected:
            self._failure = GapError(self._stream, wanted, self._skipped_to)
            log.error("stream-gap", stream=self._stream, wanted=wanted, found=self._skipped_to)
