"""What an Odoo has on hand, owes, and expects.

In: its quants and moves. Out: facts of levels and supply. Always: what changed is asked of moves and never of quants,
of which those at zero vanish; a level is gross, `allocated` is what open moves take out of it, and both are read until
no move changed in between.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from holdfast.erp.amounts import begun, whole
from holdfast.erp.interface import Counted, ErpDownError, Fact, Inventory, Pulled, level_of
from holdfast.erp.moments import Moments
from holdfast.erp.odoo.calls import Calls, Record
from holdfast.erp.odoo.layout import Layout

PRODUCTS = 200
_READINGS_MAX = 8
OPEN = ("waiting", "confirmed", "partially_available", "assigned")
_ALL = {"active_test": False}
_MOVE = ("state", "product_id", "product_qty", "location_id", "location_dest_id", "write_date")
_INCOMING = (*_MOVE, "date", "purchase_line_id")
_BEGINNING = "1970-01-01 00:00:00"


class Changes:
    """Records of a model that changed since a position, each once, though every question reaches back.

    Odoo gives `write_date` in whole seconds, in which a record may change twice: what is asked of it tells, too.
    """

    def __init__(self, calls: Calls, model: str, overlap_ms: int) -> None:
        self._calls, self._model, self._overlap_ms = calls, model, overlap_ms
        self._seen: dict[int, Record] = {}

    async def since(self, position: str | None, domain: list[Any], fields: Sequence[str]) -> tuple[list[Record], str]:
        """What is new, and the next position."""
        later = [] if position is None else [["write_date", ">=", earlier(position, self._overlap_ms)]]
        found = await self._calls.search(self._model, [*domain, *later], fields)
        fresh = [one for one in found if self._seen.get(one["id"]) != one]
        self._seen = {one["id"]: one for one in found}
        return fresh, max([*(one["write_date"] for one in found), position or _BEGINNING])


def earlier(position: str, by_ms: int) -> str:
    """Odoo's times have no zone: they are UTC. A question in whole seconds reaches back to the second's begin."""
    return (datetime.fromisoformat(position) - timedelta(milliseconds=by_ms)).strftime("%Y-%m-%d %H:%M:%S")


class Stock:
    """Levels and supply of one connection."""

    def __init__(self, calls: Calls, moments: Moments, overlap_ms: int) -> None:
        self._calls, self._moments = calls, moments
        self._moved = Changes(calls, "stock.move", overlap_ms)
        self._expected = Changes(calls, "stock.move", overlap_ms)
        self._read_all = self._supply_read = False
        self._changed_before: set[int] = set()

    async def levels(self, since: str | None, layout: Layout) -> AsyncIterator[Pulled]:
        """Of products whose moves changed, at two turns each; of all at the first time in a process."""
        position = since if self._read_all else None
        moved, following = await self._moved.since(position, [], _MOVE)
        changed = {one["product_id"] for one in moved}
        products = await self.products(layout, None if position is None else sorted(changed | self._changed_before))
        for start in range(0, len(products), PRODUCTS):
            some = dict(list(products.items())[start : start + PRODUCTS])
            yield Pulled([level_of(one) for one in await self._counted(some, layout)])
        self._read_all, self._changed_before = True, changed
        yield Pulled([], position=following)

    async def products(self, layout: Layout, records: list[int] | None, skus: Sequence[str] | None = None) -> Any:
        """SKU by record, of products that have stock."""
        domain: list[Any] = [*layout.stored, ["default_code", "!=", False]]
        domain += [] if records is None else [["id", "in", records]]
        domain += [] if skus is None else [["default_code", "in", list(skus)]]
        if records == [] or skus == []:
            return {}
        found = await self._calls.search("product.product", domain, ("default_code",), context=_ALL)
        return {one["id"]: one["default_code"] for one in found}

    async def inventory(self, skus: Sequence[str] | None, layout: Layout) -> Inventory:
        """What is there now."""
        products = await self.products(layout, None, skus)
        found: list[Counted] = []
        for start in range(0, len(products), PRODUCTS):
            some = dict(list(products.items())[start : start + PRODUCTS])
            found += await self._counted(some, layout)
        return Inventory(found, is_whole=True)

    async def _counted(self, products: dict[int, str], layout: Layout) -> list[Counted]:
        for _ in range(_READINGS_MAX):
            as_of = self._moments.now()
            before = await self._moves(list(products), layout)
            on_hand = await self._on_hand(list(products), layout)
            if before == await self._moves(list(products), layout):
                break
        else:
            raise ErpDownError("moves change faster than levels can be read")
        allocated: dict[tuple[str, int], int] = {}
        for one in before:
            name, to = layout.inside.get(one["location_id"]), one["location_dest_id"]
            if name is None or layout.inside.get(to) == name:
                continue
            if to in layout.customers or one["state"] == "assigned":
                at = (name, one["product_id"])
                allocated[at] = allocated.get(at, 0) + begun(one["product_qty"])
        return [
            Counted(sku, name, on_hand.get((name, product), 0.0), allocated.get((name, product), 0), as_of)
            for name in layout.warehouses
            for product, sku in products.items()
        ]

    async def _on_hand(self, products: list[int], layout: Layout) -> dict[tuple[str, int], float]:
        """The sum of quants: a product has several at one place, and none where there is nothing."""
        domain = [["product_id", "in", products], ["location_id", "in", sorted(layout.inside)]]
        found: dict[tuple[str, int], float] = {}
        for one in await self._calls.search("stock.quant", domain, ("product_id", "location_id", "quantity")):
            at = (layout.inside[one["location_id"]], one["product_id"])
            found[at] = found.get(at, 0.0) + one["quantity"]
        return found

    async def _moves(self, products: list[int], layout: Layout) -> list[Record]:
        """Open moves out of where stock is on hand."""
        domain = [["product_id", "in", products], ["state", "in", list(OPEN)]]
        places = [["location_id", "in", sorted(layout.inside)]]
        return await self._calls.search("stock.move", [*domain, *places], _MOVE)

    async def supply(self, since: str | None, layout: Layout) -> AsyncIterator[Pulled]:
        """Moves into a warehouse from outside of it that changed; all open ones at the first time."""
        position, as_of = since if self._supply_read else None, self._moments.now()
        into: list[Any] = [["location_dest_id", "in", sorted(layout.home)]]
        narrowed = [["state", "in", list(OPEN)]] if since is None else []
        moved, following = await self._expected.since(position, [*into, *narrowed], await self._incoming())
        coming = [one for one in moved if _comes_in(one, layout)]
        skus = await self.products(layout, sorted({one["product_id"] for one in coming}))
        known = [one for one in coming if one["product_id"] in skus]
        facts = [_supply(one, skus[one["product_id"]], layout, as_of) for one in known]
        self._supply_read = True
        yield Pulled(facts, position=following)

    async def _incoming(self) -> tuple[str, ...]:
        """Without the purchase where that module is not installed."""
        known = await self._calls.call("stock.move", "fields_get", allfields=["purchase_line_id"], attributes=["type"])
        return _INCOMING if known else _INCOMING[:-1]


def _comes_in(move: Record, layout: Layout) -> bool:
    """Returns of customers are none: nobody knows when they come, and `return` states them."""
    to, since = layout.home.get(move["location_dest_id"]), move["location_id"]
    return (
        to is not None and layout.home.get(since) != to and since not in layout.customers and move["state"] != "draft"
    )


def _supply(move: Record, sku: str, layout: Layout, as_of: str) -> Fact:
    is_open = move["state"] in OPEN
    purchase = move.get("purchase_line_id")
    return {
        "kind": "supply",
        "ref": f"purchase.order.line,{purchase}" if purchase else f"stock.move,{move['id']}",
        "line": f"stock.move,{move['id']}",
        "sku": sku,
        "location": layout.home[move["location_dest_id"]],
        "quantity": whole(move["product_qty"]) if is_open else 0,
        "due": str(move["date"] or "2999-12-31")[:10],
        "as_of": as_of,
        "status": "open" if is_open else "received" if move["state"] == "done" else "cancelled",
    }
