"""Orders of a shop and of holdfast; and orders that shop and ERP both have by themselves.

In: both sides. Out: orders that are not stated as the shop has them, with the facts that would state them. Always: the
rule is the connector's own (`holdfast.woo.statements`); lines of SKUs that holdfast does not know are left out, as the
connector leaves them out.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.client.errors import NotFoundError
from holdfast.contracts.listings import DemandEntry
from holdfast.erp.interface import Document
from holdfast.reconcile.erp_side import ErpSide
from holdfast.reconcile.findings import ADVICE, Compared, Correction, Difference, Found
from holdfast.reconcile.gateway_side import GatewaySide
from holdfast.reconcile.rounds import Verdict
from holdfast.reconcile.shop_side import ShopSide, ShopWatch
from holdfast.woo.orders import standing_of
from holdfast.woo.snapshots import Snapshot
from holdfast.woo.statements import TIES_MAX, Known, Standing, role_of, stated
from holdfast.woo.stores import Role

_STATED = {"demand", "order.update"}
Lines = dict[int, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """One reading of an order. `wanted` and `there`: open demand by line; `facts` would make the one of the other.

    `off`: units are to be taken off its reservation. `elsewhere`: the order under which its reservation counts instead.
    """

    wanted: Lines
    there: Lines
    facts: tuple[dict[str, Any], ...] = field(compare=False, default=())
    off: bool = False
    elsewhere: str = ""
    status: str = ""
    modified_s: int = -1
    version: int = 0
    reservation: str = ""
    state: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it counts as the shop has it, and once."""
        twice = self.elsewhere and self.there
        return self.wanted == self.there and not self.off and not twice


@dataclass(slots=True)
class Reading:
    """Orders by number, as text."""

    orders: dict[str, ShopOrder]
    owed: set[str]
    read_at: dict[str, str]


