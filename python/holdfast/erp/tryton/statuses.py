"""What became of orders in a Tryton, as facts.

In: sales, moves and shipments that bear our key. Out: acknowledgements, shipments, updates and returns. Always: what
takes stock away is dated when its reading ended, a return before its reading began; a document says all that it says so
far, so that an earlier reading of it is replaced and never added to.
"""

from collections.abc import AsyncIterator
from typing import Any

from holdfast.erp.amounts import begun, whole
from holdfast.erp.interface import Fact, OrderStatus
from holdfast.erp.moments import Moments
from holdfast.erp.parts import escaped
from holdfast.erp.tryton.layout import Layout
from holdfast.erp.tryton.orders import PREFIX, key_of
from holdfast.erp.tryton.rest import Record, Rest, changed_since, moment
from holdfast.erp.tryton.stock import Changes, stamp_of

_TOGETHER = 50
_SALE = ("state", "number", "description", "write_date", "create_date", "lines.product", "lines.quantity", "lines.id")
_MOVE = (
    *("state", "product", "internal_quantity", "from_location", "to_location", "shipment", "origin"),
    *("write_date", "create_date", "effective_date"),
)
_OURS = f"{PREFIX}%"


class Statuses:
    """Of the orders of one connection."""

    def __init__(self, rest: Rest, moments: Moments, overlap_ms: int) -> None:
        self._rest = rest
        self._moments = moments
        self._moved = Changes(rest, overlap_ms)
        self._returned = Changes(rest, overlap_ms)

    async def read(self, since: str | None, layout: Layout) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        """Orders of which a sale or a move changed."""
        keys, following = await self._changed(since)
        for start in range(0, len(keys), _TOGETHER):
            yield await self._of(keys[start : start + _TOGETHER], layout), None
        yield [], following

    async def _changed(self, since: str | None) -> tuple[list[str], str]:
        """The keys, and the next position."""
        moved, following = await self._moved.since(
            since, [["origin.sale.description", "like", _OURS, "sale.line"]], ("origin", "write_date", "create_date")
        )
        back, _ = await self._returned.since(
            since,
            [["origin.sale.origin.description", "like", _OURS, "sale.line", "sale.sale"]],
            ("origin", "write_date", "create_date"),
        )
        lines = sorted({int(one["origin"].partition(",")[2]) for one in (*moved, *back)})
        keys: dict[str, None] = {}
        for start in range(0, len(lines), _TOGETHER):
            domain = [["id", "in", lines[start : start + _TOGETHER]]]
            for one in await self._rest.search("sale.line", domain, ("sale.description", "sale.origin")):
                keys |= dict.fromkeys(await self._keys_of(one["sale"]))
        sales = await self._rest.search(
            "sale.sale", [["description", "like", _OURS], *changed_since(since)], ("description", "write_date")
        )
        keys |= dict.fromkeys(key_of(one["description"]) for one in sales)
        return list(keys), following

    async def _keys_of(self, sale: Record) -> list[str]:
        """Of a sale, or of the sale that it takes back."""
        description, origin = sale["description"] or "", sale["origin"] or ""
        if description.startswith(PREFIX):
            return [key_of(description)]
        if origin.startswith("sale.sale,"):
            domain = [["id", "=", int(origin.partition(",")[2])]]
            found = await self._rest.search("sale.sale", domain, ("description",), size=1)
            return [key_of(one["description"]) for one in found if (one["description"] or "").startswith(PREFIX)]
        return []

    async def _of(self, keys: list[str], layout: Layout) -> list[OrderStatus]:
        began = self._moments.now()
        names = ["OR", *([["description", "like", f"{PREFIX}{escaped(key)}@%"]] for key in keys)]
        sales = await self._rest.search("sale.sale", [names], _SALE)
        records = [one["id"] for one in sales]
        moves = await self._rest.search("stock.move", [["origin.sale", "in", records, "sale.line"]], _MOVE)
        returned = [["origin.sale.origin.id", "in", records, "sale.line", "sale.sale"], ["state", "=", "done"]]
        back = await self._rest.search("stock.move", returned, _MOVE)
        skus = await self._skus(sorted({one["product"] for one in (*moves, *back)}), sales)
        ended = self._moments.now()
        taken_back = await self._taken_back(back)
        line_of = {line["id"]: one for one in sales for line in one["lines"]}
        found = []
        for key in keys:
            own = [one for one in sales if key_of(one["description"]) == key]
            moved = [one for one in moves if line_of[int(one["origin"].partition(",")[2])] in own]
            ours = {f"sale.sale,{one['id']}" for one in own}
            came = [one for one in back if taken_back[one["origin"]] in ours]
            found.append(_status(key, own, moved, came, skus, layout, (began, ended)))
        return found

    async def _taken_back(self, back: list[Record]) -> dict[str, str]:
        """Of the lines of returns: the sale that they take back."""
        lines = sorted({int(one["origin"].partition(",")[2]) for one in back})
        found = await self._rest.search("sale.line", [["id", "in", lines]], ("sale.origin",)) if lines else []
        return {f"sale.line,{one['id']}": one["sale"]["origin"] for one in found}

    async def _skus(self, products: list[int], sales: list[Record]) -> dict[int, str]:
        wanted = sorted({*products, *(line["product"] for one in sales for line in one["lines"] if line["product"])})
        domain = [["id", "in", wanted]]
        found = await self._rest.search("product.product", domain, ("code",), context={"active_test": False})
        return {one["id"]: one["code"] or "" for one in found}


