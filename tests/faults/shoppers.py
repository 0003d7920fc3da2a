"""Shoppers and a warehouse that write down every answer.

In: addresses of gateways. Out: a History. Always: what got no clear answer is sent again unchanged until it gets one or
the round is over; ids never come twice; a shopper remembers the newest sequence that it was answered, and asks reads
for at least that.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable

import aiohttp
import orjson

from tests.faults.history import History, Operation

CLEAR = {200, 201, 202, 404, 409, 422}
HOT, COLD = 20, 180
HOT_UNITS, COLD_UNITS = 60, 100_000
SKUS = [f"HOT-{at}" for at in range(HOT)] + [f"COLD-{at}" for at in range(COLD)]
LOCATION = "w1"
UNCLEAR_WAIT_S = 0.1
THINK_S = (0.0, 0.02)


def opening() -> bytes:
    """The shop before the doors open: facts of one source."""
    facts: list[dict[str, object]] = [{"kind": "location", "location": LOCATION, "type": "warehouse"}]
    for sku in SKUS:
        units = HOT_UNITS if sku.startswith("HOT") else COLD_UNITS
        level = {"kind": "stock.level", "sku": sku, "location": LOCATION, "on_hand": units, "basis": "net", "as_of": 1}
        facts.append(level)
    return orjson.dumps({"source": "erp", "facts": facts})


class Crowd:
    """Some shoppers and one warehouse, for the length of a round."""

    def __init__(self, urls: Callable[[], list[str]], count: int, seed: int, *, key: str = "") -> None:
        self.history = History()
        self._urls = urls
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._count = count
        self._seed = seed
        self._stopping = False
        self._ended_s = 0.0
        self._names = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []

    async def open_shop(self) -> None:
        """Declare the stock, and wait until the log has it."""
        async with self._session() as session:
            for _ in range(100):
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, IndexError):
                    url = f"{self._urls()[0]}/v1/facts"
                    headers = {"Content-Type": "application/json"}
                    async with session.post(url, data=opening(), headers=headers) as response:
                        body = await response.read()
                        if response.status == 202:
                            assert orjson.loads(body)["rejected"] == [], body
                            return
                await asyncio.sleep(0.2)
        raise AssertionError("the shop could not be opened")

    def start(self) -> None:
        """Let them in."""
        self._tasks = [asyncio.create_task(self._shop(number)) for number in range(self._count)]
        self._tasks.append(asyncio.create_task(self._restock()))

    def look(self) -> None:
        """Raises what ended a shopper before his time, if anything did."""
        for task in self._tasks:
            if task.done() and not self._stopping:
                task.result()

    async def stop(self, patience_s: float = 20.0) -> None:
        """No new carts; what is under way may still get its answer."""
        self._stopping = True
        self._ended_s = time.monotonic() + patience_s
        await asyncio.gather(*self._tasks)

    async def _shop(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")
        known = 0
        async with self._session() as session:
            while not self._stopping:
                lines = tuple(
                    (chance.choice(SKUS[:HOT] if chance.random() < 0.4 else SKUS[HOT:]), chance.randint(1, 2))
                    for _ in range(chance.randint(1, 2))
                )
                name = f"r{self._seed}-{next(self._names)}"
                body = {"channel": "web", "ttl_ms": 3_600_000}
                rows = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
                put = Operation("put", name, lines, time.monotonic())
                held = await self._ask(session, put, "PUT", f"/v1/reservations/{name}", body | {"lines": rows}, chance)
                known = max(known, put.sequence)
                if held:
                    what = chance.random()
                    if what < 0.6:
                        await self._follow(session, "confirm", name, {"order_ref": f"o-{name}"}, chance)
                    elif what < 0.85:
                        await self._follow(session, "release", name, {}, chance)
                if chance.random() < 0.3:
                    known = await self._read(session, chance.choice(SKUS), known)
                await asyncio.sleep(chance.uniform(*THINK_S))

    async def _follow(
        self, session: aiohttp.ClientSession, verb: str, name: str, body: dict[str, str], chance: random.Random
    ) -> None:
        operation = Operation(verb, name, (), time.monotonic())
        await self._ask(session, operation, "POST", f"/v1/reservations/{name}/{verb}", body, chance)

    async def _restock(self) -> None:
        chance = random.Random(f"{self._seed}/warehouse")
        async with self._session() as session:
            while not self._stopping:
                ref = f"d{self._seed}-{next(self._names)}"
                sku = chance.choice(SKUS[:HOT])
                fact = {"kind": "stock.delta", "sku": sku, "location": LOCATION, "quantity": 3, "reason": "found"}
                body = {"source": "erp", "facts": [fact | {"ref": ref, "as_of": 2}]}
                delta = Operation("delta", ref, ((sku, 3),), time.monotonic())
                await self._ask(session, delta, "POST", "/v1/facts", body, chance)
                await asyncio.sleep(0.1)

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        operation: Operation,
        method: str,
        path: str,
        body: object,
        chance: random.Random,
    ) -> bool:
        """Send until there is a clear answer. Whether it was done."""
        self.history.operations.append(operation)
        payload = orjson.dumps(body)
        headers = {"Content-Type": "application/json"}
        while not self._stopping or time.monotonic() < self._ended_s:
            try:
                url = chance.choice(self._urls()) + path
                async with session.request(method, url, data=payload, headers=headers) as response:
                    answer = await response.read()
                    if response.status in CLEAR:
                        operation.ended_s = time.monotonic()
                        operation.status = response.status
                        operation.sequence = int(response.headers.get("Holdfast-Sequence", "0"))
                        self.history.clear_s.append(operation.ended_s)
                        return operation.acknowledged
                    operation.outcomes.append(str(orjson.loads(answer).get("outcome", response.status)))
            except (aiohttp.ClientError, TimeoutError, OSError, IndexError, orjson.JSONDecodeError) as fault:
                operation.outcomes.append(type(fault).__name__)
            operation.repeats += 1
            await asyncio.sleep(UNCLEAR_WAIT_S)
        return False

    async def _read(self, session: aiohttp.ClientSession, sku: str, known: int) -> int:
        sent_s = time.monotonic()
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, IndexError):
            url = f"{self._urls()[0]}/v1/availability/{sku}?channel=web&min_sequence={known}"
            async with session.get(url) as response:
                if response.status == 200:
                    as_of = orjson.loads(await response.read())["as_of"]
                    self.history.reads.append((sent_s, known, as_of["sequence"], as_of["mode"]))
                    self.history.stale_reads += as_of["mode"] == "stale"
                    return max(known, int(as_of["sequence"]))
        return known

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=4, force_close=False)
        timeout = aiohttp.ClientTimeout(total=10)
        return aiohttp.ClientSession(timeout=timeout, connector=connector, headers=self._headers)
