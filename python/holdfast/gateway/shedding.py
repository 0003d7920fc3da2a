"""Which calls are not begun because too much is under way, or because the process is late with its work.

In: a route. Out: the name of the bound that is reached, or "". Always: rank 3 is refused before 2, and 2 before 1; a
refusal is ready before it is needed, for it is most frequent when there is least time.
"""

from time import monotonic
from typing import Final

from holdfast.contracts.problems import render_problem
from holdfast.gateway.bounds import BACKGROUND, CHECKOUT, LATE_OF_RANK, QUEUE_OF_RANK, in_flight_max
from holdfast.gateway.counters import Counters
from holdfast.gateway.pressure import Pressure
from holdfast.gateway.replies import HeldReply, Reply
from holdfast.gateway.router import Route
from holdfast.settings import GatewaySettings

AT_ONCE: Final = "background-at-once"
A_SECOND: Final = 100  # refusals
LOOK_S: Final = 0.25
TIMES_MAX: Final = 8  # what was set
_UNDER_WAY: Final = "Too many requests are under way."
_LATE: Final = (
    "This process has more work than it can do: checkouts go first, and of this rank only a part is answered."
)


class Hold:
    """How long refusals are held back: as long as was set, and longer where that leaves more than `A_SECOND` of them.

    One costs 0.4 of a report. A connection has one request under way: held twice as long, half as many come.
    """

    __slots__ = ("_begin_s", "_count", "_least_s", "seconds")

    def __init__(self, least_s: float) -> None:
        self._least_s = self.seconds = least_s
        self._begin_s = 0.0
        self._count = 0

    def next_s(self, now_s: float) -> float:
        """For one more refusal. `now_s`: of a clock that never goes back."""
        passed_s = now_s - self._begin_s
        # What was held the time before comes again only after that.
        if passed_s > max(LOOK_S, 1.5 * self.seconds):
            wanted_s = self.seconds * self._count / (passed_s * A_SECOND)
            self.seconds = max(self._least_s, min(wanted_s, self._least_s * TIMES_MAX))
            self._begin_s, self._count = now_s, 0
        self._count += 1
        return self.seconds


class Shedding:
    """What the dispatcher asks before it begins a call."""

    def __init__(self, settings: GatewaySettings, counters: Counters, pressure: Pressure) -> None:
        self._in_flight_max = in_flight_max(settings)
        self._hold = Hold(settings.refusal_hold_ms / 1000)
        self._at_once_max = settings.background_at_once_max
        self._counters = counters
        self._pressure = pressure
        self._order_flow, self._background = pressure.order_flow, pressure.background
        self._headers = b"Retry-After: %d\r\n" % settings.retry_after_s
        self._bodies = {
            queue: render_problem(
                "overloaded", _LATE if queue in {*LATE_OF_RANK, AT_ONCE} else _UNDER_WAY, outcome="not-done"
            )
            for queue in (*QUEUE_OF_RANK, *LATE_OF_RANK, AT_ONCE)
        }

    def queue_of(self, route: Route) -> str:
        """The bound at which a call of this route is refused now; "": it is begun."""
        rank = route.rank
        if self._counters.in_flight > self._in_flight_max[rank]:
            return QUEUE_OF_RANK[rank]
        if rank == CHECKOUT:
            self._pressure.checkouts += 1
        elif rank == BACKGROUND:
            limit = self._background
            if not limit.is_set:
                limit.admitted += 1
            elif self._counters.background_in_flight >= self._at_once_max:
                return AT_ONCE
            elif not limit.admits(monotonic()):
                return LATE_OF_RANK[rank]
        elif rank and not self._order_flow.admits(monotonic()):
            return LATE_OF_RANK[rank]
        return ""

    def refusal(self, queue: str, sequence: int) -> Reply:
        """The answer where that bound is reached. `sequence`: as in every answer."""
        self._counters.shed += 1
        self._counters.at_bounds[queue] += 1
        status, body = self._bodies[queue]
        if queue == LATE_OF_RANK[BACKGROUND]:
            hold_s = self._hold.next_s(monotonic())
            reply: Reply = HeldReply(status, body, sequence, headers=self._headers, hold_s=hold_s)
        else:
            reply = Reply(status, body, sequence, headers=self._headers)
        reply.is_refusal = True
        return reply
