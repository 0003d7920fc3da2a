"""What became of orders in an Odoo, as facts.

In: sales and moves that bear our key. Out: acknowledgements, shipments, updates and returns. Always: what takes stock
away is dated when its reading ended, a return before its reading began; a document says all that it says so far.
"""

from collections.abc import AsyncIterator
from typing import Any

from holdfast.erp.amounts import begun, whole
from holdfast.erp.interface import Document, Fact, OrderStatus
from holdfast.erp.moments import Moments
from holdfast.erp.odoo.calls import Calls, Record
from holdfast.erp.odoo.layout import Layout
from holdfast.erp.odoo.orders import PREFIX
from holdfast.erp.odoo.stock import Changes
from holdfast.erp.parts import escaped

_TOGETHER = 50
_SALE = ("state", "name", "origin", "client_order_ref", "write_date")
_LINE = ("order_id", "product_id", "product_uom_qty")
_MOVE = (
    *("state", "product_id", "product_qty", "product_uom_qty", "location_id", "location_dest_id", "picking_id"),
    *("sale_line_id", "date", "write_date"),
)
_OURS = ["origin", "=like", f"{PREFIX}%"]


def key_of(origin: str) -> str:
    """The order that a sale is of."""
    return origin.removeprefix(PREFIX).rpartition("@")[0]


class Statuses:
    """Of the orders of one connection."""

    def __init__(self, calls: Calls, moments: Moments, overlap_ms: int) -> None:
        self._calls, self._moments = calls, moments
        self._moved = Changes(calls, "stock.move", overlap_ms)
        self._sold = Changes(calls, "sale.order", overlap_ms)

    async def read(self, since: str | None, layout: Layout) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        """Orders of which a sale or a move changed."""
        ours = [["sale_line_id.order_id.origin", "=like", f"{PREFIX}%"]]
        moved, following = await self._moved.since(since, ours, ("sale_line_id", "state", "product_qty", "write_date"))
        sold, upto = await self._sold.since(since, [_OURS], ("origin", "state", "write_date"))
        keys = dict.fromkeys(key_of(one["origin"]) for one in sold)
        lines = sorted({one["sale_line_id"] for one in moved})
        for start in range(0, len(lines), _TOGETHER):
            domain = [["order_line", "in", lines[start : start + _TOGETHER]]]
            for one in await self._calls.search("sale.order", domain, ("origin",)):
                keys |= {key_of(one["origin"]): None}
        names = list(keys)
        for start in range(0, len(names), _TOGETHER):
            yield await self._of(names[start : start + _TOGETHER], layout), None
        yield [], max(following, upto)

    async def _of(self, keys: list[str], layout: Layout) -> list[OrderStatus]:
        began = self._moments.now()
        sales, lines, moves, skus = await self._read(_origins(keys))
        ended = self._moments.now()
        found = []
        for key in keys:
            own = [one for one in sales if key_of(one["origin"]) == key]
            if own:
                found.append(_Order(key, own, lines, moves, skus, layout).status(began, ended))
        return found

    async def _read(self, domain: list[Any]) -> tuple[list[Record], list[Record], list[Record], dict[int, str]]:
        sales = await self._calls.search("sale.order", domain, _SALE)
        records = [one["id"] for one in sales]
        lines = await self._calls.search("sale.order.line", [["order_id", "in", records]], _LINE)
        names = (*_MOVE, await self._done_name())
        moves = await self._calls.search("stock.move", [["sale_line_id", "in", [one["id"] for one in lines]]], names)
        products = sorted({one["product_id"] for one in (*lines, *moves) if one["product_id"]})
        found = await self._calls.search(
            "product.product", [["id", "in", products]], ("default_code",), context={"active_test": False}
        )
        for one in moves:
            one["done"] = one.get("quantity", one.get("quantity_done", 0.0))
        return sales, lines, moves, {one["id"]: one["default_code"] or "" for one in found}

    async def _done_name(self) -> str:
        known = await self._calls.call("stock.move", "fields_get", allfields=["quantity"], attributes=["type"])
        return "quantity" if known else "quantity_done"

    async def documents(self, keys: list[str], layout: Layout) -> list[Document]:
        """Sales that are open, those of others too, and those of these keys in any state."""
        sales, lines, moves, skus = await self._read([["state", "in", ["draft", "sent", "sale", "done"]]])
        for start in range(0, len(keys), _TOGETHER):
            more = await self._read(_origins(keys[start : start + _TOGETHER]))
            known = {one["id"] for one in sales}
            new = [one for one in more[0] if one["id"] not in known]
            ids = {one["id"] for one in new}
            own = [one for one in more[1] if one["order_id"] in ids]
            mine = {one["id"] for one in own}
            sales, lines = sales + new, lines + own
            moves, skus = moves + [one for one in more[2] if one["sale_line_id"] in mine], skus | more[3]
        found = [_Order("", [one], lines, moves, skus, layout).document() for one in sales]
        asked = set(keys)
        return [one for one in found if one.state != "done" or one.key in asked]


def _origins(keys: list[str]) -> list[Any]:
    return [*["|"] * (len(keys) - 1), *([["origin", "=like", f"{PREFIX}{escaped(key)}@%"]][0] for key in keys)]


