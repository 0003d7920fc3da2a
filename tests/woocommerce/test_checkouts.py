"""Both checkouts and the pay page: units are held before an order is placed, confirmed with it, never sold twice."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import Placed, Shopper

CHECKOUTS = ("classic", "block")


@pytest.fixture(params=CHECKOUTS)
def checkout(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


async def buy(shop: Shop, checkout: str, product: int, quantity: int = 1, method: str = "cod") -> Placed:
    async with Shopper(shop.url) as shopper:
        placed: Placed = await getattr(shopper, checkout)(product, quantity, method)
        return placed


async def test_an_order_holds_its_units_and_confirms_them(shop: Shop, checkout: str) -> None:
    product, sku = shop.product(5)
    placed = await buy(shop, checkout, product, 2)
    assert placed.ok, placed
    order = shop.order(placed.order)
    assert order["status"] == "processing"
    assert order["state"] == "confirmed"
    [reservation] = shop.keeper.reservations(sku=sku)
    assert reservation["id"] == order["reservation"]
    assert reservation["state"] == "committed"
    assert reservation["order_ref"] == str(placed.order)
    assert shop.keeper.sellable(sku) == 3


async def press(shopper: Shopper, checkout: str, nonce: str) -> Placed:
    """`Place order`."""
    return await shopper.pay_classic(nonce) if checkout == "classic" else await shopper.pay_block()


async def test_what_was_sold_since_the_page_was_opened_is_refused_with_words_for_a_shopper(
    shop: Shop, checkout: str
) -> None:
    shop.settings(cache_seconds=300)
    product, sku = shop.product(3)
    async with Shopper(shop.url) as shopper:
        await shopper.add(product, 3)
        nonce = await shopper.open_classic()
        await shopper.store("GET", "/checkout")
        shop.keeper.stock(sku, 2)
        placed = await press(shopper, checkout, nonce)
    assert not placed.ok
    assert "only 2 of" in placed.words
    assert "holdfast" not in placed.words
    waiting = [order for order in shop.orders(product) if order["status"] != "checkout-draft"]
    assert waiting == [], "no order was placed, and none is left behind"
    assert shop.keeper.sellable(sku) == 2


async def test_a_cart_is_checked_against_what_can_be_sold_not_against_the_shops_older_figure(shop: Shop) -> None:
    product, _ = shop.product(2, woo=50)
    async with Shopper(shop.url) as shopper:
        await shopper.add(product, 2)
        assert "issues with the items" not in await shopper.get("/classic-checkout/")
        shown = await shopper.get("/?p=" + str(product))
        assert "2 in stock" in shown
        status, cart = await shopper.store("POST", "/cart/add-item", {"id": product, "quantity": 1})
        assert status == 400, cart


async def test_an_order_that_is_not_paid_yet_is_held(shop: Shop, checkout: str) -> None:
    product, sku = shop.product(3)
    placed = await buy(shop, checkout, product, 1, "offsite")
    assert placed.ok, placed
    order = shop.order(placed.order)
    assert (order["status"], order["state"]) == ("pending", "held")
    assert shop.keeper.sellable(sku) == 2
    shop.paid(placed.order)
    assert shop.order(placed.order)["state"] == "confirmed"
    assert shop.keeper.sellable(sku) == 2


async def test_a_payment_that_fails_is_tried_again_with_the_last_piece(shop: Shop, checkout: str) -> None:
    """The shopper's own hold never refuses that shopper: the shop's figure is 0 by now."""
    product, sku = shop.product(1)
    async with Shopper(shop.url) as shopper:
        first: Placed = await getattr(shopper, checkout)(product, 1, "card-fails")
        assert not first.ok
        assert "declined" in first.words
        shop.site.call("set_stock", id=product, quantity=0)
        again = (
            await shopper.pay_classic(await shopper.open_classic())
            if checkout == "classic"
            else await shopper.pay_block()
        )
        assert again.ok, again
    [reservation] = [one for one in shop.keeper.reservations(sku=sku) if one["state"] in ("held", "committed")]
    assert reservation["order_ref"] == str(again.order)


async def test_the_shoppers_older_holds_are_superseded(shop: Shop, checkout: str) -> None:
    product, sku = shop.product(3)
    async with Shopper(shop.url) as shopper:
        for quantity in (1, 2, 3):
            await shopper.store("DELETE", "/cart/items")
            placed: Placed = await getattr(shopper, checkout)(product, quantity, "offsite")
            assert placed.ok, (quantity, placed)
    states = sorted(one["state"] for one in shop.keeper.reservations(sku=sku))
    assert states.count("held") == 1
    assert shop.keeper.sellable(sku) == 0


async def test_the_last_piece_goes_to_one_of_two_shoppers(shop: Shop, checkout: str) -> None:
    product, sku = shop.product(1, woo=10)
    async with Shopper(shop.url) as one, Shopper(shop.url) as other:
        ready = []
        for shopper in (one, other):
            await shopper.add(product)
            ready.append((shopper, await shopper.open_classic()))
        placed = await asyncio.gather(*(press(shopper, checkout, nonce) for shopper, nonce in ready))
    assert sorted(one.ok for one in placed) == [False, True], placed
    refused = next(one for one in placed if not one.ok)
    assert re.search("sold out|not in stock|out of stock", refused.words), (
        "by the reservation, or by the check of the cart just before it"
    )
    assert shop.keeper.sellable(sku) == 0


async def pay_classic(shopper: Shopper, order: int, key: str) -> bool:
    return "order-received" in await shopper.pay_order(order, key)


async def pay_block(shopper: Shopper, order: int, key: str) -> bool:
    return (await shopper.pay_order_block(order, key)).ok


PAY_PAGES: dict[str, Callable[[Shopper, int, str], Awaitable[bool]]] = {"classic": pay_classic, "block": pay_block}


async def test_the_pay_page_asks_again_when_the_hold_is_over(shop: Shop, checkout: str) -> None:
    product, sku = shop.product(1)
    async with Shopper(shop.url) as shopper:
        placed: Placed = await getattr(shopper, checkout)(product, 1, "offsite")
        order = shop.order(placed.order)
        shop.keeper.ask("POST", f"/v1/reservations/{order['reservation']}/release", {})
        assert await PAY_PAGES[checkout](shopper, placed.order, order["key"])
    assert shop.order(placed.order)["state"] == "confirmed"
    assert shop.keeper.sellable(sku) == 0


async def test_the_pay_page_refuses_what_others_bought_meanwhile(shop: Shop, checkout: str) -> None:
    product, sku = shop.product(1, woo=10)
    async with Shopper(shop.url) as shopper:
        placed: Placed = await getattr(shopper, checkout)(product, 1, "offsite")
        order = shop.order(placed.order)
        shop.keeper.ask("POST", f"/v1/reservations/{order['reservation']}/release", {})
        assert (await buy(shop, checkout, product)).ok
        assert not await PAY_PAGES[checkout](shopper, placed.order, order["key"])
    assert shop.order(placed.order)["status"] == "pending"
    assert shop.keeper.sellable(sku) == 0


async def test_products_that_holdfast_does_not_know_are_sold_as_before_and_said(shop: Shop, checkout: str) -> None:
    known, sku = shop.product(5)
    unknown, strange = shop.product(None, woo=4)
    without, _ = shop.product(None, woo=4, sku="")
    async with Shopper(shop.url) as shopper:
        for product in (known, unknown):
            await shopper.add(product)
        placed: Placed = await getattr(shopper, checkout)(without)
        assert placed.ok, placed
    order = shop.order(placed.order)
    assert order["state"] == "confirmed"
    assert strange in order["not_held"]
    assert len(order["not_held"]) == 2
    assert shop.keeper.sellable(sku) == 4
    assert (shop.stock_of(unknown), shop.stock_of(without)) == (3, 3), "WooCommerce counts these alone"


async def test_a_kit_holds_its_components(shop: Shop, checkout: str) -> None:
    _, part = shop.product(10)
    product, kit = shop.product(None, woo=5)
    item = {"kind": "item", "sku": kit, "base_unit": "pc", "kit": [{"sku": part, "quantity": 2}]}
    shop.keeper.ask("POST", "/v1/policies", {"facts": [item]})
    placed = await buy(shop, checkout, product, 3)
    assert placed.ok, placed
    assert shop.order(placed.order)["state"] == "confirmed"
    assert (shop.keeper.sellable(kit), shop.keeper.sellable(part)) == (2, 4)


async def test_a_cart_of_unknown_products_asks_nothing_of_the_order(shop: Shop, checkout: str) -> None:
    product, _ = shop.product(None, woo=4)
    placed = await buy(shop, checkout, product)
    assert placed.ok
    assert shop.order(placed.order)["state"] == ""
    assert shop.stock_of(product) == 3


async def test_drafts_of_the_block_checkout_hold_nothing(shop: Shop) -> None:
    product, sku = shop.product(2)
    async with Shopper(shop.url) as shopper:
        await shopper.add_block(product)
        await shopper.store("GET", "/checkout")
        await shopper.store("PUT", "/checkout", {"payment_method": "cod"})
    assert shop.keeper.reservations(sku=sku) == []
