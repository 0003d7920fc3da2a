"""What the oracle remembers: plain records, no rule in them.

In: what `facts` and `orders` write. Out: what every rule reads. Always holds: a reservation's `units` are exactly the
units that still count somewhere (given-back and dropped ones leave the list), one object per base unit, so that no
rule ever has to split a quantity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

AsOf = int | datetime
SupplyKey = tuple[str, str, str]  # source, ref, line
Cell = tuple[str, str]  # SKU, location
Inside = dict[int, Cell]  # unit -> the cell whose level counts it
Key = tuple[str, ...]  # what names a document: source, kind, ref, ...
Verb = Literal["put", "confirm", "release", "cancel", "extend", "fulfil"]


@dataclass(frozen=True, order=True)
class Node:
    """One location's stock at hand (`supply` empty) or one of its dated supplies."""

    location: str
    supply: SupplyKey | None = None


@dataclass
class Item:
    sku: str
    base_unit: str | None = None
    units: dict[str, int] = field(default_factory=dict)
    kit: list[tuple[str, int]] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    sell_multiple: int = 1
    status: str = "active"

    def factor(self, unit: str | None) -> int | None:
        """Base units in one `unit`; None if the item has no such unit."""
        return 1 if unit in (None, self.base_unit) else self.units.get(unit or "")


@dataclass
class Location:
    name: str
    regions: list[str] = field(default_factory=list)
    priority: int = 100
    enabled: bool = True
    owner: str | None = None  # the source whose levels count here
    former: set[str] = field(default_factory=set)  # those whose levels counted here until a hand-over


@dataclass
class Channel:
    name: str
    locations: list[str] | str = "*"
    draws_shared: bool = True
    supply_horizon_days: int = 0
    sourcing: str = "priority"
    regional: str = "prefer"
    declared: bool = True


@dataclass
class Level:
    source: str
    as_of: AsOf
    on_hand: int
    unsellable: int
    allocated: int | None
    basis: str
    reset: bool = False  # the next level of its source counts, whatever its `as_of`
    came: int = field(default=0, compare=False)


@dataclass
class Movement:
    sku: str
    location: str
    source: str
    as_of: AsOf
    on_hand: int
    unsellable: int = 0
    absorbed: bool = False  # by a level that it cannot be compared with
    counts: bool = False  # whatever the level's `as_of`: it came after that was forgotten
    in_next: bool = False  # level of the cell: it came before that was forgotten


@dataclass
class Supply:
    key: SupplyKey
    sku: str
    location: str
    quantity: int
    due: date | None  # None: unknown
    status: str
    confidence: int = 100
    as_of: AsOf | None = None
    version: int | None = None
    transfer: bool = False
    stated: AsOf | Came | None = None  # a level after that may show units of it that arrived; None: any level
    lowered: int = 0  # units that its statements fell by and of which no receipt tells
    presumed: int = 0  # to have arrived


@dataclass(frozen=True)
class Came:
    """When a level or a line came here, for what is stated without a time."""

    number: int


@dataclass
class Off:
    """Units that arrived, off a supply line until it is stated again."""

    sku: str
    as_of: AsOf | None  # None: it was forgotten
    quantity: int


@dataclass
class Rise:
    """What a level rose by that nothing explains (below 0: it fell); the level before it, and when it came."""

    after: AsOf | None
    upto: AsOf
    units: int
    came: int


@dataclass
class Lowered:
    """What a line was stated with less and no level has shown yet."""

    as_of: AsOf | None
    quantity: int


@dataclass
class Growth:
    """Of a cell: what its levels rose by, and what explains the next ones."""

    rises: list[Rise] = field(default_factory=list)
    lowered: list[Lowered] = field(default_factory=list)
    brought: int = 0  # by deltas and returns since the newest level


@dataclass
class Demand:
    key: SupplyKey
    source: str
    sku: str
    locations: list[str]  # none: any enabled one
    quantity: int
    due: date | None
    as_of: AsOf
    order_ref: str | None
    channel: str | None = None  # of the orders that it is about
    reservation: str | None = None  # the one that it is about


@dataclass
class Ration:
    """An allocation or a cap. Each new period is a new `epoch`; a unit remembers the epoch that it took from."""

    quantity: int | None
    period: str | None
    epoch: int
    left: set[str] = field(default_factory=set)


