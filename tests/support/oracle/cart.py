"""A cart and its placement: docs/rules.md, section 1, "A cart", and section 2, "Placement".

In: the world and requested lines. Out: `judge` says line by line what fits; `sell` and `bind_all` bind units to nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import lcm
from typing import Any

from tests.support.oracle.sellable import (
    Claim,
    F,
    arrival,
    at_hand,
    blocked_because,
    cap_epoch,
    claims,
    kits_of,
    nodes,
    oversell,
    parts_of,
    rest_of_allocation,
    rest_of_cap,
    room,
    stock_of_nodes,
)
from tests.support.oracle.world import Item, Line, Node, Reservation, Unit, World


@dataclass
class Verdict:
    """One line, judged after the lines before it that fit. Quantities in base units."""

    sku: str
    requested: int
    sellable: int
    reason: str | None
    location: str | None = None
    taken: int = 0  # what a hold gets: all of it, less under `partial`, nothing if the line fails
    line: Line | None = None  # what it becomes, once it is held

    @property
    def ok(self) -> bool:
        return self.reason is None

    def shown(self) -> dict[str, Any]:
        body = {"sku": self.sku, "requested": self.requested, "sellable": self.sellable, "ok": self.ok}
        return body if self.ok else body | {"reason": self.reason}


@dataclass
class Kept:
    """What the old body of a held reservation already has: it does not count against the new one."""

    units: list[Unit]
    kits: Counter[str]

    def of(self, sku: str, location: str | None) -> int:
        return sum(1 for u in self.units if u.sku == sku and (location is None or stands_at(u, location)))


def match_old(wanted: list[Unit], old: list[Unit]) -> dict[int, Unit]:
    """id of a wanted unit -> the old one that serves it: stock at hand first, then supply, then unsourced ones.

    Lines that name a location choose first, among the units that stand there.
    """
    left = sorted(old, key=lambda u: (u.node is None, u.node is not None and u.node.supply is not None))
    found: dict[int, Unit] = {}
    for unit in sorted(wanted, key=lambda u: u.location is None):
        fitting = (k for k in left if k.sku == unit.sku and (unit.location is None or stands_at(k, unit.location)))
        match = next(fitting, None)
        if match is not None:
            left = [k for k in left if k is not match]
            found[id(unit)] = match
    return found


def stands_at(unit: Unit, location: str) -> bool:
    return unit.node.location == location if unit.node else unit.location == location


def judge(
    world: World,
    channel: str,
    region: str | None,
    lines: list[dict[str, Any]],
    kept: Kept | None = None,
    partial: bool = False,
) -> list[Verdict]:
    """Each line against what the lines before it left; `partial`: it takes what there is; `held`: what it was then."""
    kept = kept or Kept([], Counter())
    taken: list[Unit] = []  # what the lines so far need, as units
    taken_kits: Counter[str] = Counter()
    verdicts = []
    for number, line in enumerate(lines):
        sku = world.sku(line["sku"])
        if sku is None:
            verdicts.append(Verdict(line["sku"], line["quantity"], 0, "unknown-sku"))
            continue
        item, location = world.items[sku], line.get("location")
        factor = item.factor(line.get("unit"))
        held = line.get("held") or as_declared(world, sku, line)
        parts, inner = held.parts, held.kits
        requested = line["quantity"] * (factor or 1)
        bounds, stocks = [], []
        for base, each in parts.items():
            for at in {None, location}:
                allowed = room(world, base, channel, region, at)
                had = kept.of(base, at) - sum(1 for u in taken if u.sku == base and at in (None, u.location))
                stocks.append((allowed.stock + had) // each)
                if allowed.total is not None:
                    bounds.append((allowed.total + had) // each)
        if bounds and (location is not None or any(unit.location is not None for unit in taken)):
            bounds.append(most_together(world, channel, region, taken, (parts, location), min(bounds), kept))
        for kit, each in inner.items():
            if (cap := rest_of_cap(world, channel, kit)) is not None:
                bounds.append((max(0, cap) + kept.kits[kit] - taken_kits[kit]) // each)
        most = max(0, min(bounds or stocks))
        most -= most % item.sell_multiple
        reason = blocked_because(world, sku, channel)
        if reason is not None:
            most = 0
        elif factor is None:
            reason = "unknown-unit"
        elif requested % item.sell_multiple:
            reason = "not-a-multiple"
        elif bounds and requested > most:
            reason = "insufficient-stock"
        quantity = 0 if reason else requested
        if partial and reason in ("insufficient-stock", "not-a-multiple"):
            quantity = whole_units(item, factor or 1, min(requested, most) if bounds else requested)
        verdicts.append(Verdict(sku, requested, most, reason, location, quantity, replace(held, quantity=quantity)))
        taken_kits.update({kit: each * quantity for kit, each in inner.items()})
        taken += units_of(parts, number, location, quantity)
    return verdicts


def whole_units(item: Item, factor: int, most: int) -> int:
    """Of the unit that was asked for, and of the sell multiple."""
    return most - most % lcm(item.sell_multiple, factor)


def as_declared(world: World, sku: str, line: dict[str, Any]) -> Line:
    """What a line is sold as now."""
    unit = line.get("unit")
    factor = world.items[sku].factor(unit) or 1
    return Line(sku, 0, line.get("location"), parts_of(world, sku), kits_of(world, sku), {}, unit, factor)


def units_of(parts: dict[str, int], line: int, location: str | None, quantity: int) -> list[Unit]:
    return [Unit(sku, line, location) for sku, each in parts.items() for _ in range(each * quantity)]


def most_together(
    world: World,
    channel: str,
    region: str | None,
    taken: list[Unit],
    line: tuple[dict[str, int], str | None],
    most: int,
    kept: Kept,
) -> int:
    """The most of a line, up to `most`, with which a hold of all lines so far oversells no more than the policy allows.

    Where lines name locations, each may find enough at its own and all together too little.
    """
    parts, location = line
    allowed = {sku: oversell(world, channel, sku) for sku in parts}
    for quantity in range(most, 0, -1):
        beyond = sold_beyond(world, channel, region, taken + units_of(parts, 0, location, quantity), kept)
        if all(allowance is None or beyond[sku] <= allowance for sku, allowance in allowed.items()):
            return quantity
    return 0


def sold_beyond(world: World, channel: str, region: str | None, wanted: list[Unit], kept: Kept) -> Counter[str]:
    """What a hold of these units would leave unsourced, per base SKU: it is made, looked at and taken back."""
    old = match_old(wanted, kept.units)
    new = [replace(unit) for unit in wanted if id(unit) not in old]
    trial = Reservation(
        "a trial", 1 + max((r.serial for r in world.reservations.values()), default=0), {}, channel, region, None, [], 0
    )
    world.reservations[trial.id] = trial
    place(world, trial, new)
    del world.reservations[trial.id]
    return Counter(unit.sku for unit in new if unit.node is None)


# --- the order of nodes -----------------------------------------------------------------------------------------------


def node_order(
    world: World, sku: str, channel: str, region: str | None, location: str | None, units: int
) -> list[Node]:
    """All stock at hand first, then supply by arrival; locations by the channel's sourcing, splits at hand alone."""
    rule = world.channel(channel)
    allowed = nodes(world, sku, channel, region, location)

    def by_splits(name: str) -> tuple[int, int]:
        here = at_hand(world, sku, name) if rule.sourcing == "fewest_splits" else units
        return (0, 0) if here >= units else (1, -here)

    def key(node: Node) -> tuple[Any, ...]:
        place = world.locations[node.location]
        away = region is not None and region not in place.regions
        if node.supply is None:
            return (0, away, by_splits(node.location), place.priority, node.location)
        due = arrival(world, world.supplies[node.supply])
        return (1, due, away, place.priority, node.location, node.supply)

    return sorted(allowed, key=key)


