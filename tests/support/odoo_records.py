"""The records of an Odoo, and what people do with them, as its documents describe.

In: calls of people, domains. Out: records. Always: the traps are there: quants are merged and those at zero vanish, a
product may have several; `write_date` is when a transaction *began*, and is given in whole seconds; a delivery of a
part leaves a back order.
"""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Record = dict[str, Any]
RELATIONS = {
    "stock.warehouse": {
        "lot_stock_id": "stock.location",
        "view_location_id": "stock.location",
        "company_id": "res.company",
    },
    "stock.quant": {"product_id": "product.product", "location_id": "stock.location"},
    "stock.move": {
        "product_id": "product.product",
        "location_id": "stock.location",
        "location_dest_id": "stock.location",
        "picking_id": "stock.picking",
        "sale_line_id": "sale.order.line",
        "purchase_line_id": "purchase.order.line",
    },
    "sale.order": {"partner_id": "res.partner", "warehouse_id": "stock.warehouse", "company_id": "res.company"},
    "sale.order.line": {"order_id": "sale.order", "product_id": "product.product"},
}
OPEN = ("waiting", "confirmed", "partially_available", "assigned")


class UserError(Exception):
    """What Odoo says to a person."""


class Records:
    """One database. `storable`: it has `is_storable` (18 and later)."""

    def __init__(self, *, storable: bool = True) -> None:
        self.tables: dict[str, dict[int, Record]] = {}
        self._ids = itertools.count(1)
        self._last = datetime(2026, 1, 1, tzinfo=UTC)
        self._began: datetime | None = None
        self.storable = storable
        company = self.add("res.company", name="Shop")
        self.customers = self.add("stock.location", name="Customers", usage="customer", parent=None)
        self.suppliers = self.add("stock.location", name="Vendors", usage="supplier", parent=None)
        self.lost = self.add("stock.location", name="Inventory adjustment", usage="inventory", parent=None)
        self.places: dict[str, int] = {}
        for code in ("WH", "WH2"):
            view = self.add("stock.location", name=code, usage="view", parent=None)
            stock = self.add("stock.location", name=f"{code}/Stock", usage="internal", parent=view)
            self.add("stock.location", name=f"{code}/Input", usage="internal", parent=view)
            self.places[code] = self.add("stock.location", name=f"{code}/Shelf", usage="internal", parent=stock)
            self.add(
                "stock.warehouse",
                code=code,
                lot_stock_id=stock,
                view_location_id=view,
                delivery_steps="ship_only",
                company_id=company,
            )
        self.add("res.partner", ref="WEB", name="Web shop")
        self.products = {sku: self._product(sku) for sku in ("T-A", "T-B", "T-C")}

    def _product(self, sku: str) -> int:
        kind: Record = {"is_storable": True, "type": "consu"} if self.storable else {"type": "product"}
        return self.add("product.product", default_code=sku, name=sku, active=True, **kind)

    # ---- records

    def now(self) -> datetime:
        """Odoo's clock; within a transaction that began before, when it did."""
        if self._began is not None:
            return self._began
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last

    def late(self, work: Callable[[], Any]) -> Callable[[], None]:
        """A transaction that begins now: seen once the answer is called, under the time of its begin."""
        began = self.now()

        def commit() -> None:
            self._began = began
            try:
                work()
            finally:
                self._began = None

        return commit

    def add(self, model: str, **values: Any) -> int:
        record = next(self._ids)
        self.tables.setdefault(model, {})[record] = {"id": record, **values, "write_date": self.now()}
        return record

    def put(self, model: str, record: int, **values: Any) -> None:
        self.tables[model][record] |= values | {"write_date": self.now()}

    def of(self, model: str, **wanted: Any) -> list[Record]:
        rows = list(self.tables.get(model, {}).values())
        return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]

    # ---- domains

    def matching(self, model: str, domain: list[Any]) -> list[Record]:
        return [row for row in self.tables.get(model, {}).values() if self._holds(model, row, domain)]

    def _holds(self, model: str, row: Record, domain: list[Any]) -> bool:
        stack: list[bool] = []
        for term in reversed(domain):
            if term == "|":
                stack.append(stack.pop() | stack.pop())
            elif term == "&":
                stack.append(stack.pop() & stack.pop())
            else:
                stack.append(self._term(model, row, *term))
        return all(stack)

    def _term(self, model: str, row: Record, path: str, operator: str, value: Any) -> bool:
        name, _, rest = path.partition(".")
        if rest:
            other = RELATIONS[model][name]
            found = self.tables.get(other, {}).get(row.get(name) or 0)
            return found is not None and self._term(other, found, rest, operator, value)
        if (model, name) == ("sale.order", "order_line"):
            return any(
                line["order_id"] == row["id"] for line in self.matching("sale.order.line", [["id", operator, value]])
            )
        if operator == "child_of":
            return value in self._above(row["id"])
        return _compared(row.get(name, False), operator, value)

    def _above(self, place: int | None) -> list[int]:
        found = []
        while place is not None:
            found.append(place)
            place = self.tables["stock.location"][place]["parent"]
        return found

    # ---- stock

    def lies(self, product: int, place: int | None = None) -> float:
        places = set(self.places.values()) if place is None else {place}
        quants = self.of("stock.quant", product_id=product)
        return float(sum(one["quantity"] for one in quants if one["location_id"] in places))

    def _moved(self, product: int, since: int, to: int, quantity: float, **more: Any) -> int:
        """A move that is done, and its quants: one more for each change, until they are merged."""
        for place, change in ((since, -quantity), (to, quantity)):
            if self.tables["stock.location"][place]["usage"] == "internal":
                self.add("stock.quant", product_id=product, location_id=place, quantity=change)
        return self._move(product, since, to, quantity, "done", **more)

    def _move(self, product: int, since: int, to: int, quantity: float, state: str, **more: Any) -> int:
        values = {"sale_line_id": False, "picking_id": False, "purchase_line_id": False} | more
        return self.add(
            "stock.move",
            product_id=product,
            location_id=since,
            location_dest_id=to,
            product_qty=quantity,
            product_uom_qty=quantity,
            quantity=quantity if state == "done" else 0.0,
            state=state,
            date=self.now(),
            **values,
        )

    def merge_quants(self) -> None:
        """As Odoo does now and then: one for each product and place, none at zero."""
        sums: dict[tuple[int, int], float] = {}
        for quant in self.of("stock.quant"):
            at = (quant["product_id"], quant["location_id"])
            sums[at] = sums.get(at, 0.0) + quant["quantity"]
        self.tables["stock.quant"] = {}
        for (product, place), quantity in sums.items():
            if quantity:
                self.add("stock.quant", product_id=product, location_id=place, quantity=quantity)

    def count(self, sku: str, quantity: float, code: str = "WH") -> None:
        product, place = self.products[sku], self.places[code]
        change = quantity - self.lies(product, place)
        if change > 0:
            self._moved(product, self.lost, place, change)
        elif change < 0:
            self._moved(product, place, self.lost, -change)
        self.merge_quants()

    def buy(self, sku: str, quantity: float) -> int:
        line = self.add("purchase.order.line", product_id=self.products[sku])
        place = self.places["WH"]
        return self._move(self.products[sku], self.suppliers, place, quantity, "assigned", purchase_line_id=line)

    def receive(self, move: int) -> None:
        row = self.tables["stock.move"][move]
        self.add(
            "stock.quant",
            product_id=row["product_id"],
            location_id=row["location_dest_id"],
            quantity=row["product_qty"],
        )
        self.put("stock.move", move, state="done", quantity=row["product_qty"])

    # ---- sales

    def sell(self, values: Record) -> int:
        rows = values.pop("order_line")
        order = self.add("sale.order", **{"state": "draft", "locked": False} | values)
        self.put("sale.order", order, name=f"S{order:05}")
        for _, _, row in rows:
            self.add("sale.order.line", order_id=order, **row)
        return order

    def confirm(self, order: int) -> None:
        sale = self.tables["sale.order"][order]
        if sale["state"] not in {"draft", "sent"}:
            raise UserError("Some orders are not in a state requiring confirmation.")
        warehouse = self.tables["stock.warehouse"][sale["warehouse_id"]]
        picking = self.add("stock.picking", sale=order)
        for line in self.of("sale.order.line", order_id=order):
            self._move(
                line["product_id"],
                self.places[warehouse["code"]],
                self.customers,
                line["product_uom_qty"],
                "confirmed",
                sale_line_id=line["id"],
                picking_id=picking,
            )
        self.put("sale.order", order, state="sale")

    def moves_of(self, order: int) -> list[Record]:
        lines = {line["id"] for line in self.of("sale.order.line", order_id=order)}
        return [move for move in self.of("stock.move") if move["sale_line_id"] in lines]

    def cancel_moves(self, moves: list[Record]) -> None:
        for move in moves:
            if move["state"] in OPEN:
                self.put("stock.move", move["id"], state="cancel")

    def cancel(self, order: int) -> None:
        if self.tables["sale.order"][order]["locked"]:
            raise UserError("You cannot cancel a locked order. Please unlock it first.")
        self.cancel_moves(self.moves_of(order))
        self.put("sale.order", order, state="cancel")

    def deliver(self, move: int, quantity: float) -> None:
        """The rest is a back order: a new move in a new picking."""
        row = self.tables["stock.move"][move]
        rest = row["product_qty"] - quantity
        self.add("stock.quant", product_id=row["product_id"], location_id=row["location_id"], quantity=-quantity)
        self.put("stock.move", move, state="done", product_qty=quantity, product_uom_qty=quantity, quantity=quantity)
        if rest:
            more = {"sale_line_id": row["sale_line_id"], "picking_id": self.add("stock.picking")}
            self._move(row["product_id"], row["location_id"], row["location_dest_id"], rest, "confirmed", **more)

    def take_back(self, move: int, quantity: float) -> None:
        row = self.tables["stock.move"][move]
        more = {"sale_line_id": row["sale_line_id"], "picking_id": self.add("stock.picking")}
        self._moved(row["product_id"], self.customers, row["location_id"], quantity, **more)


def _compared(found: Any, operator: str, value: Any) -> bool:
    if isinstance(found, datetime):
        value = datetime.fromisoformat(value).replace(tzinfo=UTC)
    match operator:
        case "=":
            return bool(found == value)
        case "!=":
            return bool(found != value)
        case "in":
            return found in value
        case ">":
            return bool(found > value)
        case ">=":
            return bool(found >= value)
        case "=like":
            return isinstance(found, str) and like(found, value)
        case _:
            raise ValueError(f"the double knows no operator {operator!r}")


def like(text: str, pattern: str) -> bool:
    """LIKE of SQL, with a backslash before what is meant as it is written."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(text[at:], pattern[1:]) for at in range(len(text) + 1))
    if not text:
        return False
    if pattern[0] == "\\" and len(pattern) > 1:
        return text[0] == pattern[1] and like(text[1:], pattern[2:])
    return pattern[0] in {"_", text[0]} and like(text[1:], pattern[1:])
