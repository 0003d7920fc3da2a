"""Attacks on what is remembered: one key or source pushes out what another one relies on, or fills the memory.

In: an arena. Out: what was seen. Always: the bounds are lowered by settings in the short form, so that they are
reached.
"""

import asyncio
import time

import aiohttp
import orjson

from holdfast.gateway.key_file import Operation
from tests.attacks.attack import Arena, Seen, attack
from tests.attacks.stage import LOCATION, SKU, UNITS, Stage, cart, level, stage


async def _in_parallel(found: Stage, key: str, calls: list[tuple[str, dict[str, object], dict[str, str]]]) -> int:
    """POST all of them, 64 at a time; how many were answered 2xx."""
    done = 0
    turn = asyncio.Semaphore(64)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=64)) as session:

        async def call(path: str, body: dict[str, object], more: dict[str, str]) -> None:
            nonlocal done
            async with (
                turn,
                session.post(f"http://127.0.0.1:{found.port}{path}", data=orjson.dumps(body), headers=more) as answer,
            ):
                await answer.read()
                done += answer.status < 300

        await asyncio.gather(*(call(*one) for one in calls))
    return done


@attack(
    done="answers under idempotency keys flushed by another key",
    right="memory for each key: another's request is not done twice",
)
async def answers_flushed(arena: Arena) -> Seen:
    most = arena.size(20_000, 500)
    async with stage(arena, changes=[f"rules.answers_max={most}"]) as found:
        victim, flooder = found.key(Operation.FACTS, Operation.POLICIES), found.key(Operation.FACTS)
        await found.until_works(flooder)
        cap = {"kind": "cap", "channel": "web", "sku": SKU, "quantity": 100}
        first = await found.ask("POST", "/v1/policies", {"facts": [cap]}, key=victim, idempotency_key="mine")
        await found.ask("POST", "/v1/policies", {"facts": [cap | {"quantity": 5}]}, key=victim)
        place = {"kind": "location", "location": LOCATION, "type": "warehouse"}
        body: dict[str, object] = {"source": "flood", "facts": [place]}
        calls = [("/v1/facts", body, {"Idempotency-Key": f"k{at}"}) for at in range(most + 50)]
        done = await _in_parallel(found, flooder, calls)
        again = await found.ask("POST", "/v1/policies", {"facts": [cap]}, key=victim, idempotency_key="mine")
        held = again.body == first.body and await found.sellable() == 5
        what = "the first answer is given again" if held else "the request was done twice: an old cap is back"
        return Seen(held, what, f"{done:,} requests of another key, {most:,} remembered")


@attack(
    done="identities of movements flushed by another source",
    right="memory for each source: another's delta is not counted twice",
)
async def identities_flushed(arena: Arena) -> Seen:
    most = arena.size(20_000, 500)
    async with stage(arena, changes=[f"rules.identities_max={most}"]) as found:
        delta = {"kind": "stock.delta", "sku": SKU, "location": LOCATION, "quantity": 10, "reason": "found", "as_of": 5}
        await found.facts(delta | {"ref": "A"})
        place = {"kind": "location", "location": "flood", "type": "warehouse"}
        await found.facts(place, source="flood")
        for begin in range(0, most + 100, 500):
            moves = [delta | {"sku": "F", "location": "flood", "ref": f"f{at}"} for at in range(begin, begin + 500)]
            await found.facts(*moves, source="flood")
        await found.facts(delta | {"ref": "A"})
        now = await found.sellable()
        held = now == UNITS + 10
        return Seen(held, f"{now:,} can be sold, {UNITS + 10:,} are there", f"{most:,} identities remembered")


