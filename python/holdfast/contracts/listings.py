"""What the lists answer (docs/http.md, "Reading back"): one Struct per entry, one per page.

In: nothing. Out: the shapes of every `GET /v1/<list>` and of `GET /v1/skus/{sku}`.
Always: a page has `items`, `next` (null at the end) and `as_of`; it may have fewer items than asked for, even none,
while `next` names where the following one begins.
"""

from datetime import date
from typing import Generic, Literal, TypeVar

from msgspec import UNSET, UnsetType

from holdfast.contracts.answers import AnswerFreshness, Count, Reservation
from holdfast.contracts.fields import Answer, Time

EntryT = TypeVar("EntryT")
SourceAsOf = int | Time


class Page(Answer, Generic[EntryT], frozen=True, kw_only=True):
    """Entries of a list. `next`: what `after` must be for the following page; null: there is none."""

    items: list[EntryT]
    next: str | None
    as_of: AnswerFreshness


class SkuEntry(Answer, frozen=True, kw_only=True):
    """A SKU; `on_hand` and `at_hand` are over all locations, and null for a kit, which has no stock itself."""

    sku: str
    declared: bool
    base_unit: str | None
    kit: bool
    status: Literal["active", "discontinued"] | None
    aliases: list[str]
    on_hand: int | None
    at_hand: int | None


class KitComponent(Answer, frozen=True, kw_only=True):
    """How much of a SKU one kit holds."""

    sku: str
    quantity: int


class ItemRecord(Answer, frozen=True, kw_only=True):
    """The item as its owner declared it."""

    base_unit: str
    units: dict[str, int]
    kit: list[KitComponent]
    aliases: list[str]
    sell_multiple: int
    tax_class: str | None
    status: Literal["active", "discontinued"]


class LevelEntry(Answer, frozen=True, kw_only=True):
    """What a location has of a SKU.

    `owner` is the source whose levels count at the location, `source` the one that stated this level, as of `as_of`.
    `on_hand` is that level and what `moved` since; `sequence` is of the fact that last changed it, `owed_sequence` of
    the one that last changed what is owed from here.
    """

    location: str
    owner: str | None
    source: str | None
    as_of: SourceAsOf | None
    basis: Literal["gross", "net"] | None
    on_hand: int
    moved: int
    unsellable: int
    allocated: int
    demand: int
    committed: int
    held: int
    safety: int
    at_hand: int
    sequence: Count
    owed_sequence: Count


class PolicyEntry(Answer, frozen=True, kw_only=True):
    """A rule in force; which fields it has depends on its kind. A SKU, channel or location of null: for all."""

    kind: Literal["allocation", "cap", "freshness", "oversell", "restriction", "safety"]
    sku: str | UnsetType | None = UNSET
    channel: str | UnsetType | None = UNSET
    location: str | UnsetType | None = UNSET
    source: str | UnsetType = UNSET
    quantity: int | UnsetType | None = UNSET
    period: str | UnsetType | None = UNSET
    consumed: int | UnsetType = UNSET
    rest: int | UnsetType | None = UNSET
    policy: Literal["none", "limit", "unlimited"] | UnsetType = UNSET
    limit: int | UnsetType | None = UNSET
    blocked: bool | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    absolute: int | UnsetType | None = UNSET
    percent: float | UnsetType | None = UNSET
    stale_after_ms: int | UnsetType = UNSET
    action: Literal["serve", "widen", "cap", "restrict"] | UnsetType = UNSET
    amount: int | UnsetType | None = UNSET
    sequence: Count | UnsetType = UNSET


class SkuRecord(Answer, frozen=True, kw_only=True):
    """One SKU: its item, what each location has of it, the kits that it is used in, the rules that apply to it.

    `more_rules`: there are more than the 1,000 listed; `/v1/policies?sku=` has all.
    """

    sku: str
    item: ItemRecord | None
    used_in: list[str]
    levels: list[LevelEntry]
    rules: list[PolicyEntry]
    more_rules: bool
    as_of: AnswerFreshness


