"""The publisher: LOG in, events and figures out, exactly from where the last one stopped.

Role: hold a core, bring it to the place up to which events are published, and go on from there. In: LOG, snapshots,
where OUT ends. Out: OUT, AVAILABLE, and a checkpoint in AVAILABLE. Always: the events of a place in LOG are the same
whichever process derives them, and an event expects its place in OUT, so of two publishers the one that is
behind writes nothing and waits; what cannot be published any more (LOG was cut below it, OUT was lost) is a `gap`
event.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from holdfast._core import Engine, Publication
from holdfast.errors import LogError, StreamMismatchError, UnreachableError
from holdfast.metrics_port import serve_figures
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.outlets import GAP_INDEX, Checkpoint, Outlets, Tail, Way, checkpoint_of, ensure, tail_of
from holdfast.nats.stream_reader import Entry, StreamReader
from holdfast.nats.streams import Names, StreamState, ensure_streams, stream_state
from holdfast.node.bootstrap import Bootstrap
from holdfast.node.replay import Replay
from holdfast.protocol.messages import Alarm
from holdfast.publisher.figures import FigureWriter
from holdfast.publisher.lags import Lags
from holdfast.publisher.metrics import Counts, PublisherFigures
from holdfast.publisher.writing import (
    EXPECTED_LAST,
    EXPECTED_OF_SUBJECT,
    ID,
    TOGETHER_MAX,
    Message,
    write,
    write_chained,
    write_together,
)
from holdfast.secret_files import scope_macs
from holdfast.settings import Settings
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

_ALL = GAP_INDEX - 1


class Event(NamedTuple):
    """As the core gives it."""

    sequence: int
    number: int  # within its batch
    kind: str
    channel: str
    body: bytes


@dataclass(slots=True)
class _Gap:
    """Events up to `upto` that will not be published."""

    first: int
    upto: int
    reason: str

    def event(self) -> Event:
        body = msgspec.json.encode(
            {
                "id": f"{self.upto}:{GAP_INDEX}",
                "kind": "gap",
                "sequence": self.upto,
                "index": GAP_INDEX,
                "from": self.first,
                "upto": self.upto,
                "reason": self.reason,
            }
        )
        return Event(self.upto, GAP_INDEX, "gap", "_", body)


def _check_end(stream: str, known: int, found: int) -> None:
    if found < known:
        raise StreamMismatchError(
            f"{stream} ended at {known}, and ends at {found} now: the next publisher to start publishes the rest again"
        )


class Publisher:
    """Publishes until it is cancelled."""

    def __init__(
        self,
        directory: Path,
        scope: str,
        endpoint: Endpoint,
        settings: Settings,
        *,
        shared: bool,
        rebuild: bool = False,
    ) -> None:
        self.names = Names(scope)
        self.outlets = Outlets(scope)
        self._settings = settings
        self._rebuild = rebuild
        self._connection = Connection(endpoint, settings.log, f"holdfast {scope} publisher")
        macs = scope_macs(directory)
        self._bootstrap: Bootstrap[Engine] = Bootstrap(
            directory,
            self.names,
            settings,
            lambda: Engine(scope, None, macs.keys),
            lambda path: Engine.restore(scope, None, path, macs.keys),
            shared=shared,
            macs=macs,
        )
        self._pending: list[Event] = []
        self._published = (0, 0)  # LOG sequence and index of the newest event that OUT has
        self._out_end = 0
        self._checkpointed_s = 0.0
        self._checkpoint: tuple[int, Checkpoint] = (0, Checkpoint(0, 0))  # with the sequence of its message
        self._thresholds = sorted({int(one) for one in settings.publisher.thresholds.split(",") if one.strip()})
        self._lags = Lags(settings.publisher)
        self._window = settings.publisher.window
        self._reconnected = False
        self._way = Way.ONE_BY_ONE  # how OUT is written
        self.counts = Counts()

    @property
    def events_total(self) -> int:
        """How many it has published."""
        return self.counts.events.total()

    @property
    def position(self) -> tuple[int, int]:
        """LOG sequence and index of the newest event that is published."""
        return self._published

    async def run(self, upto_end: Callable[[], bool] = lambda: False) -> None:
        """Until `upto_end()` and everything that LOG holds is published. Raises LogError, SnapshotError."""
        await self._connection.open()
        self._connection.watch(self._on_connection)
        stop_serving = serve_figures(self._settings.publisher.metrics_port, PublisherFigures(self.counts))
        try:
            await ensure_streams(self._connection, self.names, self._settings.log, create=False)
            ways = await ensure(self._connection, self.outlets, self._settings.publisher, self._settings.log)
            self._way = ways[self.outlets.out]
            await self._lags.listen(self._connection, self.outlets)
            core = await self._start()
            publication = await self._follow_up(core)
            await self._set_thresholds(publication)
            way = ways[self.outlets.available]
            figures = FigureWriter(self._connection, self.outlets, core, publication, self._settings, way)
            log.info("publishing", sequence=core.sequence, published=self._published, out_sequence=self._out_end)
            await self._go_on(core, publication, figures, upto_end)
        finally:
            stop_serving()
            await self._connection.close()

    def _alarm(self, alarm: Alarm) -> None:
        log.error("alarm", alarm=alarm.name, detail=alarm.detail)

    async def _start(self) -> Engine:
        """A core at or before the place up to which events are published. Notes that place, and a gap before it."""
        state = await stream_state(self._connection, self.names.log)
        tail = await tail_of(self._connection, self.outlets)
        found = await checkpoint_of(self._connection, self.outlets)
        gap = self._place(state, tail, found)
        if state.last_sequence < self._published[0]:
            raise StreamMismatchError(
                f"events up to {self._published[0]} are published, and {self.names.log} ends at {state.last_sequence}: "
                "run `holdfast repair --data DIR`; if LOG was begun again, delete the streams OUT and AVAILABLE"
            )
        core = await self._bootstrap.core(self._connection, self._alarm, self._published[0])
        if core.sequence + 1 < state.first_sequence or core.sequence > self._published[0]:
            core = await self._bootstrap.core(self._connection, self._alarm)
            gap = _Gap(self._published[0] + 1, core.sequence, "log-cut")
            self._published = (core.sequence, _ALL)
        if gap is not None:
            log.error("events-lost", first=gap.first, upto=gap.upto, why=gap.reason)
            self._pending.append(gap.event())
        return core

    def _place(self, state: StreamState, tail: Tail, found: tuple[int, Checkpoint] | None) -> _Gap | None:
        """Where events go on; what of them is lost."""
        self._out_end = tail.out_sequence
        self._published = (tail.sequence, tail.index)
        if found is None:
            if tail.sequence or state.last_sequence <= self._settings.publisher.first_batches_max:
                return None
            self._published = (state.last_sequence, _ALL)
            return _Gap(1, state.last_sequence, "not-published-before")
        at, checkpoint = found
        self._checkpoint = (at, checkpoint)
        lost = tail.out_sequence < checkpoint.out_sequence
        if lost and tail.sequence:
            log.warning("out-lost-its-newest", ended=checkpoint.out_sequence, ends=tail.out_sequence)
            return None  # each comes again in the place that it had
        first = tail.sequence + 1
        if checkpoint.sequence > tail.sequence:
            self._published = (checkpoint.sequence, _ALL)
        return _Gap(first, checkpoint.sequence, "out-lost") if lost else None

    async def _follow_up(self, core: Engine) -> Publication:
        """Bring the core to the batch before the first that may have events to publish, and gather them from there."""
        sequence, index = self._published
        before = sequence if index >= _ALL else max(core.sequence, sequence - 1)
        if core.sequence < before:
            replay = Replay(self._connection, self.names.log, core, self._settings)
            await replay.open()
            try:
                await replay.upto(before)
            finally:
                await replay.close()
        publication = await asyncio.to_thread(Publication, core)
        publication.pace(self._settings.publisher.pace_ms, self._settings.publisher.paces_max)
        return publication

    async def _set_thresholds(self, publication: Publication) -> None:
        """Those of the settings count behind the batch that was begun: its events have had their numbers before."""
        begun, known = self._published[0], self._checkpoint[1]
        before = known.thresholds if begun > known.since else known.thresholds_before
        publication.thresholds(before, 0)
        if before == self._thresholds:
            return
        publication.thresholds(self._thresholds, begun)
        changed = Checkpoint(known.sequence, self._out_end, self._thresholds, before, begun)
        if not await self._put_checkpoint(changed):
            raise StreamMismatchError("another publisher has gone on meanwhile")

    async def _go_on(
        self, core: Engine, publication: Publication, figures: FigureWriter, upto_end: Callable[[], bool]
    ) -> None:
        settings = self._settings.publisher
        reader = StreamReader(self._connection, self.names.log, core.sequence, self._settings.log)
        await reader.open()
        taking: asyncio.Task[list[Entry]] | None = None
        flushed_s = paced_s = 0.0
        try:
            await reader.wait_end()
            begins = reader.end or 0
            while True:
                if taking is None and not self._pending:
                    taking = asyncio.create_task(reader.take(settings.chunk_messages_max, settings.chunk_bytes_max))
                if taking is not None:
                    await asyncio.wait({taking}, timeout=settings.flush_ms / 1000)
                if taking is not None and taking.done():
                    entries, taking = taking.result(), None
                    await asyncio.to_thread(core.apply_many, entries[0].sequence, [one.payload for one in entries])
                    self._take_events(publication)
                if self._reconnected:
                    await self._look_whether_messages_were_lost(figures)
                await self._write_events()
                self._count(core, reader, figures)
                if (time.monotonic() - flushed_s) * 1000 >= settings.flush_ms:
                    flushed_s = time.monotonic()
                    if core.sequence < begins:
                        continue  # what is published may be newer than this core
                    if not figures.loaded:
                        await figures.load(rebuild=self._rebuild)
                    if (time.monotonic() - paced_s) * 1000 >= settings.paces_renew_ms:
                        paced_s = time.monotonic()
                        self.counts.figures_waiting = publication.waiting
                        self.counts.lags_ms = self._lags.now()
                        publication.lags(self.counts.lags_ms, settings.lag_ms, time.time_ns() // 1_000_000)
                    await figures.flush()
                    await self._write_checkpoint(core, figures)
                if upto_end() and figures.loaded and reader.at_end and not self._pending and not publication.waiting:
                    await self._write_checkpoint(core, figures, at_once=True)
                    return
        finally:
            await cancel_and_wait(taking)
            await reader.close()

    def _on_connection(self, connected: bool, _why: str) -> None:
        self._reconnected |= connected

    async def _look_whether_messages_were_lost(self, figures: FigureWriter) -> None:
        """A server that was killed may not have written yet what it had taken. Raises StreamMismatchError."""
        try:
            for stream, end in ((self.outlets.out, self._out_end), (self.outlets.available, figures.end)):
                _check_end(stream, end, (await stream_state(self._connection, stream)).last_sequence)
        except UnreachableError as fault:
            log.warning("not-looked-yet", why=str(fault))
        else:
            self._reconnected = False

    def _count(self, core: Engine, reader: StreamReader, figures: FigureWriter) -> None:
        counts = self.counts
        counts.published(core.sequence, reader.end or 0)
        counts.figures_written, counts.figures_behind = figures.written_total, figures.behind_total

    def _take_events(self, publication: Publication) -> None:
        events = (Event(*one) for one in publication.events())
        self._pending += (one for one in events if (one.sequence, one.number) > self._published)

    async def _write_events(self) -> None:
        """Write what is pending; where OUT has gone on without us, go on behind it, after a while."""
        settings = self._settings.publisher
        while self._pending:
            calm = self._window >= settings.window
            window = self._pending[: TOGETHER_MAX if calm else self._window]
            messages = [
                Message(self.outlets.event(one.kind, one.channel), one.body, {ID: f"{one.sequence}:{one.number}"})
                for one in window
            ]
            stored = await self._write(messages, self._way if calm else Way.ONE_BY_ONE)
            done = 0
            for n, sequence in enumerate(stored):
                if sequence != self._out_end + n + 1:
                    break
                done += 1
            if done:
                self._published = (window[done - 1].sequence, window[done - 1].number)
                self._out_end += done
                self.counts.events.update(one.kind for one in window[:done])
                del self._pending[:done]
            if done == len(window):
                self._window = min(settings.window, self._window * 2)
            else:
                self._window = 1
                await self._wait_for_place()

    async def _write(self, messages: list[Message], way: Way) -> list[int | None]:
        """Events, behind the end of OUT."""
        out, end, timeout_ms = self.outlets.out, self._out_end, self._settings.publisher.ack_timeout_ms
        if way is Way.CHAINED:
            known = await write_chained(self._connection, out, messages, end, timeout_ms)
            return [end + 1 + n if known else None for n in range(len(messages))]
        for n, one in enumerate(messages):
            if way is Way.ONE_BY_ONE or n == 0:  # the first one's expectation holds for all that are written together
                one.headers[EXPECTED_LAST] = str(end + n)
        if way is Way.ONE_BY_ONE or len(messages) == 1:
            return await write(self._connection, out, messages, timeout_ms)
        together = await write_together(self._connection, out, messages, timeout_ms)
        return [None] * len(messages) if together is None else list(together)

    async def _wait_for_place(self) -> None:
        """Something else is where our next event should be, or nobody answered: look until OUT stands still."""
        settings = self._settings.publisher
        self.counts.conflicts += 1
        since_s, end = time.monotonic(), self._out_end
        patience_s = 0.0
        while True:
            try:
                tail = await tail_of(self._connection, self.outlets)
            except LogError as fault:
                log.warning("out-unreadable", why=str(fault))
                await asyncio.sleep(settings.retry_ms / 1000)
                continue
            _check_end(self.outlets.out, end, tail.out_sequence)
            if tail.out_sequence != end:
                # Another publisher is at work, or was just now.
                since_s, end, patience_s = time.monotonic(), tail.out_sequence, settings.takeover_ms / 1000
            self._out_end = tail.out_sequence
            self._published = max(self._published, (tail.sequence, tail.index))
            self._pending = [one for one in self._pending if (one.sequence, one.number) > self._published]
            if not self._pending or time.monotonic() - since_s >= patience_s:
                return
            await asyncio.sleep(settings.retry_ms / 1000)

    async def _write_checkpoint(self, core: Engine, figures: FigureWriter, *, at_once: bool = False) -> None:
        """Everything up to here is published. Another publisher's checkpoint is never put back."""
        known = self._checkpoint[1]
        due = at_once or time.monotonic() - self._checkpointed_s >= self._settings.publisher.checkpoint_ms / 1000
        if self._pending or core.sequence <= known.sequence or not due:
            return
        self._checkpointed_s = time.monotonic()
        await self._put_checkpoint(msgspec.structs.replace(known, sequence=core.sequence, out_sequence=self._out_end))
        figures.end = max(figures.end, self._checkpoint[0])

    async def _put_checkpoint(self, checkpoint: Checkpoint) -> bool:
        at = self._checkpoint[0]
        body = msgspec.json.encode(checkpoint)
        message = Message(self.outlets.checkpoint, body, {EXPECTED_OF_SUBJECT: str(at)})
        timeout_ms = self._settings.publisher.ack_timeout_ms
        (stored,) = await write(self._connection, self.outlets.available, [message], timeout_ms)
        if stored is not None:
            self._checkpoint = (stored, checkpoint)
            return True
        if (found := await checkpoint_of(self._connection, self.outlets)) is not None:
            self._checkpoint = found
        return False
