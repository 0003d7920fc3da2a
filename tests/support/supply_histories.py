"""Random facts about what is on its way and what of it arrived, and about the sources that say so.

In: the world so far, the step, and `Pick`, as in histories.py. Out: facts `(source, body)`. Always holds: shapes are
right; what the core does not know yet is left out.
"""

from __future__ import annotations

from datetime import date

from tests.support.histories import (
    BASE,
    LOCATIONS,
    Fact,
    Facts,
    Pick,
    day,
    optional,
    policy,
    source_and_as_of,
    stock_delta,
    told_by,
)
from tests.support.oracle import edition
from tests.support.oracle.world import SupplyKey, World


def lines_sold(world: World) -> list[SupplyKey]:
    """Supply lines (no transfers) to which units are bound."""
    nodes = [unit.node for r in world.reservations.values() for unit in r.units if unit.node is not None]
    return sorted({node.supply for node in nodes if node.supply is not None and node.supply[1].startswith("po")})


def order_line(pick: Pick, world: World) -> str:
    """A purchase order; often one of which something is sold already."""
    sold = [line[1] for line in lines_sold(world)]
    return pick.one(sold) if sold and pick.once_in(2) else f"po{pick.between(0, 5)}"


def supply(pick: Pick, world: World, step: int) -> Fact:
    """The goods and the place follow from the reference, as on a purchase order."""
    ref = order_line(pick, world)
    number = int(ref[2:])
    timed = edition.new("supplies are ordered") and pick.once_in(2)
    return told_by(
        {"source": "erp", "as_of": max(1, 10 + step + pick.between(-8, 2)) if timed else None},
        kind="supply",
        ref=ref,
        line="1",
        sku=BASE[number % 2],
        location=LOCATIONS[number % 3],
        quantity=pick.between(0, 6),
        due=day(pick, world),
        status=pick.one(["open", "open", "open", "open", "received", "received", "cancelled"]),
        confidence=pick.seldom([30, 50, 80]),
        version=pick.seldom([1, 2, 3], 10),
    )


def supply_ends(pick: Pick, world: World, step: int) -> list[Fact]:
    """A supply to which units are bound is received or cancelled; every other time some stock comes after it."""
    sold = lines_sold(world)
    if not sold:
        return [supply(pick, world, step)]
    known = world.supplies[pick.one(sold)]
    ended = policy("supply", ref=known.key[1], line=known.key[2], sku=known.sku, location=known.location)[1]
    due = (known.due or date.max).isoformat()
    ended |= {"quantity": known.quantity, "due": due, "status": pick.one(["received", "cancelled"])}
    facts: list[Fact] = [(known.key[0], ended)]
    if pick.once_in(2):
        facts.append(stock_delta(pick, world, step))
    return facts


def receipt(pick: Pick, world: World, step: int) -> Fact:
    """Of a line that is known, or is not."""
    if not edition.new("receipts and transfers", "arrivals in random histories"):
        return supply(pick, world, step)
    ref = order_line(pick, world)
    number = int(ref[2:])
    version = pick.seldom([1, 2, 3], 2)
    return told_by(
        {"source": "erp", "as_of": max(1, 10 + step + pick.between(-8, 2))},
        kind="receipt",
        ref=ref,
        line="1",
        sku=BASE[number % 2],
        location=pick.seldom(LOCATIONS[:2]) or LOCATIONS[number % 3],
        quantity=pick.between(0 if version else 1, 4),
        version=version,
    )


def transfer(pick: Pick, world: World, step: int) -> Fact:
    if not edition.new("receipts and transfers", "arrivals in random histories"):
        return supply(pick, world, step)
    number = pick.between(0, 2)
    return told_by(
        source_and_as_of(pick, step, "paris"),
        kind="transfer",
        ref=f"t{number}",
        line=pick.seldom(["1"]),
        sku=BASE[number % 2],
        from_=["paris", "lyon"][number % 2],
        to=["lyon", "paris"][number % 2],
        quantity=pick.between(1, 4),
        due=day(pick, world) if pick.once_in(2) else None,
        status=pick.one(["shipped", "shipped", "received", "cancelled"]),
        version=pick.seldom([1, 2, 3], 10),
    )


def hand_over(pick: Pick, world: World, step: int) -> Fact:
    if not edition.new("a hand-over", "arrivals in random histories"):
        return stock_delta(pick, world, step)
    return policy("ownership", location=pick.one(LOCATIONS), source=pick.one(["erp", "wms", "pos"]))


def reset(pick: Pick, world: World, step: int) -> Fact:
    if not edition.new("a reset of a source", "arrivals in random histories"):
        return stock_delta(pick, world, step)
    return policy("source.reset", **optional(source="erp", location=pick.seldom(LOCATIONS), sku=pick.seldom(BASE)))


SUPPLY_FACTS: list[Facts] = [supply, supply, supply, receipt, transfer]
SOURCE_FACTS: list[Facts] = [hand_over, reset]
