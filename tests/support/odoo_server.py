"""A contract server: an Odoo as far as the adapter calls it, over JSON-2 and over XML-RPC.

In: HTTP as its documents describe it. Out: answers of their form, and errors with their names. Always: on loopback;
before version 19 there is no JSON-2, and a cancellation that does not say that nobody is to be asked does nothing.
"""

import xmlrpc.client
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web

from holdfast.settings import ErpSettings
from tests.support.odoo_records import RELATIONS, Record, Records, UserError
from tests.support.ports import free_port

DATABASE, USER, KEY = "shop", "web@shop.example", "a-key"
_ACCOUNT = 7
_FIELDS = {"product.product": {"is_storable"}, "stock.move": {"quantity", "purchase_line_id"}}


class OdooServer:
    """`version` 17 has XML-RPC alone, and products of the type `product`."""

    def __init__(self, version: int = 19) -> None:
        self.version = version
        self.records = Records(storable=version >= 18)
        self.down = False
        self.asks_why = False  # before it cancels a sale, in a window
        self.url = ""

    def settings(self, **more: Any) -> ErpSettings:
        given = {"kind": "odoo", "url": self.url, "database": DATABASE, "user": USER, "token": KEY, "customer": "WEB"}
        quick = {"overlap_ms": 60_000, "retry_first_ms": 20, "retry_wait_ms_max": 500, "orders_at_once": 1}
        return ErpSettings(**(given | {"warehouses": "WH=paris,WH2=lyon"} | quick | more))

    # ---- what a call does

    def called(self, model: str, method: str, ids: list[int], values: Any, named: Record) -> Any:
        records, context = self.records, named.get("context") or {}
        match (model, method):
            case (_, "search_read"):
                return self._read(model, named)
            case (_, "fields_get"):
                known = _FIELDS.get(model, set()) - ({"is_storable"} if not records.storable else set())
                return {name: {"type": "char"} for name in named["allfields"] if name in known}
            case ("sale.order", "create"):
                return [records.sell(dict(one)) for one in values]
            case ("sale.order", "action_confirm"):
                for one in ids:
                    records.confirm(one)
            case ("sale.order", "action_cancel"):
                if self.asks_why or (self.version < 19 and not context.get("disable_cancel_warning")):
                    return {"type": "ir.actions.act_window", "res_model": "sale.order.cancel"}
                for one in ids:
                    records.cancel(one)
            case ("stock.picking", "action_cancel"):
                records.cancel_moves([move for move in records.of("stock.move") if move["picking_id"] in ids])
            case _:
                raise UserError(f"the double has no {model}.{method}")
        return True

    def _read(self, model: str, named: Record) -> list[Record]:
        rows = self.records.matching(model, named["domain"])
        if model == "product.product" and (named.get("context") or {}).get("active_test", True):
            rows = [row for row in rows if row["active"]]
        rows = sorted(rows, key=lambda row: row["id"])[: named["limit"]]
        return [{"id": row["id"]} | {name: self._shown(model, name, row) for name in named["fields"]} for row in rows]

    def _shown(self, model: str, name: str, row: Record) -> Any:
        value = row.get(name, False)
        if isinstance(value, datetime):
            return value.strftime("%Y-%m-%d %H:%M:%S")
        if value and name in RELATIONS.get(model, {}):
            return [value, f"{RELATIONS[model][name]} {value}"]
        return value

    # ---- HTTP

    async def _json(self, request: web.Request) -> web.Response:
        if self.version < 19:
            return web.Response(status=404, text="<html>Not Found</html>", content_type="text/html")
        if request.headers.get("Authorization") != f"bearer {KEY}" or request.headers["X-Odoo-Database"] != DATABASE:
            return web.json_response(
                {"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"}, status=401
            )
        named = await request.json()
        ids, values = named.pop("ids", []), named.pop("vals_list", None)
        try:
            found = self.called(request.match_info["model"], request.match_info["method"], ids, values, named)
        except UserError as refusal:
            return web.json_response({"name": "odoo.exceptions.UserError", "message": str(refusal)}, status=422)
        return web.Response(body=orjson.dumps(found), content_type="application/json")

    async def _xml(self, request: web.Request) -> web.Response:
        values, method = xmlrpc.client.loads(await request.text(), use_builtin_types=True)
        try:
            found = self._xml_called(method or "", list(values))
        except UserError as refusal:
            answer = xmlrpc.client.dumps(xmlrpc.client.Fault(2, str(refusal)))
        else:
            answer = xmlrpc.client.dumps((found,), methodresponse=True, allow_none=True)
        return web.Response(text=answer, content_type="text/xml")

    def _xml_called(self, method: str, values: list[Any]) -> Any:
        if method == "authenticate":
            return _ACCOUNT if values[:3] == [DATABASE, USER, KEY] else False
        _, _, _, model, name, placed, named = values
        first = placed[0] if placed else []
        if name == "create":
            return self.called(model, name, [], first, named)
        return self.called(model, name, first, None, named)

    @web.middleware
    async def _up(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.down:
            return web.Response(status=502, text="<html>Bad Gateway</html>")
        answer: web.StreamResponse = await handler(request)
        return answer

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["OdooServer"]:
        """On a free port of loopback."""
        app = web.Application(middlewares=[self._up], client_max_size=16 * 1024 * 1024)
        app.router.add_post("/json/2/{model}/{method}", self._json)
        app.router.add_post("/xmlrpc/2/{service}", self._xml)
        runner = web.AppRunner(app)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()
