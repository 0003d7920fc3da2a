"""`holdfast report`: the business figures of a range of time, counted from LOG (docs/business.md).

In: a data directory, two moments. Out: a table, JSON, CSV, or an HTML file. Always: it reads LOG's copies on the disk
and the stream of refusals, and writes only the file of figures; all four forms have the same numbers.
"""

import csv
import io
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import uvloop
from cyclopts import Parameter
from rich.table import Table

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, PATH, CouldNotRunError, Json, print_whole, results, write_json
from holdfast.cli.report_view import Row, page, rows
from holdfast.cli.settings_options import Config, Data, Scope, settings_of_data, text_of
from holdfast.hindsight.business.figures import RangeError, range_of
from holdfast.hindsight.business.figures import report as report_of
from holdfast.hindsight.business.reading import MESSAGES_MAX, Counting, Refusals
from holdfast.hindsight.business.store import MINUTE_MS
from holdfast.nats.asked import following
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.streams import Names
from holdfast.recovery.past import Past
from holdfast.recovery.verify import endpoint_at
from holdfast.settings import Settings
from holdfast.settings.units import DAY_MS

Begin = Annotated[
    str | None, Parameter(name="--from", help="From this day (UTC) or time (with its zone) on. Default: a day ago.")
]
End = Annotated[
    str | None, Parameter(name="--to", help="Until before this day (UTC) or time (with its zone). Default: now.")
]


def report(
    *,
    begin: Begin = None,
    end: End = None,
    data: Data = None,
    as_csv: Annotated[
        bool, Parameter(name="--csv", negative="", show_default=False, help="Write rows as CSV.")
    ] = False,
    html: Annotated[Path | None, PATH, Parameter(help="Write a page to this file, to send or to print.")] = None,
    scope: Scope = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what a time came to: orders, units, how long they took, what was lost, how right the stock was.

    The first time it counts all that is kept; then it goes on where it stopped. Run it at least once a week: refused
    carts are kept for seven days.

    ```
    holdfast report --data DIR --from 2026-11-27 --to 2026-11-28
    holdfast report --data DIR --from 2026-11-01 --to 2026-12-01 --html november.html
    holdfast report --data DIR --csv > yesterday.csv
    ```
    """
    directory, loaded = settings_of_data(config, {"serve.data": text_of(data), "serve.scope": scope})
    if json and as_csv:
        raise CouldNotRunError("--json and --csv exclude each other", "Choose one.")
    if not (directory / "nats").is_dir() and not (directory / "journal").is_dir():
        raise CouldNotRunError(
            f"there is no log under {directory}", "Give the directory that `serve --data` was given."
        )
    wanted_ms = _range(begin, end)
    _must_be_writable(html)
    with could_not_run():
        found = _counted(directory, loaded, wanted_ms)
    if html is not None:
        html.write_text(page(found), encoding="utf-8")
    if json:
        write_json(found)
    elif as_csv:
        sys.stdout.write(_csv(rows(found)))
    elif html is None:
        _show(found, rows(found))
    return DONE


def _range(begin: str | None, end: str | None) -> tuple[int, int]:
    now_ms = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS + MINUTE_MS
    upto_ms = now_ms if end is None else _ms("--to", end)
    from_ms = upto_ms - DAY_MS if begin is None else _ms("--from", begin)
    if from_ms >= upto_ms or from_ms % MINUTE_MS or upto_ms % MINUTE_MS:
        raise CouldNotRunError("--from is before --to, and both are on a whole minute", "Give two days, or two times.")
    return from_ms, upto_ms


def _must_be_writable(html: Path | None) -> None:
    if html is not None and (html.is_dir() or not html.parent.is_dir()):
        raise CouldNotRunError(f"{html} cannot be written", "Give --html a file in a directory that is there.")


def _counted(directory: Path, loaded: Any, wanted_ms: tuple[int, int]) -> dict[str, Any]:
    scope = loaded.serve.scope
    counting = Counting(directory, scope)
    try:
        counting.count(Past(directory, scope, loaded.settings), _refusals(directory, loaded, counting.asked))
        return report_of(counting.store, scope, range_of(counting.store, *wanted_ms))
    except RangeError as fault:
        raise CouldNotRunError(f"the range cannot be answered: {fault}", "Choose other --from and --to.") from None
    finally:
        counting.close()


def _ms(option: str, text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CouldNotRunError(
            f"{option} cannot be {text[:80]!r}", "Give a day, such as 2026-11-27, or a time: 2026-11-27T09:30:00Z."
        ) from error
    if found.tzinfo is None and len(text) > len("2026-11-27"):
        raise CouldNotRunError(f"{option} {text[:80]} has no zone", "Add Z, or +02:00.")
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _refusals(directory: Path, loaded: Any, after: int) -> Refusals:
    if not (directory / "nats").is_dir() and not loaded.serve.nats:
        return []

    async def read() -> Refusals:
        async with endpoint_at(directory, loaded.settings) as endpoint:
            return await _read(endpoint, loaded.serve.scope, loaded.settings, after)

    return uvloop.run(read())


async def _read(endpoint: Endpoint, scope: str, settings: Settings, after: int) -> Refusals:
    connection = Connection(endpoint, settings.log, f"holdfast {scope} report")
    await connection.open()
    try:
        return await following(connection, Names(scope), after, MESSAGES_MAX)
    finally:
        await connection.close()


def _csv(found: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["part", "figure", "value"])
    writer.writerows((one.part, one.name, "" if one.value is None else one.value) for one in found)
    return text.getvalue()


def _show(found: dict[str, Any], lines: list[Row]) -> None:
    table = Table(title=f"{found['from']} until {found['upto']}", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    table.add_column("")
    table.add_column("", justify="right")
    part = ""
    for one in lines:
        table.add_row(one.part if one.part != part else "", one.words, one.shown, end_section=False)
        part = one.part
    print_whole(table)
    results.print(f"Counted up to {found['counted_upto']}, since {found['counted_since']}.")
    for gap in found["gaps"]:
        results.print(f"Not counted, for LOG was no longer kept: {gap['from']} until {gap['upto']}.")
