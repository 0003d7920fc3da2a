"""The kinds of facts (docs/facts.md): what an ERP, a shop or an operator reports.

In: nothing. Out: one Struct per kind, tagged by `kind`, and their two unions.
Always: each is as the Rust core parses it; `tests/vectors/facts.json` holds both to accepting the same.
"""

from datetime import date
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from holdfast.contracts.fields import (
    ENTRIES_MAX,
    HORIZON_DAYS_MAX,
    LINES_MAX,
    STALE_AFTER_MS_MAX,
    UNITS_MAX,
    Amount,
    AsOf,
    DocumentLine,
    Integer,
    LineName,
    Name,
    OnHand,
    Period,
    Priority,
    Quantity,
    QuantityOrZero,
    Request,
    SignedQuantity,
    VisibleName,
    Why,
)


class _Fact(Request, frozen=True, kw_only=True, tag_field="kind"):
    """What every fact may carry besides its own fields."""

    trace: Name | None = None


class Unsellable(Request, frozen=True, kw_only=True):
    """Units on hand that cannot be sold, by why."""

    quality_control: Amount = 0
    damaged: Amount = 0
    quarantined: Amount = 0
    in_transfer: Amount = 0


class StockLevel(_Fact, frozen=True, kw_only=True, tag="stock.level"):
    """How much of a SKU lies at a location, counted at `as_of`."""

    sku: VisibleName
    location: VisibleName
    on_hand: OnHand
    basis: Literal["gross", "net"]
    as_of: AsOf
    unsellable: Unsellable | None = None
    allocated: Amount | None = None
    unit: Name | None = None


class StockDelta(_Fact, frozen=True, kw_only=True, tag="stock.delta"):
    """A movement: a number of units more or fewer."""

    sku: VisibleName
    location: VisibleName
    quantity: SignedQuantity
    reason: Why
    ref: VisibleName
    as_of: AsOf
    line: DocumentLine | None = None
    version: Integer | None = None
    unit: Name | None = None


class Supply(_Fact, frozen=True, kw_only=True, tag="supply"):
    """Dated stock on its way; `quantity` is what is still open."""

    ref: VisibleName
    line: LineName
    sku: VisibleName
    location: VisibleName
    quantity: Amount
    due: date
    status: Literal["open", "received", "cancelled"] = "open"
    confidence: Annotated[int, Meta(ge=0, le=100)] = 100
    as_of: AsOf | None = None
    version: Integer | None = None
    unit: Name | None = None


class Receipt(_Fact, frozen=True, kw_only=True, tag="receipt"):
    """Units of a supply line arrived; `quantity` is what arrived of the line there in all, 0 withdraws it."""

    ref: Name
    line: LineName
    sku: Name
    location: Name
    quantity: Amount
    as_of: AsOf
    version: Integer | None = None
    unit: Name | None = None


class Transfer(_Fact, frozen=True, kw_only=True, tag="transfer"):
    """Units go from one location to another: off the first when shipped, supply at the second until received."""

    ref: Name
    sku: Name
    from_: Name = msgspec.field(name="from")
    to: Name
    quantity: Amount
    status: Literal["shipped", "received", "cancelled"]
    as_of: AsOf
    line: LineName | None = None
    due: date | None = None
    version: Integer | None = None
    unit: Name | None = None

    def __post_init__(self) -> None:
        if self.from_ == self.to:
            raise ValueError("to must be another location than from")


class Demand(_Fact, frozen=True, kw_only=True, tag="demand"):
    """What is owed to others: a marketplace, a store, a contract. 0 closes it."""

    ref: VisibleName
    line: LineName
    sku: VisibleName
    quantity: Amount
    class_: Literal["marketplace", "replenishment", "b2b", "other"] = msgspec.field(name="class", default="other")
    as_of: AsOf
    location: VisibleName | None = None
    locations: Annotated[list[VisibleName], Meta(min_length=1, max_length=ENTRIES_MAX)] | None = None
    due: date | None = None
    order_ref: VisibleName | None = None
    reservation: VisibleName | None = None
    channel: VisibleName | None = None
    version: Integer | None = None
    unit: Name | None = None

    def __post_init__(self) -> None:
        if self.location is not None and self.locations is not None:
            raise ValueError("location and locations must not be given together")


