"""A CSV file of one kind, into facts.

In: the file's text. Out: every row as a fact, or every bad cell with its row, column and why.
Always: either all rows became facts or none is returned; the same row of the same file gives the same fact.
"""

import csv
import io
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from holdfast.adapters.csv_kinds import ALL, END, EXPECTED, UNSELLABLE, Kind

ROWS_MAX = 1_000_000
BAD_CELLS_MAX = 1_000  # beyond these, reading stops: the file is probably of another kind


class BadCell(NamedTuple):
    """A cell that cannot be accepted, and why. Row 1 is the header; column "" is the whole row."""

    row: int
    column: str
    why: str


@dataclass(slots=True)
class Table:
    """The rows as facts, in order, and what is wrong with the file; `facts` is only whole when `bad` is empty.

    `count`: how many rows there were, which several may have become one fact.
    """

    facts: list[dict[str, Any]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    bad: list[BadCell] = field(default_factory=list)
    count: int = 0


def read_table(text: str, kind: Kind, as_of: str) -> Table:
    """Reads a file's text; `as_of` is for rows without one, where the kind needs it."""
    table = Table()
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, kind), strict=True)
    seen: dict[tuple[Any, ...], int] = {}
    try:
        header = [_column(name) for name in next(lines, [])]
        table.bad.extend(_bad_header(header, kind))
        if table.bad:
            return table
        for cells in lines:
            row = lines.line_num
            if not any(cells):
                continue
            table.count += 1
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
    if kind.nested and not table.bad:
        _merge(table)
    if "aliases" in kind.columns:
        table.bad.extend(_two_of_one_name(table))
    return table


def _merge(table: Table) -> None:
    """Rows that differ in their line alone become one document, in the place of the first of them."""
    first: dict[str, dict[str, Any]] = {}
    rows: list[int] = []
    for fact, row in zip(table.facts, table.rows, strict=True):
        head = repr(sorted((name, value) for name, value in fact.items() if name != "lines"))
        if head not in first:
            first[head] = fact
            rows.append(row)
        else:
            first[head].setdefault("lines", []).extend(fact.get("lines", []))
    table.facts, table.rows = list(first.values()), rows


def template(kind: Kind) -> str:
    """A file to start from: every column, and rows that show them."""
    out = io.StringIO()
    rows = csv.DictWriter(out, list(kind.columns), lineterminator="\n")
    rows.writeheader()
    rows.writerows(kind.example)
    return out.getvalue()


def _delimiter(text: str, kind: Kind) -> str:
    """Commas, the semicolons of half of Europe's spreadsheets, or tabs: what gives the most known columns."""
    header = text.partition("\n")[0]

    def known(delimiter: str) -> int:
        return sum(_column(name) in kind.columns for name in header.replace('"', "").split(delimiter))

    return max((",", ";", "\t"), key=known)


def _column(name: str) -> str:
    """`On Hand` and `ON_HAND` are on_hand."""
    return "_".join(name.replace("-", " ").split()).lower()


def _bad_header(header: list[str], kind: Kind) -> list[BadCell]:
    known = ", ".join(kind.columns)
    bad = [BadCell(1, name, f"unknown column; known are: {known}") for name in header if name not in kind.columns]
    bad += [BadCell(1, name, "this column is missing") for name in kind.required if name not in header]
    bad += [
        BadCell(1, names[0], f"a column {' or '.join(names)} is missing")
        for names in (kind.figures, kind.for_all)
        if names and not set(names) & set(header)
    ]
    bad += [
        BadCell(1, name, "this column is there twice") for name in sorted({n for n in header if header.count(n) > 1})
    ]
    return bad


