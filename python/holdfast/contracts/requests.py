"""The bodies that clients send (docs/http.md, "Calls"). The Rust core parses them on the server; these Structs are the
Python client's types and the source of the OpenAPI document, and `tests/vectors/requests.json` holds both to the same.
"""

from typing import Annotated, TypeVar

from msgspec import Meta

from holdfast.contracts.facts import Fact, PolicyFact
from holdfast.contracts.fields import (
    BATCH_REQUESTS_MAX,
    LINES_MAX,
    SKUS_MAX,
    Name,
    Quantity,
    Request,
    Revision,
    TtlMs,
    VisibleName,
)

Source = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$", description="The system that reports; not `policy`.")]
T = TypeVar("T")
Lines = Annotated[list[T], Meta(min_length=1, max_length=LINES_MAX)]


class AvailabilityRequest(Request, frozen=True, kw_only=True):
    """POST /v1/availability: the sellable quantity of many SKUs, answered in this order."""

    channel: Name
    skus: Annotated[list[Name], Meta(min_length=1, max_length=SKUS_MAX)]
    region: Name | None = None
    location: Name | None = None
    published: bool = False


class CartLine(Request, frozen=True, kw_only=True):
    """A line to check; `location`: it must come from that place."""

    sku: Name
    quantity: Quantity
    unit: Name | None = None
    location: Name | None = None


class ValidateRequest(Request, frozen=True, kw_only=True):
    """POST /v1/carts/validate: would this cart fit? Holds nothing. `location`: of each line that names none itself."""

    channel: Name
    lines: Lines[CartLine]
    region: Name | None = None
    owner: Name | None = None
    location: Name | None = None


class ReservationLine(Request, frozen=True, kw_only=True):
    """A line to hold; `location` binds it to that place."""

    sku: Name
    quantity: Quantity
    unit: Name | None = None
    location: Name | None = None


class ReservationRequest(Request, frozen=True, kw_only=True):
    """PUT /v1/reservations/{id}: hold these lines for `ttl_ms`, all of them or (`partial`) what there is."""

    channel: VisibleName
    ttl_ms: TtlMs
    lines: Lines[ReservationLine]
    region: Name | None = None
    owner: Name | None = None
    partial: bool = False
    supersede: bool = False
    revision: Revision | None = None

    def __post_init__(self) -> None:
        if self.supersede and self.owner is None:
            raise ValueError("supersede needs an owner")


class BatchedReservation(ReservationRequest, frozen=True, kw_only=True):
    """A PUT within a batch."""

    id: Name


class BatchRequest(Request, frozen=True, kw_only=True):
    """POST /v1/reservations:batch: each decided separately; later ones see earlier ones."""

    requests: Annotated[list[BatchedReservation], Meta(min_length=1, max_length=BATCH_REQUESTS_MAX)]


class ConfirmRequest(Request, frozen=True, kw_only=True):
    """POST /v1/reservations/{id}/confirm: the order was placed."""

    order_ref: VisibleName | None = None


class EmptyRequest(Request, frozen=True, kw_only=True):
    """POST .../release and .../cancel: an empty body."""


class ExtendRequest(Request, frozen=True, kw_only=True):
    """POST /v1/reservations/{id}/extend: the hold ends `ttl_ms` from now."""

    ttl_ms: TtlMs


class FulfilLine(Request, frozen=True, kw_only=True):
    """Units that left; a kit may be named, or its components."""

    sku: Name
    quantity: Quantity
    location: Name | None = None
    unit: Name | None = None


class FulfilRequest(Request, frozen=True, kw_only=True):
    """POST /v1/reservations/{id}/fulfil: these units were handed over."""

    lines: Lines[FulfilLine]


class FactsRequest(Request, frozen=True, kw_only=True):
    """POST /v1/facts: facts of any kind, each accepted or rejected separately, or (`atomic`) all of them or none."""

    source: Source
    atomic: bool = False
    facts: Annotated[list[Fact], Meta(min_length=1)]


class PoliciesRequest(Request, frozen=True, kw_only=True):
    """POST /v1/policies: facts of the policy kinds alone; `atomic` as there."""

    atomic: bool = False
    facts: Annotated[list[PolicyFact], Meta(min_length=1)]
