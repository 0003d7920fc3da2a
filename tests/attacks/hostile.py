"""One hostile client as a process: what it can do with one key, or one NATS user, without pause.

In: a kind, the data directory and port of a gateway, a key, seconds. Out: on stdout, how often. Always: it takes no
more than it was given: a key for its own operations, the NATS user of an adapter.
"""

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from nats.errors import Error as NatsError

from tests.attacks.nats_boundary import ADAPTER_SUBJECT, LOG_SUBJECT
from tests.attacks.stage import SKU, Stage, cart, level

Client = Callable[[Stage, float], Coroutine[Any, Any, int]]
CONNECTIONS = 20


async def _calls(found: Stage, ends_s: float, path: str, body: Callable[[int], bytes], connections: int) -> int:
    """POST without pause on so many connections."""
    numbers, url = itertools.count(), f"http://127.0.0.1:{found.port}{path}"
    headers = {"Authorization": f"Bearer {found.admin}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=connections)) as session:

        async def one() -> None:
            while time.monotonic() < ends_s:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    more = {"Idempotency-Key": f"k{time.monotonic_ns()}"}
                    async with session.post(url, data=body(next(numbers)), headers=more) as answer:
                        await answer.read()
                        if answer.status in {429, 503}:
                            await asyncio.sleep(0.01)

        await asyncio.gather(*(one() for _ in range(connections)))
    return next(numbers)


async def batches(found: Stage, ends_s: float) -> int:
    """Batches of 500 holds, on 20 connections."""

    def body(number: int) -> bytes:
        return orjson.dumps({"requests": [{"id": f"b{number}-{at}", **cart(ttl_ms=1_000)} for at in range(500)]})

    return await _calls(found, ends_s, "/v1/reservations:batch", body, CONNECTIONS)


async def names(found: Stage, ends_s: float) -> int:
    """Holds on channels that nobody declared, another one each."""

    def body(number: int) -> bytes:
        holds = [cart(ttl_ms=1_000) | {"id": f"n{number}-{at}", "channel": f"c{number}-{at}"} for at in range(500)]
        return orjson.dumps({"requests": holds})

    return await _calls(found, ends_s, "/v1/reservations:batch", body, 2)


async def rubbish(found: Stage, ends_s: float) -> int:
    """Bodies of 8 MB that are no facts."""
    content = b'{"source":"acme","facts":[' + b"1," * 3_900_000 + b"1]}"
    return await _calls(found, ends_s, "/v1/facts", lambda _: content, 2)


async def facts(found: Stage, ends_s: float) -> int:
    """Valid facts of one source over HTTP, 2,000 a body."""

    def body(number: int) -> bytes:
        return orjson.dumps(
            {"source": "acme", "facts": [level(f"F{at}", number, as_of=number + 1) for at in range(2_000)]}
        )

    return await _calls(found, ends_s, "/v1/facts", body, 4)


async def idle(found: Stage, ends_s: float) -> int:
    """Connections that say nothing, opened again when they are closed."""
    opened, writers = 0, []
    while time.monotonic() < ends_s:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", found.port)
            writers.append(writer)
            opened += 1
        if len(writers) > 4_000:
            writers.pop(0).close()
            await asyncio.sleep(0.001)
    return opened


async def adapter(found: Stage, ends_s: float) -> int:
    """Over NATS: facts and rubbish, each with LOG's subject as where to acknowledge."""
    client = await found.client("erp")
    sent = 0
    body = orjson.dumps({"facts": [level(f"N{at}", 1, as_of=1) for at in range(200)]})
    while time.monotonic() < ends_s:
        with contextlib.suppress(NatsError):
            await client.publish(ADAPTER_SUBJECT, b"rubbish" if sent % 2 else body, reply=LOG_SUBJECT)
            await client.flush()
        sent += 1
    await client.close()
    return sent


async def heartbeats(found: Stage, ends_s: float) -> int:
    """Over NATS: heartbeats of processes that do not exist."""
    client = await found.client("erp")
    sent = 0
    state = {"node": "n9", "role": "leading", "epoch": 99, "sequence": 9_999, "chain": "e" * 64}
    while time.monotonic() < ends_s:
        with contextlib.suppress(NatsError):
            await client.publish("hf.main.pulse", orjson.dumps(state | {"boot": f"b{sent}"}))
            await client.flush()
        sent += 1
        await asyncio.sleep(0.001)
    await client.close()
    return sent


async def deliveries(found: Stage, ends_s: float) -> int:
    """Without any right: webhooks of a shop that nobody connected, as large as a shop's may be."""
    content = b"{" + b" " * 900_000 + b"}"
    return await _calls(found, ends_s, "/v1/webhooks/woocommerce/nobody", lambda _: content, CONNECTIONS)


async def past(found: Stage, ends_s: float) -> int:
    """Questions about all that ever happened, of a key that may ask them."""
    asked, headers = 0, {"Authorization": f"Bearer {found.admin}"}
    questions = (f"/v1/skus/{SKU}/changes?from=1", "/v1/audit", f"/v1/availability/{SKU}?channel=web&at=2")
    async with aiohttp.ClientSession(headers=headers) as session:

        async def one(at: int) -> None:
            nonlocal asked
            url = f"http://127.0.0.1:{found.port}{questions[at % len(questions)]}"
            while time.monotonic() < ends_s:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url) as answer:
                        await answer.read()
                        asked += 1
                        if answer.status in {429, 503}:
                            await asyncio.sleep(0.01)

        await asyncio.gather(*(one(at) for at in range(CONNECTIONS)))
    return asked


async def nobody(_found: Stage, ends_s: float) -> int:
    """Does nothing: what the measurement itself varies by."""
    await asyncio.sleep(max(0.0, ends_s - time.monotonic()))
    return 0


KINDS: dict[str, tuple[str, Client]] = {
    "nobody": ("state", nobody),
    "batches": ("reserve", batches),
    "names": ("reserve", names),
    "facts": ("facts", facts),
    "rubbish": ("facts", rubbish),
    "idle": ("read", idle),
    "adapter": ("read", adapter),
    "heartbeats": ("read", heartbeats),
    "deliveries": ("state", deliveries),
    "past": ("audit", past),
}
"""Each kind, and the operation that its key has."""
assert SKU, "what the carts name is in stock"


def main() -> None:
    """KIND STORE PORT KEY SECONDS."""
    kind, store, port, key, seconds = sys.argv[1:]
    found = Stage(Path(store), int(port), Path(store) / "unused", admin=key)
    print(asyncio.run(KINDS[kind][1](found, time.monotonic() + float(seconds))), flush=True)


if __name__ == "__main__":
    main()
