"""docs/rules.md, section 1, line by line: from on hand to sellable. Nothing is stored; all is computed each time.

In: the world. Out: `room` (what one base SKU allows before the sell multiple) and `sellable`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import ceil

from tests.support.oracle.flow import reach
from tests.support.oracle.places import acks_here
from tests.support.oracle.stillness import once_while_still
from tests.support.oracle.world import (
    Demand,
    Level,
    Node,
    Ration,
    Reservation,
    Supply,
    Unit,
    World,
    counts_open_orders,
    covers,
)

# --- one location -----------------------------------------------------------------------------------------------------


def usable_stock(world: World, sku: str, location: str) -> int:
    """on_hand - unsellable: the level and the movements that it does not cover."""
    level = world.levels.get((sku, location))
    total = level.on_hand - level.unsellable if level else 0
    for move in world.movements:
        here = (move.sku, move.location) == (sku, location)
        if here and not move.absorbed and (move.counts or not covers(level, move.source, move.as_of)):
            total += move.on_hand - move.unsellable
    return total


def inside(world: World, unit: Unit) -> bool:
    """True if the level of the unit's cell counts the unit already."""
    if unit.node is None or unit.node.supply is not None:
        return False
    level = world.levels.get((unit.sku, unit.node.location))
    if level is None:
        return False
    if unit.shipped is not None and (is_known_to(level, unit.known_to) or covers(level, *unit.shipped)):
        return True
    seen = acks_here(unit, level.source)
    acked = any(covers(level, level.source, as_of) for as_of in seen)
    there = unit.arrived is None or is_known_to(level, unit.come_for) or covers(level, *unit.arrived)
    return acked and there and counts_open_orders(level)


def is_known_to(level: Level, sources: list[tuple[str, int]]) -> bool:
    """It came after its source took over, or began again, knowing the unit."""
    return any(source == level.source and at < level.came for source, at in sources)


def owed(world: World, sku: str, location: str) -> int:
    """allocated_in_erp + demand + committed + held."""
    level = world.levels.get((sku, location))
    allocated_in_erp = (level.allocated or 0) if level and level.basis == "gross" else 0
    left = demand_left(world)
    demand = sum(
        left[d.key] for d in world.demands.values() if d.sku == sku and d.locations == [location] and d.due is None
    )
    here = Node(location)
    committed_and_held = sum(1 for _, unit in world.units(sku) if unit.node == here and not inside(world, unit))
    return allocated_in_erp + demand + committed_and_held


@once_while_still
def demand_left(world: World) -> dict[tuple[str, str, str], int]:
    """What each demand adds: not what the orders that it names cover, nothing that its own level counts."""
    cover: Counter[tuple[str, str]] = Counter()
    orders = [r for r in world.reservations.values() if r.ordered]
    for reservation in orders:
        cover.update((reservation.id, unit.sku) for unit in reservation.units)
    left = {}

    def how_closely(demand: Demand) -> int:
        """Those that name a reservation come first, then a channel: the others take what is left, of any."""
        return 0 if demand.reservation is not None else 1 if demand.channel is not None else 2

    for key, demand in sorted(world.demands.items(), key=lambda entry: (how_closely(entry[1]), entry[0])):
        quantity = demand.quantity
        for order in orders:
            by_number = demand.order_ref is not None and order.order_ref == demand.order_ref
            named = order.id == demand.reservation if demand.reservation is not None else by_number
            if named and demand.channel in (None, order.channel):
                covered = min(quantity, cover[order.id, demand.sku])
                cover[order.id, demand.sku] -= covered
                quantity -= covered
        if len(demand.locations) == 1:
            level = world.levels.get((demand.sku, demand.locations[0]))
            own_level = level is not None and level.source == demand.source and counts_open_orders(level)
            if own_level and covers(level, demand.source, demand.as_of):
                quantity = 0
        left[key] = quantity
    return left


