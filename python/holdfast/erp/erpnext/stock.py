"""What an ERPNext has on hand, owes, and expects.

In: its Bins, held Sales Orders, Purchase Orders. Out: facts of levels and supply. Always: Bins are asked by
`modified`, for no webhook fires for them; a Bin forgets what is owed to an order that is on hold, and that is added
again.
"""

from collections.abc import AsyncIterator, Sequence

from holdfast.erp.amounts import begun, whole
from holdfast.erp.erpnext.calls import Calls, Changes, Filters, Record
from holdfast.erp.interface import Counted, ErpDownError, Fact, Inventory, Pulled, UnusableError, level_of
from holdfast.erp.moments import Moments

_BIN = (
    *("item_code", "warehouse", "actual_qty", "reserved_qty"),
    *("reserved_qty_for_production", "reserved_qty_for_sub_contract"),
)
_TOGETHER = 500
_READINGS_MAX = 8
_CLOSED = ("Closed", "Completed", "Delivered")


class Places:
    """`names`: location by warehouse; `warehouses` the other way."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.warehouses = {name: warehouse for warehouse, name in names.items()}


async def read_places(calls: Calls, company: str, names: dict[str, str]) -> Places:
    """Warehouses that have stock. Raises UnusableError, ErpDownError."""
    rows = await calls.rows("Warehouse", [["company", "=", company]], ["is_group", "warehouse_type", "disabled"])
    known = {one["name"]: one for one in rows}
    for name in names:
        if name not in known:
            raise UnusableError("warehouses", f"ERPNext has no warehouse {name}")
        if known[name]["is_group"]:
            raise UnusableError("warehouses", f"{name} is a group; name the warehouses below it")
    found = names or {
        name: name
        for name, one in known.items()
        if not one["is_group"] and not one["disabled"] and one["warehouse_type"] != "Transit"
    }
    if not found:
        raise UnusableError("warehouses", f"{company} has no warehouse")
    return Places(found)


class Stock:
    """Levels and supply of one connection."""

    def __init__(self, calls: Calls, moments: Moments, overlap_ms: int) -> None:
        self._calls, self._moments = calls, moments
        self._bins = Changes(calls, "Bin", overlap_ms)
        self._purchases = Changes(calls, "Purchase Order", overlap_ms)
        self._read_all = self._supply_read = False
        self._changed_before: set[str] = set()

    async def levels(self, since: str | None, places: Places) -> AsyncIterator[Pulled]:
        """Of items whose Bins changed, at two turns each; of all at the first time in a process."""
        position = since if self._read_all else None
        here = [["warehouse", "in", list(places.names)]]
        changed, following = await self._bins.since(position, here, ["item_code"])
        skus = {one["item_code"] for one in changed}
        wanted = sorted(skus if position is None else skus | self._changed_before)
        for start in range(0, len(wanted), _TOGETHER):
            yield Pulled([level_of(one) for one in await self._counted(wanted[start : start + _TOGETHER], places)])
        self._read_all, self._changed_before = True, skus
        yield Pulled([], position=following)

    async def inventory(self, skus: Sequence[str] | None, places: Places) -> Inventory:
        """What is there now."""
        wanted = list(skus) if skus is not None else None
        if wanted is None:
            rows = await self._calls.rows("Bin", [["warehouse", "in", list(places.names)]], ["item_code"])
            wanted = sorted({one["item_code"] for one in rows})
        found: list[Counted] = []
        for start in range(0, len(wanted), _TOGETHER):
            found += await self._counted(wanted[start : start + _TOGETHER], places)
        return Inventory(found)

    async def _counted(self, skus: list[str], places: Places) -> list[Counted]:
        chosen = [["item_code", "in", skus], ["warehouse", "in", list(places.names)]]
        for _ in range(_READINGS_MAX):
            as_of = self._moments.now()
            held = await self._on_hold()
            rows = await self._calls.rows("Bin", chosen, _BIN)
            if held == await self._on_hold():
                break
        else:
            raise ErpDownError("orders are put on hold faster than levels can be read")
        return [
            Counted(
                one["item_code"],
                places.names[one["warehouse"]],
                one["actual_qty"],
                begun(sum(one[name] or 0.0 for name in _BIN[3:]) + held.get((one["item_code"], one["warehouse"]), 0.0)),
                as_of,
            )
            for one in rows
        ]

    async def _on_hold(self) -> dict[tuple[str, str], float]:
        """What is owed to orders that are on hold: nobody may be sold their units."""
        found: dict[tuple[str, str], float] = {}
        for one in await self._calls.rows("Sales Order", [["docstatus", "=", 1], ["status", "=", "On Hold"]], []):
            order = await self._calls.document("Sales Order", one["name"])
            if order["status"] == "On Hold":
                for row in order["items"]:
                    at = (row["item_code"], row["warehouse"])
                    owed = row["stock_qty"] - row["delivered_qty"] * row["conversion_factor"]
                    found[at] = found.get(at, 0.0) + max(0.0, owed)
        return found

    async def supply(self, since: str | None, places: Places) -> AsyncIterator[Pulled]:
        """Lines of purchases that changed; of all open ones at the first time."""
        position, as_of = since if self._supply_read else None, self._moments.now()
        narrowed: Filters = [["docstatus", "=", 1], ["status", "not in", list(_CLOSED)]] if since is None else []
        changed, following = await self._purchases.since(position, narrowed, ["docstatus"])
        facts: list[Fact] = []
        for one in changed:
            if one["docstatus"]:
                order = await self._calls.document("Purchase Order", one["name"])
                facts += [
                    _supply(order, row, places, as_of) for row in order["items"] if row["warehouse"] in places.names
                ]
        self._supply_read = True
        yield Pulled(facts, position=following)


def _supply(order: Record, row: Record, places: Places, as_of: str) -> Fact:
    ended = order["docstatus"] == 2 or order["status"] == "Closed"
    left = 0 if ended else whole((row["qty"] - row["received_qty"]) * row["conversion_factor"])
    return {
        "kind": "supply",
        "ref": order["name"],
        "line": row["name"],
        "sku": row["item_code"],
        "location": places.names[row["warehouse"]],
        "quantity": max(0, left),
        "due": str(row["schedule_date"] or "2999-12-31")[:10],
        "as_of": as_of,
        "status": "open" if left > 0 else "cancelled" if ended else "received",
    }
