"""Fifty shoppers press at once for ten pieces: ten orders, nobody oversold, nobody refused for an own older hold."""

import asyncio

import pytest

from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import Placed, Shopper

SHOPPERS, PIECES = 50, 10


@pytest.fixture(params=["classic", "block"])
def checkout(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


async def arrive(shop: Shop, product: int, stack: list[Shopper], *, held_before: int | None) -> tuple[Shopper, str]:
    """To the open checkout page; some have an older order that they did not pay."""
    shopper = await Shopper(shop.url).__aenter__()
    stack.append(shopper)
    if held_before:
        assert (await shopper.classic(held_before, 1, "offsite")).ok
        await shopper.store("DELETE", "/cart/items")
    await shopper.add(product)
    return shopper, await shopper.open_classic()


async def test_fifty_shoppers_for_ten_pieces(shop: Shop, checkout: str) -> None:
    shop.settings(cache_seconds=300, budget_ms=5000)
    product, sku = shop.product(PIECES, woo=1000)
    older, _ = shop.product(1000)
    stack: list[Shopper] = []
    try:
        ready = await asyncio.gather(
            *(
                arrive(shop, product, stack, held_before=older if number % 10 == 0 else None)
                for number in range(SHOPPERS)
            )
        )
        placed: list[Placed] = await asyncio.gather(
            *(one.pay_classic(nonce) if checkout == "classic" else one.pay_block() for one, nonce in ready)
        )
        won = [one for one in placed if one.ok]
        assert len(won) == PIECES, placed
        assert all("sold out" in one.words for one in placed if not one.ok), placed
        assert shop.keeper.sellable(sku) == 0
        assert len({one.order for one in won}) == PIECES
        sold = shop.keeper.reservations(sku=sku, state="committed")
        assert {one["order_ref"] for one in sold} == {str(one.order) for one in won}
        stored = [one for one in shop.orders(product) if one["status"] != "checkout-draft"]
        assert len(stored) == PIECES, "the refused left nothing behind"
        shop.keeper.stock(sku, 1 + PIECES)
        shopper, nonce = next(pair for pair, one in zip(ready, placed, strict=True) if not one.ok)
        again = await shopper.pay_classic(nonce) if checkout == "classic" else await shopper.pay_block()
        assert again.ok, "a shopper who was refused gets what comes back"
    finally:
        await asyncio.gather(*(shopper.http.close() for shopper in stack))


async def test_one_shopper_who_presses_many_times_gets_one_hold(shop: Shop) -> None:
    product, sku = shop.product(5)
    async with Shopper(shop.url) as shopper:
        await shopper.add_block(product)
        await shopper.store("GET", "/checkout")
        placed = await asyncio.gather(*(shopper.pay_block("offsite") for _ in range(5)))
        assert any(one.ok for one in placed), placed
    assert shop.keeper.sellable(sku) == 4