class LocationEntry(Answer, frozen=True, kw_only=True):
    """A location; `owner` is the source whose levels count there."""

    location: str
    declared: bool
    type: Literal["warehouse", "store", "3pl"]
    regions: list[str]
    priority: int
    enabled: bool
    owner: str | None


class ChannelEntry(Answer, frozen=True, kw_only=True):
    """A channel; `locations` is "*" for all."""

    channel: str
    declared: bool
    locations: list[str] | str
    draws_shared: bool
    supply_horizon_days: int
    sourcing: Literal["priority", "region", "fewest_splits"]
    regional: Literal["prefer", "require"]
    priority: int
    buffer: int | None


class SupplyEntry(Answer, frozen=True, kw_only=True):
    """A line of incoming stock; `bound` units of it are bound to reservations."""

    source: str
    ref: str
    line: str
    version: int | None
    sku: str
    location: str
    quantity: int
    bound: int
    presumed_received: int
    transfer_from: str | None
    as_of: SourceAsOf | None
    due: date
    status: Literal["open", "received", "cancelled"]
    confidence: int
    sequence: Count


class DemandEntry(Answer, frozen=True, kw_only=True, rename={"class_": "class"}):
    """What is owed outside of reservations; `open` is what reservations of the same order do not cover."""

    source: str
    ref: str
    line: str
    version: int | None
    sku: str
    locations: list[str]
    quantity: int
    covered: int
    open: int
    class_: str
    due: date | None
    order_ref: str | None
    reservation: str | None
    channel: str | None
    as_of: SourceAsOf
    sequence: Count


class SourceEntry(Answer, frozen=True, kw_only=True):
    """A source of facts: the locations whose levels it owns, its newest `as_of`, and how old that is.

    `clock` says whether it sends times or running numbers; the age of a running number is not known.
    """

    source: str
    clock: Literal["time", "number"] | None
    locations: list[str]
    last_as_of: SourceAsOf | None
    age_ms: int | None


class DeficitUnits(Answer, frozen=True, kw_only=True):
    """Units in deficit; `line` is the line's SKU (a kit's), `location` null where they are bound to nothing."""

    sku: str
    line: str
    location: str | None
    quantity: int


class DeficitEntry(Answer, frozen=True, kw_only=True):
    """A live reservation of which no stock, supply or policy covers some units any more."""

    reservation: str
    state: Literal["held", "committed", "in_erp"]
    channel: str
    order_ref: str | None
    units: list[DeficitUnits]
    sequence: Count


class AnomalyEntry(Answer, frozen=True, kw_only=True):
    """A fact that came to nothing, or to something unexpected. `fact` is its kind; LOG has it at `sequence`.

    `place` may be `after` of a later call, which then gives what has come since. `levels-dropped`: the name `ref`
    became an alias of `sku`, and what levels said of it at `location` is dropped.
    """

    place: str
    kind: Literal[
        "repeat",
        "stale",
        "lower-version",
        "conflicting-body",
        "covered",
        "closed-supply",
        "level-conflict",
        "levels-dropped",
    ]
    fact: str
    source: str
    sku: str | None
    location: str | None
    channel: str | None
    ref: str | None
    sequence: Count
    at: Time


class Anomalies(Page[AnomalyEntry], frozen=True, kw_only=True):
    """A page of anomalies."""


class Skus(Page[SkuEntry], frozen=True, kw_only=True):
    """A page of SKUs."""


class Locations(Page[LocationEntry], frozen=True, kw_only=True):
    """A page of locations."""


class Channels(Page[ChannelEntry], frozen=True, kw_only=True):
    """A page of channels."""


class Policies(Page[PolicyEntry], frozen=True, kw_only=True):
    """A page of rules."""


class Supplies(Page[SupplyEntry], frozen=True, kw_only=True):
    """A page of supply lines."""


class Demands(Page[DemandEntry], frozen=True, kw_only=True):
    """A page of demands."""


class Reservations(Page[Reservation], frozen=True, kw_only=True):
    """A page of reservations."""


class Sources(Page[SourceEntry], frozen=True, kw_only=True):
    """A page of sources."""


class Deficits(Page[DeficitEntry], frozen=True, kw_only=True):
    """A page of deficits."""
