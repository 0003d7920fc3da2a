"""Where the units of an order stand, by what each source says of it: acks and shipments, in whatever order they arrive.

In: a unit of a confirmed order and one statement about it. Out: the unit moved, or left where it is. Always holds: what
one source says counts in the order of its `as_of`; a unit moves only to a place other than its own; a unit that has
left stays where it left from. What several sources say cannot be compared: there the last to arrive decides.
"""

from __future__ import annotations

import copy

from tests.support.oracle.world import AsOf, Node, Unit, Watch, World, by, later


def place_of(unit: Unit) -> str | None:
    return unit.node.location if unit.node else None


def shelf_order(world: World, unit: Unit) -> tuple[int, str]:
    """Among units at hand: by the location's (priority, name)."""
    if unit.node is None or unit.node.supply is not None:
        return 0, ""
    return world.locations[unit.node.location].priority, unit.node.location


def turn(watch: Watch, as_of: AsOf) -> int:
    """Where a statement stands among those of its source: after all that are not later. What is on another kind of
    clock, from before a reset, is earlier.
    """
    earlier = [at for at, (moment, _) in enumerate(watch.named, start=1) if not later(moment, as_of)]
    return max(earlier, default=0)


def came_at(unit: Unit, when: tuple[str, AsOf] | None) -> None:
    """To the shelf where it is, from the supply that it was bound to."""
    unit.arrived, unit.come_for = when, []


def path(watch: Watch) -> tuple[str | None, AsOf | None]:
    """(where the source has the unit, from which `as_of` on; None: from the beginning)."""
    place, since = watch.origin, None
    for as_of, places in watch.named:
        if place not in places:
            place, since = places[0], as_of
    return place, since


def acks_here(unit: Unit, source: str) -> list[AsOf]:
    """When the source acknowledged the unit at its place: what it saw at another place says nothing about this."""
    watch = unit.watches.get(source)
    if watch is None:
        return []
    _, since = path(watch)
    return [as_of for as_of in watch.acks if since is None or by(since, as_of)]


def acknowledge_unit(unit: Unit, source: str, as_of: AsOf, places: list[str] | None) -> None:
    """An ack of a unit; without places, it was seen at its place."""
    if unit.shipped is not None:
        unit.said_since.append((source, as_of, places))
    if unit.shipped is not None and places is not None and place_of(unit) not in places:
        unit.set_aside.append((source, as_of, places))
        return
    watch = watch_of(unit, source)
    if watch.since is not None and later(watch.since, as_of):
        return
    watch.acks.append(as_of)
    if places is not None:
        at = turn(watch, as_of)
        watch.late = watch.late or at < len(watch.named)
        watch.named.insert(at, (as_of, places))
    place, _ = path(watch)
    if place is not None and place != place_of(unit):
        put_at(unit, Node(place), by=source)


def ship_unit(unit: Unit, source: str, as_of: AsOf, location: str | None, shelf: str) -> None:
    """The unit has left from this shelf, which the shipment names or not."""
    leave(unit, source, as_of)
    if location is not None:
        watch = watch_of(unit, source)
        at = turn(watch, as_of)
        watch.late = watch.late or at < len(watch.named)
        unit.set_aside += [(source, *one) for one in watch.named[at:]]
        watch.named[at:] = [(as_of, [location])]
    put_at(unit, Node(shelf), by=source)


def leave(unit: Unit, source: str, as_of: AsOf) -> None:
    """It has left; where it was, and what was said of it, is remembered, should that be taken back."""
    unit.stood = unit.node, copy.deepcopy(unit.watches), unit.arrived
    unit.shipped, unit.said_since = (source, as_of), []


def put_at(unit: Unit, node: Node | None, by: str | None = None) -> None:
    """To another node. At another place, what the other sources saw of the unit before says nothing any more."""
    was, unit.node = place_of(unit), node
    if place_of(unit) != was:
        came_at(unit, None)
        for source, watch in unit.watches.items():
            if source != by:
                newest = watch.named[-1][0] if watch.named else watch.since
                unit.watches[source] = Watch(place_of(unit), since=newest)


def watch_of(unit: Unit, source: str) -> Watch:
    watch = unit.watches.setdefault(source, Watch(place_of(unit)))
    if not watch.named:
        watch.origin = place_of(unit)
    return watch
