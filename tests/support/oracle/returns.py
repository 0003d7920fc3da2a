"""Returns: an order brings back no more than it shipped: docs/rules.md, section 3.

In: the world after any change. Out: what each return counts on its shelf, and which open units left the order instead.
Always holds: it follows from the totals of each order, so that the order of arrival does not matter. A return of an
order that is not known here counts as it says.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.support.oracle.documents import is_news, key_of
from tests.support.oracle.order_facts import take_off
from tests.support.oracle.presumed import brought as brought_in
from tests.support.oracle.presumed import move
from tests.support.oracle.recipes import base_lines, declared
from tests.support.oracle.shipments import bearers, put_back
from tests.support.oracle.world import Identity, Key, Movement, Reservation, World, is_covered


def returned(world: World, fact: dict[str, Any]) -> None:
    key = key_of(fact)
    assert key is not None
    if is_news(world, key, fact):
        sku = world.sku(fact["sku"])
        assert sku is not None
        world.identities[key].declared = declared(world, sku, fact.get("unit"))
        settle_returns(world)
        if is_covered(world, (fact["sku"], fact["location"]), fact["source"], fact["as_of"]):
            world.ignore("covered", "covered")


def settle_returns(world: World) -> set[int]:
    """Returns of one order in the order of their names: each brings back what was shipped and is not back yet.

    Which units are back, by `id`.
    """
    returns = sorted((key, document) for key, document in world.identities.items() if key[1] == "return")
    back: set[int] = set()  # units
    surplus: Counter[tuple[Key, str]] = Counter()  # shipment, SKU
    for key, document in returns:
        found = bearers(world, document.body)
        meant = {r.id for r in found}
        elsewhere = (r for r in world.reservations.values() if r.id not in meant)
        behind = [r for r in elsewhere if any(one == key for one, _ in r.dropped)]
        put_back(world, behind, [unit for r in behind for one, unit in r.dropped if one == key])
        named = means(world, key, document, found)
        brought = Counter(named)
        gone = {unit.sku for r in found for one, unit in r.dropped if one == key}
        for sku in sorted({*named, *gone}) if found else []:
            brought[sku] = units_back(found, sku, named[sku], back)
            brought[sku] += surplus_back(world, found, sku, named[sku] - brought[sku], surplus)
            leave_instead(world, found, key, sku, named[sku] - brought[sku])
        count(world, document, brought)
    return back


def means(world: World, key: Key, document: Identity, found: list[Reservation]) -> Counter[str]:
    """Base units: of an order as it was sold, else as the SKU was declared when the return came."""
    named: Counter[str] = Counter()
    for sku, _, quantity in base_lines(world, [document.body], found, key, document.declared):
        named[sku] += quantity
    return named


def units_back(found: list[Reservation], sku: str, quantity: int, back: set[int]) -> int:
    gone = [u for r in found for u in r.units if u.sku == sku and not u.open and id(u) not in back][:quantity]
    back |= {id(unit) for unit in gone}
    return len(gone)


def surplus_back(
    world: World, found: list[Reservation], sku: str, quantity: int, surplus: Counter[tuple[Key, str]]
) -> int:
    """Of what shipments of these orders named beyond their open units."""
    total = 0
    for key, document in sorted(world.identities.items()):
        if key[1] == "shipment" and any(r in found for r in bearers(world, document.body)):
            there = sum(count for (named, _), count in document.beyond.items() if named == sku) - surplus[key, sku]
            taken = min(quantity - total, there)
            surplus[key, sku] += taken
            total += taken
    return total


def leave_instead(world: World, found: list[Reservation], key: Key, sku: str, quantity: int) -> None:
    """So many open units have left the order by this return."""
    left = [unit for r in found for one, unit in r.dropped if one == key and unit.sku == sku]
    if len(left) > quantity:
        put_back(world, found, left[quantity:])
    else:
        take_off(world, found, key, sku, world.identities[key].body["location"], quantity - len(left))


def count(world: World, document: Identity, brought: Counter[str]) -> None:
    """A movement of the difference to what this document counted before, from its newest `as_of` on."""
    body, fit = document.body, document.body["condition"] == "sellable"
    now = {(sku, fit): quantity for sku, quantity in brought.items() if quantity}
    was, document.counted = document.counted, now
    for sku, good in {**was, **now}:
        more = now.get((sku, good), 0) - was.get((sku, good), 0)
        if more:
            unsellable = 0 if good else more
            brought_in(world, (sku, body["location"]), more)
            move(world, Movement(sku, body["location"], body["source"], body["as_of"], more, unsellable))