class ShopOrdersComparison:
    """Of one store; orders that changed within `days`, and those that are open here."""

    def __init__(self, shop: ShopSide, gateway: GatewaySide, days: int) -> None:
        self._shop = shop
        self._gateway = gateway
        self._days = days

    async def read(self, only: Collection[str] | None) -> Reading:
        """See Comparison."""
        names = {alias: one.sku async for one in self._gateway.client.skus() for alias in one.aliases}
        demands = await self._gateway.demands(self._shop.name)
        if only is None:
            snapshots = await self._shop.changed(self._days)
            others = [
                int(ref) for ref in demands if ref.isdecimal() and int(ref) not in snapshots and _is_open(demands[ref])
            ]
            snapshots |= await self._shop.by_number(others)
            asked = {*map(str, snapshots), *map(str, others)}
        else:
            snapshots = await self._shop.by_number([int(one) for one in only])
            asked = set(only)
        skus = sorted({line.sku for one in snapshots.values() for line in one.lines if line.sku})
        known = await self._gateway.known(self._shop.store.channel, skus)
        orders = {one: await self._order(snapshots.get(int(one)), demands.get(one, []), known, names) for one in asked}
        owed = {str(one.order) for one in snapshots.values() if role_of(one, self._shop.store) is Role.OPEN}
        read_at = {"shop": f"{self._shop.clock_s:.0f} s on its clock", "holdfast": self._gateway.moment}
        return Reading(orders, owed, read_at)

    async def _order(
        self, snapshot: Snapshot | None, demands: list[DemandEntry], known: set[str], names: dict[str, str]
    ) -> ShopOrder:
        there: Lines = {
            int(one.line): (one.sku, one.quantity) for one in demands if one.line.isdecimal() and one.quantity
        }
        version = max((one.version or 0 for one in demands), default=0)
        if snapshot is None:
            ref = demands[0].ref if demands else ""
            nothing = Snapshot(int(ref or 0), version // TIES_MAX, "trash", ())
            closed = stated(nothing, self._shop.store, Known(lines=there), None, now_s=int(time.time()))
            return ShopOrder({}, there, _facts(closed.facts, version), status="not there", version=version)
        lines = tuple(
            replace(line, sku=names.get(line.sku, line.sku))
            for line in snapshot.lines
            if not line.sku or line.sku in known
        )
        whole = replace(snapshot, lines=lines)
        standing = await self._standing(snapshot)
        plan = stated(whole, self._shop.store, Known(lines=there), standing, now_s=int(time.time()))
        elsewhere = ""
        if standing is not None and standing.state in {"committed", "in_erp"} and not standing.is_order(snapshot.order):
            elsewhere = standing.order_ref or "no order"
        return ShopOrder(
            dict(plan.known.lines),
            there,
            _facts(plan.facts, version),
            off=any(fact["kind"] == "order.update" for fact in plan.facts),
            elsewhere=elsewhere,
            status=snapshot.status,
            modified_s=snapshot.modified_s,
            version=version,
            reservation=snapshot.reservation,
            state=standing.state if standing is not None else "",
        )

    async def _standing(self, snapshot: Snapshot) -> Standing | None:
        if not snapshot.is_reserved or role_of(snapshot, self._shop.store) is Role.HOLD:
            return None
        try:
            return standing_of(await self._gateway.client.reservation(snapshot.reservation))
        except NotFoundError:
            return None

    def differing(self, reading: Reading) -> Iterable[str]:
        """See Comparison."""
        return [number for number, one in reading.orders.items() if not one.agrees]

    def at_once(self, reading: Reading) -> list[Difference]:  # noqa: ARG002
        """None."""
        return []

    async def settle(self) -> ShopWatch:
        """See Comparison."""
        return await self._shop.settle(self._gateway.client.sequence)

    def judge(self, one: str, before: Reading, after: Reading, watch: ShopWatch) -> Verdict:
        """See Comparison."""
        order = after.orders[one]
        if order.agrees:
            return "agrees"
        if before.orders[one] != order:
            return "moving"
        found = _judged(order, watch)
        correction = None
        if found.type in {"missing-event", "manual-edit"}:
            read = order.modified_s if order.reservation and order.state not in {"committed", "in_erp"} else None
            correction = Correction(self._shop.name, list(order.facts) if read is None else [], read_since_s=read)
        return Difference(
            id=f"order|{self._shop.name}|{one}",
            pair="shop-holdfast",
            what="order",
            type=found.type,
            connection=self._shop.name,
            order=one,
            figures={"shop": f"{order.status}: {_shown(order.wanted)}", "holdfast": _shown(order.there)},
            units=abs(
                sum(units for _, units in order.wanted.values()) - sum(units for _, units in order.there.values())
            ),
            evidence=list(found.evidence),
            advice=ADVICE[found.type],
            correction=correction,
        )

    def summary(self, reading: Reading, found: list[Difference]) -> Compared:  # noqa: ARG002
        """See Comparison."""
        return Compared(
            pair="shop-holdfast",
            what="order",
            connection=self._shop.name,
            compared=len(reading.orders),
            read_at=reading.read_at,
        )


def _judged(order: ShopOrder, watch: ShopWatch) -> Found:
    if order.elsewhere and order.there and order.wanted == order.there:
        why = f"its reservation {order.reservation} counts as {order.elsewhere}, and its lines count as demand"
        return Found("duplicate", (why,))
    if not watch.orders:
        return Found("late", (watch.why,))
    if order.version // TIES_MAX > order.modified_s >= 0:
        return Found("manual-edit", (f"version {order.version} was stated here, newer than the order's last change",))
    changed = "it is not in the shop any more" if order.modified_s < 0 else f"it changed at {order.modified_s} s"
    return Found("missing-event", (f"{changed}; the connector has read the shop's orders since, and stated nothing",))


def _facts(facts: Iterable[dict[str, Any]], version: int) -> tuple[dict[str, Any], ...]:
    """Those that count the order, newer than what is known."""
    return tuple(
        fact | {"version": max(int(fact["version"]), version + 1)} for fact in facts if fact["kind"] in _STATED
    )


def _is_open(demands: list[DemandEntry]) -> bool:
    return any(one.quantity for one in demands)


def _shown(lines: Lines) -> str:
    return ", ".join(f"{units} {sku}" for sku, units in sorted(lines.values())) or "nothing owed"


class TwiceComparison:
    """Orders that the shop's connector counts, and that somebody entered in the ERP as well."""

    def __init__(self, erp: ErpSide, shop: ShopSide, orders: ShopOrdersComparison) -> None:
        self._erp = erp
        self._shop = shop
        self._orders = orders

    async def read(self, only: Collection[str] | None) -> tuple[Reading, dict[str, list[Document]]]:
        """See Comparison."""
        reading = await self._orders.read(only)
        found: dict[str, list[Document]] = {}
        for one in await self._erp.documents([]) or ():
            if not one.key and one.state in {"draft", "open"} and one.reference in reading.owed:
                found.setdefault(one.reference, []).append(one)
        return reading, found

    def differing(self, reading: tuple[Reading, dict[str, list[Document]]]) -> Iterable[str]:
        """See Comparison."""
        return list(reading[1])

    def at_once(self, reading: tuple[Reading, dict[str, list[Document]]]) -> list[Difference]:  # noqa: ARG002
        """None."""
        return []

    async def settle(self) -> None:
        """Nothing of one can be on its way to the other: they have no connection."""

    def judge(
        self,
        one: str,
        before: tuple[Reading, dict[str, list[Document]]],
        after: tuple[Reading, dict[str, list[Document]]],
        watch: None,  # noqa: ARG002
    ) -> Verdict:
        """See Comparison."""
        documents = after[1].get(one)
        if documents is None:
            return "agrees"
        if before[1][one] != documents:
            return "moving"
        order = after[0].orders[one]
        numbers = ", ".join(each.number for each in documents)
        units = sum(sum(each.units.values()) for each in documents)
        return Difference(
            id=f"twice|{self._erp.name}|{self._shop.name}|{one}",
            pair="erp-shop",
            what="order",
            type="duplicate",
            connection=self._erp.name,
            order=one,
            figures={"erp": f"{numbers}: {units} units", "shop": order.status, "holdfast": _shown(order.there)},
            units=units,
            evidence=[f"{numbers} bears the shop's number and was not exported by holdfast: its units are owed twice"],
            advice=ADVICE["duplicate"],
        )

    def summary(
        self,
        reading: tuple[Reading, dict[str, list[Document]]],
        found: list[Difference],  # noqa: ARG002
    ) -> Compared:
        """See Comparison."""
        read_at = {"erp": "its open orders", **reading[0].read_at}
        return Compared(
            pair="erp-shop", what="order", connection=self._erp.name, compared=len(reading[0].owed), read_at=read_at
        )
