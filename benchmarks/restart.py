"""Bootstrap again at a million SKUs, and what taking a snapshot costs who is buying meanwhile.

    python benchmarks/restart.py [--skus 1000000] [--tail 100000] [--seconds 20] [--rate 200] [--keep DIR] [--json]

1. LOG is written: `--skus` at five locations, by a core of the benchmark's own, a batch a message (not measured).
2. A snapshot is taken by a separate process with the gateway's niceness: seconds, bytes, its peak memory.
3. `--tail` more facts go into LOG (holds of one line); `holdfast serve` is started: seconds to readiness. Target: 10.
4. Holds at a steady `--rate`, one connection each, for `--seconds`; then the same while a snapshot is taken. Latency
   counts from when a hold was due, not from when it was sent. Target: p99 moves by no more than 20 ms.

With two cores the load, the gateway, the nats-server and the snapshot process share them; the machine must be idle.
"""

import argparse
import asyncio
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvloop

from holdfast import _core
from holdfast._core import Engine
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names, ensure_streams
from holdfast.nats_server.server import EmbeddedServer
from holdfast.rehearsal.own_gateway import OwnGateway
from holdfast.settings import Settings

LOCATIONS = ("lyon", "paris", "lille", "nantes", "depot")
NOW_MS = 1_790_000_000_000
FACTS_A_BATCH = 2_000
HOLDS_A_BATCH = 250
RESTART_S_MAX, P99_MS_MAX = 10.0, 20.0


class Writer:
    """A leader without a gateway: decides, appends, commits."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self.engine = Engine("main", b"benchmark" * 4)
        self._connection = connection
        self._names = names
        self._incoming = 0

    async def lead(self) -> None:
        message = self.engine.lead_batch("bench", NOW_MS)
        self.engine.apply(self.engine.sequence + 1, message)
        await self._append(message, self.engine.sequence)

    async def facts(self, subject: str, facts: list[dict[str, Any]]) -> None:
        self._incoming += 1
        payload = orjson.dumps({"facts": facts})
        reply = await self._connection.request(subject, payload, 60_000)
        assert json.loads(reply.data).get("seq") == self._incoming, reply.data
        await self._decide([], [(self._incoming, subject, payload)])

    async def _decide(self, commands: list[Any], incoming: list[Any]) -> None:
        decision = self.engine.decide(NOW_MS, self.engine.lead_ms + 1, commands, incoming)
        assert not decision.dead, decision.dead[0]
        assert all(status == 201 for status, _ in decision.answers), decision.answers[0]
        assert decision.message is not None
        assert decision.commands_taken == len(commands)
        self.engine.commit(self.engine.sequence + 1)
        await self._append(decision.message, self.engine.sequence)

    async def holds(self, first: int, count: int, skus: int) -> None:
        asked = []
        for number in range(first, first + count):
            lines = [{"sku": f"SKU-{number * 7_919 % skus:07d}", "quantity": 1}]
            body = orjson.dumps({"channel": "web", "ttl_ms": 14_000_000, "owner": f"o{number}", "lines": lines})
            asked.append(("put", f"b-{number}", body, None, None))
        await self._decide(asked, [])

    async def _append(self, message: bytes, sequence: int) -> None:
        headers = {"Nats-Expected-Last-Sequence": str(sequence - 1)}
        reply = await self._connection.request(self._names.log_subject, message, 60_000, headers)
        assert json.loads(reply.data).get("seq") == sequence, reply.data


async def written(directory: Path, skus: int, *, tail: int) -> None:
    """LOG with stock of that many SKUs, or (with a tail) more at its end. The directory's server runs meanwhile."""
    server = EmbeddedServer(directory, Settings().log)
    await server.start()
    connection = Connection(server.endpoint, Settings().log, "benchmark")
    await connection.open()
    names = Names("main")
    try:
        await ensure_streams(connection, names, Settings().log)
        writer = Writer(connection, names)
        if tail:
            path = max((directory / "snapshots").glob("*.hfsnap"))
            writer.engine = Engine.restore("main", b"benchmark" * 4, str(path))
            for first in range(0, tail, HOLDS_A_BATCH):
                await writer.holds(first, min(HOLDS_A_BATCH, tail - first), skus)
            return
        await writer.lead()
        places = [{"kind": "location", "location": place, "type": "warehouse"} for place in LOCATIONS]
        await writer.facts("hf.main.in.policy", [{"kind": "channel", "channel": "web", "locations": "*"}, *places])
        facts: list[dict[str, Any]] = []
        chance = random.Random(7)
        for number in range(skus):
            for place in LOCATIONS:
                # As uneven as a shop's: quantities and times do not repeat.
                fact: dict[str, Any] = {"kind": "stock.level", "sku": f"SKU-{number:07d}", "location": place}
                fact |= {"on_hand": 50 + chance.randrange(900), "allocated": chance.randrange(5), "basis": "gross"}
                fact["as_of"] = 1_000_000 + chance.randrange(1_000_000)
                facts.append(fact)
            if len(facts) >= FACTS_A_BATCH:
                await writer.facts("hf.main.in.erp.acme", facts)
                facts = []
        if facts:
            await writer.facts("hf.main.in.erp.acme", facts)
    finally:
        await connection.close()
        await server.stop()