@dataclass
class Watch:
    """What one source said of a unit's place since another hand last moved it."""

    origin: str | None  # where the unit stood before the source named a place
    named: list[tuple[AsOf, list[str]]] = field(default_factory=list)  # by acks and shipments
    acks: list[AsOf] = field(default_factory=list)
    since: AsOf | None = None  # what it said before then was of a place that another hand has changed
    late: bool = False  # some of it came after what it said later


@dataclass
class Unit:
    """One base unit of a reservation."""

    sku: str
    line: int
    location: str | None = None  # the one that the line asks for
    node: Node | None = None  # None: unsourced
    own: int | None = None  # epoch of the allocation that it was sold on
    cap: int | None = None  # epoch of the cap that it used
    watches: dict[str, Watch] = field(default_factory=dict)  # by source
    set_aside: list[tuple[str, AsOf, list[str]]] = field(default_factory=list)  # acks of other places, while shipped
    shipped: tuple[str, AsOf] | None = None
    document: Key | None = None  # the one that says so
    # Before it was shipped: its node, what was said of it, when it had arrived.
    stood: tuple[Node | None, dict[str, Watch], tuple[str, AsOf] | None] | None = None
    said_since: list[tuple[str, AsOf, list[str] | None]] = field(default_factory=list)  # acks of it while shipped
    arrived: tuple[str, AsOf] | None = None  # on the shelf where it is, from the supply that it was bound to
    # The sources that took over the location from which it had been shipped, or began again there, and when; the same
    # for where it had arrived.
    known_to: list[tuple[str, int]] = field(default_factory=list)
    come_for: list[tuple[str, int]] = field(default_factory=list)
    fulfilled: bool = False  # over HTTP; a shipment fact may still cover it

    @property
    def open(self) -> bool:
        return self.shipped is None and not self.fulfilled


@dataclass
class Line:
    sku: str
    quantity: int
    location: str | None
    parts: dict[str, int]  # base units per one of the line's SKU
    kits: dict[str, int] = field(default_factory=dict)  # of a kit: it and those inside it, how many of each per one
    caps: dict[str, int | None] = field(default_factory=dict)  # kit -> epoch of the cap that it used
    unit: str | None = None  # in which it was held
    factor: int = 1  # base units in it, then


@dataclass
class Reservation:
    id: str
    serial: int
    body: dict[str, Any]
    channel: str
    region: str | None
    owner: str | None
    lines: list[Line]
    expires_lead: int
    ordered: bool = False  # it was confirmed once
    phase: str = "held"  # held confirmed released expired cancelled oversold; the state's name follows from it
    units: list[Unit] = field(default_factory=list)
    revision: int | None = None
    order_ref: str | None = None
    superseded_by: str | None = None
    renewals: int = 0
    dropped: list[tuple[Key, Unit]] = field(default_factory=list)  # what updates and returns took off, by document


@dataclass
class Declared:
    """What a SKU and a unit of it were declared to be at one moment."""

    factor: int  # base units in one of the unit
    parts: dict[str, int]  # base units by base SKU, in one base unit


@dataclass
class Identity:
    """A document as it was last accepted."""

    version: int | None
    body: dict[str, Any]
    named: dict[tuple[str, str | None], int] = field(default_factory=dict)  # base units by SKU and location
    beyond: dict[tuple[str, str | None], int] = field(default_factory=dict)  # of these, what its order had not open
    forgotten: bool = False  # its `as_of`, by a reset of its source
    left: tuple[tuple[str, str], int] | None = None  # of a transfer: from where it was shipped, and how many units
    moves: list[Movement] = field(default_factory=list)  # what it changed on hand
    counted: dict[tuple[str, bool], int] = field(default_factory=dict)  # of a return: by SKU, and whether sellable
    declared: Declared | None = None  # of a return: what its SKU was, when it came


