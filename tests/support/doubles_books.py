"""The books of the contract servers for interleaved histories, and the people at work in them.

In: a server, a product. Out: what lies there and is owed, from its records. Always: see Keeps.
"""

import random
from typing import Any

from tests.support.erpnext_records import WAREHOUSES, Record
from tests.support.erpnext_server import ErpNextServer
from tests.support.odoo_records import OPEN
from tests.support.odoo_server import OdooServer

_CODES = {"paris": "WH", "lyon": "WH2"}


class OdooBooks:
    """Of an Odoo."""

    def __init__(self, server: OdooServer, sku: str, choose: random.Random) -> None:
        self._records, self._sku, self._choose = server.records, sku, choose
        self._product = server.records.products[sku]
        self.parts: dict[str, int] = {}
        self._back: dict[str, int] = {}
        self.answers = False

    def _sales(self, key: str) -> list[Record]:
        return [one for one in self._records.of("sale.order") if str(one["origin"]).startswith(f"holdfast:{key}@")]

    def _moves(self, key: str, *states: str) -> list[Record]:
        found = [move for sale in self._sales(key) for move in self._records.moves_of(sale["id"])]
        to = self._records.customers
        return [move for move in found if move["state"] in states and move["location_dest_id"] == to]

    def has(self, key: str) -> bool:
        live = [one for one in self._sales(key) if one["state"] == "sale"]
        return key in self.parts and len(live) == self.parts[key]

    def lies(self, place: str) -> int:
        return int(self._records.lies(self._product, self._records.places[_CODES[place]]))

    def owed(self, key: str | None = None, place: str | None = None) -> int:
        keys = [key] if key is not None else list(self.parts)
        since = {self._records.places[code] for name, code in _CODES.items() if place in {None, name}}
        moves = [move for one in keys for move in self._moves(one, *OPEN) if move["location_id"] in since]
        return int(sum(move["product_qty"] for move in moves))

    def left(self, key: str) -> int:
        return int(sum(move["quantity"] for move in self._moves(key, "done")))

    def returned(self, key: str) -> int:
        return self._back.get(key, 0)

    def orders_in_it(self) -> list[str]:
        return [key for key in self.parts if self.has(key)]

    async def ship(self, key: str) -> None:
        moves = self._moves(key, *OPEN)
        if moves:
            move = self._choose.choice(moves)
            self._records.deliver(move["id"], float(self._choose.randint(1, int(move["product_qty"]))))
            if self._choose.randrange(2):
                self._records.merge_quants()

    async def take_back(self, key: str) -> None:
        moves, left = self._moves(key, "done"), {}
        for move in moves:
            left[move["id"]] = move["quantity"]
        whole = int(sum(left.values())) - self.returned(key)
        if moves and whole > 0:
            units = self._choose.randint(1, whole)
            self._records.take_back(self._choose.choice(moves)["id"], float(units))
            self._back[key] = self.returned(key) + units

    async def end(self, key: str) -> None:
        self._records.cancel_moves(self._moves(key, *OPEN))


class ErpNextBooks:
    """Of an ERPNext. What comes back is owed to its order again, beside what is open of it."""

    def __init__(self, server: ErpNextServer, sku: str, choose: random.Random) -> None:
        self._records, self._sku, self._choose = server.records, sku, choose
        self.parts: dict[str, int] = {}
        self._back: dict[str, int] = {}
        self.answers = False

    def _order(self, key: str) -> Record | None:
        found = [one for one in self._records.of("Sales Order") if str(one["po_no"]).startswith(f"holdfast:{key} ")]
        return next((one for one in found if one["docstatus"]), None)

    def _left(self, row: Record, *, back: bool = False) -> float:
        rows = [one for note in self._records.of("Delivery Note") if note["docstatus"] == 1 for one in note["items"]]
        own = [one["stock_qty"] for one in rows if one["so_detail"] == row["name"]]
        return float(sum(max(0.0, -one if back else one) for one in own))

    def has(self, key: str) -> bool:
        order = self._order(key)
        return order is not None and order["docstatus"] == 1

    def lies(self, place: str) -> int:
        here = [warehouse for warehouse, name in WAREHOUSES.items() if name == place]
        return int(sum(self._records.bin(self._sku, warehouse)["actual_qty"] for warehouse in here))

    def owed(self, key: str | None = None, place: str | None = None) -> int:
        if key is not None:
            order = self._order(key)
            return 0 if order is None else int(sum(self._open(order, row) for row in order["items"]))
        orders = [one for one in self._records.of("Sales Order") if one["docstatus"] == 1 and one["status"] != "Closed"]
        rows = [row for one in orders for row in one["items"] if place in {None, WAREHOUSES[row["warehouse"]]}]
        return int(sum(max(0.0, row["stock_qty"] - row["delivered_qty"]) for row in rows))

    def _open(self, order: Record, row: Record) -> float:
        if order["docstatus"] != 1 or order["status"] == "Closed":
            return 0.0
        return max(0.0, float(row["stock_qty"]) - self._left(row))

    def left(self, key: str) -> int:
        order = self._order(key)
        return 0 if order is None else int(sum(self._left(row) for row in order["items"]))

    def returned(self, key: str) -> int:
        return self._back.get(key, 0)

    def orders_in_it(self) -> list[str]:
        return [key for key in self.parts if self.has(key)]

    def _rows(self, key: str, wanted: Any) -> list[Record]:
        order = self._order(key)
        return [] if order is None else [row for row in order["items"] if wanted(order, row) > 0]

    async def ship(self, key: str) -> None:
        order, rows = self._order(key), self._rows(key, self._open)
        if order is None or not rows:
            return
        row = self._choose.choice(rows)
        match self._choose.randrange(6):
            case 0:
                self._records.set_status(
                    order["name"], "On Hold" if order["status"] != "On Hold" else "To Deliver and Bill"
                )
            case 1:
                note = self._records.note(
                    order["name"], row, float(self._choose.randint(1, int(self._open(order, row))))
                )
                self._records.cancel_note(note)
            case _:
                self._records.note(order["name"], row, float(self._choose.randint(1, int(self._open(order, row)))))
        self._records.rename_ledger()

    async def take_back(self, key: str) -> None:
        order = self._order(key)
        rows = self._rows(key, lambda _, row: self._left(row) - self._left(row, back=True))
        if order is not None and rows:
            row = self._choose.choice(rows)
            units = self._choose.randint(1, int(self._left(row) - self._left(row, back=True)))
            self._records.note(order["name"], row, float(units), is_return=True)
            self._back[key] = self.returned(key) + units

    async def end(self, key: str) -> None:
        order = self._order(key)
        if order is not None:
            self._records.set_status(order["name"], "Closed")
