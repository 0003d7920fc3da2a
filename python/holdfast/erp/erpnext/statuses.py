"""What became of orders in an ERPNext, as facts.

In: Sales Orders that bear our key, Delivery Notes of them. Out: acknowledgements, shipments, updates and returns.
Always: what takes stock away is dated when its reading ended, a return before its reading began; a document says all
that it says so far, and one that was cancelled says nothing any more.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from holdfast.erp.amounts import begun, whole
from holdfast.erp.erpnext.calls import Calls, Changes, Filters, Record
from holdfast.erp.erpnext.orders import PREFIX, Orders, key_of
from holdfast.erp.erpnext.stock import Places
from holdfast.erp.interface import Document, Fact, OrderStatus
from holdfast.erp.moments import Moments

_OURS = ["po_no", "like", f"{PREFIX}%"]
_SUBMITTED, _CANCELLED = 1, 2
_TOGETHER = 50


class Statuses:
    """Of the orders of one connection."""

    def __init__(self, calls: Calls, orders: Orders, moments: Moments, overlap_ms: int) -> None:
        self._calls, self._orders, self._moments = calls, orders, moments
        self._sold = Changes(calls, "Sales Order", overlap_ms)
        self._delivered = Changes(calls, "Delivery Note", overlap_ms)

    async def read(self, since: str | None, places: Places) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        """Orders of which a document changed."""
        sold, following = await self._sold.since(since, [_OURS], ["po_no"])
        names = {one["name"]: None for one in sold}
        submitted = [["docstatus", ">", 0]]
        delivered, upto = await self._delivered.since(since, submitted, [])
        for one in delivered:
            note = await self._calls.document("Delivery Note", one["name"])
            names |= {row["against_sales_order"]: None for row in note["items"] if row["against_sales_order"]}
        chosen = list(names)
        for start in range(0, len(chosen), _TOGETHER):
            yield await self._of(chosen[start : start + _TOGETHER], places), None
        yield [], max(following, upto)

    async def _of(self, names: Sequence[str], places: Places) -> list[OrderStatus]:
        rows = await self._calls.rows("Sales Order", [["name", "in", list(names)], _OURS], ["po_no"])
        found = []
        for key in dict.fromkeys(key_of(one["po_no"]) for one in rows):
            began = self._moments.now()
            own = await self._orders.of(key)
            sales = [await self._calls.document("Sales Order", one["name"]) for one in own]
            notes = await self._notes([one["name"] for one in own])
            found.append(_status(key, sales, notes, places, (began, self._moments.now())))
        return found

    async def _notes(self, names: list[str]) -> list[Record]:
        """Delivery Notes with rows of these orders."""
        filters: Filters = [["Delivery Note Item", "against_sales_order", "in", names], ["docstatus", ">", 0]]
        rows = await self._calls.rows("Delivery Note", filters, [])
        notes = [await self._calls.document("Delivery Note", one["name"]) for one in rows]
        return [
            note | {"items": [row for row in note["items"] if row["against_sales_order"] in names]} for note in notes
        ]

    async def documents(self, keys: Sequence[str], places: Places) -> list[Document]:
        """Sales Orders that are open, those of others too, and those of these keys in any state."""
        ended = ["status", "not in", ["Completed", "Closed", "To Bill"]]
        rows = await self._calls.rows("Sales Order", [["docstatus", "<", _CANCELLED], ended], [])
        names = {one["name"]: None for one in rows}
        for key in keys:
            names |= {one["name"]: None for one in await self._orders.of(key)}
        found: list[Document] = []
        for name in names:
            sale = await self._calls.document("Sales Order", name)
            found += _documents(sale, await self._notes([name]), places)
        return found


def _status(key: str, sales: list[Record], notes: list[Record], places: Places, read: tuple[str, str]) -> OrderStatus:
    """`read`: when the reading began and ended."""
    named, (began, ended) = {"reservation": key}, read
    live = [one for one in sales if one["docstatus"] == _SUBMITTED]
    facts: list[Fact] = []
    if live:
        cells = {(row["item_code"], places.names.get(row["warehouse"])) for one in live for row in one["items"]}
        lines = [{"sku": sku, "location": place} for sku, place in sorted(cells, key=repr) if place is not None]
        facts.append({"kind": "order.ack", **named, "as_of": ended, **({"lines": lines} if lines else {})})
    for note in notes:
        if note["is_return"]:
            facts += _returns(note, places, named, began)
        else:
            rows = note["items"] if note["docstatus"] == _SUBMITTED else []
            lines = [_shipped(row, places) for row in rows]
            facts.append({"kind": "shipment", **named, "ref": note["name"], "lines": lines, "as_of": ended})
    for sale in sales:
        if sale["docstatus"] and (sale["docstatus"] != _CANCELLED or not live):
            update = {"kind": "order.update", **named, "ref": sale["name"], "status": "cancelled", "as_of": ended}
            facts.append(update | {"lines": _dropped(sale, notes)})
    document = ", ".join(one["name"] for one in live or sales)
    return OrderStatus(key, document, bool(live), tuple(facts))


def _shipped(row: Record, places: Places) -> dict[str, Any]:
    place = places.names.get(row["warehouse"])
    line = {"sku": row["item_code"], "quantity": whole(row["stock_qty"]), "line": row["name"]}
    return line | ({"location": place} if place is not None else {})


def _returns(note: Record, places: Places, named: dict[str, str], began: str) -> list[Fact]:
    return [
        {
            "kind": "return",
            **named,
            "ref": note["name"],
            "line": row["name"],
            "sku": row["item_code"],
            "location": places.names[row["warehouse"]],
            "quantity": whole(-row["stock_qty"]) if note["docstatus"] == _SUBMITTED else 0,
            "condition": "sellable",
            "as_of": min(f"{note['posting_date']}T00:00:00Z", began),
        }
        for row in note["items"]
        if row["warehouse"] in places.names
    ]


def _dropped(sale: Record, notes: list[Record]) -> list[dict[str, Any]]:
    """What it was for and never leaves: all that has not left of one that was cancelled or closed."""
    if sale["docstatus"] != _CANCELLED and sale["status"] != "Closed":
        return []
    lines = []
    for row in sale["items"]:
        left = sum(
            whole(one["stock_qty"])
            for note in notes
            if note["docstatus"] == _SUBMITTED and not note["is_return"]
            for one in note["items"]
            if one["so_detail"] == row["name"]
        )
        if begun(row["stock_qty"]) > left:
            lines.append({"sku": row["item_code"], "quantity": begun(row["stock_qty"]) - left})
    return lines


def _documents(sale: Record, notes: list[Record], places: Places) -> list[Document]:
    """One for each warehouse."""
    ours = str(sale["po_no"] or "").startswith(PREFIX)
    dropped = {line["sku"]: line["quantity"] for line in _dropped(sale, notes)}
    parts: dict[str, dict[str, int]] = {}
    for row in sale["items"]:
        units = parts.setdefault(places.names.get(row["warehouse"], ""), {})
        less = min(dropped.get(row["item_code"], 0), begun(row["stock_qty"]))
        dropped[row["item_code"]] = dropped.get(row["item_code"], 0) - less
        units[row["item_code"]] = units.get(row["item_code"], 0) + begun(row["stock_qty"]) - less
    state: Any = "open"
    if sale["docstatus"] == _CANCELLED or (
        sale["status"] == "Closed" and not any(sum(one.values()) for one in parts.values())
    ):
        state = "cancelled"
    elif not sale["docstatus"]:
        state = "draft"
    elif sale["status"] in {"Completed", "Closed", "To Bill"}:
        state = "done"
    number, reference = sale["name"], str(sale["po_no"] or "")
    return [
        Document(
            key=key_of(reference) if ours else "",
            number=number,
            reference=reference.partition(" ")[2] if ours else reference,
            place=place,
            state=state,
            units={sku: count for sku, count in units.items() if count},
        )
        for place, units in parts.items()
    ]
