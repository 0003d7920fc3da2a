"""Events, figures and what a webhook carries (docs/events.md).

In: nothing. Out: Structs of everything that the publisher writes; the AsyncAPI document is made of them.
Always: they may grow: a reader takes fields that it does not know, and kinds, as they come.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from holdfast.contracts.answers import Count, Reservation, State
from holdfast.contracts.fields import Answer, Time

RESERVATION_KINDS: Final = (
    *("held", "extended", "confirmed", "released", "expired", "cancelled", "oversold", "fulfilled"),
    *("deficit", "changed"),
)
KINDS: Final = (*RESERVATION_KINDS, "availability", "gap")
"""What can have happened; the event's subject and its member `kind` name it."""

ReservationKind = Literal[
    "held",
    "extended",
    "confirmed",
    "released",
    "expired",
    "cancelled",
    "oversold",
    "fulfilled",
    "deficit",
    "changed",
]
EventId = Annotated[
    str,
    Meta(
        pattern="^[0-9]+:[0-9]+$",
        description="The sequence in LOG and the number within its batch; grows from event to event.",
        examples=["1207:0"],
    ),
]


class ReservationEvent(Answer, frozen=True, kw_only=True):
    """Something happened to a reservation. `before`: its state before, null where it is new; `unsourced`: units beyond
    any stock and supply. `trace`: of the request or fact that did it, where it named one; `span`: where that is
    recorded.
    """

    id: EventId
    kind: ReservationKind
    sequence: Count
    index: Count
    at: Time
    channel: str
    trace: str | UnsetType = UNSET
    span: str | UnsetType = UNSET
    before: State | None
    unsourced: Count
    reservation: Reservation


class AvailabilityEvent(Answer, frozen=True, kw_only=True):
    """A published figure crossed zero or a threshold of its channel."""

    id: EventId
    kind: Literal["availability"]
    sequence: Count
    index: Count
    at: Time
    channel: str
    sku: str
    before: Count
    published: Count


class GapEvent(Answer, frozen=True, kw_only=True):
    """Events that do not come: those of LOG's sequences `from` to `upto`. Read again what matters.

    `log-cut`, `out-lost` and `not-published-before` are the publisher's; `out-cut`: this client came too late, and the
    stream has dropped them.
    """

    id: EventId
    kind: Literal["gap"]
    sequence: Count
    index: Count
    first: Annotated[int, Meta(ge=0)] = msgspec.field(name="from")
    upto: Count
    reason: str


Event: TypeAlias = ReservationEvent | AvailabilityEvent | GapEvent


class UnknownEvent(Answer, frozen=True, kw_only=True):
    """An event of a kind that this version does not know."""

    id: EventId
    kind: str
    sequence: Count
    index: Count
    channel: str | UnsetType = UNSET


class Figure(Answer, frozen=True, kw_only=True):
    """What a channel publishes of a SKU. `gone`: the channel no longer publishes, or nothing knows the SKU."""

    sku: str
    channel: str
    published: Count
    sellable: Count
    unlimited: bool
    gone: bool
    sequence: Count
    at: Time


class _Kind(msgspec.Struct):
    kind: str


_OF_KIND: Final[dict[str, Any]] = {
    **dict.fromkeys(RESERVATION_KINDS, msgspec.json.Decoder(ReservationEvent)),
    "availability": msgspec.json.Decoder(AvailabilityEvent),
    "gap": msgspec.json.Decoder(GapEvent),
}
_kind = msgspec.json.Decoder(_Kind)
_unknown = msgspec.json.Decoder(UnknownEvent)


def decode_event(body: bytes | str) -> Event | UnknownEvent:
    """Raises msgspec.DecodeError for bytes that are no event."""
    found: Event | UnknownEvent = _OF_KIND.get(_kind.decode(body).kind, _unknown).decode(body)
    return found
