"""What an Odoo is like: its warehouses with their locations, and which of its names this version has.

In: Odoo's warehouses and fields, the mapping of the settings. Out: a Layout. Always: a warehouse whose deliveries take
several steps is refused, for there what is owed is not what moves to customers.
"""

from dataclasses import dataclass, field

from holdfast.erp.interface import UnusableError
from holdfast.erp.odoo.calls import Calls

_WAREHOUSE = ("code", "lot_stock_id", "view_location_id", "delivery_steps", "company_id")


@dataclass(slots=True)
class Layout:
    """`warehouses`: record by location name; `inside`: the name for each place where stock counts as on hand; `home`:
    for each place of a warehouse. `stored`: the domain of products that have stock; `moved`: a move's done quantity.
    """

    warehouses: dict[str, int] = field(default_factory=dict)
    inside: dict[int, str] = field(default_factory=dict)
    home: dict[int, str] = field(default_factory=dict)
    customers: set[int] = field(default_factory=set)
    stored: list[object] = field(default_factory=list)
    moved: str = "quantity"
    company: int = 0


async def read_layout(calls: Calls, names: dict[str, str]) -> Layout:
    """Raises UnusableError, ErpDownError."""
    warehouses = {one["code"]: one for one in await calls.search("stock.warehouse", [], _WAREHOUSE)}
    missing = [code for code in names if code not in warehouses]
    if missing:
        raise UnusableError("warehouses", f"Odoo has no warehouse with the code {', '.join(missing)}")
    found = Layout()
    for code, one in warehouses.items():
        if names and code not in names:
            continue
        name = names.get(code, code)
        if one["delivery_steps"] != "ship_only":
            raise UnusableError("warehouses", f"{code} delivers in several steps; only one step is supported")
        found.warehouses[name], found.company = one["id"], one["company_id"]
        for place in await _below(calls, one["view_location_id"]):
            found.home[place] = name
        for place in await _below(calls, one["lot_stock_id"]):
            found.inside[place] = name
    if not found.warehouses:
        raise UnusableError("warehouses", "the key's user sees no warehouse")
    customers = await calls.search("stock.location", [["usage", "=", "customer"]], ("id",))
    found.customers = {one["id"] for one in customers}
    products = await calls.call("product.product", "fields_get", allfields=["is_storable"], attributes=["type"])
    found.stored = [["is_storable", "=", True]] if products else [["type", "=", "product"]]
    moves = await calls.call("stock.move", "fields_get", allfields=["quantity"], attributes=["type"])
    found.moved = "quantity" if moves else "quantity_done"
    return found


async def _below(calls: Calls, top: int) -> list[int]:
    places = await calls.search("stock.location", [["id", "child_of", top], ["usage", "=", "internal"]], ("id",))
    return [one["id"] for one in places]