def safety(world: World, sku: str, location: str) -> int:
    """By the most specific rule: SKU and location, SKU, location, none."""
    for key in ((sku, location), (sku, None), (None, location), (None, None)):
        if key in world.safeties:
            absolute, percent = world.safeties[key]
            return max(absolute, ceil(Fraction(percent) / 100 * usable_stock(world, sku, location)))
    return 0


def at_hand(world: World, sku: str, location: str) -> int:
    stock = usable_stock(world, sku, location)
    return max(0, stock - owed(world, sku, location) - safety(world, sku, location))


def hole(world: World, sku: str, location: str) -> int:
    return max(0, owed(world, sku, location) - usable_stock(world, sku, location))


# --- supply -----------------------------------------------------------------------------------------------------------


def arrival(world: World, supply: Supply) -> date | None:
    """The day that the supply counts from; None if it is not to be counted on."""
    if supply.due is None or supply.status != "open" or supply.confidence < world.rule("supply_confidence_min"):
        return None
    if supply.due >= world.today:
        return supply.due
    if (world.today - supply.due).days > world.rule("overdue_grace_days"):
        return None
    return world.today + timedelta(days=world.rule("overdue_slip_days"))


def unbound(world: World, supply: Supply) -> int:
    bound = sum(1 for _, unit in world.units(supply.sku) if unit.node and unit.node.supply == supply.key)
    return max(0, world.still_open(supply) - bound)


def supplies_left(world: World, sku: str, location: str) -> dict[Node, int]:
    """Each usable supply of the cell: what is not bound, after the earliest due filled the location's hole."""
    usable = [s for s in world.supplies.values() if (s.sku, s.location) == (sku, location) and arrival(world, s)]
    to_fill = hole(world, sku, location)
    left = {}
    for supply in sorted(usable, key=lambda s: (arrival(world, s), s.key)):
        filled = min(to_fill, unbound(world, supply))
        to_fill -= filled
        left[Node(location, supply.key)] = unbound(world, supply) - filled
    return left


# --- nodes and claims -------------------------------------------------------------------------------------------------


def enabled(world: World, names: list[str] | str = "*") -> list[str]:
    return [n for n in sorted(world.locations) if world.locations[n].enabled and (names == "*" or n in names)]


@once_while_still
def stock_of_nodes(world: World, sku: str) -> dict[Node, int]:
    stock: dict[Node, int] = {}
    for location in enabled(world):
        stock[Node(location)] = at_hand(world, sku, location)
        stock |= supplies_left(world, sku, location)
    return stock


def nodes_until(world: World, sku: str, locations: list[str], last: date | None) -> frozenset[Node]:
    """The locations at hand and, where `last` is given, their usable supply that arrives by then."""
    found = {Node(location) for location in locations}
    for supply in world.supplies.values():
        day = arrival(world, supply)
        if supply.sku == sku and supply.location in locations and last is not None and day is not None and day <= last:
            found.add(Node(supply.location, supply.key))
    return frozenset(found)


def nodes(
    world: World,
    sku: str,
    channel: str,
    region: str | None = None,
    location: str | None = None,
    reaching: date | None = None,
) -> frozenset[Node]:
    """N(c): the enabled locations at hand, and their supply due within the horizon (a promise: until `reaching`)."""
    rule = world.channel(channel)
    names = enabled(world, rule.locations)
    if rule.regional == "require" and region is not None:
        names = [n for n in names if region in world.locations[n].regions]
    if location is not None:
        names = [n for n in names if n == location]
    days = rule.supply_horizon_days
    last = world.today + timedelta(days=days) if days > 0 else None
    return nodes_until(world, sku, names, reaching or last)


@dataclass
class Claim:
    kind: str  # rest, unsourced, demand
    quantity: int
    nodes: frozenset[Node]
    channel: str | None = None
    age: tuple[int, int] = (0, 0)  # of an unsourced unit: reservation's serial, line
    unit: Unit | None = None  # the unsourced one


