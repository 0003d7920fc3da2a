"""What a `freshness` rule means, as facts that are there already, and how each is taken back.

In: the rule, the locations that the source owns, their levels, the rules that apply. Out: steps: a fact to send, and
the one that ends it. Always: pure; a step is taken back only where what it set is still in force, so what an operator
changes meanwhile stays.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from holdfast.contracts.listings import LevelEntry, LocationEntry, PolicyEntry

Fact = dict[str, Any]
Cell = tuple[str, str]


class Step(msgspec.Struct, frozen=True):
    """`sent` while the source is silent; `ends` afterwards."""

    sent: Fact
    ends: Fact


class Rule(msgspec.Struct, frozen=True):
    """A `freshness` rule."""

    source: str
    stale_after_ms: int
    action: str
    amount: int = 0


def rule_of(entry: PolicyEntry) -> Rule:
    """Out of the list of rules."""
    amount = entry.amount if isinstance(entry.amount, int) else 0
    return Rule(str(entry.source), int(entry.stale_after_ms), str(entry.action), amount)  # type: ignore[arg-type]


def location_fact(entry: LocationEntry, *, enabled: bool) -> Fact:
    """A location as it is declared."""
    return {
        "kind": "location",
        "location": entry.location,
        "type": entry.type,
        "regions": list(entry.regions),
        "priority": entry.priority,
        "enabled": enabled,
    }


def safety_fact(cell: Cell, rule: PolicyEntry | None) -> Fact:
    """The rule of one cell as it is; without one, the fact that ends it."""
    fact: Fact = {"kind": "safety", "sku": cell[0], "location": cell[1]}
    if rule is not None:
        given = {"absolute": rule.absolute, "percent": rule.percent}
        fact |= {name: value for name, value in given.items() if value is not UNSET and value is not None}
    return fact


def steps_of(
    rule: Rule, places: Iterable[LocationEntry], levels: Mapping[Cell, LevelEntry], rules: Mapping[Cell, PolicyEntry]
) -> list[Step]:
    """`rules` are those of a SKU at a location, which win over every wider one.

    `widen`: safety stock grows by the amount. `cap`: it grows until no more than the amount can be sold from there.
    `restrict`: the location sells nothing. `serve`: nothing is done.
    """
    if rule.action == "restrict":
        enabled = [one for one in places if one.enabled]
        return [Step(location_fact(one, enabled=False), location_fact(one, enabled=True)) for one in enabled]
    if rule.action not in {"widen", "cap"}:
        return []
    owned = {one.location for one in places}
    found = []
    for cell, level in levels.items():
        if cell[1] not in owned or not level.at_hand:
            continue
        more = rule.amount if rule.action == "widen" else max(0, level.at_hand - rule.amount)
        if more:
            sent = {"kind": "safety", "sku": cell[0], "location": cell[1], "absolute": level.safety + more}
            found.append(Step(sent, safety_fact(cell, rules.get(cell))))
    return found


def ending(steps: Iterable[Step], places: Mapping[str, LocationEntry], rules: Mapping[Cell, PolicyEntry]) -> list[Fact]:
    """The facts that take back what is still in force."""
    found = []
    for one in steps:
        if one.sent["kind"] == "location":
            place = places.get(one.sent["location"])
            now = None if place is None else location_fact(place, enabled=place.enabled)
        else:
            cell = (one.sent["sku"], one.sent["location"])
            now = safety_fact(cell, rules.get(cell))
        if now == one.sent:
            found.append(one.ends)
    return found
