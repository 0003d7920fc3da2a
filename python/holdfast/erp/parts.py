"""An order as the documents that an ERP makes of it: one for each place that it ships from.

In: an order, the places that there are. Out: lines by place. Always: each SKU is one line of a document; what is
nowhere yet goes with the rest.
"""

from collections.abc import Sequence

from holdfast.erp.interface import Order, OrderLine, RefusedError, UnusableError


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
