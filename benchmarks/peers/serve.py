"""One peer's process: what answers PUT /v1/reservations/{id} and GET /v1/availability/{sku} without holdfast.

    python -m benchmarks.peers.serve bare|raw PORT
    python -m benchmarks.peers.serve redis|postgres PORT ADDRESS

bare is an aiohttp handler that parses and answers a constant; raw is the same on a uvloop protocol without a framework,
the least that this loop can do; redis and postgres hold the units in a database, with aiohttp in front.
Always: every peer parses the same body with orjson and answers JSON of the size that holdfast answers.
"""

import asyncio
import signal
import sys
from typing import Any, cast

import orjson
import uvloop
from aiohttp import web

from benchmarks.peers.stores import PostgresStore, RedisStore, Store

RESERVATION: dict[str, Any] = {
    "id": "b-0-0",
    "state": "held",
    "channel": "web",
    "owner": None,
    "order_ref": None,
    "expires_at": "2026-11-23T15:00:00.000Z",
    "lines": [
        {"sku": "SKU-00001", "quantity": 1, "allocations": [{"location": "W1", "quantity": 1}]},
        {"sku": "SKU-00002", "quantity": 2, "allocations": [{"location": "W1", "quantity": 2}]},
    ],
    "version": 1,
    "sequence": 1234,
}
AVAILABILITY: dict[str, Any] = {
    "sku": "SKU-00001",
    "channel": "web",
    "sellable": 999_999,
    "unlimited": False,
    "as_of": {"sequence": 1234, "age_ms": 3, "mode": "live"},
}
_RESERVATION, _AVAILABILITY = orjson.dumps(RESERVATION), orjson.dumps(AVAILABILITY)


def made(reservation: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer of a reservation, in holdfast's form."""
    placed = [{**line, "allocations": [{"location": "W1", "quantity": line["quantity"]}]} for line in lines]
    return {**RESERVATION, "id": reservation, "lines": placed}


def answer(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


class Bare:
    """What a handler on aiohttp and uvloop costs by itself."""

    async def put(self, request: web.Request) -> web.Response:
        orjson.loads(await request.read())
        assert request.match_info["id"]
        return answer(_RESERVATION, 201)

    async def get(self, request: web.Request) -> web.Response:
        assert request.match_info["sku"]
        assert request.query["channel"]
        return answer(_AVAILABILITY)

    async def batch(self, request: web.Request) -> web.Response:
        results = [
            {"id": one["id"], "status": 201, "reservation": made(one["id"], one["lines"])}
            for one in orjson.loads(await request.read())["requests"]
        ]
        return answer(orjson.dumps({"results": results}))


class Stored:
    """The same handlers with a database behind them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, request: web.Request) -> web.Response:
        asked = orjson.loads(await request.read())
        reservation, lines = request.match_info["id"], asked["lines"]
        if not await self._store.reserve(reservation, lines, asked["ttl_ms"]):
            return answer(orjson.dumps({"title": "insufficient-stock", "status": 409}), 409)
        return answer(orjson.dumps(made(reservation, lines)), 201)

    async def get(self, request: web.Request) -> web.Response:
        sku, channel = request.match_info["sku"], request.query["channel"]
        units = await self._store.sellable(sku)
        if units is None:
            return answer(orjson.dumps({"title": "unknown-sku", "status": 404}), 404)
        return answer(orjson.dumps({**AVAILABILITY, "sku": sku, "channel": channel, "sellable": units}))


class Raw(asyncio.Protocol):
    """HTTP/1.1 as far as the load goes: one request at a time, with a Content-Length or without a body."""

    HEAD = b"HTTP/1.1 %b\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
    CREATED = HEAD % (b"201 Created", len(_RESERVATION), _RESERVATION)
    READ = HEAD % (b"200 OK", len(_AVAILABILITY), _AVAILABILITY)

    def __init__(self) -> None:
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end]
            method, target, _ = head[: head.index(b"\r\n")].split(b" ")
            length = 0
            if (place := head.lower().find(b"\r\ncontent-length:")) >= 0:
                length = int(head[place + 17 :].split(b"\r\n", 1)[0])
            if len(self._waiting) < end + 4 + length:
                return
            body, self._waiting = self._waiting[end + 4 : end + 4 + length], self._waiting[end + 4 + length :]
            if method == b"PUT":
                orjson.loads(body)
                assert target.rpartition(b"/")[2]
                self._transport.write(self.CREATED)
            else:
                assert target.partition(b"?channel=")[2]
                self._transport.write(self.READ)


async def serve(kind: str, port: int, address: str) -> None:
    """Serves until it is stopped."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    if kind == "raw":
        await loop.create_server(Raw, "127.0.0.1", port, backlog=1024)
        await stopped.wait()
        return
    application = web.Application(client_max_size=16 << 20)
    store: Store | None = None
    handlers: Bare | Stored
    if kind == "bare":
        handlers = Bare()
        application.router.add_post("/v1/reservations:batch", handlers.batch)
    else:
        store = await (RedisStore if kind == "redis" else PostgresStore).connect(address)
        handlers = Stored(store)
    application.router.add_put("/v1/reservations/{id}", handlers.put)
    application.router.add_get("/v1/availability/{sku}", handlers.get)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await stopped.wait()
    await runner.cleanup()
    if store is not None:
        await store.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
        loop_runner.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""))