def _take_row(
    cells: dict[str, str], row: int, kind: Kind, as_of: str, seen: dict[tuple[Any, ...], int], table: Table
) -> None:
    before = len(table.bad)
    ended = [name for name in kind.figures if cells.get(name, "").lower() == END]
    values = {
        name: value
        for name, cell in cells.items()
        if name not in ended
        and not (cell == ALL and name in kind.for_all)
        and (value := _value(name, cell, row, kind, table.bad)) is not None
    }
    table.bad.extend(_bad_blanks(cells, row, kind))
    if ended and any(name in values for name in kind.figures):
        table.bad.append(BadCell(row, ended[0], f"`{END}` ends the whole rule: leave the other figure empty"))
    if len(table.bad) > before:
        return
    if ended and kind.fact.__struct_config__.tag == "allocation":
        values["quantity"] = 0
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


def _bad_blanks(cells: dict[str, str], row: int, kind: Kind) -> list[BadCell]:
    """Cells that are empty where nothing may be meant by that, and `*` where it would be taken for a name."""
    bad = [BadCell(row, name, "this cell is empty") for name in kind.required if not cells[name]]
    bad += [
        BadCell(row, name, f"this cell is empty; `{ALL}` means all")
        for name in kind.for_all
        if name in cells and not cells[name]
    ]
    bad += [
        BadCell(row, name, f"`{ALL}` cannot be a name; such a row is for one {name}")
        for name in ("sku", "location", "channel")
        if cells.get(name) == ALL and name not in kind.for_all
    ]
    figures = [name for name in kind.figures if name in cells]
    if figures and not any(cells[name] for name in figures):
        bad.append(BadCell(row, figures[0], f"this cell is empty; write a figure, or `{END}` to end the rule"))
    return bad


def _two_of_one_name(table: Table) -> list[BadCell]:
    """SKUs and aliases are names of one thing each, in whichever order the rows come."""
    owner = {fact["sku"]: (row, "the SKU") for fact, row in zip(table.facts, table.rows, strict=True)}
    bad = []
    for fact, row in zip(table.facts, table.rows, strict=True):
        for alias in dict.fromkeys(fact.get("aliases", ())):
            other, is_its = owner.setdefault(alias, (row, "an alias"))
            if other != row:
                bad.append(BadCell(row, "aliases", f"{alias!r} is {is_its} of row {other}"))
    return bad


def _value(name: str, cell: str, row: int, kind: Kind, bad: list[BadCell]) -> Any:
    if not cell:
        return None
    parse = kind.columns[name]
    try:
        value = parse(cell)
    except (ValueError, KeyError):
        bad.append(BadCell(row, name, f"{cell!r} is not {EXPECTED[parse]}"))
        return None
    shape = _shape(kind, name)
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        choices = _choices(shape)
        why = f" is not one of: {', '.join(choices)}" if choices else f": {_plain(str(error))}"
        bad.append(BadCell(row, name, f"{cell!r}{why}"))
        return None


def _fact(values: dict[str, Any], kind: Kind, as_of: str) -> dict[str, Any]:
    """The row with what a file may leave out filled in."""
    config = kind.fact.__struct_config__
    fact: dict[str, Any] = {"kind": config.tag}
    unsellable = {name: values.pop(name) for name in UNSELLABLE if name in values and name in kind.columns}
    line = {name: msgspec.to_builtins(values.pop(name)) for name in kind.nested if name in values}
    fact |= {name: msgspec.to_builtins(value) for name, value in values.items()}
    if line or (kind.nested and "version" in fact):
        fact["lines"] = [line] if line else []
    if unsellable:
        fact["unsellable"] = unsellable
    names = _types(kind.fact)
    for name, default in (("as_of", as_of), ("basis", "gross"), ("base_unit", "each"), ("type", "warehouse")):
        if name in names:
            fact.setdefault(name, default)
    if "status" in names:
        fact.setdefault("status", "open" if "due" in names else "active")
    return fact


def _shape(kind: Kind, name: str) -> Any:
    """The type of a column's values."""
    in_line = _types(kind.line) if kind.line is not None else {}
    return in_line[name] if name in in_line else _types(kind.fact).get(name, int)


@cache
def _types(fact: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(fact)}


def _choices(shape: Any) -> tuple[str, ...]:
    return get_args(shape) if get_origin(shape) is Literal else ()


def _plain(message: str) -> str:
    """msgspec's message without its path: a cell has none."""
    return message.partition(" - at ")[0]
