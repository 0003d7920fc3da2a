"""Rebuilding a core from LOG.

Role: the only way in which state is made. In: an empty core (or one that has a prefix), and LOG. Out: the same
core at LOG's end, and a report. Always: in sequence, without a gap; the core applies in its own thread while the
next chunk is being read; what is read ahead is bounded.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from holdfast.nats.connection import Connection
from holdfast.nats.stream_reader import StreamReader
from holdfast.protocol.core import Core
from holdfast.settings import Settings


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """The progress of a replay."""

    sequence: int
    end: int
    facts: int
    void: int
    elapsed_s: float

    @property
    def facts_per_s(self) -> float:
        """Since the start."""
        return self.facts / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the pace so far; None while there is no pace."""
        if self.sequence <= 0 or self.elapsed_s <= 0:
            return None
        return max(0.0, (self.end - self.sequence) * self.elapsed_s / self.sequence)


Progress = Callable[[ReplayProgress], None]
# Called with each run of messages (first sequence, messages) while the core applies them.
Beside = Callable[[int, Sequence[bytes]], Awaitable[None]]


class Replay:
    """One replay, resumable: `to_end`, then as far as `upto` is asked to go.

    `rest`: after each chunk, so many times what it took; for a replay that nobody waits for, beside checkouts.
    """

    def __init__(
        self,
        connection: Connection,
        stream: str,
        core: Core,
        settings: Settings,
        beside: Beside | None = None,
        *,
        rest: float = 0.0,
    ) -> None:
        self._reader = StreamReader(connection, stream, core.sequence, settings.log)
        self._core = core
        self._beside = beside
        self._rest = rest
        self._settings = settings.node
        self._began_s = time.monotonic()
        self._reported_s = 0.0
        self._facts = 0
        self._void = 0

    async def open(self) -> None:
        """Begin to read."""
        await self._reader.open()
        await self._reader.wait_end()

    async def close(self) -> None:
        """Stop reading, and leave nothing behind."""
        await self._reader.close()

    @property
    def progress(self) -> ReplayProgress:
        """As of now."""
        elapsed_s = time.monotonic() - self._began_s
        return ReplayProgress(self._core.sequence, self._reader.end or 0, self._facts, self._void, elapsed_s)

    async def to_end(self, report: Progress | None = None) -> None:
        """Apply everything that LOG holds as reported. Raises GapError."""
        while not self._reader.at_end:
            await self._apply(self._settings.replay_chunk_messages_max)
            self._report(report)
        self._report(report, at_once=True)

    @property
    def end(self) -> int:
        """Where LOG ends, by its newest answer."""
        return self._reader.end or 0

    async def upto(self, sequence: int, report: Progress | None = None) -> None:
        """Apply up to this sequence and no further; waits for messages that are still to come."""
        while self._core.sequence < sequence:
            await self._apply(min(self._settings.replay_chunk_messages_max, sequence - self._core.sequence))
            self._report(report)

    async def _apply(self, messages_max: int) -> None:
        began_s = time.monotonic()
        entries = await self._reader.take(messages_max, self._settings.replay_chunk_bytes_max)
        messages = [entry.payload for entry in entries]
        applying = asyncio.to_thread(_apply_chunk, self._core, entries[0].sequence, messages)
        if self._beside is None:
            facts, void = await applying
        else:
            (facts, void), _ = await asyncio.gather(applying, self._beside(entries[0].sequence, messages))
        self._facts += facts
        self._void += void
        if self._rest and not self._reader.at_end:
            await asyncio.sleep(self._rest * (time.monotonic() - began_s))

    def _report(self, report: Progress | None, *, at_once: bool = False) -> None:
        now_s = time.monotonic()
        if report is not None and (at_once or (now_s - self._reported_s) * 1000 >= self._settings.replay_progress_ms):
            self._reported_s = now_s
            report(self.progress)


def _apply_chunk(core: Core, first_sequence: int, messages: list[bytes]) -> tuple[int, int]:
    """Off the event loop. Returns how many facts (each has a kind, and so has the batch) and how many void batches."""
    void = core.apply_many(first_sequence, messages)
    return sum(max(0, message.count(b'"kind":"') - 1) for message in messages), void


async def rebuild(
    connection: Connection,
    stream: str,
    core: Core,
    settings: Settings,
    report: Progress | None = None,
    beside: Beside | None = None,
) -> ReplayProgress:
    """Replay LOG into `core` up to its end. Raises GapError, UnreachableError, ApiError."""
    replay = Replay(connection, stream, core, settings, beside)
    await replay.open()
    try:
        await replay.to_end(report)
        return replay.progress
    finally:
        await replay.close()
