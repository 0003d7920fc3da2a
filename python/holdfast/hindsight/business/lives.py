"""What became of each cart and order, event by event, as counts and durations.

In: events as the core derives them from LOG (docs/events.md), what is known of each reservation. Out: counts of carts
and units, durations. Always: units are those of the lines that were sold (a kit is one unit of the kit); what was
counted wrongly because a shop stated it again is counted back, so that sums are right, not only growing.
"""

import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from holdfast.hindsight.business.store import MINUTE_MS, Stretch, TimeKey

ORDERED = frozenset({"committed", "in_erp", "fulfilled"})
ENDED = frozenset({"fulfilled", "released", "expired", "cancelled", "oversold"})
BUCKETS_PER_E = 100
"""Durations are kept in buckets that are 1 % wide."""


class _Line(msgspec.Struct):
    line: str = ""
    sku: str = ""
    quantity: int = 0
    fulfilled: int = 0
    cancelled: int = 0
    returned: int = 0


class _Reservation(msgspec.Struct):
    id: str
    state: str
    channel: str
    lines: list[_Line]
    superseded_by: str | None = None


class Event(msgspec.Struct):
    """As OUT has it."""

    kind: str
    at: datetime
    sequence: int
    sku: str | None = None
    before: str | None = None
    reservation: _Reservation | None = None


@dataclass(slots=True)
class Life:
    """What is known of a reservation. `ordered`: it was counted as an order; times in milliseconds."""

    state: str = ""
    ordered: bool = False
    held_ms: int | None = None
    ordered_ms: int | None = None
    in_erp_ms: int | None = None
    shipped_ms: int | None = None
    ended_ms: int | None = None
    lines: dict[str, list[int]] = field(default_factory=dict)  # by SKU: quantity, fulfilled, cancelled, returned


def bucket_of(ms: int) -> int:
    """Of a duration."""
    return round(BUCKETS_PER_E * math.log(max(1, ms)))


def middle_of(bucket: int) -> float:
    """The duration in milliseconds that a bucket stands for."""
    return math.exp(bucket / BUCKETS_PER_E)


