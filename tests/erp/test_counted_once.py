"""Each order counted once, end to end: the messages of orders interleaved, late and repeated, core and oracle beside.

A shop, a connection at work (its queue, exporter, versions and clock are the real ones) and an ERP take turns in any
order; what the connection sends arrives late, twice, and out of order. At no moment may more be sellable than there is,
and once all has arrived exactly that must be.
"""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from holdfast.contracts.answers import Reservation
from holdfast.erp.connector import Connector
from holdfast.erp.events import order_of
from holdfast.erp.feed import Feed
from holdfast.erp.interface import (
    Adapter,
    Description,
    ErpDownError,
    Fact,
    Order,
    OrderStatus,
    Pulled,
    RefusedError,
    Taken,
)
from holdfast.erp.moments import Moments
from holdfast.erp.store import Store
from holdfast.settings import ErpSettings
from tests.support.oracle.beside import AS_OF, Beside

Basis = Literal["gross", "net"]
PLACES = ("lyon", "paris")
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None
EXAMPLES = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 40


@dataclass
class Kept:
    """An order in the books: units by place."""

    open: dict[str, int]
    shipped: list[tuple[str, str, int]] = field(default_factory=list)  # document, place, units
    back: list[tuple[str, str, int]] = field(default_factory=list)
    cancelled: int = 0


@dataclass
class Books(Adapter):
    """An ERP: what is there, and what it owes."""

    moments: Moments
    basis: Basis
    choose: random.Random
    on_hand: dict[str, int]
    orders: dict[str, Kept] = field(default_factory=dict)
    numbers: int = 0
    read_before: str = "2026-01-01T00:00:00Z"
    answers: bool = False

    async def describe(self) -> Description:
        return Description(product="books")

    async def levels(self, _: str | None) -> AsyncIterator[Pulled]:
        as_of = self.moments.now()
        facts = []
        for place, on_hand in self.on_hand.items():
            owed = sum(order.open.get(place, 0) for order in self.orders.values())
            level = {"kind": "stock.level", "sku": "A", "location": place, "basis": self.basis, "as_of": as_of}
            facts.append(level | ({"on_hand": on_hand - owed} if self.basis == "net" else _gross(on_hand, owed)))
        yield Pulled(facts)

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        if not self.answers and self.choose.randrange(4) == 0:
            raise ErpDownError("no answer, and nothing was done")
        for order in orders:
            if order.key not in self.orders:
                places: dict[str, int] = {}
                for line in order.lines:
                    place = line.location or "paris"
                    places[place] = places.get(place, 0) + line.quantity
                self.orders[order.key] = Kept(places)
        if not self.answers and self.choose.randrange(4) == 0:
            raise ErpDownError("the answer was lost")
        return [f"S-{order.key}" for order in orders]

    async def find(self, order: Order) -> str | None:
        return f"S-{order.key}" if order.key in self.orders else None

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        for order in orders:
            self.end(order.key)
        return [f"S-{order.key}" for order in orders]

    async def statuses(self, _: str | None) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        early, self.read_before = self.read_before, self.moments.now()
        said = {key: json.loads(json.dumps(order.__dict__)) for key, order in self.orders.items()}
        late = self.moments.now()
        yield [OrderStatus(key, f"S-{key}", True, tuple(_facts(key, Kept(**order), early, late)))
               for key, order in said.items()], None  # fmt: skip

    # ---- what people do in the ERP

    def ship(self, key: str) -> None:
        order = self.orders[key]
        places = [place for place, units in order.open.items() if units]
        if places:
            place = self.choose.choice(places)
            units = self.choose.randint(1, order.open[place])
            order.open[place] -= units
            self.on_hand[place] -= units
            self.numbers += 1
            order.shipped.append((f"SHP-{self.numbers}", place, units))

    def take_back(self, key: str) -> None:
        order = self.orders[key]
        left = sum(units for _, _, units in order.shipped) - sum(units for _, _, units in order.back)
        if left > 0:
            units, place = self.choose.randint(1, left), self.choose.choice(PLACES)
            self.on_hand[place] += units
            self.numbers += 1
            order.back.append((f"RET-{self.numbers}", place, units))

    def end(self, key: str) -> None:
        order = self.orders.get(key)
        if order is not None:
            order.cancelled += sum(order.open.values())
            order.open = dict.fromkeys(order.open, 0)


def _gross(on_hand: int, owed: int) -> dict[str, int]:
    return {"on_hand": on_hand, "allocated": owed}


def _facts(key: str, order: Kept, early: str, late: str) -> list[Fact]:
    """As an adapter states them: what takes stock away dated late, what adds some early."""
    named = {"reservation": key}
    lines = [{"sku": "A", "location": place} for place in order.open]
    facts: list[Fact] = [{"kind": "order.ack", **named, "as_of": late, "lines": lines}]
    facts += [
        {"kind": "shipment", **named, "ref": ref, "as_of": late, "lines": [_line(place, units)]}
        for ref, place, units in order.shipped
    ]
    facts += [
        {"kind": "return", **named, "ref": ref, "sku": "A", "location": place, "quantity": units}
        | {"condition": "sellable", "as_of": early}
        for ref, place, units in order.back
    ]
    taken: list[Fact] = [{"sku": "A", "quantity": order.cancelled}] if order.cancelled else []
    update: Fact = {"kind": "order.update", **named, "ref": f"S-{key}", "status": "cancelled", "as_of": late}
    facts.append(update | {"lines": taken})
    return facts


def _line(place: str, units: int) -> Fact:
    return {"sku": "A", "location": place, "quantity": units}