class _Order:
    """What all of an order's sales say together."""

    def __init__(
        self,
        key: str,
        sales: list[Record],
        lines: list[Record],
        moves: list[Record],
        skus: dict[int, str],
        layout: Layout,
    ) -> None:
        ours = {one["id"] for one in sales}
        self._key, self._sales, self._skus, self._layout = key, sales, skus, layout
        self._lines = [one for one in lines if one["order_id"] in ours and one["product_id"]]
        own = {one["id"] for one in self._lines}
        moved = [one for one in moves if one["sale_line_id"] in own]
        self._out = [one for one in moved if one["location_dest_id"] in layout.customers]
        self._back = [one for one in moved if one["location_id"] in layout.customers]

    def status(self, began: str, ended: str) -> OrderStatus:
        named = {"reservation": self._key}
        live = [one for one in self._sales if one["state"] in {"sale", "done"}]
        has_moves = {one["sale_line_id"] for one in self._out}
        counted = bool(live) and all(
            one["id"] in has_moves for one in self._lines if one["order_id"] in {sale["id"] for sale in live}
        )
        facts: list[Fact] = []
        if counted:
            cells = {(self._skus[one["product_id"]], self._layout.inside.get(one["location_id"])) for one in self._out}
            lines = [{"sku": sku, "location": place} for sku, place in sorted(cells, key=repr) if place is not None]
            facts.append({"kind": "order.ack", **named, "as_of": ended, **({"lines": lines} if lines else {})})
        facts += self._shipments(named, ended)
        facts += self._cancelled(named, ended)
        facts += self._returns(named, began)
        document = ", ".join(str(one["name"]) for one in live or self._sales)
        return OrderStatus(self._key, document, counted, tuple(facts))

    def _shipments(self, named: dict[str, str], as_of: str) -> list[Fact]:
        documents: dict[str, list[dict[str, Any]]] = {}
        for one in self._out:
            if one["state"] == "done":
                place = self._layout.inside.get(one["location_id"])
                line = {"sku": self._skus[one["product_id"]], "quantity": _moved(one), "line": str(one["id"])}
                documents.setdefault(_document_of(one), []).append(
                    line | ({"location": place} if place is not None else {})
                )
        return [
            {"kind": "shipment", **named, "ref": ref, "lines": lines, "as_of": as_of}
            for ref, lines in documents.items()
        ]

    def _cancelled(self, named: dict[str, str], as_of: str) -> list[Fact]:
        """What a sale was for and no move is for any more. A quotation beside a live sale of its place says nothing."""
        facts: list[Fact] = []
        for sale in self._sales:
            alive = any(one["origin"] == sale["origin"] and one["state"] != "cancel" for one in self._sales)
            if sale["state"] not in {"sale", "done"} and (sale["state"] != "cancel" or alive):
                continue
            lines = []
            for line in self._lines:
                own = [one for one in self._out if one["sale_line_id"] == line["id"]]
                if line["order_id"] != sale["id"] or (not own and sale["state"] != "cancel"):
                    continue
                there = sum(_moved(one) for one in own if one["state"] != "cancel")
                if begun(line["product_uom_qty"]) > there:
                    sku = self._skus[line["product_id"]]
                    lines.append({"sku": sku, "quantity": begun(line["product_uom_qty"]) - there})
            update = {"kind": "order.update", **named, "ref": f"sale.order,{sale['id']}", "status": "cancelled"}
            facts.append(update | {"lines": lines, "as_of": as_of})
        return facts

    def _returns(self, named: dict[str, str], began: str) -> list[Fact]:
        facts = []
        for one in self._back:
            place = self._layout.home.get(one["location_dest_id"])
            if place is not None and one["state"] == "done":
                facts.append(
                    {
                        "kind": "return",
                        **named,
                        "ref": _document_of(one),
                        "line": str(one["id"]),
                        "sku": self._skus[one["product_id"]],
                        "location": place,
                        "quantity": _moved(one),
                        "condition": "sellable",
                        "as_of": min(f"{str(one['date'])[:10]}T00:00:00Z", began),
                    }
                )
        return facts

    def document(self) -> Document:
        [sale] = self._sales
        ours = str(sale["origin"] or "").startswith(PREFIX)
        alive = [one for one in self._out if one["state"] != "cancel"]
        units: dict[str, int] = {}
        rows = [(one["product_id"], _moved(one)) for one in alive]
        if not self._out and sale["state"] != "cancel":
            rows = [(one["product_id"], begun(one["product_uom_qty"])) for one in self._lines]
        for product, quantity in rows:
            units[self._skus[product]] = units.get(self._skus[product], 0) + quantity
        state: Any = "open"
        if sale["state"] == "cancel" or (self._out and not alive):
            state = "cancelled"
        elif sale["state"] in {"draft", "sent"}:
            state = "draft"
        elif alive and all(one["state"] == "done" for one in alive):
            state = "done"
        return Document(
            key=key_of(sale["origin"]) if ours else "",
            number=str(sale["name"]),
            reference=str(sale["client_order_ref"] or ""),
            place=sale["origin"].rpartition("@")[2] if ours else "",
            state=state,
            units=units,
        )


def _moved(move: Record) -> int:
    """In the product's unit: what was done, or is to be done."""
    if move["state"] != "done":
        return begun(move["product_qty"])
    factor = move["product_qty"] / move["product_uom_qty"] if move["product_uom_qty"] else 1.0
    return whole(move["done"] * factor)


def _document_of(move: Record) -> str:
    return f"stock.picking,{move['picking_id']}" if move["picking_id"] else f"stock.move,{move['id']}"
