"""What an order means for holdfast, as facts.

Role: the rule by which each order counts once. In: a snapshot, the store's terms, what was stated of the order before,
and the reservation that the plugin made for it. Out: facts. Always: pure; the facts of the newest snapshot alone
decide, in whatever order snapshots come, for each is a document with a version that rises with the order's time of
change.

An order without a reservation is *demand*, one document for each line, under the order's number and channel. So where a
reservation is confirmed under the same number, demand adds only what that does not cover (docs/rules.md, "Each order
counted exactly once"), whichever comes first. Of an order with a reservation only what differs from the reservation is
stated: units taken off as one `order.update`, units added as demand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from holdfast.woo.snapshots import Snapshot
from holdfast.woo.stores import Role, Store

TIES_MAX = 1_000
"""Versions within one second of an order's time of change."""
_LIVE = {"committed", "in_erp", "fulfilled"}


@dataclass(frozen=True, slots=True)
class Standing:
    """A reservation as the gateway answered it: `units` by SKU that it was made for, `cancelled` of them."""

    state: str
    order_ref: str | None
    units: Mapping[str, int]
    cancelled: Mapping[str, int]

    def is_order(self, order: int) -> bool:
        """Whether it is this order, and not only a hold."""
        return self.state in _LIVE and self.order_ref == str(order)


@dataclass(frozen=True, slots=True)
class Known:
    """What was stated of an order last. `lines`: open demand, SKU and quantity by line."""

    modified_s: int = -1
    tie: int = 0
    mark: bytes = b""
    reservation: str = ""
    lines: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    returned: frozenset[int] = frozenset()
    shipped: bool = False

    @property
    def version(self) -> int:
        """Of the documents."""
        return max(0, self.modified_s) * TIES_MAX + self.tie


@dataclass(frozen=True, slots=True)
class Stated:
    """The facts to send, and what is known once they are taken. `nameless`: lines whose product has no SKU."""

    facts: list[dict[str, Any]]
    known: Known
    nameless: int = 0


def role_of(snapshot: Snapshot, store: Store) -> Role:
    """What the order means: one that had left has left, though it was refunded or trashed."""
    role = store.role(snapshot.status)
    if role is Role.ENDED:
        return Role.SHIPPED if snapshot.completed_s is not None else Role.NONE
    return role


def stated(
    snapshot: Snapshot, store: Store, known: Known, standing: Standing | None, *, now_s: int, tie: int = 0
) -> Stated:
    """The facts of a snapshot that is the newest one known."""
    role = role_of(snapshot, store)
    version = snapshot.modified_s * TIES_MAX + tie
    named, nameless = _named(snapshot, known, left=role is Role.SHIPPED)
    reserved = standing if standing is not None and standing.is_order(snapshot.order) else None
    common = {
        "order_ref": str(snapshot.order),
        "channel": store.channel,
        "version": version,
        "as_of": _time(min(snapshot.modified_s, now_s)),
    }
    if snapshot.trace:
        common["trace"] = snapshot.trace
    open_lines = _owed(named, role, reserved)
    facts = _demands(snapshot, store, known, open_lines, common)
    returned: frozenset[int] = frozenset()
    shipped = False
    if store.ships_from:
        returned = frozenset(at for at, (_, _, back) in named.items() if back) if role is Role.SHIPPED else frozenset()
        left = min(snapshot.completed_s or snapshot.modified_s, now_s)
        shipped = role is Role.SHIPPED
        if shipped or known.shipped or snapshot.completed_s is not None:
            facts += _shipment(snapshot, store, named, common | {"as_of": _time(left)}, left=shipped)
        facts += _returns(snapshot, store, known, named, returned, common)
    if reserved is not None:  # behind the shipment: of units that have left nothing can be taken off
        facts += _taken_off(snapshot, named, role, reserved, common)
    after = Known(snapshot.modified_s, tie, snapshot.mark, snapshot.reservation, open_lines, returned, shipped)
    return Stated(facts, after, nameless)


def removed(order: int, store: Store, known: Known, *, now_s: int) -> Stated:
    """Of an order that the shop no longer has. What had left has left."""
    if known.shipped:
        return Stated([], known)
    nothing = Snapshot(order, max(known.modified_s, 0), "trash", ())
    return stated(nothing, store, known, None, now_s=now_s, tie=min(known.tie + 1, TIES_MAX - 1))


