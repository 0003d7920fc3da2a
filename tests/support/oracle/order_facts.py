"""What the ERP says about orders: acks and updates, by docs/rules.md, section 3 (of shipments: shipments.py).

In: the world and one fact. Out: the world changed; what comes before its order waits for it.
"""

from __future__ import annotations

from typing import Any

from tests.support.oracle.documents import is_news, key_of
from tests.support.oracle.places import acknowledge_unit, leave, place_of, shelf_order
from tests.support.oracle.presumed import counted_late
from tests.support.oracle.recipes import base_lines
from tests.support.oracle.shipments import bearers, left_behind, named_before, named_by, put_back, take_up, unship
from tests.support.oracle.world import Key, Reservation, Unit, World

Fact = dict[str, Any]


def ack(world: World, fact: Fact) -> None:
    found = bearers(world, fact)
    if found:
        acknowledge(world, found, fact)
    else:
        world.waiting.append(fact)


def order_update(world: World, fact: Fact) -> None:
    key = key_of(fact)
    assert key is not None
    known = world.identities.get(key)
    was = known.body["status"] if known is not None else fact["status"]
    old = named_before(world, key)
    if is_news(world, key, fact):
        found = bearers(world, fact)
        if (behind := left_behind(world, old, fact)) is not None:
            document = world.identities[key]
            for cell, quantity in document.named.items():
                take_back(world, behind, key, cell, quantity, was)
            if any(document.named.values()):
                take_up(world, behind)
            document.named = {}
        world.waiting = [one for one in world.waiting if key_of(one) != key]
        if found:
            update(world, found, key, was)
        else:
            world.waiting.append(fact)


def apply_waiting(world: World, reservation: Reservation) -> None:
    """What came before this order was confirmed counts now: what names the reservation as it came, then what names the
    order; what is about others goes on waiting. What shipments take follows when all of it is applied.
    """
    for fact in sorted(world.waiting, key=lambda one: one.get("reservation") is None):
        found = bearers(world, fact)
        if reservation in found:
            world.waiting.remove(fact)
            counted_late(world)
            if fact["kind"] == "order.ack":
                acknowledge(world, found, fact)
            else:
                key = key_of(fact)
                assert key is not None
                update(world, found, key, fact["status"], follows=False)


def acknowledge(world: World, found: list[Reservation], fact: Fact) -> None:
    """Without lines: every unit at a location of the source. With lines: every unit of their SKUs, at their places."""
    source, as_of = fact["source"], fact["as_of"]
    for reservation in found:
        named: dict[str, list[str]] = {}
        for sku, location, _ in base_lines(world, fact.get("lines") or [], [reservation]):
            assert location is not None
            named.setdefault(sku, []).append(location)
        for unit in reservation.units:
            if fact.get("lines") is not None:
                if unit.sku in named:
                    acknowledge_unit(unit, source, as_of, named[unit.sku])
            elif unit.node is not None and world.locations[unit.node.location].owner in (None, source):
                acknowledge_unit(unit, source, as_of, None)


def update(world: World, found: list[Reservation], key: Key, was: str, *, follows: bool = True) -> None:
    """cancelled, refused: the units leave. short: they count as shipped, where they are. A newer version that names
    fewer, or says otherwise, puts units back: those that it took, the last first.
    """
    document = world.identities[key]
    status = document.body["status"]
    before, document.named = document.named, named_by(world, document.body, found, key)
    turned = (status == "short") != (was == "short")
    if turned:
        for (sku, location), quantity in before.items():
            take_back(world, found, key, (sku, location), quantity, was)
        change = document.named
    else:
        cells = {**before, **document.named}
        change = {cell: document.named.get(cell, 0) - before.get(cell, 0) for cell in cells}
    fewer = {cell: -count for cell, count in change.items() if count < 0}
    for cell, quantity in fewer.items():
        take_back(world, found, key, cell, quantity, status)
    for (sku, location), quantity in change.items():
        if quantity > 0:
            chosen = take_off(world, found, key, sku, location, quantity)
            document.beyond[sku, location] = document.beyond.get((sku, location), 0) + quantity - chosen
    if follows and (any(change.values()) or (turned and before)):
        take_up(world, found)


def take_off(world: World, found: list[Reservation], key: Key, sku: str, location: str | None, quantity: int) -> int:
    """Returns how many were open."""
    body = world.identities[key].body
    chosen = not_to_come(world, found, sku, location, quantity)
    for reservation in found:
        mine = [unit for unit in chosen if any(unit is one for one in reservation.units)]
        if body.get("status") == "short":
            for unit in mine:
                leave(unit, body["source"], body["as_of"])
                unit.document = key
        else:
            reservation.units = [unit for unit in reservation.units if not any(unit is one for one in chosen)]
            reservation.dropped += [(key, unit) for unit in mine]
    return len(chosen)


def take_back(
    world: World, found: list[Reservation], key: Key, cell: tuple[str, str | None], quantity: int, status: str
) -> None:
    """What the document took beyond the open units goes first."""
    beyond = world.identities[key].beyond
    less = min(quantity, beyond.get(cell, 0))
    beyond[cell] = beyond.get(cell, 0) - less
    sku, location = cell
    if status == "short":
        unship(world, found, key, sku, location, quantity - less)
    else:
        units = [unit for r in found for one, unit in r.dropped if one == key and unit.sku == sku]
        units.sort(key=lambda unit: location is None or place_of(unit) == location)
        put_back(world, found, units[::-1][: quantity - less])


def not_to_come(world: World, found: list[Reservation], sku: str, location: str | None, quantity: int) -> list[Unit]:
    """The open units that the ERP takes off, of the oldest reservation first: those at the named location, then those
    that are least bound; of those at hand the last location by (priority, name), else the last first.
    """

    def bound(unit: Unit) -> int:
        if unit.node is None:
            return 1
        if unit.node.supply is not None:
            return 2
        return 0 if unit.node.location == location else 3

    open_units = [[unit for unit in r.units[::-1] if unit.sku == sku and unit.open] for r in found]
    for units in open_units:
        units.sort(key=lambda unit: shelf_order(world, unit), reverse=True)
        units.sort(key=bound)
    return [unit for units in open_units for unit in units][:quantity]
