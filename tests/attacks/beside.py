"""What shoppers get beside a hostile client of each kind: `make attacks ARGS=--beside`.

In: kinds, and for how long each attacks. Out: a table: p99 of the checkout calm and attacked, their ratio, leases
lost, memory before and after; exit status 1 when a bound does not hold. Always: calm and attacked phases alternate
within one run, and the ratio is of their medians, so that a busy machine counts for both; a checkout's time begins
when it was due, not when it was sent; the hostile client is a separate process.
"""

import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson

from holdfast.gateway.key_file import Operation
from tests.attacks.attack import Arena
from tests.attacks.hostile import KINDS
from tests.attacks.stage import Stage, cart, spawned, stage

PER_S, ROUNDS, RATIO_MAX, GROWTH_MAX_MIB = 300, 3, 1.5, 64
FLOOR_MS = 20.0  # below it the ratio is noise: a shopper does not notice
HEAD = "| hostile client | p99 calm | p99 attacked | ratio | refused | leases lost | memory | |\n" + "|---" * 8 + "|"
_names = itertools.count()


@dataclass
class Phase:
    """Checkouts at a steady rate."""

    took_s: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def p99_ms(self) -> float:
        """99 of 100 took no longer."""
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)] * 1000 if self.took_s else float("inf")


async def checkouts(found: Stage, seconds: float) -> Phase:
    """`PER_S` a second, whatever the answers take."""
    phase, headers = Phase(), {"Authorization": f"Bearer {found.admin}"}
    connector = aiohttp.TCPConnector(limit=256, local_addr=("127.0.0.2", 0))
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout) as session:

        async def one(due: float) -> None:
            url = f"http://127.0.0.1:{found.port}/v1/reservations/beside-{next(_names)}"
            try:
                async with session.put(url, data=orjson.dumps(cart(ttl_ms=1_000))) as answer:
                    await answer.read()
                    phase.refused += answer.status != 201
            except (aiohttp.ClientError, TimeoutError, OSError):
                phase.refused += 1
            phase.took_s.append(time.monotonic() - due)

        began, tasks = time.monotonic(), set[asyncio.Task[None]]()
        for at in range(int(seconds * PER_S)):
            due = began + at / PER_S
            if (wait_s := due - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            task = asyncio.create_task(one(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
    return phase


async def _attacked(found: Stage, kind: str, key: str, seconds: float) -> Phase:
    command = [sys.executable, "-m", "tests.attacks.hostile", kind, str(found.store), str(found.port), key]
    child = spawned([*command, str(seconds + 1)], None, dict(os.environ))
    await asyncio.sleep(1)
    phase = await checkouts(found, seconds)
    try:
        await asyncio.to_thread(child.wait, 30)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return phase


async def beside(kind: str, seconds: float) -> tuple[bool, str]:
    """One kind: whether it was held, and its line of the table."""
    with tempfile.TemporaryDirectory(prefix=f"holdfast-beside-{kind}-", ignore_cleanup_errors=True) as directory:
        async with stage(Arena(Path(directory), full=True)) as found:
            key = found.key(Operation(KINDS[kind][0]))
            await found.until_works(key)
            await checkouts(found, 2)  # a warm start for both
            epoch, memory, each_s = (await found.state())["epoch"], found.resident_bytes(), seconds / ROUNDS
            calm, attacked = [], []
            for _ in range(ROUNDS):
                calm.append(await checkouts(found, min(each_s, 10)))
                attacked.append(await _attacked(found, kind, key, each_s))
                await asyncio.sleep(1)
            lost = int((await found.state()).get("epoch", epoch + 1)) - epoch
            grown = (found.resident_bytes() - memory) >> 20
    before = statistics.median(phase.p99_ms for phase in calm)
    after = statistics.median(phase.p99_ms for phase in attacked)
    refused = sum(phase.refused for phase in attacked)
    held = (after <= max(RATIO_MAX * before, FLOOR_MS)) and not lost and not refused and grown <= GROWTH_MAX_MIB
    cells = [kind, f"{before:.1f} ms", f"{after:.1f} ms", f"{after / before:.2f}", str(refused), str(lost)]
    cells += [f"{grown:+d} MiB", "held" if held else "**BROKEN**"]
    return held, "| " + " | ".join(cells) + " |"


async def compare(only: str, seconds: float) -> int:
    """The table, a kind at a time."""
    chosen = [kind for kind in KINDS if not only or kind in only.split(",")]
    print(HEAD, flush=True)
    broken = 0
    for kind in chosen:
        held, line = await beside(kind, seconds)
        broken += not held
        print(line, flush=True)
    return 1 if broken else 0
