"""When the next snapshot is taken, and what follows from one that failed.

Role: watch LOG, take one after a number of batches or a time, cut LOG behind it. In: a snapshotter, settings, time.
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
from holdfast.recovery.snapshotter import SnapshotDiffersError, Snapshotter
from holdfast.settings import Settings

Outcome: TypeAlias = Literal["taken", "failed"]

log = structlog.get_logger(__name__)


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
    ) -> None:
        self._snapshotter = snapshotter
        self._bounds = settings.snapshots
        self._tried = tried or (lambda _: None)
        self._last_s = time.monotonic()
        bounds = self._bounds
        self._taking = Backoff(bounds.retry_ms, bounds.retry_ms_max, bounds.retry_rest_factor)
        self._cutting = Backoff(bounds.retry_ms, bounds.retry_ms_max, bounds.retry_rest_factor)
        self._cut_from_s = 0.0

    async def run(self) -> None:
        """Run until cancelled. A failure is alarmed once for each new cause, counted, and tried again after a wait."""
        while True:
            await asyncio.sleep(self._bounds.look_ms / 1000)
            await asyncio.sleep(await self._attempt() / 1000)

    async def _attempt(self) -> int:
        """Take one if it is due; how long to wait before the next look, in ms."""
        meter = _Meter()
        try:
            if not await self._is_due():
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
        if is_taken:
            self._tried("taken")
        await self._cut()
        return 0

    async def _is_due(self) -> bool:
        new = await self._snapshotter.batches_since()
        is_late = (time.monotonic() - self._last_s) * 1000 >= self._bounds.every_ms
        return new > 0 and (is_late or new >= self._bounds.every_batches)

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
            self._cutting.succeeded()

    def _failed(self, backoff: Backoff, name: str, fault: BaseException, meter: _Meter) -> int:
        why = str(fault) if isinstance(fault, SnapshotDiffersError) else f"{type(fault).__name__}: {fault}"
        failed = backoff.failed(f"{name}: {why}", meter.took_ms())
        if failed.is_news:
            again = f"tried again in {failed.wait_ms / 1000:.0f} s, then with longer waits"
            self._snapshotter.alarm(Alarm(name, f"{why}; {again}"))
        else:
            log.warning("failed-again", what=name, why=why, in_a_row=failed.in_a_row, again_in_ms=failed.wait_ms)
        return failed.wait_ms
