"""The files of DIR/master.

In: master.toml, items.WRITER.csv, names.CONNECTION.csv, statuses.CONNECTION.csv, returns.CONNECTION.csv. Out: items,
each value with its writer; the names and maps of each connection; what cannot be read, by file and line. Always: a
field has one owner, and what another writes of it is listed and does not count; a blank cell says nothing.
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.guarded import OpenToOthersError, require_guarded
from holdfast.master.maps import Maps, read_returns, read_statuses
from holdfast.master.rows import Finding, rows_of

FIELDS = ("base_unit", "aliases", "barcodes", "units", "kit", "tax_class", "status", "sell_multiple")
_ITEMS = re.compile(r"items\.([A-Za-z0-9_-]{1,48})\.csv")
_TABLES = re.compile(r"(names|statuses|returns)\.([A-Za-z0-9_-]{1,64})\.csv")
_NAME_COLUMNS = ("sku", "name", "factor")
_BYTES_MAX = 64 * 1024 * 1024
_STATUSES = ("active", "discontinued")


@dataclass(frozen=True, slots=True)
class Named:
    """What a connection calls a SKU: `factor` base units are one of its units."""

    sku: str
    name: str
    factor: int


@dataclass(slots=True)
class Item:
    """`values` by field; `writers` says who gave each; `where` the first line that named it."""

    sku: str
    where: str
    values: dict[str, Any] = field(default_factory=dict)
    writers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Master:
    """All of it. `names` and `maps` by connection; `wrong` is what could not be read or does not count."""

    version: int = 0
    owners: dict[str, str] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    names: dict[str, list[Named]] = field(default_factory=dict)
    maps: dict[str, Maps] = field(default_factory=dict)
    lines: dict[tuple[str, str], str] = field(default_factory=dict)
    """Where each (connection, name) is."""
    wrong: list[Finding] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


def read_master(directory: Path, *, only: str | None = None) -> Master:
    """All files of the folder, or `only` the tables of one connection; what is not there is empty. Raises OSError."""
    found = Master()
    if not directory.is_dir():
        return found
    for file in sorted(directory.iterdir(), key=lambda one: (one.name != "master.toml", one.name)):
        if file.name.startswith(".") or file.suffix not in {".csv", ".toml"}:
            continue
        table, items = _TABLES.fullmatch(file.name), _ITEMS.fullmatch(file.name)
        if only is not None and file.name != "master.toml" and (table is None or table[2] != only):
            continue
        content = _content(found, file)
        if content is None:
            continue
        if file.name == "master.toml":
            _read_head(found, content)
        elif items is not None:
            _read_items(found, file.name, items[1], content)
        elif table is not None:
            _read_table(found, file.name, table[1], table[2], content)
        else:
            names = "master.toml, items.WRITER.csv, and names, statuses and returns, as names.CONNECTION.csv"
            found.wrong.append(Finding(file.name, f"not a file of master data: {names}"))
    _give_to_owners(found)
    return found


def _read_table(found: Master, name: str, kind: str, connection: str, text: str) -> None:
    if kind == "names":
        _read_names(found, name, connection, text)
    else:
        read = read_statuses if kind == "statuses" else read_returns
        found.wrong += read(found.maps.setdefault(connection, Maps()), name, text)


def _content(found: Master, file: Path) -> str | None:
    try:
        require_guarded(file)
        raw = file.read_bytes()
        if len(raw) > _BYTES_MAX:
            raise ValueError(f"it is larger than {_BYTES_MAX} bytes")
        text = raw.decode("utf-8-sig")
    except (OpenToOthersError, ValueError) as fault:
        found.wrong.append(Finding(file.name, str(fault)))
        return None
    found.files[file.name] = raw
    return text


def _read_head(found: Master, text: str) -> None:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        found.wrong.append(Finding("master.toml", str(fault)))
        return
    for name, value in content.items():
        if name == "version" and isinstance(value, int) and not isinstance(value, bool) and value > 0:
            found.version = value
        elif name == "owners" and isinstance(value, dict):
            for part, writer in value.items():
                if part in FIELDS and isinstance(writer, str):
                    found.owners[part] = writer
                else:
                    found.wrong.append(Finding("master.toml", f"{part} is no field: {', '.join(FIELDS)}"))
        else:
            found.wrong.append(Finding("master.toml", f"{name} is not `version`, a number above 0, or `owners`"))


def _read_items(found: Master, name: str, writer: str, text: str) -> None:
    rows, wrong = rows_of(name, text, ("sku", *FIELDS), ("sku",))
    found.wrong += wrong
    for where, row in rows:
        item = found.items.setdefault(row["sku"], Item(row["sku"], where))
        for part in FIELDS:
            cell = row.get(part, "")
            if not cell:
                continue
            value, why = _value(part, cell)
            if why:
                found.wrong.append(Finding(where, f"{part}: {why}"))
            else:
                _note(found, item, part, value, writer, where)


def _note(found: Master, item: Item, part: str, value: Any, writer: str, where: str) -> None:
    """Keep a value of an owner; of fields without one, that of the only writer."""
    owner = found.owners.get(part)
    before = item.writers.get(part)
    if owner is not None and writer != owner:
        found.wrong.append(
            Finding(where, f"{part} of {item.sku} is owned by {owner}; what {writer} writes does not count")
        )
    elif before is not None:
        why = f"{part} of {item.sku} is given by {before} already" + ("" if owner else "; `owners` says whose it is")
        found.wrong.append(Finding(where, why))
    else:
        item.values[part], item.writers[part] = value, writer


def _value(part: str, cell: str) -> tuple[Any, str]:
    """A cell, or why it is none."""
    if part in {"aliases", "barcodes"}:
        return [one.strip() for one in cell.split(";") if one.strip()], ""
    if part in {"units", "kit"}:
        return _pairs(cell)
    if part == "status":
        return cell, "" if cell in _STATUSES else f"{cell!r} is not {' or '.join(_STATUSES)}"
    if part == "sell_multiple":
        return (int(cell), "") if cell.isdecimal() and int(cell) > 0 else (0, f"{cell!r} is no number above 0")
    return cell, ""


def _pairs(cell: str) -> tuple[dict[str, int], str]:
    """`case=12;pallet=480`."""
    found: dict[str, int] = {}
    for part in filter(None, (one.strip() for one in cell.split(";"))):
        name, sign, number = (one.strip() for one in part.rpartition("="))
        if not sign or not name or not number.isdecimal() or int(number) < 1:
            return {}, f"{part!r} has no factor: write it like case=12"
        if name in found:
            return {}, f"{name!r} is there twice"
        found[name] = int(number)
    return found, ""


def _read_names(found: Master, name: str, connection: str, text: str) -> None:
    names = found.names.setdefault(connection, [])
    rows, wrong = rows_of(name, text, _NAME_COLUMNS, ("sku",))
    found.wrong += wrong
    for where, row in rows:
        factor = row.get("factor", "") or "1"
        theirs = row.get("name", "") or row["sku"]
        if not factor.isdecimal() or int(factor) < 1:
            found.wrong.append(Finding(where, f"factor: {factor!r} is no number above 0"))
        elif (connection, theirs) in found.lines:
            found.wrong.append(Finding(where, f"{theirs} is named already in {found.lines[connection, theirs]}"))
        else:
            names.append(Named(row["sku"], theirs, int(factor)))
            found.lines[connection, theirs] = where


def _give_to_owners(found: Master) -> None:
    """Items of which nobody gave a base unit count in pieces."""
    for item in found.items.values():
        item.values.setdefault("base_unit", "piece")
