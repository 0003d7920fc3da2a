"""`holdfast reconcile`: compare ERPs, shops and holdfast now.

In: the settings' tables `[erp.NAME]`, the stores of a data directory, its gateway and log. Out: tables, JSON, a page;
exit status 1 where something differs. Always: nothing is changed without --apply; what cannot be reached is said, and
the rest is compared.
"""

import sqlite3
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.table import Table

from holdfast.cli.connection import url_on
from holdfast.cli.console import (
    DONE,
    FOUND_WRONG,
    PATH,
    CouldNotRunError,
    Json,
    print_whole,
    reason_of,
    remarks,
    results,
    write_json,
)
from holdfast.cli.place import HERE, Place, with_log
from holdfast.nats.connection import Connection
from holdfast.reconcile.findings import CORRECTED, Report
from holdfast.reconcile.page import page_of
from holdfast.reconcile.run import Place as Compared
from holdfast.reconcile.run import reconcile as compare
from holdfast.settings.resolve import Resolved


def reconcile(
    *,
    apply: Annotated[
        str | None,
        Parameter(help=f"Send the corrections of these types, with commas: {', '.join(CORRECTED)}; or all."),
    ] = None,
    html: Annotated[Path | None, PATH, Parameter(help="Write the report as one HTML page.")] = None,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Compare what ERPs, shops and holdfast have. Exit status 1: something differs, or could not be compared.

    ```
    holdfast reconcile --data DIR --config holdfast.toml
    holdfast reconcile --html report.html --data DIR
    holdfast reconcile --apply missing-event,manual-edit --data DIR
    ```
    """
    types = _types(apply)
    if html is not None:
        _check_writable(html)

    async def work(connection: Connection, found: Resolved, directory: Path) -> Report:
        where = Compared(directory, url_on(directory), found.serve.scope, found.settings, connection)
        try:
            return await compare(where, types)
        except sqlite3.Error as fault:
            raise CouldNotRunError(
                f"{directory / 'reconcile'}: {fault}", "Look at the space and the rights there."
            ) from fault

    directory, found = place.settings()
    url_on(directory)
    report = with_log(place, "reconcile", work)
    if html is not None:
        try:
            html.write_text(page_of(report), encoding="utf-8")
        except OSError as fault:
            raise CouldNotRunError(reason_of(fault), "Name another file with --html.") from fault
    if json:
        write_json(msgspec.to_builtins(report))
    else:
        _show(report, bool(found.settings.erp))
    return DONE if report.is_clean else FOUND_WRONG


def _types(apply: str | None) -> tuple[str, ...]:
    if apply is None:
        return ()
    chosen = CORRECTED if apply == "all" else tuple(apply.split(","))
    wrong = [one for one in chosen if one not in CORRECTED]
    if wrong:
        raise CouldNotRunError(
            f"--apply cannot be {wrong[0][:40]!r}", f"There are corrections of {', '.join(CORRECTED)}; or give all."
        )
    return chosen


def _check_writable(file: Path) -> None:
    """Before the work begins. Raises CouldNotRunError."""
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise CouldNotRunError(f"{file} cannot be written", "Name a file in a directory that is there with --html.")


def _show(report: Report, has_erps: bool) -> None:
    if not report.comparisons:
        remarks.print("Nothing is connected: neither an ERP nor a shop." if not has_erps else "Nothing was compared.")
        return
    table = Table("between", "connection", "compared", "differ", "moving", "remarks")
    for one in report.comparisons:
        differ = "failed" if one.failed else str(one.differing)
        text = one.failed or "; ".join(one.remarks)
        table.add_row(
            f"{one.pair}, {one.what}", one.connection, f"{one.compared:,}", differ, str(len(one.moving)), text
        )
    print_whole(table)
    if report.differences:
        table = Table("type", "between", "of", "figures", "why")
        for each in report.differences:
            of = " ".join(part for part in (each.sku, each.location) if part) or each.order
            figures = "; ".join(f"{name} {value}" for name, value in each.figures.items())
            table.add_row(each.type, f"{each.pair} ({each.connection})", of, figures, "; ".join(each.evidence))
        print_whole(table)
    for sent in report.applied:
        if sent.run == report.run:
            results.print(f"{sent.type} {sent.id}: {sent.result}", markup=False)
    if any(each.correction is not None for each in report.differences) and not any(
        sent.run == report.run for sent in report.applied
    ):
        remarks.print("`holdfast reconcile --apply TYPES` sends the corrections; --json shows them.", markup=False)
