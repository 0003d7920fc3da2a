"""The documents of an ERPNext, and what people do with them, as its source and documents describe.

In: calls of people. Out: documents. Always: the traps are there: Bins are written past the documents' events, so that
no webhook fires for them; rows of the ledger are renamed later; an order on hold is left out of `reserved_qty`; what
comes back is owed to its order again; `modified` is when a transaction wrote, not when it was seen.
"""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Record = dict[str, Any]
COMPANY, CUSTOMER = "Shop Ltd", "Web shop"
WAREHOUSES = {"Stores - S": "paris", "Lyon - S": "lyon"}
_OWED = ("To Deliver and Bill", "To Deliver")


class ValidationError(Exception):
    """What ERPNext says to a person (417)."""


class Records:
    """One site."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Record]] = {}
        self.fired: list[tuple[str, str]] = []
        self._numbers = itertools.count(1)
        self._last = datetime(2026, 1, 1)  # noqa: DTZ001 - ERPNext's times have no zone
        self._began: datetime | None = None
        self.put("Company", COMPANY)
        self.put("Customer", CUSTOMER)
        self.put("Warehouse", "All Warehouses - S", company=COMPANY, is_group=1, warehouse_type=None, disabled=0)
        self.put("Warehouse", "Transit - S", company=COMPANY, is_group=0, warehouse_type="Transit", disabled=0)
        for name in WAREHOUSES:
            self.put("Warehouse", name, company=COMPANY, is_group=0, warehouse_type=None, disabled=0)
        for sku in ("T-A", "T-B", "T-C"):
            self.put("Item", sku, item_code=sku, stock_uom="Nos", sales_uom="Box", box=12.0)

    # ---- documents

    def now(self) -> str:
        """The site's clock; within a transaction that wrote before, when it did."""
        if self._began is None:
            self._last = max(datetime.now(UTC).replace(tzinfo=None), self._last + timedelta(microseconds=1))
        return (self._began or self._last).isoformat(sep=" ", timespec="microseconds")

    def late(self, work: Callable[[], Any]) -> Callable[[], None]:
        """A transaction that wrote now, and is seen once the answer is called."""
        began = datetime.fromisoformat(self.now())

        def commit() -> None:
            self._began = began
            try:
                work()
            finally:
                self._began = None

        return commit

    def put(self, doctype: str, name: str, **values: Any) -> Record:
        """Saved as a document: webhooks on its doctype fire."""
        self.fired.append((doctype, name))
        return self._write(doctype, name, **values)

    def _write(self, doctype: str, name: str, **values: Any) -> Record:
        rows = self.documents.setdefault(doctype, {})
        document = rows.setdefault(name, {"name": name, "creation": self.now()})
        document |= values | {"modified": self.now()}
        return document

    def number(self, prefix: str) -> str:
        return f"{prefix}-2026-{next(self._numbers):05}"

    def of(self, doctype: str) -> list[Record]:
        return list(self.documents.get(doctype, {}).values())

    # ---- stock

    def bin(self, sku: str, warehouse: str) -> Record:
        name = f"bin-{sku}-{warehouse}"
        if name not in self.documents.setdefault("Bin", {}):
            zero = dict.fromkeys(
                ("reserved_qty_for_production", "reserved_qty_for_sub_contract", "reserved_stock"), 0.0
            )
            self._write("Bin", name, item_code=sku, warehouse=warehouse, actual_qty=0.0, reserved_qty=0.0, **zero)
        return self.documents["Bin"][name]

    def _moved(self, sku: str, warehouse: str, change: float, voucher: tuple[str, str, str]) -> None:
        """A row of the ledger, and the Bin: by `db_update`, which runs no events."""
        actual = self.bin(sku, warehouse)["actual_qty"] + change
        self._write("Bin", f"bin-{sku}-{warehouse}", actual_qty=actual)
        name = f"{next(self._numbers):010x}"
        self.put("Stock Ledger Entry", name, item_code=sku, warehouse=warehouse, actual_qty=change, voucher=voucher)

    def rename_ledger(self) -> None:
        """The job: rows get their final names, and `modified` stays."""
        rows = self.documents.get("Stock Ledger Entry", {})
        renamed = [row for row in rows.values() if not row["name"].startswith("MAT-SLE")]
        for row in renamed:
            del rows[row["name"]]
            row["name"] = self.number("MAT-SLE")
            rows[row["name"]] = row

    def reserve(self) -> None:
        """What is owed of each item, into its Bin; nothing of orders that are on hold or closed."""
        owed: dict[tuple[str, str], float] = {}
        for order in self.of("Sales Order"):
            if order["docstatus"] == 1 and order["status"] not in {"On Hold", "Closed"}:
                for row in order["items"]:
                    at = (row["item_code"], row["warehouse"])
                    owed[at] = owed.get(at, 0.0) + max(0.0, row["stock_qty"] - row["delivered_qty"])
        for one in self.of("Bin"):
            wanted = owed.pop((one["item_code"], one["warehouse"]), 0.0)
            if one["reserved_qty"] != wanted:
                self._write("Bin", one["name"], reserved_qty=wanted)
        for (sku, warehouse), quantity in owed.items():
            self.bin(sku, warehouse)
            self._write("Bin", f"bin-{sku}-{warehouse}", reserved_qty=quantity)

    def count(self, sku: str, quantity: float, warehouse: str = "Stores - S") -> None:
        change = quantity - self.bin(sku, warehouse)["actual_qty"]
        if change:
            name = self.number("MAT-RECO")
            self.put("Stock Reconciliation", name, docstatus=1)
            self._moved(sku, warehouse, change, ("Stock Reconciliation", name, "row"))

    # ---- sales

    def sell(self, values: Record) -> Record:
        """A Sales Order, as a draft. A row without a unit is counted in the item's sales unit."""
        if values.get("customer") not in self.documents["Customer"]:
            raise ValidationError(f"Could not find Customer: {values.get('customer')}")
        name, items = self.number("SAL-ORD"), []
        for given in values["items"]:
            item = self.documents["Item"].get(given["item_code"])
            if item is None:
                raise ValidationError(f"Could not find Item Code: {given['item_code']}")
            factor = given.get("conversion_factor", 1.0 if given.get("uom") == item["stock_uom"] else item["box"])
            if self.documents["Warehouse"][given["warehouse"]]["is_group"]:
                raise ValidationError(f"Group node warehouse is not allowed: {given['warehouse']}")
            row = {"name": f"{next(self._numbers):010x}", "delivered_qty": 0.0, "conversion_factor": factor}
            items.append(given | row | {"qty": float(given["qty"]), "stock_qty": given["qty"] * factor})
        head = {"company": values["company"], "customer": values["customer"], "po_no": values.get("po_no")}
        return self.put("Sales Order", name, docstatus=0, status="Draft", items=items, **head)

    def change(self, name: str, docstatus: int) -> Record:
        order = self.documents["Sales Order"][name]
        if docstatus == 2 and any(
            note["docstatus"] == 1 and any(row["against_sales_order"] == name for row in note["items"])
            for note in self.of("Delivery Note")
        ):
            raise ValidationError("Cannot delete or cancel because Sales Order is linked with Delivery Note")
        if (order["docstatus"], docstatus) not in {(0, 1), (1, 2)}:
            raise ValidationError("Cannot change docstatus")
        self.put("Sales Order", name, docstatus=docstatus, status=_OWED[0] if docstatus == 1 else "Cancelled")
        self.reserve()
        return order

    def set_status(self, name: str, status: str) -> None:
        """On Hold, Closed, or open again."""
        if self.documents["Sales Order"][name]["docstatus"] != 1:
            raise ValidationError("it is no submitted order")
        self.put("Sales Order", name, status=status)
        self.reserve()

    def _delivered(self, order: Record) -> None:
        """How much of each row has left, and has not come back: in the row alone, past its events."""
        for row in order["items"]:
            row["delivered_qty"] = sum(
                one["stock_qty"]
                for note in self.of("Delivery Note")
                if note["docstatus"] == 1
                for one in note["items"]
                if one["so_detail"] == row["name"]
            )
        if order["status"] not in {"Closed", "On Hold"}:
            whole = all(row["delivered_qty"] >= row["stock_qty"] for row in order["items"])
            order["status"] = "To Bill" if whole else _OWED[0]
        self.reserve()

    def note(self, order: str, row: Record, quantity: float, *, is_return: bool = False) -> str:
        """A Delivery Note over so many; a return has less than none."""
        name, change = self.number("MAT-DN"), -quantity if is_return else quantity
        item = {
            "name": f"{next(self._numbers):010x}",
            "item_code": row["item_code"],
            "warehouse": row["warehouse"],
            "stock_qty": change,
            "against_sales_order": order,
            "so_detail": row["name"],
        }
        day = self.now()[:10]
        self.put("Delivery Note", name, docstatus=1, is_return=int(is_return), posting_date=day, items=[item])
        self._moved(row["item_code"], row["warehouse"], -change, ("Delivery Note", name, item["name"]))
        self._delivered(self.documents["Sales Order"][order])
        return name

    def cancel_note(self, name: str) -> None:
        note = self.put("Delivery Note", name, docstatus=2)
        for row in note["items"]:
            self._moved(row["item_code"], row["warehouse"], row["stock_qty"], ("Delivery Note", name, row["name"]))
            self._delivered(self.documents["Sales Order"][row["against_sales_order"]])

    # ---- purchases

    def buy(self, sku: str, boxes: float) -> str:
        """In boxes of twelve."""
        row = {"name": f"{next(self._numbers):010x}", "item_code": sku, "warehouse": "Stores - S", "qty": boxes}
        more = {"received_qty": 0.0, "conversion_factor": 12.0, "schedule_date": "2027-01-31"}
        name = self.number("PUR-ORD")
        self.put("Purchase Order", name, docstatus=1, status="To Receive and Bill", items=[row | more])
        return name

    def receive(self, name: str, boxes: float) -> None:
        order = self.documents["Purchase Order"][name]
        [row] = order["items"]
        row["received_qty"] += boxes
        status = "To Bill" if row["received_qty"] >= row["qty"] else order["status"]
        self.put("Purchase Order", name, status=status)
        self._moved(row["item_code"], row["warehouse"], boxes * 12, ("Purchase Receipt", name, row["name"]))
