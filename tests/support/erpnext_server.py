"""A contract server: an ERPNext as far as the adapter calls it, over its REST interface.

In: HTTP as its documents describe it. Out: answers of their form, and errors with their codes. Always: on loopback; a
list that is filtered by rows has one row of it for each of these; a pattern has no way to write `%` and `_` as they
are.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from holdfast.settings import ErpSettings
from tests.support.erpnext_records import CUSTOMER, WAREHOUSES, Record, Records, ValidationError
from tests.support.odoo_records import like
from tests.support.ports import free_port

TOKEN = "key:secret"
_CLOSE = "erpnext.selling.doctype.sales_order.sales_order.update_status"


class ErpNextServer:
    """One site."""

    def __init__(self) -> None:
        self.records = Records()
        self.down = False
        self.url = ""

    def settings(self, **more: Any) -> ErpSettings:
        given = {"kind": "erpnext", "url": self.url, "token": TOKEN, "customer": CUSTOMER}
        given["warehouses"] = ",".join(f"{name}={place}" for name, place in WAREHOUSES.items())
        quick = {"overlap_ms": 60_000, "retry_first_ms": 20, "retry_wait_ms_max": 500, "orders_at_once": 1}
        return ErpSettings(**(given | quick | more))

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        found: list[Record] = []
        for row in sorted(self.records.of(request.match_info["doctype"]), key=lambda one: one["name"]):
            times = 1
            for term in json.loads(query["filters"]):
                if len(term) == 4:
                    times *= sum(_holds(one.get(term[1]), term[2], term[3]) for one in row["items"])
                else:
                    times *= _holds(row.get(term[0]), term[1], term[2])
            found += [{name: row.get(name) for name in json.loads(query["fields"])}] * times
        return web.json_response({"data": found[: int(query["limit_page_length"])]})

    async def _make(self, request: web.Request) -> web.Response:
        if request.match_info["doctype"] != "Sales Order":
            raise web.HTTPForbidden
        return web.json_response({"data": self.records.sell(await request.json())})

    async def _one(self, request: web.Request) -> web.Response:
        doctype, name = request.match_info["doctype"], request.match_info["name"]
        rows = self.records.documents.get(doctype, {})
        if name not in rows:
            raise web.HTTPNotFound
        if request.method == "PUT":
            self.records.change(name, (await request.json())["docstatus"])
        elif request.method == "DELETE":
            if rows[name]["docstatus"]:
                raise ValidationError("Submitted record cannot be deleted")
            del rows[name]
            return web.json_response({"data": "ok"}, status=202)
        return web.json_response({"data": rows[name]})

    async def _method(self, request: web.Request) -> web.Response:
        given = await request.json()
        assert request.match_info["method"] == _CLOSE
        self.records.set_status(given["name"], given["status"])
        return web.json_response({})

    @web.middleware
    async def _entered(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.down:
            return web.Response(status=502, text="<html>Bad Gateway</html>")
        if request.headers.get("Authorization") != f"token {TOKEN}":
            return web.json_response({"exc_type": "AuthenticationError"}, status=401)
        try:
            answer: web.StreamResponse = await handler(request)
        except ValidationError as refusal:
            said = json.dumps([json.dumps({"message": str(refusal)})])
            body = {"exc_type": "ValidationError", "exception": f"frappe...: {refusal}", "_server_messages": said}
            return web.json_response(body, status=417)
        return answer

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["ErpNextServer"]:
        """On a free port of loopback."""
        app = web.Application(middlewares=[self._entered])
        app.router.add_get("/api/resource/{doctype}", self._list)
        app.router.add_post("/api/resource/{doctype}", self._make)
        app.router.add_route("*", "/api/resource/{doctype}/{name}", self._one)
        app.router.add_post("/api/method/{method}", self._method)
        runner = web.AppRunner(app)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()


def _holds(found: Any, operator: str, value: Any) -> bool:
    match operator:
        case "=":
            return bool(found == value)
        case "in":
            return found in value
        case "not in":
            return found not in value
        case ">":
            return bool(found > value)
        case ">=":
            return bool(found >= value)
        case "<":
            return bool(found < value)
        case "like":
            return isinstance(found, str) and like(found, value.replace("\\", "\\\\"))
        case _:
            raise ValueError(f"the double knows no operator {operator!r}")
