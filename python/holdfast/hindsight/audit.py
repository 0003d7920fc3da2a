"""Who changed which rule, from what to what, when, and with which key.

In: what is kept of a scope, filters. Out: changes in the order of LOG, page by page. Always: a rule stated again
unchanged is no change; reading goes on where it stopped, for as long as the caller allows; what a rule was before the
kept past begins is said not to be known.
"""

import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from holdfast._core import Engine
from holdfast.hindsight.batches import RULES, Batch, batch_of, position_of
from holdfast.hindsight.other_rules import About, about
from holdfast.recovery.past import Past
from holdfast.storage.chain import Position, advance
from holdfast.traces import id_of, is_trace

CHANGES_MAX = 100_000
KNOWN_MAX = 300_000
SETTINGS = "settings"
"""The kind of a change of the replicated settings, by a process that took the lead."""
_ANY_RULE = re.compile(rb'"kind":"(?:lead|%s)"' % b"|".join(re.escape(kind.encode()) for kind in sorted(RULES)))
_UNSAID = frozenset({"kind", "by", "trace"})
_NOT_SETTINGS = frozenset({"mac_keys"})
_LOOKS = 256


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which changes; all where nothing is said. Times are milliseconds since 1970, both ends included."""

    kind: str | None = None
    sku: str | None = None
    channel: str | None = None
    by: str | None = None
    from_ms: int | None = None
    upto_ms: int | None = None

    def has(self, change: "Change") -> bool:
        """Whether it is one of them. A rule for all SKUs or channels is about each."""
        fact = change.read()
        return (
            self.kind in {None, change.kind}
            and self.by in {None, fact.get("by")}
            and (self.sku is None or fact.get("sku") in {None, self.sku})
            and (self.channel is None or fact.get("channel") in {None, self.channel})
            and self.at(change.at_ms)
        )

    def at(self, at_ms: int) -> bool:
        """Whether it was at a time that is asked for."""
        return (self.from_ms is None or at_ms >= self.from_ms) and (self.upto_ms is None or at_ms <= self.upto_ms)


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `before`: the fact that stood until then; None: there was none, or (`known` False) it is not kept."""

    sequence: int
    index: int
    at_ms: int
    kind: str
    after: bytes
    before: bytes | None
    known: bool

    def read(self) -> dict[str, Any]:
        """The fact."""
        found: dict[str, Any] = orjson.loads(self.after)
        return found

    def document(self) -> dict[str, Any]:
        """As JSON has it: what the rule is about, who set it, and what it said before and after."""
        fact = self.read()
        before = None if self.before is None else _stated(orjson.loads(self.before))
        return {
            "sequence": self.sequence,
            "index": self.index,
            "at_ms": self.at_ms,
            "kind": self.kind,
            "sku": fact.get("sku"),
            "channel": fact.get("channel"),
            "location": fact.get("location"),
            "by": fact.get("by"),
            "source": fact.get("from", fact.get("source")),
            "trace": id_of(fact["trace"]) if is_trace(fact.get("trace", "")) else fact.get("trace"),
            "before": before,
            "before_known": self.known,
            "after": _stated(fact),
        }


def _stated(fact: dict[str, Any]) -> dict[str, Any]:
    """What the rule itself says. Where it has a `source` itself, its sender is in `from`."""
    sender = "from" if "from" in fact else "source"
    return {name: value for name, value in fact.items() if name not in _UNSAID and name != sender}


@dataclass(slots=True)
class Audit:
    """The changes that were read so far, the newest `CHANGES_MAX` of them."""

    changes: list[Change] = field(default_factory=list)
    upto: int = 0
    _position: Position | None = None
    _known: dict[About, bytes] = field(default_factory=dict)
    _began: int = 0

    def read(self, past: Past, seconds: float | None) -> bool:
        """Read on, for so long at the most; whether all was read. Raises ArchiveError, JournalDamagedError."""
        until = None if seconds is None else time.monotonic() + seconds
        position = self._position or self._beginning(past)
        for number, (sequence, message) in enumerate(past.messages(position.sequence)):
            after = advance(position, past.scope, message, past.keys)
            if after.batch > position.batch and _ANY_RULE.search(message):
                self._take(batch_of(sequence, message))
            position = self._position = after
            self.upto = sequence
            if until is not None and number % _LOOKS == 0 and time.monotonic() > until:
                return False
        return True

    def _beginning(self, past: Past) -> Position:
        oldest = past.oldest()
        if oldest is None:
            return position_of(Engine(past.scope, None, past.keys))
        core = past.core(oldest.header.sequence)
        self._began = core.sequence
        return position_of(core)

    def _take(self, batch: Batch) -> None:
        if batch.rules is not None:
            rules = {name: value for name, value in batch.rules.items() if name not in _NOT_SETTINGS}
            fact = {"kind": SETTINGS, "by": batch.node, **rules}
            self._note(batch, 0, SETTINGS, (SETTINGS,), orjson.dumps(fact))
        for index, (kind, raw) in enumerate(batch.facts):
            if kind in RULES:
                fact = orjson.loads(bytes(raw))
                self._note(batch, index, kind, about(fact) or (kind,), orjson.dumps(fact))

    def _note(self, batch: Batch, index: int, kind: str, named: About, after: bytes) -> None:
        before = self._known.get(named)
        if before is not None and _stated(orjson.loads(before)) == _stated(orjson.loads(after)):
            return
        known = before is not None or (not self._began and len(self._known) < KNOWN_MAX)
        if before is not None or len(self._known) < KNOWN_MAX:
            self._known[named] = after
        self.changes.append(Change(batch.sequence, index, batch.now_ms, kind, after, before, known))
        if len(self.changes) > CHANGES_MAX + CHANGES_MAX // 10:
            del self.changes[:-CHANGES_MAX]

    def page(self, wanted: Wanted, after: tuple[int, int], limit: int) -> tuple[list[Change], bool]:
        """Those after a place, in order, and whether more follow."""
        found = list(itertools.islice(self._after(wanted, after), limit + 1))
        return found[:limit], len(found) > limit

    def _after(self, wanted: Wanted, after: tuple[int, int]) -> Iterator[Change]:
        return (one for one in self.changes if (one.sequence, one.index) > after and wanted.has(one))
