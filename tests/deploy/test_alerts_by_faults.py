"""Alerts of faults that are made for real.

A nats-server that stands still or is slow, a gateway that has ended, a leader killed again and again, a burst of
requests, a message in LOG that no gateway sent, snapshots that cannot be written, names that are nearly all taken.

In: `holdfast serve`, scraped before its fault and while it lasts. Out: the alert fires by these scrapes, and did not
before. Faults that a page shows too are in the drill (tests/dashboard/drill.py) and in test_alerts.py.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import nats
import orjson
import pytest

from tests.support.alerts import PROMTOOL, Scrapes, fired
from tests.support.gateway import ask
from tests.support.served import Api, Served, cart, level, places, serving
from tests.support.servers import running, stop_process

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
DOWN = 'up{job="holdfast",instance="a"}'
CART = orjson.dumps(cart(("MUG", 1)))


@asynccontextmanager
async def scraped(directory: Path, *arguments: str, processes: int = 1) -> AsyncIterator[tuple[Served, Api, Scrapes]]:
    """A gateway with ten thousand mugs, scraped once no alert fires."""
    with serving(directory, "--workers", str(processes), *arguments) as served:
        api, scrapes = Api(served.port), Scrapes()
        await api.policies(*places("W1"), {"kind": "channel", "channel": "web", "locations": "*"})
        await api.facts(level("MUG", 10_000))
        await api.held(("MUG", 1))
        for _ in range(30):  # a process that has just begun to follow is behind
            await scrapes.take(served.port, processes)
            if not fired(directory, scrapes.series(), 13):
                break
            scrapes = Scrapes()
            await asyncio.sleep(0.5)
        else:
            raise AssertionError("an alert fires before the fault")
        yield served, api, scrapes


@asynccontextmanager
async def standing_still(directory: Path) -> AsyncIterator[None]:
    """The nats-server, until the end of the block."""
    pid = running(directory / "store").server_pid
    await stop_process(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def reserve_on(port: int, name: str) -> None:
    """Reservations one after the other, until it is cancelled; whatever the answers are."""
    for number in range(100_000):
        with suppress(OSError, EOFError):
            await ask(port, "PUT", f"/v1/reservations/{name}-{number}", CART)
        await asyncio.sleep(0.01)


async def leader(port: int) -> int:
    """The process that leads, once one does."""
    for _ in range(2_000):
        with suppress(OSError, EOFError):
            found = await ask(port, "GET", "/v1/overview")
            if found.status == 200 and found.json.get("role") == "leader":
                return int(found.json["pid"])
        await asyncio.sleep(0.02)
    raise AssertionError("nobody leads")


async def test_a_nats_server_that_stands_still(tmp_path: Path) -> None:
    async with scraped(tmp_path, processes=2) as (served, _, scrapes):
        shoppers = [asyncio.create_task(reserve_on(served.port, f"s{number}")) for number in range(4)]
        async with standing_still(tmp_path):
            await asyncio.sleep(1.8)
            await scrapes.take(served.port, 2)
            assert "HoldfastLogStalls" in fired(tmp_path, scrapes.series(), 13)
            await asyncio.sleep(6)
            await scrapes.take(served.port, 2)
            wanted = {"HoldfastNoLeader", "HoldfastWritesRefused", "HoldfastBehind"}
            assert wanted <= fired(tmp_path, scrapes.series(), 13)
        for task in shoppers:
            task.cancel()


async def test_a_nats_server_that_is_slow(tmp_path: Path) -> None:
    async with scraped(tmp_path) as (served, _, scrapes):
        shopper = asyncio.create_task(reserve_on(served.port, "slow"))
        for _ in range(12):
            async with standing_still(tmp_path):
                await asyncio.sleep(0.4)
            await asyncio.sleep(0.05)
        shopper.cancel()
        await scrapes.take(served.port)
        assert "HoldfastCheckoutSlow" in fired(tmp_path, scrapes.series(), 13)


async def test_a_gateway_that_has_ended(tmp_path: Path) -> None:
    async with scraped(tmp_path) as (served, _, scrapes):
        calm = scrapes.series() | {DOWN: "1x56"}
        assert "HoldfastDown" not in fired(tmp_path, calm, 13)
        os.kill(served.child.pid, signal.SIGKILL)
        await asyncio.to_thread(served.child.wait)
        for _ in range(600):
            try:
                await ask(served.port, "GET", "/metrics")
            except OSError:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("its workers go on without it")
        # What Prometheus writes of a scrape that fails.
        assert "HoldfastDown" in fired(tmp_path, calm | {DOWN: "1x40 0x16"}, 13)


async def test_more_requests_at_once_than_are_taken(tmp_path: Path) -> None:
    async with scraped(tmp_path, "--set", "gateway.requests_in_flight_max=4") as (served, _, scrapes):
        burst = [ask(served.port, "PUT", f"/v1/reservations/b{number}", CART) for number in range(40)]
        async with standing_still(tmp_path):  # so that they are under way together
            asked = asyncio.gather(*burst)
            await asyncio.sleep(0.5)
        assert {answer.status for answer in await asked} >= {503}
        await scrapes.take(served.port)
        assert "HoldfastShedding" in fired(tmp_path, scrapes.series(), 13)


async def test_a_message_in_the_log_that_no_gateway_sent(tmp_path: Path) -> None:
    async with scraped(tmp_path) as (served, api, scrapes):
        runtime = running(tmp_path / "store")
        thief = await nats.connect(
            f"nats://127.0.0.1:{runtime.port}", nkeys_seed_str=runtime.seed, allow_reconnect=False
        )
        await thief.publish("hf.main.log", b'{"forged": true}')
        await thief.flush()
        await thief.close()
        for _ in range(200):
            await api.reserve(("MUG", 1))
            await scrapes.take(served.port)
            if "HoldfastUnproven" in fired(tmp_path, scrapes.series(), 13):
                return
        raise AssertionError("nobody is warned")


async def test_a_lead_that_moves_again_and_again(tmp_path: Path) -> None:
    async with scraped(tmp_path, processes=2) as (served, _, scrapes):
        for round_ in range(4):
            os.kill(await leader(served.port), signal.SIGKILL)
            await scrapes.take(served.port, 2)
            await leader(served.port)
            await scrapes.take(served.port, 2)
            assert ("HoldfastLeadMoves" in fired(tmp_path, scrapes.series(), 13)) <= (round_ == 3)
        assert {"HoldfastLeadMoves", "HoldfastTookOver"} <= fired(tmp_path, scrapes.series(), 13)


async def test_snapshots_that_cannot_be_written(tmp_path: Path) -> None:
    often = ("--set", "snapshots.every_batches=1", "--set", "snapshots.retry_ms=1000")
    async with scraped(tmp_path, *often) as (served, api, scrapes):
        folder = tmp_path / "store" / "snapshots"
        await asyncio.to_thread(shutil.rmtree, folder, True)
        folder.write_text("no folder")
        for _ in range(240):
            await api.reserve(("MUG", 1))
            await scrapes.take(served.port)
            if "HoldfastSnapshotsFail" in fired(tmp_path, scrapes.series(), 13):
                return
            await asyncio.sleep(0.5)
        raise AssertionError("nobody is warned")


async def test_names_that_are_nearly_all_taken(tmp_path: Path) -> None:
    async with scraped(tmp_path) as (served, api, scrapes):
        regions = [f"R{number}" for number in range(48_001)]  # of 60,000
        for start in range(0, len(regions), 1_000):
            place = {"kind": "location", "location": "W1", "regions": regions[start : start + 1_000]}
            await api.policies(place)
        await scrapes.take(served.port)
        assert "HoldfastNamesFilling" in fired(tmp_path, scrapes.series(), 13)
