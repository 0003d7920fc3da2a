"""Random facts about orders: acks, updates and shipments, of orders that exist and of others.

In: the world so far, the step, and `Pick`, as in histories.py. Out: one fact `(source, body)`. Always holds: shapes are
right; half of them are about units that exist, with places where these are or might be, early and late.
"""

from __future__ import annotations

from typing import Any

from tests.support.histories import (
    LOCATIONS,
    Fact,
    Facts,
    Pick,
    an_order,
    optional,
    source_and_as_of,
    told_by,
)
from tests.support.oracle.world import Reservation, Unit, World


def order_lines(pick: Pick, *, counted: bool) -> list[dict[str, Any]]:
    """With a count, the location may be missing; an ack's lines have one and no count."""
    lines = []
    for _ in range(pick.between(1, 2)):
        place = pick.one(LOCATIONS) if not counted or pick.once_in(2) else None
        count = pick.between(1, 4) if counted else None
        unit = pick.seldom(["pair"], 8) if counted else None
        lines.append(optional(sku=pick.one(["A", "A", "B", "B", "K", "R"]), location=place, quantity=count, unit=unit))
    return lines


def order_ack(pick: Pick, world: World, step: int) -> Fact:
    lines = order_lines(pick, counted=False) if pick.once_in(3) else None
    return told_by(source_and_as_of(pick, step, None), kind="order.ack", lines=lines, **an_order(pick, world))


def order_update(pick: Pick, world: World, step: int) -> Fact:
    version = pick.seldom([1, 2, 3], 3)
    return told_by(
        source_and_as_of(pick, step, None),
        kind="order.update",
        ref=pick.one(["u1", f"u-{step}"]),
        line=pick.seldom(["1", "2"]),
        status=pick.one(["cancelled", "refused", "short"]),
        lines=[] if withdrawn(pick, version) else order_lines(pick, counted=True),
        version=version,
        **an_order(pick, world),
    )


def withdrawn(pick: Pick, version: int | None) -> bool:
    """A document that has a version may name nothing."""
    return version is not None and pick.once_in(3)


def shipment(pick: Pick, world: World, step: int) -> Fact:
    version = pick.seldom([1, 2, 3], 3)
    return told_by(
        source_and_as_of(pick, step, pick.seldom(LOCATIONS)),
        kind="shipment",
        ref=pick.one(["s1", f"s-{step}", f"s-{step}"]),
        line=pick.seldom(["1", "2"]),
        lines=[] if withdrawn(pick, version) else order_lines(pick, counted=True),
        version=version,
        **an_order(pick, world),
    )


def ordered_units(world: World) -> list[tuple[Reservation, Unit]]:
    return [
        (r, unit)
        for r in sorted(world.reservations.values(), key=lambda r: r.serial)
        for unit in r.units
        if r.order_ref is not None
    ]


def named(pick: Pick, reservation: Reservation, unit: Unit) -> str:
    """The SKU by which a fact may name a unit: its own, or that of the kit that it was sold in."""
    return pick.one([unit.sku, unit.sku, reservation.lines[unit.line].sku])


def ack_of_units(pick: Pick, world: World, step: int) -> Fact:
    """An ack of an order that exists, naming the place of one of its units or another; often older than the last."""
    units = ordered_units(world)
    if not units:
        return order_ack(pick, world, step)
    reservation, unit = pick.one(units)
    at = [unit.node.location] if unit.node else []
    places = [pick.one([*at, *at, *LOCATIONS]) for _ in range(pick.between(1, 2))]
    lines = [{"sku": named(pick, reservation, unit), "location": place} for place in places]
    return told_by(
        {"source": pick.seldom(["wms"], 10) or "erp", "as_of": max(1, 10 + step - pick.between(0, 9))},
        kind="order.ack",
        order_ref=reservation.order_ref,
        channel=pick.often([reservation.channel]),
        lines=pick.often([lines]),
    )


def shipment_of_units(pick: Pick, world: World, step: int) -> Fact:
    """A shipment of units that exist, bound to supply where there are any, from their place, another or none."""
    units = ordered_units(world)
    units = [one for one in units if one[1].node and one[1].node.supply and one[1].open] or units
    if not units:
        return shipment(pick, world, step)
    reservation, unit = pick.one(units)
    at = [unit.node.location] if unit.node else []
    place = pick.one([None, *at, *at, pick.one(LOCATIONS)])
    line = optional(sku=named(pick, reservation, unit), location=place, quantity=pick.between(1, 3))
    return told_by(
        {"source": "erp", "as_of": max(1, 10 + step - pick.between(0, 6))},
        kind="shipment",
        ref=pick.one([f"s-{step}", f"s-{step}", f"s-of-{reservation.id}"]),
        order_ref=reservation.order_ref,
        channel=pick.often([reservation.channel]),
        lines=[] if withdrawn(pick, 1) and pick.once_in(2) else [line],
        version=pick.between(1, 3),
    )


ORDER_FACTS: list[Facts] = [order_ack, order_update, shipment, ack_of_units, shipment_of_units]
