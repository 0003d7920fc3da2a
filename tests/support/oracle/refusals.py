"""Which facts are rejected, and why (docs/facts.md, "Order" and "Why a fact is rejected").

In: the world and one fact with its source. Out: the reason, or None. Always holds: nothing changes; a fact that comes
again is judged again. Of several reasons the first counts: places, SKUs, clocks, orders, units, effect.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.oracle.recipes import factor_for
from tests.support.oracle.shipments import bearers
from tests.support.oracle.world import AsOf, Reservation, World

Fact = dict[str, Any]
WITH_STOCK = ("stock.level", "stock.delta", "supply", "demand", "return", "receipt", "transfer")
MOVEMENTS = ("stock.delta", "shipment", "return", "receipt", "transfer")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_as_of(value: int | str) -> AsOf:
    return value if isinstance(value, int) else datetime.fromisoformat(value)


def skus_named(fact: Fact) -> list[str]:
    if fact["kind"] == "item":
        return [line["sku"] for line in fact.get("kit") or []]
    if fact["kind"] in ("order.ack", "order.update"):
        return []  # a line of an order that is no stock (shipping costs, say) makes no SKU
    lines = [line["sku"] for line in fact.get("lines") or []]
    return [fact["sku"], *lines] if fact.get("sku") is not None else lines


def locations_named(fact: Fact) -> list[str]:
    if fact["kind"] == "location":
        return []
    named = [fact.get("location"), fact.get("from"), fact.get("to")]
    named += [line.get("location") for line in fact.get("lines") or []]
    several = fact.get("locations") or []
    return [name for name in [*named, *(several if several != "*" else [])] if name is not None]


def refuse(world: World, fact: Fact) -> str | None:
    kind, source = fact["kind"], fact["source"]
    if any(name not in world.locations for name in locations_named(fact)):
        return "unknown-location"
    if not world.rule("create_unknown_skus") and any(world.sku(name) is None for name in skus_named(fact)):
        return "unknown-sku"
    item = world.items.get(world.sku(fact.get("sku") or "") or "")
    of_kit = item is not None and bool(item.kit)
    if kind in WITH_STOCK and of_kit and kind != "return":
        return "kit-has-no-stock"
    if "as_of" in fact:
        as_of = parse_as_of(fact["as_of"])
        if world.clocks.get(source, type(as_of)) is not type(as_of):
            return "mixed-clock"
        if is_ahead(world, as_of):
            return "from-the-future"
        owners = {world.locations[name].owner for name in locations_named(fact)} - {None, source}
        if kind in ("stock.level", "order.ack") and owners:
            return "foreign-clock"
        both_times = isinstance(as_of, datetime) and all(world.clocks.get(o or "") is datetime for o in owners)
        if kind in MOVEMENTS and owners and not both_times:
            return "foreign-clock"
    if is_ambiguous(world, fact):
        return "ambiguous-order"
    former = any(source in world.locations[name].former for name in locations_named(fact))
    if former and kind in MOVEMENTS:
        return "foreign-clock"
    if any(has_no_unit(world, fact, line) for line in [fact, *(fact.get("lines") or [])]):
        return "unknown-unit"
    if has_no_effect(world, fact):
        return "no-effect"
    return refuse_item(world, fact) if kind == "item" else None


def has_no_unit(world: World, fact: Fact, line: Fact) -> bool:
    """Neither the item nor an order that the fact is about knows the line's unit."""
    sku, unit = world.sku(line.get("sku") or ""), line.get("unit")
    if unit is None:
        return False
    holders: list[Reservation | None] = [*bearers(world, fact)] or [None]
    return sku is None or any(factor_for(world, holder, sku, unit) is None for holder in holders)


def is_ahead(world: World, as_of: AsOf) -> bool:
    """A time that is further ahead of the batch than clocks may differ. A running number has no time."""
    latest = EPOCH + timedelta(milliseconds=world.now_ms + world.rule("clock_skew_ms"))
    return isinstance(as_of, datetime) and as_of > latest


def is_ambiguous(world: World, fact: Fact) -> bool:
    """It names an order by a number that reservations of several channels bear, and neither channel nor reservation."""
    if fact.get("order_ref") is None or fact.get("channel") is not None or fact.get("reservation") is not None:
        return False
    return len({reservation.channel for reservation in bearers(world, fact)}) > 1


def has_no_effect(world: World, fact: Fact) -> bool:
    """A rule that can never apply: of a kit's stock, or of a channel that is not declared. Ending a rule is none."""
    ends = {
        "safety": fact.get("absolute") is None and fact.get("percent") is None,
        "oversell": fact.get("policy") is None,
        "allocation": fact.get("quantity") == 0,
    }
    if ends.get(fact["kind"], True):
        return False
    item = world.items.get(world.sku(fact.get("sku") or "") or "")
    of_kit = item is not None and bool(item.kit)
    channel = fact.get("channel")
    return of_kit or (channel is not None and bool(world.channels) and channel not in world.channels)


def refuse_item(world: World, fact: Fact) -> str | None:
    def contains(name: str) -> bool:
        item = world.items.get(world.sku(name) or "")
        return name == fact["sku"] or any(contains(part) for part, _ in (item.kit if item else []))

    if any(contains(line["sku"]) for line in fact.get("kit") or []):
        return "circular-kit"
    aliases = fact.get("aliases") or []
    others = [item for item in world.items.values() if item.sku != fact["sku"]]
    others = [item for item in others if item.sku not in aliases or not is_phantom(world, item.sku)]
    taken = {item.sku for item in others} | {alias for item in others for alias in item.aliases}
    return "alias-taken" if taken & {*aliases, fact["sku"]} else None


def is_phantom(world: World, sku: str) -> bool:
    """A name that only levels and movements use: no reservation, demand, supply, kit, alias or rule."""
    keys = [*world.allocations, *world.caps, *world.safeties, *world.oversells, *world.restrictions]
    ruled = {part for key in keys for part in key if part is not None}
    sold = {unit.sku for r in world.reservations.values() for unit in r.units}
    sold |= {line.sku for r in world.reservations.values() for line in r.lines}
    incoming = {supply.sku for supply in world.supplies.values()} | {d.sku for d in world.demands.values()}
    item, kits = world.items[sku], {part for other in world.items.values() for part, _ in other.kit}
    return not (item.kit or item.aliases) and sku not in ruled | sold | incoming | kits
