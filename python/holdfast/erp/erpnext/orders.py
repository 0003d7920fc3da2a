"""Orders as Sales Orders of an ERPNext.

In: orders of holdfast. Out: one Sales Order for each, with the warehouse of each line. Always: its customer's
purchase order number is `holdfast:KEY NUMBER`; it is looked for before it is made, and made as a draft, which
reserves nothing: of two drafts of one key the older is submitted, the other removed.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from holdfast.erp.erpnext.calls import Calls, Record
from holdfast.erp.erpnext.stock import Places
from holdfast.erp.interface import Order, RefusedError, UnusableError
from holdfast.erp.parts import parts_of

PREFIX = "holdfast:"
_ORDER = ("docstatus", "status", "po_no", "creation")
_NUMBER_MAX = 140
_CANCELLED = 2
_CLOSE = "erpnext.selling.doctype.sales_order.sales_order.update_status"


def key_of(number: str) -> str:
    """The order that a Sales Order is of."""
    return number.removeprefix(PREFIX).partition(" ")[0]


class Orders:
    """`customer`: the name of the customer in whose name the shop sells."""

    def __init__(self, calls: Calls, company: str, customer: str) -> None:
        self._calls, self._company, self._customer = calls, company, customer
        self._making = asyncio.Lock()

    async def push(self, order: Order, places: Places) -> str | RefusedError:
        """Its name."""
        try:
            found = await self.of(order.key)
            if not found:
                async with self._making:
                    await self._make(order, places)
                found = await self.of(order.key)
            sale = next((one for one in found if one["docstatus"]), found[0])
            for other in found:
                if other is not sale and not other["docstatus"]:
                    await self._calls.remove("Sales Order", other["name"])
            if not sale["docstatus"]:
                await self._calls.change("Sales Order", sale["name"], {"docstatus": 1})
            return str(sale["name"])
        except RefusedError as refused:
            return refused

    async def find(self, order: Order) -> str | None:
        """The same, once it was submitted, or cancelled since."""
        return next((str(one["name"]) for one in await self.of(order.key) if one["docstatus"]), None)

    async def of(self, key: str) -> list[Record]:
        """Oldest first; those that somebody cancelled last. A pattern matches more than it says: each is looked at."""
        rows = await self._calls.rows("Sales Order", [["po_no", "like", f"{PREFIX}{key} %"]], _ORDER)
        own = [one for one in rows if key_of(one["po_no"]) == key]
        return sorted(own, key=lambda one: (one["docstatus"] == _CANCELLED, one["creation"]))

    async def cancel(self, order: Order) -> str | RefusedError:
        """As far as nothing has left; of one that left in part the rest is closed."""
        found = await self.of(order.key)
        try:
            for one in found:
                if not one["docstatus"]:
                    await self._calls.remove("Sales Order", one["name"])
                elif one["docstatus"] == 1 and one["status"] not in {"Closed", "Completed"}:
                    await self._end(one["name"])
        except RefusedError as refused:
            return refused
        return ", ".join(str(one["name"]) for one in found) or "nothing"

    async def _end(self, name: str) -> None:
        document = await self._calls.document("Sales Order", name)
        if any(row["delivered_qty"] for row in document["items"]):
            await self._calls.method(_CLOSE, {"status": "Closed", "name": name})
            raise RefusedError("units of it have left already", final=True)
        await self._calls.change("Sales Order", name, {"docstatus": _CANCELLED})

    async def _make(self, order: Order, places: Places) -> None:
        if not self._customer:
            raise UnusableError("customer", "a connection of kind `erpnext` needs it")
        parts = parts_of(order, list(places.warehouses))
        units = await self._units(sorted({line.sku for line in order.lines}))
        # Not before its own date, wherever ERPNext's day has got to.
        day = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
        items = [
            {"item_code": line.sku, "qty": line.quantity, "rate": 0, "warehouse": places.warehouses[place]}
            | {"uom": units[line.sku], "conversion_factor": 1, "delivery_date": day}  # else it counts in its sales unit
            for place, lines in parts.items()
            for line in lines
        ]
        number = f"{PREFIX}{order.key} {order.order_ref or order.reservation}"[:_NUMBER_MAX]
        head = {"company": self._company, "customer": self._customer, "po_no": number, "delivery_date": day}
        await self._calls.make("Sales Order", head | {"ignore_pricing_rule": 1, "items": items})

    async def _units(self, skus: list[str]) -> dict[str, str]:
        rows = await self._calls.rows("Item", [["name", "in", skus]], ["stock_uom"])
        units = {one["name"]: str(one["stock_uom"]) for one in rows}
        missing = [sku for sku in skus if sku not in units]
        if missing:
            raise RefusedError(f"ERPNext has no item {', '.join(missing)}")
        return units
