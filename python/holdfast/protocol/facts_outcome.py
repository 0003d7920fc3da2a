"""What became of a body of facts, put together from its messages.

In: for each message how many facts were accepted, which were rejected and why, and the core's report. Out: one
outcome, with indexes in the whole body. Always: the lists of what was ignored and of what was created are bounded; the
counts are not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

LISTED_MAX = 100
"""Entries of `ignored` and of `created` that an answer has; the core bounds those of one message likewise."""

MessageOutcome: TypeAlias = tuple[int, list[tuple[int, str]], bytes]
"""Accepted, (index, reason) of each other, and the report."""

_OTHER_FACT = re.compile(r"facts\[([0-9]+)\]")


class IgnoredFact(msgspec.Struct, frozen=True):
    """A fact that was taken and came to nothing."""

    index: int
    reason: str


class CreatedSku(msgspec.Struct, frozen=True, omit_defaults=True):
    """A SKU that was unknown until now; `like`: a known name that it could be mistaken for."""

    sku: str
    like: str | None = None


class Report(msgspec.Struct, frozen=True):
    """What the core says of a message beside what it rejected; `sequence` 0: no batch."""

    ignored: list[IgnoredFact] = []
    ignored_count: int = 0
    created: list[CreatedSku] = []
    created_count: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class FactsOutcome:
    """How many facts were accepted, which were rejected and why, and a sequence at which that is stored.

    When only IN was awaited, the sequence is IN's and `report` is None; else the report's sequence is that of the batch
    that took the last message, which is earlier where the message is a repeat.
    """

    accepted: int
    rejected: list[tuple[int, str]] = field(default_factory=list)
    sequence: int = 0
    report: Report | None = None


_decode = msgspec.json.Decoder(Report).decode


def combined(messages: Sequence[MessageOutcome], sequence: int) -> FactsOutcome:
    """One outcome of several messages: indexes count on from one to the next."""
    accepted_all, offset, newest = 0, 0, 0
    rejected_all: list[tuple[int, str]] = []
    ignored: list[IgnoredFact] = []
    created: list[CreatedSku] = []
    counts = [0, 0]
    for accepted, rejected, encoded in messages:
        report = _decode(encoded)
        accepted_all += accepted
        rejected_all += [(offset + max(0, index), _shifted(why, offset)) for index, why in rejected]
        ignored += [IgnoredFact(offset + one.index, one.reason) for one in report.ignored]
        created += report.created
        counts = [counts[0] + report.ignored_count, counts[1] + report.created_count]
        newest = max(newest, report.sequence)
        offset += accepted + len(rejected)
    whole = Report(ignored[:LISTED_MAX], counts[0], created[:LISTED_MAX], counts[1], newest or sequence)
    return FactsOutcome(accepted_all, rejected_all, sequence, whole)


def _shifted(reason: str, offset: int) -> str:
    """A reason that names another fact of its message, now of the body."""
    if not offset or "facts[" not in reason:
        return reason
    return _OTHER_FACT.sub(lambda found: f"facts[{int(found[1]) + offset}]", reason, count=1)
