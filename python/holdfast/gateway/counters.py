"""What the gateway counts: plain integers, cheap enough for every request.

In: each answered request's route, status and duration. Out: figures that /metrics renders.
Always: the label sets are bounded by the routes; nothing is labelled by SKU, id or key.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from holdfast.gateway.beside import Beside

BUCKETS_S = (0.000_5, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5)
UNROUTED = "unrouted"
_PROBLEM = b'{"type":"urn:holdfast:problem:'


class RouteCounters:
    """One route's requests: by hundreds of status, and by duration; `seconds` is their sum."""

    __slots__ = ("buckets", "classes", "seconds")

    def __init__(self) -> None:
        self.classes = [0] * 6
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0

    def add(self, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.classes[status // 100] += 1
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self.seconds += seconds


class Counters:
    """All of the gateway's figures."""

    def __init__(self, routes: Iterable[str]) -> None:
        self.routes = {UNROUTED: RouteCounters()}
        self.know(routes)
        self.in_flight = 0
        self.background_in_flight = 0  # of rank 3, without event streams
        self.connections = 0
        self.connections_refused = 0
        self.shed = 0
        self.at_bounds: Counter[str] = Counter()
        self.bounds: dict[str, float] = {}
        self.faults = 0
        self.refusals: Counter[str] = Counter()
        self.facts_accepted = 0
        self.facts_rejected = 0
        self.beside = Beside()

    def refused(self, body: bytes) -> None:
        """Count a problem by its name, with which every rendered problem begins."""
        if body.startswith(_PROBLEM):
            self.refusals[body[len(_PROBLEM) : body.index(b'"', len(_PROBLEM))].decode()] += 1

    def know(self, routes: Iterable[str]) -> None:
        """Count these routes from now on."""
        for name in routes:
            self.routes.setdefault(name, RouteCounters())
