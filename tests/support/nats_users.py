"""Clients of an embedded nats-server as an adapter or a person has them: by their seed file, with their own inbox.

In: a server that runs, a user's name. Out: plain clients of nats-py. Always: what the server refuses is
noted, not hidden.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import nats.errors
import orjson
from nats.aio.client import Client

from holdfast.nats.connection import Endpoint
from holdfast.nats_server.accounts import inbox_of
from holdfast.nats_server.users import users_of
from holdfast.nats_server.view_service import ViewService
from holdfast.settings import LogSettings
from holdfast.tasks import cancel_and_wait

STREAMS = ("HF_main_LOG", "HF_main_IN", "HF_main_DLQ", "HF_main_ASK", "KV_HF_main_LEASE")


@asynccontextmanager
async def user(url: str, data: Path, name: str, faults: list[Exception] | None = None) -> AsyncIterator[Client]:
    """A client of the user `name`, made where there is none yet; `faults` gets what the server refuses."""
    noted = faults if faults is not None else []

    async def note(fault: Exception) -> None:
        noted.append(fault)

    if users_of(data).add(name):
        await asyncio.sleep(1.5)  # a running server takes new users within a second
    client = await nats.connect(
        url, nkeys_seed=str(users_of(data).file(name)), inbox_prefix=inbox_of(name), error_cb=note, connect_timeout=5
    )
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def serving_views(endpoint: Endpoint, log: LogSettings | None = None) -> AsyncIterator[None]:
    """Views for people, as the supervisor of `serve` answers them."""
    task = asyncio.create_task(ViewService(endpoint, "main", log or LogSettings()).run())
    try:
        yield
    finally:
        await cancel_and_wait(task)


async def was_let_through(client: Client, subject: str, faults: list[Exception], reply: str = "") -> bool:
    """Whether the server took a message."""
    before = len(faults)
    await client.publish(subject, b"{}", reply=reply)
    await client.flush()
    await asyncio.sleep(0.05)
    return len(faults) == before


async def asked(client: Client, call: str, body: Any = None) -> dict[str, Any]:
    """A call of the JetStream API."""
    payload = orjson.dumps(body) if body is not None else b""
    deadline_s = time.monotonic() + 20
    while True:
        try:
            answer: dict[str, Any] = orjson.loads((await client.request(f"$JS.API.{call}", payload, timeout=5)).data)
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError):  # no views yet, or no leader of the stream
            if time.monotonic() > deadline_s:
                raise
            await asyncio.sleep(0.05)
        else:
            return answer
