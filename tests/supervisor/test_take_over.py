"""Two workers on one port: the leader's process dies under load, the other goes on; nothing acknowledged is lost."""

import asyncio
import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast.settings import NodeSettings
from holdfast.supervisor.record import WorkerRecord, gateway_of
from tests.support.gateway import ask
from tests.support.served import Api, Served, cart, places, serving

TAKE_OVER_S = NodeSettings().lease_ttl_ms / 1000 + 1.0
PATIENCE_S = 30.0
GONE = (OSError, asyncio.IncompleteReadError)


def workers_of(served: Served) -> tuple[WorkerRecord, ...]:
    found = gateway_of(served.directory / "store")
    assert found is not None
    return found.workers


async def states(served: Served) -> dict[str, dict[str, Any]]:
    """What each worker that answers says of itself, by its name."""
    found = {}
    for worker in workers_of(served):
        try:
            answer = await ask(int(worker.url.rpartition(":")[2] or 0), "GET", "/v1/state")
        except GONE:
            continue
        if answer.status == 200:
            found[worker.node] = answer.json
    return found


async def roles(served: Served) -> dict[str, str]:
    return {name: state["role"] for name, state in (await states(served)).items()}


async def until_roles(served: Served, *wanted: str) -> dict[str, str]:
    deadline = time.monotonic() + PATIENCE_S
    while sorted((found := await roles(served)).values()) != sorted(wanted):
        assert time.monotonic() < deadline, f"{found}\n{served.log.read_text()[-4_000:]}"
        await asyncio.sleep(0.05)
    return found


class Shopper:
    """Puts one reservation after the other, and sends each again unchanged until it has an answer."""

    def __init__(self, served: Served, number: int, sku: str) -> None:
        self.acknowledged: list[str] = []
        self.times: list[float] = []
        self.problems: set[str] = set()
        self._port = served.port
        self._number = number
        self._sku = sku

    async def run(self, over: asyncio.Event) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            await self._buy(f"shopper-{self._number}-{turn}")

    async def _buy(self, name: str) -> None:
        body = json.dumps(cart((self._sku, 1))).encode()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < deadline, f"{name} got no answer; problems: {self.problems}"
            try:
                answer = await ask(self._port, "PUT", f"/v1/reservations/{name}", body)
            except GONE:
                await asyncio.sleep(0.05)
                continue
            if answer.status in {200, 201}:
                self.acknowledged.append(name)
                self.times.append(time.monotonic())
                return
            assert answer.status == 503, answer.body
            assert answer.problem in {"no-leader", "log-unavailable"}, answer.body
            assert "retry-after" in answer.headers
            self.problems.add(answer.problem)
            await asyncio.sleep(0.05)


def longest_gap(times: list[float]) -> float:
    """In seconds, between two answers that follow each other."""
    times.sort()
    return max(later - sooner for sooner, later in itertools.pairwise(times))


@pytest.mark.slow
@pytest.mark.alone
async def test_the_leaders_process_is_killed_under_load_and_the_other_takes_over(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as served:
        found = await until_roles(served, "leader", "follower")
        assert set(found) == {"n1-1", "n1-2"}
        api = Api(served.port)
        await api.policies(*places("W1"))
        sku = await api.stocked(10_000_000)
        over = asyncio.Event()
        shoppers = [Shopper(served, number, sku) for number in range(8)]
        running = [asyncio.create_task(shopper.run(over)) for shopper in shoppers]
        await asyncio.sleep(1)
        leader = next(worker for worker in workers_of(served) if found[worker.node] == "leader")
        os.kill(leader.pid, signal.SIGKILL)
        killed = time.monotonic()
        await asyncio.sleep(TAKE_OVER_S + 1.5)
        over.set()
        await asyncio.gather(*running)
        after = await until_roles(served, "leader", "follower")
        assert after[leader.node] == "follower", "it is back, and leaves the lead where it is"
        again = next(worker for worker in workers_of(served) if worker.node == leader.node)
        assert again.pid != leader.pid

        gap = longest_gap([t for shopper in shoppers for t in shopper.times if t > killed - 0.5])
        assert gap < TAKE_OVER_S, f"nothing was stored for {gap:.2f} s"
        assert gap < TAKE_OVER_S - 1.5, f"{gap:.2f} s: it waited for the lease, though the supervisor saw the end"
        acknowledged = [name for shopper in shoppers for name in shopper.acknowledged]
        assert len(acknowledged) > 100
        for name in acknowledged:
            assert (await Api(served.port)("GET", f"/v1/reservations/{name}")).status == 200, name
        told = await states(served)
        assert {state["sequence"] for state in told.values()} == {max(s["sequence"] for s in told.values())}
        assert len({state["digest"] for state in told.values()}) == 1
        assert served.stop() == 0


@pytest.mark.slow
@pytest.mark.alone
async def test_a_leader_that_is_told_to_stop_hands_over_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as served:
        found = await until_roles(served, "leader", "follower")
        leader = next(worker for worker in workers_of(served) if found[worker.node] == "leader")
        other = next(worker for worker in workers_of(served) if worker.node != leader.node)
        os.kill(leader.pid, signal.SIGTERM)
        began = time.monotonic()
        while (await roles(served)).get(other.node) != "leader":
            assert time.monotonic() - began < TAKE_OVER_S
            await asyncio.sleep(0.02)
        assert time.monotonic() - began < TAKE_OVER_S - 1.5, "it does not wait for the lease to run out"
        await until_roles(served, "leader", "follower")
