"""A rehearsal's report for people: what was asked, what was sold, and whether every unit is accounted for."""

from collections.abc import Mapping

from rich.table import Table

from holdfast.cli.console import number, results
from holdfast.rehearsal.report import Report

NOTHING = "none"


def show_report(report: Report) -> None:
    """Writes the report to stdout."""
    for table in (_read(report), _orders(report), _sums(report), _speed(report)):
        results.print(table)
        results.print()
    if report.conservation.misfits:
        results.print(_misfits(report))
    if report.ok:
        results.print("Every unit is accounted for; nothing was oversold.", style="bold green")
    for fault in report.faults:
        results.print(f"WRONG: {fault}", style="bold red")


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="left")
    return table


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number(count)}" for name, count in counts.items()) or NOTHING


def _read(report: Report) -> Table:
    read = report.read
    table = _table(f"The file: {report.file}")
    table.add_row("rows", number(read.rows))
    table.add_row(
        "carts", f"{number(read.carts)} with {number(read.cart_lines)} lines, {number(read.units_asked)} units"
    )
    table.add_row("returns", f"{number(read.returns)} with {number(read.return_lines)} SKUs")
    table.add_row("SKUs", number(read.skus))
    table.add_row("left out: not goods", _counts(read.no_goods))
    table.add_row("left out: unreadable", f"{number(read.bad_rows)}, quantity 0: {number(read.zero_quantity)}")
    for row in read.bad_rows_first:
        table.add_row("", row)
    return table


def _orders(report: Report) -> Table:
    orders = report.orders
    table = _table(f"The orders (opening stock short of {report.short_percent:g} % of each SKU's demand)")
    table.add_row("", "carts         lines          units", style="dim")
    for name, carts, lines, units in (
        ("offered", orders.offered, orders.lines_offered, orders.units_offered),
        ("held", orders.held, orders.lines_held, orders.units_held),
        ("sold", orders.sold, None, orders.units_sold),
        ("refused", sum(orders.refused.values()), None, orders.units_refused),
        ("returned", orders.returned, None, orders.units_returned),
    ):
        shown = "" if lines is None else number(lines)
        table.add_row(name, f"{number(carts):<13} {shown:<14} {number(units)}")
    table.add_row("refused, why", _counts(orders.refused))
    table.add_row("lines, why", _counts(orders.lines_refused))
    if orders.confirmed_too_late:
        table.add_row("confirmed too late", number(orders.confirmed_too_late))
    return table


def _sums(report: Report) -> Table:
    sums = report.conservation
    table = _table("The sums")
    table.add_row("oversold", f"{number(report.oversold_units)} units")
    table.add_row(
        "conserved", f"{number(sums.conserved)} of {number(sums.skus)} SKUs: opening - sold + returned = closing"
    )
    table.add_row(
        "units",
        f"{number(sums.units_opening)} - {number(report.orders.units_sold)} + {number(report.orders.units_returned)}"
        f" = {number(sums.units_closing)}",
    )
    kept = report.kept
    table.add_row(
        "acknowledged", f"{number(kept.acknowledged - kept.missing)} of {number(kept.acknowledged)} are there"
    )
    for strike in report.killed:
        table.add_row(
            "kill -9",
            f"{strike.what} after {number(strike.after_orders)} orders, ready again after {strike.back_after_s:g} s",
        )
    table.add_row("digest", f"{report.digest} at sequence {number(report.sequence)}")
    if report.rebuilt is not None:
        same = "equal" if report.rebuilt.equal else "NOT EQUAL"
        table.add_row("log rebuilt", f"{report.rebuilt.digest} {same}")
    return table


def _speed(report: Report) -> Table:
    speed = report.speed
    title = (
        f"The speed: {speed.seconds:.1f} s, {number(speed.carts_per_s)} carts/s, {number(speed.lines_per_s)} lines/s, "
        f"{speed.connections} connections, {number(speed.requests_repeated)} requests sent again"
    )
    table = Table("ms", "calls", "p50", "p90", "p99", "p99.9", "max", title=title, title_justify="left", box=None)
    table.title_style = "bold"
    for name, took in speed.milliseconds.items():
        figures = [f"{took[key]:.2f}" for key in ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")]
        table.add_row(name, number(took["calls"]), *figures)
    return table


def _misfits(report: Report) -> Table:
    table = Table("SKU", "opening", "sold", "returned", "must be", "is", title="Not conserved", title_justify="left")
    for row in report.conservation.misfits:
        table.add_row(*(str(row[key]) for key in ("sku", "opening", "sold", "returned", "expected", "closing")))
    return table
