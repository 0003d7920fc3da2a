"""The double's HTTP side: the routes that the connector calls, and faults on request.

In: requests as the connector sends them, signed. Out: answers as WooCommerce gives them. Always: listens on loopback;
what the REST API refuses is refused here for the same reason and with the same code.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from holdfast.woo.rest import signed
from holdfast.woo.snapshots import seconds_of
from tests.support.ports import free_port
from tests.support.woo_store.model import Model, Order, Product
from tests.support.woo_store.webhooks import Webhooks

KEY = ("ck_test", "cs_test")


@dataclass
class Faults:
    """`down`: no answer but 503. `late_s`: the work is done at once, the answer comes so much later."""

    down: bool = False
    late_s: float = 0.0
    hang_until: asyncio.Event | None = None
    retry_after: str = ""
    notices: bool = False
    """PHP writes a warning before the JSON."""
    walled: frozenset[str] = frozenset()
    """SKUs for which something before the shop, a firewall, refuses the whole request."""


@dataclass
class Called:
    method: str
    path: str
    query: dict[str, str]
    body: Any = None


@dataclass
class StoreServer:
    model: Model
    plugin: bool = False
    batch_ms_per_item: float = 0.0
    faults: Faults = field(default_factory=Faults)
    calls: list[Called] = field(default_factory=list)
    before_page: Callable[[int], None] | None = None
    url: str = ""

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.model)

    def count(self, path: str, method: str = "GET") -> int:
        return sum(1 for one in self.calls if one.path == path and one.method == method)

    # ---- the way in

    @web.middleware
    async def _entered(self, request: web.Request, handler: Any) -> web.StreamResponse:
        faults = self.faults
        if faults.down:
            headers = {"Retry-After": faults.retry_after} if faults.retry_after else {}
            return web.Response(status=503, text="<html>Service Unavailable</html>", headers=headers)
        if not self._is_signed(request):
            return refusal(401, "woocommerce_rest_authentication_error", "Invalid signature")
        body = await request.json() if request.can_read_body else None
        if faults.walled and not faults.walled.isdisjoint(named_in(request, body)):
            return web.Response(status=403, text="<html>Forbidden</html>")
        self.calls.append(Called(request.method, request.path, given_by(request), body))
        answer: web.StreamResponse = await handler(request)
        if faults.hang_until is not None:
            await faults.hang_until.wait()
        if faults.late_s:
            await asyncio.sleep(faults.late_s)
        if faults.notices and isinstance(answer, web.Response) and answer.text:
            return web.Response(status=answer.status, text="<b>Warning</b>: x in y.php" + answer.text)
        return answer

    def _is_signed(self, request: web.Request) -> bool:
        given = dict(request.query)
        signature = given.pop("oauth_signature", "")
        url = f"http://{request.host}{request.path}"
        nonce, at = given.get("oauth_nonce", ""), int(given.get("oauth_timestamp", 0))
        plain = {name: value for name, value in given.items() if not name.startswith("oauth_")}
        wanted = signed(request.method, url, plain, KEY, at, nonce)["oauth_signature"]
        basic = "Basic " + base64.b64encode(":".join(KEY).encode()).decode()
        assert request.headers.get("Authorization") != basic, "a key must not go over plain HTTP"
        return signature == wanted and given.get("oauth_consumer_key") == KEY[0]

    # ---- orders

    async def _orders(self, request: web.Request) -> web.Response:
        given = given_by(request)
        status = given.get("status", "any")
        found = [one for one in self.model.orders.values() if _is_listed(one, status)]
        if "include" in given:
            wanted = {int(part) for part in given["include"].split(",")}
            found = [one for one in found if one.id in wanted]
        if "modified_after" in given:
            assert given.get("dates_are_gmt") == "true", "else the shop's own time zone counts"
            after = seconds_of(given["modified_after"])
            found = [one for one in found if int(one.modified_s) > after]
        found.sort(key=lambda one: (int(one.modified_s), one.id))
        answer = self._page(given, [self.model.payload(one) for one in found])
        if self.before_page is not None:
            self.before_page(int(given.get("page", "1")))
        return answer

    async def _order(self, request: web.Request) -> web.Response:
        order = self.model.orders.get(int(request.match_info["id"]))
        if order is None:
            return refusal(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
        return web.json_response(self.model.payload(order))

    async def _refunds(self, request: web.Request) -> web.Response:
        order = self.model.orders.get(int(request.match_info["id"]))
        if order is None:
            return refusal(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
        return self._page(given_by(request), self.model.refunds(order))

    def _page(self, given: dict[str, str], found: list[Any]) -> web.Response:
        most, number = int(given.get("per_page", "10")), int(given.get("page", "1"))
        if most > 100:
            return refusal(400, "rest_invalid_param", "Invalid parameter(s): per_page")
        headers = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(-(-len(found) // most))}
        return web.json_response(found[(number - 1) * most : number * most], headers=headers)

    # ---- products

    async def _products(self, request: web.Request) -> web.Response:
        given = given_by(request)
        found = list(self.model.products.values())
        if "sku" in given:
            wanted = {part.strip() for part in given["sku"].split(",")}
            found = [one for one in found if one.sku in wanted]
        else:
            found = [one for one in found if not one.parent]
        return self._page(given, [one.payload() for one in found])

    async def _product(self, request: web.Request) -> web.Response:
        product = self.model.products.get(int(request.match_info["id"]))
        if product is None:
            return refusal(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        return web.json_response(product.payload())

    async def _variations(self, request: web.Request) -> web.Response:
        parent = int(request.match_info["id"])
        found = [one.payload() for one in self.model.products.values() if one.parent == parent]
        return self._page(given_by(request), found)

    async def _batch(self, request: web.Request) -> web.Response:
        parent = int(request.match_info.get("id", "0"))
        updates = (await request.json())["update"]
        if len(updates) > 100:
            code = "woocommerce_rest_request_entity_too_large"
            return refusal(413, code, "Unable to accept more than 100 items for this request.")
        await asyncio.sleep(self.batch_ms_per_item * len(updates) / 1000)
        return web.json_response({"update": [self._updated(one, parent) for one in updates]})

    def _updated(self, item: dict[str, Any], parent: int) -> dict[str, Any]:
        product = self.model.products.get(item["id"])
        if product is None or (parent and product.parent != parent):
            return {
                "id": item["id"],
                "error": {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID."},
            }
        if product.parent and not parent:
            message = "To manipulate product variations you should use the /products/<id>/variations/<id> endpoint."
            return {"id": item["id"], "error": {"code": "woocommerce_rest_invalid_product_id", "message": message}}
        self._write(product, int(item["stock_quantity"]))
        product.manages = item.get("manage_stock", product.manages)
        product.backorders = item.get("backorders", product.backorders)
        return product.payload()

    def _write(self, product: Product, quantity: int) -> None:
        product.stock = quantity
        product.writes.append(quantity)

    # ---- the plugin

    async def _about(self, _: web.Request) -> web.Response:
        if not self.plugin:
            return refusal(404, "rest_no_route", "No route was found matching the URL and request method.")
        about = {"plugin_version": "0.1.0", "woocommerce": "10.0.2", "wordpress": "6.8", "php": "8.2"}
        return web.json_response(about | {"hpos": True, "writes_stock": not self.model.moves_stock})

    async def _stock(self, request: web.Request) -> web.Response:
        items = (await request.json())["items"]
        if not self.plugin or len(items) > 500:
            return refusal(400 if self.plugin else 404, "holdfast_too_many", "At most 500 items.")
        await asyncio.sleep(self.batch_ms_per_item * len(items) / 1000)
        return web.json_response({"results": [{"sku": one.get("sku", ""), **self._set(one)} for one in items]})

    def _set(self, item: dict[str, Any]) -> dict[str, str]:
        by_id = self.model.products.get(item.get("product", 0))
        found = self.model.by_sku(item["sku"]) if "sku" in item else [by_id] if by_id else []
        if len(found) != 1:
            return {"status": "ambiguous" if found else "unknown"}
        (product,) = found
        if product.manages == "parent":
            return {"status": "parent"}
        if item["sequence"] < product.sequence:
            return {"status": "older"}
        product.sequence = item["sequence"]
        if product.stock == item["quantity"]:
            return {"status": "same"}
        self._write(product, item["quantity"])
        return {"status": "written"}

    async def _system(self, _: web.Request) -> web.Response:
        return web.json_response({"environment": {"version": "10.0.2", "wp_version": "6.8"}})

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._entered], client_max_size=1 << 24)
        wc = "/wp-json/wc/v3"
        number = "{id:[0-9]+}"
        app.router.add_get(f"{wc}/orders", self._orders)
        app.router.add_get(f"{wc}/orders/{number}", self._order)
        app.router.add_get(f"{wc}/orders/{number}/refunds", self._refunds)
        app.router.add_get(f"{wc}/products", self._products)
        app.router.add_get(f"{wc}/products/{number}", self._product)
        app.router.add_get(f"{wc}/products/{number}/variations", self._variations)
        app.router.add_post(f"{wc}/products/batch", self._batch)
        app.router.add_post(f"{wc}/products/{number}/variations/batch", self._batch)
        app.router.add_get(f"{wc}/webhooks", self._list_webhooks)
        app.router.add_post(f"{wc}/webhooks", self._make_webhook)
        app.router.add_put(f"{wc}/webhooks/{number}", self._change_webhook)
        app.router.add_delete(f"{wc}/webhooks/{number}", self._delete_webhook)
        app.router.add_get(f"{wc}/system_status", self._system)
        app.router.add_get("/wp-json/holdfast/v1/about", self._about)
        app.router.add_post("/wp-json/holdfast/v1/stock", self._stock)
        return app

    # ---- webhooks

    async def _list_webhooks(self, request: web.Request) -> web.Response:
        return self._page(given_by(request), [one.payload() for one in self.webhooks.all.values()])

    async def _make_webhook(self, request: web.Request) -> web.Response:
        given = await request.json()
        made = self.webhooks.make(given["topic"], given["delivery_url"], given["secret"], given.get("name", ""))
        await self.webhooks.ping(made)
        return web.json_response(made.payload(), status=201)

    async def _change_webhook(self, request: web.Request) -> web.Response:
        webhook = self.webhooks.all[int(request.match_info["id"])]
        given = await request.json()
        webhook.status = given.get("status", webhook.status)
        webhook.secret = given.get("secret", webhook.secret)
        if webhook.status == "active":
            webhook.failures = 0
        return web.json_response(webhook.payload())

    async def _delete_webhook(self, request: web.Request) -> web.Response:
        removed = self.webhooks.all.pop(int(request.match_info["id"]))
        return web.json_response(removed.payload())


def given_by(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in request.query.items() if not name.startswith("oauth_")}


def named_in(request: web.Request, body: Any) -> list[str]:
    """SKUs of a request."""
    items = body.get("items", []) if isinstance(body, dict) else []
    return [*given_by(request).get("sku", "").split(","), *(str(one.get("sku", "")) for one in items)]


def _is_listed(order: Order, status: str) -> bool:
    return order.status not in {"trash", "auto-draft"} if status == "any" else order.status == status


def refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "data": {"status": status}}, status=status)


@asynccontextmanager
async def opened(server: StoreServer) -> AsyncIterator[StoreServer]:
    """Listening."""
    port = free_port()
    runner = web.AppRunner(server.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    server.url = f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()