@dataclass
class World:
    still: dict[Any, Any] | None = field(default=None, repr=False, compare=False)  # worked out since it stands still
    now_ms: int = 0
    lead_ms: int = 0
    rules: dict[str, Any] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    locations: dict[str, Location] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    levels: dict[tuple[str, str], Level] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    supplies: dict[SupplyKey, Supply] = field(default_factory=dict)
    off: dict[SupplyKey, list[Off]] = field(default_factory=dict)
    growths: dict[Cell, Growth] = field(default_factory=dict)
    demands: dict[SupplyKey, Demand] = field(default_factory=dict)
    allocations: dict[tuple[str, str], Ration] = field(default_factory=dict)  # (channel, sku)
    caps: dict[tuple[str, str], Ration] = field(default_factory=dict)
    safeties: dict[tuple[str | None, str | None], tuple[int, str]] = field(default_factory=dict)  # (sku, location)
    oversells: dict[tuple[str | None, str | None], tuple[str, int]] = field(default_factory=dict)  # (sku, channel)
    restrictions: dict[tuple[str | None, str | None], bool] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    clocks: dict[str, type] = field(default_factory=dict)  # source -> int or datetime
    identities: dict[Key, Identity] = field(default_factory=dict)
    waiting: list[dict[str, Any]] = field(default_factory=list)  # acks and updates that came before their order
    epochs: int = 0
    serials: int = 0
    arrivals: int = 0
    inside: Inside = field(default_factory=dict, repr=False)  # as it was when that was last looked at
    counts: dict[str, int] = field(default_factory=dict)
    ignored: str | None = None  # why the fact in hand came to nothing

    def rule(self, name: str) -> int:
        return int(self.rules.get(name, RULES[name]))

    def count(self, name: str, by: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + by

    def ignore(self, reason: str, counted: str) -> None:
        self.ignored = reason
        self.count(counted)

    def room(self, supply: Supply) -> int:
        """What was stated, less what arrived since."""
        off = sum(off.quantity for off in self.off.get(supply.key, []) if off.sku == supply.sku)
        return max(0, supply.quantity - off) if supply.status == "open" else 0

    def still_open(self, supply: Supply) -> int:
        return max(0, self.room(supply) - supply.presumed)

    def next_arrival(self) -> int:
        self.arrivals += 1
        return self.arrivals

    def new_epoch(self) -> int:
        self.epochs += 1
        return self.epochs

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self.now_ms / 1000, tz=UTC).date()

    def channel(self, name: str) -> Channel:
        """An undeclared channel sells from every enabled location and draws on the shared pool."""
        return self.channels.get(name) or Channel(name, declared=False)

    def sku(self, name: str) -> str | None:
        """The item's own SKU for a SKU or an alias."""
        if name in self.items:
            return name
        return next((item.sku for item in self.items.values() if name in item.aliases), None)

    def units(self, sku: str) -> list[tuple[Reservation, Unit]]:
        """Every counted unit of a base SKU, oldest reservation first."""
        ordered = sorted(self.reservations.values(), key=lambda r: r.serial)
        return [(r, unit) for r in ordered for unit in r.units if unit.sku == sku]


RULES = {
    "create_unknown_skus": 1,
    "create_unknown_locations": 0,
    "supply_confidence_min": 50,
    "overdue_grace_days": 3,
    "overdue_slip_days": 1,
    "promise_horizon_days": 180,
    "owner_units_max": 0,
    "owner_holds_max": 100,
    "renewals_max": 5,
    "expire_batch_max": 10_000,
    "clock_skew_ms": 300_000,
    "presume_receipts": 1,
}


def later(one: AsOf, other: AsOf) -> bool:
    """Times and numbers are not compared."""
    return type(one) is type(other) and one > other  # type: ignore[operator]


def by(one: AsOf, other: AsOf) -> bool:
    """At or before it."""
    return type(one) is type(other) and one <= other  # type: ignore[operator]


def bound_to(world: World, line: SupplyKey) -> list[Unit]:
    """Oldest reservation first."""
    ordered = sorted(world.reservations.values(), key=lambda r: r.serial)
    return [unit for r in ordered for unit in r.units if unit.node is not None and unit.node.supply == line]


def covers(level: Level | None, source: str, as_of: AsOf) -> bool:
    """True if what `source` saw at `as_of` is in the level: compared within one source, or both by wall time."""
    if level is None or type(level.as_of) is not type(as_of):
        return False
    return (level.source == source or isinstance(as_of, datetime)) and as_of <= level.as_of  # type: ignore[operator]


def is_covered(world: World, cell: Cell, source: str, as_of: AsOf) -> bool:
    """By the level of a cell, unless the moments of that were forgotten."""
    level = world.levels.get(cell)
    return level is not None and not level.reset and covers(level, source, as_of)


def counts_open_orders(level: Level) -> bool:
    return level.basis == "net" or level.allocated is not None
