"""An order of WooCommerce as it was at one moment.

Role: the border: bytes and JSON of a shop into a type that cannot be wrong. In: the payload of a webhook, or of
`GET /wc/v3/orders`. Out: a Snapshot, or why there is none. Always: nothing that another plugin may add or leave out
matters beyond the fields named here; a quantity with a fraction counts as the next whole one.
"""

import hashlib
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from holdfast.traces import is_trace

RESERVATION, STATE, FALLBACK_OPEN = "_holdfast_reservation", "_holdfast_state", "fallback-open"
TRACE = "_holdfast_trace"
"""What the plugin writes on an order (plugins/woocommerce/)."""
_RESTOCKED = ("_restock_refunded_items", "_holdfast_restocked")
"""Units of a line that went back to stock with refunds: by WooCommerce itself, or noted by the plugin in its place."""
_WRAPPED = {
    "_bundled_by": "_bundle_cart_key",
    "_composite_parent": "_composite_cart_key",
    "_mnm_container": "_mnm_cart_key",
    "_woosb_parent_id": "",
}
"""What plugins for bundles write on a part: which line wraps it; and on that line, the same. Empty: its product."""
_MARKS_OF_LINES = {*_RESTOCKED, *_WRAPPED, *filter(None, _WRAPPED.values())}
_SKU_LENGTH_MAX = 128


class NoOrderError(ValueError):
    """These bytes are not an order. `order`: its number, where at least that could be read."""

    def __init__(self, why: str, order: int = 0) -> None:
        super().__init__(why)
        self.order = order


class _Meta(msgspec.Struct, omit_defaults=True):
    key: Any = ""
    value: Any = None


class _Item(msgspec.Struct, omit_defaults=True):
    id: int
    quantity: float = 0
    sku: str | None = None
    product_id: Any = 0
    meta_data: list[_Meta] = []


class _Payload(msgspec.Struct, omit_defaults=True):
    id: int
    status: str
    date_modified_gmt: str | None = None
    date_created_gmt: str | None = None
    date_completed_gmt: str | None = None
    line_items: list[_Item] = []
    meta_data: list[_Meta] = []
    refunds: list[Any] = []


class _Numbered(msgspec.Struct):
    id: int


class _RefundItem(msgspec.Struct):
    quantity: float = 0
    meta_data: list[_Meta] = []


class _Refund(msgspec.Struct):
    date_created_gmt: str | None = None
    line_items: list[_RefundItem] = []


@dataclass(frozen=True, slots=True)
class Line:
    """A line: `restocked` of its units went back to stock with refunds, `returned` of these after it had left.

    `wraps`: SKUs of other lines of the order, which are the parts of this bundle. `of`, `per`: a component of the kit
    that this line of the order names, so many in each.
    """

    id: int
    sku: str
    quantity: int
    restocked: int = 0
    returned: int = 0
    wraps: tuple[str, ...] = ()
    of: int = 0
    per: int = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An order. Times are whole seconds since 1970, by the shop's clock."""

    order: int
    modified_s: int
    status: str
    lines: tuple[Line, ...]
    reservation: str = ""
    fallback: bool = False
    completed_s: int | None = None
    refunded: bool = False
    settled: bool = field(default=False, compare=False)
    """It was read from the shop after its second was over: nothing more of that second can come."""

    whole_mark: bytes = field(default=b"", compare=False)
    """The mark of what the shop said, where some of it was left out."""

    trace: str = field(default="", compare=False)
    """Of the checkout that asked for the units."""

    @property
    def mark(self) -> bytes:
        """What of it matters: equal for equal content, whatever the moment."""
        if self.whole_mark:
            return self.whole_mark
        content = (self.status, self.lines, self.reservation, self.fallback, self.completed_s)
        return hashlib.blake2b(repr(content).encode(), digest_size=8).digest()

    @property
    def is_reserved(self) -> bool:
        """Whether the plugin holds the units of this order."""
        return bool(self.reservation) and not self.fallback


_decode = msgspec.json.Decoder(_Payload, strict=False).decode


def order_of(body: bytes) -> Snapshot:
    """The order of a delivery. Raises NoOrderError."""
    try:
        return _snapshot(_decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, OverflowError) as fault:
        raise NoOrderError(str(fault), number_of(body)) from fault


def order_from(value: Any, *, settled: bool = False) -> Snapshot:
    """The order of an answer of the REST API. Raises NoOrderError."""
    try:
        return replace(_snapshot(msgspec.convert(value, _Payload, strict=False)), settled=settled)
    except (msgspec.ValidationError, ValueError, OverflowError) as fault:
        raise NoOrderError(str(fault)) from fault


