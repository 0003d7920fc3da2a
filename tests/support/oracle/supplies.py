"""What is on its way, and what of it arrived: supply lines, receipts and transfers: docs/rules.md, sections 1 and 3.

In: the world and one fact, or a level that was taken. Out: open supply, movements, and bound units moved to the shelf.
Always holds: what arrived is on the shelf or on the line, never on both.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from tests.support.oracle.documents import is_news, key_of
from tests.support.oracle.edition import new
from tests.support.oracle.places import put_at
from tests.support.oracle.sellable import inside
from tests.support.oracle.world import (
    AsOf,
    Identity,
    Key,
    Level,
    Movement,
    Node,
    Off,
    Rise,
    Supply,
    SupplyKey,
    Unit,
    World,
    covers,
    later,
)

Fact = dict[str, Any]
Counts = dict[tuple[str, str | None], int]


# --- supply lines -----------------------------------------------------------------------------------------------------


def supply(world: World, fact: Fact) -> None:
    key = key_of(fact)
    assert key is not None
    if is_news(world, key, fact):
        due = date.fromisoformat(fact["due"])
        line = (fact["source"], fact["ref"], str(fact["line"]))
        told = Supply(line, fact["sku"], fact["location"], fact["quantity"], due, fact["status"])
        told.confidence = fact.get("confidence", 100)
        told.as_of, told.version = fact.get("as_of"), fact.get("version")
        tell(world, told)


def tell(world: World, told: Supply) -> None:
    """A newer statement of a line; the units that were bound to it follow."""
    key, old = told.key, world.supplies.get(told.key)
    world.supplies[key] = told
    forget_what_it_counts(world, old, told)
    for rise in world.rises:
        if told.as_of is not None and later(rise.as_of, told.as_of):
            presume(world, rise, [told])
    bound = bound_to(world, key)
    same_goods = old is not None and old.sku == told.sku
    if same_goods and told.status == "received":
        for unit in bound:
            unit.node = Node(unit.node.location if unit.node else told.location)
        return
    kept = world.still_open(told) if same_goods and told.status == "open" else 0
    excess = max(0, len(bound) - kept)
    for unit in bound[:excess]:  # the oldest first: they are the first to bind again
        put_at(unit, None)
    for unit in bound[excess:]:
        put_at(unit, Node(told.location, key))
    world.count("deficit", excess)


def bound_to(world: World, line: SupplyKey) -> list[Unit]:
    """Oldest reservation first."""
    ordered = sorted(world.reservations.values(), key=lambda r: r.serial)
    return [unit for r in ordered for unit in r.units if unit.node is not None and unit.node.supply == line]


def forget_what_it_counts(world: World, old: Supply | None, told: Supply) -> None:
    """What arrived is off a line until the line is stated again: with an `as_of` that is not older or, if there is
    none, with a higher version. Without either, what its quantity fell by is what arrived.
    """
    off = world.off.get(told.key, [])
    if old is not None and old.sku != told.sku:
        off = []
    elif told.as_of is not None:
        off = [one for one in off if later(one.as_of, told.as_of)]
    elif old is not None and told.version is not None and (old.version is None or told.version > old.version):
        off = []
    elif old is not None:
        lessen(off, max(0, old.quantity - told.quantity))
    world.off[told.key] = off


def lessen(off: list[Off], quantity: int) -> int:
    """Takes up to so much from what is off a line; returns how much it took."""
    left = quantity
    for one in off:
        taken = min(left, max(0, one.quantity))
        one.quantity -= taken
        left -= taken
    return quantity - left


def arrive(world: World, line: SupplyKey, quantity: int, location: str, as_of: AsOf) -> None:
    """Of the units that are bound to a line, so many move to the shelf, the oldest first."""
    for unit in bound_to(world, line)[: max(0, quantity)]:
        put_at(unit, Node(location))
        unit.arrived = line[0], as_of


# --- receipts and transfers -------------------------------------------------------------------------------------------


def receipt(world: World, fact: Fact) -> None:
    """Units of a line arrived: on the shelf like any movement, and off the line."""
    key = key_of(fact)
    assert key is not None
    if not is_news(world, key, fact):
        return
    cell: tuple[str, str] = (fact["sku"], fact["location"])
    as_of = fact["as_of"]
    factor = world.items[fact["sku"]].factor(fact.get("unit")) or 1
    change = moved(world, key, {cell: fact["quantity"] * factor}, fact)[cell]
    line = (fact["source"], fact["ref"], str(fact["line"]))
    explain(world, cell, line, fact, change)
    known = world.supplies.get(line)
    if known is None or known.as_of is None or later(as_of, known.as_of):
        if known is not None and known.status == "open" and known.sku == fact["sku"]:
            arrive(world, line, min(change, world.still_open(known)), fact["location"], as_of)
        world.off.setdefault(line, []).append(Off(as_of, change))


def explain(world: World, cell: tuple[str, str], line: SupplyKey, fact: Fact, quantity: int) -> None:
    """A receipt that comes after the level that counted it is what that level was presumed to have received."""
    as_of: AsOf = fact["as_of"]
    lines = [s.key for s in world.supplies.values() if (s.sku, s.location) == cell and s.key[0] == fact["source"]]
    for key in sorted(lines, key=lambda one: (one != line, one)):
        for one in world.off.get(key, []):
            after_the_level_before = one.since is None or later(as_of, one.since)
            if one.presumed and after_the_level_before and not later(as_of, one.as_of):
                quantity -= lessen([one], max(0, quantity))


def moved(world: World, key: Key, counts: Counts, fact: Fact) -> Counts:
    """A document counts so much per cell now: movements of the difference, from this fact's `as_of` on."""
    document = world.identities[key]
    before, document.named = document.named, counts
    change = {cell: counts.get(cell, 0) - before.get(cell, 0) for cell in {**before, **counts}}
    for cell, quantity in change.items():
        if quantity:
            sku, location = cell
            assert location is not None
            world.move(Movement(sku, location, fact["source"], fact["as_of"], quantity))
    alone = fact["kind"] == "stock.delta"  # the others change their supply line in any case
    if alone and all(covers(world.levels.get((sku, at or "")), fact["source"], fact["as_of"]) for sku, at in change):
        world.ignore("covered", "covered")
    return change


