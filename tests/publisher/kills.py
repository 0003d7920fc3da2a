"""Consumers and publishers killed under load: `python -m tests.publisher.kills [CONSUMERS PUBLISHERS]` (100 50).

Role: see that a consumer that is killed beside a publisher that is killed misses no event and gets none out of order.
In: how often each is killed. Out: what was compared; exit status 1 where anything differs. Always: both are processes
that get SIGKILL; the nats-server, the node and the log are real; carts are taken until the last kill.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from holdfast.cli.place import Place, with_log
from holdfast.nats.connection import Connection
from holdfast.nats.stream_reader import StreamReader
from holdfast.protocol.errors import Unavailable
from holdfast.settings import LogSettings
from holdfast.settings.resolve import Resolved
from holdfast.tasks import cancel_and_wait
from tests.publisher.test_publisher import OUTLETS, assert_published, derived, published, publisher_of, shop, trading

UP_S = 60.0
HOLD_MS = 3_600_000
"""No hold ends while what was published is compared with the log."""


def consume(directory: Path, taken: Path) -> None:
    """A consumer: what it has dealt with is a line of its file, and it goes on behind the last whole one."""
    lines = taken.read_bytes().split(b"\n")[:-1]
    os.truncate(taken, sum(len(line) + 1 for line in lines))  # a line that was cut by the kill goes

    async def work(connection: Connection, _found: Resolved, _directory: Path) -> None:
        after = orjson.loads(lines[-1])["out"] if lines else 0
        reader = StreamReader(connection, OUTLETS.out, after, LogSettings(), is_sparse=True)
        await reader.open()
        with taken.open("ab", buffering=0) as file:
            while True:
                for entry in await reader.take(100, 1 << 20):
                    event = orjson.loads(entry.payload)
                    about = event["reservation"]["id"] if "reservation" in event else event.get("sku", "")
                    file.write(orjson.dumps({"out": entry.sequence, "id": event["id"], "about": about}) + b"\n")

    with_log(Place(data=directory), "consumer", work)


class Killed:
    """A process that is started, killed after a while, and started again."""

    def __init__(self, line: list[str], log: Path) -> None:
        self._line = line
        self._log = log
        self.kills = 0

    async def until(self, kills: int, choose: random.Random, works: Callable[[], int]) -> None:
        """Kill it so often, each time when it has done something."""
        while self.kills < kills:
            with self._log.open("ab") as log:
                process = await asyncio.create_subprocess_exec(*self._line, stdout=log, stderr=log)
            try:
                begun, deadline = works(), time.monotonic() + UP_S
                while works() == begun and time.monotonic() < deadline and process.returncode is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                await asyncio.sleep(choose.uniform(0.0, 0.3))
            finally:
                if process.returncode is None:
                    os.kill(process.pid, signal.SIGKILL)
                    await process.wait()
            self.kills += process.returncode == -signal.SIGKILL


async def killed(directory: Path, consumers: int, publishers: int, seed: int = 1) -> str:
    """Run it; what was compared. Raises AssertionError where anything differs."""
    choose = random.Random(seed)
    taken = directory / "taken"
    taken.touch()
    async with trading(directory, on_hand=2_000_000) as (node, connection, endpoint):
        await published(publisher_of(directory, endpoint))

        async def load() -> None:
            for round_ in range(1_000_000):
                with contextlib.suppress(
                    Unavailable
                ):  # a nats-server that is starved for a while; the next cart goes on
                    await shop(node, 10, seed=round_ + 1, ttl_ms=HOLD_MS)
                await asyncio.sleep(0.05)

        async def end() -> int:
            return int((await connection.api(f"STREAM.INFO.{OUTLETS.out}"))["state"]["last_seq"])

        ends = [await end()]

        async def watch() -> None:
            while True:
                ends[0] = await end()
                await asyncio.sleep(0.05)

        (directory / "holdfast.toml").write_text("[publisher]\ntakeover_ms = 500\n")
        line = [sys.executable, "-m", "holdfast", "publish", "--data", str(directory)]
        line += ["--config", str(directory / "holdfast.toml")]
        own = [sys.executable, "-m", "tests.publisher.kills", "consume", str(directory), str(taken)]
        publisher, consumer = Killed(line, directory / "publisher.log"), Killed(own, directory / "consumer.log")
        running = [asyncio.create_task(load()), asyncio.create_task(watch())]
        killing = [
            asyncio.create_task(publisher.until(publishers, choose, lambda: ends[0])),
            asyncio.create_task(consumer.until(consumers, choose, lambda: taken.stat().st_size)),
        ]
        try:
            # While the one is still being killed, the other has to have something to do.
            await asyncio.wait(killing, return_when=asyncio.FIRST_COMPLETED)
            if killing[0].done():
                killing.append(asyncio.create_task(publisher_of(directory, endpoint).run()))
            await asyncio.gather(*killing[:2])
        finally:
            await cancel_and_wait(*killing, *running)
        await published(publisher_of(directory, endpoint))
        last = await end()
        process = await asyncio.create_subprocess_exec(*own)
        try:
            deadline = time.monotonic() + UP_S
            while not (lines := lines_of(taken)) or lines[-1]["out"] != last:
                assert time.monotonic() < deadline, "the consumer does not come to the end"
                await asyncio.sleep(0.1)
        finally:
            process.kill()
            await process.wait()
        await assert_published(connection)
        return compared(lines, [one["id"] for one in (await derived(connection))[0]], consumer.kills, publisher.kills)


def lines_of(taken: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in taken.read_bytes().split(b"\n")[:-1]]


def compared(lines: list[dict[str, object]], wanted: list[str], consumers: int, publishers: int) -> str:
    """None missed, and what is about one subject in order; one may come twice."""
    newest: dict[object, tuple[int, ...]] = {}
    seen: set[object] = set()
    for line in lines:
        place = tuple(int(part) for part in str(line["id"]).split(":"))
        if line["id"] not in seen:
            assert place > newest.get(line["about"], (0,)), line
            newest[line["about"]] = place
        seen.add(line["id"])
    assert seen == set(wanted), sorted(set(wanted) ^ seen, key=str)[:5]
    return (
        f"{consumers} consumers and {publishers} publishers were killed; {len(wanted):,} events, none missed, none "
        f"out of order, {len(lines) - len(seen):,} twice; AVAILABLE has the figures of the log"
    )


def main() -> int:
    if sys.argv[1:2] == ["consume"]:
        consume(Path(sys.argv[2]), Path(sys.argv[3]))
        return 0
    consumers, publishers = (int(one) for one in sys.argv[1:] or ("100", "50"))
    with tempfile.TemporaryDirectory() as directory:
        began = time.monotonic()
        try:
            print(asyncio.run(killed(Path(directory), consumers, publishers)), f"({time.monotonic() - began:.0f} s)")
        except AssertionError as wrong:
            print(f"WRONG: {wrong}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
