"""The load of the gateway's benchmarks: raw asyncio protocols on uvloop that ask again as soon as they are answered.

    python -m benchmarks.load PORT METHOD RUN CONNECTIONS SECONDS

PUT is a reservation of two lines, the SKUs walking over the catalogue; HOT has one SKU in every cart beside another;
LAST asks for single units of one SKU until it is sold out; GET is an availability read; BATCH is 500 carts a request.
In: a server on loopback. Out: one JSON object: the rate, what was not answered as expected, latencies in ms, units
sold by SKU. Always: request bytes are prepared beforehand, and of each answer only status and length are read, so that
it costs a small part of what any server costs; at the end every request that was sent is answered before it is counted.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import orjson
import uvloop

SKUS = 10_000
HOT, LAST = "SKU-HOT", "SKU-LAST"
BODIES = 2_000
BATCH = 500
TTL_MS = 4 * 60 * 60_000  # the longest there is: nothing expires while it is counted


def cart(number: int) -> dict[str, Any]:
    """Two lines; the SKUs walk over the catalogue in two different steps."""
    first, second = number * 7_919 % SKUS, (number * 104_729 + 1) % SKUS
    lines = [{"sku": f"SKU-{first:05}", "quantity": 1}, {"sku": f"SKU-{second:05}", "quantity": 2}]
    return {"channel": "web", "ttl_ms": TTL_MS, "lines": lines}


def hot_cart(number: int) -> dict[str, Any]:
    """One unit of the SKU that everybody wants, and one more line."""
    lines = [{"sku": HOT, "quantity": 1}, {"sku": f"SKU-{number * 7_919 % SKUS:05}", "quantity": 2}]
    return {"channel": "web", "ttl_ms": TTL_MS, "lines": lines}


def last_cart(_: int) -> dict[str, Any]:
    """One of the last units."""
    return {"channel": "web", "ttl_ms": TTL_MS, "lines": [{"sku": LAST, "quantity": 1}]}


CARTS = {"PUT": cart, "HOT": hot_cart, "LAST": last_cart}


class Load(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, make: Callable[[int], bytes], expected: bytes, tally: list[int]) -> None:
        self.make, self.expected, self.tally = make, expected, tally
        self.asked = 0
        self.others: dict[int, bytes] = {}
        self.closing: asyncio.Future[None] | None = None
        self.missing = 0
        self.rest = b""
        self.sent_at = 0.0
        self.times_s: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        """A server that closes is not measured."""
        if self.closing is None or not self.closing.done():
            raise SystemExit(f"the server closed a connection: {error}")

    def close(self) -> asyncio.Future[None]:
        """Asks no more; done when what was asked is answered."""
        self.closing = asyncio.get_running_loop().create_future()
        return self.closing

    def ask(self) -> None:
        if self.closing is not None:
            self.closing.set_result(None)
            return
        request = self.make(self.asked)
        self.asked += 1
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self.missing:
            data = self.rest + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.rest = data
                return
            place = data.find(b"ontent-Length: ")
            self.missing = end + 4 + int(data[place + 15 : data.index(b"\r", place)])
            self.rest = data[:12]
        self.missing -= len(data)
        if self.missing > 0:
            return
        answer, self.rest, self.missing = self.rest, b"", 0
        self.times_s.append(time.perf_counter() - self.sent_at)
        if answer[9:12] != self.expected:
            self.others[self.asked - 1] = answer[9:12]
        self.tally[answer[9:12] != self.expected] += 1
        self.ask()

    @classmethod
    def put(cls, carts: list[bytes], run: str, connection: int, tally: list[int]) -> "Load":
        head = f"PUT /v1/reservations/{run}-{connection}-".encode()
        tails = [b" HTTP/1.1\r\n%b\r\n%b" % (_headers(len(content)), content) for content in carts]
        return cls(lambda number: b"%b%d%b" % (head, number, tails[number % len(tails)]), b"201", tally)

    @classmethod
    def get(cls, _run: str, connection: int, tally: list[int]) -> "Load":
        heads = [
            b"GET /v1/availability/SKU-%05d?channel=web HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            % ((connection * 97 + index * 31) % SKUS)
            for index in range(BODIES // 8)
        ]
        return cls(lambda number: heads[number % len(heads)], b"200", tally)

    @classmethod
    def batch(cls, run: str, connection: int, tally: list[int]) -> "Load":
        carts = [cart(connection * 97 + index * 31) for index in range(BATCH)]
        named = [{"id": f"{run}-{connection}-NUMBER-{index}", **one} for index, one in enumerate(carts)]
        content = orjson.dumps({"requests": named}).replace(b"%", b"%%").replace(b"NUMBER", b"%06d")
        head = b"POST /v1/reservations:batch HTTP/1.1\r\n%b\r\n" % _headers(len(content % ((0,) * BATCH)))
        return cls(lambda number: head + content % ((number,) * BATCH), b"200", tally)


async def run(port: int, method: str, name: str, connections: int, seconds: float) -> dict[str, Any]:
    """Ask for `seconds` (after a fifth of it to warm up). `units_sold` is over the whole time, by SKU."""
    loop = asyncio.get_running_loop()
    tally = [0, 0]
    carts = {number: carts_of(method, number) for number in range(connections)} if method in CARTS else {}
    loads = []
    for number in range(connections):
        if method in CARTS:
            make = partial(Load.put, [orjson.dumps(one) for one in carts[number]], name, number, tally)
        else:
            make = partial({"GET": Load.get, "BATCH": Load.batch}[method], name, number, tally)
        loads.append((await loop.create_connection(make, "127.0.0.1", port))[1])
    await asyncio.sleep(seconds / 5)
    for load in loads:
        load.times_s.clear()
    begun, counted, spent = time.perf_counter(), sum(tally), time.process_time()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - begun
    rate = (sum(tally) - counted) / took
    times_ms = sorted(time_s * 1_000 for load in loads for time_s in load.times_s) or [took * 1_000]
    load_cpu = (time.process_time() - spent) / took
    await asyncio.wait_for(asyncio.gather(*(load.close() for load in loads)), 60)
    for load in loads:
        load.transport.abort()
    return {
        "rate": rate,
        "failed": tally[1],
        "asked": sum(tally),
        "p50_ms": times_ms[len(times_ms) // 2],
        "p99_ms": times_ms[len(times_ms) * 99 // 100],
        "load_cpu": load_cpu,
        "statuses": dict(Counter(status.decode() for load in loads for status in load.others.values())),
        "units_sold": units_sold({load: carts[number] for number, load in enumerate(loads)}) if carts else {},
    }


def carts_of(method: str, connection: int) -> list[dict[str, Any]]:
    """What one connection asks for, again and again."""
    return [CARTS[method](connection * 97 + index * 31) for index in range(BODIES // 8)]


def units_sold(asked: dict[Load, list[dict[str, Any]]]) -> dict[str, int]:
    """Units of the reservations that were made, by SKU."""
    units: Counter[str] = Counter()
    for load, carts in asked.items():
        for index, one in enumerate(carts):
            times = len(range(index, load.asked, len(carts)))
            times -= sum(1 for number in load.others if number % len(carts) == index)
            for line in one["lines"]:
                units[line["sku"]] += times * line["quantity"]
    return dict(units)


def _headers(length: int) -> bytes:
    return b"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % length


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        port, method, name, connections, seconds = sys.argv[1:6]
        found = runner.run(run(int(port), method, name, int(connections), float(seconds)))
    # Not through sys.stdout: under PYTHONUNBUFFERED a write that takes only a part loses the rest.
    with open(1, "wb", closefd=False) as out:
        out.write(orjson.dumps(found))
