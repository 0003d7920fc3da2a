"""Facts: what the accepted ones change. docs/facts.md, "Kinds", "Order", "Identity".

In: one fact with its source. Out: None (accepted, counted or not) or the reason why it is rejected.
Shapes are taken as right (the oracle is fed by well-formed histories); business rules are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from tests.support.oracle.documents import Seen, is_news, key_of, says_otherwise
from tests.support.oracle.order_facts import ack, order_update
from tests.support.oracle.places import place_of
from tests.support.oracle.presumed import counted, forget_moments, hand_over, level_came, stated_again
from tests.support.oracle.refusals import parse_as_of, refuse, skus_named
from tests.support.oracle.returns import returned
from tests.support.oracle.shipments import shipment
from tests.support.oracle.supplies import moved, receipt, supply, transfer
from tests.support.oracle.world import (
    Channel,
    Demand,
    Item,
    Level,
    Location,
    Ration,
    Unit,
    World,
)

Fact = dict[str, Any]

# Each looks at every reservation: one message has few.
WIDE, WIDE_MAX = {"ownership", "source.reset"}, 2


def take_fact(world: World, source: str, fact: Fact, seen: Seen | None = None) -> str | None:
    """`seen`: what the same request said before this fact."""
    world.ignored = None
    # `source` of a rule about a source is not who sends it.
    fact = dict(fact, owner=fact.get("source"), source=source)
    reason = refuse(world, fact)
    if reason is not None:
        return reason
    seen = Seen() if seen is None else seen
    if fact["kind"] in WIDE:
        seen.wide += 1
        if seen.wide > WIDE_MAX:
            return "too-costly"
    name = fact.get("sku")
    if "as_of" in fact:
        fact["as_of"] = parse_as_of(fact["as_of"])
    if name is not None and fact["kind"] != "item":
        fact["sku"] = world.sku(name) or name
    if says_otherwise(seen, fact, name):
        return "same-identity"
    for unknown in skus_named(fact):
        if world.sku(unknown) is None:
            world.items[unknown] = Item(unknown)
    if "as_of" in fact:
        world.clocks.setdefault(source, type(fact["as_of"]))
    HANDLERS[fact["kind"]](world, fact)
    return None


# --- stock ------------------------------------------------------------------------------------------------------------


def factor(world: World, fact: Fact) -> int:
    return world.items[fact["sku"]].factor(fact.get("unit")) or 1


def level(world: World, fact: Fact) -> None:
    cell, each = (fact["sku"], fact["location"]), factor(world, fact)
    unsellable = sum((fact.get("unsellable") or {}).values()) * each
    given = fact.get("allocated")
    allocated = None if given is None else given * each if fact["basis"] == "gross" else 0
    now = Level(fact["source"], fact["as_of"], fact["on_hand"] * each, unsellable, allocated, fact["basis"])
    held = world.levels.get(cell)
    if world.locations[fact["location"]].owner is None:
        world.locations[fact["location"]].owner = fact["source"]
    same_clock = held is not None and held.source == now.source and not held.reset
    if held is not None and same_clock and held.as_of > now.as_of:  # type: ignore[operator]
        world.ignore("stale", "stale_levels")
        return
    if held is not None and same_clock and held.as_of == now.as_of:
        if held == now:
            world.ignored = "repeat"
            return
        world.count("level_conflicts")
        stated_again(world, cell, held)
    before, now.came = counted(world, cell), world.next_arrival()
    world.levels[cell] = now
    for move in world.movements:
        if (move.sku, move.location) == cell and held is not None and held.reset:
            move.absorbed, move.counts = move.absorbed or move.in_next, False
    for move in world.movements:
        comparable = move.source == now.source or isinstance(move.as_of, datetime)
        if (move.sku, move.location) == cell and (not comparable or type(move.as_of) is not type(now.as_of)):
            move.absorbed = True
    level_came(world, cell, held, now, counted(world, cell) - before)


def delta(world: World, fact: Fact) -> None:
    key = key_of(fact)
    assert key is not None
    if is_news(world, key, fact):
        moved(world, key, {(fact["sku"], fact["location"]): fact["quantity"] * factor(world, fact)}, fact)


def demand(world: World, fact: Fact) -> None:
    key = (fact["source"], fact["ref"], str(fact["line"]))
    if is_news(world, (fact["source"], "demand", *key[1:]), fact):
        named = [fact["location"]] if fact.get("location") else list(fact.get("locations") or [])
        due = date.fromisoformat(fact["due"]) if fact.get("due") else None
        world.demands[key] = Demand(
            key,
            fact["source"],
            fact["sku"],
            named,
            fact["quantity"],
            due,
            fact["as_of"],
            fact.get("order_ref"),
            fact.get("channel"),
            fact.get("reservation"),
        )


# --- policies ---------------------------------------------------------------------------------------------------------


def item(world: World, fact: Fact) -> None:
    kit = [(world.sku(line["sku"]) or line["sku"], line["quantity"]) for line in fact.get("kit") or []]
    for phantom in set(fact.get("aliases") or []) & set(world.items) - {fact["sku"]}:
        world.items.pop(phantom)  # its name means the true SKU from now on
        world.levels = {cell: level for cell, level in world.levels.items() if cell[0] != phantom}
        world.movements = [move for move in world.movements if move.sku != phantom]
    world.items[fact["sku"]] = Item(
        fact["sku"],
        fact.get("base_unit"),
        dict(fact.get("units") or {}),
        kit,
        list(fact.get("aliases") or []),
        fact.get("sell_multiple", 1),
        fact.get("status", "active"),
    )


def location(world: World, fact: Fact) -> None:
    old = world.locations.get(fact["location"])
    world.locations[fact["location"]] = Location(
        fact["location"],
        list(fact.get("regions") or []),
        fact.get("priority", 100),
        fact.get("enabled", True),
        old.owner if old else None,
        old.former if old else set(),
    )


def channel(world: World, fact: Fact) -> None:
    world.channels[fact["channel"]] = Channel(
        fact["channel"],
        fact["locations"],
        fact.get("draws_shared", True),
        fact.get("supply_horizon_days", 0),
        fact.get("sourcing", "priority"),
        fact.get("regional", "prefer"),
    )


def ration(world: World, table: dict[tuple[str, str], Ration], fact: Fact) -> None:
    """The same period keeps what was consumed; another one starts at zero; one once left does not come back."""
    key, quantity, period = (fact["channel"], fact["sku"]), fact["quantity"], fact.get("period")
    old = table.get(key)
    if old is None:
        table[key] = Ration(quantity, period, world.new_epoch())
    elif period is not None and period == old.period:
        world.ignored = "repeat" if old.quantity == quantity else None
        old.quantity = quantity
    elif period is not None and period in old.left:
        world.ignore("stale", "stale_periods")
    elif (quantity, period) == (old.quantity, old.period):
        world.ignored = "repeat"
    else:
        if old.period is not None:
            old.left.add(old.period)
        table[key] = Ration(quantity, period, world.new_epoch(), old.left)


def allocation(world: World, fact: Fact) -> None:
    ration(world, world.allocations, fact)


def cap(world: World, fact: Fact) -> None:
    ration(world, world.caps, fact)


def safety(world: World, fact: Fact) -> None:
    key = (fact.get("sku"), fact.get("location"))
    if fact.get("absolute") is None and fact.get("percent") is None:
        world.safeties.pop(key, None)
    else:
        world.safeties[key] = (fact.get("absolute") or 0, str(fact.get("percent") or 0))


def oversell(world: World, fact: Fact) -> None:
    key = (fact.get("sku"), fact.get("channel"))
    if fact.get("policy") is None:
        world.oversells.pop(key, None)
    else:
        world.oversells[key] = (fact["policy"], fact.get("limit") or 0)


def ownership(world: World, fact: Fact) -> None:
    """What had been shipped from there by now is inside every level of the new owner; its levels begin a new clock."""
    place = world.locations[fact["location"]]
    if place.owner is not None and place.owner != fact["owner"]:
        place.former.add(place.owner)
        have_left(world, fact["owner"], lambda unit: place_of(unit) == place.name)
        for cell, level in world.levels.items():
            if cell[1] == place.name:
                forget_moments(world, cell)
                level.reset = True
        hand_over(world, place.name)
    place.owner = fact["owner"]
    place.former.discard(fact["owner"])


def have_left(world: World, source: str, is_meant: Callable[[Unit], bool]) -> None:
    """Units that are known to have left by now are inside the next levels of a source; those that came have come."""
    for reservation in world.reservations.values():
        for unit in filter(is_meant, reservation.units):
            if unit.shipped is not None:
                unit.known_to.append((source, world.next_arrival()))
            if unit.arrived is not None:
                unit.come_for.append((source, world.next_arrival()))


def source_reset(world: World, fact: Fact) -> None:
    """The next level of the source counts there, however old it says it is. What the whole source states from now on is
    on another clock: its levels have what is known to have left, or come, by now.
    """
    cells = []
    for (sku, place), level in world.levels.items():
        if level.source == fact["owner"] and fact.get("sku") in (None, sku) and fact.get("location") in (None, place):
            forget_moments(world, (sku, place))
            level.reset = True
            cells.append((sku, place))
    if fact.get("sku") is None and fact.get("location") is None:
        have_left(world, fact["owner"], lambda unit: (unit.sku, place_of(unit)) in cells)
        world.clocks.pop(fact["owner"], None)
        for line in world.supplies.values():
            if line.key[0] == fact["owner"]:
                line.as_of = line.stated = None
        for (source, *_), arrived in world.off.items():
            for off in arrived if source == fact["owner"] else []:
                off.as_of = None
        for (source, kind, *_), document in world.identities.items():
            document.forgotten = document.forgotten or (source == fact["owner"] and kind in ("supply", "transfer"))


def restriction(world: World, fact: Fact) -> None:
    world.restrictions[fact.get("sku"), fact.get("channel")] = fact["blocked"]


def freshness(world: World, fact: Fact) -> None:
    """Bounds what is served when a feed is late; it does not change what is sellable."""


HANDLERS = {
    "stock.level": level,
    "stock.delta": delta,
    "supply": supply,
    "receipt": receipt,
    "transfer": transfer,
    "demand": demand,
    "order.ack": ack,
    "order.update": order_update,
    "shipment": shipment,
    "return": returned,
    "item": item,
    "location": location,
    "channel": channel,
    "allocation": allocation,
    "cap": cap,
    "safety": safety,
    "oversell": oversell,
    "freshness": freshness,
    "restriction": restriction,
    "ownership": ownership,
    "source.reset": source_reset,
}