def essence_of(body: bytes) -> bytes:
    """A delivery without all that is not needed: no name, no address, no note of a customer is stored anywhere.

    Of what is not an order: the number that it names, if any.
    """
    try:
        payload = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        number = number_of(body)
        return msgspec.json.encode({"id": number} if number else {})
    payload.meta_data = [one for one in payload.meta_data if one.key in {RESERVATION, STATE, TRACE}]
    payload.refunds = [0] if payload.refunds else []
    for item in payload.line_items:
        item.meta_data = [one for one in item.meta_data if one.key in _MARKS_OF_LINES]
    return msgspec.json.encode(payload)


def number_of(body: bytes) -> int:
    """The number of the order that a delivery is about; 0 where it says none."""
    try:
        return max(0, msgspec.json.decode(body, type=_Numbered).id)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0


def with_refunds(snapshot: Snapshot, refunds: list[Any]) -> Snapshot:
    """With what went back after the order had left, by the answers of `GET /orders/{id}/refunds`."""
    if snapshot.completed_s is None:
        return snapshot
    after: dict[int, int] = {}
    for refund in msgspec.convert(refunds, list[_Refund], strict=False):
        if _seconds(refund.date_created_gmt) <= snapshot.completed_s:
            continue
        for item in refund.line_items:
            line = _number(_found(item.meta_data, "_refunded_item_id"))
            after[line] = after.get(line, 0) + abs(_whole(item.quantity))
    back = {one.id: after.get(one.of or one.id, 0) * one.per for one in snapshot.lines}
    lines = tuple(replace(one, returned=min(one.restocked, back[one.id])) for one in snapshot.lines)
    return replace(snapshot, lines=lines)


def seconds_of(text: str) -> int:
    """Seconds since 1970 of a time of the REST API. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp())


def _snapshot(payload: _Payload) -> Snapshot:
    if payload.id <= 0 or not payload.status:
        raise ValueError("an order has a number above 0 and a status")
    modified_s = _seconds(payload.date_modified_gmt) or _seconds(payload.date_created_gmt)
    reservation, trace = (_found(payload.meta_data, key) for key in (RESERVATION, TRACE))
    wraps = _wraps(payload.line_items)
    return Snapshot(
        order=payload.id,
        modified_s=modified_s,
        status=payload.status.removeprefix("wc-"),
        lines=tuple(
            Line(item.id, _sku(item.sku), quantity, min(quantity, _restocked(item)), wraps=wraps.get(item.id, ()))
            for item in sorted(payload.line_items, key=lambda one: one.id)
            if (quantity := max(0, _whole(item.quantity))) > 0
        ),
        reservation=reservation if isinstance(reservation, str) and len(reservation) <= _SKU_LENGTH_MAX else "",
        fallback=_found(payload.meta_data, STATE) == FALLBACK_OPEN,
        completed_s=_seconds(payload.date_completed_gmt) or None,
        refunded=bool(payload.refunds),
        trace=trace if isinstance(trace, str) and is_trace(trace) else "",
    )


def _wraps(items: list[_Item]) -> dict[int, tuple[str, ...]]:
    """By line: the SKUs of the lines that are its parts."""
    wrappers: dict[tuple[str, str], int] = {}
    for item in items:
        wrappers |= {("", str(item.product_id)): item.id}
        wrappers |= {(key, str(value)): item.id for key in _WRAPPED.values() if (value := _found(item.meta_data, key))}
    found: dict[int, tuple[str, ...]] = {}
    for part in items:
        for key, of_wrapper in _WRAPPED.items():
            value = _found(part.meta_data, key)
            wrapper = wrappers.get((of_wrapper, str(value))) if value and _sku(part.sku) else None
            if wrapper is not None and wrapper != part.id:
                found[wrapper] = (*found.get(wrapper, ()), _sku(part.sku))
    return found


def _sku(sku: str | None) -> str:
    """Empty for none: the product was deleted, or never had one."""
    found = (sku or "").strip()
    return found if len(found) <= _SKU_LENGTH_MAX else ""


def _restocked(item: _Item) -> int:
    return max(0, *(_number(_found(item.meta_data, key)) for key in _RESTOCKED))


def _found(meta: list[_Meta], key: str) -> Any:
    return next((one.value for one in reversed(meta) if one.key == key), None)


def _number(value: Any) -> int:
    try:
        return _whole(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def _whole(value: float) -> int:
    return math.ceil(value) if value >= 0 else -math.ceil(-value)


def _seconds(text: str | None) -> int:
    """0 for none."""
    return seconds_of(text) if text else 0
