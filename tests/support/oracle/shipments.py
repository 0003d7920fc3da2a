"""Shipments: which units of an order left, from where, and what takes them back: docs/rules.md, section 3.

In: the world and a shipment, or what a shop handed over. Out: the units marked and moved; what the order has not open
is a movement. Always holds: a document counts what its newest version names, whatever came before it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from tests.support.oracle.cart import bind_all, take_own
from tests.support.oracle.documents import is_news, key_of
from tests.support.oracle.places import acknowledge_unit, came_at, place_of, put_at, ship_unit
from tests.support.oracle.presumed import move
from tests.support.oracle.recipes import base_lines
from tests.support.oracle.sellable import cap_epoch, unbound
from tests.support.oracle.world import AsOf, Identity, Key, Movement, Node, Reservation, Unit, World

Named = dict[tuple[str, str | None], int]


def bearers(world: World, fact: dict[str, Any]) -> list[Reservation]:
    """The orders that a fact names: the one reservation, else every one that bears the order's number (on the channel,
    if one is named), oldest first. A reservation is an order once it was confirmed.
    """
    by_name, ref, channel = fact.get("reservation"), fact.get("order_ref"), fact.get("channel")
    found = [
        r
        for r in world.reservations.values()
        if r.ordered
        and channel in (None, r.channel)
        and (r.id == by_name if by_name is not None else ref is not None and r.order_ref == ref)
    ]
    return sorted(found, key=lambda r: r.serial)


def named_before(world: World, key: Key) -> tuple[dict[str, Any], list[Reservation]] | None:
    """What the newest version of a document says, and the reservations that it means."""
    known = world.identities.get(key)
    return (known.body, bearers(world, known.body)) if known is not None else None


def left_behind(
    world: World, old: tuple[dict[str, Any], list[Reservation]] | None, fact: dict[str, Any]
) -> list[Reservation] | None:
    """The reservations of the version before, where a newer one names another order and means others by that: there the
    document counts no longer.
    """
    if old is None or name_of(old[0]) == name_of(fact):
        return None
    behind, now = ({r.id for r in found} for found in (old[1], bearers(world, fact)))
    return old[1] if behind != now else None


def taken_elsewhere(world: World, key: Key, now: list[Reservation]) -> list[Reservation] | None:
    """The same for a shipment of which all units were of its order."""
    behind = [r for r in world.reservations.values() if any(unit.document == key for unit in r.units)]
    behind.sort(key=lambda r: r.serial)
    meant = {r.id for r in now}
    return behind if any(r.id not in meant for r in behind) else None


def name_of(fact: dict[str, Any]) -> tuple[str | None, ...]:
    """Of an order: its reservation alone counts, where one is named."""
    reservation = fact.get("reservation")
    return reservation, fact.get("order_ref") if reservation is None else None, fact.get("channel")


def named_by(world: World, fact: dict[str, Any], found: list[Reservation], key: Key) -> Named:
    """Base units by SKU and location."""
    named: Named = {}
    for sku, location, quantity in base_lines(world, fact["lines"], found, key):
        named[sku, location] = named.get((sku, location), 0) + quantity
    return named


def shipment(world: World, fact: dict[str, Any]) -> None:
    key = key_of(fact)
    assert key is not None
    old = named_before(world, key)
    if not is_news(world, key, fact):
        return
    document, found = world.identities[key], bearers(world, fact)
    source, as_of = fact["source"], fact["as_of"]
    behind = left_behind(world, old, fact) if any(document.beyond.values()) else taken_elsewhere(world, key, found)
    if behind is not None:
        for (sku, location), quantity in document.named.items():
            less = min(quantity, document.beyond.get((sku, location), 0))
            surplus(world, document, (sku, location), -less, source, as_of)
            unship(world, behind, key, sku, location, quantity - less)
        document.named = {}
        take_up(world, behind)
    before, document.named = document.named, named_by(world, fact, found, key)
    change = {place: document.named.get(place, 0) - before.get(place, 0) for place in {**before, **document.named}}
    fewer = {place: -count for place, count in change.items() if count < 0}
    for (sku, location), quantity in fewer.items():  # first what goes back: a later line may take it elsewhere
        less = min(quantity, document.beyond.get((sku, location), 0))
        surplus(world, document, (sku, location), -less, source, as_of)
        unship(world, found, key, sku, location, quantity - less)
    for (sku, location), quantity in change.items():
        if quantity > 0:
            ship(world, found, key, (sku, location), quantity, source, as_of)
    if fewer:
        take_up(world, found)


def leaving(
    world: World,
    holders: list[Reservation],
    sku: str,
    location: str | None,
    quantity: int,
    wanted: Callable[[Unit], bool],
) -> list[tuple[Unit, str | None]]:
    """The units that a shipment or a fulfilment takes, oldest reservation first, and the shelf that each leaves from.

    Those at the named location first, at hand and then bound to supply there; then those elsewhere at hand, then those
    bound to supply elsewhere, then unsourced ones. All leave from the named location. Without a name, each leaves from
    its place, a supply-bound one from the shelf there; an unsourced one from the order's first cell of that SKU
    by (priority, name), None if it has none.
    """
    candidates = [(age, unit) for age, r in enumerate(holders) for unit in r.units if unit.sku == sku and wanted(unit)]
    cells = {u.node.location for r in holders for u in r.units if u.sku == sku and u.node and u.node.supply is None}

    def distance(unit: Unit) -> int:
        if unit.node is None:
            return 4
        bound = unit.node.supply is not None
        return (0 if unit.node.location == location else 2) + bound

    candidates.sort(key=lambda entry: (distance(entry[1]), entry[0], *turn(world, entry[1])))
    found: list[tuple[Unit, str | None]] = []
    for _, unit in candidates[:quantity]:
        first = min(cells, key=lambda name: (world.locations[name].priority, name), default=None)
        shelf = location or place_of(unit) or first
        found.append((unit, shelf))
        cells |= {shelf} if shelf is not None else set()
    return found


def turn(world: World, unit: Unit) -> tuple[int, str, date, int, bool]:
    """Among units as far away: by the (priority, name) of where they are or come, supply by the day that it is due; one
    line after the other, of it those that a source acknowledged first.
    """
    unseen = not any(watch.acks for watch in unit.watches.values())
    if unit.node is None:
        return 0, "", date.min, unit.line, unseen
    place = world.locations[unit.node.location]
    due = world.supplies[unit.node.supply].due if unit.node.supply is not None else date.min
    return place.priority, place.name, due or date.max, unit.line, unseen


def hand_over(world: World, reservation: Reservation, sku: str, location: str | None, quantity: int) -> list[Unit]:
    """The open units that the shop says it handed over."""
    chosen = leaving(world, [reservation], sku, location, quantity, lambda unit: unit.open)
    for unit, shelf in chosen:
        put_at(unit, Node(shelf) if shelf is not None else None)
    return [unit for unit, _ in chosen]


def ship(
    world: World, found: list[Reservation], key: Key, cell: tuple[str, str | None], quantity: int, source: str, at: AsOf
) -> None:
    """Units fulfilled over HTTP first, then open ones, then those that a return took off; the rest is a movement."""
    sku, location = cell
    quantity = ship_units(world, found, key, cell, quantity, source, at)
    if back := returned_units(found, sku)[:quantity]:
        put_back(world, found, back)
        if location is None:
            bind_all(world)  # it leaves from where it is bound now
        quantity = ship_units(world, found, key, cell, quantity, source, at)
    surplus(world, world.identities[key], cell, quantity, source, at)


def ship_units(
    world: World, found: list[Reservation], key: Key, cell: tuple[str, str | None], quantity: int, source: str, at: AsOf
) -> int:
    """Returns how many the order has not open."""
    sku, location = cell
    for wanted in (lambda u: u.fulfilled and u.shipped is None, lambda u: u.shipped is None):
        for unit, shelf in leaving(world, found, sku, location, quantity, wanted):
            if shelf is not None:
                ship_unit(unit, source, at, location, shelf)
                unit.document = key
                quantity -= 1
    return quantity


def surplus(
    world: World, document: Identity, cell: tuple[str, str | None], quantity: int, source: str, as_of: AsOf
) -> None:
    """What a document names beyond the order's open units (below 0: no longer) is a movement at its location."""
    sku, location = cell
    document.beyond[cell] = document.beyond.get(cell, 0) + quantity
    if quantity and location is not None:
        move(world, Movement(sku, location, source, as_of, -quantity))
    elif quantity > 0:
        world.count("unlocated", quantity)


