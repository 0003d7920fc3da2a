"""What the ERP says about orders: acks, updates and shipments, by docs/rules.md, section 3.

In: the world and one fact, or what it names of one base SKU. Out: the world changed; what an order has not open becomes
a movement, what comes before its order waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.oracle import first_edition
from tests.support.oracle.places import acknowledge_unit, place_of, put_at, shelf_order, ship_unit, unship_unit
from tests.support.oracle.sellable import base_lines
from tests.support.oracle.world import AsOf, Movement, Node, Reservation, Unit, World


def orders(world: World, order_ref: str, channel: str | None = None) -> list[Reservation]:
    """Every reservation ever confirmed under the reference (of that channel, if one is named), oldest first."""
    found = [r for r in world.reservations.values() if r.order_ref == order_ref and channel in (None, r.channel)]
    return sorted((r for r in found if r.phase in ("confirmed", "cancelled")), key=lambda r: r.serial)


def apply_to_order(world: World, fact: dict[str, Any]) -> None:
    """An ack or an update of an order that is known; one that comes before its order waits for it."""
    found = orders(world, fact["order_ref"], fact.get("channel"))
    if not found:
        world.waiting.setdefault(fact["order_ref"], []).append(fact)
    elif fact["kind"] == "order.ack":
        acknowledge(world, found, fact)
    else:
        update(world, found, fact)


def acknowledge(world: World, found: list[Reservation], fact: dict[str, Any]) -> None:
    """Without lines: every unit at a location of the source. With lines: every unit of their SKUs, at their places."""
    if first_edition.stands():
        first_edition.acknowledge(world, found, fact)
        return
    source, as_of = fact["source"], fact["as_of"]
    named: dict[str, list[str]] = {}
    for sku, location, _ in base_lines(world, fact.get("lines") or []):
        assert location is not None
        named.setdefault(sku, []).append(location)
    for unit in [unit for r in found for unit in r.units]:
        if fact.get("lines") is not None:
            if unit.sku in named:
                acknowledge_unit(unit, source, as_of, named[unit.sku])
        elif unit.node is not None and world.locations[unit.node.location].owner in (None, source):
            acknowledge_unit(unit, source, as_of, None)


def update(world: World, found: list[Reservation], fact: dict[str, Any]) -> None:
    """cancelled, refused: the units leave. short: they count as shipped, where they are."""
    for sku, location, quantity in base_lines(world, fact["lines"]):
        chosen = {id(unit) for unit in not_to_come(world, found, sku, location, quantity)}
        for reservation in found:
            for unit in reservation.units:
                if id(unit) in chosen and fact["status"] == "short":
                    unit.shipped = (fact["source"], fact["as_of"])
            if fact["status"] != "short":
                reservation.units = [unit for unit in reservation.units if id(unit) not in chosen]


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
    at its place, a supply-bound one from the shelf there; an unsourced one from the order's first cell of that SKU
    by (priority, name), None if it has none.
    """
    candidates = [(age, unit) for age, r in enumerate(holders) for unit in r.units if unit.sku == sku and wanted(unit)]
    cells = {u.node.location for r in holders for u in r.units if u.sku == sku and u.node and u.node.supply is None}

    def distance(unit: Unit) -> int:
        if unit.node is None:
            return 4
        bound = unit.node.supply is not None
        return (0 if unit.node.location == location else 2) + bound

    candidates.sort(key=lambda entry: (distance(entry[1]), entry[0], *shelf_order(world, entry[1])))
    found: list[tuple[Unit, str | None]] = []
    for _, unit in candidates[:quantity]:
        first = min(cells, key=lambda name: (world.locations[name].priority, name), default=None)
        shelf = location or place_of(unit) or first
        found.append((unit, shelf))
        cells |= {shelf} if shelf is not None else set()
    return found


def hand_over(world: World, reservation: Reservation, sku: str, location: str | None, quantity: int) -> list[Unit]:
    """The open units that the shop says it handed over."""
    if first_edition.stands():
        return first_edition.take(world, [reservation], sku, location, quantity, lambda unit: unit.open, anywhere=True)
    chosen = leaving(world, [reservation], sku, location, quantity, lambda unit: unit.open)
    for unit, shelf in chosen:
        put_at(unit, Node(shelf) if shelf is not None else None)
    return [unit for unit, _ in chosen]


def ship(
    world: World, found: list[Reservation], sku: str, location: str | None, quantity: int, source: str, as_of: AsOf
) -> None:
    """Units fulfilled over HTTP first, then open ones; what the order has not open is a movement."""
    if first_edition.stands():
        quantity = first_edition.ship(world, found, sku, location, quantity, source, as_of)
    else:
        for wanted in (lambda u: u.fulfilled and u.shipped is None, lambda u: u.shipped is None):
            for unit, shelf in leaving(world, found, sku, location, quantity, wanted):
                if shelf is not None:
                    ship_unit(unit, source, as_of, location, shelf)
                    quantity -= 1
    if quantity and location is not None:
        world.movements.append(Movement(sku, location, source, as_of, -quantity))
    elif quantity:
        world.count("unlocated", quantity)


def unship(
    world: World, found: list[Reservation], sku: str, location: str | None, quantity: int, source: str, as_of: AsOf
) -> None:
    """A later version of a shipment names fewer: the latest units go back on the order, the rest is a movement."""
    shipped = [
        u
        for r in found
        for u in r.units
        if u.sku == sku
        and u.shipped is not None
        and u.shipped[0] == source
        and (location is None or (u.node is not None and u.node.location == location))
    ]
    for unit in shipped[::-1][:quantity]:
        unship_unit(unit)
        quantity -= 1
    if quantity and location is not None:
        world.movements.append(Movement(sku, location, source, as_of, quantity))
    elif quantity:
        world.count("unlocated", quantity)
