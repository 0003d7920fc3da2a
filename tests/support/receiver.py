"""An endpoint of webhooks: a real HTTP server that verifies each request and answers as a test says.

In: requests. Out: what came, in order; the answer that the test's function gives. Always: signatures are verified by
the library of the standard, with each of its secrets.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from standardwebhooks import Webhook

Answer = Callable[[web.BaseRequest, dict[str, Any]], Awaitable[web.StreamResponse]]


async def fine(_request: web.BaseRequest, _body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(status=204)


@dataclass
class Receiver:
    """`taken`: (id, event) of each request that it answered 2xx to, `came`: of all."""

    secrets: tuple[str, ...]
    answer: Answer = fine
    came: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    port: int = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        headers = dict(request.headers)
        for secret in self.secrets:
            Webhook(secret).verify(raw, headers)
        identity = request.headers["webhook-id"]
        assert self.bodies.setdefault(identity, raw) == raw, "an event that comes twice is the same"
        body = orjson.loads(raw)
        self.came.append((identity, body["data"]))
        answered = await self.answer(request, body["data"])
        if 200 <= answered.status < 300:
            self.taken.append((identity, body["data"]))
        return answered


@asynccontextmanager
async def receiving(receiver: Receiver, port: int = 0) -> AsyncIterator[Receiver]:
    """It listens on loopback."""
    runner = web.ServerRunner(web.Server(receiver), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await asyncio.wait_for(runner.cleanup(), 5)
