"""Messages of LOG, taken apart: which are void, and what is in the others.

In: messages in order, and the position of the history before them. Out: batches, with their facts as bytes, and the
runs of facts that commands became and that came from outside. Always: what is void is left out, by the rule that every
process applies (storage/chain.py); no fact is read further than its kind.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast._core import Engine, ScopeKeys
from holdfast.macs import without_code
from holdfast.storage.chain import Position, advance

OF_COMMANDS = frozenset(
    f"reservation.{verb}"
    for verb in ("held", "confirmed", "released", "cancelled", "extended", "fulfilled", "oversold")
)
NO_STATE = frozenset({"request.answered", "digest.recounted"})
"""Kinds that the bookkeeping of a process needs, and no rule reads."""
RULES = frozenset(
    {
        *("item", "location", "channel", "allocation", "cap", "safety", "oversell", "freshness", "restriction"),
        *("source.reset", "ownership"),
    }
)


class _Batch(msgspec.Struct):
    kind: str
    now_ms: int
    lead_ms: int
    in_upto: int
    node: str = ""
    facts: list[msgspec.Raw] = []
    rules: dict[str, Any] | None = None


class _Kind(msgspec.Struct):
    kind: str


_batches = msgspec.json.Decoder(_Batch)
_kinds = msgspec.json.Decoder(_Kind)


@dataclass(frozen=True, slots=True)
class Run:
    """Facts that follow each other; `asked`: commands became them."""

    asked: bool
    facts: list[tuple[str, msgspec.Raw]]


@dataclass(frozen=True, slots=True)
class Batch:
    """One message of LOG that took effect. `rules`: of a process that took the lead; else None."""

    sequence: int
    now_ms: int
    lead_ms: int
    in_upto: int
    node: str
    facts: list[tuple[str, msgspec.Raw]]
    rules: dict[str, Any] | None

    def runs(self) -> Iterator[Run]:
        """Its facts, in order."""
        found: list[tuple[str, msgspec.Raw]] = []
        was = False
        for kind, fact in self.facts:
            if (is_asked := kind in OF_COMMANDS) != was:
                if found:
                    yield Run(was, found)
                found, was = [], is_asked
            found.append((kind, fact))
        if found:
            yield Run(was, found)


def position_of(core: Engine) -> Position:
    """Where a core is in its history."""
    return Position(
        core.sequence, core.chain, core.batch, core.epoch, core.node, core.in_upto, tuple(sorted(core.mac_keys))
    )


def batches(
    messages: Iterable[tuple[int, bytes]], before: Position, scope: str, keys: ScopeKeys | None
) -> Iterator[Batch]:
    """Those that took effect. Raises KeyMissingError."""
    position = before
    for sequence, message in messages:
        after = advance(position, scope, message, keys)
        took_effect = after.batch > position.batch
        position = after
        if took_effect:
            yield batch_of(sequence, message)


def batch_of(sequence: int, message: bytes) -> Batch:
    """One message that took effect."""
    read = _batches.decode(without_code(message))
    facts = [(_kinds.decode(fact).kind, fact) for fact in read.facts]
    return Batch(sequence, read.now_ms, read.lead_ms, read.in_upto, read.node, facts, read.rules)