class AckLine(Request, frozen=True, kw_only=True):
    """Where the ERP ships a line of an order from."""

    sku: VisibleName
    location: VisibleName


class OrderAck(_Fact, frozen=True, kw_only=True, tag="order.ack"):
    """The ERP knows the order: it was read back from there."""

    as_of: AsOf
    order_ref: VisibleName | None = None
    reservation: VisibleName | None = None
    channel: VisibleName | None = None
    lines: Annotated[list[AckLine], Meta(min_length=1, max_length=LINES_MAX)] | None = None

    def __post_init__(self) -> None:
        of_an_order(self.order_ref, self.reservation)


class QuantityLine(Request, frozen=True, kw_only=True):
    """Units of a SKU, at a location where one is known."""

    sku: VisibleName
    quantity: Quantity
    location: VisibleName | None = None
    unit: Name | None = None
    line: DocumentLine | None = None


def of_an_order(order_ref: str | None, reservation: str | None) -> None:
    """Checks that a fact about an order names it."""
    if order_ref is None and reservation is None:
        raise ValueError("order_ref or reservation must be given")


def with_lines(lines: list[QuantityLine], version: int | None) -> None:
    """Checks that a document without lines is a newer version of one."""
    if not lines and version is None:
        raise ValueError("lines must not be empty, unless a version withdraws the document")


class OrderUpdate(_Fact, frozen=True, kw_only=True, tag="order.update"):
    """The ERP took units off an order; `lines` names them, an empty list in a newer version withdraws the update."""

    ref: VisibleName
    status: Literal["cancelled", "refused", "short"]
    lines: Annotated[list[QuantityLine], Meta(max_length=LINES_MAX)]
    as_of: AsOf
    order_ref: VisibleName | None = None
    reservation: VisibleName | None = None
    channel: VisibleName | None = None
    line: DocumentLine | None = None
    version: Integer | None = None

    def __post_init__(self) -> None:
        of_an_order(self.order_ref, self.reservation)
        with_lines(self.lines, self.version)


class Shipment(_Fact, frozen=True, kw_only=True, tag="shipment"):
    """Units left for an order; an empty list of lines in a newer version withdraws the shipment."""

    ref: VisibleName
    lines: Annotated[list[QuantityLine], Meta(max_length=LINES_MAX)]
    as_of: AsOf
    order_ref: VisibleName | None = None
    reservation: VisibleName | None = None
    channel: VisibleName | None = None
    line: DocumentLine | None = None
    version: Integer | None = None

    def __post_init__(self) -> None:
        of_an_order(self.order_ref, self.reservation)
        with_lines(self.lines, self.version)


class Return(_Fact, frozen=True, kw_only=True, tag="return"):
    """Units came back; 0 in a newer version withdraws the return."""

    ref: VisibleName
    sku: VisibleName
    location: VisibleName
    quantity: QuantityOrZero
    condition: Literal["sellable", "damaged", "quality_control"]
    as_of: AsOf
    order_ref: VisibleName | None = None
    reservation: VisibleName | None = None
    channel: VisibleName | None = None
    line: DocumentLine | None = None
    version: Integer | None = None
    unit: Name | None = None


class Component(Request, frozen=True, kw_only=True):
    """The quantity of a SKU in one kit."""

    sku: VisibleName
    quantity: Quantity


class Item(_Fact, frozen=True, kw_only=True, tag="item"):
    """A SKU: its units, other names, and components where it is a kit."""

    sku: VisibleName
    base_unit: VisibleName
    status: Literal["active", "discontinued"] = "active"
    units: Annotated[dict[VisibleName, Quantity], Meta(max_length=UNITS_MAX)] = msgspec.field(default_factory=dict)
    kit: Annotated[list[Component], Meta(max_length=ENTRIES_MAX)] | None = None
    aliases: Annotated[list[VisibleName], Meta(max_length=ENTRIES_MAX)] = msgspec.field(default_factory=list)
    sell_multiple: Quantity = 1
    tax_class: Name | None = None

    def __post_init__(self) -> None:
        if self.units.get(self.base_unit, 1) != 1:
            raise ValueError("units must not give the base unit another factor than 1")


