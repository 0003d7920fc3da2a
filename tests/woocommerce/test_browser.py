"""Two shoppers in Chromium want the last piece, on either checkout: one gets it, the other reads why not.

Screenshots of what both see are in target/woocommerce/, for people to look at.
"""

import asyncio
from pathlib import Path

import pytest

from tests.support.browser import Page, browsing, installed
from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import ADDRESS

SCREENSHOTS = Path(__file__).parent.parent.parent / "target" / "woocommerce"
PATIENCE_S = 90.0
ON_BLOCKS = {"first_name": "Ada", "last_name": "Shopper", "address_1": "1 Main Street", "city": "Lyon"}
PLACE = {
    "classic": "document.querySelector('#place_order')",
    "block": "document.querySelector('.wc-block-components-checkout-place-order-button')",
}
REFUSED = {
    "classic": "document.querySelector('.woocommerce-error, .wc-block-components-notice-banner.is-error')",
    "block": "document.querySelector('.wc-block-components-notice-banner.is-error')",
}


async def arrive(shop: Shop, shopper: Page, checkout: str, product: int) -> None:
    """From the product page to a filled-in form."""
    await shopper.open(f"{shop.url}/?p={product}")
    await shopper.run("document.querySelector('.single_add_to_cart_button').click()")
    await shopper.until(
        "document.readyState === 'complete' && document.body.innerText.includes('added to your cart')", PATIENCE_S
    )
    await shopper.open(f"{shop.url}/?page_id={shop.site.pages[checkout]}")
    await shopper.until(PLACE[checkout], PATIENCE_S)
    if checkout == "classic":
        await shopper.fill({f"billing_{name}": value for name, value in ADDRESS.items()})
        await shopper.until("!document.querySelector('.blockUI')", PATIENCE_S)
    else:
        await shopper.fill({"email": ADDRESS["email"], "billing-country": "FR"})
        await shopper.fill({f"billing-{name}": ADDRESS[name] for name in (*ON_BLOCKS, "postcode", "phone")})
        await asyncio.sleep(2)


async def press(shopper: Page, checkout: str) -> bool:
    """`Place order`; whether the shop thanks for it."""
    await shopper.run(f"{PLACE[checkout]}.click()")
    thanked = "/order-received/.test(location.href)"
    await shopper.until(f"{thanked} || {REFUSED[checkout]}", PATIENCE_S)
    return bool(await shopper.run(thanked))


@pytest.mark.usefixtures("real_woocommerce")
@pytest.mark.parametrize("checkout", ["classic", "block"])
async def test_two_shoppers_and_one_last_piece(shop: Shop, checkout: str) -> None:
    if (program := installed()) is None:
        pytest.skip("needs Chromium")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    shop.settings(cache_seconds=300)
    product, sku = shop.product(1, woo=5)
    async with browsing(program) as first:
        shoppers = [first, await first.another()]
        for one in shoppers:
            await one.size(1100, 1400)
        await asyncio.gather(*(arrive(shop, one, checkout, product) for one in shoppers))
        for number, one in enumerate(shoppers):
            await one.picture(SCREENSHOTS / f"{checkout}-{number}-before.png")
        placed = await asyncio.gather(*(press(one, checkout) for one in shoppers))
        await asyncio.sleep(1)
        for one, ok in zip(shoppers, placed, strict=True):
            await one.picture(SCREENSHOTS / f"{checkout}-{'placed' if ok else 'refused'}.png")
        assert sorted(placed) == [False, True]
        refused = shoppers[placed.index(False)]
        assert "has just sold out. Please remove it from your cart; you were not charged." in await refused.text()
        assert "&quot;" not in await refused.text()
    assert shop.keeper.sellable(sku) == 0
