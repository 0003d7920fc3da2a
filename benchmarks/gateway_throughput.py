"""The gateway beside a bare aiohttp handler: durable reservations, and availability reads.

    python benchmarks/gateway_throughput.py [--pairs 5] [--seconds 3] [--connections 64] [--only BATCH]

What is compared, in alternating runs on one machine:

- PUT: a bare aiohttp + uvloop handler with a path parameter that parses the same body (orjson) and answers a constant,
  beside `holdfast serve` with its embedded log, every reservation fsynced before it is answered. Target: 0.60.
- GET: a bare handler that answers a constant, beside an availability read. Target: 0.80.
- BATCH: 500 of the PUT's carts in one request, on a quarter of the connections (8 at most). The bare handler parses the
  same body and makes an answer of the same form. Rates count reservations. Target: 0.60.

Both servers are one process each (holdfast's supervisor idles beside it). The load comes from one further process that
costs a small part of either: raw asyncio protocols on uvloop, request bytes prepared beforehand, of each answer only
status and length read. (wrk would do, but is one more thing to install and cannot send a fresh reservation id each time
without Lua.) The log's server and the load share the second core in the one case, the load has it alone in the other:
the ratio includes that.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
import uvloop
from aiohttp import web

from holdfast import _core

SKUS = 10_000
BODIES = 2_000
BATCH = 500
TARGETS = {"PUT": 0.60, "GET": 0.80, "BATCH": 0.60}
_RESERVATION = orjson.dumps(
    {
        "id": "b-0-0",
        "state": "held",
        "channel": "web",
        "owner": None,
        "order_ref": None,
        "expires_at": "2026-11-23T15:00:00.000Z",
        "lines": [
            {"sku": "SKU-00001", "quantity": 1, "allocations": [{"location": "W1", "quantity": 1}]},
            {"sku": "SKU-00002", "quantity": 2, "allocations": [{"location": "W1", "quantity": 2}]},
        ],
        "version": 1,
        "sequence": 1234,
    }
)
_PARSED = orjson.loads(_RESERVATION)
_AVAILABILITY = orjson.dumps(
    {
        "sku": "SKU-00001",
        "channel": "web",
        "sellable": 999_999,
        "unlimited": False,
        "as_of": {"sequence": 1234, "age_ms": 3, "mode": "live"},
    }
)


def cart(number: int) -> dict[str, Any]:
    """Two lines; the SKUs walk over the catalogue in two different steps."""
    first, second = number * 7_919 % SKUS, (number * 104_729 + 1) % SKUS
    lines = [{"sku": f"SKU-{first:05}", "quantity": 1}, {"sku": f"SKU-{second:05}", "quantity": 2}]
    return {"channel": "web", "ttl_ms": 900_000, "lines": lines}


class Bare:
    """What a handler on aiohttp and uvloop costs by itself."""

    @staticmethod
    async def put(request: web.Request) -> web.Response:
        orjson.loads(await request.read())
        assert request.match_info["id"]
        return web.Response(body=_RESERVATION, status=201, content_type="application/json")

    @staticmethod
    async def get(request: web.Request) -> web.Response:
        assert request.match_info["sku"]
        assert request.query["channel"]
        return web.Response(body=_AVAILABILITY, content_type="application/json")

    @staticmethod
    async def batch(request: web.Request) -> web.Response:
        results = []
        for one in orjson.loads(await request.read())["requests"]:
            lines = [
                {**line, "allocations": [{"location": "W1", "quantity": line["quantity"]}]} for line in one["lines"]
            ]
            reservation = {**_PARSED, "id": one["id"], "lines": lines}
            results.append({"id": one["id"], "status": 201, "reservation": reservation})
        return web.Response(body=orjson.dumps({"results": results}), content_type="application/json")

    @classmethod
    async def serve(cls, port: int) -> None:
        application = web.Application(client_max_size=16 << 20)
        application.router.add_put("/v1/reservations/{id}", cls.put)
        application.router.add_get("/v1/availability/{sku}", cls.get)
        application.router.add_post("/v1/reservations:batch", cls.batch)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.Event().wait()


class Load(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, make: Callable[[int], bytes], expected: bytes, tally: list[int]) -> None:
        self.make, self.expected, self.tally = make, expected, tally
        self.asked = 0
        self.missing = 0
        self.rest = b""
        self.sent_at = 0.0
        self.times_s: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.ask()

    def ask(self) -> None:
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
        self.tally[answer[9:12] != self.expected] += 1
        self.ask()

    @classmethod
    def put(cls, run: str, connection: int, tally: list[int]) -> "Load":
        head = f"PUT /v1/reservations/{run}-{connection}-".encode()
        tails = [
            b" HTTP/1.1\r\n%b\r\n%b" % (_headers(len(content)), content)
            for content in (orjson.dumps(cart(connection * 97 + index * 31)) for index in range(BODIES // 8))
        ]
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

    @classmethod
    async def run(cls, port: int, method: str, run: str, connections: int, seconds: float) -> dict[str, float]:
        """Ask for `seconds` (after a fifth of it to warm up); requests per second, failures, latencies in ms."""
        loop = asyncio.get_running_loop()
        tally = [0, 0]
        make = {"PUT": cls.put, "GET": cls.get, "BATCH": cls.batch}[method]
        made = [
            (await loop.create_connection(partial(make, run, number, tally), "127.0.0.1", port))[1]
            for number in range(connections)
        ]
        await asyncio.sleep(seconds / 5)
        for load in made:
            load.times_s.clear()
        begun, counted, spent = time.perf_counter(), sum(tally), time.process_time()
        await asyncio.sleep(seconds)
        took = time.perf_counter() - begun
        rate = (sum(tally) - counted) / took
        times_ms = sorted(time_s * 1_000 for load in made for time_s in load.times_s)
        load_cpu = (time.process_time() - spent) / took
        for load in made:
            load.transport.abort()
        return {
            "rate": rate,
            "failed": tally[1],
            "asked": sum(tally),
            "p50_ms": times_ms[len(times_ms) // 2],
            "p99_ms": times_ms[len(times_ms) * 99 // 100],
            "load_cpu": load_cpu,
        }


def _headers(length: int) -> bytes:
    return b"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % length


@contextmanager
def process(*arguments: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A child that is asked to stop at the end."""
    with ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log is not None else None
        child = subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=output)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(port: int, method: str, path: str, content: Any = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", None if content is None else orjson.dumps(content), method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return orjson.loads(answer.read())


def wait_until_ready(port: int, path: str, child: subprocess.Popen[bytes], log: Path | None = None) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            call(port, "GET", path)
            return
        except OSError:
            if child.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text()[-2_000:] if log is not None else ""
                raise SystemExit(f"a server did not come up\n{tail}") from None
        time.sleep(0.05)


def stock(port: int) -> None:
    """10,000 SKUs in one warehouse, a million of each."""
    call(port, "POST", "/v1/policies", {"facts": [{"kind": "location", "location": "W1", "type": "warehouse"}]})
    levels = [
        {
            "kind": "stock.level",
            "sku": f"SKU-{number:05}",
            "location": "W1",
            "on_hand": 1_000_000,
            "basis": "net",
            "as_of": 1,
        }
        for number in range(SKUS)
    ]
    answer = call(port, "POST", "/v1/facts", {"source": "bench", "facts": levels})
    if answer["accepted"] != SKUS:
        raise SystemExit(f"the stock was not taken: {answer['rejected'][:3]}")


def cpu_s(pid: int) -> float:
    """What a process has used of a core so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one_run(port: int, pid: int, method: str, run: str, options: argparse.Namespace) -> dict[str, float]:
    many = method == "BATCH"
    connections = max(1, min(8, options.connections // 4)) if many else options.connections
    arguments = [str(port), method, run, str(connections), str(options.seconds)]
    before = cpu_s(pid)
    done = subprocess.run([sys.executable, __file__, "--load", *arguments], capture_output=True, check=True)
    found = dict(json.loads(done.stdout))
    found["rate"] *= BATCH if many else 1
    found["asked"] *= BATCH if many else 1
    return found | {"cpu_us": (cpu_s(pid) - before) * 1e6 / found["asked"]}


def compare(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.directory)))
        log = directory / "serve.log"
        bare, real = free_port(), free_port()
        bare_child = stack.enter_context(process(__file__, "--bare", str(bare)))
        real_child = stack.enter_context(
            process(
                *("-m", "holdfast", "serve", "--data", str(directory / "data"), "--port", str(real), "--auth", "off"),
                log=log,
            )
        )
        wait_until_ready(bare, "/v1/availability/x?channel=web", bare_child)
        wait_until_ready(real, "/readyz", real_child, log)
        stock(real)
        worker = int(call(real, "GET", "/v1/state")["pid"])  # what serves; its supervisor does next to nothing
        for method in options.only or TARGETS:
            for pair in range(options.pairs):
                servers = {"bare": (bare, bare_child.pid), "holdfast": (real, worker)}
                row: dict[str, Any] = {"method": method, "pair": pair + 1}
                for name in sorted(servers, reverse=pair % 2 == 1):
                    row[name] = one_run(*servers[name], method, f"{name}{pair}", options)
                row["ratio"] = row["holdfast"]["rate"] / row["bare"]["rate"]
                rows.append(row)
                print(
                    f"{method:5} pair {pair + 1}: bare {row['bare']['rate']:9,.0f}/s   "
                    f"holdfast {row['holdfast']['rate']:9,.0f}/s   ratio {row['ratio']:.2f}   "
                    f"CPU {row['bare']['cpu_us']:.1f} and {row['holdfast']['cpu_us']:.1f} us for each   "
                    f"p50 {row['holdfast']['p50_ms']:.2f} ms  p99 {row['holdfast']['p99_ms']:.2f} ms",
                    file=sys.stderr,
                )
    return rows


def summarise(rows: list[dict[str, Any]], options: argparse.Namespace) -> int:
    summary = {}
    for method in options.only or TARGETS:
        target = TARGETS[method]
        own = [row for row in rows if row["method"] == method]
        summary[method] = {
            "ratio": round(statistics.median(row["ratio"] for row in own), 3),
            "target": target,
            "bare_per_s": round(statistics.median(row["bare"]["rate"] for row in own)),
            "holdfast_per_s": round(statistics.median(row["holdfast"]["rate"] for row in own)),
            "holdfast_p50_ms": round(statistics.median(row["holdfast"]["p50_ms"] for row in own), 2),
            "holdfast_p99_ms": round(statistics.median(row["holdfast"]["p99_ms"] for row in own), 2),
            "bare_cpu_us": round(statistics.median(row["bare"]["cpu_us"] for row in own), 1),
            "holdfast_cpu_us": round(statistics.median(row["holdfast"]["cpu_us"] for row in own), 1),
            "failed": sum(int(row[name]["failed"]) for row in own for name in ("bare", "holdfast")),
        }
    if options.json:
        print(json.dumps(summary, indent=2))
    else:
        names = {"PUT": "durable reservations", "GET": "availability reads", "BATCH": "the same in batches"}
        print(f"\nMedians of {options.pairs} pairs, {options.connections} connections, {os.cpu_count()} cores:")
        for method, found in summary.items():
            print(
                f"  {names[method]:21} {found['holdfast_per_s']:7,}/s of {found['bare_per_s']:7,}/s bare: "
                f"ratio {found['ratio']:.2f} (target {found['target']:.2f})   p50 {found['holdfast_p50_ms']} ms, "
                f"p99 {found['holdfast_p99_ms']} ms, failed {found['failed']}"
            )
    missed = any(found["ratio"] < found["target"] or found["failed"] for found in summary.values())
    return int(missed and options.check)


def main() -> int:
    if sys.argv[1:2] in (["--bare"], ["--load"]):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if sys.argv[1] == "--bare":
                runner.get_loop().add_signal_handler(signal.SIGTERM, sys.exit)
                runner.run(Bare.serve(int(sys.argv[2])))
            port, method, run, connections, seconds = sys.argv[2:7]
            print(json.dumps(runner.run(Load.run(int(port), method, run, int(connections), float(seconds)))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument(
        "--directory", help="where the log is kept meanwhile (default: the system's temporary directory)"
    )
    parser.add_argument("--only", action="append", choices=TARGETS, help="this comparison alone (may be repeated)")
    parser.add_argument("--json", action="store_true", help="the summary as JSON on stdout")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args()
    if _core.build_profile != "release":
        parser.error("the extension is not the one that is shipped: make install PROFILE=release")
    return summarise(compare(options), options)


if __name__ == "__main__":
    sys.exit(main())