def take_up(world: World, found: list[Reservation]) -> None:
    """Units that are open again are first taken by what other shipments named beyond the open ones, by identity."""
    for key, document in sorted(world.identities.items()):
        if key[1] == "shipment" and any(r in bearers(world, document.body) for r in found):
            for cell, quantity in sorted(document.beyond.items(), key=repr):
                source, as_of = key[0], document.body["as_of"]
                left = ship_units(world, bearers(world, document.body), key, cell, quantity, source, as_of)
                surplus(world, document, cell, left - quantity, source, as_of)


def unship(world: World, found: list[Reservation], key: Key, sku: str, location: str | None, quantity: int) -> None:
    """A later version of a document names fewer: the last of its units go back on the order."""
    units = [unit for r in found for unit in r.units if unit.sku == sku and unit.document == key]
    units.sort(key=lambda unit: location is None or place_of(unit) == location)
    for unit in units[::-1][:quantity]:
        unship_unit(world, unit)


def unship_unit(world: World, unit: Unit) -> None:
    """As if it had never left: it is where it was, and what was said of it since is said again."""
    assert unit.stood is not None
    unit.shipped = unit.document = None
    unit.known_to = []
    unit.node, unit.watches, when = unit.stood
    came_at(unit, when)
    supply = world.supplies[unit.node.supply] if unit.node is not None and unit.node.supply is not None else None
    if unit.node is not None and supply is not None:
        place, unit.node = unit.node, None
        has_room = supply.status == "open" and unbound(world, supply) > 0
        unit.node = place
        if supply.status == "received":
            put_at(unit, Node(place.location))
        elif not has_room:
            put_at(unit, None)
    said, unit.said_since, unit.set_aside = unit.said_since, [], []
    for source, as_of, places in said:
        if places is not None or unit.node is not None:  # beyond any node it stays unacknowledged
            acknowledge_unit(unit, source, as_of, places)


def returned_units(found: list[Reservation], sku: str) -> list[Unit]:
    """Open units that returns took off the order, the last first."""
    return [unit for r in found for key, unit in r.dropped[::-1] if key[1] == "return" and unit.sku == sku]


def put_back(world: World, found: list[Reservation], units: list[Unit]) -> None:
    """Units that had been taken off are open again: new ones of their line, unsourced; they bind like any."""
    for reservation in found:
        mine = [entry for entry in reservation.dropped if any(entry[1] is unit for unit in units)]
        for entry in mine:
            reservation.dropped = [one for one in reservation.dropped if one is not entry]
            fresh = Unit(entry[1].sku, entry[1].line, entry[1].location)
            fresh.cap = cap_epoch(world, reservation.channel, fresh.sku)
            take_own(world, reservation.channel, fresh)
            reservation.units.append(fresh)
        reservation.units.sort(key=lambda unit: unit.line)