Waiting = dict[tuple[str, int, int, str], tuple[Reservation, list[Unit]]]

# --- two rounds -------------------------------------------------------------------------------------------------------


def bind(
    world: World,
    reservation: Reservation,
    waiting: list[Unit],
    first: Callable[[Claim], bool],
    second: Callable[[Claim], bool],
) -> None:
    """Bind units of one SKU and one wish to nodes, in two rounds; what finds no node stays unsourced.

    `first` and `second` choose the claims that each round leaves as reachable as before.
    """
    sku, channel, location = waiting[0].sku, reservation.channel, waiting[0].location
    order = node_order(world, sku, channel, reservation.region, location, len(waiting))
    left = sorted(waiting, key=by_departure)
    by_age = list(left)
    own_left = sum(1 for u in left if u.own is not None) + rest_of_allocation(world, channel, sku)
    limit = len(left) if world.channel(channel).draws_shared else own_left
    stock = stock_of_nodes(world, sku)
    for chosen in (first, second):
        for node in order:
            if not stock.get(node):
                continue  # where there is nothing, nothing binds: no need to ask who else might reach it
            kept = [claim for claim in claims(world, sku) if chosen(claim)]
            for _ in range(min(len(left), limit, F(world, sku, frozenset([node]), kept))):
                unit = left.pop(0)
                unit.node = node
                take_own(world, channel, unit)
                own_left -= 1
                limit -= 1
        limit = max(0, own_left)
    together([unit for unit in by_age if unit.node is not None])


