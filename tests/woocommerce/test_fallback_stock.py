"""While the gateway is down a shop that takes orders sells what its last figure leaves, and no more.

The figure has a place in LOG. What this shop took through the gateway since that place is not in it, and counts beside
it; what was taken before is in it. What falls open is taken off the figure, also off an older one that comes late.
"""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.ports import free_port
from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import Placed, Shopper


@pytest.fixture(params=["classic", "block"])
def checkout(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def open_shop(shop: Shop) -> Shop:
    shop.settings(fallback="open")
    return shop


@contextlib.contextmanager
def without_a_gateway(shop: Shop) -> Iterator[None]:
    """Nobody listens where the shop looks for it."""
    shop.settings(fallback="open", url=f"http://127.0.0.1:{free_port()}")
    yield
    shop.settings(fallback="open")
    shop.run_outbox()


async def buy(shop: Shop, product: int, method: str = "cod", checkout: str = "block") -> Placed:
    async with Shopper(shop.url) as shopper:
        placed: Placed = await getattr(shopper, checkout)(product, 1, method)
        return placed


async def sold(shop: Shop, product: int, tries: int, checkout: str = "block") -> int:
    """How many of so many shoppers get a piece, who all have it in their carts and press one after another."""
    async with contextlib.AsyncExitStack() as stack:
        shoppers = [await stack.enter_async_context(Shopper(shop.url)) for _ in range(tries)]
        nonces = [await ready(one, checkout, product) for one in shoppers]
        return sum([(await press(one, checkout, nonce)).ok for one, nonce in zip(shoppers, nonces, strict=True)])


async def ready(shopper: Shopper, checkout: str, product: int) -> str:
    """To the open page of the checkout; its nonce."""
    await shopper.add(product)
    if checkout == "classic":
        return await shopper.open_classic()
    await shopper.store("GET", "/checkout")
    return ""


async def press(shopper: Shopper, checkout: str, nonce: str) -> Placed:
    """`Place order`."""
    return await (shopper.pay_classic(nonce) if checkout == "classic" else shopper.pay_block())


def place(shop: Shop, sku: str) -> int:
    """Where in LOG the newest hold of a SKU is."""
    return max(int(one["sequence"]) for one in shop.keeper.reservations(sku=sku))


async def test_what_this_shop_took_since_the_figure_is_not_sold_again(open_shop: Shop, checkout: str) -> None:
    shop = open_shop
    product, _ = shop.product(5, woo=5)
    shop.site.call("mark_product", id=product)
    for method in ("cod", "cod", "offsite"):
        assert (await buy(shop, product, method, checkout)).ok
    assert shop.stock_of(product) == 5, "the connector has written nothing since"
    with without_a_gateway(shop):
        assert await sold(shop, product, 4, checkout) == 2
        assert shop.stock_of(product) == 3


async def test_what_the_figure_shows_already_is_not_counted_twice(open_shop: Shop) -> None:
    shop = open_shop
    product, sku = shop.product(4, woo=4)
    assert (await buy(shop, product)).ok
    assert shop.site.call("figure", id=product, quantity=3, sequence=place(shop, sku)) in {"written", "same"}
    with without_a_gateway(shop):
        assert await sold(shop, product, 4) == 3


async def test_what_was_given_back_is_sold(open_shop: Shop) -> None:
    """Once while the gateway answers, once while it does not."""
    shop = open_shop
    product, _ = shop.product(3, woo=3)
    shop.site.call("mark_product", id=product)
    first, second, third = [(await buy(shop, product, "offsite")).order for _ in range(3)]
    shop.status(first, "cancelled")
    with without_a_gateway(shop):
        shop.status(second, "cancelled")
        shop.paid(third)
        assert await sold(shop, product, 3) == 2


async def test_a_figure_from_before_the_outage_brings_nothing_back(open_shop: Shop) -> None:
    """It waited in the connector while orders fell open; one from afterwards has counted them."""
    shop = open_shop
    product, sku = shop.product(5, woo=5)
    shop.site.call("mark_product", id=product)
    assert (await buy(shop, product)).ok
    before = place(shop, sku)
    with without_a_gateway(shop):
        assert await sold(shop, product, 1) == 1
        shop.site.call("figure", id=product, quantity=4, sequence=before)
        assert shop.stock_of(product) == 3
        assert await sold(shop, product, 4) == 3
        shop.site.call("figure", id=product, quantity=6, sequence=before + 1)
        assert shop.stock_of(product) == 6


async def test_pages_show_what_the_figure_leaves(open_shop: Shop) -> None:
    shop = open_shop
    product, _ = shop.product(2, woo=2)
    shop.site.call("mark_product", id=product)
    assert (await buy(shop, product)).ok
    with without_a_gateway(shop):
        async with Shopper(shop.url) as shopper, shopper.http.get(f"{shop.url}/?p={product}") as page:
            assert "1 in stock" in await page.text()
