"""A fixed script of requests through the gateway's Python, for benchmarks/gate.py to count its instructions.

    python -m benchmarks.python_path READS RESERVATIONS

In: nothing. Out: nothing; the answers are checked. Always: one request after the other on one connection, the same
bytes each time; HTTP, routes, answers and core are the real ones; what depends on time is left out: what is decided
counts as stored at once, and nobody looks at the clock meanwhile, which valgrind makes 50 times as fast. Under
valgrind, counting is on for the requests alone.
"""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import orjson
import uvloop

from holdfast._core import Engine
from holdfast.gateway import pressure
from holdfast.gateway.ports import Answer, Channels
from tests.support.gateway import StubNode, listening

SKUS = 1_000
NOW_MS = 1_790_000_000_000
WARM = 50


@dataclass
class DecidingNode(StubNode):
    """Decides each command by itself, and takes it for stored."""

    def submit(
        self, verb: str, reservation: str, body: bytes, channels: Channels, by: str | None, key: str | None = None
    ) -> asyncio.Future[Answer]:
        del key
        decision = self.engine.decide(NOW_MS, 1, [(verb, reservation, body, channels, by)], [])
        [(status, content)] = decision.answers
        self.engine.commit(self.engine.sequence + 1)
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiter.set_result((status, content, self.engine.sequence))
        return waiter


def stocked() -> Engine:
    """A core with stock."""
    engine = Engine("main")
    engine.apply(1, engine.lead_batch("n1", NOW_MS))
    facts: list[dict[str, Any]] = [{"kind": "location", "location": "lyon", "type": "warehouse"}]
    level = {"kind": "stock.level", "location": "lyon", "on_hand": 10**6, "basis": "net", "as_of": 1}
    facts += [level | {"sku": f"SKU-{number:05}"} for number in range(SKUS)]
    decision = engine.decide(NOW_MS, 0, [], [(1, "hf.main.in.erp.acme", orjson.dumps({"facts": facts}))])
    assert decision.dead == []
    engine.commit(engine.sequence + 1)
    return engine


def read(number: int) -> bytes:
    return b"GET /v1/availability/SKU-%05d?channel=web HTTP/1.1\r\nHost: localhost\r\n\r\n" % (number * 7 % SKUS)


def reserve(number: int) -> bytes:
    lines = [{"sku": f"SKU-{(number * 7 + step) % SKUS:05}", "quantity": 1 + step} for step in (0, 1)]
    body = orjson.dumps({"channel": "web", "ttl_ms": 900_000, "lines": lines})
    head = b"PUT /v1/reservations/cart-%07d HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" % number
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def play(reads: int, reservations: int) -> None:
    """The script."""
    vars(pressure)["LOOK_S"] = 3_600.0
    async with listening(DecidingNode(engine=stocked())) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask(request: bytes, expected: bytes) -> None:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.split(b" ", 2)[1] == expected, head
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length))

        for number in range(WARM):
            await ask(read(number), b"200")
            await ask(reserve(10**6 + number), b"201")
        counting("on")
        for number in range(reads):
            await ask(read(number), b"200")
        for number in range(reservations):
            await ask(reserve(number), b"201")
        counting("off")
        writer.close()


def counting(state: str) -> None:
    """Callgrind's, of this process; nothing outside of valgrind."""
    if "CALLGRIND" in os.environ:
        subprocess.run(["callgrind_control", "-i", state, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    uvloop.run(play(int(sys.argv[1]), int(sys.argv[2])))
