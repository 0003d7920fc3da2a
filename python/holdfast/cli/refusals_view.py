"""Refusals summed up: how many carts wanted what, and how much was missing.

In: refusals as ASK keeps them, newest first. Out: rows by SKU, channel or reason; a table. Always: a cart that asked
again and again counts once a SKU, by its newest refusal.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.table import Table

from holdfast.cli.console import number, results
from holdfast.cli.moment import shown


class By(StrEnum):
    """What refusals are summed up by."""

    SKU = "sku"
    CHANNEL = "channel"
    REASON = "reason"


@dataclass
class Row:
    """One group. Units: in base units, of what was refused; `missing`: what was asked for beyond what could be sold."""

    name: str
    refusals: int = 0
    carts: int = 0
    requested: int = 0
    missing: int = 0
    newest: str = ""


def rows(refusals: list[dict[str, Any]], by: By) -> list[Row]:
    """The most missing first."""
    found: dict[str, Row] = {}
    seen: set[tuple[str, ...]] = set()
    for refusal in refusals:
        lines = refusal["lines"] or [{"sku": None, "requested": None, "sellable": None, "reason": None}]
        for name in dict.fromkeys(_name(refusal, line, by) for line in lines):
            row = found.setdefault(name, Row(name, newest=shown(refusal["at_ms"])))
            row.refusals += 1
            if (name, refusal["reservation"]) not in seen:
                seen.add((name, refusal["reservation"]))
                row.carts += 1
        for line in lines:
            key = ("", refusal["reservation"], str(line["sku"]))
            if line["sku"] is None or key in seen:
                continue
            seen.add(key)
            row = found[_name(refusal, line, by)]
            row.requested += line["requested"] or 0
            row.missing += max(0, (line["requested"] or 0) - max(0, line["sellable"] or 0))
    return sorted(found.values(), key=lambda row: (-row.missing, -row.refusals, row.name))


def _name(refusal: dict[str, Any], line: dict[str, Any], by: By) -> str:
    if by is By.SKU:
        return str(line["sku"] or "-")
    if by is By.CHANNEL:
        return str(refusal["channel"] or "-")
    return str(line["reason"] or refusal["reason"])


def document(found: list[Row], by: By, *, total: int, left_out: int, more: bool) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "by": by.value,
        "refusals": total,
        "left_out": left_out,
        "more": more,
        "groups": [{by.value: row.name} | {k: v for k, v in asdict(row).items() if k != "name"} for row in found],
    }


def show(found: list[Row], by: By, rows_max: int) -> None:
    """The first rows, as a table."""
    table = Table(box=None, padding=(0, 2))
    table.add_column(by.value)
    for title in ("refusals", "carts", "units asked for", "units missing"):
        table.add_column(title, justify="right")
    table.add_column("newest")
    for row in found[:rows_max]:
        figures = (number(figure) for figure in (row.refusals, row.carts, row.requested, row.missing))
        table.add_row(row.name, *figures, row.newest)
    results.print(table, markup=False)
    if len(found) > rows_max:
        results.print(f"and {number(len(found) - rows_max)} more: --rows shows them, --json has all", markup=False)
