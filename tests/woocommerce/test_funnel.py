"""Status changes reach the gateway by one funnel: what is done follows from the order, however often it is asked."""

import asyncio
import time

import pytest

from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import Shopper


async def placed(shop: Shop, product: int, method: str = "cod", quantity: int = 1) -> int:
    async with Shopper(shop.url) as shopper:
        done = await shopper.classic(product, quantity, method)
        assert done.ok, done
        return done.order


def reservation(shop: Shop, order: int) -> dict[str, object]:
    return shop.keeper.ask("GET", f"/v1/reservations/{shop.order(order)['reservation']}")


@pytest.mark.parametrize("status", ["cancelled", "failed"])
async def test_an_unpaid_order_that_ends_gives_its_units_back(shop: Shop, status: str) -> None:
    product, sku = shop.product(4)
    order = await placed(shop, product, "offsite")
    shop.status(order, status)
    assert shop.order(order)["state"] == "released"
    assert shop.keeper.sellable(sku) == 4


@pytest.mark.parametrize("status", ["cancelled", "refunded", "failed", "pending"])
async def test_a_paid_order_that_ends_gives_its_units_back(shop: Shop, status: str) -> None:
    product, sku = shop.product(4)
    order = await placed(shop, product)
    shop.status(order, status)
    assert shop.order(order)["state"] == "released"
    assert shop.keeper.sellable(sku) == 4


@pytest.mark.parametrize("status", ["on-hold", "completed", "processing"])
async def test_an_order_that_is_owed_is_confirmed(shop: Shop, status: str) -> None:
    product, sku = shop.product(4)
    order = await placed(shop, product, "offsite")
    shop.status(order, status)
    assert shop.order(order)["state"] == "confirmed"
    assert reservation(shop, order)["state"] == "committed"
    assert shop.keeper.sellable(sku) == 3


async def test_a_payment_that_comes_after_the_order_was_cancelled_takes_the_units_again(shop: Shop) -> None:
    product, sku = shop.product(2)
    order = await placed(shop, product, "offsite")
    shop.status(order, "cancelled")
    shop.paid(order)
    assert shop.order(order)["state"] == "confirmed"
    assert shop.keeper.sellable(sku) == 1


async def test_a_late_payment_for_what_others_bought_is_said_to_the_shop_and_confirmed_when_stock_comes(
    shop: Shop,
) -> None:
    product, sku = shop.product(1, woo=10)
    order = await placed(shop, product, "offsite")
    shop.status(order, "cancelled")
    assert await placed(shop, product)
    shop.paid(order)
    late = shop.order(order)
    assert late["status"] == "processing"
    assert late["state"] == "released"
    assert "sold out" in late["oversold"]
    notes = late["notes"]
    assert any("paid after its stock had been given back" in note for note in notes)
    shop.keeper.stock(sku, 2)
    assert shop.run_outbox() >= 1
    assert shop.order(order)["state"] == "confirmed"
    assert shop.order(order)["oversold"] == ""


async def test_an_order_that_comes_back_from_cancelled_is_owed_again(shop: Shop) -> None:
    product, sku = shop.product(2)
    order = await placed(shop, product)
    shop.status(order, "cancelled")
    shop.status(order, "processing")
    assert shop.order(order)["state"] == "confirmed"
    assert shop.keeper.sellable(sku) == 1
    assert reservation(shop, order)["order_ref"] == str(order)


async def test_a_hold_that_ran_out_is_confirmed_when_it_still_fits(shop: Shop) -> None:
    product, sku = shop.product(2)
    order = await placed(shop, product, "offsite")
    shop.keeper.ask("POST", f"/v1/reservations/{shop.order(order)['reservation']}/extend", {"ttl_ms": 1})
    deadline = time.monotonic() + 10
    while shop.keeper.sellable(sku) < 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    shop.paid(order)
    assert reservation(shop, order)["state"] == "committed"
    assert shop.keeper.sellable(sku) == 1


@pytest.mark.parametrize("force", [False, True])
async def test_an_order_in_the_trash_or_deleted_gives_its_units_back(shop: Shop, force: bool) -> None:
    product, sku = shop.product(2)
    order = await placed(shop, product)
    shop.site.call("delete", id=order, force=force)
    shop.run_outbox()
    assert shop.keeper.sellable(sku) == 2


async def test_an_order_that_comes_back_from_the_trash_is_owed_again(shop: Shop) -> None:
    product, sku = shop.product(2)
    order = await placed(shop, product)
    shop.site.call("delete", id=order, force=False)
    shop.run_outbox()
    shop.site.call("untrash", id=order)
    shop.run_outbox()
    assert shop.order(order)["state"] == "confirmed"
    assert shop.keeper.sellable(sku) == 1


async def test_orders_without_a_mark_are_left_to_the_connector(shop: Shop) -> None:
    product, sku = shop.product(2)
    order = shop.site.call("order_by_hand", product=product)
    assert shop.order(order)["state"] == ""
    assert shop.keeper.reservations(sku=sku) == []


async def test_the_same_status_change_twice_does_it_once(shop: Shop) -> None:
    product, sku = shop.product(3)
    order = await placed(shop, product)
    for _ in range(3):
        shop.site.call("status_again", id=order)
    assert shop.keeper.sellable(sku) == 2
    assert len(shop.keeper.reservations(sku=sku)) == 1
