"""AVAILABLE after an import: how long until every figure of many SKUs is published, and with how much memory.

    python -m benchmarks.available [--skus 100000] [--json]

1. A node takes a level of each of `--skus` at one location, in messages of 1,000 facts, while nobody publishes.
2. A publisher starts, as a separate process: seconds until AVAILABLE has a figure of each SKU.
3. Every level is stated again, with other quantities: seconds from the first message of facts until every figure that
   differs is published, and the publisher's memory then. Target for a million: 120 s.

With two cores the node, the nats-server and the publisher share them; the machine must be idle.
"""

import argparse
import asyncio
import base64
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import psutil

from holdfast.nats.connection import Connection
from holdfast.nats.outlets import Outlets
from tests.support.servers import connected, embedded, leading

OUTLETS = Outlets("main")
PART = 1_000
PATIENCE_S = 3_600.0


def levels(first: int, number: int, quantity: int, as_of: int) -> bytes:
    facts = [
        {"kind": "stock.level", "sku": f"SKU-{at}", "location": "W1", "on_hand": quantity + at % 97, "basis": "net"}
        | {"as_of": as_of}
        for at in range(first, first + number)
    ]
    return orjson.dumps({"source": "erp", "facts": facts})


async def stated(node: Any, skus: int, quantity: int, as_of: int) -> float:
    """All levels; how long it took."""
    began = time.monotonic()
    for first in range(0, skus, PART):
        await node.facts("erp", "erp", [levels(first, min(PART, skus - first), quantity, as_of)], "log")
    return time.monotonic() - began


async def figures(connection: Connection) -> int:
    """How many subjects AVAILABLE has, the checkpoint left out."""
    try:
        state = (await connection.api(f"STREAM.INFO.{OUTLETS.available}"))["state"]
    except Exception:  # noqa: BLE001 - it is not there yet
        return 0
    return int(state.get("num_subjects", 1)) - 1


async def newest(connection: Connection, sku: str) -> int:
    answer = await connection.api(f"STREAM.MSG.GET.{OUTLETS.available}", {"last_by_subj": OUTLETS.figure("web", sku)})
    return int(orjson.loads(base64.b64decode(answer["message"]["data"]))["published"])


async def settled(connection: Connection, skus: int, quantity: int) -> bool:
    """Whether figures of many places in the catalogue are the newest ones; the whole is compared at the end."""
    for at in range(0, skus, max(1, skus // 50)):
        if await newest(connection, f"SKU-{at}") != quantity + at % 97:
            return False
    return await newest(connection, f"SKU-{skus - 1}") == quantity + (skus - 1) % 97


async def measured(directory: Path, skus: int) -> dict[str, Any]:
    async with (
        embedded(directory) as server,
        leading(server.endpoint) as node,
        connected(server.endpoint) as connection,
    ):
        declared = [
            {"kind": "location", "location": "W1", "type": "warehouse"},
            {"kind": "channel", "channel": "web", "locations": "*", "buffer": 0},
        ]
        await node.facts("policy", "", [orjson.dumps({"source": "policy", "facts": declared})], "log")
        imported_s = await stated(node, skus, 10, 1)
        began = time.monotonic()
        line = [sys.executable, "-m", "holdfast", "publish", "--data", str(directory)]
        process = await asyncio.create_subprocess_exec(*line, stderr=asyncio.subprocess.DEVNULL)
        memory = 0
        try:
            while await figures(connection) < skus:
                assert time.monotonic() - began < PATIENCE_S
                await asyncio.sleep(0.1)
            first_s = time.monotonic() - began
            began = time.monotonic()
            again_s = await stated(node, skus, 500, 2)
            while not await settled(connection, skus, 500):
                assert time.monotonic() - began < PATIENCE_S
                await asyncio.sleep(0.1)
            all_s = time.monotonic() - began
            memory = psutil.Process(process.pid).memory_info().rss
        finally:
            process.terminate()
            await process.wait()
    return {
        "skus": skus,
        "facts_s": round(imported_s, 1),
        "first_figures_s": round(first_s, 1),
        "second_facts_s": round(again_s, 1),
        "second_figures_s": round(all_s, 1),
        "publisher_mib": memory >> 20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skus", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(measured(Path(directory), arguments.skus))
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{found['skus']:,} SKUs; their levels were stated in {found['facts_s']} s")
    print(f"a new publisher had every figure out in {found['first_figures_s']} s")
    print(
        f"an import of all levels: facts {found['second_facts_s']} s, figures {found['second_figures_s']} s from then"
    )
    print(f"memory of the publisher: {found['publisher_mib']} MiB")


if __name__ == "__main__":
    main()
