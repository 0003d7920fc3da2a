"""Orders as sales of a Tryton, and what became of them there.

In: orders of holdfast. Out: sales, one for each warehouse that an order ships from; their state as facts. Always: a
sale bears `holdfast:KEY@LOCATION` in its description and the shop's number as its reference; it is looked for before it
is made, and made as a draft, which reserves nothing: of two drafts of one key, made by a call whose answer was lost
and by its repetition, the older one is confirmed and the other cancelled.
"""

import asyncio
from functools import partial
from typing import Any

from holdfast.erp.interface import Order, OrderLine, RefusedError, UnusableError
from holdfast.erp.parts import escaped, parts_of, pushed
from holdfast.erp.tryton.layout import Layout
from holdfast.erp.tryton.rest import Record, Rest
from holdfast.traces import id_of

PREFIX = "holdfast:"
_SALE = ("state", "number", "description", "shipment_state")
_PRICE = {"__class__": "Decimal", "decimal": "0"}
_LIVE = ("confirmed", "processing", "done")
_STEPS = {"draft": "quote", "quotation": "confirm", "confirmed": "process"}
_QUEUED_TRIES = 20
_QUEUED_WAIT_S = 0.1


def key_of(description: str) -> str:
    """The order that a sale is of."""
    return description.removeprefix(PREFIX).rpartition("@")[0]


