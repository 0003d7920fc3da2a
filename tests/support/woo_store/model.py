"""The shop's memory: products, orders and what happens to them.

In: what people and checkouts do. Out: payloads as the REST API renders them; the events that webhooks are made of.
Always: an order's time of change has whole seconds and follows the shop's clock; stock moves as WooCommerce moves it,
once for each order.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

REDUCING = {"completed", "processing", "on-hold"}
RESTORING = {"cancelled", "pending"}


def gmt(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S")


@dataclass
class Product:
    """Also a variation: then `parent` is its product. `manages`: True, False, or "parent"."""

    id: int
    sku: str
    stock: int | None = 0
    parent: int = 0
    type: str = "simple"
    manages: bool | str = True
    backorders: str = "no"
    sequence: int = -1
    writes: list[int] = field(default_factory=list)

    def payload(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "parent_id": self.parent,
            "sku": self.sku,
            "type": self.type,
            "manage_stock": self.manages,
            "stock_quantity": self.stock,
            "stock_status": "instock" if (self.stock or 0) > 0 else "outofstock",
            "backorders": self.backorders,
        }


@dataclass
class Item:
    id: int
    product: int
    sku: str
    quantity: int
    reduced: int = 0
    restocked: int = 0


@dataclass
class Refund:
    id: int
    created_s: float
    items: dict[int, int]


@dataclass
class Order:
    id: int
    status: str
    created_s: float
    modified_s: float
    created_via: str = "checkout"
    items: list[Item] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    refunds: list[Refund] = field(default_factory=list)
    completed_s: float | None = None
    before_trash: str = ""

    def payload(self, skus: Callable[[Item], str | None]) -> dict[str, Any]:
        return {
            "id": self.id,
            "parent_id": 0,
            "number": str(self.id),
            "created_via": self.created_via,
            "status": self.status,
            "date_created_gmt": gmt(self.created_s),
            "date_modified_gmt": gmt(self.modified_s),
            "date_completed_gmt": None if self.completed_s is None else gmt(self.completed_s),
            "meta_data": [{"id": at, "key": key, "value": value} for at, (key, value) in enumerate(self.meta.items())],
            "line_items": [
                {
                    "id": item.id,
                    "product_id": item.product,
                    "variation_id": 0,
                    "quantity": item.quantity,
                    "sku": skus(item),
                    "meta_data": [
                        {"id": 1, "key": "_reduced_stock", "value": str(item.reduced)},
                        {"id": 2, "key": "_restock_refunded_items", "value": str(item.restocked)},
                    ],
                }
                for item in self.items
            ],
            "refunds": [{"id": one.id, "reason": "", "total": "-1.00"} for one in self.refunds],
        }


@dataclass
class Model:
    """`clock`: the shop's. `events`: topic and order, as the webhooks collect them. `moves_stock`: whether WooCommerce
    moves its own stock; not, once the plugin has made holdfast the only writer.
    """

    clock: Callable[[], float] = time.time
    products: dict[int, Product] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    events: list[tuple[str, int]] = field(default_factory=list)
    moves_stock: bool = True
    _ids: Iterator[int] = field(default_factory=lambda: count(700))

    def add(self, sku: str, stock: int = 0, **fields: Any) -> Product:
        made = Product(next(self._ids), sku, stock, **fields)
        self.products[made.id] = made
        return made

    def by_sku(self, sku: str) -> list[Product]:
        return [one for one in self.products.values() if one.sku == sku]

    def place(
        self, lines: list[tuple[str, int]], status: str = "processing", via: str = "checkout", **meta: Any
    ) -> Order:
        """A new order, of SKUs that products have."""
        now = self.clock()
        order = Order(next(self._ids), "checkout-draft", now, now, via, meta=dict(meta))
        self.orders[order.id] = order
        for sku, quantity in lines:
            self._add_item(order, sku, quantity)
        self.events.append(("order.created", order.id))
        self._become(order, status)
        return order

    def _add_item(self, order: Order, sku: str, quantity: int) -> None:
        found = self.by_sku(sku)
        order.items.append(Item(next(self._ids), found[0].id if found else 0, sku, quantity))

    def change(self, order: Order, status: str) -> None:
        self._become(order, status)
        self._saved(order)

    def _become(self, order: Order, status: str) -> None:
        order.status = status
        if status == "completed":
            order.completed_s = self.clock()
        self._move_stock(order)

    def _move_stock(self, order: Order) -> None:
        if not self.moves_stock:
            return
        for item in order.items:
            product = self.products.get(item.product)
            if product is None or product.stock is None:
                continue
            if order.status in REDUCING and not item.reduced:
                item.reduced = item.quantity - item.restocked
                product.stock -= item.reduced  # unguarded: it may become negative
            elif order.status in RESTORING and item.reduced:
                product.stock += item.reduced
                item.reduced = 0

    def _saved(self, order: Order) -> None:
        order.modified_s = self.clock()
        self.events.append(("order.updated", order.id))

    def edit(self, order: Order, item: Item, quantity: int) -> None:
        """By an administrator; 0 removes the line."""
        if quantity:
            item.quantity = quantity
        else:
            order.items.remove(item)
        self._saved(order)

    def extend(self, order: Order, sku: str, quantity: int) -> None:
        self._add_item(order, sku, quantity)
        self._saved(order)

    def mark(self, order: Order, **meta: Any) -> None:
        order.meta |= meta
        self._saved(order)

    def refund(self, order: Order, item: Item, quantity: int, *, restock: bool) -> None:
        quantity = min(quantity, item.quantity - sum(one.items.get(item.id, 0) for one in order.refunds))
        if quantity <= 0:
            return
        order.refunds.append(Refund(next(self._ids), self.clock(), {item.id: quantity}))
        if restock:
            back = min(quantity, item.reduced) if self.moves_stock else quantity
            item.restocked += back
            item.reduced = max(0, item.reduced - back)
            product = self.products.get(item.product)
            if self.moves_stock and product is not None and product.stock is not None:
                product.stock += back
        self._saved(order)
        self.events.append(("order.updated", order.id))  # two hooks of one topic

    def trash(self, order: Order) -> None:
        order.before_trash, order.status = order.status, "trash"
        order.modified_s = self.clock()
        self.events.append(("order.deleted", order.id))

    def restore(self, order: Order) -> None:
        order.status = order.before_trash
        order.modified_s = self.clock()
        self.events.append(("order.restored", order.id))

    def delete(self, order: Order) -> None:
        """For good: no webhook tells it."""
        del self.orders[order.id]

    def payload(self, order: Order) -> dict[str, Any]:
        def sku(item: Item) -> str | None:
            return self.products[item.product].sku if item.product in self.products else None

        return order.payload(sku)

    def refunds(self, order: Order) -> list[dict[str, Any]]:
        return [
            {
                "id": one.id,
                "date_created_gmt": gmt(one.created_s),
                "line_items": [
                    {"id": 1, "quantity": -quantity, "meta_data": [{"key": "_refunded_item_id", "value": str(item)}]}
                    for item, quantity in one.items.items()
                ],
            }
            for one in order.refunds
        ]