def consumed(world: World, ration: Ration, kind: str, channel: str, sku: str) -> int:
    """What the units that are still counted took from this allocation (`own`) or cap (`cap`), in this period."""
    holders = [r for r in world.reservations.values() if r.channel == channel]
    in_kits = sum(kits_counted(r, sku, ration.epoch) for r in holders) if kind == "cap" else 0
    return in_kits + sum(
        1 for r in holders for unit in r.units if unit.sku == sku and getattr(unit, kind) == ration.epoch
    )


def kits_counted(reservation: Reservation, kit: str, epoch: int) -> int:
    """How many of a kit use this cap: those sold, alone or inside another, that still have a component counted."""
    total = 0
    for number, line in enumerate(reservation.lines):
        if line.caps.get(kit) == epoch:
            parts = Counter(unit.sku for unit in reservation.units if unit.line == number)
            there = max((ceil(Fraction(parts[sku], each)) for sku, each in line.parts.items()), default=0)
            total += there * line.kits[kit]
    return total


def rest_of_allocation(world: World, channel: str, sku: str) -> int:
    ration = world.allocations.get((channel, sku))
    if ration is None:
        return 0
    return max(0, (ration.quantity or 0) - consumed(world, ration, "own", channel, sku))


def rest_of_cap(world: World, channel: str, sku: str) -> int | None:
    ration = world.caps.get((channel, sku))
    if ration is None or ration.quantity is None:
        return None
    return ration.quantity - consumed(world, ration, "cap", channel, sku)


def cap_epoch(world: World, channel: str, sku: str) -> int | None:
    ration = world.caps.get((channel, sku))
    return ration.epoch if ration is not None and ration.quantity is not None else None


@once_while_still
def claims(world: World, sku: str, reaching: tuple[str, date] | None = None) -> list[Claim]:
    """Everything that must stay reachable; `reaching` widens the horizon of the one channel that a promise is for."""
    found = []
    for channel, of_sku in sorted(world.allocations):
        if of_sku == sku:
            found.append(Claim("rest", rest_of_allocation(world, channel, sku), nodes(world, sku, channel), channel))
    for reservation, unit in world.units(sku):
        if unit.node is None and (unit.own is not None or world.channel(reservation.channel).draws_shared):
            last = reaching[1] if reaching and reaching[0] == reservation.channel else None
            where = nodes(world, sku, reservation.channel, reservation.region, reaching=last)
            found.append(Claim("unsourced", 1, where, reservation.channel, (reservation.serial, unit.line), unit))
    left = demand_left(world)
    for key, demand in sorted(world.demands.items()):
        if demand.sku == sku and left[key] and (len(demand.locations) != 1 or demand.due):
            where = nodes_until(world, sku, enabled(world, demand.locations or "*"), demand.due)
            found.append(Claim("demand", left[key], where))
    return found


def F(world: World, sku: str, take_from: frozenset[Node], kept: list[Claim]) -> int:  # noqa: N802 - as in docs/rules.md
    return reach(take_from, [(c.quantity, c.nodes) for c in kept], stock_of_nodes(world, sku))


# --- one SKU on one channel -------------------------------------------------------------------------------------------


@dataclass
class Room:
    """What a base SKU allows, before the sell multiple."""

    stock: int  # without the oversell policy
    total: int | None  # with it; None: no bound


def oversell_rule(world: World, channel: str, sku: str) -> tuple[str | None, str | None] | None:
    """The key of the most specific rule. An undeclared channel does not oversell."""
    if world.channel(channel).declared:
        for key in ((sku, channel), (sku, None), (None, channel), (None, None)):
            if key in world.oversells:
                return key
    return None


def oversell(world: World, channel: str, sku: str) -> int | None:
    key = oversell_rule(world, channel, sku)
    policy, limit = world.oversells[key] if key else ("none", 0)
    if policy == "unlimited":
        return None
    if policy == "none":
        return 0
    sold = sum(1 for r, unit in world.units(sku) if unit.node is None and oversell_rule(world, r.channel, sku) == key)
    return max(0, limit - sold)