def _status(
    key: str,
    sales: list[Record],
    moves: list[Record],
    back: list[Record],
    skus: dict[int, str],
    layout: Layout,
    read: tuple[str, str],
) -> OrderStatus:
    """What all of an order's sales say together. `read`: when the reading began and ended."""
    ended = read[1]
    live = [one for one in sales if one["state"] != "cancelled"]
    out = [one for one in moves if layout.kinds.get(one["to_location"]) == "customer" and one["state"] != "cancelled"]
    named = {"reservation": key}
    counted = bool(out) and all(one["state"] in {"processing", "done"} for one in live) and bool(live)
    facts: list[Fact] = []
    if counted:
        cells = dict.fromkeys((skus[one["product"]], layout.inside.get(one["from_location"])) for one in out)
        lines = [{"sku": sku, "location": place} for sku, place in cells if place is not None]
        facts.append({"kind": "order.ack", **named, "as_of": ended, **({"lines": lines} if lines else {})})
    facts += _shipments(out, skus, layout, named, ended)
    facts += _cancelled(sales, moves, skus, named, ended)
    facts += _returns(back, skus, layout, named, read[0])
    document = ", ".join(one["number"] or f"sale {one['id']}" for one in live or sales)
    return OrderStatus(key, document, counted, tuple(facts))


def _shipments(
    out: list[Record], skus: dict[int, str], layout: Layout, named: dict[str, str], as_of: str
) -> list[Fact]:
    documents: dict[str, list[dict[str, Any]]] = {}
    for one in out:
        if one["state"] == "done":
            place = layout.inside.get(one["from_location"])
            line = {"sku": skus[one["product"]], "quantity": whole(one["internal_quantity"]), "line": str(one["id"])}
            documents.setdefault(one["shipment"] or f"stock.move,{one['id']}", []).append(
                line | ({"location": place} if place is not None else {})
            )
    return [
        {"kind": "shipment", **named, "ref": ref, "lines": lines, "as_of": as_of} for ref, lines in documents.items()
    ]


def _cancelled(
    sales: list[Record], moves: list[Record], skus: dict[int, str], named: dict[str, str], as_of: str
) -> list[Fact]:
    """What a sale was for and no move is for any more."""
    facts: list[Fact] = []
    for sale in sales:
        alive = any(one["description"] == sale["description"] and one["state"] != "cancelled" for one in sales)
        if sale["state"] not in {"processing", "done"} and (sale["state"] != "cancelled" or alive):
            continue
        lines = []
        for line in sale["lines"]:
            own = [one for one in moves if one["origin"] == f"sale.line,{line['id']}"]
            if line["product"] is None or (not own and sale["state"] != "cancelled"):
                continue
            there = sum(whole(one["internal_quantity"]) for one in own if one["state"] != "cancelled")
            if begun(line["quantity"]) > there:
                lines.append({"sku": skus[line["product"]], "quantity": begun(line["quantity"]) - there})
        facts.append(
            {
                "kind": "order.update",
                **named,
                "ref": f"sale.sale,{sale['id']}",
                "status": "cancelled",
                "lines": lines,
                "as_of": as_of,
            }
        )
    return facts


def _returns(back: list[Record], skus: dict[int, str], layout: Layout, named: dict[str, str], began: str) -> list[Fact]:
    """What came back; stock has it with the next level, so that it is dated before anything that could have it."""
    facts = []
    for one in back:
        place = layout.home.get(one["to_location"])
        if place is not None:
            facts.append(
                {
                    "kind": "return",
                    **named,
                    "ref": one["shipment"] or f"stock.move,{one['id']}",
                    "line": str(one["id"]),
                    "sku": skus[one["product"]],
                    "location": place,
                    "quantity": whole(one["internal_quantity"]),
                    "condition": "sellable",
                    "as_of": min(f"{moment(one['effective_date']) or stamp_of(one)[:10]}T00:00:00Z", began),
                }
            )
    return facts
