"""`holdfast import`: stock levels, items, locations and more from a CSV file, all of it or nothing.

In: a file of one kind. Out: facts in the log, or one line per bad row: its number, the column, and why.
Always: nothing is sent before every row was read and the gateway has said that it would take every one; SKUs that the
gateway does not know yet are listed, and created only on request.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter
from rich.table import Table as Shown
from rich.text import Text

from holdfast.adapters.csv_import import Importer, looks_rewritten
from holdfast.adapters.csv_kinds import KINDS
from holdfast.adapters.csv_kinds import as_of as moment_of
from holdfast.adapters.csv_table import BadCell, Table, read_table, template
from holdfast.cli.connection import Gateway, GatewayData, Key, could_not_run, is_named, key_of, url_of
from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, Json, number, remarks, results, write_json
from holdfast.cli.live import LiveWatcher
from holdfast.client import NO_RETRY, Client
from holdfast.contracts.fields import AsOf, Name

BAD_SHOWN_MAX = 50

KindName = Literal["levels", "items", "locations", "channels", "supply", "allocations", "safety"]
KIND_HELP = "What the rows are. " + " ".join(f"{name}: {kind.meaning}." for name, kind in KINDS.items())


@dataclass(slots=True)
class Outcome:
    """What became of a file. `asked`: the gateway has judged it. `blocked`: new SKUs stand in the way."""

    rows: int
    bad: list[BadCell]
    new: dict[str, int] = field(default_factory=dict)
    new_count: int = 0
    like: dict[str, str] = field(default_factory=dict)
    asked: bool = False
    blocked: bool = False
    taken: int = 0
    sequence: int | None = None

    @property
    def ok(self) -> bool:
        """Nothing wrong was found."""
        return not self.bad and not self.blocked


Flag = Parameter(negative="", show_default=False)
File = Annotated[Path | None, Parameter(help="The CSV file, in UTF-8; the first row names the columns.")]
Template = Annotated[bool, Flag, Parameter(name="--template", help="Print a file to start from.")]
Check = Annotated[bool, Flag, Parameter(help="Only say what is wrong with the file, by itself and at the gateway.")]
Source = Annotated[
    str | None,
    Parameter(help="Who says so, needed for levels and supply; one source owns the levels of a location."),
]
NewSkus = Annotated[bool, Flag, Parameter(help="Create SKUs that the gateway does not know yet.")]
Moment = Annotated[
    str | None,
    Parameter(help="When the figures were true, RFC 3339 in UTC, for rows that do not say; now without it."),
]


def import_csv(
    file: File = None,
    /,
    *,
    kind: Annotated[KindName, Parameter(help=KIND_HELP)] = "levels",
    show_template: Template = False,
    check: Check = False,
    source: Source = None,
    new_skus: NewSkus = False,
    as_of: Moment = None,
    gateway: Gateway = None,
    data: GatewayData = None,
    key: Key = None,
    json: Json = False,
) -> int:
    """Import stock levels, items, locations and more from a CSV file: all of it or nothing.

    SKUs that the gateway does not know are listed; once it knows some, new ones need --new-skus, because a spreadsheet
    that saved 00017 as 17 would create one.

    ```
    holdfast import --template --kind levels > levels.csv
    holdfast import levels.csv --kind levels --source acme
    holdfast import items.csv --kind items --check
    ```
    """
    chosen = KINDS[kind]
    if show_template:
        results.file.write(template(chosen))
        return DONE
    if file is None:
        raise CouldNotRunError(
            "no file was named", f"holdfast import --template --kind {kind} > {kind}.csv prints one."
        )
    if not chosen.policy and source is None:
        raise CouldNotRunError(f"--kind {kind} needs --source NAME", "One source owns the levels of a location.")
    moment = as_of or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    _check_texts(source, moment)
    url, key, named = url_of(gateway, data), key_of(key), is_named(gateway, data)
    table = read_table(_text(file), chosen, moment)
    outcome = Outcome(len(table.facts), table.bad)
    if not table.bad and not table.facts:
        raise CouldNotRunError(f"{file} has no rows", "The first row names the columns; the facts follow.")
    if not table.bad:
        run = _Run(kind, source or "", table, check, new_skus, outcome)
        _ask_and_send(run, url, key, named=named)
    _show(outcome, as_json=json)
    return DONE if outcome.ok else FOUND_WRONG


def _ask_and_send(run: "_Run", url: str, key: str | None, *, named: bool) -> None:
    """Raises CouldNotRunError, but not for a mere check where no gateway is named and none is to be had."""
    try:
        with could_not_run():
            asyncio.run(run.go(url, key, patient=named or not run.check))
    except CouldNotRunError as error:
        if named or not run.check:
            raise
        remarks.print(f"Only the file was checked, not what the gateway says of it: {error}", markup=False)


@dataclass(frozen=True, slots=True)
class _Run:
    """A file that was read, on its way to a gateway."""

    kind: KindName
    source: str
    table: Table
    check: bool
    new_skus: bool
    outcome: Outcome

    async def go(self, url: str, key: str | None, *, patient: bool) -> None:
        """Ask the gateway, and send where nothing is wrong. Raises ClientError, CouldNotRunError."""
        outcome = self.outcome
        async with Client(url, key, retry=None if patient else NO_RETRY) as client:
            importer = Importer(client, KINDS[self.kind], self.source, self.table)
            judged = await importer.judge()
            outcome.asked, outcome.bad, outcome.new = True, judged.bad, judged.new
            outcome.new_count, outcome.like = judged.new_count, judged.like
            outcome.blocked = bool(judged.new) and not judged.empty and not self.new_skus
            if self.check or not outcome.ok:
                return
            with LiveWatcher("facts") as watcher:
                report = watcher.phase(f"importing {self.kind}", outcome.rows)
                outcome.bad, outcome.taken, outcome.sequence = await importer.send(report)


def _check_texts(source: str | None, moment: str) -> None:
    for option, text, shape, form in (
        ("--source", source, Name, "1 to 128 characters without control characters"),
        ("--as-of", moment_of(moment), AsOf, "a time such as 2026-11-23T15:00:00Z, or a running number"),
    ):
        try:
            if text is not None:
                str(text).encode()
                msgspec.convert(text, shape)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise CouldNotRunError(f"{option} {str(text)[:60]!r} is not {form}") from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CouldNotRunError(f"{file} is not UTF-8 (byte {error.start})", "Save it as CSV in UTF-8.") from error


def _show(outcome: Outcome, *, as_json: bool) -> None:
    bad, new = outcome.bad, outcome.new
    if as_json:
        write_json(
            {
                "rows": outcome.rows,
                "taken": outcome.taken,
                "sequence": outcome.sequence,
                "asked": outcome.asked,
                "bad": [cell._asdict() for cell in bad],
                "new_skus": [
                    {"sku": sku, "row": row, **({"like": outcome.like[sku]} if sku in outcome.like else {})}
                    for sku, row in new.items()
                ],
                "new_skus_count": outcome.new_count,
            }
        )
    else:
        _show_rows([*bad, *(BadCell(row, "sku", _about(sku, outcome.like.get(sku))) for sku, row in new.items())])
    if bad and not outcome.taken:
        many = f"{number(len(bad))} things are" if len(bad) > 1 else "1 thing is"
        remarks.print(f"{many} wrong; nothing was imported.", style="bold red")
    elif bad:
        remarks.print(
            f"{number(outcome.taken)} rows were imported; {number(len(bad))} were rejected meanwhile.", style="bold red"
        )
    if outcome.blocked:
        remarks.print(
            f"{_new(outcome.new_count)}; nothing was imported. If that is right, give --new-skus.",
            style="bold red",
            markup=False,
        )
    elif new:
        remarks.print(f"{_new(outcome.new_count)}.", markup=False)
    if outcome.ok and not as_json:
        taken, at = number(outcome.taken), number(outcome.sequence or 0)
        results.print(f"{taken} rows imported, in the log at sequence {at}." if outcome.taken else "All rows are good.")


def _new(count: int) -> str:
    return f"{number(count)} SKUs are new" if count > 1 else "1 SKU is new"


def _about(sku: str, like: str | None) -> str:
    why = f"{sku!r} is a new SKU"
    if like is not None:
        why += f"; it differs from {like!r} only in case, width, composition or leading zeros"
    return f"{why}; it looks like a number that a spreadsheet has rewritten" if looks_rewritten(sku) else why


def _show_rows(cells: list[BadCell]) -> None:
    if not cells:
        return
    shown = Shown("row", "column", "why", box=None)
    for cell in cells[:BAD_SHOWN_MAX]:
        shown.add_row(str(cell.row), cell.column, Text(cell.why))
    results.print(shown)
    if len(cells) > BAD_SHOWN_MAX:
        remarks.print(f"... and {number(len(cells) - BAD_SHOWN_MAX)} more; --json lists all.")