class World:
    """All three, and what is on its way between them."""

    def __init__(self, seed: int, basis: Basis, store: Store) -> None:
        self.choose = random.Random(seed)
        self.beside = Beside()
        self.beside.locations(*PLACES)
        self.store = store
        self.moments = Moments(None, lambda _: None, lambda: self.beside.now_ms / 1000)
        self.books = Books(self.moments, basis, self.choose, dict.fromkeys(PLACES, 10))
        settings = ErpSettings(retry_first_ms=10, retry_wait_ms_max=10, breaker_failures=1_000, tries_max=50)
        self.connector = Connector(self.books, store, cast("Feed", self), settings)
        self.on_the_way: list[list[Fact]] = []
        self.arrived: list[list[Fact]] = []
        self.made = 0
        self.live: dict[str, str] = {}
        self.quiet = False

    # ---- the connection's feed

    async def send(self, facts: Sequence[Fact], _: str = "") -> Taken:
        """Goes on its way; meanwhile, more may happen."""
        if facts:
            self.on_the_way.append([dict(fact) for fact in facts])
        if not self.quiet:
            if self.choose.randrange(2):
                self.deliver()
            if self.choose.randrange(2):
                self.person()
        return Taken(len(facts))

    def deliver(self, *, in_order: bool = False) -> None:
        """One body arrives, or one that arrived before arrives again."""
        if self.on_the_way and (in_order or self.choose.randrange(4)):
            body = self.on_the_way.pop(0 if in_order else self.choose.randrange(len(self.on_the_way)))
            self.arrived.append(body)
        elif self.arrived:
            body = self.choose.choice(self.arrived)
        else:
            return
        self.beside.now_ms += 1
        self.beside.in_sequence += 1
        payload = json.dumps({"source": "erp", "facts": body}).encode()
        self.beside.tell([], [(self.beside.in_sequence, "hf.main.in.erp.erp", payload)])

    # ---- the shop

    def shop(self) -> None:
        key = f"o{self.made}"
        self.made += 1
        held = self.beside.hold(key, ("A", self.choose.randint(1, 4)), ttl_ms=600_000)
        if held.status != 201:
            return
        self.live[key] = "held"
        if self.choose.randrange(5):
            assert self.beside.command("confirm", key, order_ref=key).status == 200
            self.live[key] = "confirmed"
            self.store.add(order_of(self.reservation(key), ""), self.made)

    def give_up(self) -> None:
        """A shopper changes their mind: before anything left, as the shop knows it."""
        keys = [key for key, state in self.live.items() if key not in self.books.orders or state == "held"]
        if keys:
            key = self.choose.choice(keys)
            self.beside.command("release" if self.live.pop(key) == "held" else "cancel", key)
            self.store.cancel(key)

    def reservation(self, key: str) -> Reservation:
        assert self.beside.engine is not None
        _, body = self.beside.engine.reservation(key, None, AS_OF)
        return msgspec.json.decode(body, type=Reservation)

    # ---- all

    def person(self) -> None:
        """Somebody does something in the ERP."""
        keys = [key for key in self.books.orders if key in self.live]
        if keys:
            key = self.choose.choice(keys)
            self.choose.choice([self.books.ship, self.books.ship, self.books.take_back, self.books.end])(key)

    async def step(self) -> None:
        match self.choose.randrange(10):
            case 0:
                self.shop()
            case 1:
                self.give_up()
            case 2:
                self.person()
            case 3 | 4 | 5:
                await self.connector.turn()
            case 6 | 7:
                await self.export()
            case _:
                self.deliver()
        self.beside.now_ms += 1
        assert self.beside.sellable("A") <= max(0, self.there()), self.beside.history()

    async def export(self) -> None:
        for entry in self.store.due(2):
            await self.connector.exporter._carry_out([entry])

    def there(self) -> int:
        """What can be sold: what lies there, less what was promised and has not left."""
        lies = sum(self.books.on_hand.values())
        owed = 0
        for key, state in self.live.items():
            order = self.books.orders.get(key)
            if order is not None:
                owed += sum(order.open.values())
            else:
                owed += sum(line.open for line in self.reservation(key).lines) if state else 0
        gone = [order for key, order in self.books.orders.items() if key not in self.live]
        return lies - owed - sum(sum(order.open.values()) for order in gone)

    async def settle(self) -> None:
        """All arrives; nothing else happens."""
        self.quiet = self.books.answers = True
        for _ in range(100):
            if not self.store.waiting():
                break
            await self.export()
            await asyncio.sleep(0.005)
        assert not self.store.waiting()
        for _ in range(2):
            await self.connector.turn()
            while self.on_the_way:
                self.deliver(in_order=True)
            self.beside.now_ms += 1


async def one(seed: int, basis: Basis, steps: int) -> None:
    with TemporaryDirectory(dir=FAST) as directory:
        store = Store(Path(directory))
        world = World(seed, basis, store)
        try:
            await world.connector.turn()
            while world.on_the_way:
                world.deliver(in_order=True)
            for _ in range(steps):
                await world.step()
            await world.settle()
            assert world.beside.sellable("A") == max(0, world.there()), world.beside.history()
            for key in world.live:
                order = world.books.orders.get(key)
                if order is not None:
                    [line] = world.reservation(key).lines
                    back = sum(units for _, _, units in order.back)
                    found: Any = (line.open, line.returned)
                    assert found == (sum(order.open.values()), back), world.beside.history()
        finally:
            store.close()


@pytest.mark.parametrize("basis", ["gross", "net"])
@tries(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 60))
def test_each_order_counts_once_in_any_order_of_arrival(basis: Basis, seed: int, steps: int) -> None:
    asyncio.run(one(seed, basis, steps))