def together(placed: list[Unit]) -> None:
    """What both rounds took from one node is one piece: units get nodes in the order in which each was first used."""
    nodes = [unit.node for unit in placed]
    for unit, node in zip(placed, sorted(nodes, key=nodes.index), strict=True):
        unit.node = node


def by_departure(unit: Unit) -> tuple[Any, ...]:
    """Those that have not left first, then by who reported that they have, and when; sold on their allocation first."""
    return (not unit.open, unit.shipped is not None, unit.shipped or (), unit.fulfilled, unit.own is None)


def take_own(world: World, channel: str, unit: Unit) -> None:
    """A sale takes its own allocation first and remembers it."""
    if unit.own is None and rest_of_allocation(world, channel, unit.sku) > 0:
        unit.own = world.allocations[channel, unit.sku].epoch


def place(world: World, reservation: Reservation, new: list[Unit]) -> None:
    """Add new units to a reservation and bind them, those whose line names a location first."""
    groups: dict[tuple[str, str | None], list[Unit]] = {}
    for unit in sorted(new, key=lambda u: u.location is None):
        unit.cap = cap_epoch(world, reservation.channel, unit.sku)
        groups.setdefault((unit.sku, unit.location), []).append(unit)
    for group in groups.values():
        reservation.units += group
        sell(world, reservation, group)


def sell(world: World, reservation: Reservation, waiting: list[Unit]) -> None:
    """Bind new units of one SKU and one wish. What finds no node is sold by the oversell policy.

    Units of the same hold are no claims on each other.
    """
    channel = reservation.channel

    def of_others(claim: Claim) -> bool:
        return not any(claim.unit is unit for unit in reservation.units)

    def all_but_own_rest(claim: Claim) -> bool:
        return of_others(claim) and not (claim.kind == "rest" and claim.channel == channel)

    def demand_and_older(claim: Claim) -> bool:
        return of_others(claim) and (claim.kind == "demand" or (claim.kind == "unsourced" and claim.channel == channel))

    bind(world, reservation, waiting, all_but_own_rest, demand_and_older)
    for unit in waiting:
        if unit.node is None:
            take_own(world, channel, unit)


def bind_all(world: World) -> None:
    """After every change: unsourced units bind, oldest first, by the same two rounds; what cannot is passed over.

    A unit that the level of its new cell counts already takes no stock, so another may bind after it: until none does.
    """
    while (waiting := unsourced(world)) and bind_each(world, waiting):
        pass


def unsourced(world: World) -> Waiting:
    """(SKU, serial, line, location) -> the reservation and its unsourced units."""
    found: Waiting = {}
    for reservation in world.reservations.values():
        for unit in reservation.units:
            if unit.node is None:
                key = (unit.sku, reservation.serial, unit.line, unit.location or "")
                found.setdefault(key, (reservation, []))[1].append(unit)
    return found


def bind_each(world: World, found: Waiting) -> bool:
    """True if any of them was bound."""
    for (_, serial, line, _), (reservation, waiting) in sorted(found.items(), key=lambda entry: entry[0]):
        bind_older(world, reservation, waiting, (serial, line))
    return any(unit.node is not None for _, waiting in found.values() for unit in waiting)


def bind_older(world: World, reservation: Reservation, waiting: list[Unit], age: tuple[int, int]) -> None:
    channel = reservation.channel

    def first(claim: Claim) -> bool:
        if claim.kind == "rest":
            return claim.channel != channel
        if claim.unit is None or claim.age < age:
            return True
        return claim.channel != channel and claim.unit.own is not None  # younger, but sold on its own allocation

    def second(claim: Claim) -> bool:
        return claim.kind == "demand" or (claim.unit is not None and claim.channel == channel and claim.age < age)

    bind(world, reservation, waiting, first, second)
