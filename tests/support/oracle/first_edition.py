"""How acks and shipments moved units by the first edition of the rules; this file goes with edition.py.

In: a confirmed order's reservations and an ack, a shipment or a fulfilment. Out: the units moved, marked, or named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.oracle.edition import new
from tests.support.oracle.places import acknowledge_unit, leave, shelf_order
from tests.support.oracle.recipes import base_lines
from tests.support.oracle.world import AsOf, Movement, Node, Reservation, Unit, World

RULES = ["late acks", "shipping what is bound to supply", "an ack of the own place"]


def stands() -> bool:
    """True while any of the rules that this file would break is still to come."""
    return not new(*RULES)


def take(
    world: World,
    holders: list[Reservation],
    sku: str,
    location: str | None,
    quantity: int,
    wanted: Callable[[Unit], bool],
    *,
    anywhere: bool = False,
) -> list[Unit]:
    """The units that a shipment or a fulfilment takes, oldest reservation first.

    At the named location first, then elsewhere at hand, then bound to supply, then unsourced. They move to the named
    location. Without a name, units without a shelf move to the order's first cell of that SKU by (priority, name);
    if it has none they cannot be taken (a fulfilment takes them where they are: `anywhere`).
    """
    candidates = [(age, unit) for age, r in enumerate(holders) for unit in r.units if unit.sku == sku and wanted(unit)]
    cells = [u.node.location for r in holders for u in r.units if u.sku == sku and u.node and u.node.supply is None]

    def distance(unit: Unit) -> int:
        if unit.node is None:
            return 3
        if unit.node.supply is not None:
            return 2
        return 0 if location is None or unit.node.location == location else 1

    candidates.sort(key=lambda entry: (distance(entry[1]), entry[0], *shelf_order(world, entry[1])))
    first = min(cells, key=lambda name: (world.locations[name].priority, name), default=None)
    target = location if location is not None else first
    able = [u for _, u in candidates if target is not None or anywhere or distance(u) < 2]
    chosen = able[:quantity]
    for unit in chosen:
        if target is not None and distance(unit) > 0:
            move(unit, target)
    return chosen


def move(unit: Unit, location: str) -> None:
    """To the shelf of a location. What the ERP saw of the unit elsewhere says nothing about this one."""
    if unit.node is None or unit.node.location != location:
        unit.acks = []
    unit.node = Node(location)


def acknowledge(world: World, found: list[Reservation], fact: dict[str, Any]) -> None:
    ack = (fact["source"], fact["as_of"])
    units = [unit for r in found for unit in r.units]
    if fact.get("lines") is None:
        for unit in units:
            if unit.node is not None and world.locations[unit.node.location].owner in (None, fact["source"]):
                unit.acks.append(ack)
        return
    named: dict[str, list[str]] = {}
    for sku, location, _ in base_lines(world, fact["lines"]):
        assert location is not None
        named.setdefault(sku, []).append(location)
    for unit in units:
        if unit.sku in named:
            at_shelf = unit.node is not None and unit.node.supply is None
            if unit.shipped is None and not (at_shelf and unit.node and unit.node.location in named[unit.sku]):
                move(unit, named[unit.sku][0])
            unit.acks.append(ack)


def ship(
    world: World, found: list[Reservation], sku: str, location: str | None, quantity: int, source: str, as_of: AsOf
) -> int:
    """Returns how many the order has not open."""
    for wanted in (lambda u: u.fulfilled and u.shipped is None, lambda u: u.shipped is None):
        for unit in take(world, found, sku, location, quantity, wanted):
            leave(unit, source, as_of)
            quantity -= 1
    return quantity


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
        unit.shipped = unit.document = None
        said, unit.set_aside = unit.set_aside, []
        for one, at, places in said:
            acknowledge_unit(unit, one, at, places)
        quantity -= 1
    if quantity and location is not None:
        world.move(Movement(sku, location, source, as_of, quantity))
    elif quantity:
        world.count("unlocated", quantity)
