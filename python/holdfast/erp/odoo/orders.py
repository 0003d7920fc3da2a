"""Orders as sales of an Odoo.

In: orders of holdfast. Out: sales, one for each warehouse that an order ships from. Always: a sale bears
`holdfast:KEY@LOCATION` as its origin and the shop's number as the customer's reference; it is looked for before it is
made, and made as a quotation, which reserves nothing: of two of one key the older is confirmed, the other cancelled.
"""

import asyncio
from functools import partial
from typing import Any

from holdfast.erp.interface import Order, OrderLine, RefusedError, UnusableError
from holdfast.erp.odoo.calls import Calls, Record
from holdfast.erp.odoo.layout import Layout
from holdfast.erp.odoo.stock import OPEN
from holdfast.erp.parts import escaped, parts_of, pushed

PREFIX = "holdfast:"
_SALE = ("state", "name", "origin")
_QUOTED = ("draft", "sent")
_LIVE = ("sale", "done")
_QUIETLY = {"disable_cancel_warning": True}


class Sales:
    """`customer`: the reference of the partner in whose name the shop sells."""

    def __init__(self, calls: Calls, customer: str) -> None:
        self._calls = calls
        self._customer = customer
        self._partner: int | None = None
        self._making = asyncio.Lock()

    async def push(self, order: Order, layout: Layout) -> str | RefusedError:
        """The numbers of its sales."""
        return await pushed(order, list(layout.warehouses), self._products, partial(self._sale, order, layout))

    async def find(self, order: Order, layout: Layout) -> str | None:
        """The same, where all of them are there and were confirmed, or cancelled since."""
        numbers = []
        for place in parts_of(order, list(layout.warehouses)):
            found = [one for one in await self._of(order.key, place) if one["state"] not in _QUOTED]
            if not found:
                return None
            numbers.append(str(found[0]["name"]))
        return ", ".join(numbers)

    async def cancel(self, order: Order) -> str | RefusedError:
        """Every sale of it, as far as nothing has left."""
        sales = await self._calls.search("sale.order", [["origin", "=like", f"{PREFIX}{escaped(order.key)}@%"]], _SALE)
        left = False
        try:
            for sale in sales:
                if sale["state"] != "cancel":
                    left |= not await self._cancelled(sale)
        except RefusedError as refused:
            return refused
        if left:
            return RefusedError("units of it have left already", final=True)
        return ", ".join(str(one["name"]) for one in sales) or "nothing"

    async def _sale(
        self, order: Order, layout: Layout, place: str, lines: list[OrderLine], products: dict[str, int]
    ) -> str:
        found = await self._of(order.key, place)
        if not found:
            async with self._making:
                await self._make(order, place, lines, products, layout)
            found = await self._of(order.key, place)
        sale = next((one for one in found if one["state"] not in _QUOTED), found[0])
        for other in found:
            if other is not sale and other["state"] in _QUOTED:
                await self._calls.act("sale.order", [other["id"]], "action_cancel", **_QUIETLY)
        if sale["state"] in _QUOTED:
            await self._calls.act("sale.order", [sale["id"]], "action_confirm")
        return str(sale["name"])

    async def _of(self, key: str, place: str) -> list[Record]:
        """Oldest first; those that somebody cancelled last."""
        found = await self._calls.search("sale.order", [["origin", "=", f"{PREFIX}{key}@{place}"]], _SALE)
        return sorted(found, key=lambda one: (one["state"] == "cancel", one["id"]))

    async def _make(
        self, order: Order, place: str, lines: list[OrderLine], products: dict[str, int], layout: Layout
    ) -> None:
        rows = [
            [0, 0, {"product_id": products[line.sku], "product_uom_qty": line.quantity, "price_unit": 0.0}]
            for line in lines
        ]
        values: dict[str, Any] = {
            "partner_id": await self._known_partner(),
            "client_order_ref": order.order_ref or order.reservation,
            "origin": f"{PREFIX}{order.key}@{place}",
            "warehouse_id": layout.warehouses[place],
            "company_id": layout.company,
            "order_line": rows,
        }
        await self._calls.create("sale.order", values)

    async def _known_partner(self) -> int:
        if self._partner is None:
            found = await self._calls.search("res.partner", [["ref", "=", self._customer]], ("id",), size=1)
            if not found or not self._customer:
                raise UnusableError("customer", f"Odoo has no contact with the reference {self._customer!r}")
            self._partner = int(found[0]["id"])
        return self._partner

    async def _products(self, skus: list[str]) -> dict[str, int]:
        found = await self._calls.search("product.product", [["default_code", "in", skus]], ("default_code",))
        products: dict[str, int] = {}
        for one in found:
            if one["default_code"] in products:
                raise RefusedError(f"Odoo has two products with the code {one['default_code']}")
            products[one["default_code"]] = one["id"]
        missing = [sku for sku in skus if sku not in products]
        if missing:
            raise RefusedError(f"Odoo has no product with the code {', '.join(missing)}")
        return products

    async def _cancelled(self, sale: Record) -> bool:
        """Whether all of it is cancelled; False: units have left, and only the rest is."""
        moves = await self._calls.search(
            "stock.move", [["sale_line_id.order_id", "=", sale["id"]]], ("state", "picking_id")
        )
        if any(one["state"] == "done" for one in moves):
            pickings = sorted({one["picking_id"] for one in moves if one["state"] in OPEN and one["picking_id"]})
            if pickings:
                await self._calls.act("stock.picking", pickings, "action_cancel")
            return False
        await self._calls.act("sale.order", [sale["id"]], "action_cancel", **_QUIETLY)
        [again] = await self._calls.search("sale.order", [["id", "=", sale["id"]]], _SALE)
        if again["state"] != "cancel":
            raise RefusedError(f"{sale['name']} stays {again['state']}: it may be locked")
        return True
