"""The gateway is killed in the middle of a rush: fifty shoppers, ten pieces, both checkouts at once.

What must hold. Closed: nothing is ever sold twice; who is refused reads why; who presses again once the gateway is back
gets what is left, so that ten orders stand in the end. Open: the shop sells what its last figure leaves beside what it
took since, so that nothing is sold twice; each order that fell open is marked, and the connector states it as demand.
What another channel sold meanwhile is sold twice, and listed.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.serving import holdfast
from tests.woocommerce.shop import Shop
from tests.woocommerce.shoppers import Placed, Shopper

SHOPPERS, PIECES, BEFORE_THE_KILL = 50, 10, 3
PIECES_OPEN, ELSEWHERE = 25, 2
SORRY = "We cannot check our stock at this moment"
SETTLED_S = 180.0


class Rush:
    """Shoppers at the open page of a checkout: every second one is on blocks."""

    def __init__(self, shop: Shop, product: int) -> None:
        self.shop, self.product = shop, product
        self.open = contextlib.AsyncExitStack()
        self.ready: list[tuple[Shopper, str]] = []
        self.won: list[Placed] = []
        self.refused: Counter[str] = Counter()
        self.killed = asyncio.Event()

    async def arrive(self) -> None:
        async def one() -> tuple[Shopper, str]:
            shopper = await self.open.enter_async_context(Shopper(self.shop.url))
            await shopper.add(self.product)
            await shopper.store("GET", "/checkout")
            return shopper, await shopper.open_classic()

        self.ready = await asyncio.gather(*(one() for _ in range(SHOPPERS)))

    async def press(self, number: int) -> Placed:
        shopper, nonce = self.ready[number]
        placed = await (shopper.pay_block() if number % 2 else shopper.pay_classic(nonce))
        if placed.ok:
            self.won.append(placed)
            if len(self.won) == BEFORE_THE_KILL:
                self.shop.keeper.kill()
                self.killed.set()
        else:
            self.refused[placed.words] += 1
        return placed

    async def all_at_once(self) -> None:
        placed = await asyncio.gather(*(self.press(number) for number in range(SHOPPERS)))
        assert self.killed.is_set()
        self.losers = [number for number, one in enumerate(placed) if not one.ok]

    def states(self) -> Counter[str]:
        """Orders that stand, by the state of their mark."""
        stored = self.shop.orders(self.product)
        return Counter(one["state"] for one in stored if one["status"] in {"processing", "on-hold", "completed"})

    def committed(self, sku: str) -> set[str]:
        return {one["order_ref"] for one in self.shop.keeper.reservations(sku=sku, state="committed")}


@pytest.fixture
def killable(shop: Shop) -> Iterator[Shop]:
    """A shop whose gateway runs again afterwards."""
    yield shop
    shop.keeper.stop()
    shop.keeper.start()


async def test_closed_never_sells_twice_and_sells_all_once_it_is_back(killable: Shop) -> None:
    shop = killable
    shop.settings(fallback="closed", cache_seconds=300)
    product, sku = shop.product(PIECES, woo=PIECES)
    shop.site.call("mark_product", id=product)
    rush = Rush(shop, product)
    async with rush.open:
        await rush.arrive()
        await rush.all_at_once()
        during = len(rush.won)
        assert BEFORE_THE_KILL <= during <= PIECES
        assert all(SORRY in words or "sold out" in words for words in rush.refused), rush.refused
        shop.keeper.start()
        deadline = time.monotonic() + SETTLED_S
        while rush.losers and time.monotonic() < deadline:
            number = rush.losers.pop(0)
            placed = await rush.press(number)
            if not placed.ok and "sold out" not in placed.words:
                rush.losers.append(number)
    shop.run_outbox()
    assert len(rush.won) == PIECES, rush.refused
    assert rush.states() == {"confirmed": PIECES}, "and no other order was stored"
    assert rush.committed(sku) == {str(one.order) for one in rush.won}
    assert shop.keeper.sellable(sku) == 0
    print(f"closed: {during} orders before and at the kill, {PIECES} in the end; refused: {dict(rush.refused)}")


async def open_rush(shop: Shop) -> tuple[int, str, int]:
    """A rush with the fallback "open" that sells each piece once; the product, its SKU, how many orders fell open.

    More pieces than workers take before they learn of the kill, so that some are left for orders that fall open.
    """
    shop.settings(fallback="open", cache_seconds=300)
    product, sku = shop.product(PIECES_OPEN, woo=PIECES_OPEN)
    shop.site.call("mark_product", id=product)
    rush = Rush(shop, product)
    async with rush.open:
        await rush.arrive()
        await rush.all_at_once()
    states = rush.states()
    fell = states["fallback-open"]
    assert fell > 0
    assert sum(states.values()) == len(rush.won) == PIECES_OPEN, (states, rush.refused)
    assert shop.stock_of(product) == PIECES_OPEN - fell
    shop.keeper.start("--woo", "--set", "publisher.enabled=true")
    shop.run_outbox()
    held = {str(one["id"]) for one in shop.orders(product) if one["state"] == "confirmed"}
    assert (rush.committed(sku), len(held)) == (held, len(rush.won) - fell)
    print(
        f"open: {len(rush.won)} orders for {PIECES_OPEN} pieces, {fell} without the gateway; "
        f"refused: {dict(rush.refused)}"
    )
    return product, sku, fell


async def test_open_sells_nothing_twice(killable: Shop) -> None:
    _, sku, fell = await open_rush(killable)
    assert killable.keeper.sellable(sku) == fell, "until the connector has reported what fell open"


@pytest.mark.usefixtures("real_woocommerce")
async def test_what_fell_open_is_counted_and_what_is_too_much_is_listed(killable: Shop, tmp_path: Path) -> None:
    """The connector reads orders over REST v3, which the double has not."""
    shop = killable
    product, sku, fell = await open_rush(shop)
    shop.keeper.stock(sku, PIECES_OPEN - ELSEWHERE)  # so many were sold in a store meanwhile
    connect(shop, tmp_path)
    await until_explained(shop, sku, demand=fell, beyond=ELSEWHERE)
    assert shop.keeper.sellable(sku) == 0
    await until_stock(shop, product, 0)
    standing = [one for one in shop.orders(product) if (one["state"], one["status"]) == ("fallback-open", "processing")]
    for order in standing[:ELSEWHERE]:
        shop.status(order["id"], "cancelled")
    read_orders(shop)
    await until_explained(shop, sku, demand=fell - ELSEWHERE, beyond=0)


def connect(shop: Shop, directory: Path) -> None:
    """As the shop's owner does it."""
    shop.keeper.ask(
        "POST", "/v1/policies", {"facts": [{"kind": "channel", "channel": "web", "locations": "*", "buffer": 0}]}
    )
    shop.site.call("rest_key")
    key = directory / "shop.key"
    key.write_text("ck_test\ncs_test\n")
    key.chmod(0o600)
    given = ("--url", shop.url, "--rest-key", str(key), "--channel", "web", "--data", str(shop.keeper.store))
    made = holdfast("woo", "connect", "shop", *given)
    assert made.returncode in {0, 1}, made.stdout + made.stderr
    assert "the shop answers" in made.stdout


