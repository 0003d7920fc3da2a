"""What bounds the work under way, and in which order calls are refused when there is too much of it.

In: the settings, how late the event loop is. Out: a bound for each rank, and all bounds by their names in /metrics.
Always: calls of rank 3 (reports, explanations, lists, many figures at once) are refused first, order flow (2) after
them, a checkout (1) last; probes (0) never.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Final

from holdfast.gateway.keyring import Operation
from holdfast.gateway.router import Route
from holdfast.settings import EventSettings, GatewaySettings, NodeSettings

CHECKOUT, ORDER_FLOW, BACKGROUND = 1, 2, 3
QUEUE_OF_RANK: Final = ("probes", "checkout", "order-flow", "background")
_LOOK_S = 0.2
_LOOKS = 5


def in_flight_max(settings: GatewaySettings) -> tuple[int, int, int, int]:
    """The most requests under way at which a call is begun, by its rank.

    A connection has one request under way, so more than `connections_max` are never reached.
    """
    most = min(settings.requests_in_flight_max, settings.connections_max)
    return most * 2, most, most * 9 // 10, most // 2


def bounds_of(gateway: GatewaySettings, node: NodeSettings, events: EventSettings) -> Mapping[str, float]:
    """By the name of what is bounded; that of `late` is in seconds."""
    by_rank = in_flight_max(gateway)
    return {
        **{QUEUE_OF_RANK[rank]: by_rank[rank] for rank in (CHECKOUT, ORDER_FLOW, BACKGROUND)},
        "late": gateway.late_ms / 1000,
        "requests-of-a-key": gateway.requests_per_key_max,
        "batches-of-a-key": gateway.batches_waiting_per_key_max,
        "bodies-bytes": gateway.bodies_bytes_max,
        "past": gateway.past_waiting_max,
        "event-streams": events.connections_max,
        "commands": node.commands_queued_max,
        "reads": node.reads_waiting_max,
        "facts": node.facts_waiting_max,
    }


def queue_of_node(route: Route) -> str:
    """The queue of the node in which a call waits."""
    if route.operation in {Operation.FACTS, Operation.POLICIES}:
        return "facts"
    return "commands" if route.operation in {Operation.RESERVE, Operation.ORDER} else "reads"


class Strain:
    """How late this process is with its work: what a timer of the event loop is late by, at the least, for a second."""

    def __init__(self, late_ms: int) -> None:
        self._bound_s = late_ms / 1000
        self._found: deque[float] = deque([0.0] * _LOOKS, _LOOKS)
        self.late_s = 0.0

    def is_late(self) -> bool:
        """Whether background calls have to wait."""
        return self.late_s > self._bound_s

    def note(self, late_s: float) -> None:
        """One look at the clock. A single pause is no strain: all of the last looks count."""
        self._found.append(max(0.0, late_s))
        self.late_s = min(self._found)

    async def run(self) -> None:
        """Look at the clock, until cancelled."""
        while True:
            due = monotonic() + _LOOK_S
            await asyncio.sleep(_LOOK_S)
            self.note(monotonic() - due)
