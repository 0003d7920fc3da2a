"""A bundle and its parts are lines of one order: stated so that each piece counts once.

Orders go the way of deliveries: through what is stored of them, into facts, into a core.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from holdfast.settings import WooSettings
from holdfast.woo.orderbook import OrderBook
from holdfast.woo.orders import Orders
from holdfast.woo.snapshots import essence_of, order_of
from holdfast.woo.stores import Store
from tests.support.core_client import NOON, Core, CoreClient

STOCK = 100
MARKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "product bundles": ({"_bundle_cart_key": "w"}, {"_bundle_cart_key": "p", "_bundled_by": "w"}),
    "composites": ({"_composite_cart_key": "w"}, {"_composite_parent": "w"}),
    "sets of one's choice": ({"_mnm_cart_key": "w"}, {"_mnm_container": "w"}),
    "bundles that name the product": ({}, {"_woosb_parent_id": 71}),
}


def line(number: int, product: int, sku: str, quantity: int, marks: Mapping[str, Any]) -> dict[str, Any]:
    meta = [{"id": at, "key": key, "value": value} for at, (key, value) in enumerate(marks.items())]
    return {"id": number, "product_id": product, "quantity": quantity, "sku": sku, "meta_data": meta}


def order(*lines: dict[str, Any], status: str = "processing", second: int = 0, **marks: str) -> bytes:
    return orjson.dumps(
        {
            "id": 7,
            "status": status,
            "date_modified_gmt": f"2026-01-01T11:00:{second:02}",
            "line_items": lines,
            "meta_data": [{"id": 1, "key": f"_holdfast_{key}", "value": value} for key, value in marks.items()],
        }
    )


@pytest.fixture
def core() -> Core:
    """Mugs, saucers and boxes; `SET` is a kit of a mug and a saucer."""
    made = Core()
    made.state({"kind": "location", "location": "W1", "type": "warehouse"})
    level = {"kind": "stock.level", "location": "W1", "on_hand": STOCK, "basis": "net", "as_of": NOON - 1}
    made.state(*({**level, "sku": sku} for sku in ("MUG", "SAUCER", "BOX")))
    kit = [{"sku": "MUG", "quantity": 1}, {"sku": "SAUCER", "quantity": 1}]
    item = {"kind": "item", "sku": "SET", "base_unit": "pc", "kit": kit}
    status, answer = made.facts(orjson.dumps({"facts": [item]}), "policy")
    assert status == 202, answer
    return made


@pytest.fixture
def orders(core: Core) -> Orders:
    store = Store(url="http://127.0.0.1", channel="web")
    settings = WooSettings(settle_ms=0)
    return Orders("shop", store, CoreClient(core), None, settings, OrderBook(50))  # type: ignore[arg-type]


async def take(orders: Orders, body: bytes) -> None:
    await orders.take([order_of(essence_of(body))])


def put(core: Core, *units: tuple[str, int]) -> None:
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in units]
    body = {"channel": "web", "ttl_ms": 600_000, "lines": lines}
    status, answer = core.command("put", "r1", orjson.dumps(body))
    assert status == 201, answer


def left(core: Core) -> dict[str, int]:
    return {sku: STOCK - core.sellable(sku) for sku in ("MUG", "SAUCER", "BOX")}


@pytest.mark.parametrize("kind", MARKS)
async def test_a_kit_beside_its_parts_counts_once(core: Core, orders: Orders, kind: str) -> None:
    of_wrapper, of_part = MARKS[kind]
    lines = [line(1, 71, "SET", 2, of_wrapper), line(2, 72, "MUG", 2, of_part), line(3, 73, "SAUCER", 2, of_part)]
    await take(orders, order(*lines))
    assert left(core) == {"MUG": 2, "SAUCER": 2, "BOX": 0}
    await take(orders, order(*lines, status="cancelled", second=2))
    assert left(core) == {"MUG": 0, "SAUCER": 0, "BOX": 0}


async def test_a_box_with_its_own_pieces_counts_beside_its_parts(core: Core, orders: Orders) -> None:
    of_wrapper, of_part = MARKS["product bundles"]
    await take(orders, order(line(1, 71, "BOX", 1, of_wrapper), line(2, 72, "MUG", 3, of_part)))
    assert left(core) == {"MUG": 3, "SAUCER": 0, "BOX": 1}


@pytest.mark.parametrize("parts", [[], [line(2, 72, "RIBBON", 2, {"_bundled_by": "w"})]])
async def test_without_parts_that_count_the_kit_is_what_was_held(
    core: Core, orders: Orders, parts: list[dict[str, Any]]
) -> None:
    put(core, ("SET", 2))
    lines = [line(1, 71, "SET", 2, {"_bundle_cart_key": "w"}), *parts]
    await take(orders, order(*lines, reservation="r1", state="held"))
    assert left(core) == {"MUG": 2, "SAUCER": 2, "BOX": 0}


@pytest.mark.parametrize("restarts", [False, True])
async def test_an_order_that_nobody_held_owes_the_components_of_its_kits(
    core: Core, orders: Orders, restarts: bool
) -> None:
    """Placed by hand, or while the gateway was down. Demand names no kit, so it names what the kit is made of."""
    await take(orders, order(line(1, 71, "SET", 3, {}), line(2, 72, "MUG", 1, {})))
    assert left(core) == {"MUG": 4, "SAUCER": 3, "BOX": 0}
    if restarts:
        renewed = Orders("shop", orders.store, orders.client, orders.shop, orders.settings, OrderBook(50))
        await renewed.recall()
        orders = renewed
    await take(orders, order(line(1, 71, "SET", 1, {}), line(2, 72, "MUG", 1, {}), second=2))
    assert left(core) == {"MUG": 2, "SAUCER": 1, "BOX": 0}
    await take(orders, order(line(1, 71, "SET", 1, {}), line(2, 72, "MUG", 1, {}), status="cancelled", second=4))
    assert left(core) == {"MUG": 0, "SAUCER": 0, "BOX": 0}
    assert orders.counts.rejected == 0


async def test_what_was_held_twice_is_put_right(core: Core, orders: Orders) -> None:
    """An order whose checkout held kit and parts: the kit is taken off it."""
    of_wrapper, of_part = MARKS["product bundles"]
    put(core, ("SET", 1), ("MUG", 1), ("SAUCER", 1))
    lines = [line(1, 71, "SET", 1, of_wrapper), line(2, 72, "MUG", 1, of_part), line(3, 73, "SAUCER", 1, of_part)]
    await take(orders, order(*lines, reservation="r1", state="held"))
    assert left(core) == {"MUG": 1, "SAUCER": 1, "BOX": 0}
