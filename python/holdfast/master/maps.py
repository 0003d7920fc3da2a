"""What a connection calls the states of things, and what that is here.

In: statuses.CONNECTION.csv (columns of, status, means), returns.CONNECTION.csv (condition, means). Out: Maps. Always:
each map is one file, so that it has one owner; what a status can mean are the values of the fact that it stands in, or
of an order of a shop; a word that is not in a map keeps its meaning.
"""

from dataclasses import dataclass, field
from typing import Any, get_args

import msgspec

from holdfast.contracts import facts
from holdfast.master.rows import Finding, rows_of

ORDER = "order"
"""Of an order of a shop; the others are of what an ERP states."""


def _values(fact: type[msgspec.Struct], name: str) -> tuple[str, ...]:
    return next(get_args(one.type) for one in msgspec.structs.fields(fact) if one.name == name)


MEANINGS: dict[str, tuple[str, ...]] = {
    ORDER: ("none", "hold", "open", "shipped", "ended"),
    "update": _values(facts.OrderUpdate, "status"),
    "supply": _values(facts.Supply, "status"),
    "transfer": _values(facts.Transfer, "status"),
}
CONDITIONS = _values(facts.Return, "condition")
_OF_FACT = {"order.update": "update", "supply": "supply", "transfer": "transfer"}


@dataclass(slots=True)
class Maps:
    """`statuses` by what they are of; `returns`: conditions of what came back. `lines`: where each entry is."""

    statuses: dict[str, dict[str, str]] = field(default_factory=dict)
    returns: dict[str, str] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.statuses or self.returns)

    def status(self, of: str, word: str) -> str:
        """What it is here."""
        return self.statuses.get(of, {}).get(word, word)

    def condition(self, word: str) -> str:
        """What it is here."""
        return self.returns.get(word, word)

    def fact(self, fact: dict[str, Any]) -> dict[str, Any]:
        """With holdfast's values."""
        of = _OF_FACT.get(fact["kind"])
        if of is not None and isinstance(fact.get("status"), str):
            return fact | {"status": self.status(of, fact["status"])}
        if fact["kind"] == "return" and isinstance(fact.get("condition"), str):
            return fact | {"condition": self.condition(fact["condition"])}
        return fact

    def entries(self) -> dict[str, str]:
        """All, as `statuses update SHORT` and its meaning."""
        found = {f"statuses {of} {word}": means for of, some in self.statuses.items() for word, means in some.items()}
        return found | {f"returns {word}": means for word, means in self.returns.items()}


def read_statuses(maps: Maps, name: str, text: str) -> list[Finding]:
    """Take the entries of a file; what is wrong."""
    rows, wrong = rows_of(name, text, ("of", "status", "means"), ("of", "status", "means"))
    for where, cells in rows:
        of, word, means = cells["of"], cells["status"], cells["means"]
        if of not in MEANINGS:
            wrong.append(Finding(where, f"of: {of!r} is not {', '.join(MEANINGS)}"))
        elif means not in MEANINGS[of]:
            wrong.append(Finding(where, f"means: {means!r} is not {', '.join(MEANINGS[of])}"))
        elif (fault := _note(maps, f"statuses {of} {word}", where)) is not None:
            wrong.append(fault)
        else:
            maps.statuses.setdefault(of, {})[word] = means
    return wrong


def read_returns(maps: Maps, name: str, text: str) -> list[Finding]:
    """Likewise."""
    rows, wrong = rows_of(name, text, ("condition", "means"), ("condition", "means"))
    for where, cells in rows:
        word, means = cells["condition"], cells["means"]
        if means not in CONDITIONS:
            wrong.append(Finding(where, f"means: {means!r} is not {', '.join(CONDITIONS)}"))
        elif (fault := _note(maps, f"returns {word}", where)) is not None:
            wrong.append(fault)
        else:
            maps.returns[word] = means
    return wrong


def _note(maps: Maps, entry: str, where: str) -> Finding | None:
    before = maps.lines.setdefault(entry, where)
    return None if before == where else Finding(where, f"{entry.partition(' ')[2]} is there already, in {before}")