class Location(_Fact, frozen=True, kw_only=True, tag="location"):
    """A place where stock is. The lower priority number goes first, then the name."""

    location: VisibleName
    type: Literal["warehouse", "store", "3pl"] = "warehouse"
    regions: Annotated[list[VisibleName], Meta(max_length=ENTRIES_MAX)] = msgspec.field(default_factory=list)
    priority: Priority = 100
    enabled: bool = True


class Channel(_Fact, frozen=True, kw_only=True, tag="channel"):
    """A way of selling: where from, how far ahead, in which order."""

    channel: VisibleName
    locations: Annotated[list[VisibleName], Meta(max_length=ENTRIES_MAX)] | Literal["*"]
    sourcing: Literal["priority", "region", "fewest_splits"] = "priority"
    regional: Literal["prefer", "require"] = "prefer"
    draws_shared: bool = True
    supply_horizon_days: Annotated[int, Meta(ge=0, le=HORIZON_DAYS_MAX)] = 0
    priority: Priority = 100
    buffer: Amount | None = None


class Allocation(_Fact, frozen=True, kw_only=True, tag="allocation"):
    """Units ring-fenced for a channel; 0 ends it."""

    channel: VisibleName
    sku: VisibleName
    quantity: Amount
    period: Period | None = None


class Cap(_Fact, frozen=True, kw_only=True, tag="cap"):
    """The most that a channel may sell; null ends it."""

    channel: VisibleName
    sku: VisibleName
    quantity: Amount | None
    period: Period | None = None


class Safety(_Fact, frozen=True, kw_only=True, tag="safety"):
    """Units never sold: the larger of both figures; both absent ends the rule."""

    sku: VisibleName | None = None
    location: VisibleName | None = None
    absolute: Amount | None = None
    percent: (
        Annotated[int, Meta(ge=0, le=100)]
        | Annotated[float, Meta(ge=0, le=100, description="At most two decimals.")]
        | None
    ) = None

    def __post_init__(self) -> None:
        if self.percent is not None and round(self.percent * 100, 6) % 1:
            raise ValueError("percent must have at most two decimals")


class Oversell(_Fact, frozen=True, kw_only=True, tag="oversell"):
    """What may be sold beyond any stock; `policy` absent ends the rule."""

    channel: VisibleName | None = None
    sku: VisibleName | None = None
    policy: Literal["none", "limit", "unlimited"] | None = None
    limit: Amount | None = None

    def __post_init__(self) -> None:
        if (self.policy == "limit") != (self.limit is not None):
            raise ValueError("limit must be given with policy limit, and only with it")


class Freshness(_Fact, frozen=True, kw_only=True, tag="freshness"):
    """What to do when a source has been silent for too long."""

    source: VisibleName
    stale_after_ms: Annotated[int, Meta(ge=1, le=STALE_AFTER_MS_MAX)]
    action: Literal["serve", "widen", "cap", "restrict"]
    amount: Amount | None = None


class Restriction(_Fact, frozen=True, kw_only=True, tag="restriction"):
    """Sell none of it, for the given reason."""

    blocked: bool
    reason: Why = ""
    channel: VisibleName | None = None
    sku: VisibleName | None = None


class SourceReset(_Fact, frozen=True, kw_only=True, tag="source.reset"):
    """The next level of the source counts, whatever its `as_of`: at a location, of a SKU, or everywhere."""

    source: Name
    location: Name | None = None
    sku: Name | None = None


class Ownership(_Fact, frozen=True, kw_only=True, tag="ownership"):
    """The levels of a location come from another source from now on."""

    location: Name
    source: Name


PolicyFact: TypeAlias = (
    Item | Location | Channel | Allocation | Cap | Safety | Oversell | Freshness | Restriction | SourceReset | Ownership
)
"""What /v1/policies accepts."""

Fact: TypeAlias = (
    StockLevel
    | StockDelta
    | Supply
    | Receipt
    | Transfer
    | Demand
    | OrderAck
    | OrderUpdate
    | Shipment
    | Return
    | PolicyFact
)
"""What /v1/facts accepts."""
