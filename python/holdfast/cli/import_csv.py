"""`holdfast import`: stock levels, items, locations and more from a CSV file, all of it or nothing.

In: a file of one kind. Out: facts in the log, or one line per bad row: its number, the column, and why.
Always: nothing is sent before every row was read and the gateway has answered that it would accept every one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from holdfast.adapters.csv_kinds import KINDS, Kind
from holdfast.adapters.csv_table import BadCell, read_table, template
from holdfast.cli.connection import Gateway, GatewayData, Key, could_not_run, url_of
from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, Json, number, remarks, results, write_json
from holdfast.cli.live import LiveWatcher
from holdfast.client import Client

FACTS_TOGETHER = 2_000
BAD_SHOWN_MAX = 50

KindName = Literal["levels", "items", "locations", "channels", "supply", "allocations", "safety"]
KIND_HELP = "What the rows are. " + " ".join(f"{name}: {kind.meaning}." for name, kind in KINDS.items())


def import_csv(
    file: Annotated[Path | None, Parameter(help="The CSV file, in UTF-8; the first row names the columns.")] = None,
    /,
    *,
    kind: Annotated[KindName, Parameter(help=KIND_HELP)] = "levels",
    show_template: Annotated[
        bool, Parameter(name="--template", negative="", show_default=False, help="Print a file to start from.")
    ] = False,
    check: Annotated[
        bool, Parameter(negative="", show_default=False, help="Only report what is wrong with the file; send nothing.")
    ] = False,
    source: Annotated[str, Parameter(help="The system that reports; one owns a location's levels.")] = "csv",
    as_of: Annotated[
        str | None,
        Parameter(help="When the figures were true, RFC 3339 in UTC, for rows without `as_of`; default: now."),
    ] = None,
    gateway: Gateway = None,
    data: GatewayData = None,
    key: Key = None,
    json: Json = False,
) -> int:
    """Import stock levels, items, locations and more from a CSV file: all of it or nothing.

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
            "No file was named.", f"holdfast import --template --kind {kind} > {kind}.csv prints one."
        )
    moment = as_of or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    table = read_table(_text(file), chosen, moment)
    if table.bad or check:
        return _outcome(len(table.facts), table.bad, taken=0, sequence=None, as_json=json)
    if not table.facts:
        raise CouldNotRunError(f"{file} has no rows.", "The first row names the columns; the facts follow.")
    with could_not_run(), LiveWatcher("facts") as watcher:
        report = watcher.phase(f"importing {kind}", len(table.facts))
        importer = _Importer(chosen, source, url_of(gateway, data), key)
        bad, taken, sequence = asyncio.run(importer.run(table.facts, table.rows, report))
    return _outcome(len(table.facts), bad, taken=taken, sequence=sequence, as_json=json)


class _Importer:
    """Sends facts in bodies of bounded size: first all of them as a dry run, then, if none would be rejected, for
    real.
    """

    def __init__(self, kind: Kind, source: str, url: str, key: str | None) -> None:
        self._kind = kind
        self._source = source
        self._url = url
        self._key = key

    async def run(
        self, facts: Sequence[dict[str, Any]], rows: Sequence[int], report: Callable[[int], None]
    ) -> tuple[list[BadCell], int, int | None]:
        """The rows that were rejected, how many were accepted, and the LOG sequence that has them."""
        async with Client(self._url, self._key) as client:
            bad = [BadCell(rows[index], "", reason) async for index, reason in self._tried(client, facts)]
            if bad:
                return bad, 0, None
            taken, sequence = 0, None
            for start, some in _bodies(facts):
                answer = await (client.policies(some) if self._kind.policy else client.facts(self._source, some))
                bad.extend(BadCell(rows[start + one.index], "", one.reason) for one in answer.rejected)
                taken += answer.accepted
                sequence = answer.sequence
                report(taken)
            return bad, taken, sequence

    async def _tried(self, client: Client, facts: Sequence[dict[str, Any]]) -> AsyncIterator[tuple[int, str]]:
        for start, some in _bodies(facts):
            dry = (
                client.policies(some, dry_run=True)
                if self._kind.policy
                else client.facts(self._source, some, dry_run=True)
            )
            for one in (await dry).rejected:
                yield start + one.index, one.reason


def _bodies(facts: Sequence[dict[str, Any]]) -> Iterator[tuple[int, Sequence[dict[str, Any]]]]:
    for start in range(0, len(facts), FACTS_TOGETHER):
        yield start, facts[start : start + FACTS_TOGETHER]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CouldNotRunError(f"{file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CouldNotRunError(f"{file} is not UTF-8 (byte {error.start}).", "Save it as CSV in UTF-8.") from error


def _outcome(rows: int, bad: list[BadCell], *, taken: int, sequence: int | None, as_json: bool) -> int:
    if as_json:
        write_json({"rows": rows, "taken": taken, "sequence": sequence, "bad": [cell._asdict() for cell in bad]})
    elif bad:
        table = Table("row", "column", "why", box=None)
        for cell in bad[:BAD_SHOWN_MAX]:
            table.add_row(str(cell.row), cell.column, Text(cell.why))
        results.print(table)
        if len(bad) > BAD_SHOWN_MAX:
            remarks.print(f"... and {number(len(bad) - BAD_SHOWN_MAX)} more; --json lists all.")
    if bad and not taken:
        remarks.print(f"{number(len(bad))} things are wrong; nothing was imported.", style="bold red")
    elif bad:
        remarks.print(
            f"{number(taken)} rows were imported; {number(len(bad))} were rejected meanwhile.", style="bold red"
        )
    elif not as_json:
        summary = (
            f"{number(taken)} rows imported, in the log at sequence {number(sequence or 0)}."
            if taken
            else "All rows are good."
        )
        results.print(summary)
    return FOUND_WRONG if bad else DONE
