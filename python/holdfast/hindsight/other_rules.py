"""Other rules for a past: facts that hold from the beginning, in the place of those that LOG has.

In: a file `{"facts": [...]}`, and the facts of LOG. Out: which facts of LOG are left out, and what stands for them.
Always: a rule is known by its kind and what it is about; a rule of the file replaces every one of LOG that is about
the same; facts that are no rules are only added; what the state cannot take yet (a place that is declared later) is
tried again after each rule of LOG.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson

from holdfast._core import well_formed
from holdfast.hindsight.again import Again, AgainError
from holdfast.hindsight.batches import RULES, Batch

BYTES_MAX = 512 * 1024
_ABOUT = {
    "item": ("sku",),
    "location": ("location",),
    "channel": ("channel",),
    "allocation": ("channel", "sku"),
    "cap": ("channel", "sku"),
    "safety": ("sku", "location"),
    "oversell": ("channel", "sku"),
    "restriction": ("channel", "sku"),
    "freshness": ("source",),
    "ownership": ("location",),
    "source.reset": ("source",),
}
_SOURCE = "what-if"

About = tuple[str | None, ...]


class RulesFileError(AgainError):
    """The file of other rules cannot be used."""


def about(fact: dict[str, Any]) -> About | None:
    """What a rule is known by; None for a fact that is no rule."""
    kind = str(fact.get("kind"))
    named = _ABOUT.get(kind)
    return None if named is None else (kind, *(fact.get(name) for name in named))


@dataclass(slots=True)
class OtherRules:
    """Facts from the beginning. `waiting`: those that the state did not take yet, with why."""

    facts: list[dict[str, Any]]
    source: str = _SOURCE
    waiting: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    replaced_total: int = 0
    _replaced: frozenset[About] = frozenset()

    def __post_init__(self) -> None:
        self.waiting = [(fact, "") for fact in self.facts]
        self._replaced = frozenset(one for fact in self.facts if (one := about(fact)) is not None)

    def kept(self, facts: Sequence[tuple[str, msgspec.Raw]]) -> list[msgspec.Raw]:
        """The facts of LOG that stay."""
        if not self._replaced:
            return [fact for _, fact in facts]
        found = []
        for kind, fact in facts:
            if kind in RULES and about(orjson.loads(bytes(fact))) in self._replaced:
                self.replaced_total += 1
            else:
                found.append(fact)
        return found

    def put(self, again: Again, batch: Batch) -> None:
        """Have the state take what it can."""
        left = []
        for fact, _ in self.waiting:
            is_rule = about(fact) is not None
            subject = "hf.main.in.policy" if is_rule else f"hf.main.in.erp.{self.source}"
            why = again.take(batch, subject, orjson.dumps({"facts": [fact]}))
            if why:
                left.append((fact, why))
        self.waiting = left


def read(path: Path) -> OtherRules:
    """The file. Raises RulesFileError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RulesFileError(f"{path}: {error.strerror}") from error
    return parsed(raw, str(path))


def parsed(raw: bytes, name: str) -> OtherRules:
    """The same from bytes. Raises RulesFileError."""
    if len(raw) > BYTES_MAX:
        raise RulesFileError(f"{name} is larger than {BYTES_MAX // 1024} KiB")
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RulesFileError(f"{name} is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("facts"), list) or not document["facts"]:
        raise RulesFileError(f'{name} is not {{"facts": [...]}}, as POST /v1/policies takes it')
    _, wrong = well_formed(orjson.dumps({"facts": document["facts"]}))
    if wrong:
        index, why = wrong[0]
        raise RulesFileError(f"{name}: fact {index}: {why}")
    return OtherRules(document["facts"], str(document.get("source") or _SOURCE))
