"""SKUs of holdfast and products of the shop.

Role: find what a SKU is in the shop. In: SKUs; the shop. Out: places to write to, and what the shop has there now;
which SKUs are missing, double or cannot be asked for. Always: found by asking for the SKUs themselves, variations too,
so a shop of any size needs one call for a hundred of them; a variation whose stock its parent manages is written at the
parent, as the sum over all such siblings.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from holdfast.woo.rest import Shop, ShopError

log = structlog.get_logger(__name__)

ASKED_MAX = 100
_QUERY_BYTES_MAX = 4_000
_FIELDS = "id,parent_id,sku,type,manage_stock,stock_quantity,backorders"


class _Product(msgspec.Struct):
    id: int
    parent_id: int = 0
    sku: str = ""
    type: str = ""
    manage_stock: bool | str | None = None
    stock_quantity: float | None = None
    backorders: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where stock is written. `stock`: what is there now, None where it is not managed yet."""

    id: int
    parent: int
    stock: int | None
    backorders: str
    siblings: tuple[str, ...] = ()
    """Of a parent that manages the stock of these variations: their SKUs."""


@dataclass(slots=True)
class Found:
    """What the shop has of some SKUs."""

    places: dict[str, Place] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    double: dict[str, list[int]] = field(default_factory=dict)
    unaskable: set[str] = field(default_factory=set)
    at_parent: dict[str, int] = field(default_factory=dict)


class Mapping:
    """Looks SKUs up. Raises ShopError."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def find(self, skus: list[str]) -> Found:
        """Where these are."""
        found = Found()
        products: dict[str, list[_Product]] = {}
        askable: list[str] = []
        for sku in skus:
            # The list of SKUs has commas between them, and each is trimmed.
            (askable.append if "," not in sku and sku == sku.strip() else found.unaskable.add)(sku)
        for part in _parts(askable):
            for product in await self._ask({"sku": ",".join(part)}):
                products.setdefault(product.sku, []).append(product)
        for sku in askable:
            ours = products.get(sku, [])
            if not ours:
                found.missing.add(sku)
            elif len(ours) > 1:
                found.double[sku] = sorted(one.id for one in ours)
            elif ours[0].manage_stock == "parent" and ours[0].parent_id:
                found.at_parent[sku] = ours[0].parent_id
            else:
                found.places[sku] = _place(ours[0])
        await self._add_parents(found)
        return found

    async def _add_parents(self, found: Found) -> None:
        """The parents that manage stock for their variations, with all of these."""
        for parent in sorted(set(found.at_parent.values())):
            product = await self._product_of(parent)
            if product is None:
                found.missing |= {sku for sku, of in found.at_parent.items() if of == parent}
                continue
            variations = await self._pages(f"products/{parent}/variations", {})
            siblings = tuple(sorted(one.sku for one in variations if one.manage_stock == "parent" and one.sku))
            place = _place(product, siblings)
            for sku, of in found.at_parent.items():
                if of == parent:
                    found.places[sku] = place

    async def _product_of(self, number: int) -> _Product | None:
        """None where it is there no more."""
        try:
            return _product((await self._shop.get(f"products/{number}", _fields=_FIELDS)).value)
        except ShopError as fault:
            if fault.status in {404, 410}:
                return None
            raise

    async def _ask(self, query: dict[str, Any]) -> list[_Product]:
        return await self._pages("products", query)

    async def _pages(self, path: str, query: dict[str, Any]) -> list[_Product]:
        found: list[_Product] = []
        for number in range(1, 1_000):
            answer = await self._shop.get(path, **query, per_page=100, page=number, _fields=_FIELDS)
            page = answer.value if isinstance(answer.value, list) else []
            found += [one for value in page if (one := _product(value)) is not None]
            if len(page) < 100:
                break
        return found


def _parts(skus: list[str]) -> list[list[str]]:
    """As many as one address can hold."""
    parts: list[list[str]] = []
    size = _QUERY_BYTES_MAX + 1
    for sku in skus:
        bytes_of = len(sku.encode()) * 3 + 1
        if size + bytes_of > _QUERY_BYTES_MAX or len(parts[-1]) >= ASKED_MAX:
            parts.append([])
            size = 0
        parts[-1].append(sku)
        size += bytes_of
    return parts


def _product(value: Any) -> _Product | None:
    try:
        return msgspec.convert(value, _Product, strict=False)
    except msgspec.ValidationError as fault:
        log.warning("product-not-understood", why=str(fault))
        return None


def _place(product: _Product, siblings: tuple[str, ...] = ()) -> Place:
    is_managed = product.manage_stock is True and product.stock_quantity is not None
    stock = int(product.stock_quantity) if is_managed and product.stock_quantity is not None else None
    return Place(product.id, product.parent_id, stock, product.backorders, siblings)
