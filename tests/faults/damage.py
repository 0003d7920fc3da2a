"""Damage that no process does: a flipped bit in a file, a clock that jumps.

In: a service under load, and chance. Out: the damage done, what a person then has to do done too (`holdfast repair`),
and the service running again. Always: the service is stopped while its files are touched, as a broken disk would be
found at the next start; that the damage is noticed is asserted, for damage that nobody sees proves nothing.
"""

import asyncio
import contextlib
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

from tests.faults.service import Service
from tests.support.servers import ROOT

NOTICED_S = 60.0
HOUR_MS = 3_600_000
CLOCK_SOURCE = Path(__file__).with_name("clock.c")


async def flip_log(service: Service, chance: random.Random) -> None:
    """One bit in the last block of LOG: nats-server cuts the stream there without a word."""
    await service.stop()
    block = max(service.directory.glob("nats/store/**/HF_main_LOG/msgs/*.blk"))
    block.with_name("index.db").unlink(missing_ok=True)  # as after a crash: the server reads the blocks themselves
    size = block.stat().st_size
    _flip(block, chance.randrange(size * 3 // 4, size))
    await service.start(wait=False)
    await _noticed(service)
    await _holdfast("repair", "--data", str(service.directory), "--yes")


async def flip_journal(service: Service, chance: random.Random) -> None:
    """One bit in the middle of what a process has kept of LOG."""
    await service.stop()
    segment = max(service.directory.glob("journal/*/*.hfjournal"))
    size = segment.stat().st_size
    _flip(segment, chance.randrange(size // 4, size // 2))
    await service.start(wait=False)
    await _noticed(service)
    await service.stop()  # as the alarm says: a journal is rewritten while no process writes it
    await _holdfast("repair", "--data", str(service.directory), "--yes")
    await service.start()


async def flip_snapshot(service: Service, chance: random.Random) -> None:
    """One bit in the newest snapshot: another start is found by itself."""
    await _holdfast("snapshots", "--data", str(service.directory), "--take")
    await service.stop()
    snapshot = max(service.directory.glob("snapshots/*.hfsnap"))
    _flip(snapshot, chance.randrange(snapshot.stat().st_size))
    await service.start()
    log = (service.directory / "serve.log").read_text(errors="replace")
    assert "snapshot-damaged" in log, "a damaged snapshot is told"


async def jump_clock(service: Service, chance: random.Random) -> None:
    """The wall clock of all holdfast processes jumps by up to three hours, either way, and stays there for a while."""
    jump_ms = chance.choice((-1, 1)) * chance.randrange(HOUR_MS // 60, 3 * HOUR_MS)
    with (service.directory / "clock").open("r+b") as clock:  # in place: the processes read these bytes
        clock.write(struct.pack("<q", jump_ms))
    await asyncio.sleep(chance.uniform(0.5, 2))


def jumping_clock(directory: Path) -> dict[str, str]:
    """What processes need in their environment for `jump_clock`: a library between them and the clock."""
    library = directory / "clock.so"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "clock").write_bytes(struct.pack("<q", 0))
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(CLOCK_SOURCE), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return {"LD_PRELOAD": str(library), "JUMPING_CLOCK": str(directory / "clock")}


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << 3
    path.write_bytes(content)


async def _noticed(service: Service) -> None:
    """Until a process says that somebody has to repair."""
    deadline_s = time.monotonic() + NOTICED_S
    seen: list[str] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
        while time.monotonic() < deadline_s:
            seen = []
            for worker in service.workers():
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with session.get(f"{worker.url}/readyz") as response:
                        seen.append(await response.text())
            if any("holdfast repair" in text for text in seen):
                return
            await asyncio.sleep(0.1)
    raise AssertionError(f"the damage was not noticed in {NOTICED_S:.0f} s: {seen}")


async def _holdfast(*arguments: str) -> None:
    """Run a verb. Raises AssertionError with what it said."""
    variables = os.environ | {"PYTHONPATH": str(ROOT / "python")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "holdfast", *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=variables
    )
    async with asyncio.timeout(180):
        said, _ = await process.communicate()
    assert process.returncode == 0, f"holdfast {' '.join(arguments)} ended with {process.returncode}:\n{said.decode()}"
