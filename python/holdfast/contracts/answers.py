"""What holdfast answers with a status below 400 (docs/http.md, "Calls")."""

from datetime import date
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from holdfast.contracts.fields import Answer, Mode, Time
from holdfast.contracts.problems import Problem, RejectedFact

State = Literal["held", "committed", "in_erp", "fulfilled", "released", "expired", "cancelled", "oversold"]
Reason = Literal["insufficient-stock", "unknown-sku", "restricted", "not-a-multiple", "unknown-unit", "inactive"]
Count = Annotated[int, Meta(ge=0)]


class AnswerFreshness(Answer, frozen=True, kw_only=True):
    """`as_of`: which LOG sequence an answer reflects, and how old that is.

    `silent`: sources that have stated nothing for longer than their `freshness` rule allows.
    """

    sequence: Count
    age_ms: Count
    mode: Mode
    silent: list[str] | UnsetType = UNSET


class LocationAvailability(Answer, frozen=True, kw_only=True):
    """What one location alone can give."""

    location: str
    sellable: Count
    unlimited: bool


class Availability(Answer, frozen=True, kw_only=True):
    """What a channel can sell of a SKU right now, and, where a quantity was asked for, from which day on it could.

    `published`: the figures have the channel's buffer taken off. `location`: they are what it alone can give.
    `locations`: each location's figure, the first 200; `more_locations` says that there are more.
    """

    sku: str
    channel: str
    sellable: Count
    unlimited: bool
    as_of: AnswerFreshness
    promise: date | UnsetType | None = UNSET
    published: bool | UnsetType = UNSET
    location: str | UnsetType = UNSET
    locations: list[LocationAvailability] | UnsetType = UNSET
    more_locations: bool | UnsetType = UNSET


class AvailabilityItem(Answer, frozen=True, kw_only=True):
    """One SKU of many: either its figures or why there are none."""

    sku: str
    sellable: Count | UnsetType = UNSET
    unlimited: bool | UnsetType = UNSET
    error: Literal["unknown-sku"] | UnsetType = UNSET


class Availabilities(Answer, frozen=True, kw_only=True):
    """The SKUs in the order asked."""

    items: list[AvailabilityItem]
    as_of: AnswerFreshness


class Term(Answer, frozen=True, kw_only=True):
    """One step of the waterfall; the quantities are signed and add up to `sellable`.

    `component`: of a kit, the component that the term belongs to. `channel` and `document`: whose claim it is, where
    the key may see that.
    """

    name: str
    quantity: int
    component: str | UnsetType = UNSET
    location: str | UnsetType = UNSET
    rule: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    document: str | UnsetType = UNSET
    sequence: Count | UnsetType = UNSET


class ExplainedDeficit(Answer, frozen=True, kw_only=True):
    """Units of an order that no stock, supply or policy covers; a location of null: they are bound to nothing."""

    reservation: str
    channel: str
    order_ref: str | None
    sku: str
    location: str | None
    quantity: int


class Explanation(Answer, frozen=True, kw_only=True):
    """Why a SKU's sellable is what it is. `at`: when the batch was made, of an answer about the past."""

    sku: str
    channel: str
    sellable: Count
    terms: list[Term]
    deficits: list[ExplainedDeficit] = field(default_factory=list)
    as_of: AnswerFreshness
    at: Time | UnsetType = UNSET


class ValidatedLine(Answer, frozen=True, kw_only=True):
    """A line as judged after the lines before it that fit."""

    sku: str
    requested: int
    sellable: Count
    ok: bool
    reason: Reason | UnsetType = UNSET


class Validation(Answer, frozen=True, kw_only=True):
    """Would the cart fit?"""

    ok: bool
    lines: list[ValidatedLine]
    as_of: AnswerFreshness


class AllocatedUnits(Answer, frozen=True, kw_only=True):
    """Where units of a line are bound; `sku` names the component of a kit, `due` the day of a supply."""

    location: str
    quantity: int
    sku: str | UnsetType = UNSET
    due: date | UnsetType = UNSET