def _named(snapshot: Snapshot, known: Known, *, left: bool) -> tuple[dict[int, tuple[str, int, int]], int]:
    """By line: SKU, units that are wanted, units that came back after they had left.

    The SKU is the product's of now, and none where the product was deleted: then the one that is known stays.
    """
    found, nameless = {}, 0
    for line in snapshot.lines:
        sku = line.sku or known.lines.get(line.id, ("", 0))[0]
        if sku:
            returned = line.returned if left else 0
            found[line.id] = (sku, line.quantity - (line.restocked - returned), returned)
        else:
            nameless += 1
    return found, nameless


def _by_sku(named: Mapping[int, tuple[str, int, int]]) -> dict[str, int]:
    units: dict[str, int] = {}
    for sku, wanted, _ in named.values():
        units[sku] = units.get(sku, 0) + wanted
    return units


def _owed(
    named: Mapping[int, tuple[str, int, int]], role: Role, reserved: Standing | None
) -> dict[int, tuple[str, int]]:
    """Demand by line. Of a SKU that a reservation covers there is none; where it covers too little, demand states all,
    for what is covered is taken off it.
    """
    if role is not Role.OPEN:
        return {}
    wanted = _by_sku(named)
    covered = {} if reserved is None else reserved.units
    short = {sku for sku, units in wanted.items() if units > covered.get(sku, 0)}
    return {at: (sku, units) for at, (sku, units, _) in named.items() if sku in short and units > 0}


def _demands(
    snapshot: Snapshot,
    store: Store,
    known: Known,
    lines: Mapping[int, tuple[str, int]],
    common: Mapping[str, Any],
) -> list[dict[str, Any]]:
    closed = {at: (sku, 0) for at, (sku, _) in known.lines.items() if at not in lines}
    place = {"locations": store.locations} if store.locations else {}
    head = {"kind": "demand", "ref": str(snapshot.order), "class": "other", **common, **place}
    return [
        {**head, "line": str(at), "sku": sku, "quantity": quantity}
        for at, (sku, quantity) in sorted({**closed, **lines}.items())
    ]


def _taken_off(
    snapshot: Snapshot,
    named: Mapping[int, tuple[str, int, int]],
    role: Role,
    reserved: Standing,
    common: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """What the order lacks of its reservation: one document, whose newest version counts."""
    wanted = _by_sku(named) if role in {Role.OPEN, Role.SHIPPED, Role.HOLD} else {}
    off = {sku: left for sku, units in reserved.units.items() if (left := units - wanted.get(sku, 0)) > 0}
    if off == {sku: units for sku, units in reserved.cancelled.items() if units}:
        return []
    lines = [{"sku": sku, "quantity": units} for sku, units in sorted(off.items())]
    head = {"kind": "order.update", "ref": str(snapshot.order), "status": "cancelled"}
    return [{**head, **common, "lines": lines}]


def _shipment(
    snapshot: Snapshot,
    store: Store,
    named: Mapping[int, tuple[str, int, int]],
    common: Mapping[str, Any],
    *,
    left: bool,
) -> list[dict[str, Any]]:
    """All that the order wants has left at once; or nothing, where it was set back."""
    units = _by_sku(named) if left else {}
    lines = [
        {"sku": sku, "location": store.ships_from, "quantity": quantity}
        for sku, quantity in sorted(units.items())
        if quantity > 0
    ]
    return [{"kind": "shipment", "ref": str(snapshot.order), **common, "lines": lines}]


def _returns(
    snapshot: Snapshot,
    store: Store,
    known: Known,
    named: Mapping[int, tuple[str, int, int]],
    returned: frozenset[int],
    common: Mapping[str, Any],
) -> list[dict[str, Any]]:
    head = {
        "kind": "return",
        "ref": str(snapshot.order),
        **common,
        "location": store.ships_from,
        "condition": "sellable",
    }
    return [
        {**head, "line": str(at), "sku": named[at][0], "quantity": named[at][2] if at in returned else 0}
        for at in sorted(returned | known.returned)
        if at in named
    ]


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
