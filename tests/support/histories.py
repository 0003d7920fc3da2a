"""Random facts over a universe that is small enough for limits to bite (of orders: order_histories.py; commands.py).

In: the world so far (to name what exists), the step, and `Pick`, which decides: hypothesis, or a seed. Out: one fact
`(source, body)`. Always holds: shapes are right; names, orders and times are often late, double or wrong.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.support.oracle.beside import NOON
from tests.support.oracle.world import World

T = TypeVar("T")
Fact = tuple[str, dict[str, Any]]

BASE = ["A", "B"]
KITS = {
    "K": [("A", 1), ("B", 2)],
    "R": [("B", 1), ("A", 2)],
    "KK": [("K", 1), ("A", 1)],
}  # R: not as they were declared
SKUS = [*BASE, *KITS]
LOCATIONS = ["paris", "lyon", "nice"]
CHANNELS = ["web", "shop", "market", "pop-up"]  # the last one is never declared
REGIONS = ["FR", "CH"]
SOURCE_OF = {"paris": "erp", "lyon": "erp", "nice": "pos"}  # erp and wms count; pos tells the time


class Pick(ABC):
    """One source of choices."""

    @abstractmethod
    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""

    def one(self, values: Sequence[T]) -> T:
        return values[self.between(0, len(values) - 1)]

    def once_in(self, times: int) -> bool:
        return self.between(1, times) == times

    def seldom(self, values: Sequence[T], times: int = 6) -> T | None:
        return self.one(values) if self.once_in(times) else None

    def often(self, values: Sequence[T]) -> T | None:
        return None if self.once_in(4) else self.one(values)

    def some(self, values: Sequence[T], least: int = 0) -> list[T]:
        chosen = [value for value in values if self.once_in(2)]
        return chosen if len(chosen) >= least else list(values[:least])


class PickByHypothesis(Pick):
    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def between(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))


class PickBySeed(Pick):
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def between(self, low: int, high: int) -> int:
        return self.random.randint(low, high)


def optional(**fields: Any) -> dict[str, Any]:
    """Without those that are None. A trailing underscore frees a name that Python has taken."""
    return {name.rstrip("_"): value for name, value in fields.items() if value is not None}


def day(pick: Pick, world: World) -> str:
    return (world.today + timedelta(days=pick.between(-5, 12))).isoformat()


def source_and_as_of(pick: Pick, step: int, location: str | None) -> dict[str, Any]:
    """Mostly the source that owns the location; around now, some late, some early."""
    source = pick.seldom(["erp", "wms", "pos"], 10) or (SOURCE_OF[location] if location else "erp")
    tick = max(1, 10 + step + pick.between(-8, 2))
    ahead = 86_400 if pick.once_in(20) else 0
    as_of = (
        datetime.fromtimestamp(NOON / 1000 + tick + ahead, tz=UTC).isoformat()
        if (source == "pos") != pick.once_in(40)
        else tick
    )
    return {"source": source, "as_of": as_of}


def told_by(fields: dict[str, Any], **more: Any) -> Fact:
    body = fields | more
    return body.pop("source"), optional(**body)


# --- stock ------------------------------------------------------------------------------------------------------------


def stock_level(pick: Pick, world: World, step: int) -> Fact:
    location = pick.one(LOCATIONS)
    unsellable = optional(damaged=pick.between(0, 2), in_transfer=pick.between(0, 1)) if pick.once_in(5) else None
    return told_by(
        source_and_as_of(pick, step, location),
        kind="stock.level",
        sku=pick.seldom([*SKUS, "phantom"], 10) or pick.one(BASE),
        location=location,
        on_hand=pick.one([-2, 0, 1, 2, 3, 5, 8, 12]),
        unsellable=unsellable,
        basis=pick.one(["gross", "gross", "net"]),
        allocated=pick.one([None, pick.between(0, 3)]),
    )


def stock_delta(pick: Pick, world: World, step: int) -> Fact:
    location = pick.one(LOCATIONS)
    return told_by(
        source_and_as_of(pick, step, location),
        kind="stock.delta",
        sku=pick.one(BASE),
        location=location,
        quantity=pick.one([-3, -1, 0, 1, 2, 5]),
        reason="count",
        ref=pick.one(["d1", "d1", "d2", f"d-{step}"]),
        line=pick.seldom(["1", "2"]),
        version=pick.seldom([1, 2, 3]),
    )


def demand(pick: Pick, world: World, step: int) -> Fact:
    number, where = pick.between(0, 3), pick.between(0, 2)
    order = an_order(pick, world) if pick.once_in(4) else {}
    return told_by(
        source_and_as_of(pick, step, None),
        kind="demand",
        ref=f"so{number}",
        line="1",
        sku=BASE[number % 2],
        class_="b2b",
        quantity=pick.between(0, 4),
        due=day(pick, world) if pick.once_in(3) else None,
        location=pick.one(LOCATIONS) if where == 0 else None,
        locations=pick.some(LOCATIONS, 1) if where == 1 else None,
        version=pick.seldom([1, 2, 3], 10),
        **order,
    )


def goods_return(pick: Pick, world: World, step: int) -> Fact:
    location = pick.one(LOCATIONS)
    version = pick.seldom([1, 2, 3], 3)
    order = an_order(pick, world) if pick.once_in(2) else {}
    return told_by(
        source_and_as_of(pick, step, location),
        kind="return",
        ref=pick.one(["b1", f"b-{step}"]),
        line=pick.seldom(["1", "2"]),
        sku=pick.one([*BASE, *BASE, *KITS]),
        location=location,
        quantity=pick.between(0 if version else 1, 4),
        unit=pick.seldom(["pair"], 8),
        version=version,
        **order,
        condition=pick.one(["sellable", "damaged", "quality_control"]),
    )


# --- orders -----------------------------------------------------------------------------------------------------------


def order_ref(pick: Pick, world: World) -> str:
    return pick.one(sorted({r.order_ref for r in world.reservations.values() if r.order_ref is not None} | {"o1"}))


def an_order(pick: Pick, world: World) -> dict[str, str]:
    """By its number, with its channel seldom where that is clear and mostly where it is not; or by its name."""
    ref: str | None = order_ref(pick, world)
    names = sorted(world.reservations)
    name = pick.seldom(names, 8) if names else None
    bearers = sorted({r.channel for r in world.reservations.values() if r.order_ref == ref})
    often = [*bearers, *bearers, *CHANNELS]
    channel = pick.seldom([*bearers, *CHANNELS]) if len(bearers) < 2 else pick.often(often)
    if name is not None:
        ref = pick.seldom([world.reservations[name].order_ref], 4)
    return optional(order_ref=ref, reservation=name, channel=channel)


# --- policies ---------------------------------------------------------------------------------------------------------


def policy(kind: str, **fields: Any) -> Fact:
    return "policy", optional(kind=kind, **fields)


def item(pick: Pick, world: World, step: int) -> Fact:
    sku = pick.one(SKUS)
    parts = KITS.get(sku, [])
    if parts and pick.once_in(3):
        parts = pick.one([[("A", 1)], [("B", 1), ("A", 1)], []])
    phantoms = [name for name in world.items if name.startswith("phantom")]
    aliases = [[f"alias-{sku}"], [phantoms[0]]] if phantoms else [[f"alias-{sku}"]]
    return policy(
        "item",
        sku=sku,
        base_unit="each",
        units={"pair": pick.one([2, 2, 3])},
        kit=[{"sku": part, "quantity": each} for part, each in parts] or None,
        sell_multiple=pick.seldom([2, 3], 3),
        status=pick.seldom(["discontinued"]),
        aliases=pick.seldom(aliases, 3),
    )


def location(pick: Pick, world: World, step: int) -> Fact:
    return policy(
        "location",
        location=pick.one(LOCATIONS),
        type="warehouse",
        regions=pick.some(REGIONS),
        priority=pick.seldom([50, 100, 150]),
        enabled=pick.seldom([False]),
    )


def channel(pick: Pick, world: World, step: int) -> Fact:
    return policy(
        "channel",
        channel=pick.one(CHANNELS[:-1]),
        locations=pick.one(["*", pick.some(LOCATIONS, 1)]),
        draws_shared=pick.seldom([False], 3),
        supply_horizon_days=pick.one([0, 2, 9]),
        sourcing=pick.one(["priority", "region", "fewest_splits"]),
        regional=pick.seldom(["require"]),
    )


def period(pick: Pick) -> str | None:
    return pick.one([None, "p1", "p1", "p2", "p2"])


def allocation(pick: Pick, world: World, step: int) -> Fact:
    return policy(
        "allocation",
        channel=pick.one(["web", *CHANNELS]),
        sku=pick.seldom(list(KITS), 20) or pick.one(["A", "A", "B"]),
        quantity=pick.between(0, 5),
        period=period(pick),
    )


def cap(pick: Pick, world: World, step: int) -> Fact:
    source, body = policy("cap", channel=pick.one(CHANNELS), sku=pick.one(SKUS), period=period(pick))
    return source, body | {"quantity": pick.often(range(7))}


def safety(pick: Pick, world: World, step: int) -> Fact:
    return policy(
        "safety",
        sku=pick.seldom(list(KITS), 10) or pick.often(BASE),
        location=pick.seldom(LOCATIONS),
        absolute=pick.often([0, 1, 2]),
        percent=pick.seldom([10, 33.33, 50]),
    )


def oversell(pick: Pick, world: World, step: int) -> Fact:
    rule = pick.one(["limit", "limit", "limit", "none", "unlimited", None])
    return policy(
        "oversell",
        sku=pick.seldom(list(KITS), 15) or pick.often(BASE),
        policy=rule,
        channel=pick.seldom(CHANNELS, 3),
        limit=pick.between(0, 5) if rule == "limit" else None,
    )


def restriction(pick: Pick, world: World, step: int) -> Fact:
    return policy(
        "restriction",
        sku=pick.often(SKUS),
        channel=pick.often(CHANNELS),
        reason="recall",
        blocked=pick.seldom([True], 5) or False,
    )


def freshness(pick: Pick, world: World, step: int) -> Fact:
    return policy("freshness", source="erp", stale_after_ms=60_000, action="serve")


# --- several at once --------------------------------------------------------------------------------------------------


def first_facts() -> list[Fact]:
    """What every history begins with."""
    facts = [policy("location", location=name, type="warehouse") for name in LOCATIONS]
    facts += [policy("item", sku=sku, base_unit="each") for sku in BASE]
    for sku, kit in KITS.items():
        parts = [{"sku": part, "quantity": each} for part, each in kit]
        facts.append(policy("item", sku=sku, base_unit="each", kit=parts))
    return [*facts, policy("channel", channel="web", locations="*", supply_horizon_days=9)]


def opening(pick: Pick, world: World, step: int) -> list[Fact]:
    """A shop in business, or one that sells what it does not have yet."""
    return sold_out(pick, world, step) if pick.once_in(3) else in_business(pick, world, step)


def sold_out(pick: Pick, world: World, step: int) -> list[Fact]:
    """Nothing on hand, some on its way, and orders taken without end."""
    return [policy("oversell", channel="web", policy="unlimited")]


def in_business(pick: Pick, world: World, step: int) -> list[Fact]:
    """Some stock, and a few of the policies."""
    kinds = [pick.one([channel, allocation, cap, oversell, safety]) for _ in range(pick.between(0, 8))]
    facts = [kind(pick, world, step) for kind in [*[stock_level] * pick.between(1, 6), *kinds]]
    return [*facts, policy("oversell", channel="web", policy="limit", limit=pick.between(0, 6))]


def catching_up(pick: Pick, world: World, step: int) -> list[Fact]:
    """The ERP has seen an order, and its next levels count open orders."""
    facts: list[Fact] = [("erp", optional(kind="order.ack", order_ref=order_ref(pick, world), as_of=9 + step))]
    for sku in BASE:
        for place in pick.some(["paris", "lyon"]):
            level = optional(kind="stock.level", sku=sku, location=place, on_hand=pick.one([0, 2, 5, 9, 14]))
            facts.append(("erp", level | {"basis": "net", "as_of": 10 + step}))
    return facts


Facts = Callable[[Pick, World, int], Fact]
STOCK_FACTS: list[Facts] = [stock_level, stock_delta, demand, goods_return]
POLICY_FACTS: list[Facts] = [item, location, channel, allocation, cap, safety, oversell, freshness, restriction]
