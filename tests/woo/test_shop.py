"""Reading and writing a shop: the traps of its REST API, one by one, against the double."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.settings import WooSettings
from holdfast.woo.guardian import TOPICS, Guardian
from holdfast.woo.pusher import Pusher
from holdfast.woo.queue import PushQueue, Value
from holdfast.woo.rest import Shop, ShopError, signed
from holdfast.woo.shop_orders import ShopOrders
from holdfast.woo.stores import Pacing, Store
from tests.support.ports import free_port
from tests.support.woo_store.model import Model
from tests.support.woo_store.server import KEY, StoreServer, opened

TERMS = Store(url="http://127.0.0.1", channel="web", pace=Pacing(busy_percent=100, timeout_ms=500))


@asynccontextmanager
async def shop_of(model: Model, *, plugin: bool = False) -> AsyncIterator[tuple[StoreServer, Shop]]:
    async with opened(StoreServer(model, plugin=plugin)) as server, Shop(server.url, KEY, 500) as shop:
        yield server, shop


def model_with(orders: int, *, apart_s: float = 1.0) -> Model:
    now = [time.time() - 5_000.0]
    model = Model(clock=lambda: now[0])
    model.add("MUG", 1_000)
    for _ in range(orders):
        now[0] += apart_s
        model.place([("MUG", 1)])
    now[0] = time.time()
    return model


async def read_all(shop: Shop, since_s: int = 0) -> list[int]:
    orders = ShopOrders(shop, WooSettings())
    return [one.order async for page in orders.changed_since(since_s or int(time.time()) - 9_000) for one in page]


async def test_orders_that_change_while_pages_are_read_hide_no_other() -> None:
    model = model_with(350)
    async with shop_of(model) as (server, shop):
        everything = set(model.orders)

        def change(_: int) -> None:  # the first ones move to the end, and all others one page forward
            for order in sorted(model.orders.values(), key=lambda one: one.modified_s)[:40]:
                if server.count("/wp-json/wc/v3/orders") < 4:
                    model.change(order, "on-hold")

        server.before_page = change
        assert set(await read_all(shop)) == everything


async def test_more_orders_of_one_second_than_a_page_has_are_all_read() -> None:
    model = model_with(250, apart_s=0.0)
    async with shop_of(model) as (_, shop):
        assert sorted(set(await read_all(shop))) == sorted(model.orders)


async def test_what_is_in_the_trash_is_read_and_the_first_second_too() -> None:
    model = model_with(3)
    first, second, _ = model.orders.values()
    model.trash(second)
    async with shop_of(model) as (_, shop):
        assert second.id in await read_all(shop)
        assert first.id in await read_all(shop, int(first.modified_s)), "`modified_after` leaves its own second out"
        orders = ShopOrders(shop, WooSettings())
        found, missing = await orders.by_number([first.id, second.id, 99_999])
        assert ({one.order for one in found}, missing) == ({first.id, second.id}, [99_999])
        by = {one.order: one for one in found}
        assert (by[second.id].status, by[first.id].settled, by[second.id].settled) == ("trash", True, False)


async def test_what_is_no_answer_of_the_api_is_no_answer() -> None:
    model = model_with(1)
    async with shop_of(model) as (server, shop):
        server.faults.notices = True
        with pytest.raises(ShopError, match="no JSON") as caught:
            await shop.get("orders")
        assert caught.value.is_passing
        server.faults.notices = False
        server.faults.down, server.faults.retry_after = True, "7"
        with pytest.raises(ShopError) as caught:
            await shop.get("orders")
        assert (caught.value.status, caught.value.retry_after_s) == (503, 7.0)
        async with Shop(server.url, ("ck_test", "cs_other"), 500) as other:
            server.faults.down = False
            with pytest.raises(ShopError) as caught:
                await other.get("orders")
            assert (caught.value.status, caught.value.is_passing) == (401, False)


async def test_a_redirect_does_not_take_the_key_elsewhere() -> None:
    came: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        came.append(request.path)
        raise web.HTTPMovedPermanently("http://127.0.0.1:9/else?ck=1")

    app = web.Application()
    app.router.add_get("/{rest:.*}", elsewhere)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with Shop(f"http://127.0.0.1:{port}", KEY, 500) as shop:
        with pytest.raises(ShopError, match=r"redirects to http://127\.0\.0\.1:9/else;"):
            await shop.get("orders")
    await runner.cleanup()
    assert len(came) == 1


def test_the_signature_is_that_of_oauth() -> None:
    """Computed by hand by RFC 5849, section 3.4: names and values encoded, sorted, joined, and encoded once more."""
    given = signed("get", "http://x.example/wp-json/wc/v3/orders", {"sku": "a b,c", "page": "2"}, KEY, 1, "n")
    import base64
    import hashlib
    import hmac

    base = (
        "GET&http%3A%2F%2Fx.example%2Fwp-json%2Fwc%2Fv3%2Forders&oauth_consumer_key%3Dck_test%26oauth_nonce%3Dn%26"
        "oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D1%26page%3D2%26sku%3Da%2520b%252Cc"
    )
    wanted = base64.b64encode(hmac.new(b"cs_test&", base.encode(), hashlib.sha256).digest()).decode()
    assert given["oauth_signature"] == wanted


@pytest.mark.parametrize("plugin", [True, False])
async def test_a_write_that_is_done_after_the_connector_gave_up_ends_in_the_newest_figure(plugin: bool) -> None:
    model = Model()
    mug = model.add("MUG", 3)
    async with shop_of(model, plugin=plugin) as (server, shop):
        queue = PushQueue(doubt_s=1.5)
        pusher = Pusher(TERMS, shop, queue, plugin=plugin)
        running = asyncio.create_task(pusher.run())
        server.faults.hang_until = asyncio.Event()
        queue.want("MUG", Value(9, "", 1))
        await asyncio.sleep(0.8)  # it is given up meanwhile
        queue.want("MUG", Value(5, "", 2))
        server.faults.hang_until.set()
        server.faults.hang_until = None
        for _ in range(100):
            await asyncio.sleep(0.05)
            if mug.stock == 5:
                break
        mug.stock = 9  # the first write comes through at last
        mug.sequence = 1 if plugin else mug.sequence
        for _ in range(100):
            await asyncio.sleep(0.05)
            if mug.stock == 5:
                break
        running.cancel()
        assert mug.stock == 5


async def test_a_plugin_that_was_removed_is_done_without() -> None:
    model = Model()
    mug = model.add("MUG", 3)
    async with shop_of(model, plugin=True) as (server, shop):
        queue = PushQueue(doubt_s=1.0)
        pusher = Pusher(TERMS, shop, queue, plugin=True)
        queue.want("MUG", Value(9, "", 1))
        await pusher.step()
        assert (mug.stock, server.count("/wp-json/holdfast/v1/stock", "POST")) == (9, 1)
        server.plugin = False
        queue.want("MUG", Value(4, "", 2))
        for _ in range(20):
            await pusher.step()
        assert (mug.stock, pusher.plugin, pusher.pace.items_max) == (4, False, 100)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 230), st.sets(st.integers(0, 229), max_size=3), st.booleans())
def test_a_sku_for_which_a_whole_call_is_refused_is_found_and_the_others_are_written(
    skus: int, walled: set[int], plugin: bool
) -> None:
    asyncio.run(_past_a_wall([f"S{n}" for n in range(skus)], {f"S{n}" for n in walled if n < skus}, plugin))


async def _past_a_wall(skus: list[str], walled: set[str], plugin: bool) -> None:
    model = Model()
    products = {sku: model.add(sku, 0) for sku in skus}
    async with shop_of(model, plugin=plugin) as (server, shop):
        server.faults.walled = frozenset(walled)
        queue = PushQueue(doubt_s=60.0)
        pusher = Pusher(TERMS, shop, queue, plugin=plugin)
        for sku in skus:
            queue.want(sku, Value(9, "", 1))
        while len(queue):
            await pusher.step()
        assert {sku for sku, product in products.items() if product.stock != 9} == walled
        assert set(pusher.problems.by_sku) == walled
        assert queue.set_aside == len(walled)
        assert pusher.calls_total <= 40 * (1 + len(walled)), "found by halving, not one by one"


async def test_a_key_that_is_refused_is_blamed_on_no_sku() -> None:
    model = Model()
    async with opened(StoreServer(model)) as server, Shop(server.url, ("ck_test", "cs_other"), 500) as shop:
        queue = PushQueue(doubt_s=60.0)
        pusher = Pusher(TERMS, shop, queue, plugin=False)
        for n in range(100):
            queue.want(f"S{n}", Value(9, "", 1))
        await pusher.step()
        assert (len(queue), queue.set_aside, shop.requests_total) == (100, 0, 1)


async def test_webhooks_are_made_repaired_and_those_of_others_left_alone() -> None:
    model = Model()
    async with shop_of(model) as (server, shop):
        hooks = server.webhooks
        foreign = hooks.make("order.updated", "http://127.0.0.1:9/other", "x")
        foreign.status = "paused"
        guardian = Guardian(shop, "shop", "http://127.0.0.1:9/v1/webhooks/woocommerce/shop")
        assert await guardian.watch("first") == 4
        assert await guardian.watch("first") == 0
        ours = {one.topic: one for one in hooks.all.values() if one is not foreign}
        assert set(ours) == set(TOPICS)
        hooks.make("order.created", ours["order.created"].url, "y")
        ours["order.updated"].status = "disabled"
        del hooks.all[ours["order.deleted"].id]
        assert await guardian.watch("second") == 3
        found = [one for one in hooks.all.values() if one is not foreign]
        assert sorted(one.topic for one in found) == sorted(TOPICS)
        assert {(one.status, one.secret) for one in found} == {("active", "second")}
        assert (foreign.status, guardian.health.ended_by_shop) == ("paused", 1)


async def test_the_double_ends_a_webhook_with_the_seventh_failure_and_collects_nothing_then() -> None:
    model = Model()
    model.add("MUG", 10)
    async with shop_of(model) as (server, _):
        hook = server.webhooks.make("order.created", "http://127.0.0.1:9/", "x")
        for failures in range(1, 8):
            model.place([("MUG", 1)])
            model.place([("MUG", 1)]) if failures == 7 else None
            await server.webhooks.run_queue()
        assert hook.status == "disabled"
        model.place([("MUG", 1)])
        assert await server.webhooks.run_queue() == 0
        assert server.webhooks.pending == {}
