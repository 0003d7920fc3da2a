"""Event streams of the whole product: publisher and workers are killed under load, and a listener misses nothing."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import orjson

from holdfast.client import Client, Retry
from tests.support.served import Api, Served, cart, level, pids, places, serving
from tests.support.serving import holdfast


async def killed(served: Served, module: str) -> None:
    for pid in pids(served, module):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def trade(served: Served, first: int, number: int) -> int:
    """Carts, some of them confirmed; how many were taken."""
    taken = 0
    async with Client(f"http://127.0.0.1:{served.port}", retry=Retry(tries_max=100, total_s=90)) as client:
        for at in range(first, first + number):
            body = orjson.dumps(cart(("MUG", 1)))
            await client.transport.send("PUT", f"/v1/reservations/r{at}", body)
            taken += 1
            if at % 3 == 0:
                await client.confirm(f"r{at}", f"o{at}")
    return taken


async def test_a_listener_misses_nothing_while_publisher_and_workers_are_killed(tmp_path: Path) -> None:
    found: list[str] = []
    with serving(tmp_path, "--set", "publisher.enabled=true", "--set", "publisher.takeover_ms=500") as served:
        api = Api(served.port)
        await api.policies(*places("W1"), {"kind": "channel", "channel": "web", "locations": "*", "buffer": 0})
        await api.facts(level("MUG", 10_000))

        async def listen() -> None:
            async with Client(f"http://127.0.0.1:{served.port}", retry=Retry(tries_max=100, total_s=60)) as client:
                async for event in client.events(after=0):
                    found.append(event.id)  # noqa: PERF401 - it has no end

        listening: list[asyncio.Task[None]] = []
        for round_ in range(3):
            trading = asyncio.create_task(trade(served, round_ * 30, 30))
            if not listening:
                await until_published(served)
                listening.append(asyncio.create_task(listen()))
            await asyncio.sleep(0.1)
            await killed(served, "holdfast.publisher.process")
            if round_ == 1:
                await killed(served, "holdfast.gateway.worker")
            assert await trading == 30
        wanted = await all_published(served, 90 + 30)
        for _ in range(100):
            if found == wanted:
                break
            await asyncio.sleep(0.1)
        listening[0].cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        assert found == wanted
        gateway = f"http://127.0.0.1:{served.port}"
        answer = holdfast(
            "events", "--after", "0", "--once", "--kinds", "confirmed", "--most", "7", "--gateway", gateway
        )
        lines = [orjson.loads(line) for line in answer.stdout.splitlines()]
        assert (answer.returncode, [one["kind"] for one in lines]) == (0, ["confirmed"] * 7)


async def until_published(served: Served) -> None:
    """The stream is there."""
    async with Client(f"http://127.0.0.1:{served.port}", retry=Retry(tries_max=100, total_s=90)) as client:
        for _ in range(200):
            with contextlib.suppress(Exception):
                async for _ in client.events(after=0, follow=False):
                    return
            await asyncio.sleep(0.1)


async def all_published(served: Served, holds_and_orders: int) -> list[str]:
    """Ids of all events, once each cart and each order has one."""
    async with Client(f"http://127.0.0.1:{served.port}", retry=Retry(tries_max=100, total_s=90)) as client:
        for _ in range(200):
            events = [one async for one in client.events(after=0, follow=False)]
            if sum(one.kind in {"held", "confirmed"} for one in events) == holds_and_orders:
                return [one.id for one in events]
            await asyncio.sleep(0.1)
    raise AssertionError("not everything was published")
