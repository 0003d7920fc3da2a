"""Orders as a Tryton has them, for a comparison with holdfast.

In: keys of orders. Out: a Document for each sale. Always: a sale is for what its moves to customers are for, as far as
they are not cancelled; before it has moves, for its lines.
"""

from collections.abc import Sequence
from typing import Literal

from holdfast.erp.amounts import begun
from holdfast.erp.interface import Document
from holdfast.erp.parts import escaped
from holdfast.erp.tryton.layout import Layout
from holdfast.erp.tryton.orders import PREFIX, key_of
from holdfast.erp.tryton.rest import Record, Rest

_TOGETHER = 50
_UNDONE = ["draft", "quotation", "confirmed", "processing"]
_SALE = ("state", "number", "description", "reference", "lines.product", "lines.quantity", "lines.id")
_MOVE = ("state", "product", "internal_quantity", "to_location", "origin")


async def documents(rest: Rest, keys: Sequence[str], layout: Layout) -> list[Document]:
    """Sales that are not done, and those of these keys in any state."""
    sales = {one["id"]: one for one in await rest.search("sale.sale", [["state", "in", _UNDONE]], _SALE)}
    for start in range(0, len(keys), _TOGETHER):
        names = [["description", "like", f"{PREFIX}{escaped(key)}@%"] for key in keys[start : start + _TOGETHER]]
        sales |= {one["id"]: one for one in await rest.search("sale.sale", [["OR", *names]], _SALE)}
    moves: dict[int, list[Record]] = {}
    records = list(sales)
    line_of = {line["id"]: one["id"] for one in sales.values() for line in one["lines"]}
    for start in range(0, len(records), _TOGETHER):
        domain = [["origin.sale", "in", records[start : start + _TOGETHER], "sale.line"]]
        for move in await rest.search("stock.move", domain, _MOVE):
            if layout.kinds.get(move["to_location"]) == "customer":
                moves.setdefault(line_of[int(move["origin"].partition(",")[2])], []).append(move)
    codes = await _codes(rest, sales, moves)
    return [_document(one, moves.get(record, []), codes) for record, one in sales.items()]


async def _codes(rest: Rest, sales: dict[int, Record], moves: dict[int, list[Record]]) -> dict[int, str]:
    wanted = {line["product"] for one in sales.values() for line in one["lines"] if line["product"]}
    wanted |= {move["product"] for some in moves.values() for move in some}
    domain = [["id", "in", sorted(wanted)]]
    found = await rest.search("product.product", domain, ("code",), context={"active_test": False}) if wanted else []
    return {one["id"]: one["code"] or "" for one in found}


def _document(sale: Record, moves: list[Record], codes: dict[int, str]) -> Document:
    description = sale["description"] or ""
    ours = description.startswith(PREFIX)
    alive = [one for one in moves if one["state"] != "cancelled"]
    units: dict[str, int] = {}
    rows = [(one["product"], one["internal_quantity"]) for one in alive]
    if not moves and sale["state"] != "cancelled":
        rows = [(line["product"], line["quantity"]) for line in sale["lines"] if line["product"]]
    for product, quantity in rows:
        units[codes[product]] = units.get(codes[product], 0) + begun(quantity)
    return Document(
        key=key_of(description) if ours else "",
        number=sale["number"] or f"sale {sale['id']}",
        reference=sale["reference"] or "",
        place=description.rpartition("@")[2] if ours else "",
        state=_state(sale["state"], moves, alive),
        units=units,
    )


def _state(state: str, moves: list[Record], alive: list[Record]) -> Literal["draft", "open", "done", "cancelled"]:
    if state == "cancelled" or (moves and not alive):
        return "cancelled"
    if state in {"draft", "quotation", "confirmed"}:
        return "draft"
    return "done" if moves and all(one["state"] == "done" for one in alive) else "open"
