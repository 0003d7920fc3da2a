"""The connector writes stock: by WooCommerce's own keys, each item by itself, never an older figure last."""

import asyncio
import base64
from typing import Any

import aiohttp
import pytest

from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import Shopper


def basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


@pytest.fixture(scope="module")
def keys(open_once: Shop) -> str:
    """A REST key with read and write, of the shop's owner."""
    open_once.site.call("rest_key")
    return basic("ck_test", "cs_test")


async def call(shop: Shop, method: str, path: str, keys: str | None, body: Any = None) -> tuple[int, Any]:
    headers = {"X-Forwarded-Proto": "https"} | ({"Authorization": keys} if keys else {})
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(method, f"{shop.url}/wp-json/holdfast/v1/{path}", json=body) as answer,
    ):
        return answer.status, await answer.json()


async def write(shop: Shop, keys: str, *items: Any) -> list[Any]:
    status, found = await call(shop, "POST", "stock", keys, {"items": items})
    assert status == 200, found
    results: list[Any] = found["results"]
    return results


def item(sku: str, quantity: Any, sequence: Any, **more: Any) -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity, "sequence": sequence} | more


async def test_only_those_who_manage_the_shop_may(shop: Shop, keys: str) -> None:
    for method, path in (("POST", "stock"), ("GET", "about")):
        assert (await call(shop, method, path, None, {"items": []} if method == "POST" else None))[0] == 401
        assert (await call(shop, method, path, basic("ck_other", "cs"), {"items": []} if method == "POST" else None))[
            0
        ] == 401
    status, about = await call(shop, "GET", "about", keys)
    assert status == 200
    assert about.keys() == {"plugin_version", "woocommerce", "wordpress", "php", "hpos", "writes_stock"}
    assert about["writes_stock"] is True


async def test_figures_are_written_by_sequence(shop: Shop, keys: str) -> None:
    product, sku = shop.product(None, woo=3)
    for quantity, sequence, status, shown in (
        (7, 10, "written", 7),
        (7, 10, "same", 7),
        (9, 9, "older", 7),
        (7, 11, "same", 7),
        (0, 12, "written", 0),
        (5, 11, "older", 0),
        (4, 12, "written", 4),
    ):
        assert await write(shop, keys, item(sku, quantity, sequence)) == [{"sku": sku, "status": status}], (
            quantity,
            sequence,
        )
        assert shop.stock_of(product) == shown
    assert shop.site.call("product_as_stored", id=product)[2] == "instock"


async def test_each_item_is_judged_by_itself(shop: Shop, keys: str) -> None:
    _, good = shop.product(None, woo=3)
    twice = good + "-twice"
    shop.product(None, woo=1, sku=twice)
    shop.site.call("second_of_a_sku", sku=twice)
    parent = shop.site.call("variable", sku=good + "-parent", stock=5)["parent"]
    results = await write(
        shop,
        keys,
        item(good, 1, 1),
        item("no-such", 1, 1),
        item(twice, 1, 1),
        item(good.lower(), 1, 1),
        item(good + "-parent-M", 1, 1),
        item(good + "-parent", 6, 1),
        item(good, "1", 2),
        item(good, 1.5, 2),
        item(good, 1, -1),
        item(good, 1, 2, backorders="maybe"),
        item("", 1, 1),
        "nonsense",
        None,
    )
    assert [one["status"] for one in results] == [
        *("written", "unknown", "ambiguous", "unknown", "parent", "written"),
        *("error", "error", "error", "error", "error", "error", "error"),
    ]
    assert "managed at its parent" in results[4]["message"]
    assert shop.stock_of(parent) == 6
    by_number = [{"product": parent, "quantity": 9, "sequence": 2}, {"product": 10**9, "quantity": 9, "sequence": 2}]
    assert [one["status"] for one in await write(shop, keys, *by_number)] == ["written", "unknown"]
    assert shop.stock_of(parent) == 9


async def test_backorders_follow_and_a_product_without_managed_stock_gets_it(shop: Shop, keys: str) -> None:
    product, sku = shop.product(None, woo=3, manage_stock=False)
    await write(shop, keys, item(sku, 0, 5, backorders="notify"))
    found = shop.site.call("product_as_stored", id=product)
    assert found == [True, "notify", "onbackorder"]


async def test_more_than_500_items_are_refused_and_none_is_fine(shop: Shop, keys: str) -> None:
    assert await write(shop, keys) == []
    assert (await call(shop, "POST", "stock", keys, {"items": [item("x", 1, 1)] * 501}))[0] == 413
    assert (await call(shop, "POST", "stock", keys, {"items": "x"}))[0] == 400
    assert (await call(shop, "POST", "stock", keys, {}))[0] == 400


async def test_batches_in_any_order_and_at_once_leave_the_newest(shop: Shop, keys: str) -> None:
    product, sku = shop.product(None, woo=3)
    await asyncio.gather(
        *(write(shop, keys, item(sku, sequence * 2, sequence)) for sequence in (5, 2, 8, 1, 7, 3, 6, 4))
    )
    assert shop.stock_of(product) == 16


async def test_what_was_written_once_woocommerce_writes_no_more(shop: Shop, keys: str) -> None:
    """Neither for an order, nor for its cancellation, a refund, or an edit of its lines."""
    product, sku = shop.product(10)
    await write(shop, keys, item(sku, 10, 1))
    async with Shopper(shop.url) as shopper:
        placed = await shopper.classic(product, 2)
    assert placed.ok, placed
    assert shop.stock_of(product) == 10
    assert shop.site.call("refund_one", id=placed.order)
    assert shop.stock_of(product) == 10
    shop.site.call("edit_line", id=placed.order)
    assert shop.stock_of(product) == 10
    shop.status(placed.order, "cancelled")
    assert shop.stock_of(product) == 10
    assert shop.keeper.sellable(sku) == 10


async def test_the_setting_leaves_woocommerce_its_stock(shop: Shop, keys: str) -> None:
    product, sku = shop.product(10)
    await write(shop, keys, item(sku, 10, 1))
    shop.settings(writes_stock="no")
    async with Shopper(shop.url) as shopper:
        assert (await shopper.classic(product, 2)).ok
    assert shop.stock_of(product) == 8
    assert (await call(shop, "GET", "about", keys))[1]["writes_stock"] is False