class Sales:
    """`customer`: the code of the party in whose name the shop sells."""

    def __init__(self, rest: Rest, customer: str) -> None:
        self._rest = rest
        self._customer = customer
        self._head: Record | None = None
        self._making = asyncio.Lock()

    async def push(self, order: Order, layout: Layout) -> str | RefusedError:
        """The numbers of its sales."""
        return await pushed(order, list(layout.warehouses), self._products, partial(self._sale, order, layout))

    async def find(self, order: Order, layout: Layout) -> str | None:
        """The same, where all of them are there and were confirmed, or cancelled since."""
        numbers = []
        for place in parts_of(order, list(layout.warehouses)):
            found = [one for one in await self._of(order, place) if one["state"] in {*_LIVE, "cancelled"}]
            if not found:
                return None
            numbers.append(found[0]["number"] or f"sale {found[0]['id']}")
        return ", ".join(numbers)

    async def cancel(self, order: Order) -> str | RefusedError:
        """Every sale of it, as far as nothing has left."""
        sales = await self._rest.search(
            "sale.sale", [["description", "like", f"{PREFIX}{escaped(order.key)}@%"]], _SALE
        )
        left = False
        try:
            for sale in sales:
                left |= not await self._cancelled(sale)
        except RefusedError as refused:
            return refused
        if left:
            return RefusedError("units of it have left already", final=True)
        return ", ".join(one["number"] or f"sale {one['id']}" for one in sales) or "nothing"

    # ---- making

    async def _sale(
        self, order: Order, layout: Layout, place: str, lines: list[OrderLine], products: dict[str, Record]
    ) -> str:
        found = await self._of(order, place)
        if not found:
            async with self._making:
                await self._make(order, place, lines, products, layout)
            found = await self._of(order, place)
        sale = next((one for one in found if one["state"] in {*_LIVE, "cancelled"}), found[0])
        for other in found:
            if other is not sale and other["state"] in {"draft", "quotation"}:
                await self._rest.act("sale.sale", other["id"], "cancel")
        sale = await self._confirmed(sale)
        return str(sale["number"] or f"sale {sale['id']}")

    async def _confirmed(self, sale: Record) -> Record:
        """Through its states; a worker of Tryton may take the last step at the same time."""
        for _ in range(_QUEUED_TRIES):
            step = _STEPS.get(sale["state"])
            if step is None:
                return sale
            try:
                await self._rest.act("sale.sale", sale["id"], step)
            except RefusedError:
                await asyncio.sleep(_QUEUED_WAIT_S)
                if (await self._again(sale))["state"] == sale["state"]:
                    raise
            sale = await self._again(sale)
        raise RefusedError(f"sale {sale['id']} stays {sale['state']}")

    async def _again(self, sale: Record) -> Record:
        return (await self._rest.search("sale.sale", [["id", "=", sale["id"]]], _SALE, size=1))[0]

    async def _of(self, order: Order, place: str) -> list[Record]:
        """Oldest first; those that somebody cancelled last."""
        found = await self._rest.search("sale.sale", [["description", "=", f"{PREFIX}{order.key}@{place}"]], _SALE)
        return sorted(found, key=lambda one: (one["state"] == "cancelled", one["id"]))

    async def _make(
        self, order: Order, place: str, lines: list[OrderLine], products: dict[str, Record], layout: Layout
    ) -> None:
        head = await self._known_head()
        rows = [
            {
                "type": "line",
                "product": products[line.sku]["id"],
                "quantity": line.quantity,
                "unit": products[line.sku]["default_uom"],
                "unit_price": _PRICE,
            }
            for line in lines
        ]
        values: dict[str, Any] = head | {
            "reference": order.order_ref or order.reservation,
            "description": f"{PREFIX}{order.key}@{place}",
            "warehouse": layout.warehouses[place],
            "invoice_method": "manual",
            "shipment_method": "order",
            "lines": [["create", rows]],
        }
        if order.trace:
            values["comment"] = f"trace {id_of(order.trace)}"
        await self._rest.create("sale.sale", values)

    async def _known_head(self) -> Record:
        """What is alike in every sale."""
        if self._head is None:
            found = await self._rest.search("party.party", [["code", "=", self._customer]], ("addresses.id",), size=1)
            if not found:
                raise UnusableError("customer", f"Tryton has no party with the code {self._customer!r}")
            addresses = [one["id"] for one in found[0]["addresses"]]
            if not addresses:
                raise UnusableError("customer", f"the party {self._customer!r} has no address, and a sale needs one")
            company = self._rest.context["company"]
            [owner] = await self._rest.search("company.company", [["id", "=", company]], ("currency",), size=1)
            self._head = {
                "company": company,
                "currency": owner["currency"],
                "party": found[0]["id"],
                "invoice_address": addresses[0],
                "shipment_address": addresses[0],
            }
        return self._head

    async def _products(self, skus: list[str]) -> dict[str, Record]:
        found = await self._rest.search("product.product", [["code", "in", skus]], ("code", "default_uom"))
        products = {one["code"]: one for one in found}
        missing = [sku for sku in skus if sku not in products]
        if missing:
            raise RefusedError(f"Tryton has no product with the code {', '.join(missing)}")
        return products

    # ---- cancelling

    async def _cancelled(self, sale: Record) -> bool:
        """Whether all of it is cancelled; False: units have left."""
        if sale["state"] in {"draft", "quotation"}:
            await self._rest.act("sale.sale", sale["id"], "cancel")
        elif sale["state"] == "confirmed":
            await self._rest.act("sale.sale", sale["id"], "draft")
            await self._rest.act("sale.sale", sale["id"], "cancel")
        elif sale["state"] in {"processing", "done"}:
            return await self._shipments_cancelled(sale)
        return True

    async def _shipments_cancelled(self, sale: Record) -> bool:
        domain = [["origin.sale", "=", sale["id"], "sale.line"]]
        moves = await self._rest.search("stock.move", domain, ("state", "shipment", "origin"))
        for shipment in sorted({one["shipment"] for one in moves if one["state"] in {"draft", "assigned"}}):
            model, _, record = shipment.partition(",")
            await self._rest.act(model, int(record), "cancel")
        moves = await self._rest.search("stock.move", domain, ("state", "shipment", "origin"))
        for line in sorted({one["origin"] for one in moves}):
            ended = [one["id"] for one in moves if one["origin"] == line and one["state"] == "cancelled"]
            await self._rest.write("sale.line", int(line.partition(",")[2]), {"moves_ignored": [["add", ended]]})
        await self._rest.act("sale.sale", sale["id"], "process")
        return all(one["state"] == "cancelled" for one in moves)
