"""Presumed receipts: what a level rose by and nothing explains is supply that arrived: docs/rules.md, section 3.

In: the world before and after a level, a movement, a statement of a line or a change of orders. Out: how much of each
open line is presumed to have arrived; bound units of it on the shelf. Always holds: what explains a rise later counts
as if it had been known when the level came.
"""

from __future__ import annotations

from datetime import date, datetime

from tests.support.oracle.places import put_at
from tests.support.oracle.sellable import demand_left, inside
from tests.support.oracle.world import (
    AsOf,
    Came,
    Cell,
    Growth,
    Inside,
    Level,
    Lowered,
    Movement,
    Node,
    Off,
    Rise,
    Supply,
    World,
    bound_to,
    by,
    covers,
    later,
)


def is_on(world: World) -> bool:
    return bool(world.rule("presume_receipts"))


def counted(world: World, cell: Cell) -> int:
    """on_hand - allocated - demand - committed: holds aside."""
    sku, location = cell
    level, left = world.levels.get(cell), demand_left(world)
    total = level.on_hand if level is not None else 0
    total -= (level.allocated or 0) if level is not None and level.basis == "gross" else 0
    for move in world.movements:
        here = (move.sku, move.location) == cell and not move.absorbed
        if here and (move.counts or not covers(level, move.source, move.as_of)):
            total += move.on_hand
    for demand in world.demands.values():
        if demand.sku == sku and demand.locations == [location] and demand.due is None:
            total -= left[demand.key]
    return total - committed(world, cell)


def committed(world: World, cell: Cell) -> int:
    """Units of orders that the level does not count."""
    here = [unit for r, unit in world.units(cell[0]) if r.phase != "held" and unit.node == Node(cell[1])]
    return sum(1 for unit in here if not inside(world, unit))


def growth(world: World, cell: Cell) -> Growth:
    return world.growths.setdefault(cell, Growth())


# --- levels -----------------------------------------------------------------------------------------------------------


def level_came(world: World, cell: Cell, before: Level | None, now: Level, units: int) -> None:
    """The cell counts so many units more than with the level before."""
    if not is_on(world):
        return
    known = growth(world, cell)
    for lowered in known.lowered:
        explained = min(lowered.quantity, max(0, units))
        lowered.quantity -= explained
        units -= explained
    known.lowered = [
        one for one in known.lowered if one.quantity and one.as_of is not None and later(one.as_of, now.as_of)
    ]
    known.brought = 0
    is_open, is_waiting = bool(open_lines(world, cell)), committed(world, cell) > 0
    if known.rises and known.rises[-1].upto == now.as_of:
        known.rises[-1].units += units
    elif units > 0 or is_open or is_waiting:
        comparable = before is not None and before.source == now.source and by(before.as_of, now.as_of)
        since = before.as_of if before is not None and comparable else None
        known.rises.append(Rise(since, now.as_of, units, world.next_arrival()))
    if not is_open:
        known.rises = [r for r in known.rises if r.units > 0 or (is_waiting and r.upto == now.as_of)]


def stated_again(world: World, cell: Cell, held: Level) -> None:
    """A level comes under the `as_of` of the one before, with other figures: what it rises by may be of any line that
    was stated without an `as_of` since that one came.
    """
    for line in open_lines(world, cell) if is_on(world) else []:
        if isinstance(line.stated, Came) and line.stated.number > held.came:
            line.stated = None


def move(world: World, movement: Movement) -> None:
    """It counts on top of the level, or explains what the level that covers it, or one before, rose by."""
    cell = movement.sku, movement.location
    level = world.levels.get(cell)
    movement.counts = level is not None and level.reset
    world.movements.append(movement)
    if not movement.counts and covers(level, movement.source, movement.as_of):
        rise = rise_at(world, cell, movement.as_of)
        if rise is not None:
            rise.units -= movement.on_hand
            world.count("explained_later")


def rise_at(world: World, cell: Cell, as_of: AsOf) -> Rise | None:
    """The one between whose levels a moment lies."""
    rises = growth(world, cell).rises
    between = (r for r in rises if by(as_of, r.upto) and (r.after is None or later(as_of, r.after)))
    return next(between, None)


def brought(world: World, cell: Cell, units: int) -> None:
    """A delta or a return brought units: a line is lowered for them, then or later."""
    known = growth(world, cell)
    if is_on(world) and units > 0 and (known.lowered or open_lines(world, cell)):
        known.brought += units - take_lowered(known, units)


def take_lowered(known: Growth, units: int) -> int:
    """What a statement that lowered a line still has to explain is explained already; returns how much of it."""
    left = units
    for lowered in known.lowered:
        used = min(lowered.quantity, max(0, left))
        lowered.quantity -= used
        left -= used
    known.lowered = [one for one in known.lowered if one.quantity]
    return units - left


def stands_inside(world: World) -> Inside:
    found: Inside = {}
    for reservation in world.reservations.values():
        for unit in reservation.units:
            if unit.node is not None and inside(world, unit):
                found[id(unit)] = unit.sku, unit.node.location
    return found


def look(world: World) -> None:
    """Before a fact or a command: what is inside."""
    world.inside = stands_inside(world)


