"""A CSV file of one kind, into facts.

In: the file's text. Out: every row as a fact, or every bad cell with its row, column and why.
Always: either all rows became facts or none is returned; the same row of the same file gives the same fact.
"""

import csv
import io
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import msgspec

from holdfast.adapters.csv_kinds import EXPECTED, UNSELLABLE, Kind

ROWS_MAX = 1_000_000
BAD_CELLS_MAX = 1_000  # beyond these, reading stops: the file is probably of another kind


class BadCell(NamedTuple):
    """A cell that cannot be accepted, and why. Row 1 is the header; column "" is the whole row."""

    row: int
    column: str
    why: str


@dataclass(slots=True)
class Table:
    """The rows as facts, in order, and what is wrong with the file; `facts` is only whole when `bad` is empty."""

    facts: list[dict[str, Any]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    bad: list[BadCell] = field(default_factory=list)


def read_table(text: str, kind: Kind, as_of: str) -> Table:
    """Reads a file's text; `as_of` is for rows without one, where the kind needs it."""
    table = Table()
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    header = [name.strip() for name in next(lines, [])]
    table.bad.extend(_bad_header(header, kind))
    if table.bad:
        return table
    seen: dict[tuple[Any, ...], int] = {}
    try:
        for cells in lines:
            row = lines.line_num
            if not any(cells):
                continue
            if len(cells) != len(header):
                table.bad.append(BadCell(row, "", f"{len(cells)} cells where the header has {len(header)}"))
            else:
                _take_row(
                    dict(zip(header, (cell.strip() for cell in cells), strict=True)), row, kind, as_of, seen, table
                )
            if len(table.bad) >= BAD_CELLS_MAX or len(table.facts) > ROWS_MAX:
                table.bad.append(BadCell(row, "", "reading stops here: too many bad cells or rows"))
                break
    except csv.Error as error:
        table.bad.append(BadCell(lines.line_num, "", f"not CSV: {error}"))
    return table


def template(kind: Kind) -> str:
    """A file to start from: every column, and rows that show them."""
    out = io.StringIO()
    rows = csv.DictWriter(out, list(kind.columns), lineterminator="\n")
    rows.writeheader()
    rows.writerows(kind.example)
    return out.getvalue()


def _delimiter(text: str) -> str:
    """Spreadsheets of many European countries write semicolons."""
    header = text.partition("\n")[0]
    return ";" if ";" in header and "," not in header else ","


def _bad_header(header: list[str], kind: Kind) -> list[BadCell]:
    known = ", ".join(kind.columns)
    bad = [BadCell(1, name, f"unknown column; known are: {known}") for name in header if name not in kind.columns]
    bad += [BadCell(1, name, "this column is missing") for name in kind.required if name not in header]
    bad += [
        BadCell(1, name, "this column is there twice") for name in sorted({n for n in header if header.count(n) > 1})
    ]
    return bad


def _take_row(
    cells: dict[str, str], row: int, kind: Kind, as_of: str, seen: dict[tuple[Any, ...], int], table: Table
) -> None:
    before = len(table.bad)
    values = {
        name: value for name, cell in cells.items() if (value := _value(name, cell, row, kind, table.bad)) is not None
    }
    table.bad.extend(BadCell(row, name, "this cell is empty") for name in kind.required if not cells[name])
    if len(table.bad) > before:
        return
    key = tuple(values.get(name) for name in kind.unique)
    first = seen.setdefault(key, row)
    if first != row:
        table.bad.append(BadCell(row, kind.unique[0], f"the same {' and '.join(kind.unique)} as row {first}"))
        return
    fact = _fact(values, kind, as_of)
    try:
        msgspec.convert(fact, kind.fact)
    except msgspec.ValidationError as error:
        table.bad.append(BadCell(row, "", str(error)))
        return
    table.facts.append(fact)
    table.rows.append(row)


def _value(name: str, cell: str, row: int, kind: Kind, bad: list[BadCell]) -> Any:
    if not cell:
        return None
    parse = kind.columns[name]
    try:
        value = parse(cell)
    except (ValueError, KeyError):
        bad.append(BadCell(row, name, f"{cell!r} is not {EXPECTED[parse]}"))
        return None
    try:
        return msgspec.convert(value, _types(kind.fact).get(name, int))
    except msgspec.ValidationError as error:
        bad.append(BadCell(row, name, f"{cell!r}: {_plain(str(error))}"))
        return None


def _fact(values: dict[str, Any], kind: Kind, as_of: str) -> dict[str, Any]:
    """The row with what a file may leave out filled in."""
    config = kind.fact.__struct_config__
    fact: dict[str, Any] = {"kind": config.tag}
    unsellable = {name: values.pop(name) for name in UNSELLABLE if name in values and name in kind.columns}
    fact |= {name: msgspec.to_builtins(value) for name, value in values.items()}
    if unsellable:
        fact["unsellable"] = unsellable
    names = _types(kind.fact)
    for name, default in (("as_of", as_of), ("basis", "gross"), ("base_unit", "each"), ("type", "warehouse")):
        if name in names:
            fact.setdefault(name, default)
    if "status" in names:
        fact.setdefault("status", "open" if "due" in names else "active")
    return fact


@cache
def _types(fact: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(fact)}


def _plain(message: str) -> str:
    """msgspec's message without its path: a cell has none."""
    return message.partition(" - at ")[0]
