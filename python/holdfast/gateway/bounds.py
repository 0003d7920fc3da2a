"""What bounds the work under way, and in which order calls are refused when there is too much of it.

In: the settings. Out: a bound for each rank, and all bounds by their names in /metrics.
Always: calls of rank 3 (reports, explanations, lists, many figures at once) are refused first, order flow (2) after
them, a checkout (1) last; probes (0) never. pressure.py says when the process has too much to do before that.
"""

from collections.abc import Mapping
from typing import Final

from holdfast.gateway.keyring import Operation
from holdfast.gateway.router import Route
from holdfast.settings import EventSettings, GatewaySettings, NodeSettings

CHECKOUT, ORDER_FLOW, BACKGROUND = 1, 2, 3
QUEUE_OF_RANK: Final = ("probes", "checkout", "order-flow", "background")
LATE_OF_RANK: Final = ("", "", "late-order-flow", "late-background")


def in_flight_max(settings: GatewaySettings) -> tuple[int, int, int, int]:
    """The most requests under way at which a call is begun, by its rank.

    A connection has one request under way, so more than `connections_max` are never reached.
    """
    most = min(settings.requests_in_flight_max, settings.connections_max)
    return most * 2, most, most * 9 // 10, most // 2


def bounds_of(gateway: GatewaySettings, node: NodeSettings, events: EventSettings) -> Mapping[str, float]:
    """By the name of what is bounded; those of `late-…` are in seconds."""
    by_rank = in_flight_max(gateway)
    return {
        **{QUEUE_OF_RANK[rank]: by_rank[rank] for rank in (CHECKOUT, ORDER_FLOW, BACKGROUND)},
        **dict.fromkeys(LATE_OF_RANK[ORDER_FLOW:], gateway.late_ms / 1000),
        "background-at-once": gateway.background_at_once_max,
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
