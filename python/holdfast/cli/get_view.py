"""How `holdfast get` shows the entries of a list.

In: entries as the client gives them. Out: tables. Always: null and what a kind does not have are an empty cell; what a
rule names nothing of is `*`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.cli.console import number
from holdfast.contracts.answers import Reservation
from holdfast.contracts.listings import DeficitEntry, PolicyEntry, SkuRecord

Cell = Callable[[Any], object]
Column = tuple[str, Cell]


def _field(name: str) -> Cell:
    return lambda entry: getattr(entry, name)


def _fields(*names: str) -> tuple[Column, ...]:
    return tuple((name.strip("_").replace("_", " "), _field(name)) for name in names)


def _or_all(name: str) -> Column:
    def cell(entry: Any) -> object:
        value = getattr(entry, name)
        return "*" if value is None else value

    return name, cell


def _rule(entry: PolicyEntry) -> str:
    match entry.kind:
        case "allocation" | "cap":
            most = "no bound" if entry.quantity is None else _shown(entry.quantity)
            return f"{most}, {_shown(entry.consumed)} consumed" + (f", {entry.period}" if entry.period else "")
        case "oversell":
            return f"{entry.policy} {_shown(entry.limit)}".strip()
        case "restriction":
            return ("blocked" if entry.blocked else "allowed") + (f": {entry.reason}" if entry.reason else "")
        case "safety":
            parts = [_shown(entry.absolute), "" if entry.percent is None else f"{entry.percent:g} %"]
            return " or ".join(part for part in parts if part)
        case _:
            return f"{entry.action} {_shown(entry.amount)} after {_shown(entry.stale_after_ms)} ms"


def _lines(entry: Reservation) -> str:
    return ", ".join(f"{number(line.quantity)} {line.sku}" for line in entry.lines)


def _missing(entry: DeficitEntry) -> str:
    return ", ".join(f"{number(one.quantity)} {one.sku} at {one.location or 'no location'}" for one in entry.units)


VIEWS: dict[str, tuple[Column, ...]] = {
    "skus": _fields("sku", "status", "base_unit", "kit", "on_hand", "at_hand", "aliases"),
    "locations": _fields("location", "type", "priority", "enabled", "declared", "regions", "owner"),
    "channels": _fields(
        *("channel", "declared", "locations", "draws_shared", "supply_horizon_days", "sourcing", "regional"),
        *("priority", "buffer"),
    ),
    "policies": (
        *_fields("kind"),
        _or_all("sku"),
        _or_all("channel"),
        _or_all("location"),
        *_fields("source"),
        ("rule", _rule),
        *_fields("sequence"),
    ),
    "supplies": _fields(
        *("source", "ref", "line", "sku", "location", "quantity", "bound", "due", "status", "confidence", "sequence")
    ),
    "demands": _fields(
        *("source", "ref", "line", "sku", "locations", "quantity", "open", "class_", "due", "order_ref", "sequence")
    ),
    "reservations": (
        *_fields("id", "state", "channel", "order_ref"),
        ("lines", _lines),
        *_fields("expires_at", "version", "sequence"),
    ),
    "deficits": (
        *_fields("reservation", "state", "channel", "order_ref"),
        ("units", _missing),
        *_fields("sequence"),
    ),
    "anomalies": _fields(*("at", "kind", "fact", "source", "sku", "location", "channel", "ref", "sequence", "place")),
    "sources": _fields("source", "clock", "locations", "last_as_of", "age_ms"),
}
_LEVEL = _fields(
    *("location", "owner", "source", "as_of", "basis", "on_hand", "moved", "unsellable", "allocated", "demand"),
    *("committed", "held", "safety", "at_hand", "sequence"),
)


def table_of(columns: Sequence[Column], entries: Sequence[Any], title: str | None = None) -> Table:
    """A table with a row per entry; numbers are set to the right, and a column without anything is left out."""
    table = Table(title=title, title_justify="left", title_style="bold")
    columns = [(name, cell) for name, cell in columns if not entries or any(_shown(cell(one)) for one in entries)]
    for name, cell in columns:
        figures = bool(entries) and all(isinstance(cell(entry), int) or not _shown(cell(entry)) for entry in entries)
        table.add_column(name, justify="right" if figures else "left")
    for entry in entries:
        table.add_row(*(Text(_shown(cell(entry))) for _, cell in columns))
    return table


def sku_view(found: SkuRecord) -> list[RenderableType]:
    """One SKU: what it is, its levels, its rules."""
    item = found.item
    about = Table(
        show_header=False, box=None, padding=(0, 2), title=Text(found.sku, style="bold"), title_justify="left"
    )
    about.add_column(style="dim")
    about.add_column()
    if item is None:
        about.add_row("item", "not declared; it is known from stock facts")
    else:
        units = {item.base_unit: 1, **item.units}
        shown = {
            "status": item.status,
            "units": ", ".join(f"{unit} = {number(factor)}" for unit, factor in units.items()),
            "kit of": ", ".join(f"{number(part.quantity)} {part.sku}" for part in item.kit),
            "aliases": ", ".join(item.aliases),
            "sell multiple": number(item.sell_multiple),
            "tax class": item.tax_class or "",
        }
        for name, text in shown.items():
            about.add_row(name, Text(text))
    about.add_row("used in", Text(", ".join(found.used_in)))
    more = "; holdfast get policies has more" if found.more_rules else ""
    return [
        about,
        table_of(_LEVEL, found.levels, "Levels"),
        table_of(VIEWS["policies"], found.rules, f"Rules that apply{more}"),
    ]


def _shown(value: object) -> str:
    shown = "" if value is None or value is UNSET else str(value)
    match value:
        case bool():
            shown = "yes" if value else "no"
        case int():
            shown = number(value)
        case datetime():
            shown = value.isoformat(timespec="seconds").replace("+00:00", "Z")
        case list():
            shown = ", ".join(str(one) for one in value)
        case _:
            pass
    return shown
