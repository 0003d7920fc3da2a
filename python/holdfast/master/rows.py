"""Rows of the CSV files of DIR/master.

In: the text of a file, the columns that it may have. Out: its rows with their places, and what is wrong. Always: a file
whose first line is wrong has no rows; a row without its first column's cell is wrong, and the others count.
"""

import csv
import io
from typing import NamedTuple


class Finding(NamedTuple):
    """Something that is wrong. `where`: the file, and the line where there is one."""

    where: str
    what: str


class Row(NamedTuple):
    """`cells` by column; `where` is its file and line."""

    where: str
    cells: dict[str, str]


def rows_of(name: str, text: str, columns: tuple[str, ...], needed: tuple[str, ...]) -> tuple[list[Row], list[Finding]]:
    """Each row that has the `needed` cells."""
    try:
        lines = list(csv.reader(io.StringIO(text), strict=True)) if text.strip() else []
    except csv.Error as fault:
        return [], [Finding(name, str(fault))]
    header = [cell.strip().lower() for cell in lines[0]] if lines else []
    unknown = [cell for cell in header if cell not in columns]
    if unknown or not set(needed) <= set(header) or len(set(header)) < len(header):
        return [], [Finding(name, f"its first line names columns once each, out of {', '.join(columns)}")]
    found: list[Row] = []
    wrong: list[Finding] = []
    for line, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        row = {column: cell.strip() for column, cell in zip(header, cells, strict=False)}
        if len(cells) > len(header) or not all(row.get(column) for column in needed):
            wrong.append(Finding(f"{name}:{line}", f"it has too many cells, or no {' or '.join(needed)}"))
            continue
        found.append(Row(f"{name}:{line}", row))
    return found, wrong
