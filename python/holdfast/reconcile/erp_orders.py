"""Orders of an ERP and of holdfast.

In: both sides. Out: orders that they do not have alike. Always: orders that are closed on both sides are not asked for;
an ERP that cannot be asked for orders is compared by the connection's queue alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass

from holdfast.contracts.answers import Reservation
from holdfast.erp.interface import Document
from holdfast.erp.store import Entry
from holdfast.reconcile.erp_side import ErpSide
from holdfast.reconcile.findings import ADVICE, Compared, Difference, Found
from holdfast.reconcile.gateway_side import GatewaySide, units_of
from holdfast.reconcile.orders import OrderView, OrderWatch, Queued, agrees, judge_order
from holdfast.reconcile.rounds import Verdict

Published = Callable[[int], Awaitable[int | None]]
"""Waits until OUT has everything up to a sequence of LOG; where OUT ends then, None where it never had it."""
_POLL_S = 0.1


@dataclass(slots=True)
class Reading:
    """Orders by key. `others` are documents that bear no key of ours."""

    views: dict[str, OrderView]
    names: dict[str, str]
    others: list[Document]
    can_ask: bool
    read_at: dict[str, str]


class ErpOrdersComparison:
    """Of one connection."""

    def __init__(self, erp: ErpSide, gateway: GatewaySide, published: Published) -> None:
        self._erp = erp
        self._gateway = gateway
        self._published = published
        self._channels = frozenset(part.strip() for part in erp.settings.channels.split(",") if part.strip())

    async def read(self, only: Collection[str] | None) -> Reading:
        """See Comparison. The queue is read between the two: what is in neither of them is on its way nowhere."""
        if only is None:
            orders = self._wanted(await self._gateway.orders())
            documents = await self._erp.documents(sorted(orders))
            others = {one.key for one in documents or () if one.key} - orders.keys()
            orders |= await self._gateway.reservations(sorted(others))
        else:
            orders = await self._gateway.reservations(only)
            documents = await self._erp.documents(sorted(only))
        keys = {*orders, *(only or ()), *(one.key for one in documents or () if one.key and only is None)}
        entries = self._erp.entries(sorted(keys))
        by_key: dict[str, list[Document]] = {}
        for one in documents or ():
            by_key.setdefault(one.key, []).append(one)
        views = {
            key: _view(orders.get(key), None if documents is None else by_key.get(key, []), entries.get(key))
            for key in keys
        }
        names = {key: one.order_ref or key for key, one in orders.items()}
        read_at = {"holdfast": self._gateway.moment}
        return Reading(views, names, by_key.get("", []), documents is not None, read_at)

    def _wanted(self, orders: dict[str, Reservation]) -> dict[str, Reservation]:
        return {key: one for key, one in orders.items() if not self._channels or one.channel in self._channels}

    def differing(self, reading: Reading) -> Iterable[str]:
        """See Comparison."""
        return [key for key, view in reading.views.items() if not agrees(view)]

    def at_once(self, reading: Reading) -> list[Difference]:  # noqa: ARG002
        """None."""
        return []

    async def settle(self) -> OrderWatch:
        """See Comparison. First all events of now are published and read, then the ERP is asked."""
        behind = await self._events_behind()
        watch = await self._erp.settle("statuses")
        process = self._erp.process()
        if process is None:
            return OrderWatch(passed=False, exports=False, why=watch.why or "the connection does not run")
        why = watch.why or ("the ERP counts as down" if process.down else process.faults.get("events", ""))
        exports = not process.down and not process.faults.get("events")
        return OrderWatch(watch.passed, exports, behind, why)

    async def _events_behind(self) -> int:
        """How many events of now the connection has not read; it is waited for, not for ever."""
        upto = await self._published(self._gateway.client.sequence)
        deadline = time.monotonic() + self._erp.settle_s
        while True:
            read = int(self._erp.position("out") or 0)
            if upto is not None and read >= upto:
                return 0
            if time.monotonic() > deadline or self._erp.process() is None:
                return max(1, (upto or 0) - read)
            await asyncio.sleep(_POLL_S)

    def judge(self, one: str, before: Reading, after: Reading, watch: OrderWatch) -> Verdict:
        """See Comparison."""
        view = after.views[one]
        found = judge_order(before.views[one], view, watch)
        if not isinstance(found, Found):
            return found
        there = ", ".join(f"{each.number} ({each.state}): {_shown(each.units)}" for each in view.documents or ())
        return Difference(
            id=f"order|{self._erp.name}|{one}",
            pair="erp-holdfast",
            what="order",
            type=found.type,
            connection=self._erp.name,
            order=after.names.get(one, one),
            figures={
                "erp": there or ("cannot be asked" if view.documents is None else "none"),
                "holdfast": f"{view.state or 'none'}: {_shown(dict(view.units))}",
            },
            units=sum(view.units.values()) or sum(sum(each.units.values()) for each in view.live),
            evidence=list(found.evidence),
            advice=ADVICE[found.type],
        )

    def summary(self, reading: Reading, found: list[Difference]) -> Compared:  # noqa: ARG002
        """See Comparison."""
        remarks = (
            [] if reading.can_ask else ["this ERP cannot be asked for its orders: the connection's queue is compared"]
        )
        return Compared(
            pair="erp-holdfast",
            what="order",
            connection=self._erp.name,
            compared=len(reading.views),
            read_at=reading.read_at,
            remarks=remarks,
        )


def _view(reservation: Reservation | None, documents: list[Document] | None, entry: Entry | None) -> OrderView:
    return OrderView(
        None if reservation is None else reservation.state,
        {} if reservation is None else units_of(reservation),
        None if documents is None else tuple(sorted(documents, key=lambda one: one.number)),
        None if entry is None else Queued(entry.state, entry.wish, entry.tries, entry.why),
    )


def _shown(units: dict[str, int]) -> str:
    return ", ".join(f"{quantity} {sku}" for sku, quantity in sorted(units.items())) or "nothing"
