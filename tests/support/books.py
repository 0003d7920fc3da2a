"""The books of an ERP in memory, and what an ERP's books are to an interleaved history.

In: orders, what people do. Out: what lies there and is owed; facts as an adapter states them. Always: what takes
stock away is dated late, what adds some early.
"""

import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from holdfast.erp.interface import Adapter, Description, Fact, Order, OrderStatus, Pulled, RefusedError
from holdfast.erp.moments import Moments

Basis = Literal["gross", "net"]
PLACES = ("lyon", "paris")


class Keeps(Protocol):
    """The people and the books of an ERP, as a history uses them. `answers`: every call of it has an outcome."""

    answers: bool
    parts: dict[str, int]
    """Of the orders that were ever sent to it: how many documents each is."""

    def has(self, key: str) -> bool:
        """Whether all of an order is in it."""
        ...

    def lies(self, place: str) -> int:
        """Units that are there."""
        ...

    def owed(self, key: str | None = None, place: str | None = None) -> int:
        """Units that an order, or all orders, have open in it, at a place or at all."""
        ...

    def left(self, key: str) -> int:
        """Units of an order that left, those that came back included."""
        ...

    def returned(self, key: str) -> int:
        """Units of an order that came back."""
        ...

    def orders_in_it(self) -> list[str]:
        """Their keys."""
        ...

    async def ship(self, key: str) -> None:
        """Some of an order leaves."""

    async def take_back(self, key: str) -> None:
        """Some of what left comes back."""

    async def end(self, key: str) -> None:
        """Somebody in the ERP cancels what has not left."""


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
    parts: dict[str, int] = field(default_factory=dict)
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
        for order in orders:
            if order.key not in self.orders:
                places: dict[str, int] = {}
                for line in order.lines:
                    place = line.location or "paris"
                    places[place] = places.get(place, 0) + line.quantity
                self.orders[order.key] = Kept(places)
        return [f"S-{order.key}" for order in orders]

    async def find(self, order: Order) -> str | None:
        return f"S-{order.key}" if order.key in self.orders else None

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        for order in orders:
            await self.end(order.key)
        return [f"S-{order.key}" for order in orders]

    async def statuses(self, _: str | None) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        early, self.read_before = self.read_before, self.moments.now()
        said = {key: json.loads(json.dumps(order.__dict__)) for key, order in self.orders.items()}
        late = self.moments.now()
        yield [OrderStatus(key, f"S-{key}", True, tuple(_facts(key, Kept(**order), early, late)))
               for key, order in said.items()], None  # fmt: skip

    # ---- what people see and do in the ERP

    def has(self, key: str) -> bool:
        return key in self.orders

    def lies(self, place: str) -> int:
        return self.on_hand[place]

    def owed(self, key: str | None = None, place: str | None = None) -> int:
        orders = [order for name, order in self.orders.items() if key in {None, name}]
        return sum(units for order in orders for name, units in order.open.items() if place in {None, name})

    def left(self, key: str) -> int:
        return sum(units for _, _, units in self.orders[key].shipped)

    def returned(self, key: str) -> int:
        return sum(units for _, _, units in self.orders[key].back)

    def orders_in_it(self) -> list[str]:
        return list(self.orders)

    async def ship(self, key: str) -> None:
        order = self.orders[key]
        places = [place for place, units in order.open.items() if units]
        if places:
            place = self.choose.choice(places)
            units = self.choose.randint(1, order.open[place])
            order.open[place] -= units
            self.on_hand[place] -= units
            self.numbers += 1
            order.shipped.append((f"SHP-{self.numbers}", place, units))

    async def take_back(self, key: str) -> None:
        order = self.orders[key]
        left = self.left(key) - self.returned(key)
        if left > 0:
            units, place = self.choose.randint(1, left), self.choose.choice(PLACES)
            self.on_hand[place] += units
            self.numbers += 1
            order.back.append((f"RET-{self.numbers}", place, units))

    async def end(self, key: str) -> None:
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
