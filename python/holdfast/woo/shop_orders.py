"""Reading a shop's orders over REST.

Role: pages of changed orders, orders by number, refunds. In: a shop. Out: snapshots. Always: orders that change while
pages are read are missed by no page: each page begins at the time of change of the last order of the one before;
trashed orders are asked for separately, for `any` leaves them out; a snapshot is *settled* only where its second was
over before it was asked for.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from holdfast.settings import WooSettings
from holdfast.woo.rest import Answer, Shop, ShopError
from holdfast.woo.snapshots import NoOrderError, Snapshot, order_from, with_refunds

log = structlog.get_logger(__name__)

PAGE = 100
_FIELDS = (
    "id,status,date_created_gmt,date_modified_gmt,date_completed_gmt,line_items,meta_data,refunds"  # less to render
)
_PASSES = ("any", "trash")


@dataclass(slots=True)
class ShopOrders:
    """The orders of one shop. `unreadable`: entries that were no orders."""

    shop: Shop
    settings: WooSettings
    unreadable: int = field(default=0)

    async def changed_since(self, since_s: int, until_s: int | None = None) -> AsyncIterator[list[Snapshot]]:
        """All orders changed at or after a time, pages of at most 100, oldest change first. Raises ShopError."""
        for status in _PASSES:
            async for page in self._pages(since_s, until_s, status):
                yield page

    async def _pages(self, since_s: int, until_s: int | None, status: str) -> AsyncIterator[list[Snapshot]]:
        after_s, number = since_s - 1, 1  # `modified_after` leaves its own second out
        while True:
            query = {
                "modified_after": _time(after_s),
                "modified_before": None if until_s is None else _time(until_s),
                "dates_are_gmt": "true",
                "orderby": "modified",
                "order": "asc",
                "per_page": PAGE,
                "page": number,
                "status": status,
                "_fields": _FIELDS,
            }
            answer = await self.shop.get("orders", **query)
            found = self._read(answer)
            if found:
                yield found
            if not isinstance(answer.value, list) or len(answer.value) < PAGE:
                return
            last_s = max((one.modified_s for one in found), default=after_s)
            if last_s - 1 > after_s:
                after_s, number = last_s - 1, 1
            else:
                number += 1  # a whole page of one second

    async def by_number(self, orders: list[int]) -> tuple[list[Snapshot], list[int]]:
        """These orders as they are now, and those that the shop does not have. Raises ShopError."""
        found: dict[int, Snapshot] = {}
        for at in range(0, len(orders), PAGE):
            part = orders[at : at + PAGE]
            for status in _PASSES:
                wanted = [order for order in part if order not in found]
                if wanted:
                    query = {"include": ",".join(map(str, wanted)), "per_page": PAGE, "status": status}
                    answer = await self.shop.get("orders", **query, _fields=_FIELDS)
                    found |= {one.order: one for one in self._read(answer) if one.order in wanted}
        missing = []
        for order in orders:
            if order not in found:
                one = await self._single(order)
                if one is None:
                    missing.append(order)
                else:
                    found[order] = one
        return list(found.values()), missing

    async def _single(self, order: int) -> Snapshot | None:
        """One that no list shows: a draft, or none at all."""
        try:
            answer = await self.shop.get(f"orders/{order}", _fields=_FIELDS)
        except ShopError as fault:
            if fault.status in {404, 410}:
                return None
            raise
        read = self._read(Answer([answer.value], answer.headers, answer.took_s, answer.asked_s))
        return read[0] if read else None

    async def with_refunds(self, snapshot: Snapshot) -> Snapshot:
        """With what came back after the order had left. Raises ShopError."""
        refunds: list[Any] = []
        for number in range(1, 100):
            answer = await self.shop.get(f"orders/{snapshot.order}/refunds", per_page=PAGE, page=number)
            page = answer.value if isinstance(answer.value, list) else []
            refunds += page
            if len(page) < PAGE:
                break
        try:
            return with_refunds(snapshot, refunds)
        except ValueError as fault:
            log.warning("refunds-not-understood", order=snapshot.order, why=str(fault))
            return snapshot

    def _read(self, answer: Answer) -> list[Snapshot]:
        found = []
        for value in answer.value if isinstance(answer.value, list) else []:
            try:
                one = order_from(value)
            except NoOrderError as fault:
                self.unreadable += 1
                log.warning("order-not-understood", why=str(fault))
                continue
            settle_s = self.settings.settle_ms / 1000
            settled = one.modified_s + settle_s <= answer.asked_s
            found.append(order_from(value, settled=settled))
        return found


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
