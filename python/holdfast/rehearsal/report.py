"""What a rehearsal found, as one document.

Always: `ok` is true only if nothing was oversold, every SKU is conserved, every acknowledged reservation is there, no
fact of the rehearsal was rejected, and, where the log was rebuilt, it gave the same state.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from holdfast.rehearsal.books import Misfit
from holdfast.rehearsal.percentiles import Percentiles

SHOWN_MAX = 20


class FileRead(msgspec.Struct, frozen=True):
    """What was in the file, and what was left out and why."""

    rows: int
    carts: int
    cart_lines: int
    returns: int
    return_lines: int
    skus: int
    units_asked: int
    no_goods: dict[str, int]
    zero_quantity: int
    bad_rows: int
    bad_rows_first: list[str]


class Orders(msgspec.Struct, frozen=True):
    """The outcomes of the carts, their lines and their units."""

    offered: int
    lines_offered: int
    units_offered: int
    held: int
    lines_held: int
    units_held: int
    sold: int
    units_sold: int
    refused: dict[str, int]
    lines_refused: dict[str, int]
    units_refused: int
    confirmed_too_late: int
    returned: int
    units_returned: int


class Conservation(msgspec.Struct, frozen=True):
    """opening - sold + returned == closing, SKU by SKU; closing is the gateway's answer."""

    skus: int
    conserved: int
    units_opening: int
    units_closing: int
    misfits: list[dict[str, Any]]


class Kept(msgspec.Struct, frozen=True):
    """Whether each acknowledged reservation is there as it was acknowledged."""

    acknowledged: int
    missing: int
    missing_first: list[str]


class Speed(msgspec.Struct, frozen=True):
    """How fast it went, with how many connections."""

    connections: int
    seconds: float
    carts_per_s: float
    lines_per_s: float
    requests_repeated: int
    milliseconds: dict[str, dict[str, float]]


class Killed(msgspec.Struct, frozen=True):
    """A process that was killed on the way, and how long until the gateway was ready again."""

    what: str
    after_orders: int
    back_after_s: float


class Rebuilt(msgspec.Struct, frozen=True):
    """The log rebuilt from its first message in a fresh core."""

    equal: bool
    digest: str
    problems: list[str]


class Report(msgspec.Struct, frozen=True):
    """Everything that a rehearsal found."""

    file: str
    run: str
    gateway: str
    short_percent: float
    partial: bool
    read: FileRead
    orders: Orders
    oversold: dict[str, int]
    conservation: Conservation
    kept: Kept
    facts_rejected: dict[str, int]
    speed: Speed
    killed: list[Killed]
    digest: str
    sequence: int
    totals: dict[str, int | dict[str, int]]
    rebuilt: Rebuilt | None = None

    @property
    def oversold_units(self) -> int:
        """Units sold beyond the stock; must be 0."""
        return sum(self.oversold.values())

    @property
    def faults(self) -> list[str]:
        """What is wrong, as text; empty when nothing is."""
        found = []
        if self.oversold:
            found.append(f"{self.oversold_units} units were sold beyond the stock, of {len(self.oversold)} SKUs")
        if self.conservation.conserved != self.conservation.skus:
            found.append(f"{self.conservation.skus - self.conservation.conserved} SKUs are not conserved")
        if self.kept.missing:
            found.append(f"{self.kept.missing} acknowledged reservations are missing or not as acknowledged")
        if self.facts_rejected:
            found.append(f"{sum(self.facts_rejected.values())} returns were rejected")
        if self.rebuilt is not None and not self.rebuilt.equal:
            found.append("the log, rebuilt, does not give the same state")
        return found

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def misfits(found: list[Misfit]) -> list[dict[str, Any]]:
    """The first of them, for the report."""
    return [dict(misfit._asdict()) for misfit in found[:SHOWN_MAX]]


def milliseconds(kinds: Mapping[str, Percentiles]) -> dict[str, dict[str, float]]:
    """The percentiles by kind of call."""
    return {kind: dict(percentiles._asdict()) for kind, percentiles in kinds.items()}


def document(report: Report) -> dict[str, Any]:
    """The report as JSON has it."""
    found: dict[str, Any] = msgspec.to_builtins(report)
    return {"ok": report.ok, "faults": report.faults, "oversold_units": report.oversold_units, **found}
