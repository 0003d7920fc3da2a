"""Orders as sales of a Tryton, and what became of them there.

In: orders of holdfast. Out: sales, one for each warehouse that an order ships from; their state as facts. Always: a
sale bears `holdfast:KEY@LOCATION` in its description and the shop's number as its reference; it is looked for before it
is made, and made as a draft, which reserves nothing: of two drafts of one key, made by a call whose answer was lost
and by its repetition, the older one is confirmed and the other cancelled.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import NamedTuple

from holdfast.erp.interface import Order, OrderLine, RefusedError, UnusableError
from holdfast.erp.parts import escaped, parts_of
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


class Part(NamedTuple):
    """What of an order ships from one place: a sale."""

    order: Order
    place: str
    lines: list[OrderLine]

    @property
    def name(self) -> str:
        """What the sale bears."""
        return f"{PREFIX}{self.order.key}@{self.place}"

    def values(self, products: dict[str, Record], layout: Layout) -> Record:
        """The sale, but for what all have alike."""
        rows = [
            {
                "type": "line",
                "product": products[line.sku]["id"],
                "quantity": line.quantity,
                "unit": products[line.sku]["default_uom"],
                "unit_price": _PRICE,
            }
            for line in self.lines
        ]
        values: Record = {
            "reference": self.order.order_ref or self.order.reservation,
            "description": self.name,
            "warehouse": layout.warehouses[self.place],
            "invoice_method": "manual",
            "shipment_method": "order",
            "lines": [["create", rows]],
        }
        return values | ({"comment": f"trace {id_of(self.order.trace)}"} if self.order.trace else {})


class Sales:
    """`customer`: the code of the party in whose name the shop sells."""

    def __init__(self, rest: Rest, customer: str) -> None:
        self._rest = rest
        self._customer = customer
        self._head: Record | None = None
        self._making = asyncio.Lock()

    async def push(self, orders: Sequence[Order], layout: Layout) -> list[str | RefusedError]:
        """The numbers of the sales of each, or why there are none: what is refused of one leaves the others alone."""
        outcome: dict[str, str | RefusedError] = {}
        parts: list[Part] = []
        products = await self._products({line.sku for order in orders for line in order.lines})
        for order in orders:
            try:
                parts += self._parts(order, layout, products)
            except RefusedError as refused:
                outcome[order.key] = refused
        found = await self._of(parts)
        await self._make([one for one in parts if not found[one.name]], products, layout, outcome)
        found |= await self._of([one for one in parts if not found[one.name]])
        for order in orders:
            if order.key not in outcome:
                own = [found[one.name] for one in parts if one.order is order]
                outcome[order.key] = await self._numbers(own)
        return [outcome[order.key] for order in orders]

    @staticmethod
    def _parts(order: Order, layout: Layout, products: dict[str, Record]) -> list[Part]:
        """Raises RefusedError."""
        missing = sorted({line.sku for line in order.lines if line.sku not in products})
        parts = parts_of(order, list(layout.warehouses))
        if missing:
            raise RefusedError(f"Tryton has no product with the code {', '.join(missing)}")
        return [Part(order, place, lines) for place, lines in parts.items()]

    async def _numbers(self, sales: list[list[Record]]) -> str | RefusedError:
        try:
            return ", ".join([await self._brought_through(found) for found in sales])
        except RefusedError as refused:
            return refused

    async def find(self, order: Order, layout: Layout) -> str | None:
        """The same, where all of them are there and were confirmed, or cancelled since."""
        numbers = []
        parts = [Part(order, place, lines) for place, lines in parts_of(order, list(layout.warehouses)).items()]
        for sales in (await self._of(parts)).values():
            found = [one for one in sales if one["state"] in {*_LIVE, "cancelled"}]
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

    async def _brought_through(self, found: list[Record]) -> str:
        """The number of the sale, of all those that bear one name; the other drafts are cancelled."""
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
            before = sale["state"]
            try:
                sale = await self._rest.act("sale.sale", sale["id"], step, _SALE)
            except RefusedError:
                await asyncio.sleep(_QUEUED_WAIT_S)
                sale = await self._again(sale)
                if sale["state"] == before:
                    raise
                continue
            if sale["state"] in {before, "confirmed"}:  # what its queue does comes behind the answer
                sale = await self._again(sale)
        raise RefusedError(f"sale {sale['id']} stays {sale['state']}")

    async def _again(self, sale: Record) -> Record:
        return (await self._rest.search("sale.sale", [["id", "=", sale["id"]]], _SALE, size=1))[0]

    async def _of(self, parts: Sequence[Part]) -> dict[str, list[Record]]:
        """The sales of each by its name: oldest first, those that somebody cancelled last."""
        found: dict[str, list[Record]] = {one.name: [] for one in parts}
        if found:
            for sale in await self._rest.search("sale.sale", [["description", "in", list(found)]], _SALE):
                found[sale["description"]].append(sale)
        return {
            name: sorted(sales, key=lambda one: (one["state"] == "cancelled", one["id"]))
            for name, sales in found.items()
        }

    async def _make(
        self,
        parts: Sequence[Part],
        products: dict[str, Record],
        layout: Layout,
        outcome: dict[str, str | RefusedError],
    ) -> None:
        """Drafts of all; one by one where Tryton does not take them together, to find which it refuses."""
        if not parts:
            return
        head = await self._known_head()
        values = [head | one.values(products, layout) for one in parts]
        async with self._making:
            try:
                await self._rest.create_all("sale.sale", values)
            except RefusedError as refused:
                if len(parts) == 1:
                    outcome[parts[0].order.key] = refused
                    return
            else:
                return
            for one, value in zip(parts, values, strict=True):
                try:
                    await self._rest.create_all("sale.sale", [value])
                except RefusedError as refused:
                    outcome[one.order.key] = refused

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

    async def _products(self, skus: Collection[str]) -> dict[str, Record]:
        """By SKU, those that there are."""
        found = await self._rest.search("product.product", [["code", "in", sorted(skus)]], ("code", "default_uom"))
        return {one["code"]: one for one in found}

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
