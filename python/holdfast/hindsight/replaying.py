"""A past replayed: from one moment to another, into a fresh core, or under other rules.

In: what is kept of a scope (recovery/past.py), a range, refusals. Out: the state at the end with its digest, or what
would have been decided otherwise. Always: it begins at the nearest kept state before the range; what is not kept is
said, not guessed; messages are in memory a chunk at a time.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from holdfast._core import Engine
from holdfast.hindsight.again import Again
from holdfast.hindsight.batches import batches, position_of
from holdfast.hindsight.other_rules import OtherRules
from holdfast.hindsight.what_if import Then, WhatIf
from holdfast.recovery.past import NotKeptError, Past, made_ms

Progress = Callable[[int], None]
"""Called with the sequence that is done."""
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Moment:
    """After a message of LOG, or after the last batch that was made at or before a time. Neither: the end of a past."""

    sequence: int | None = None
    before_ms: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing is said."""
        return self.sequence is None and self.before_ms is None


END = Moment()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a range came to. `began`: the sequence of the state that it was replayed from."""

    began: int
    sequence: int
    digest: str
    batches: int
    void: int
    seconds: float
    core: Engine


def start(past: Past, moment: Moment) -> Engine:
    """The state that a range begins with: that before its first message. Raises NotKeptError."""
    if moment.sequence is not None:
        return past.core(max(0, moment.sequence - 1))
    if moment.before_ms is not None:
        return past.core(before_ms=moment.before_ms - 1)
    oldest = past.oldest()
    return past.core(oldest.header.sequence) if oldest is not None else Engine(past.scope, None, past.keys)


def messages(past: Past, after: int, upto: Moment) -> Iterator[tuple[int, bytes]]:
    """What is kept after a sequence, up to a moment."""
    found: Iterable[tuple[int, bytes]] = past.messages(after)
    if upto.sequence is not None:
        end = upto.sequence
        found = itertools.takewhile(lambda one: one[0] <= end, found)
    if upto.before_ms is not None:
        latest = upto.before_ms
        found = itertools.takewhile(lambda one: (made_ms(one[1]) or 0) <= latest, found)
    return iter(found)


def replay(past: Past, begin: Moment, upto: Moment, progress: Progress) -> Replayed:
    """Into a fresh core. Raises NotKeptError, ArchiveError, JournalDamagedError."""
    core = start(past, begin)
    began, before, since = core.sequence, core.void_total, time.monotonic()
    found = messages(past, began, upto)
    while chunk := [message for _, message in itertools.islice(found, _CHUNK)]:
        core.apply_many(core.sequence + 1, chunk)
        progress(core.sequence)
    reached(core.sequence, upto)
    void = core.void_total - before
    return Replayed(
        began, core.sequence, core.digest(), core.sequence - began - void, void, time.monotonic() - since, core
    )


def what_if(
    past: Past,
    begin: Moment,
    upto: Moment,
    rules: OtherRules,
    refusals: Iterable[dict[str, Any]],
    then: Then,
    progress: Progress,
) -> tuple[Replayed, WhatIf]:
    """Under other rules. `refusals`: those of ASK, the oldest first. Raises as `replay`, and AgainError."""
    core, other = start(past, begin), start(past, begin)
    began, since = core.sequence, time.monotonic()
    placed, without_cart = by_sequence(refusals)
    asking = WhatIf(Again(core, past.scope, past.keys), Again(other, past.scope, past.keys), rules, placed, then)
    asking.refused.without_cart = without_cart
    position, done, sequence = position_of(core), 0, began
    for batch in batches(messages(past, began, upto), position, past.scope, past.keys):
        asking.take(batch)
        sequence, done = batch.sequence, done + 1
        progress(sequence)
    reached(sequence, upto)
    return Replayed(began, sequence, core.digest(), done, 0, time.monotonic() - since, core), asking


def by_sequence(refusals: Iterable[dict[str, Any]]) -> tuple[dict[int, list[dict[str, Any]]], int]:
    """Refusals by the sequence of LOG that they name; and how many name none, as before version 0.2."""
    placed: dict[int, list[dict[str, Any]]] = {}
    without = 0
    for one in refusals:
        if one.get("sequence"):
            placed.setdefault(one["sequence"], []).append(one)
        else:
            without += 1
    return placed, without


def reached(sequence: int, upto: Moment) -> None:
    """That the end of a range was kept. Raises NotKeptError."""
    if upto.sequence is not None and sequence < upto.sequence:
        raise NotKeptError(f"message {upto.sequence} is not kept here: what is kept ends at {sequence}")
