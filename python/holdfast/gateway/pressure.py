"""Pressure: that this process has more work than it can do, and how much of each lower rank it still takes then.

In: how late a timer of the event loop is, and for how much of the time its thread ran or waited for a core. Out:
whether a call of rank 2 or 3 is begun now. Always: a checkout (rank 1) is never refused here; order flow (2) is
limited only where reports and lists (3) are at their least already, and only while checkouts come; each rank keeps a
trickle; without pressure nothing is limited; a call costs an addition and a comparison.

What a checkout waits for in a process with one thread is the work that the loop found before it, so how late timers
are is what everybody waits, several times over. One pause is no pressure: the middle one of the last `LOOKS` counts. A
machine that others keep busy makes timers late, too, and refusing reports would not help: so the thread must have been
busy. Both say when limits begin; then how busy it is decides, since a queue that can be seen is too long already: a
limit is cut by `CUT` ten times a second above `FULL`, stays down to `BUSY`, and grows by `GROWTH` below; one that has
refused nothing for `LASTING_S` is lifted. A rank of which few calls come is not limited: that would not help.
"""

import asyncio
import os
from collections import deque
from time import monotonic
from typing import Final

from holdfast.settings import GatewaySettings

LOOK_S: Final = 0.02
LOOKS: Final = 5
STEP_S: Final = 0.1  # from one change of the limits to the next
CUT: Final = 0.7
GROWTH: Final = 1.05
LASTING_S: Final = 5.0
BURST_S: Final = 0.003
BURST: Final = 4.0  # calls, where that is less
FEW: Final = 2.5  # times the least: so many calls of a rank are not the cause, whatever keeps the thread busy
BUSY: Final = 0.75  # shares of the time
FULL: Final = 0.85
ORDER_FLOW_TIMES: Final = 4  # order flow is limited when timers are later than so many times the bound
_NONE: Final = float("inf")


class Limit:
    """So many calls of one rank a second; at first as many as there come. `least`: to which it is cut at the most."""

    __slots__ = ("_filled_s", "_least", "_quiet_s", "_refused", "_room", "admitted", "is_set", "rate")

    def __init__(self, least: float) -> None:
        self._least = least
        self.rate = _NONE
        self.is_set = False  # whether there is a limit now
        self._room = 1.0
        self._filled_s = 0.0
        self.admitted = self._refused = 0  # since the last step
        self._quiet_s = 0.0

    def set(self, rate: float) -> None:
        """From now on so many a second."""
        self.rate = rate
        self.is_set = rate != _NONE

    def admits(self, now_s: float) -> bool:
        """Whether one more call is begun. `now_s`: of a clock that never goes back."""
        if self.is_set:
            # What nobody asked for in time is not made up for: one turn of the loop would do it all.
            room = self._room + (now_s - self._filled_s) * self.rate
            self._room = min(room, max(BURST, self.rate * BURST_S))
            self._filled_s = now_s
            if self._room < 1:
                self._refused += 1
                return False
            self._room -= 1
        self.admitted += 1
        return True

    def cut(self, seconds: float) -> bool:
        """Less than in the last `seconds`. False where that is not possible: few were asked, or it is the least."""
        few = self._few(seconds)
        if few or self.rate <= self._least:
            self._rest(seconds if few else None)
            return False
        self.set(max(self._least, min(self.rate, self.admitted / seconds) * CUT))
        self._rest(None)
        return True

    def hold(self, seconds: float) -> None:
        """Neither less nor more."""
        self._rest(seconds if self._few(seconds) else None)

    def grow(self, seconds: float) -> bool:
        """A little more than in the last `seconds`. False where there is no limit."""
        if not self.is_set:
            self._rest(None)
            return False
        self.rate = self.rate * GROWTH + self._least * seconds
        self._rest(None if self._refused else seconds)
        return True

    def _few(self, seconds: float) -> bool:
        """Whether calls of this rank cannot be what keeps the process busy."""
        return self.admitted + self._refused <= self._least * FEW * seconds

    def _rest(self, quiet_s: float | None) -> None:
        """The end of a step. `quiet_s`: for how long no limit was needed, or None; after a while there is none."""
        self._quiet_s = 0.0 if quiet_s is None else self._quiet_s + quiet_s
        if self._quiet_s >= LASTING_S:
            self.set(_NONE)
        self.admitted = self._refused = 0


class Pressure:
    """What one process takes of each rank."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._bound_s = settings.late_ms / 1000
        self.background = Limit(settings.background_least)
        self.order_flow = Limit(settings.order_flow_least)
        self.checkouts = 0  # since the last step
        self.late_s = 0.0
        self.busy = 0.0
        self._looks: deque[tuple[float, float, float]] = deque([(LOOK_S, 0.0, 0.0)] * LOOKS, LOOKS)
        self._passed_s = 0.0
        self._since_checkout_s = _NONE

    def note(self, seconds: float, late_s: float, used_s: float) -> None:
        """One look: `seconds` since the one before, for `used_s` of which the thread ran or waited for a core."""
        self._looks.append((seconds, late_s, used_s))
        self.late_s = sorted(late for _, late, _ in self._looks)[LOOKS // 2]
        self.busy = sum(used for *_, used in self._looks) / sum(passed for passed, *_ in self._looks)
        self._passed_s += seconds
        if self._passed_s >= STEP_S:
            self._step(self._passed_s)
            self._passed_s = 0.0

    def _step(self, seconds: float) -> None:
        self._since_checkout_s = 0.0 if self.checkouts else self._since_checkout_s + seconds
        self.checkouts = 0
        background, order_flow = self.background, self.order_flow
        is_full = self.busy > FULL and background.is_set
        if is_full or (self.busy > BUSY and self.late_s > self._bound_s):
            at_least = not background.cut(seconds)
            is_hard = self.late_s > ORDER_FLOW_TIMES * self._bound_s and self._since_checkout_s < 1.0
            if not (at_least and is_hard and order_flow.cut(seconds)):
                order_flow.hold(seconds)
        elif self.busy > BUSY or self.late_s > self._bound_s:
            background.hold(seconds)
            order_flow.hold(seconds)
        elif order_flow.grow(seconds):
            background.hold(seconds)
        else:
            background.grow(seconds)

    async def run(self) -> None:
        """Look, until cancelled."""
        thread = ThreadTime()
        try:
            before, used_before = monotonic(), thread.used_s()
            while True:
                due = monotonic() + LOOK_S
                await asyncio.sleep(LOOK_S)
                now, used = monotonic(), thread.used_s()
                self.note(now - before, max(0.0, now - due), used - used_before)
                before, used_before = now, used
        finally:
            thread.close()


class ThreadTime:
    """For how long the thread that makes it has run or waited for a core."""

    def __init__(self) -> None:
        try:
            self._file: int | None = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # a kernel that does not say
            self._file = None

    def used_s(self) -> float:
        """In seconds; where the kernel does not say, as if it was always."""
        if self._file is None:
            return monotonic()
        ran, waited, *_ = os.pread(self._file, 100, 0).split()
        return (int(ran) + int(waited)) / 1e9

    def close(self) -> None:
        """Ask no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
