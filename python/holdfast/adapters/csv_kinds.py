"""Which columns a CSV file of each kind has, and how a cell becomes a field of a fact.

In: cells as text. Out: values, or ValueError. Always: a column is named as the field of the fact that it fills; a list
is written `a;b`, a map `case=12;pallet=480`; in a rule `*` means all and `end` ends it, so that an empty cell never
means either.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast.contracts import facts

Parse = Callable[[str], Any]
ALL, END = "*", "end"
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}(\.0*)?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}(\.[0-9]{1,19})?")


def text(cell: str) -> str:
    """The cell as it is."""
    return cell


def integer(cell: str) -> int:
    """A whole number. Databases and spreadsheets write 12 as 12.000 too. Python's own 1_000 is not an integer here."""
    if not _INTEGER.fullmatch(cell):
        raise ValueError(cell)
    return int(cell.partition(".")[0])


def _number(cell: str) -> int | float:
    if not _NUMBER.fullmatch(cell):
        raise ValueError(cell)
    return float(cell) if "." in cell else int(cell)


def _flag(cell: str) -> bool:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[cell.lower()]


def _names(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]


def _names_or_all(cell: str) -> list[str] | str:
    return ALL if cell == ALL else _names(cell)


def _pairs(cell: str) -> list[tuple[str, int]]:
    parts = [part.partition("=") for part in _names(cell)]
    return [(name.strip(), integer(amount.strip())) for name, _, amount in parts]


def _amounts(cell: str) -> dict[str, int]:
    pairs = _pairs(cell)
    if len(dict(pairs)) < len(pairs):
        raise ValueError(cell)
    return dict(pairs)


def _components(cell: str) -> list[dict[str, Any]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in _pairs(cell)]


def as_of(cell: str) -> int | str:
    """A running number, or a time as text."""
    return integer(cell) if _INTEGER.fullmatch(cell) else cell


EXPECTED: dict[Parse, str] = {
    integer: "a whole number",
    _number: "a number",
    _flag: "true or false",
    _amounts: "like case=12;pallet=480",
    _components: "like CUP=2;SAUCER=2",
}
"""What a cell should have been, for the message about one that was not."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: the fact that a row becomes, its columns, what makes a row unique, and an example.

    A rule has `figures`, of which a row needs one, or `end`; `for_all` are the columns in which `*` means all. A file
    may leave such a column out, though not all of them. `line`: what a line is, of a kind of documents that have lines.
    """

    fact: type[msgspec.Struct]
    columns: dict[str, Parse]
    required: tuple[str, ...]
    unique: tuple[str, ...]
    example: tuple[dict[str, str], ...]
    policy: bool
    meaning: str
    figures: tuple[str, ...] = ()
    for_all: tuple[str, ...] = ()
    line: type[msgspec.Struct] | None = None

    @property
    def nested(self) -> tuple[str, ...]:
        """Columns of a line."""
        lines = () if self.line is None else msgspec.structs.fields(self.line)
        return tuple(one.encode_name for one in lines if one.encode_name in self.columns)


UNSELLABLE = ("quality_control", "damaged", "quarantined", "in_transfer")

LEVELS = Kind(
    fact=facts.StockLevel,
    columns={
        "sku": text,
        "location": text,
        "on_hand": integer,
        **dict.fromkeys(UNSELLABLE, integer),
        "allocated": integer,
        "basis": text,
        "as_of": as_of,
        "unit": text,
    },
    required=("sku", "location", "on_hand"),
    unique=("sku", "location"),
    example=(
        {"sku": "MUG-BLUE", "location": "paris", "on_hand": "120", "damaged": "2", "basis": "net"},
        {"sku": "MUG-RED", "location": "paris", "on_hand": "48", "basis": "net"},
    ),
    policy=False,
    meaning="how much of each SKU is at which location; default of `basis`: gross, of `as_of`: now",
)
ITEMS = Kind(
    fact=facts.Item,
    columns={
        "sku": text,
        "base_unit": text,
        "units": _amounts,
        "kit": _components,
        "aliases": _names,
        "sell_multiple": integer,
        "tax_class": text,
        "status": text,
    },
    required=("sku",),
    unique=("sku",),
    example=(
        {"sku": "MUG-BLUE", "base_unit": "each", "units": "case=12", "status": "active"},
        {"sku": "MUG-PAIR", "base_unit": "each", "kit": "MUG-BLUE=1;MUG-RED=1", "status": "active"},
    ),
    policy=True,
    meaning="SKUs with their units, kits and other names; default of `base_unit`: each, of `status`: active",
)
LOCATIONS = Kind(
    fact=facts.Location,
    columns={"location": text, "type": text, "regions": _names, "priority": integer, "enabled": _flag},
    required=("location",),
    unique=("location",),
    example=(
        {"location": "paris", "type": "warehouse", "regions": "FR;BE", "priority": "10"},
        {"location": "lyon-store", "type": "store", "regions": "FR"},
    ),
    policy=True,
    meaning="warehouses, stores and 3PLs; default of `type`: warehouse",
)
CHANNELS = Kind(
    fact=facts.Channel,
    columns={
        "channel": text,
        "locations": _names_or_all,
        "draws_shared": _flag,
        "supply_horizon_days": integer,
        "sourcing": text,
        "regional": text,
        "priority": integer,
    },
    required=("channel", "locations"),
    unique=("channel",),
    example=(
        {"channel": "web", "locations": "*", "supply_horizon_days": "14"},
        {"channel": "store", "locations": "lyon-store", "sourcing": "priority"},
    ),
    policy=True,
    meaning="channels, and the locations that each sells from (`*`: all)",
)
SUPPLY = Kind(
    fact=facts.Supply,
    columns={
        "ref": text,
        "line": text,
        "sku": text,
        "location": text,
        "quantity": integer,
        "due": text,
        "status": text,
        "confidence": integer,
        "version": integer,
    },
    required=("ref", "line", "sku", "location", "quantity", "due"),
    unique=("ref", "line"),
    example=(
        {"ref": "PO-1001", "line": "1", "sku": "MUG-RED", "location": "paris", "quantity": "240", "due": "2030-01-15"},
    ),
    policy=False,
    meaning="what is on its way, and when it is due; default of `status`: open",
)
ALLOCATIONS = Kind(
    fact=facts.Allocation,
    columns={"channel": text, "sku": text, "quantity": integer, "period": text},
    required=("channel", "sku"),
    unique=("channel", "sku"),
    example=({"channel": "store", "sku": "MUG-BLUE", "quantity": "20"},),
    policy=True,
    meaning="units ring-fenced for a channel; `end` ends one",
    figures=("quantity",),
)
SAFETY = Kind(
    fact=facts.Safety,
    columns={"sku": text, "location": text, "absolute": integer, "percent": _number},
    required=(),
    unique=("sku", "location"),
    example=(
        {"sku": "*", "location": "paris", "percent": "2.5"},
        {"sku": "MUG-BLUE", "location": "paris", "absolute": "5"},
    ),
    policy=True,
    meaning="units never sold, by SKU and location (`*`: all); `end` ends a rule",
    figures=("absolute", "percent"),
    for_all=("sku", "location"),
)

KINDS = {
    "levels": LEVELS,
    "items": ITEMS,
    "locations": LOCATIONS,
    "channels": CHANNELS,
    "supply": SUPPLY,
    "allocations": ALLOCATIONS,
    "safety": SAFETY,
}
