"""The gateway is killed: no shopper waits longer than the budget, the shop's choice decides, what waited is sent."""

import asyncio
import contextlib
import time

import pytest

from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import Placed, Shopper


@pytest.fixture(params=["classic", "block"])
def checkout(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


async def buy(shop: Shop, checkout: str, product: int, method: str = "cod") -> Placed:
    async with Shopper(shop.url) as shopper:
        placed: Placed = await getattr(shopper, checkout)(product, 1, method)
        return placed


async def ready(shopper: Shopper, product: int) -> str:
    """To the open page of the checkout; its nonce."""
    await shopper.add(product)
    await shopper.store("GET", "/checkout")
    return await shopper.open_classic()


async def press(shopper: Shopper, checkout: str, nonce: str) -> Placed:
    """`Place order`."""
    return await (shopper.pay_classic(nonce) if checkout == "classic" else shopper.pay_block())


async def test_closed_takes_no_order_and_says_so(shop: Shop, checkout: str) -> None:
    shop.settings(fallback="closed")
    product, _ = shop.product(5)
    shop.keeper.kill()
    try:
        placed = await buy(shop, checkout, product)
        assert not placed.ok
        assert "We cannot check our stock at this moment" in placed.words
        assert [order for order in shop.orders(product) if order["status"] != "checkout-draft"] == []
    finally:
        shop.keeper.start()


async def test_closed_says_the_shops_own_words(shop: Shop) -> None:
    shop.settings(fallback="closed", closed_words="Back at <noon>.")
    product, _ = shop.product(5)
    shop.keeper.kill()
    try:
        assert (await buy(shop, "block", product)).words.startswith("Back at")
    finally:
        shop.keeper.start()


async def test_open_takes_orders_with_the_shops_own_stock_and_marks_them(shop: Shop, checkout: str) -> None:
    shop.settings(fallback="open")
    product, sku = shop.product(5, woo=2)
    shop.site.call("mark_product", id=product)
    shop.keeper.kill()
    try:
        placed = [await buy(shop, checkout, product) for _ in range(2)]
        assert [one.ok for one in placed] == [True, True], placed
        assert shop.stock_of(product) == 0, "WooCommerce counts while nobody else can"
        order = shop.order(placed[0].order)
        assert (order["state"], order["reservation"]) == ("fallback-open", "")
    finally:
        shop.keeper.start()
    shop.run_outbox()
    assert shop.keeper.sellable(sku) == 5, "these orders are the connector's to count"


async def test_open_with_many_shoppers_sells_no_more_than_the_shop_has(shop: Shop, checkout: str) -> None:
    shop.settings(fallback="open")
    product, _ = shop.product(20, woo=4)
    shop.keeper.kill()
    try:
        async with contextlib.AsyncExitStack() as stack:
            shoppers = [await stack.enter_async_context(Shopper(shop.url)) for _ in range(10)]
            nonces = [await ready(one, product) for one in shoppers]
            placed = await asyncio.gather(
                *(press(one, checkout, nonce) for one, nonce in zip(shoppers, nonces, strict=True))
            )
        assert sum(one.ok for one in placed) == 4
        assert shop.stock_of(product) == 0
    finally:
        shop.keeper.start()


async def test_a_confirmation_that_was_missed_is_sent_later(shop: Shop) -> None:
    shop.settings(budget_ms=300)
    product, sku = shop.product(2)
    placed = await buy(shop, "classic", product, "offsite")
    assert placed.ok
    shop.keeper.kill()
    try:
        shop.paid(placed.order)
        assert shop.order(placed.order)["state"] == "held"
        assert shop.run_outbox() >= 1
        assert shop.order(placed.order)["state"] == "held"
    finally:
        shop.keeper.start()
    assert shop.run_outbox() >= 1
    assert shop.order(placed.order)["state"] == "confirmed"
    assert shop.keeper.sellable(sku) == 1


async def test_what_was_cancelled_meanwhile_is_given_back_not_confirmed(shop: Shop) -> None:
    """What waits names the order, and what to do follows from the order when its turn comes."""
    shop.settings(budget_ms=300)
    product, sku = shop.product(2)
    placed = await buy(shop, "classic", product, "offsite")
    shop.keeper.kill()
    try:
        shop.paid(placed.order)
        shop.status(placed.order, "cancelled")
    finally:
        shop.keeper.start()
    shop.run_outbox()
    assert shop.order(placed.order)["state"] == "released"
    assert shop.keeper.sellable(sku) == 2


async def test_no_shopper_waits_for_a_gateway_that_hangs(shop: Shop) -> None:
    """It takes connections and says nothing, as a machine that swaps. Three wait, then the breaker is open."""
    silent = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    shop.settings(fallback="open", budget_ms=200, url=f"http://127.0.0.1:{port}")
    took = shop.site.call("times_of_calls", budget_ms=200, calls=6)
    silent.close()
    assert all(150 < one < 400 for one in took[:3]), took
    assert all(one < 50 for one in took[3:]), took


async def test_a_reserve_that_timed_out_is_asked_again_under_the_same_id(shop: Shop, checkout: str) -> None:
    """It reached the gateway and was done; only the answer came too late. The shopper tries again and has it."""
    product, sku = shop.product(1)

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", shop.keeper.port)
        request = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in request.lower().split(b"\r\n") if line.startswith(b"content-length")),
            0,
        )
        body = await reader.readexactly(length)
        back.write(request + body)
        await there.readuntil(b"\r\n\r\n")
        await asyncio.sleep(5 if b"/v1/reservations/" in request else 0)
        writer.close()
        back.close()

    slow = await asyncio.start_server(slowly, "127.0.0.1", 0)
    shop.settings(fallback="closed", budget_ms=500, url=f"http://127.0.0.1:{slow.sockets[0].getsockname()[1]}")
    async with Shopper(shop.url) as shopper:
        first: Placed = await getattr(shopper, checkout)(product)
        assert not first.ok
        assert [one["state"] for one in shop.keeper.reservations(sku=sku)] == ["held"]
        shop.settings(fallback="closed")
        shop.site.call("set_stock", id=product, quantity=1)
        again = (
            await shopper.pay_classic(await shopper.open_classic())
            if checkout == "classic"
            else await shopper.pay_block()
        )
        assert again.ok, again
    slow.close()
    assert [(one["state"], one["order_ref"]) for one in shop.keeper.reservations(sku=sku)] == [
        ("committed", str(again.order))
    ]


async def test_the_breaker_closes_when_the_gateway_is_back(shop: Shop) -> None:
    shop.settings(fallback="closed", budget_ms=300)
    product, _ = shop.product(9)
    shop.keeper.kill()
    try:
        for _ in range(2):
            assert not (await buy(shop, "block", product)).ok
    finally:
        shop.keeper.start()
    deadline = time.monotonic() + 20
    while not (await buy(shop, "block", product)).ok:
        assert time.monotonic() < deadline
