"""The replay: every cart a reservation and a confirmation, every return a fact, over many connections at once.

In: orders, a client. Out: accounts, latencies, the ids that were acknowledged.
Always: a request without a clear answer is sent again unchanged until it has one or patience ends, so that each cart is
booked once, as the gateway has it; the queue between the file and the connections is bounded.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeAlias

from holdfast.client import Client, ProblemError
from holdfast.client.errors import InsufficientStockError, OversoldError, UnknownReservationError
from holdfast.contracts.answers import Reservation
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.rehearsal.books import Books
from holdfast.rehearsal.orders import Cart, GoodsBack
from holdfast.rehearsal.percentiles import Latencies
from holdfast.rehearsal.stage import Stage

Waiting: TypeAlias = "asyncio.Queue[Cart | GoodsBack | None]"
TTL_MS = 15 * 60_000
SOLD_STATES = frozenset({"committed", "in_erp", "fulfilled"})
MISSING_SHOWN = 20


@dataclass(slots=True)
class Timings:
    """How long the calls took."""

    reserve: Latencies = field(default_factory=Latencies)
    confirm: Latencies = field(default_factory=Latencies)
    returns: Latencies = field(default_factory=Latencies)


@dataclass(slots=True)
class Pace:
    """How fast carts go out. `carts_per_s` 0: no limit."""

    connections: int = 64
    carts_per_s: float = 0.0
    partial: bool = False


class Replay:
    """One run through the orders."""

    def __init__(self, client: Client, stage: Stage, books: Books, pace: Pace) -> None:
        self.books = books
        self.timings = Timings()
        self.acknowledged: dict[str, int] = {}
        self.done = 0
        self._client = client
        self._stage = stage
        self._pace = pace

    async def run(self, orders: Iterable[Cart | GoodsBack], report: Callable[[int], None]) -> None:
        """Replays all of them; `report` gets the number of orders done. Raises ClientError, RejectedError."""
        waiting: asyncio.Queue[Cart | GoodsBack | None] = asyncio.Queue(maxsize=2 * self._pace.connections)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._pace.connections):
                group.create_task(self._connection(waiting, report))
            await self._feed(orders, waiting)
            for _ in range(self._pace.connections):
                await waiting.put(None)

    async def _feed(self, orders: Iterable[Cart | GoodsBack], waiting: Waiting) -> None:
        began = perf_counter()
        for number, order in enumerate(orders):
            if self._pace.carts_per_s:
                await asyncio.sleep(max(0.0, began + number / self._pace.carts_per_s - perf_counter()))
            await waiting.put(order)

    async def _connection(self, waiting: Waiting, report: Callable[[int], None]) -> None:
        while (order := await waiting.get()) is not None:
            if isinstance(order, Cart):
                await self._check_out(order)
            else:
                await self._take_back(order)
            self.done += 1
            report(self.done)

    async def _check_out(self, cart: Cart) -> None:
        self.books.offer(cart.lines)
        reservation = self._stage.reservation(cart.ref)
        request = ReservationRequest(
            channel=self._stage.channel,
            ttl_ms=TTL_MS,
            lines=[ReservationLine(sku=sku, quantity=quantity) for sku, quantity in cart.lines],
            partial=self._pace.partial,
        )
        began = perf_counter()
        try:
            held = await self._client.reserve(reservation, request)
        except InsufficientStockError as refused:
            self.timings.reserve.add(perf_counter() - began)
            self.books.refuse(refused.name, cart.lines, _reasons(refused))
            return
        self.timings.reserve.add(perf_counter() - began)
        lines = [(line.sku, line.quantity) for line in held.lines if line.quantity]
        self.books.hold(lines)
        self.acknowledged[reservation] = sum(quantity for _, quantity in lines)
        began = perf_counter()
        try:
            await self._client.confirm(reservation, cart.ref)
        except OversoldError:
            self.books.carts_late += 1
            del self.acknowledged[reservation]
        else:
            self.books.sell(lines)
        self.timings.confirm.add(perf_counter() - began)

    async def _take_back(self, back: GoodsBack) -> None:
        began = perf_counter()
        answer = await self._client.facts(self._stage.source, self._stage.returned(back.ref, back.lines))
        self.timings.returns.add(perf_counter() - began)
        rejected = {one.index: one.reason for one in answer.rejected}
        self.books.facts_rejected.update(rejected.values())
        self.books.take_back(line for index, line in enumerate(back.lines) if index not in rejected)

    async def missing(self, report: Callable[[int], None]) -> list[str]:
        """The acknowledged reservations that are not there, or not as they were acknowledged."""
        wrong: list[str] = []
        ids = iter(list(self.acknowledged.items()))
        done = 0

        async def look() -> None:
            nonlocal done
            for reservation, units in ids:
                try:
                    found = await self._client.reservation(reservation)
                except UnknownReservationError:
                    wrong.append(reservation)
                else:
                    if not _as_acknowledged(found, units):
                        wrong.append(reservation)
                done += 1
                report(done)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._pace.connections):
                group.create_task(look())
        return sorted(wrong)


def _as_acknowledged(found: Reservation, units: int) -> bool:
    return found.state in SOLD_STATES and sum(line.quantity for line in found.lines) == units


def _reasons(refused: ProblemError) -> list[str]:
    lines = refused.problem.lines
    return [str(line.reason) for line in lines if not line.ok] if isinstance(lines, list) else []
