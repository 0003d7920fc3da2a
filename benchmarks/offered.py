"""Load that is offered and not asked for: so many requests a second, whether or not the ones before were answered.

    python -m benchmarks.offered PORT SECONDS RUN CHECKOUTS READS

In: a gateway on loopback with the stock of benchmarks/serving.py; rates. Out: one JSON object for each class of calls:
how many were answered how, latencies in ms. Always: a latency counts from when a request was due, so a server that
stalls is not measured by the few that it let through; what finds no connection waits in its turn, and beyond
`WAITING_MAX`, or at the end, is `not sent` and counted; SIGTERM ends it early. CHECKOUTS are reservations of two
lines; READS are 200 figures at once (rank 3).
"""

import asyncio
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, cast

import orjson
import uvloop

from benchmarks.load import SKUS, cart

CONNECTIONS = {"checkouts": 192, "reads": 192}
WAITING_MAX = 20_000
TICK_S = 0.001
LEFT_S = 15.0  # for what is under way at the end
FIGURES = 200
_BODIES = 500
CARTS = 49_999  # no multiple of that many bodies, so that a cart comes again with another one


class Caller(asyncio.Protocol):
    """One connection, with one request under way at the most."""

    def __init__(self, calls: "Calls") -> None:
        self._calls = calls
        self._due_s = 0.0
        self._seen = b""
        self._missing = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._calls.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        del error
        if self._due_s:
            self._calls.note("closed", self._due_s)
        self._calls.lost(self)

    def send(self, request: bytes, due_s: float) -> None:
        assert self.transport is not None
        self._due_s = due_s
        self.transport.write(request)

    def data_received(self, part: bytes) -> None:
        if not self._missing:
            self._seen += part
            end = self._seen.find(b"\r\n\r\n")
            if end < 0:
                return
            place = self._seen.find(b"ontent-Length: ")
            length = int(self._seen[place + 15 : self._seen.index(b"\r", place)])
            self._missing = end + 4 + length - len(self._seen)
        else:
            self._missing -= len(part)
        if self._missing <= 0:
            head, due_s = self._seen, self._due_s
            self._seen, self._missing, self._due_s = b"", 0, 0.0
            reason = _reason(head)
            self._calls.note(reason, due_s)
            if b"\r\nConnection: close\r\n" not in head:
                self._calls.free(self)


def _reason(head: bytes) -> str:
    """`2xx`, or the name of the problem."""
    if head[9:10] == b"2":
        return "2xx"
    _, _, rest = head.partition(b"urn:holdfast:problem:")
    name = rest.split(b'"')[0].decode() or head[9:12].decode()
    return f"{head[9:12].decode()} {name}" + ("" if b"etry-After: " in head else " without Retry-After")


class Calls:
    """One class of calls at one rate."""

    def __init__(self, port: int, rate: float, connections: int) -> None:
        self._port = port
        self.rate = rate
        self._connections = connections
        self._free: list[Caller] = []
        self._waiting: deque[float] = deque()
        self._sent = 0
        self.answered: Counter[str] = Counter()
        self.times_ms: list[float] = []
        self._opening: set[asyncio.Task[Any]] = set()
        self.make: Callable[[int], bytes] = lambda _: b""
        self.stopped = False

    def note(self, reason: str, due_s: float) -> None:
        self.answered[reason] += 1
        if reason == "2xx":
            self.times_ms.append((time.perf_counter() - due_s) * 1_000)

    def free(self, caller: Caller) -> None:
        if self._waiting:
            self._ask(caller, self._waiting.popleft())
        else:
            self._free.append(caller)

    def lost(self, caller: Caller) -> None:
        if caller in self._free:
            self._free.remove(caller)
        self._open()

    def _open(self) -> None:
        loop = asyncio.get_running_loop()

        async def connect() -> None:
            while True:
                try:
                    await loop.create_connection(lambda: Caller(self), "127.0.0.1", self._port)
                    return
                except OSError:
                    await asyncio.sleep(0.1)

        task = loop.create_task(connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _ask(self, caller: Caller, due_s: float) -> None:
        self._sent += 1
        caller.send(self.make(self._sent), due_s)

    async def run(self, seconds: float) -> dict[str, Any]:
        """At the rate, for so long; then what is under way is waited for."""
        for _ in range(self._connections):
            self._open()
        await asyncio.sleep(0.5)
        began = time.perf_counter()
        offered = 0
        while (now := time.perf_counter()) < began + seconds and not self.stopped:
            due = int((now - began) * self.rate)
            while offered < due:
                offered += 1
                due_s = began + offered / self.rate
                if self._free:
                    self._ask(self._free.pop(), due_s)
                elif len(self._waiting) < WAITING_MAX:
                    self._waiting.append(due_s)
                else:
                    self.answered["not sent"] += 1
            await asyncio.sleep(TICK_S)
        self.answered["not sent"] += len(self._waiting)
        self._waiting.clear()
        for _ in range(int(LEFT_S / 0.05)):
            if sum(self.answered.values()) >= offered:
                break
            await asyncio.sleep(0.05)
        self.answered["without an answer"] += offered - sum(self.answered.values())
        times = sorted(self.times_ms)
        quantiles = {
            f"p{share}_ms": round(times[int(len(times) * share / 100)], 2) if times else None for share in (50, 99)
        }
        return {"offered": offered, "seconds": seconds, "answered": +self.answered, **quantiles}


class Checkouts(Calls):
    """Reservations of two lines, under `CARTS` ids: from then on each replaces one, by other lines."""

    def __init__(self, port: int, rate: float, run: str) -> None:
        super().__init__(port, rate, CONNECTIONS["checkouts"])
        self._head = f"PUT /v1/reservations/{run}-".encode()
        self._tails = [_request(orjson.dumps(cart(number))) for number in range(_BODIES)]
        self.make = self._make

    def _make(self, number: int) -> bytes:
        return b"%b%d%b" % (self._head, number % CARTS, self._tails[number % _BODIES])


class Reads(Calls):
    """Many figures at once, as a report or an export asks for them."""

    def __init__(self, port: int, rate: float) -> None:
        super().__init__(port, rate, CONNECTIONS["reads"])
        names = [f"SKU-{number * 7_919 % SKUS:05}" for number in range(FIGURES)]
        body = orjson.dumps({"channel": "web", "skus": names})
        self._request = b"POST /v1/availability" + _request(body)
        self.make = lambda _: self._request


def _request(content: bytes) -> bytes:
    head = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(content) + content


async def offer(port: int, seconds: float, run: str, checkouts: float, reads: float) -> dict[str, Any]:
    """Both classes beside each other."""
    calls: dict[str, Calls] = {"checkouts": Checkouts(port, checkouts, run), "reads": Reads(port, reads)}
    asked = {name: one for name, one in calls.items() if one.rate}

    def stop() -> None:
        for one in asked.values():
            one.stopped = True

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    found = await asyncio.gather(*(one.run(seconds) for one in asked.values()))
    return {name: {} for name in calls} | dict(zip(asked, found, strict=True))


if __name__ == "__main__":
    found = uvloop.run(offer(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], float(sys.argv[4]), float(sys.argv[5])))
    print(orjson.dumps(found).decode())