def take(directory: Path) -> dict[str, float]:
    """As the gateway's own process does, in a process that is measured."""
    began = time.monotonic()
    done = subprocess.run(
        [
            "nice",
            "-n",
            "10",
            sys.executable,
            "-m",
            "holdfast",
            "snapshots",
            "--data",
            str(directory),
            "--take",
            "--json",
        ],
        capture_output=True,
        check=False,
    )
    took = time.monotonic() - began
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    newest = json.loads(done.stdout)["snapshots"][0]
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"seconds": took, "bytes": newest["bytes"], "peak_mib": peak_kib / 1024, "sequence": newest["sequence"]}


async def load(
    url: str, run: str, skus: int, rate: int, seconds: float, until: asyncio.Event | None
) -> dict[str, float]:
    """Holds at a steady rate for that long, and then until an event; latencies in ms from when each was due."""
    times_ms: list[float] = []
    failed = 0
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(number: int, due_s: float) -> None:
            nonlocal failed
            lines = [{"sku": f"SKU-{number * 104_729 % skus:07d}", "quantity": 1}]
            body = orjson.dumps({"channel": "web", "ttl_ms": 600_000, "lines": lines})
            target = f"{url}/v1/reservations/{run}-{number}"
            headers = {"Content-Type": "application/json"}
            async with session.put(target, data=body, headers=headers) as answer:
                await answer.read()
                failed += answer.status != 201
            times_ms.append((time.monotonic() - due_s) * 1_000)

        began, number = time.monotonic(), 0
        while time.monotonic() - began < seconds or (until is not None and not until.is_set()):
            due_s = began + number / rate
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            task = loop.create_task(one(number, due_s))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.gather(*tasks)
    times_ms.sort()
    cut = statistics.quantiles(times_ms, n=1_000)
    return {"holds": number, "failed": failed, "p50_ms": cut[499], "p99_ms": cut[989], "p999_ms": cut[998]}


async def measured(directory: Path, skus: int, tail: int, rate: int, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {"skus": skus, "tail": tail}
    began = time.monotonic()
    await written(directory, skus, tail=0)
    found["written_s"] = time.monotonic() - began
    found["first"] = await asyncio.to_thread(take, directory)
    await written(directory, skus, tail=tail)
    gateway = OwnGateway(directory)
    try:
        found["restart_s"] = await gateway.start()
        print(f"restarted in {found['restart_s']:.1f} s", file=sys.stderr)
        await load(gateway.url, "warm", skus, rate, 3, None)
        found["before"] = await load(gateway.url, "before", skus, rate, seconds, None)
        over = asyncio.Event()
        during = asyncio.create_task(load(gateway.url, "during", skus, rate, 1, over))
        await asyncio.sleep(0.5)
        found["again"] = await asyncio.to_thread(take, directory)
        over.set()
        found["during"] = await during
        found["after"] = await load(gateway.url, "after", skus, rate, seconds, None)
    finally:
        await gateway.stop()
    found["p99_moved_ms"] = found["during"]["p99_ms"] - found["before"]["p99_ms"]
    found["ok"] = found["restart_s"] < RESTART_S_MAX and found["p99_moved_ms"] <= P99_MS_MAX
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skus", type=int, default=1_000_000)
    parser.add_argument("--tail", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if _core.build_profile != "release":
        parser.error("the extension is not the one that is shipped: make install PROFILE=release")
    directory = asked.keep or Path(tempfile.mkdtemp(prefix="holdfast-restart-"))
    try:
        found = uvloop.run(measured(directory, asked.skus, asked.tail, asked.rate, asked.seconds))
    finally:
        if asked.keep is None:
            shutil.rmtree(directory, ignore_errors=True)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:14} {value}")
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
