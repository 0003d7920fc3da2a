"""OUT, read once for all who listen in this process.

Role: hold the newest events in memory, fetch older ones page by page. In: OUT. Out: the entries after a cursor, in
order. Always: what is held and what is fetched at once is bounded, however many listen and however slowly: a listener
holds a cursor and no copies; OUT is read only while somebody listens.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import NamedTuple

import structlog

from holdfast.errors import LogError, NotPublishedError, UnreachableError
from holdfast.events.places import Place, Start, start_after, state_of
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.outlets import Outlets
from holdfast.nats.stream_reader import Entry, StreamReader
from holdfast.settings import EventSettings, LogSettings
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

_LOOK_S = 5.0  # how old what is known about OUT may become while it is asked for


class Part(NamedTuple):
    """Entries of OUT; nothing else is there up to `upto`."""

    entries: Sequence[Entry]
    upto: int


class Feed:
    """`start` finds a place, `after` reads on, between `join` and `leave`.

    `generation` changes when OUT was made again: then every cursor is void.
    """

    def __init__(self, endpoint: Endpoint, scope: str, settings: EventSettings, log_settings: LogSettings) -> None:
        self.outlets = Outlets(scope)
        self.generation = 0
        self._settings = settings
        self._log_settings = log_settings
        self._page_settings = replace(
            log_settings,
            read_ahead_messages_max=settings.page_messages_max,
            read_ahead_bytes_max=settings.page_bytes_max,
            pull_messages_max=min(log_settings.pull_messages_max, settings.page_messages_max),
        )
        self._connection = Connection(endpoint, log_settings, f"holdfast {scope} events")
        self._opening: asyncio.Lock = asyncio.Lock()
        self._is_open = False
        self._ring: list[Entry] = []
        self._ring_bytes = 0
        self._before = 0  # the sequence before the ring's first
        self._end: int | None = None  # the sequence of the newest entry that was read; None: nothing is read
        self._arrived = asyncio.Event()
        self._pages = asyncio.Semaphore(settings.pages_at_once_max)
        self._listeners = 0
        self._reading: asyncio.Task[None] | None = None
        self._there: bool | None = None
        self._looking: asyncio.Task[None] | None = None
        self._looked = -_LOOK_S

    async def open(self) -> None:
        """Connect. Raises UnreachableError."""
        async with self._opening:
            if not self._is_open:
                await self._connection.open()
                self._is_open = True

    async def close(self) -> None:
        """Stop reading."""
        await cancel_and_wait(self._reading, self._looking)
        if self._is_open:
            await self._connection.close()

    async def start(self, after: Place | None) -> Start:
        """See start_after."""
        await self.open()
        return await start_after(self._connection, self.outlets, after)

    def is_there(self) -> bool | None:
        """Whether OUT was there some seconds ago; None: not known. Waits for nothing: being asked has it looked at."""
        if (self._looking is None or self._looking.done()) and monotonic() - self._looked >= _LOOK_S:
            self._looked = monotonic()
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return self._there

    async def _look(self) -> None:
        try:
            await self.open()
            await state_of(self._connection, self.outlets)
            self._there = True
        except NotPublishedError:
            self._there = False
        except LogError:
            self._there = None

    def join(self) -> None:
        """Somebody listens from now on."""
        self._listeners += 1
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())

    def leave(self) -> None:
        """One has ended."""
        self._listeners -= 1
        if not self._listeners and self._reading is not None:
            self._reading.cancel()
            self._reading = None
            self._forget(None)

    async def after(self, cursor: int, timeout_s: float) -> Part:
        """What follows `cursor`, perhaps not all of it; nothing after `timeout_s` without any. Raises LogError."""
        if self._end is not None and self._before <= cursor < self._end:
            at = cursor - self._before
            found = self._ring[at : at + self._settings.page_messages_max]
            return Part(found, found[-1].sequence)
        if self._end is not None and cursor < self._before:
            part = await self.page(cursor)
            if part.upto > cursor:
                return part
        await self._wait(timeout_s if self._end is not None else min(timeout_s, self._settings.retry_ms / 1000))
        return Part((), cursor)

    async def page(self, cursor: int) -> Part:
        """What follows `cursor` in OUT now, a page of it; `upto` is `cursor` where that was all. Raises LogError."""
        settings = self._settings
        async with self._pages:
            state = await state_of(self._connection, self.outlets)
            upto = max(cursor, state.first_sequence - 1)
            if upto >= state.last_sequence:
                return Part((), upto)
            reader = StreamReader(self._connection, self.outlets.out, upto, self._page_settings, gaps_allowed=True)
            await reader.open()
            found: list[Entry] = []
            size = 0
            try:
                async with asyncio.timeout(settings.page_timeout_ms / 1000):
                    while upto < state.last_sequence and size < settings.page_bytes_max:
                        left = settings.page_messages_max - len(found)
                        for entry in await reader.take(left, settings.page_bytes_max) if left else ():
                            found.append(entry)
                            size += len(entry.payload)
                            upto = entry.sequence
                        if not left:
                            break
            except TimeoutError as fault:
                if not found:
                    raise UnreachableError(f"{self.outlets.out}: nothing came from behind {cursor}") from fault
            finally:
                await reader.close()
            return Part(found, upto)

    async def _wait(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._arrived.wait()

    # ---- the shared reading

    async def _read(self) -> None:
        while True:
            try:
                state = await state_of(self._connection, self.outlets)
                await self._follow(state.last_sequence)
            except LogError as fault:
                log.warning("events-not-read", why=str(fault))
            self._forget(None)
            await asyncio.sleep(self._settings.retry_ms / 1000)

    async def _follow(self, end: int) -> None:
        """Until OUT was made again, or cannot be read."""
        self._forget(end)
        self._wake()
        reader = StreamReader(self._connection, self.outlets.out, end, self._log_settings, gaps_allowed=True)
        await reader.open()
        checking = asyncio.create_task(self._made_again())
        taking = asyncio.create_task(self._take(reader))
        try:
            await asyncio.wait({checking, taking}, return_when=asyncio.FIRST_COMPLETED)
            for task in (checking, taking):
                if task.done():
                    task.result()
            self.generation += 1
            log.warning("events-made-again", stream=self.outlets.out)
        finally:
            await cancel_and_wait(checking, taking)
            await reader.close()

    async def _take(self, reader: StreamReader) -> None:
        settings = self._settings
        while True:
            for entry in await reader.take(settings.page_messages_max, settings.page_bytes_max):
                if self._end is not None and entry.sequence != self._end + 1:
                    self._forget(entry.sequence - 1)
                self._ring.append(entry)
                self._ring_bytes += len(entry.payload)
                self._end = entry.sequence
            self._trim()
            self._wake()
            await asyncio.sleep(settings.gather_ms / 1000)

    def _trim(self) -> None:
        dropped = 0
        while self._ring_bytes > self._settings.ring_bytes_max:
            self._ring_bytes -= len(self._ring[dropped].payload)
            dropped += 1
        if dropped:
            del self._ring[:dropped]
            self._before += dropped

    async def _made_again(self) -> None:
        """Returns when OUT ends before what was read."""
        while True:
            await asyncio.sleep(self._settings.check_ms / 1000)
            with contextlib.suppress(LogError):
                if (await state_of(self._connection, self.outlets)).last_sequence < (self._end or 0):
                    return

    def _forget(self, end: int | None) -> None:
        self._ring = []
        self._ring_bytes = 0
        self._before = end or 0
        self._end = end

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = asyncio.Event()