class ComponentUnits(Answer, frozen=True, kw_only=True):
    """What became of the units of one component of a kit's line, in its base units."""

    sku: str
    per_kit: int
    open: int
    fulfilled: int
    cancelled: int
    returned: int
    unsourced: int
    deficit: int


class HeldLine(Answer, frozen=True, kw_only=True):
    """What a reservation holds of a SKU, in base units: `quantity` is `open`, `fulfilled` and `cancelled` together.

    Of the fulfilled units some may have `returned`; of the open ones some are `unsourced`, or in `deficit`: no stock,
    supply or policy covers them any more. A kit is counted in whole kits, and its `components` in their units.
    """

    sku: str
    quantity: int
    allocations: list[AllocatedUnits]
    open: int = 0
    fulfilled: int = 0
    cancelled: int = 0
    returned: int = 0
    unsourced: int = 0
    deficit: int = 0
    components: list[ComponentUnits] | UnsetType = UNSET


class Reservation(Answer, frozen=True, kw_only=True):
    """A reservation in its present state; `owner` is the keyed hash under which the owner is stored."""

    id: str
    state: State
    channel: str
    owner: str | None
    order_ref: str | None
    expires_at: Time | None
    lines: list[HeldLine]
    version: int
    sequence: Count
    superseded_by: str | UnsetType = UNSET
    as_of: AnswerFreshness | UnsetType = UNSET


class BatchResult(Answer, frozen=True, kw_only=True):
    """One request of a batch: its status, and the reservation or the problem."""

    id: str
    status: int
    reservation: Reservation | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


class BatchResults(Answer, frozen=True, kw_only=True):
    """The requests' results in their order."""

    results: list[BatchResult]


class IgnoredFact(Answer, frozen=True, kw_only=True):
    """A fact that was accepted and came to nothing, by its index in the body."""

    index: int
    reason: Literal["repeat", "stale", "lower-version", "conflicting-body", "covered", "closed-supply"]


class CreatedSku(Answer, frozen=True, kw_only=True):
    """A SKU that was unknown until now. `like` warns: a name known before that differs from it only in case, width,
    composition or leading zeros.
    """

    sku: str
    like: str | UnsetType = UNSET


class FactsAnswer(Answer, frozen=True, kw_only=True):
    """`accepted` are all that were not rejected; `ignored` those of them that came to nothing, `created` the SKUs that
    were unknown until now: the first 100 of each, and how many there are. `sequence` is LOG's.

    With `?wait=received`, `accepted` are the well-formed ones, `sequence` is IN's, and nothing is said of the rest.
    With `?dry_run=true` it is said what would be rejected and created; what would be ignored only taking it tells.
    """

    accepted: Count
    rejected: list[RejectedFact]
    ignored: list[IgnoredFact] | UnsetType = UNSET
    ignored_count: Count | UnsetType = UNSET
    created: list[CreatedSku] | UnsetType = UNSET
    created_count: Count | UnsetType = UNSET
    sequence: Count


class PeerState(Answer, frozen=True, kw_only=True):
    """Another process of the scope, by its heartbeat `age_ms` ago; `digest`: its digest compared with this one's."""

    node: str
    boot: str
    role: str
    epoch: Count
    sequence: Count
    age_ms: Count
    digest: Literal["same", "differs", "unknown"]


class StateAnswer(Answer, frozen=True, kw_only=True):
    """Sequence, digest, role and totals of this process.

    `leader` is the node that LOG names, null before the first; `quarantine` has, by cause, why this process must not
    lead; `peers` are the other processes of the scope whose heartbeats came lately.
    """

    scope: str
    sequence: Count
    digest: str
    role: Literal["leader", "follower"]
    lag_facts: Count
    pid: int
    totals: dict[str, int | dict[str, int]]
    node: str = ""
    leader: str | None = None
    epoch: Count = 0
    quarantine: dict[str, str] = field(default_factory=dict)
    peers: list[PeerState] = field(default_factory=list)
    as_of: AnswerFreshness


class Liveness(Answer, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["alive"]


class Readiness(Answer, frozen=True, kw_only=True):
    """Whether requests should be sent here; `reasons` is empty when they should."""

    ready: bool
    reasons: list[str]
