"""A table of facts against a gateway: what is wrong with it there, which SKUs it does not know yet, and the sending.

In: a Table without bad cells, and a client. Out: a Judgement, then what was taken. Always: judging takes nothing; a SKU
counts as known under any of its names; bodies are of bounded size.
"""

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.adapters.csv_kinds import Kind
from holdfast.adapters.csv_table import BadCell, Table
from holdfast.client import Client, ProblemError
from holdfast.client.errors import ForbiddenError, NotFoundError
from holdfast.contracts.answers import FactsAnswer
from holdfast.contracts.fields import SKUS_MAX

FACTS_TOGETHER = 2_000
ANY_CHANNEL = "import"  # where channels need not be declared, any may be asked about every SKU
REWRITTEN = re.compile(r"[0-9]([.,][0-9]+)?[eE]\+[0-9]+")


def looks_rewritten(sku: str) -> bool:
    """Whether a spreadsheet may have made a number of it, as it makes 4.00638E+12 of 4006381333931."""
    return REWRITTEN.fullmatch(sku) is not None


@dataclass(slots=True)
class Judgement:
    """What the gateway says of a file. `new`: SKUs that it does not know, each with the first row that names it.

    `empty`: it knows no SKU at all yet.
    """

    bad: list[BadCell] = field(default_factory=list)
    new: dict[str, int] = field(default_factory=dict)
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
        for start, some in _bodies(self.table.facts):
            answer = await self._send(some, dry_run=True)
            found.bad += [BadCell(self.table.rows[start + one.index], "", one.reason) for one in answer.rejected]
        known = await self._known()
        found.bad += self._under_two_names(known)
        for fact, row in zip(self.table.facts, self.table.rows, strict=True):
            for name in _skus_of(fact):
                if known[name] is None:
                    found.new.setdefault(name, row)
        if found.new:
            found.empty = not any(known.values()) and await self._is_empty()
        return found

    async def send(self, report: Callable[[int], None]) -> tuple[list[BadCell], int, int | None]:
        """For good. Returns the rows that were rejected meanwhile, how many were taken, and the LOG sequence.

        Raises ClientError.
        """
        bad: list[BadCell] = []
        taken, sequence = 0, None
        for start, some in _bodies(self.table.facts):
            answer = await self._send(some)
            bad += [BadCell(self.table.rows[start + one.index], "", one.reason) for one in answer.rejected]
            taken += answer.accepted
            sequence = answer.sequence
            report(taken)
        return bad, taken, sequence

    async def _send(self, facts: Sequence[dict[str, Any]], *, dry_run: bool = False) -> FactsAnswer:
        if self.kind.policy:
            return await self.client.policies(facts, dry_run=dry_run)
        return await self.client.facts(self.source, facts, dry_run=dry_run)

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
        for start, some in _bodies(items):
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


def _bodies(facts: Sequence[dict[str, Any]]) -> Iterator[tuple[int, Sequence[dict[str, Any]]]]:
    for start in range(0, len(facts), FACTS_TOGETHER):
        yield start, facts[start : start + FACTS_TOGETHER]
