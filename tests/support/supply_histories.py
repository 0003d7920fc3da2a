"""Random facts about what is on its way and what of it arrived, and about the sources that say so.

In: the world so far, the step, and `Pick`, as in histories.py. Out: facts `(source, body)`. Always holds: shapes are
right; lines, receipts and levels come late, double or in any order.
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
    location = LOCATIONS[number % 3]
    told = source_and_as_of(pick, step, location)
    return told_by(
        {"source": told["source"], "as_of": pick.one([None, told["as_of"]])},
        kind="supply",
        ref=ref,
        line="1",
        sku=pick.seldom(BASE, 20) or BASE[number % 2],
        location=pick.seldom(LOCATIONS, 20) or location,
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
    """Of a line that is known, or is not; what arrived in all, by versions."""
    ref = order_line(pick, world)
    number = int(ref[2:])
    location = LOCATIONS[number % 3]
    version = pick.seldom([1, 2, 3], 2)
    return told_by(
        source_and_as_of(pick, step, location),
        kind="receipt",
        ref=ref,
        line="1",
        sku=pick.seldom(BASE, 20) or BASE[number % 2],
        location=pick.seldom(LOCATIONS[:2]) or location,
        quantity=pick.between(0 if version else 1, 4),
        unit=pick.seldom(["pair"], 15),
        version=version,
    )


def transfer(pick: Pick, world: World, step: int) -> Fact:
    number = pick.between(0, 2)
    ways = [("paris", "lyon"), ("lyon", "paris"), ("paris", "nice"), ("nice", "lyon")]
    origin, target = pick.seldom(ways, 10) or ways[number % 2]
    return told_by(
        source_and_as_of(pick, step, "paris"),
        kind="transfer",
        ref=f"t{number}",
        line=pick.seldom(["1"]),
        sku=BASE[number % 2],
        from_=origin,
        to=target,
        quantity=pick.between(1, 4),
        due=day(pick, world) if pick.once_in(2) else None,
        status=pick.one(["shipped", "shipped", "received", "cancelled"]),
        version=pick.seldom([1, 2, 3], 10),
    )


def goods_arrive(pick: Pick, world: World, step: int) -> list[Fact]:
    """Some of an open line arrived: a receipt, a level and the line itself tell of it, in any order, or some do."""
    lines = sorted(s.key for s in world.supplies.values() if world.room(s) and not s.transfer)
    if not lines:
        return [receipt(pick, world, step)]
    line = world.supplies[pick.one(lines)]
    quantity, level = pick.between(1, world.room(line)), world.levels.get((line.sku, line.location))
    told = source_and_as_of(pick, step, line.location) | {"source": line.key[0]}
    named = {"ref": line.key[1], "line": line.key[2], "sku": line.sku, "location": line.location}
    arrived = told_by(told, kind="receipt", quantity=quantity, **named)
    on_hand = quantity + (level.on_hand if level is not None else 0)
    level_fact = told_by(told, kind="stock.level", sku=line.sku, location=line.location, on_hand=on_hand, basis="net")
    again = told_by(
        told | pick.one([{}, {"as_of": None}]),
        kind="supply",
        quantity=max(0, line.quantity - quantity),
        due=(line.due or world.today).isoformat(),
        status="open",
        version=None if line.version is None else line.version + pick.between(0, 1),
        **named,
    )
    facts = [fact for fact in (level_fact, again, arrived, level_fact, again) if not pick.once_in(3)]
    if facts and pick.once_in(2):
        facts.insert(0, facts.pop())
    return facts or [level_fact]


def hand_over(pick: Pick, world: World, step: int) -> Fact:
    return policy("ownership", location=pick.one(LOCATIONS), source=pick.one(["erp", "wms", "pos"]))


def reset(pick: Pick, world: World, step: int) -> Fact:
    source = pick.one(["erp", "erp", "pos"])
    return policy("source.reset", **optional(source=source, location=pick.seldom(LOCATIONS), sku=pick.seldom(BASE)))


SUPPLY_FACTS: list[Facts] = [supply, supply, receipt, transfer, transfer]
SOURCE_FACTS: list[Facts] = [hand_over, reset]