def counted_late(world: World, by_level: Cell | None = None) -> bool:
    """Units that turn out to be inside the newest level: it rose by so much more. Or by less, where they are not.

    `by_level`: the cell whose level came just now; it has counted them. True if that changed anything.
    """
    changes: dict[Cell, int] = {}
    before, now = world.inside, stands_inside(world)
    world.inside = now
    for unit, cell in now.items():
        if before.get(unit) != cell:
            changes[cell] = changes.get(cell, 0) + 1
    units = {
        id(u): (u.sku, u.node.location) for r in world.reservations.values() for u in r.units if u.node is not None
    }
    for unit, cell in before.items():
        if unit not in now and units.get(unit) == cell:
            changes[cell] = changes.get(cell, 0) - 1
    changes.pop(by_level, None) if by_level is not None else None
    for cell, more in changes.items():
        level, known = world.levels.get(cell), growth(world, cell)
        if known.rises and level is not None and known.rises[-1].upto == level.as_of:
            known.rises[-1].units += more
            world.count("inside_later")
    return bool(changes)


# --- what a line was lowered for --------------------------------------------------------------------------------------


def explains(world: World, old: Supply, told: Supply, lowered: int) -> None:
    """A line of the location's owner is stated with less: that is what levels rose by since it was stated before, or
    what the next ones will; unless movements brought it.
    """
    owner = world.locations[told.location].owner
    if lowered <= 0 or told.status == "cancelled" or told.transfer or owner not in (None, told.key[0]):
        return
    told.lowered += lowered
    if not is_on(world):
        return
    known = growth(world, (told.sku, told.location))
    used = min(known.brought, lowered)
    known.brought -= used
    left = lowered - used
    for rise in known.rises:
        if rise.units > 0 and is_newer(rise, old):
            explained = min(rise.units, left)
            rise.units -= explained
            left -= explained
            world.count("lowered_explains", explained)
    if left > 0:
        known.lowered.append(Lowered(told.as_of, left))


def explains_instead(world: World, line: Supply, units: int, as_of: AsOf) -> None:
    """A receipt that comes after the statement that counts it: the movement explains the level, not the statement."""
    units = max(0, min(units, line.lowered))
    line.lowered -= units
    cell = line.sku, line.location
    known = growth(world, cell)
    left = units - take_lowered(known, units)
    rise = rise_at(world, cell, as_of) or (known.rises[-1] if known.rises else None)
    if rise is not None:
        rise.units += left
        world.count("receipts_instead", left)


def is_newer(rise: Rise, line: Supply) -> bool:
    """The level of a rise than what is stated of a line."""
    if isinstance(line.stated, Came):
        return rise.came > line.stated.number
    return line.stated is None or later(rise.upto, line.stated)


# --- which lines arrived ----------------------------------------------------------------------------------------------


def may_arrive(world: World, cell: Cell) -> list[Supply]:
    """Lines there of the source that states the levels, and transfers, earliest due first.

    Numbers of two sources say nothing of which is older: another source's transfer counts where it gives a time.
    """
    owner = world.locations[cell[1]].owner
    lines = [s for s in world.supplies.values() if (s.sku, s.location) == cell]
    lines = [s for s in lines if s.key[0] == owner or (s.transfer and isinstance(s.stated, datetime))]
    return sorted(lines, key=lambda s: (s.due or date.max, s.key[1:]))


def open_lines(world: World, cell: Cell) -> list[Supply]:
    """Those of which levels of the cell may show something."""
    return [line for line in may_arrive(world, cell) if world.room(line)]


def shares_of(world: World, cell: Cell) -> list[tuple[Supply, list[Off]]]:
    """Of each line so many units arrived, by what the levels of its cell rose by: the oldest rise first."""
    shares: list[tuple[Supply, list[Off]]] = [(line, []) for line in may_arrive(world, cell)]
    for rise in growth(world, cell).rises:
        left = rise.units
        for line, share in shares:
            if left > 0 and is_newer(rise, line):
                taken = min(left, world.room(line) - sum(one.quantity for one in share))
                share.append(Off(line.sku, rise.upto, taken))
                left -= taken
    return shares


def presume(world: World) -> bool:
    """True if that changed anything."""
    if not is_on(world):
        return False
    shares = [share for cell in sorted(world.growths) for share in shares_of(world, cell)]
    changed = [presume_of(world, line, sum(one.quantity for one in share)) for line, share in shares]
    return any(changed)


def presume_of(world: World, line: Supply, share: int) -> bool:
    """Units bound to what arrived move to the shelf, oldest first, and stay there."""
    more, line.presumed = share - line.presumed, share
    bound = bound_to(world, line.key)
    moved = bound[: max(0, more, len(bound) - world.still_open(line))]
    for unit in moved:
        put_at(unit, Node(line.location))
        world.count("bound_and_presumed")
    return more != 0 or bool(moved)


def forget_moments(world: World, cell: Cell) -> None:
    """Levels of a cell begin a new clock: what was presumed to have arrived is received, until its line is stated
    again; what lines were stated with less for, the next level shows, and of lines without `as_of` it may show more.
    """
    for line, share in shares_of(world, cell):
        world.off.setdefault(line.key, []).extend(share)
        world.count("kept_as_received", line.presumed)
        line.presumed = 0
    for move in world.movements:
        move.in_next = move.in_next or (move.sku, move.location) == cell
    known = growth(world, cell)
    known.rises = []
    for lowered in known.lowered:
        lowered.as_of = None
    for line in world.supplies.values():
        if (line.sku, line.location) == cell and line.as_of is None:
            line.stated = None


def hand_over(world: World, location: str) -> None:
    """What levels of the source before rose by says nothing of the supply of the new one."""
    world.growths = {cell: known for cell, known in world.growths.items() if cell[1] != location}
