"""The flash sale: shoppers on three channels who look, reserve, and buy, release or abandon.

In: a client, how long and how many. Out: what was offered, sold and refused, and how long it took.
Always: the same shoppers in the same order each time; running out of stock is an outcome; a request without an answer
is sent again unchanged, so a gateway that dies in the middle costs time and nothing else.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from holdfast.client import Client
from holdfast.client.errors import InsufficientStockError, OversoldError
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.demonstration import catalogue
from holdfast.demonstration.raw_shop import RawShops
from holdfast.rehearsal.percentiles import Latencies

SEED = 20261123
SHOPPERS_AT_ONCE = 256
TTL_MS = 15 * 60_000
THINK_S = (0.05, 0.4)
RELEASE_SHARE, ABANDON_SHARE = 0.07, 0.04  # of the shoppers who hold something
CHANNEL_WEIGHTS = (60, 28, 12)
LINE_WEIGHTS = (62, 28, 10)

Cart = tuple[str, list[tuple[str, int]]]


@dataclass(slots=True)
class Sale:
    """The result. Units of a kit are counted as kits in `sold`, and as its parts in `handed_over`."""

    offered: int = 0
    held: int = 0
    confirmed: int = 0
    released: int = 0
    abandoned: int = 0
    late: int = 0
    units_offered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refused_skus: Counter[str] = field(default_factory=Counter)
    sold: Counter[str] = field(default_factory=Counter)
    sold_on: Counter[str] = field(default_factory=Counter)
    handed_over: Counter[str] = field(default_factory=Counter)
    states: dict[str, str] = field(default_factory=dict)
    look: Latencies = field(default_factory=Latencies)
    reserve: Latencies = field(default_factory=Latencies)
    confirm: Latencies = field(default_factory=Latencies)
    raw: RawShops = field(default_factory=RawShops)

    @property
    def units_sold(self) -> int:
        """Units on confirmed orders; a kit is one."""
        return self.sold.total()

    def oversold(self) -> dict[str, int]:
        """Units handed over beyond what there ever was, by SKU; by plain arithmetic."""
        there = catalogue.there_ever_was()
        return {sku: units - there[sku] for sku, units in self.handed_over.items() if units > there[sku]}


class Shoppers:
    """Runs a sale of `seconds` at `carts_per_s`."""

    def __init__(self, client: Client, seconds: float, carts_per_s: float) -> None:
        self.sale = Sale()
        self.total = round(seconds * carts_per_s)
        self._client = client
        self._seconds = seconds
        self._dice = random.Random(SEED)  # noqa: S311 - shoppers, not secrets

    async def run(self, report: Callable[[Sale], None]) -> None:
        """All shoppers, spread evenly over the time. `report` is called after each."""
        room = asyncio.Semaphore(SHOPPERS_AT_ONCE)
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(self.total):
                due = began + number * self._seconds / self.total
                await asyncio.sleep(max(0.0, due - perf_counter()))
                await room.acquire()
                group.create_task(self._visit(f"demo-{number:05}", self._cart(), self._dice.random(), room, report))

    def _cart(self) -> Cart:
        keen = {product.sku: product.keen for product in catalogue.PRODUCTS} | {catalogue.KIT: catalogue.KIT_KEEN}
        channel = self._dice.choices(catalogue.CHANNELS, CHANNEL_WEIGHTS)[0]
        lines = self._dice.choices((1, 2, 3), LINE_WEIGHTS)[0]
        skus = dict.fromkeys(self._dice.choices(list(keen), list(keen.values()), k=lines))
        return channel, [(sku, self._dice.choices((1, 2, 4), (75, 20, 5))[0]) for sku in skus]

    async def _visit(
        self, reservation: str, cart: Cart, mood: float, room: asyncio.Semaphore, report: Callable[[Sale], None]
    ) -> None:
        try:
            await self._shop(reservation, cart, mood)
            report(self.sale)
        finally:
            room.release()

    async def _shop(self, reservation: str, cart: Cart, mood: float) -> None:
        channel, lines = cart
        sale = self.sale
        began = perf_counter()
        await self._client.availability(lines[0][0], channel)
        sale.look.add(perf_counter() - began)
        sale.offered += 1
        sale.units_offered += sum(quantity for _, quantity in lines)
        sale.raw.offer(channel, lines)
        request = ReservationRequest(
            channel=channel,
            ttl_ms=TTL_MS,
            owner=f"shopper-{reservation}",
            lines=[ReservationLine(sku=sku, quantity=quantity) for sku, quantity in lines],
        )
        began = perf_counter()
        try:
            await self._client.reserve(reservation, request)
        except InsufficientStockError as refusal:
            self._refused(refusal, began)
            return
        sale.reserve.add(perf_counter() - began)
        sale.held += 1
        await asyncio.sleep(THINK_S[0] + mood * (THINK_S[1] - THINK_S[0]))
        if mood < ABANDON_SHARE:
            sale.abandoned += 1
            sale.states[reservation] = "held"
        elif mood < ABANDON_SHARE + RELEASE_SHARE:
            await self._client.release(reservation)
            sale.released += 1
            sale.states[reservation] = "released"
        else:
            await self._confirm(reservation, cart)

    def _refused(self, refusal: InsufficientStockError, began: float) -> None:
        self.sale.reserve.add(perf_counter() - began)
        self.sale.refused[refusal.name] += 1
        lines = refusal.problem.lines
        self.sale.refused_skus.update(line.sku for line in lines if not line.ok) if isinstance(lines, list) else None

    async def _confirm(self, reservation: str, cart: Cart) -> None:
        channel, lines = cart
        sale = self.sale
        began = perf_counter()
        try:
            await self._client.confirm(reservation, f"order-{reservation}")
        except OversoldError:
            sale.late += 1
            return
        finally:
            sale.confirm.add(perf_counter() - began)
        sale.confirmed += 1
        sale.states[reservation] = "committed"
        for sku, quantity in lines:
            sale.sold[sku] += quantity
            sale.sold_on[channel] += quantity
            sale.handed_over.update(catalogue.parts(sku, quantity))
