"""Writes the journal while the node goes on.

Role: carry out Keep: hand what LOG has to the journal's thread in groups, compare what it has already, catch up from
LOG what was missed. In: Keep effects, replayed messages. Out: Quarantined and Lifted, alarms, figures. Always: the
event loop never waits for the disk; what waits is bounded, and beyond that the journal lags and catches up from LOG;
a disk that refuses writes stops only the journal, with an alarm; two copies that differ are never repaired here.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog

from holdfast._core import ScopeKeys
from holdfast.errors import (
    JournalDamagedError,
    JournalDiffersError,
    JournalFullError,
    JournalGapError,
    LogError,
)
from holdfast.nats.connection import Connection
from holdfast.nats.stream_reader import StreamReader
from holdfast.nats.streams import Names, stream_state
from holdfast.node.replay import Progress, ReplayProgress, rebuild
from holdfast.protocol.core import Core
from holdfast.protocol.messages import Alarm, Event, Keep, Lifted, Quarantined
from holdfast.settings import Settings
from holdfast.storage.archive import Archive
from holdfast.storage.chain import Position
from holdfast.storage.journal import Journal
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

Result = TypeVar("Result")
_ADVICE = "run `holdfast repair --data DIR`, which reports what is wrong and repairs it"


class JournalWriter:
    """One node's journal, on an event loop. Without a directory there is none, and every message passes."""

    def __init__(
        self,
        directory: Path | None,
        connection: Connection,
        names: Names,
        settings: Settings,
        drive: Callable[[Event], None],
        alarm: Callable[[Alarm], None],
        keys: ScopeKeys | None = None,
    ) -> None:
        self._keys = keys
        self.directory = directory
        self._connection = connection
        self._names = names
        self._settings = settings
        self._drive = drive
        self._alarm = alarm
        self._journal: Journal | None = None
        self._thread = ThreadPoolExecutor(1, "journal")
        self._queue: deque[Keep] = deque()
        self._queued_bytes = 0
        self._work = asyncio.Event()
        self._quiet = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._log_end = 0
        self._unsynced = False
        self._synced_s = 0.0
        self._looked_s = 0.0
        self._fault = ""
        self._standing: dict[str, str] = {}
        self._found: dict[str, str] = {}

    # ---- life

    async def open(self) -> None:
        """Lock and check the journal. Raises JournalInUseError, OSError; `rebuild` reports damage."""
        if self.directory is None:
            return
        try:
            journal = await self._do(
                Journal.open, self.directory, self._names.scope, self._settings.journal, self._keys
            )
        except JournalDamagedError as fault:
            self._note(fault)
            return
        self._journal = journal
        if (cut := journal.cut) is not None:
            self._alarm(Alarm("journal-torn-tail", f"{cut.bytes} bytes at {cut.offset} of {cut.segment}: {cut.why}"))
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Write what waits, and release the journal."""
        await cancel_and_wait(self._task)
        if self._journal is not None:
            with contextlib.suppress(OSError, LogError):
                await self._write_queue()
            with contextlib.suppress(OSError):
                await self._do(self._journal.close)
        self._thread.shutdown(wait=False)

    async def _do(self, call: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    # ---- what it reports

    @property
    def end(self) -> tuple[int, str] | None:
        """(sequence, chain) of the journal's newest message; None without one."""
        return self._journal.end if self._journal is not None else None

    @property
    def lag(self) -> int:
        """How many messages LOG is known to have and the journal lacks."""
        end = self.end
        return max(0, self._log_end - (end[0] if end is not None else 0))

    def figures(self) -> Mapping[str, float]:
        """For the metrics."""
        end = self.end
        return {
            "journal_sequence": end[0] if end is not None else 0,
            "journal_lag": self.lag,
            "journal_bytes": self._journal.size if self._journal is not None else 0,
        }

    # ---- writing

    def keep(self, effect: Keep) -> None:
        """LOG has these messages. Returns at once."""
        self._log_end = max(self._log_end, effect.first_sequence + len(effect.messages) - 1)
        if self._journal is None or "log-altered" in self._standing:
            return
        self._queue.append(effect)
        self._queued_bytes += sum(map(len, effect.messages))
        while self._queued_bytes > self._settings.journal.queued_bytes_max and len(self._queue) > 1:
            self._queued_bytes -= sum(map(len, self._queue.popleft().messages))
        self._work.set()

    async def _run(self) -> None:
        settings = self._settings.journal
        while True:
            await self._wait()
            await asyncio.sleep(settings.write_ms / 1000)  # what comes in the meantime goes out in the same write
            try:
                await self._write_queue()
                await self._sync_if_due()
            except (JournalDiffersError, JournalDamagedError) as fault:
                self._stop_keeping(fault)
                return
            except (OSError, LogError) as fault:
                self._tell_lag(fault)
                await asyncio.sleep(settings.retry_ms / 1000)
                self._work.set()

    async def _wait(self) -> None:
        patience_s = None
        if self._unsynced:
            patience_s = max(0.0, self._synced_s + self._settings.journal.sync_ms / 1000 - time.monotonic())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._work.wait()
        self._work.clear()

    async def _write_queue(self) -> None:
        """All that waits, in groups; what lies between the journal's end and the first that waits comes from LOG."""
        journal = self._journal
        assert journal is not None, "Invariant: open"
        while self._queue:
            end = journal.end
            if self._queue[0].first_sequence > (end[0] if end is not None else 0) + 1:
                await self._catch_up(journal, self._queue[0].first_sequence - 1)
                continue  # the first that waits may be another by now
            first, messages, size = self._take_group()
            try:
                await self._do(journal.keep_many, first, messages)
            except BaseException:  # cancelled too: the write may not have begun, and twice does no harm
                self._queue.appendleft(Keep(first, messages))
                self._queued_bytes += size
                raise
            self._unsynced = True
            self._compared_upto(first + len(messages) - 1)
        if self.lag and not self._found:  # nothing newer comes that would show the gap
            await self._catch_up(journal, self._log_end)
        if self._fault and not self.lag:
            log.info("journal-caught-up", sequence=self._log_end)
            self._fault = ""

    def _take_group(self) -> tuple[int, list[bytes], int]:
        """(first sequence, messages, their bytes) of consecutive effects from the front."""
        first = self._queue[0].first_sequence
        messages: list[bytes] = []
        size = 0
        while self._queue and self._queue[0].first_sequence == first + len(messages):
            effect = self._queue.popleft()
            messages += effect.messages
            size += sum(map(len, effect.messages))
            if size >= self._settings.journal.group_bytes_max:
                break
        self._queued_bytes -= size
        return first, messages, size

    async def _catch_up(self, journal: Journal, upto: int) -> None:
        end = journal.end
        after = end[0] if end is not None else 0
        log.info("journal-catches-up", after=after, upto=upto)
        settings = self._settings.node
        reader = StreamReader(self._connection, self._names.log, after, self._settings.log)
        await reader.open()
        try:
            while reader.taken < upto:
                most = min(settings.replay_chunk_messages_max, upto - reader.taken)
                entries = await reader.take(most, settings.replay_chunk_bytes_max)
                await self._do(journal.keep_many, entries[0].sequence, [entry.payload for entry in entries])
        finally:
            await reader.close()

    async def _sync_if_due(self) -> None:
        now_s = time.monotonic()
        if self._unsynced and (now_s - self._synced_s) * 1000 >= self._settings.journal.sync_ms:
            assert self._journal is not None, "Invariant: open"
            self._synced_s = now_s
            self._unsynced = False
            await self._do(self._journal.sync)
            await self._remove_archived(self._journal, now_s)

    async def _remove_archived(self, journal: Journal, now_s: float) -> None:
        """Remove archived segments. The archive is beside the journals; its files' names show how far it reaches."""
        if (now_s - self._looked_s) * 1000 < self._settings.journal.archive_look_ms or not journal.sealed:
            return
        self._looked_s = now_s
        assert self.directory is not None, "Invariant: with a journal there is a directory"
        archive = Archive(self.directory.parent.parent / "archive", self._names.scope, self._keys)
        for path in await self._do(journal.drop_below, await self._do(lambda: archive.upto)):
            log.info("journal-segment-archived", segment=path.name)

    def _tell_lag(self, fault: Exception) -> None:
        why = f"{type(fault).__name__}: {fault}"
        if why != self._fault:
            self._fault = why
            self._alarm(Alarm("journal-lags", f"{why}; it catches up from the log when that is over"))

    def _stop_keeping(self, fault: JournalDiffersError | JournalDamagedError) -> None:
        self._queue.clear()
        self._queued_bytes = 0
        self._note(fault)
        self._report()

    # ---- two copies that differ

    async def rebuild(self, core: Core, report: Progress) -> ReplayProgress:
        """Replay LOG into `core`, and through the journal; then report what keeps this process from leading.

        Raises GapError, UnreachableError, ApiError.
        """
        await self._begin_replay(core)
        beside = self._replayed if self._journal is not None else None
        progress = await rebuild(self._connection, self._names.log, core, self._settings, report, beside)
        self._judge(core)
        return progress

    async def _begin_replay(self, core: Core) -> None:
        """LOG is about to be replayed after `core.sequence`: judge everything again."""
        journal = self._journal
        if journal is None:
            return
        self._found.clear()
        end = journal.end
        if core.sequence > (end[0] if end is not None else 0):
            state = await stream_state(self._connection, self._names.log)
            if end is None or state.first_sequence > end[0] + 1:  # LOG no longer has what lies between
                await self._do(journal.restart, position_of(core))

    async def _replayed(self, first_sequence: int, messages: Sequence[bytes]) -> None:
        """These were read from LOG. Never raises for a fault of the journal: `_judge` reports it."""
        self._log_end = max(self._log_end, first_sequence + len(messages) - 1)
        if self._journal is None or self._found:
            return
        try:
            await self._do(self._journal.keep_many, first_sequence, messages)
            self._unsynced = True
        except (JournalDiffersError, JournalDamagedError) as fault:
            self._note(fault)
        except (JournalGapError, JournalFullError, OSError) as fault:
            self._tell_lag(fault)

    def _note(self, fault: JournalDiffersError | JournalDamagedError) -> None:
        cause = "log-altered" if isinstance(fault, JournalDiffersError) else "journal-damaged"
        self._found[cause] = str(fault) if cause == "journal-damaged" else f"{fault}; {_ADVICE}"

    def _judge(self, core: Core) -> None:
        """LOG is replayed up to its end: report what keeps this process from leading, and what no longer does."""
        end = self.end
        self._log_end = max(self._log_end, core.sequence)
        if end is not None and end[0] > core.sequence and not self._found:
            self._found["log-shorter"] = (
                f"the log ends at {core.sequence}, this node's journal has messages up to {end[0]}: {_ADVICE}"
            )
        self._report()
        if self._journal is not None and not self._found and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._run())
        self._work.set()

    def _report(self) -> None:
        for cause in self._standing.keys() - self._found.keys():
            del self._standing[cause]
            self._drive(Lifted(cause))
        for cause, detail in self._found.items():
            if cause not in self._standing:
                self._standing[cause] = detail
                self._drive(Quarantined(cause, detail))

    def _compared_upto(self, sequence: int) -> None:
        """LOG was found to have everything up to here, byte by byte."""
        end = self.end
        if "log-shorter" in self._found and end is not None and sequence >= end[0]:
            del self._found["log-shorter"]
            self._report()


def position_of(core: Any) -> Position:
    """Where a core stands, as a journal that begins there goes on."""
    keys = tuple(core.mac_keys)
    return Position(core.sequence, core.chain, core.batch, core.epoch, core.node, core.in_upto, keys)