class Lives:
    """Takes events in order. `save` writes what is known of the reservations into the open transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: dict[str, Life] = {}

    def forget(self) -> None:
        """What was not saved."""
        self._known.clear()

    def save(self) -> None:
        """What has changed."""
        rows = [
            (
                *(name, one.state, one.ordered, one.held_ms, one.ordered_ms, one.in_erp_ms, one.shipped_ms),
                *(one.ended_ms, msgspec.json.encode(one.lines).decode()),
            )
            for name, one in self._known.items()
        ]
        self._db.executemany("INSERT OR REPLACE INTO lives VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._known.clear()

    def _life(self, name: str) -> Life | None:
        if (known := self._known.get(name)) is not None:
            return known
        columns = "state, ordered, held_ms, ordered_ms, in_erp_ms, shipped_ms, ended_ms, lines"
        row = self._db.execute(f"SELECT {columns} FROM lives WHERE id = ?", (name,)).fetchone()  # noqa: S608
        if row is None:
            return None
        state, ordered, held, placed, in_erp, shipped, ended, lines = row
        read = msgspec.json.decode(lines, type=dict[str, list[int]])
        self._known[name] = Life(state, bool(ordered), held, placed, in_erp, shipped, ended, read)
        return self._known[name]

    def take(self, event: Event, out: Stretch) -> None:
        """One event."""
        now = event.reservation
        if now is None:
            return
        at_ms = round(event.at.timestamp() * 1000)
        lines = _by_sku(now.lines)
        life = self._life(now.id)
        is_new = event.before is None
        if life is None or is_new:
            life = Life(event.before or "", event.before in ORDERED)
            life.lines = {} if is_new else lines
            self._known[now.id] = life
        was, life.lines, life.state = life.lines, lines, now.state
        life.ended_ms = at_ms if now.state in ENDED else None
        step = _Step(out, at_ms, now.channel)
        if now.state == "held":
            step.held(life, event.before, was)
        elif now.state in ORDERED:
            step.ordered(life, event.before, was)
        elif event.before != now.state:
            step.ended(life, event.before, now)
        if life.ordered:
            step.progress(life, was)


def _by_sku(lines: Iterable[_Line]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for line in lines:
        sums = found.setdefault(line.sku, [0, 0, 0, 0])
        for n, units in enumerate((line.quantity, line.fulfilled, line.cancelled, line.returned)):
            sums[n] += units
    return found


@dataclass(slots=True)
class _Step:
    """One event's counts."""

    out: Stretch
    at_ms: int
    channel: str

    def count(self, what: str, sku: str = "", n: int = 1) -> None:
        self.out.add(self.at_ms, what, self.channel, sku, n)

    def units(self, what: str, lines: Mapping[str, list[int]]) -> None:
        for sku, (quantity, *_) in lines.items():
            self.count(what, sku, quantity)

    def took(self, what: str, since_ms: int | None) -> None:
        if since_ms is not None:
            key = TimeKey(self.at_ms // MINUTE_MS, what, self.channel, bucket_of(self.at_ms - since_ms))
            self.out.times[key] += 1

    def grown(self, was: Mapping[str, list[int]], now: Mapping[str, list[int]]) -> Iterable[tuple[str, int]]:
        for sku in {**was, **now}:
            yield sku, now.get(sku, (0,))[0] - was.get(sku, (0,))[0]

    def held(self, life: Life, before: str | None, was: Mapping[str, list[int]]) -> None:
        """Held, held again with other lines, or for longer."""
        if before != "held":
            life.held_ms, life.ordered = self.at_ms, False
            life.ordered_ms = life.in_erp_ms = life.shipped_ms = None
            self.count("carts.held")
            self.units("units.reserved", life.lines)
            return
        for sku, more in self.grown(was, life.lines):
            self.count("units.reserved" if more > 0 else "units.released", sku, abs(more))

    def ordered(self, life: Life, before: str | None, was: Mapping[str, list[int]]) -> None:
        """Became an order, or is one."""
        if not life.ordered:
            life.ordered, life.ordered_ms = True, self.at_ms
            self.count("orders")
            self.units("units.ordered", life.lines)
            kind = {"held": "orders.held", None: "orders.direct"}.get(before, "orders.late")
            self.count(kind)
            self.took("hold_to_order", life.held_ms)
        else:
            if before == "cancelled":
                self.count("orders.cancelled", n=-1)
            for sku, more in self.grown(was, life.lines):
                self.count("units.ordered", sku, more)
        if life.state != "committed" and life.in_erp_ms is None:
            life.in_erp_ms = self.at_ms
            if life.state == "in_erp":
                self.took("order_to_erp", life.ordered_ms)
        if life.state == "fulfilled" and before != "fulfilled":
            self.count("orders.shipped")
            self.took("order_to_shipped", life.ordered_ms)

    def ended(self, life: Life, before: str | None, now: _Reservation) -> None:
        """It ended without becoming an order, or the order was cancelled."""
        if now.state == "cancelled":
            self.count("orders.cancelled", n=int(life.ordered))
        elif now.state == "oversold":
            self.count("carts.oversold")
            self.units("units.oversold", life.lines)
        elif before == "held" and now.state == "expired":
            self.count("carts.expired")
            self.units("units.expired", life.lines)
        elif before == "held":
            self.count("carts.superseded" if now.superseded_by else "carts.released")
            self.units("units.released", life.lines)

    def progress(self, life: Life, was: Mapping[str, list[int]]) -> None:
        """Units that were handed over, cancelled, or came back since."""
        for sku, units in life.lines.items():
            known = was.get(sku, (0, 0, 0, 0))
            shipped, cancelled, returned = (units[n] - known[n] for n in (1, 2, 3))
            self.count("units.shipped", sku, shipped)
            self.count("units.cancelled", sku, cancelled)
            self.count("units.returned", sku, returned)
            if shipped > 0 and life.shipped_ms is None:
                life.shipped_ms = self.at_ms
                self.took("order_to_first_shipment", life.ordered_ms)
