"""What `GET /v1/report` answers: the business figures of a range of time (docs/business.md).

In: nothing. Out: the shape. Always: each figure is a count, or a share of two counts that stand beside it.
"""

from msgspec import field

from holdfast.contracts.fields import Answer, Time


class Gap(Answer, frozen=True, kw_only=True):
    """A stretch of LOG that could not be counted, because it was no longer kept."""

    from_: Time = field(name="from")
    upto: Time


class Carts(Answer, frozen=True, kw_only=True):
    """Carts, by what became of them."""

    held: int
    released: int
    superseded: int
    expired: int
    oversold: int


class Orders(Answer, frozen=True, kw_only=True):
    """Orders: `held` from a hold, `late` from one that had ended, `direct` without one."""

    all: int
    held: int
    late: int
    direct: int
    cancelled: int
    shipped: int


class Units(Answer, frozen=True, kw_only=True):
    """Units, by what became of them."""

    reserved: int
    ordered: int
    shipped: int
    cancelled: int
    returned: int
    released: int
    expired: int
    oversold: int


class Share(Answer, frozen=True, kw_only=True):
    """A part of all; null of nothing."""

    part: int
    all: int
    share: float | None


class OpenOrders(Answer, frozen=True, kw_only=True):
    """Orders that are not handed over at the end of what is counted."""

    orders: int
    oldest: Time | None


class Duration(Answer, frozen=True, kw_only=True):
    """How long something took, right to 1 %."""

    name: str
    count: int
    p50_ms: int | None
    p90_ms: int | None
    p99_ms: int | None


class RefusedCarts(Answer, frozen=True, kw_only=True):
    """Carts that were refused for one reason."""

    reason: str
    carts: int


class Accuracy(Answer, frozen=True, kw_only=True):
    """How right the figures here were, each time a source counted."""

    levels: int
    exact: int
    share: float | None
    units_expected: int
    units_up: int
    units_down: int


class OfChannel(Answer, frozen=True, kw_only=True):
    """One channel."""

    channel: str
    orders: int
    units_ordered: int
    units_shipped: int
    units_lost: int


class OfSku(Answer, frozen=True, kw_only=True):
    """A SKU of which most was asked for in vain."""

    sku: str
    units_lost: int
    units_would_have_oversold: int
    units_ordered: int


class Report(Answer, frozen=True, kw_only=True):
    """The figures from one moment until before another. `counted_upto`: to where LOG is counted."""

    scope: str
    from_: Time = field(name="from")
    upto: Time
    counted_since: Time | None
    counted_upto: Time | None
    sequence: int
    gaps: list[Gap]
    carts: Carts
    orders: Orders
    units: Units
    hold_to_purchase: Share
    fallout: Share
    open_orders: OpenOrders
    times: list[Duration]
    refused: list[RefusedCarts]
    refusals_left_out: int
    lines_left_out: int
    units_lost: int
    units_would_have_oversold: int
    accuracy: Accuracy
    channels: list[OfChannel]
    skus_lost: list[OfSku]
