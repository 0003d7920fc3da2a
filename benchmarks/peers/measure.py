"""The rounds: every server in turn under the same load, and after each run that it sold what it says.

In: servers that are up. Out: a row for each run.
Always: within a round all servers meet one workload before the next, each round in another order; units sold and units
left are the stock, by SKU, or the measurement ends.
"""

import http.client
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from benchmarks.load import HOT, LAST
from benchmarks.peers.servers import LAST_UNITS, STOCK, Peer
from benchmarks.serving import load

WORKLOADS = {
    "PUT": "Reservations of two lines, 10,000 SKUs in turn",
    "HOT": "Reservations of two lines, one SKU in every cart",
    "GET": "Availability reads",
}
SAMPLE = 20
TRIES_MAX = 100  # of a slow disk: 200 units take a minute


class OversoldError(Exception):
    """Units sold and units left are not the stock."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int = 3
    seconds: float = 2.4
    connections: tuple[int, ...] = (1, 16, 64, 256)
    workloads: tuple[str, ...] = tuple(WORKLOADS)
    skus: int = len(STOCK)  # compared at the end


@dataclass(frozen=True)
class Row:
    """One run."""

    peer: str
    workload: str
    connections: int
    round: int
    rate: float
    p50_ms: float
    p99_ms: float
    load_cpu: float


class Ledger:
    """What each server acknowledged, to be compared with what it has left."""

    def __init__(self) -> None:
        self._sold: dict[str, Counter[str]] = {}
        self._chance = random.Random(1)

    def book(self, peer: Peer, sold: dict[str, int]) -> None:
        self._sold.setdefault(peer.name, Counter()).update(sold)

    def check(self, peer: Peer, skus: Iterable[str] | None = None) -> int:
        """Compares; without SKUs, some by chance. The number compared."""
        chosen = list(skus) if skus is not None else [HOT, *self._chance.sample(sorted(STOCK), SAMPLE)]
        sold = self._sold.get(peer.name, Counter())
        left = left_of(peer.port, chosen)
        wrong = {sku: (STOCK[sku], sold[sku], left[sku]) for sku in chosen if STOCK[sku] - sold[sku] != left[sku]}
        if wrong:
            sku, (stock, units, rest) = next(iter(wrong.items()))
            raise OversoldError(
                f"{peer.name}: of {len(chosen)} SKUs {len(wrong)} do not add up, "
                f"the first {sku}: {stock} in stock, {units} sold, {rest} left"
            )
        return len(chosen)


def left_of(port: int, skus: Iterable[str]) -> dict[str, int]:
    """What a server can still sell, asked SKU by SKU."""
    left = {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for sku in skus:
        connection.request("GET", f"/v1/availability/{sku}?channel=web")
        left[sku] = int(orjson.loads(connection.getresponse().read())["sellable"])
    connection.close()
    return left


def measure(peers: list[Peer], plan: Plan, progress: Callable[[Row], None]) -> list[Row]:
    """All rounds, the last units, and at the end the SKUs of every server. Raises OversoldError."""
    ledger = Ledger()
    rows = []
    for number in range(plan.rounds):
        for workload in plan.workloads:
            for connections in plan.connections:
                for peer in turned(peers, number):
                    found = load(peer.port, workload, f"r{number}-{workload}-{connections}", connections, plan.seconds)
                    if found["failed"]:
                        raise SystemExit(f"{peer.name} answered {found['statuses']} ({WORKLOADS[workload]})")
                    rows.append(_row(peer, workload, connections, number, found))
                    progress(rows[-1])
                    if peer.keeps:
                        ledger.book(peer, found["units_sold"])
                        ledger.check(peer)
    for peer in (one for one in peers if one.keeps):
        sell_out(peer, ledger)
        ledger.check(peer, [LAST, *islice(STOCK, plan.skus - 1)])
    return rows


def turned(peers: list[Peer], number: int) -> list[Peer]:
    """In another order each round: forwards, backwards, and begun elsewhere."""
    begin = number // 2 % len(peers)
    order = peers[begin:] + peers[:begin]
    return order[::-1] if number % 2 else order


def sell_out(peer: Peer, ledger: Ledger) -> None:
    """Many ask for the last units until they are refused: each unit is sold, and none twice."""
    sold = 0
    for number in range(TRIES_MAX):
        found = load(peer.port, "LAST", f"last{number}", 64, 0.2)
        ledger.book(peer, found["units_sold"])
        sold += found["units_sold"].get(LAST, 0)
        if set(found["statuses"]) - {"409"}:
            raise SystemExit(f"{peer.name} answered {found['statuses']} for the last units")
        if found["statuses"]:
            break
    if sold != LAST_UNITS:
        raise OversoldError(f"{peer.name}: {sold} of {LAST_UNITS} last units were sold")


def _row(peer: Peer, workload: str, connections: int, number: int, found: dict[str, Any]) -> Row:
    figures = {name: found[name] for name in ("rate", "p50_ms", "p99_ms", "load_cpu")}
    return Row(peer.name, workload, connections, number + 1, **figures)
