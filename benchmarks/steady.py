"""Checkouts at a steady rate, whatever the answers take: what shoppers feel while something else goes on.

    python -m benchmarks.steady PORT RATE SECONDS

In: a server on loopback with the SKUs of benchmarks/load.py. Out: one JSON object: how many were asked for, what was
not answered 201, latencies in ms. Always: a latency begins when the cart was due, not when it was sent, so a server
that stands still is seen by every cart that waits for it; SIGTERM ends it early, and what was measured is printed.
"""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from typing import Any

import aiohttp
import orjson
import uvloop

from benchmarks.load import cart

_CONNECTIONS = 128
_LONGEST_S = 60.0


async def run(port: int, rate: float, seconds: float) -> dict[str, Any]:
    """`rate` carts a second for `seconds`, or until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    took_ms: list[float] = []
    others: Counter[str] = Counter()
    timeout = aiohttp.ClientTimeout(total=_LONGEST_S)
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector, timeout=timeout) as session:

        async def one(number: int, due: float) -> None:
            path = f"/v1/reservations/steady-{os.getpid()}-{number}"
            try:
                async with session.put(path, data=orjson.dumps(cart(number))) as answer:
                    await answer.read()
                    if answer.status != 201:
                        others[str(answer.status)] += 1
            except (aiohttp.ClientError, TimeoutError, OSError) as fault:
                others[type(fault).__name__] += 1
            took_ms.append((time.monotonic() - due) * 1_000)

        begun, asked = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while not stopped.is_set() and asked < rate * seconds:
                due = begun + asked / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(one(asked, due))
                asked += 1
    took_ms.sort()
    at = [took_ms[int(len(took_ms) * share)] for share in (0.5, 0.99, 0.999)] if took_ms else [0.0] * 3
    return {"asked": asked, "others": dict(others)} | dict(zip(("p50_ms", "p99_ms", "p999_ms"), at, strict=True))


def main() -> None:
    port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(run(port, rate, seconds))
    with open(1, "wb", closefd=False) as out:
        out.write(orjson.dumps(found))


if __name__ == "__main__":
    main()