def transfer(world: World, fact: Fact) -> None:
    """Off one location when it was shipped; supply of the other until it is received, then on hand there."""
    key = key_of(fact)
    assert key is not None
    sku, status = fact["sku"], fact["status"]
    quantity = fact["quantity"] * (world.items[sku].factor(fact.get("unit")) or 1)
    known = world.identities.get(key)
    if not is_news(world, key, fact):
        if (
            known is not None
            and known.left is None
            and status == "shipped"
            and world.ignored in ("stale", "lower-version")
        ):
            left_before(world, known, fact, quantity)
        return
    document = world.identities[key]
    if status == "shipped":
        document.left = fact["as_of"], quantity
    gone = 0 if status == "cancelled" else document.left[1] if document.left is not None else quantity
    counts: Counts = {(sku, fact["from"]): -gone} if gone else {}
    if status == "received":
        counts[sku, fact["to"]] = counts.get((sku, fact["to"]), 0) + quantity
    moved(world, key, counts, fact)
    line = (fact["source"], f"transfer {fact['ref']}", str(fact.get("line") or ""))
    due = date.fromisoformat(fact["due"]) if fact.get("due") else world.today
    told = Supply(line, sku, fact["to"], quantity, due, "open" if status == "shipped" else status)
    told.as_of, told.version = fact["as_of"], fact.get("version")
    if status == "received":
        arrive(world, line, quantity, fact["to"], fact["as_of"])
    tell(world, told)


def left_before(world: World, document: Identity, fact: Fact, quantity: int) -> None:
    """An older statement says when the units left, and how many: they are off their location from then on."""
    document.left = fact["as_of"], quantity
    ended, cell = document.body, (fact["sku"], fact["from"])
    counted = -document.named.get(cell, 0)
    world.move(Movement(*cell, ended["source"], ended["as_of"], quantity if counted == 0 else counted))
    world.move(Movement(*cell, fact["source"], fact["as_of"], -quantity))
    if counted:
        document.named[cell] = -quantity


# --- presumed receipts ------------------------------------------------------------------------------------------------


def taken(world: World, old: Level | None, now: Level, cell: tuple[str, str]) -> None:
    """A level that rose by more than movements explain is presumed to have received open supply, earliest due first."""
    before = old.on_hand + gone(world, old, cell) if old is not None else 0
    for move in world.movements:
        here = (move.sku, move.location) == cell and not move.absorbed
        if here and covers(now, move.source, move.as_of) and not covers(old, move.source, move.as_of):
            before += move.on_hand
    left = now.on_hand + gone(world, now, cell) - before
    if left > 0 and new("receipts are presumed") and world.rule("presume_receipts"):
        since = old.as_of if old is not None else None
        rise = Rise(now.source, cell[0], cell[1], since, now.as_of, left)
        world.rises.append(rise)
        told = [s for s in world.supplies.values() if s.as_of is None or later(now.as_of, s.as_of)]
        presume(world, rise, told)


def gone(world: World, level: Level, cell: tuple[str, str]) -> int:
    """Units of orders here that this level no longer counts in its figure: shipped ones; of a net one, all inside."""
    held, world.levels[cell] = world.levels.get(cell), level
    units = [unit for _, unit in world.units(cell[0]) if unit.node == Node(cell[1]) and inside(world, unit)]
    if level.basis == "gross":
        units = [unit for unit in units if unit.shipped is not None and covers(level, *unit.shipped)]
    if held is not None:
        world.levels[cell] = held
    else:
        del world.levels[cell]
    return len(units)


def presume(world: World, rise: Rise, lines: list[Supply]) -> None:
    lines = [s for s in lines if s.status == "open" and s.key[0] == rise.source]
    lines = [s for s in lines if (s.sku, s.location) == (rise.sku, rise.location)]
    for line in sorted(lines, key=lambda s: (s.due or date.max, s.key)):
        quantity = min(rise.left, world.still_open(line))
        if quantity > 0:
            rise.left -= quantity
            arrive(world, line.key, quantity, rise.location, rise.as_of)
            world.off.setdefault(line.key, []).append(Off(rise.as_of, quantity, True, rise.since))
