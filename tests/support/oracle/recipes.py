"""What a line of a fact or a command means in base units: docs/rules.md, section 2; a sale keeps its recipe.

In: the world, lines as they were sent, and the reservations that they are about. Out: base SKUs, places and units.
Always holds: a SKU that a reservation holds means what it was sold as, in the unit that it was sold in; any other name
means what it is declared to be now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import ceil
from typing import Any

from tests.support.oracle.sellable import parts_of
from tests.support.oracle.world import Declared, Key, Line, Reservation, World

Meaning = dict[str, int]  # base units by base SKU


def line_of(world: World, holder: Reservation, sku: str) -> Line | None:
    return next((line for line in holder.lines if line.sku == sku), None)


def factor_for(world: World, holder: Reservation | None, sku: str, unit: str | None) -> int | None:
    """Base units in a `unit`: as the reservation was held, else as the item says. None: it has no such unit."""
    held = [n for n in holder.lines if n.sku == sku and n.unit == unit] if holder is not None else []
    if held:
        return held[0].factor
    return world.items[sku].factor(unit)


def declared(world: World, sku: str, unit: str | None) -> Declared:
    """What the SKU and the unit are declared to be now."""
    return Declared(world.items[sku].factor(unit) or 1, dict(parts_of(world, sku)))


def meaning(world: World, holder: Reservation | None, sku: str, unit: str | None, said: Declared | None) -> Meaning:
    """What one `unit` of the SKU is, to this reservation. `said`: what a document keeps of what it was when it came."""
    said = said or declared(world, sku, unit)
    parts, factor = said.parts, said.factor
    if holder is not None:
        sold = line_of(world, holder, sku)
        components = {base for line in holder.lines for base in line.parts}
        parts = sold.parts if sold is not None else {sku: 1} if sku in components else parts
        if any(line.sku == sku and line.unit == unit for line in holder.lines):
            factor = factor_for(world, holder, sku, unit) or 1
    return {base: each * factor for base, each in parts.items()}


def base_lines(
    world: World,
    lines: Iterable[dict[str, Any]],
    holders: Iterable[Reservation] = (),
    document: Key | None = None,
    said: Declared | None = None,
) -> list[tuple[str, str | None, int]]:
    """(base SKU, location, units) of each line, for the orders that it is about, oldest first.

    Where these were sold by different recipes, each has as many of the SKU as have not left by another document; the
    last has the rest.
    """
    found = []
    for line in lines:
        sku = world.sku(line["sku"])
        if sku is None:
            continue
        for means, count in shares(world, list(holders), sku, line, document, said):
            found += [(base, line.get("location"), each * count) for base, each in means.items()]
    return found


def there(holder: Reservation, means: Meaning, document: Key | None) -> int:
    """How many by this recipe have not left by another document."""
    dropped = [unit for key, unit in holder.dropped if key == document]
    units = [unit for unit in holder.units if unit.shipped is None or unit.document == document]
    counts = Counter(unit.sku for unit in [*units, *dropped])
    return max(ceil(counts[base] / each) for base, each in means.items())


def shares(
    world: World,
    holders: list[Reservation],
    sku: str,
    line: dict[str, Any],
    document: Key | None,
    said: Declared | None,
) -> list[tuple[Meaning, int]]:
    """How many of the SKU go by which recipe."""
    unit, quantity = line.get("unit"), line.get("quantity", 1)
    groups: list[tuple[Meaning, int]] = []
    for holder in holders:
        means = meaning(world, holder, sku, unit, said)
        sold = there(holder, means, document)
        if groups and groups[-1][0] == means:
            groups[-1] = (means, groups[-1][1] + sold)
        else:
            groups.append((means, sold))
    if not groups:
        return [(meaning(world, None, sku, unit, said), quantity)]
    found = []
    for number, (means, sold) in enumerate(groups):
        count = quantity if number == len(groups) - 1 else min(quantity, sold)
        found += [(means, count)] if count else []
        quantity -= count
    return found