@attack(
    done="100,000 holds of one owner, then one that supersedes them",
    right="a default bound on holds per owner; an index, not a scan",
)
async def holds_of_one_owner(arena: Arena) -> Seen:
    wanted = arena.size(100_000, 2_000)
    async with stage(arena) as found:
        key = found.key(Operation.RESERVE, Operation.READ)
        await found.until_works(key)
        held = refused = 0
        for begin in range(0, wanted, 500):
            requests = [{"id": f"h{at}", **cart(owner="one")} for at in range(begin, begin + 500)]
            answer = await found.ask("POST", "/v1/reservations:batch", {"requests": requests}, key=key)
            statuses = [one["status"] for one in answer.json.get("results", ())]
            held += statuses.count(201)
            refused += len(statuses) - statuses.count(201)
        slowest_s = 0.0
        for at in range(5):
            began = time.monotonic()
            await found.ask("PUT", f"/v1/reservations/s{at}", cart(owner="one", supersede=True), key=key)
            slowest_s = max(slowest_s, time.monotonic() - began)
        bounded = refused > 0 and held < wanted
        figure = f"{held:,} held, {refused:,} refused; superseding took at most {slowest_s * 1000:.0f} ms"
        return Seen(bounded and slowest_s < 1, "bounded" if bounded else "no bound on holds of one owner", figure)


@attack(
    done="200,000 holds made and released at once",
    right="closed ones are remembered by count and age",
    short=False,
    alone=True,
)
async def closed_holds(arena: Arena) -> Seen:
    async with stage(arena, changes=["rules.closed_max=50000"]) as found:
        key = found.key(Operation.RESERVE, Operation.READ)
        await found.until_works(key)
        count = arena.size(200_000, 5_000)
        before, half = found.resident_bytes(), 0
        for begin in range(0, count, 500):
            # One SKU, and a hold that ends within a millisecond: it closes by itself.
            requests = [{"id": f"c{at}", **cart(ttl_ms=1)} for at in range(begin, begin + 500)]
            await found.ask("POST", "/v1/reservations:batch", {"requests": requests}, key=key)
            if begin == count // 2:
                half = found.resident_bytes()
        grown, later = (found.resident_bytes() - before) >> 20, (found.resident_bytes() - half) >> 20
        held = later <= 24
        what = "memory stays" if held else "memory grows with each"
        return Seen(held, what, f"{grown} MiB more after {count:,}, {later} MiB of them in the second half")


@attack(
    done="a source that names millions of SKUs",
    right="what a full table refuses is new names alone",
    short=False,
)
async def named_skus(arena: Arena) -> Seen:
    async with stage(arena) as found:
        for begin in range(0, arena.size(200_000, 2_000), 2_000):
            await found.facts(*(level(f"N{at}", 1) for at in range(begin, begin + 2_000)))
        answer = await found.facts(level(SKU, 9, as_of=9))
        held = answer.status == 202 and answer.json["rejected"] == [] and await found.sellable() == 9
        return Seen(held, "known names are served", f"{found.resident_bytes() >> 20} MiB")


@attack(
    done="holds made and released without end by a key of one channel",
    right="closed ones are bounded by number; the channel that has most forgets its own",
)
async def closed_holds_of_one_channel(arena: Arena) -> Seen:
    most = arena.size(20_000, 200)
    async with stage(arena, changes=[f"rules.closed_max={most}"]) as found:
        flooder = found.key(Operation.RESERVE, channels=["pos"])
        await found.until_works(flooder)
        for at in range(5):
            await found.ask("PUT", f"/v1/reservations/honest-{at}", cart())
            await found.ask("POST", f"/v1/reservations/honest-{at}/release", {})
        calls: list[tuple[str, dict[str, object], dict[str, str]]] = []
        for begin in range(0, 3 * most, 100):
            holds = [{"id": f"flood-{at}", **cart(channel="pos", ttl_ms=1_000)} for at in range(begin, begin + 100)]
            calls.append(("/v1/reservations:batch", {"requests": holds}, {}))
        done = await _in_parallel(found, flooder, calls)
        until = time.monotonic() + 30
        while (await _remembered(found)) > most + 5 and time.monotonic() < until:
            await asyncio.sleep(0.5)
            await found.ask("PUT", f"/v1/reservations/next-{time.monotonic_ns()}", cart())
        kept = [(await found.ask("GET", f"/v1/reservations/honest-{at}")).status for at in range(5)]
        count = await _remembered(found)
        held = kept == [200] * 5 and count <= most + 60
        what = "the others are remembered, and no more than the bound" if held else f"{kept}, {count:,} remembered"
        return Seen(held, what, f"{done * 100:,} holds, {most:,} remembered")


async def _remembered(found: Stage) -> int:
    """How many closed reservations."""
    by_state = (await found.state())["totals"]["by_state"]
    return sum(count for state, count in by_state.items() if state in {"released", "expired"})
