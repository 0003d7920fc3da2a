"""When the next snapshot is taken, and what follows from one that failed.

Role: watch LOG, take one after a number of batches or a time, cut LOG behind it, keep the past within its budget.
In: a snapshotter, settings, time.
Out: alarms, and each attempt's outcome to a counter. Always: no failure ends the loop; a failure is tried again after
a wait that doubles and that depends on what the attempt took (backoff); the wait starts over after a success.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

import structlog

from holdfast._core import HoldfastError
from holdfast.errors import LogError
from holdfast.protocol.messages import Alarm
from holdfast.recovery.backoff import Backoff
from holdfast.recovery.retention import Kept
from holdfast.recovery.snapshotter import SnapshotDiffersError, Snapshotter
from holdfast.settings import Settings

Outcome: TypeAlias = Literal["taken", "failed"]

log = structlog.get_logger(__name__)

_FILL_OF_SNAPSHOT = 0.125  # of LOG's bytes since the newest snapshot: the next one is taken, so that LOG can be cut


class _Meter:
    """The cost of an attempt: its time, or the processor time of all threads where that is more."""

    def __init__(self) -> None:
        self._began_s, self._cpu_s = time.monotonic(), time.process_time()

    def took_ms(self) -> float:
        return 1000 * max(time.monotonic() - self._began_s, time.process_time() - self._cpu_s)


def _raise_what_ends_the_process(fault: BaseException) -> None:
    if isinstance(fault, SystemExit | KeyboardInterrupt | GeneratorExit):
        raise fault


class Schedule:
    """When to take the next snapshot, and what follows from one that failed. `tried` is called after each attempt."""

    def __init__(
        self,
        snapshotter: Snapshotter,
        settings: Settings,
        tried: Callable[[Outcome], object] | None = None,
        kept: Callable[[Kept], object] | None = None,
    ) -> None:
        self._snapshotter = snapshotter
        self._bounds = settings.snapshots
        self._retention = settings.retention
        self._tried = tried or (lambda _: None)
        self._kept = kept or (lambda _: None)
        self._measured_s = -1e9
        self._standing = ""
        self._last_s = time.monotonic()
        bounds = self._bounds
        self._taking = Backoff(bounds.retry_ms, bounds.retry_ms_max, bounds.retry_rest_factor)
        self._cutting = Backoff(bounds.retry_ms, bounds.retry_ms_max, bounds.retry_rest_factor)
        self._cut_from_s = 0.0
        self._uncut = False

    async def run(self) -> None:
        """Run until cancelled. A failure is alarmed once for each new cause, counted, and tried again after a wait."""
        while True:
            await asyncio.sleep(self._bounds.look_ms / 1000)
            wait_ms = await self._attempt()
            await self._keep_within()
            await asyncio.sleep(wait_ms / 1000)

    async def _attempt(self) -> int:
        """Take one if it is due; how long to wait before the next look, in ms."""
        meter = _Meter()
        try:
            if not await self._is_due():
                if self._uncut:  # a full LOG has nothing new, and must be cut all the same
                    await self._cut()
                return 0
            is_taken = await self._snapshotter.take() is not None
        except asyncio.CancelledError:
            raise
        except BaseException as fault:  # noqa: BLE001 - a panic in the core is no Exception; nothing may end this loop
            _raise_what_ends_the_process(fault)
            differs = isinstance(fault, SnapshotDiffersError)
            self._tried("failed")
            return self._failed(self._taking, "snapshot-differs" if differs else "snapshot-not-taken", fault, meter)
        self._taking.succeeded()
        self._last_s = time.monotonic()
        self._uncut = True
        if is_taken:
            self._tried("taken")
        await self._cut()
        return 0

    async def _is_due(self) -> bool:
        new = await self._snapshotter.batches_since()
        is_late = (time.monotonic() - self._last_s) * 1000 >= self._bounds.every_ms
        if new <= 0:
            return False
        return is_late or new >= self._bounds.every_batches or await self._snapshotter.fill_since() >= _FILL_OF_SNAPSHOT

    async def _cut(self) -> None:
        if time.monotonic() < self._cut_from_s:
            return
        meter = _Meter()
        try:
            await self._snapshotter.trim()
        except (HoldfastError, LogError, OSError) as fault:
            wait_ms = self._failed(self._cutting, "log-not-cut", fault, meter)
            self._cut_from_s = time.monotonic() + wait_ms / 1000
        else:
            self._uncut = False
            self._cutting.succeeded()

    async def _keep_within(self) -> None:
        """Measure what is kept and remove what is too much, from time to time; alarm what cannot be kept within."""
        if (time.monotonic() - self._measured_s) * 1000 < self._retention.measured_ms:
            return
        self._measured_s = time.monotonic()
        try:
            kept = await self._snapshotter.keep_within()
        except (HoldfastError, LogError, OSError) as fault:
            self._raise("past-not-kept", f"{type(fault).__name__}: {fault}")
            return
        self._kept(kept)
        if kept.used_bytes > kept.budget_bytes:
            self._raise(
                "budget-used-up",
                f"{kept.bytes_by_part} bytes are more than the budget of {kept.budget_bytes}, and nothing more can be "
                "removed from the archive: raise `retention.keep_bytes`, or see why LOG is not cut (`log-not-cut`)",
            )
        elif kept.free_bytes < self._retention.free_bytes_min:
            self._raise("disk-nearly-full", f"the disk of the data directory has {kept.free_bytes} bytes free")
        else:
            self._standing = ""

    def _raise(self, name: str, detail: str) -> None:
        """An alarm once, until it is over."""
        if self._standing != name:
            self._standing = name
            self._snapshotter.alarm(Alarm(name, detail))

    def _failed(self, backoff: Backoff, name: str, fault: BaseException, meter: _Meter) -> int:
        why = str(fault) if isinstance(fault, SnapshotDiffersError) else f"{type(fault).__name__}: {fault}"
        failed = backoff.failed(f"{name}: {why}", meter.took_ms())
        if failed.is_news:
            again = f"tried again in {failed.wait_ms / 1000:.0f} s, then with longer waits"
            self._snapshotter.alarm(Alarm(name, f"{why}; {again}"))
        else:
            log.warning("failed-again", what=name, why=why, in_a_row=failed.in_a_row, again_in_ms=failed.wait_ms)
        return failed.wait_ms
