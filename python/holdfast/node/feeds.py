"""Streams into events.

Role: carry out Follow and FetchIn: read LOG or IN in the background and hand over what arrives. In: an effect. Out:
Followed, CaughtUp, Fetched, Broken. Always: one reader per stream; a new effect replaces the old reader where it asks
for another place; a reader that fails for good is reported, not retried without a report.
"""

import asyncio
from collections.abc import Callable, Iterator

from holdfast.errors import LogError
from holdfast.nats.connection import Connection
from holdfast.nats.stream_reader import Entry, StreamReader
from holdfast.nats.streams import Names
from holdfast.protocol.messages import Broken, CaughtUp, Event, Fetched, FetchIn, Follow, Followed, StopFollowing
from holdfast.settings import Settings
from holdfast.tasks import cancel_and_wait


class LogFeed:
    """Follows LOG."""

    def __init__(
        self, connection: Connection, names: Names, settings: Settings, drive: Callable[[Event], None]
    ) -> None:
        self._connection = connection
        self._names = names
        self._settings = settings
        self._drive = drive
        self._task: asyncio.Task[None] | None = None
        self.end = 0

    def follow(self, after: int) -> None:
        """Deliver what LOG has after this sequence."""
        previous = self.stop()
        self._task = asyncio.get_running_loop().create_task(self._run(after, previous))

    def stop(self) -> asyncio.Task[None] | None:
        """Deliver nothing more; a task that ends when the reader has ended."""
        task, self._task = self._task, None
        return None if task is None else asyncio.get_running_loop().create_task(cancel_and_wait(task))

    async def _run(self, after: int, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        settings = self._settings.node
        reader = StreamReader(self._connection, self._names.log, after, self._settings.log)
        try:
            await reader.open()
            await reader.wait_end()
            while True:
                self.end = reader.end or 0
                if reader.at_end:
                    self._drive(CaughtUp(reader.taken))
                entries = await reader.take(settings.replay_chunk_messages_max, settings.replay_chunk_bytes_max)
                for part in _parts(entries, settings.digest_every):
                    if self._task is not asyncio.current_task():
                        break  # the messages before led to another place
                    self._drive(Followed(part[0].sequence, [entry.payload for entry in part]))
        except LogError as fault:
            self._drive(Broken(str(fault)))
        finally:
            await reader.close()


def _parts(entries: list[Entry], every: int) -> Iterator[list[Entry]]:
    """Cut after each sequence at which digests are compared, so that the core is seen there."""
    start = 0
    for at, entry in enumerate(entries, start=1):
        if entry.sequence % every == 0 or at == len(entries):
            yield entries[start:at]
            start = at


class InFeed:
    """Fetches IN for the leader, reading ahead a bounded way."""

    def __init__(
        self, connection: Connection, names: Names, settings: Settings, drive: Callable[[Event], None]
    ) -> None:
        self._connection = connection
        self._names = names
        self._settings = settings
        self._drive = drive
        self._task: asyncio.Task[None] | None = None
        self._wanted: asyncio.Queue[FetchIn] = asyncio.Queue()
        self.taken = 0
        self.end = 0
        self.gaps_total = 0

    def fetch(self, fetch: FetchIn) -> None:
        """Deliver at least one message after `fetch.after`, when there is one."""
        if self._task is None or self._task.done():
            self._wanted = asyncio.Queue()
            self._task = asyncio.get_running_loop().create_task(self._run(self._wanted))
        self._wanted.put_nowait(fetch)

    def stop(self) -> asyncio.Task[None] | None:
        """Deliver nothing more; a task that ends when the reader has ended."""
        task, self._task = self._task, None
        return None if task is None else asyncio.get_running_loop().create_task(cancel_and_wait(task))

    async def _run(self, wanted: asyncio.Queue[FetchIn]) -> None:
        reader: StreamReader | None = None
        try:
            while True:
                fetch = await wanted.get()
                if reader is None or reader.taken != fetch.after:
                    if reader is not None:
                        await reader.close()
                    reader = StreamReader(
                        self._connection, self._names.incoming, fetch.after, self._settings.log, gaps_allowed=True
                    )
                    await reader.open()
                entries = await reader.take(fetch.messages_max, fetch.bytes_max)
                self.taken = reader.taken
                self.end = reader.end or 0
                self.gaps_total += reader.gaps_total
                reader.gaps_total = 0
                self._drive(Fetched(entries))
        except LogError as fault:
            self._drive(Broken(str(fault)))
        finally:
            if reader is not None:
                await reader.close()


class Feeds:
    """Both, on their own connection, so that a replay does not delay an append."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        settings: Settings,
        from_log: Callable[[Event], None],
        drive: Callable[[Event], None],
    ) -> None:
        self.connection = connection
        self.log = LogFeed(connection, names, settings, from_log)
        self.incoming = InFeed(connection, names, settings, drive)
        self._drive = drive
        self._ending: set[asyncio.Task[None]] = set()

    def watch(self) -> None:
        """Report a connection that is closed for good."""
        self.connection.watch(self._on_connection)

    def follow(self, effect: Follow) -> None:
        """Deliver LOG from there on."""
        self.log.follow(effect.after)

    def stop(self, _effect: StopFollowing | None = None) -> None:
        """Deliver nothing more."""
        for ending in (self.log.stop(), self.incoming.stop()):
            if ending is not None:
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    async def stopped(self) -> None:
        """Wait until the stopped readers have ended."""
        if self._ending:
            await asyncio.wait(self._ending)

    def _on_connection(self, connected: bool, why: str) -> None:
        if not connected and why == "closed":
            self._drive(Broken(f"NATS closed the connection for good: {self.connection.last_fault}"))
