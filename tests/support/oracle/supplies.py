"""What is on its way, and what of it arrived: supply lines, receipts and transfers: docs/rules.md, sections 1 and 3.

In: the world and one fact, or a level that was taken. Out: open supply, movements, and bound units moved to the shelf.
Always holds: what arrived is on the shelf or on the line, never on both.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from tests.support.oracle.documents import is_news, key_of
from tests.support.oracle.places import came_at, put_at
from tests.support.oracle.presumed import brought, explains, explains_instead, move
from tests.support.oracle.world import (
    AsOf,
    Came,
    Identity,
    Key,
    Movement,
    Node,
    Off,
    Supply,
    SupplyKey,
    World,
    bound_to,
    by,
    is_covered,
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
    told.stated = since(world, old, told)
    world.supplies[key] = told
    same_goods = old is not None and (old.sku, old.location) == (told.sku, told.location)
    was = world.room(old) if old is not None else 0
    forget_what_it_counts(world, old, told)
    if old is not None:
        told.lowered = old.lowered
        if same_goods:
            told.presumed = old.presumed if told.status == "open" else 0
            explains(world, old, told, was - world.room(told))
    bound = bound_to(world, key)
    if same_goods and told.status == "received":
        for unit in bound:
            unit.node = Node(unit.node.location if unit.node else told.location)
        return
    kept = world.room(told) if same_goods and told.status == "open" else 0
    excess = max(0, len(bound) - kept)
    for unit in bound[:excess]:  # the oldest first: they are the first to bind again
        put_at(unit, None)
    world.count("deficit", excess)


def since(world: World, old: Supply | None, told: Supply) -> AsOf | Came | None:
    """What a level must be newer than to show units of the line: the statement's `as_of`, or its arrival where it is
    the first one of this SKU at this place or a higher version; another one leaves that as it was.
    """
    if told.as_of is not None:
        return told.as_of
    moved_away = old is not None and (old.sku, old.location) != (told.sku, told.location)
    if old is None or moved_away or is_higher(told.version, old.version):
        return Came(world.next_arrival())
    return old.stated


def is_higher(version: int | None, than: int | None) -> bool:
    return version is not None and (than is None or version > than)


def forget_what_it_counts(world: World, old: Supply | None, told: Supply) -> None:
    """What arrived is off a line until the line is stated again: with an `as_of` that is not older or, if there is
    none, with a higher version. Without either, what its quantity fell by is what arrived.
    """
    off = world.off.get(told.key, [])
    if told.as_of is not None:
        off = [one for one in off if one.as_of is not None and not by(one.as_of, told.as_of)]
    elif old is not None and is_higher(told.version, old.version):
        off = []
    elif old is not None:
        lessen([one for one in off if one.sku == told.sku], max(0, old.quantity - told.quantity))
    world.off[told.key] = off


def lessen(off: list[Off], quantity: int) -> None:
    """Takes up to so much from what is off a line."""
    for one in off:
        taken = min(quantity, max(0, one.quantity))
        one.quantity -= taken
        quantity -= taken


def arrive(world: World, line: SupplyKey, quantity: int, location: str, as_of: AsOf) -> None:
    """Of the units that are bound to a line, so many move to the shelf, the oldest first."""
    for unit in bound_to(world, line)[: max(0, quantity)]:
        put_at(unit, Node(location))
        came_at(unit, (line[0], as_of))


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
    known = world.supplies.get(line)
    if known is not None and known.sku != fact["sku"]:
        return
    if known is not None and known.as_of is not None and by(as_of, known.as_of):
        explains_instead(world, known, change, as_of)
    else:
        world.off.setdefault(line, []).append(Off(fact["sku"], as_of, change))
    arrive(world, line, change, fact["location"], as_of)


def moved(world: World, key: Key, counts: Counts, fact: Fact) -> Counts:
    """A document counts so much per cell now: movements of the difference, from this fact's `as_of` on."""
    document = world.identities[key]
    before, document.named = document.named, counts
    change = {cell: counts.get(cell, 0) - before.get(cell, 0) for cell in {**before, **counts}}
    for cell, quantity in change.items():
        if quantity:
            sku, location = cell
            assert location is not None
            if fact["kind"] == "stock.delta":
                brought(world, (sku, location), quantity)
            changed = Movement(sku, location, fact["source"], fact["as_of"], quantity)
            document.moves.append(changed)
            move(world, replace(changed))
    alone = fact["kind"] == "stock.delta"  # the others change their supply line in any case
    if alone and all(is_covered(world, (sku, at or ""), fact["source"], fact["as_of"]) for sku, at in change):
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
        if known is not None and tells_when_it_left(world, known, fact):
            left_before(world, known, fact, quantity)
            world.ignored = None
        return
    document = world.identities[key]
    cell = sku, fact["from"]
    if status == "shipped":
        document.left = cell, quantity
    known_gone = document.left[1] if document.left is not None and document.left[0] == cell else quantity
    gone = 0 if status == "cancelled" else known_gone
    counts: Counts = {cell: -gone} if gone else {}
    if status == "received":
        counts[sku, fact["to"]] = counts.get((sku, fact["to"]), 0) + quantity
    moved(world, key, counts, fact)
    line = (fact["source"], f"transfer {fact['ref']}", str(fact.get("line") or ""))
    due = date.fromisoformat(fact["due"]) if fact.get("due") else world.today
    told = Supply(line, sku, fact["to"], quantity, due, "open" if status == "shipped" else status)
    told.as_of, told.version, told.transfer = fact["as_of"], fact.get("version"), True
    if status == "received":
        arrive(world, line, len(bound_to(world, line)), fact["to"], fact["as_of"])
    tell(world, told)


def tells_when_it_left(world: World, known: Identity, fact: Fact) -> bool:
    """An older statement is the first to say so, of the units that are known."""
    older = world.ignored in ("stale", "lower-version", "closed-supply") and not known.forgotten
    same = (known.body["sku"], known.body["from"]) == (fact["sku"], fact["from"])
    return older and same and known.left is None and fact["status"] == "shipped"


def left_before(world: World, document: Identity, fact: Fact, quantity: int) -> None:
    """An older statement says when the units left, and how many: they are off their location from then on, and not from
    when statements said it that did not know. Where they did not arrive, they came back with the newest one.
    """
    ended, cell = document.body, (fact["sku"], fact["from"])
    document.left = cell, quantity
    world.count("left_before")
    moves = [replace(one, on_hand=-one.on_hand) for one in document.moves if (one.sku, one.location) == cell]
    moves.append(Movement(*cell, fact["source"], fact["as_of"], -quantity))
    if ended["status"] != "received" or ended["quantity"] == 0:
        moves.append(Movement(*cell, ended["source"], ended["as_of"], quantity))
    for one in moves:
        move(world, replace(one))
    document.moves += moves
    document.named[cell] = sum(one.on_hand for one in document.moves if (one.sku, one.location) == cell)
