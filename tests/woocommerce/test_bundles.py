"""A bundle and its parts are lines of one order: each piece is held once, whether the bundle's SKU is a kit or not."""

import pytest

from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import Placed, Shopper


async def buy_together(shop: Shop, products: list[int], checkout: str) -> Placed:
    async with Shopper(shop.url) as shopper:
        for product in products:
            await shopper.add(product)
        if checkout == "classic":
            return await shopper.pay_classic(await shopper.open_classic())
        await shopper.store("GET", "/checkout")
        return await shopper.pay_block()


@pytest.mark.parametrize("checkout", ["classic", "block"])
async def test_a_bundle_whose_sku_is_a_kit_is_held_by_its_parts(shop: Shop, checkout: str) -> None:
    part, sku = shop.product(10)
    wrapper, kit = shop.product(None, woo=5)
    item = {"kind": "item", "sku": kit, "base_unit": "pc", "kit": [{"sku": sku, "quantity": 1}]}
    shop.keeper.ask("POST", "/v1/policies", {"facts": [item]})
    shop.site.call("bundle", wrapper=wrapper, parts=[part])
    placed = await buy_together(shop, [wrapper, part], checkout)
    assert placed.ok, placed
    assert shop.keeper.sellable(sku) == 9
    (held,) = shop.keeper.reservations(sku=sku)
    assert [line["sku"] for line in held["lines"]] == [sku]
    assert shop.order(placed.order)["not_held"] in ("", [])
    alone = await buy_together(shop, [wrapper], checkout)
    assert alone.ok
    assert shop.keeper.sellable(sku) == 8, "without its parts beside it, it is the kit"


async def test_a_bundle_with_pieces_of_its_own_sku_is_held_beside_its_parts(shop: Shop) -> None:
    part, sku = shop.product(10)
    wrapper, box = shop.product(5)
    shop.site.call("bundle", wrapper=wrapper, parts=[part])
    assert (await buy_together(shop, [wrapper, part], "block")).ok
    assert (shop.keeper.sellable(sku), shop.keeper.sellable(box)) == (9, 4)


async def test_a_kit_whose_parts_holdfast_does_not_know_is_held_as_the_kit(shop: Shop) -> None:
    _, inside = shop.product(10)
    part, _ = shop.product(None, woo=5)
    wrapper, kit = shop.product(None, woo=5)
    item = {"kind": "item", "sku": kit, "base_unit": "pc", "kit": [{"sku": inside, "quantity": 1}]}
    shop.keeper.ask("POST", "/v1/policies", {"facts": [item]})
    shop.site.call("bundle", wrapper=wrapper, parts=[part])
    assert (await buy_together(shop, [wrapper, part], "block")).ok
    assert shop.keeper.sellable(inside) == 9
