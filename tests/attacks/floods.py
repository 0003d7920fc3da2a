"""Attacks by work: one accepted request or message that keeps the leader busy, and clients that take every place.

In: an arena. Out: what was seen. Always: shoppers are at the checkout meanwhile, and the criterion is what they get:
no lease lost, and no wait beyond the bound. The bound of the short form allows for a machine that does other things
too.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
import psutil

from holdfast.gateway.key_file import Operation
from tests.attacks.attack import Arena, Seen, attack
from tests.attacks.hostile import Client, deliveries, past
from tests.attacks.nats_boundary import ADAPTER_SUBJECT, try_request
from tests.attacks.stage import SKU, Shoppers, Stage, cart, level, stage

WORST_S, WORST_SHORT_S = 0.5, 2.5
IDLE_SHARE, IDLE_LOG_BYTES_PER_S = 0.2, 20_000


async def beside(arena: Arena, strike: Callable[[Stage], Awaitable[str]], *changes: str) -> Seen:
    """What shoppers get while `strike` does its work, and until it has been taken in. `strike` says its figure."""
    async with stage(arena, changes=changes) as found:
        async with Shoppers(found) as shoppers:
            await asyncio.sleep(0.5)
            figure = await strike(found)
            await asyncio.sleep(arena.size(5, 1))
            broke = []
            if await shoppers.lease_was_lost():
                broke.append("the lease was lost")
            bound_s = WORST_S if arena.full else WORST_SHORT_S
            if shoppers.worst_s > bound_s:
                broke.append(f"a checkout waited {shoppers.worst_s:.1f} s")
            if shoppers.refused:
                broke.append(f"{len(shoppers.refused)} checkouts refused, such as {shoppers.refused[0]}")
        figure = f"{figure}; checkout at most {shoppers.worst_s * 1000:.0f} ms"
        return Seen(not broke, "; ".join(broke) or "checkouts went on", figure)


async def _sent(found: Stage, path: str, body: bytes) -> str:
    began = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=600)
    headers = {"Authorization": f"Bearer {found.admin}"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.post(f"http://127.0.0.1:{found.port}{path}", data=body) as answer:
                content = await answer.read()
                took_s = time.monotonic() - began
                return f"{len(body):,} bytes: {answer.status} in {took_s:.1f} s, {len(content):,} bytes of answer"
    return f"{len(body):,} bytes: no answer"


def _padded(head: bytes, item: bytes, size: int, tail: bytes) -> bytes:
    count = max(1, (size - len(head) - len(tail) + 1) // (len(item) + 1))
    return head + b",".join([item] * count) + tail


@attack(done="a body of 8 MB, `[1,1,...]`", right="bounds on facts a body; one dead letter for rubbish", alone=True)
async def body_of_rubbish(arena: Arena) -> Seen:
    body = _padded(b'{"source":"acme","facts":[', b"1", arena.size(8_000_000, 2_000_000), b"]}")
    letters = 0.0

    async def strike(found: Stage) -> str:
        nonlocal letters
        figure = await _sent(found, "/v1/facts", body)
        text = (await found.ask("GET", "/metrics")).body.decode()
        lines = [line for line in text.splitlines() if line.startswith("holdfast_dead_letters_total{")]
        letters = sum(float(line.rpartition(" ")[2]) for line in lines)
        return f"{figure}, {letters:.0f} dead letters"

    seen = await beside(arena, strike)
    if letters > 64:
        return Seen(False, f"{letters:.0f} dead letters for one body; {seen.what}", seen.figure)
    return seen


@attack(done="2,000 wide safety rules in one body", right="derived state renewed once a batch", alone=True)
async def wide_rules(arena: Arena) -> Seen:
    skus = arena.size(100_000, 5_000)

    async def strike(found: Stage) -> str:
        for begin in range(0, skus, 2_000):
            await found.facts(*(level(f"S{at}", 1) for at in range(begin, min(skus, begin + 2_000))))
        wide = arena.size(2_000, 500)
        await found.facts(*({"kind": "location", "location": f"L{at}", "type": "store"} for at in range(wide)))
        rules = [{"kind": "safety", "location": f"L{at}", "absolute": 1} for at in range(wide)]
        return await _sent(found, "/v1/policies", orjson.dumps({"facts": rules}))

    return await beside(arena, strike)


@attack(done="20,000 locations in a body of 1.5 MB", right="work per turn bounded by cost", alone=True)
async def many_locations(arena: Arena) -> Seen:
    count = arena.size(20_000, 2_000)
    places = [{"kind": "location", "location": f"L{at}", "type": "warehouse"} for at in range(count)]

    async def strike(found: Stage) -> str:
        return await _sent(found, "/v1/policies", orjson.dumps({"facts": places}))

    return await beside(arena, strike)


@attack(done="one NATS message of 511 KB, `[1,1,...]`", right="one dead letter a message", on_cluster=True, alone=True)
async def message_of_rubbish(arena: Arena) -> Seen:
    body = _padded(b'{"facts":[', b"1", 511_000, b"]}")

    async def strike(found: Stage) -> str:
        adapter = await found.client("erp")
        for _ in range(arena.size(20, 2)):
            await try_request(adapter, ADAPTER_SUBJECT, body, 5.0)
        await adapter.close()
        return f"{arena.size(20, 2)} messages"

    return await beside(arena, strike)


@attack(done="NATS messages of valid facts without pause", right="facts yield to checkout", alone=True)
async def flood_of_facts(arena: Arena) -> Seen:
    async def strike(found: Stage) -> str:
        adapter = await found.client("erp")
        await try_request(adapter, ADAPTER_SUBJECT, b'{"facts":[{"kind":"location","location":"e","type":"store"}]}')
        sent, began, lasts_s = 0, time.monotonic(), arena.size(30, 3)
        while time.monotonic() - began < lasts_s:
            facts = [level(f"F{at}", sent, "e", sent + 1) for at in range(500)]
            await adapter.publish(ADAPTER_SUBJECT, orjson.dumps({"facts": facts}))
            await adapter.flush()
            sent += 500
        await adapter.close()
        return f"{sent / lasts_s:,.0f} facts a second"

    return await beside(arena, strike)


@attack(
    done="without a key: large deliveries of a shop that nobody connected, on 20 connections",
    right="refused, at little cost",
    alone=True,
)
async def unsigned_deliveries(arena: Arena) -> Seen:
    return await _beside_client(arena, deliveries)


@attack(
    done="questions about the past without pause, on 20 connections",
    right="a process beside answers them, one after the other; those that find no room are refused",
    alone=True,
)
async def questions_about_the_past(arena: Arena) -> Seen:
    return await _beside_client(arena, past)


async def _beside_client(arena: Arena, client: Client) -> Seen:
    async def strike(found: Stage) -> str:
        lasts_s = arena.size(30, 3)
        return f"{await client(found, time.monotonic() + lasts_s) / lasts_s:,.0f} a second"

    return await beside(arena, strike)


@attack(
    done="60,000 names of channels and owners invented by a key that may reserve",
    right="nothing unprivileged interns names; facts are taken as before",
)
async def invented_names(arena: Arena) -> Seen:
    async with stage(arena) as found:
        key = found.key(Operation.READ, Operation.RESERVE, Operation.ORDER)
        await found.until_works(key)
        count, done = arena.size(70_000, 70_000), 0
        headers = {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(headers=headers) as session:

            async def invent(begin: int) -> None:
                nonlocal done
                requests = [
                    {"id": f"r{at}", "channel": f"channel-{at}", "owner": f"o{at}", "ttl_ms": 1_000}
                    | {"lines": [{"sku": SKU, "quantity": 1}]}
                    for at in range(begin, begin + 500)
                ]
                url = f"http://127.0.0.1:{found.port}/v1/reservations:batch"
                async with session.post(url, data=orjson.dumps({"requests": requests})) as answer:
                    await answer.read()
                    done += 500 if answer.status == 200 else 0

            for begin in range(0, count, 4_000):
                await asyncio.gather(*(invent(at) for at in range(begin, min(count, begin + 4_000), 500)))
        facts: list[dict[str, Any]] = [
            {"kind": "location", "location": "w9", "type": "warehouse"},
            {"kind": "channel", "channel": "honest", "locations": "*"},
            level("HONEST", 5, "w9"),
        ]
        answer = await found.facts(*facts)
        refused = answer.json.get("rejected", answer.body.decode())
        held = answer.status == 202 and refused == []
        what = "facts are taken as before" if held else f"honest facts: {answer.status} {str(refused)[:160]}"
        return Seen(held, what, f"{done:,} requests decided")


@attack(
    done="4,096 idle connections from one address",
    right="connections bounded per address: other addresses are served",
)
async def idle_connections(arena: Arena) -> Seen:
    most = arena.size(4_096, 200)
    async with stage(arena, "--connections-max", str(most)) as found:
        writers: list[asyncio.StreamWriter] = []
        for _ in range(most + 300):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", found.port)
                writers.append(writer)
        await asyncio.sleep(0.3)
        async with Shoppers(found, 0.02, address="127.0.0.2") as shoppers:
            await asyncio.sleep(arena.size(5, 1))
        for writer in writers:
            writer.close()
        refused = len(shoppers.refused)
        served = len(shoppers.took_s) - refused
        what = "another address is served" if not refused else f"another address: {shoppers.refused[0]}"
        return Seen(not refused and served > 0, what, f"{len(writers)} connections, {served} checkouts")


@attack(
    done="20 connections that send batches without pause, of one key",
    right="a fair queue: others' checkouts take at most three times as long",
    alone=True,
)
async def batch_connections(arena: Arena) -> Seen:
    async with stage(arena) as found:
        key = found.key(Operation.RESERVE)
        await found.until_works(key)
        async with Shoppers(found, 0.01) as calm:
            await asyncio.sleep(arena.size(5, 1))
        stopping = asyncio.Event()
        batches = 0

        async def batch(number: int) -> None:
            nonlocal batches
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
                while not stopping.is_set():
                    requests = [{"id": f"b{number}-{batches}-{at}", **cart()} for at in range(500)]
                    url = f"http://127.0.0.1:{found.port}/v1/reservations:batch"
                    with contextlib.suppress(aiohttp.ClientError):
                        async with session.post(url, data=orjson.dumps({"requests": requests})) as answer:
                            await answer.read()
                            batches += 1

        tasks = [asyncio.create_task(batch(number)) for number in range(20)]
        await asyncio.sleep(0.3)
        async with Shoppers(found, 0.01) as pressed:
            await asyncio.sleep(arena.size(10, 2))
        stopping.set()
        await asyncio.gather(*tasks)
        before, during = calm.median_s() * 1000, pressed.median_s() * 1000
        held = during <= max(3 * before, 10) and not pressed.refused
        what = "others go on" if held else f"others wait {during / max(before, 0.01):.0f} times as long"
        return Seen(held, what, f"median {before:.1f} ms calm, {during:.1f} ms beside {batches} batches")


@attack(
    done="the NATS server cannot be reached",
    right="back-off, and a bounded rate of log lines",
    alone=True,
)
async def unreachable_log(arena: Arena) -> Seen:
    async with stage(arena, "--workers", "2") as found:
        server = next(one for one in found.processes() if "nats-server" in one.name())
        server.suspend()
        try:
            await asyncio.sleep(6)  # until it is noticed
            watched = [psutil.Process(one.pid) for one in found.processes() if one.pid != server.pid]
            busy_s = _busy_s(watched)
            began, written = time.monotonic(), found.log.stat().st_size
            await asyncio.sleep(arena.size(20, 4))
            took_s = time.monotonic() - began
            share = sum(after - busy_s[pid] for pid, after in _busy_s(watched).items()) / took_s
            rate = (found.log.stat().st_size - written) / took_s
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                server.resume()
        held = share <= IDLE_SHARE * len(watched) / 2 and rate <= IDLE_LOG_BYTES_PER_S
        figure = f"{share * 100:.0f} % of a core, {rate / 1000:.1f} kB of log a second"
        return Seen(held, "idle while it waits" if held else "busy while it waits", figure)


def _busy_s(watched: list[psutil.Process]) -> dict[int, float]:
    """What each has used of a processor, in seconds; without those that have ended, as a snapshot process does."""
    found = {}
    for one in watched:
        with contextlib.suppress(psutil.NoSuchProcess):
            found[one.pid] = sum(one.cpu_times()[:2])
    return found


@attack(
    done="a rate of 5 a second passed by batches, by rotating the key, and over workers",
    right="counted by item, over rotation and workers",
)
async def rate_limit_by_batch(arena: Arena) -> Seen:
    from holdfast.gateway.key_store import KeyStore

    async with stage(arena, "--workers", "2") as found:
        keys = KeyStore(found.store)
        stored, token = keys.add("slow", [Operation.RESERVE, Operation.READ], rate_per_s=5.0)
        _, second = keys.rotate(stored.id, overlap_s=3_600)
        await found.until_works(second)
        await asyncio.sleep(1.5)
        before, began = await found.sellable() or 0, time.monotonic()

        async def batch(number: int) -> None:
            key = token if number % 2 else second
            requests = [{"id": f"b{number}-{at}", **cart()} for at in range(500)]
            await found.ask("POST", "/v1/reservations:batch", {"requests": requests}, key=key)

        await asyncio.gather(*(batch(number) for number in range(12)))
        took_s = time.monotonic() - began
        taken = before - (await found.sellable() or 0)
        allowed = 5 * (took_s + 1) + 5
        figure = f"{taken:,} holds in {took_s:.1f} s, {allowed:.0f} allowed"
        return Seen(taken <= allowed, "bounded by item" if taken <= allowed else "the rate was passed", figure)
