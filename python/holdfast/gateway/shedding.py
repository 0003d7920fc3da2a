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
_UNDER_WAY: Final = "Too many requests are under way."
_LATE: Final = (
    "This process has more work than it can do: checkouts go first, and of this rank only a part is answered."
)


class Shedding:
    """What the dispatcher asks before it begins a call."""

    def __init__(self, settings: GatewaySettings, counters: Counters, pressure: Pressure) -> None:
        self._in_flight_max = in_flight_max(settings)
        self._hold_s = settings.refusal_hold_ms / 1000
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
            reply: Reply = HeldReply(status, body, sequence, headers=self._headers, hold_s=self._hold_s)
        else:
            reply = Reply(status, body, sequence, headers=self._headers)
        reply.is_refusal = True
        return reply
