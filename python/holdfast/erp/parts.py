"""An order as the documents that an ERP makes of it: one for each place that it ships from.

In: an order, the places that there are. Out: lines by place. Always: each SKU is one line of a document; what is
nowhere yet goes with the rest.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from holdfast.erp.interface import Order, OrderLine, RefusedError, UnusableError

Product = TypeVar("Product")
Pushed: TypeAlias = str | RefusedError
Products: TypeAlias = Callable[[list[str]], Awaitable[dict[str, Product]]]
Push: TypeAlias = Callable[[str, list[OrderLine], dict[str, Product]], Awaitable[str]]


def parts_of(order: Order, places: Sequence[str]) -> dict[str, list[OrderLine]]:
    """Raises RefusedError for a place that the ERP does not have."""
    wanted = list(dict.fromkeys(line.location for line in order.lines if line.location is not None))
    strange = [place for place in wanted if place not in places]
    if strange:
        raise RefusedError(f"no warehouse of the ERP is {', '.join(strange)}")
    default = wanted[0] if wanted else places[0]
    parts: dict[str, dict[str, int]] = {}
    for line in order.lines:
        part = parts.setdefault(line.location or default, {})
        part[line.sku] = part.get(line.sku, 0) + line.quantity
    return {place: [OrderLine(sku, count, place) for sku, count in part.items()] for place, part in parts.items()}


async def pushed(order: Order, places: Sequence[str], products: Products[Product], push: Push[Product]) -> Pushed:
    """The numbers of its documents: each part by `push`, of the ERP's products, which `products` looks up by SKU."""
    try:
        parts = parts_of(order, places)
        known = await products(sorted({line.sku for line in order.lines}))
        return ", ".join([await push(place, lines, known) for place, lines in parts.items()])
    except RefusedError as refused:
        return refused


def escaped(text: str) -> str:
    """For a pattern of SQL: as it is written."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def names_of(setting: str) -> dict[str, str]:
    """`WH=paris,WH2=lyon`. Raises UnusableError."""
    names: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in setting.split(","))):
        code, sign, name = part.partition("=")
        if not sign or not code.strip() or not name.strip():
            raise UnusableError("warehouses", f"{part!r} is not like WH=paris")
        names[code.strip()] = name.strip()
    return names
