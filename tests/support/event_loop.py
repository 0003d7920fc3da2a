"""A process with one thread in simulated time: its loop takes what has arrived, then does it, as a gateway does.

In: what each kind of call costs, how many are offered a second, the product's Pressure. Out: how long checkouts took.
Always: a checkout is decided with all that came since the last append, one append is under way at a time, and it is
answered in the turn after its append; a client connection has one call under way; nothing here sleeps.
"""

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from holdfast.gateway.pressure import LOOK_S, Pressure


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of the thread for each call; `append_s` passes beside it."""

    checkout_s: float = 0.000_065
    read_s: float = 0.000_300
    refusal_s: float = 0.000_060
    append_s: float = 0.001_5
    hold_s: float = 0.25
    turn_s: float = 0.000_050


@dataclass(slots=True)
class Served:
    """What came out in `seconds`, without the first fifth of the checkouts."""

    seconds: float
    times_s: list[float] = field(default_factory=list)
    reads: int = 0
    refused: int = 0

    @property
    def checkouts(self) -> int:
        """Answered."""
        return len(self.times_s)

    @property
    def p99_s(self) -> float:
        """Of a checkout, from when it was due."""
        settled = sorted(self.times_s[len(self.times_s) // 5 :])
        return settled[len(settled) * 99 // 100]


class _Offered:
    """Calls of one kind at one rate over so many connections: the times at which those that can be sent were due."""

    def __init__(self, rate: float, connections: int, random: Random) -> None:
        self._rate, self._random = rate, random
        self._next_s = random.expovariate(rate) if rate else float("inf")
        self._waiting: deque[float] = deque()
        self._held: list[float] = []
        self.free = connections

    def hold(self, until_s: float) -> None:
        """A connection that is free only then."""
        heappush(self._held, until_s)

    def until(self, now_s: float) -> list[float]:
        while self._next_s <= now_s:
            self._waiting.append(self._next_s)
            self._next_s += self._random.expovariate(self._rate)
        while self._held and self._held[0] <= now_s:
            heappop(self._held)
            self.free += 1
        sent = [self._waiting.popleft() for _ in range(min(self.free, len(self._waiting)))]
        self.free -= len(sent)
        return sent

    def soonest_s(self) -> float:
        return min([self._next_s, *self._held[:1]])


def served(
    pressure: Pressure, costs: Costs, checkouts: float, reads: float, *, seconds: float = 4.0, connections: int = 192
) -> Served:
    """Both kinds offered for so long."""
    random = Random(1)
    carts, lists = _Offered(checkouts, 1_000, random), _Offered(reads, connections, random)
    found = Served(seconds)
    undecided: list[float] = []
    appended: tuple[float, list[float]] | None = None
    now = looked_s = used_s = used_before_s = 0.0
    while now < seconds:
        done = now
        if now >= looked_s + LOOK_S:
            pressure.note(now - looked_s, now - looked_s - LOOK_S, used_s - used_before_s)
            looked_s, used_before_s = now, used_s
        if appended is not None and appended[0] <= now:
            found.times_s += [done - due for due in appended[1]]
            carts.free += len(appended[1])
            appended = None
        for due in carts.until(now):
            pressure.checkouts += 1
            undecided.append(due)
            done += costs.checkout_s
        for _ in lists.until(now):
            if pressure.background.admits(done):
                done += costs.read_s
                found.reads += 1
                lists.free += 1
            else:
                done += costs.refusal_s
                found.refused += 1
                lists.hold(done + costs.hold_s * (0.5 + random.random()))
        if undecided and appended is None:
            done += costs.turn_s
            appended, undecided = (done + costs.append_s, undecided), []
        used_s += done - now
        if done == now:
            soonest = [carts.soonest_s(), lists.soonest_s(), looked_s + LOOK_S, *([appended[0]] if appended else [])]
            done = max(now + 1e-6, min(soonest))
        now = done
    return found