def read_orders(shop: Shop) -> None:
    """Now, not in ten minutes."""
    asked = holdfast("woo", "backfill", "shop", "--data", str(shop.keeper.store))
    assert asked.returncode == 0, asked.stdout + asked.stderr


def in_demand(shop: Shop, sku: str) -> int:
    found = shop.keeper.ask("GET", f"/v1/demands?limit=1000&sku={sku}")["items"]
    return sum(one["quantity"] for one in found)


def reported(shop: Shop) -> dict[str, Any]:
    """What `holdfast woo status` says."""
    asked = holdfast("woo", "status", "--json", "--data", str(shop.keeper.store))
    (report,) = orjson.loads(asked.stdout)
    return dict(report)


async def until_explained(shop: Shop, sku: str, *, demand: int, beyond: int) -> None:
    deadline = time.monotonic() + SETTLED_S
    while True:
        report = reported(shop)
        found = (in_demand(shop, sku), report.get("short", {}).get(sku, 0))
        if found == (demand, beyond):
            return
        assert time.monotonic() < deadline, (found, (demand, beyond), report, shop.keeper.explained(sku))
        await asyncio.sleep(2)


async def until_stock(shop: Shop, product: int, stock: int) -> None:
    deadline = time.monotonic() + SETTLED_S
    while shop.stock_of(product) != stock:
        assert time.monotonic() < deadline, shop.stock_of(product)
        await asyncio.sleep(0.5)
