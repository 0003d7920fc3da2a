"""A table of facts against a gateway: what is wrong with it there, which SKUs it does not know yet, and the sending.

In: a Table without bad cells, and a client. Out: a Judgement, then what was taken. Always: judging takes nothing, and
is what the gateway's dry run says; up to 2,000 rows are taken all together or not at all; bodies are of bounded size.
"""

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from holdfast.adapters.csv_kinds import Kind
from holdfast.adapters.csv_table import BadCell, Table
from holdfast.client import Client, ProblemError
from holdfast.client.errors import ForbiddenError, InvalidError, NotFoundError, TooLargeError
from holdfast.contracts.answers import FactsAnswer
from holdfast.contracts.fields import SKUS_MAX

FACTS_TOGETHER = 2_000
JUDGED_TOGETHER = 10_000  # a dry run sees conflicts between all facts of its body
ANY_CHANNEL = "import"  # where channels need not be declared, any may be asked about every SKU
REWRITTEN = re.compile(r"[0-9]([.,][0-9]+)?[eE]\+[0-9]+")
_OTHER_FACT = re.compile(r"facts\[([0-9]+)\]")


def looks_rewritten(sku: str) -> bool:
    """Whether a spreadsheet may have made a number of it, as it makes 4.00638E+12 of 4006381333931."""
    return REWRITTEN.fullmatch(sku) is not None


@dataclass(slots=True)
class Judgement:
    """What the gateway says of a file.

    `new`: SKUs that it does not know, each with the first row that names it; of a small file the first 100, and
    `new_count` has how many there are. `like`: known names that new ones differ from only in case, width, composition
    or leading zeros. `empty`: it knows no SKU at all yet.
    """

    bad: list[BadCell] = field(default_factory=list)
    new: dict[str, int] = field(default_factory=dict)
    new_count: int = 0
    like: dict[str, str] = field(default_factory=dict)
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Importer:
    """One file's facts on their way to one gateway. `source` does not count for rules."""

    client: Client
    kind: Kind
    source: str
    table: Table

    async def judge(self) -> Judgement:
        """Ask; nothing is taken. Raises ClientError."""
        found = Judgement()
        facts = self.table.facts
        first_rows: dict[str, int] = {}
        for fact, row in zip(facts, self.table.rows, strict=True):
            for name in _skus_of(fact):
                first_rows.setdefault(name, row)
        for start, some in _bodies(facts, JUDGED_TOGETHER):
            answer = await self._send(some, dry_run=True)
            found.bad += self._rejected(start, answer)
            found.new_count += answer.created_count or 0
            for one in answer.created or ():
                found.new.setdefault(one.sku, first_rows.get(one.sku, self.table.rows[start]))
                if one.like is not UNSET:
                    found.like[one.sku] = one.like
        if len(facts) > JUDGED_TOGETHER:  # no dry run saw all of it
            known = await self._known()
            found.bad += self._under_two_names(known)
            found.new = {name: row for name, row in first_rows.items() if known[name] is None}
            found.new_count = len(found.new)
        found.empty = bool(found.new) and await self._is_empty()
        return found

    async def send(self, report: Callable[[int], None]) -> tuple[list[BadCell], int, int | None]:
        """For good. Returns the rows that were rejected meanwhile, how many were taken, and the LOG sequence.

        Raises ClientError.
        """
        facts = self.table.facts
        if len(facts) <= FACTS_TOGETHER:
            try:
                answer = await self._send(facts, atomic=True)
            except TooLargeError:  # long names: too large for one batch
                pass
            else:
                report(answer.accepted)
                return self._rejected(0, answer), answer.accepted, answer.sequence or None
        bad: list[BadCell] = []
        taken, sequence = 0, None
        for start, some in _bodies(facts, FACTS_TOGETHER):
            answer = await self._send(some)
            bad += self._rejected(start, answer)
            taken += answer.accepted
            sequence = answer.sequence or sequence
            report(taken)
        return bad, taken, sequence

    async def _send(
        self, facts: Sequence[dict[str, Any]], *, dry_run: bool = False, atomic: bool = False
    ) -> FactsAnswer:
        """One body; that every fact of it was rejected is an answer, too."""
        try:
            if self.kind.policy:
                return await self.client.policies(facts, dry_run=dry_run, atomic=atomic)
            return await self.client.facts(self.source, facts, dry_run=dry_run, atomic=atomic)
        except InvalidError as refusal:
            rejected = refusal.problem.rejected
            if not isinstance(rejected, list):
                raise
            return FactsAnswer(accepted=0, rejected=rejected, sequence=0)

    def _rejected(self, start: int, answer: FactsAnswer) -> list[BadCell]:
        """The rows at fault; those that an atomic body rejects because of others are not."""

        def row_of(index: int | str) -> int:
            return self.table.rows[start + int(index)]

        return [
            BadCell(row_of(one.index), "", _OTHER_FACT.sub(lambda other: f"row {row_of(other[1])}", one.reason))
            for one in answer.rejected
            if one.reason != "atomic"
        ]

    async def _known(self) -> dict[str, str | None]:
        """Each name of a SKU in the file with the SKU that it is a name of; None where it is a name of nothing."""
        names = list(dict.fromkeys(name for fact in self.table.facts for name in _skus_of(fact)))
        known: dict[str, str | None] = {}
        try:
            for start in range(0, len(names), SKUS_MAX):
                some = names[start : start + SKUS_MAX]
                items = await self.client.availabilities(ANY_CHANNEL, some)
                known |= {
                    name: None if item.error == "unknown-sku" else item.sku
                    for name, item in zip(some, items, strict=True)
                }
        except (ForbiddenError, NotFoundError):  # the key may not read, or only declared channels may be asked
            return await self._taken(names)
        return known

    async def _taken(self, names: Sequence[str]) -> dict[str, str | None]:
        """The same, without whose alias a name is: a name that is taken cannot be the alias of another item."""
        fresh = f"import-{secrets.token_hex(8)}"
        items = [{"kind": "item", "sku": fresh, "base_unit": "each", "aliases": [name]} for name in names]
        known: dict[str, str | None] = dict.fromkeys(names)
        for start, some in _bodies(items, FACTS_TOGETHER):
            for one in (await self._send(some, dry_run=True)).rejected:
                if one.reason.startswith("alias-taken"):
                    known[names[start + one.index]] = names[start + one.index]
        return known

    async def _is_empty(self) -> bool:
        try:
            return (await self.client.state()).totals.get("skus") == 0
        except ProblemError:
            return False

    def _under_two_names(self, known: dict[str, str | None]) -> list[BadCell]:
        """Rows about one thing that name its SKU differently."""
        bad, seen = [], dict[tuple[Any, ...], tuple[int, str]]()
        for fact, row in zip(self.table.facts, self.table.rows, strict=True):
            sku = fact.get("sku")
            if sku is None:
                continue
            one = tuple((known[sku] or sku) if name == "sku" else fact.get(name) for name in self.kind.unique)
            first, name = seen.setdefault(one, (row, sku))
            if first != row and name != sku:
                bad.append(BadCell(row, "sku", f"{sku!r} is another name of {name!r}, which row {first} is about"))
        return bad


def _skus_of(fact: dict[str, Any]) -> Iterator[str]:
    if "sku" in fact:
        yield fact["sku"]
    for component in fact.get("kit") or ():
        yield component["sku"]


def _bodies(facts: Sequence[dict[str, Any]], most: int) -> Iterator[tuple[int, Sequence[dict[str, Any]]]]:
    for start in range(0, len(facts), most):
        yield start, facts[start : start + most]