@once_while_still
def room(
    world: World,
    sku: str,
    channel: str,
    region: str | None = None,
    location: str | None = None,
    reaching: date | None = None,
) -> Room:
    """own, free, base, capped and oversell of docs/rules.md, for a base SKU.

    Within one location if it is given; then without the cap, which bounds a whole cart wherever its units come from.
    """
    mine = nodes(world, sku, channel, region, location, reaching)
    kept = claims(world, sku, (channel, reaching) if reaching else None)
    free = F(world, sku, mine, [k for k in kept if not (k.kind == "rest" and k.channel == channel)])
    demand_and_mine = [k for k in kept if k.kind == "demand" or (k.kind == "unsourced" and k.channel == channel)]
    own = min(rest_of_allocation(world, channel, sku), F(world, sku, mine, demand_and_mine))
    base = max(own, free) if world.channel(channel).draws_shared else own
    cap = rest_of_cap(world, channel, sku) if location is None else None
    more = oversell(world, channel, sku)
    if cap is None:
        return Room(base, None if more is None else base + more)
    capped = min(base, cap)
    return Room(max(0, capped), max(0, cap if more is None else min(capped + more, cap)))


def parts_of(world: World, sku: str) -> dict[str, int]:
    """Base components of one unit, repeated ones summed; of an item that is no kit, itself."""
    kit = world.items[sku].kit
    if not kit:
        return {sku: 1}
    total: dict[str, int] = {}
    for component, quantity in kit:
        for base, each in parts_of(world, component).items():
            total[base] = total.get(base, 0) + each * quantity
    return total


def kits_of(world: World, sku: str) -> dict[str, int]:
    """A kit and the kits inside it, at every depth: how many of each in one, repeated ones summed."""
    item = world.items[sku]
    if not item.kit:
        return {}
    total = {sku: 1}
    for component, quantity in item.kit:
        for kit, each in kits_of(world, component).items():
            total[kit] = total.get(kit, 0) + each * quantity
    return total


def blocked_because(world: World, sku: str, channel: str) -> str | None:
    """`restricted` or `inactive`: of the item itself, else of its components, a restriction first."""
    keys = ((sku, channel), (sku, None), (None, channel), (None, None))
    if next((world.restrictions[key] for key in keys if key in world.restrictions), False):
        return "restricted"
    if world.items[sku].status == "discontinued":
        return "inactive"
    reasons = {blocked_because(world, component, channel) for component, _ in world.items[sku].kit}
    return next((reason for reason in ("restricted", "inactive") if reason in reasons), None)


def sellable(
    world: World, sku: str, channel: str, region: str | None = None, reaching: date | None = None
) -> tuple[int, bool, str | None]:
    """(sellable, unlimited, reason for a 0)."""
    reason = blocked_because(world, sku, channel)
    if reason:
        return 0, False, reason
    parts = parts_of(world, sku)
    rooms = {base: room(world, base, channel, region, reaching=reaching) for base in parts}
    bounds = [r.total // parts[base] for base, r in rooms.items() if r.total is not None]
    for kit, each in kits_of(world, sku).items():
        if (cap := rest_of_cap(world, channel, kit)) is not None:
            bounds.append(max(0, cap) // each)
    unlimited = not bounds
    most = min(rooms[base].stock // parts[base] for base in parts) if unlimited else min(bounds)
    multiple = world.items[sku].sell_multiple
    return most // multiple * multiple, unlimited, None


def promise(world: World, sku: str, channel: str, region: str | None, quantity: int) -> date | None:
    """The first day, today or the day that a supply arrives, on which `quantity` is sellable."""

    def enough(reaching: date) -> bool:
        most, unlimited, reason = sellable(world, sku, channel, region, reaching)
        return reason is None and (unlimited or most >= quantity)

    last = world.today + timedelta(days=world.rule("promise_horizon_days"))
    arrivals = {arrival(world, s) for s in world.supplies.values() if s.sku in parts_of(world, sku)}
    days = sorted({world.today, *(day for day in arrivals if day is not None and day <= last)})
    return next((day for day in days if enough(day)), None)
