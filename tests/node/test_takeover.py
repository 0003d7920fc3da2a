"""Two processes, one scope, a real nats-server: the leader dies, or is paused and comes back, and nothing is lost."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast._core import Engine
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.node import Node
from holdfast.settings import NodeSettings
from tests.support.servers import (
    ROOT,
    connected,
    embedded,
    following,
    leading,
    put,
    quick_settings,
    running,
    stocked,
    stop_process,
    until,
)

TTL_S = NodeSettings().lease_ttl_ms / 1000


class NodeProcess:
    """`tests/support/node_process.py`, and what it has written down."""

    def __init__(self, url: str, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "support" / "node_process.py"), url, name, str(path)],
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'python'}{os.pathsep}{ROOT}"},
        )
        self.pid = self._process.pid

    @property
    def told(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        return [json.loads(line) for line in self._path.read_text().split("\n")[:-1]]

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [one for one in self.told if "id" in one]

    @property
    def roles(self) -> list[dict[str, Any]]:
        return [one for one in self.told if "role" in one]

    def leads(self) -> bool:
        return bool(self.roles) and self.roles[-1]["role"] == "leader"

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._process.wait(10)

    def end(self) -> None:
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)
            self._process.terminate()
            self._process.wait(20)


@contextmanager
def process(url: str, name: str, directory: Path) -> Iterator[NodeProcess]:
    one = NodeProcess(url, name, directory / f"answers-{name}")
    try:
        yield one
    finally:
        one.end()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with embedded(tmp_path / "data") as server:
        async with leading(server.endpoint, name="stocker") as node:
            await stocked(node)
        yield server


@asynccontextmanager
async def two_processes(directory: Path) -> AsyncIterator[tuple[NodeProcess, NodeProcess]]:
    """The one that leads, and the one that follows it."""
    url = running(directory / "data").url
    with process(url, "n1", directory) as one:
        await until(one.leads)
        with process(url, "n2", directory) as two:
            await until(lambda: bool(two.roles) and any("status" in answer for answer in one.answers))
            yield one, two


async def checked(endpoint: Any, *processes: NodeProcess) -> None:
    """What was answered as done is there, what was answered as not done is not, at a third process that replays LOG."""
    for one in processes:
        await asyncio.to_thread(one.end)
    async with following(endpoint, name="checker") as node:
        end = max(answer.get("sequence", 0) for one in processes for answer in one.answers)
        await until(lambda: node.state()["sequence"] >= end and node.ready() == [])
        wrong = [
            answer
            for one in processes
            for answer in one.answers
            if answer.get("outcome") != "unknown" and there(node, answer["id"]) is not ("status" in answer)
        ]
        assert wrong == []
        assert node.counters()["void_total"] == 0


def there(node: Node[Engine], ident: str) -> bool:
    answer = node.read_now(lambda engine, as_of: engine.reservation(ident, None, as_of))
    assert answer is not None
    return answer[0] == 200


@pytest.mark.alone
async def test_a_killed_leader_is_followed_within_its_lease_and_a_second(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with two_processes(tmp_path) as (first, second):
        killed_s = time.monotonic()
        first.kill()
        await until(second.leads, TTL_S + 5)
        took_s = second.roles[-1]["at_s"] - killed_s
        print(f"taken over {took_s:.2f} s after the kill")
        assert took_s < TTL_S + 1
        before = len(second.answers)
        await until(lambda: sum("status" in answer for answer in second.answers[before:]) > 20)
        await checked(server.endpoint, first, second)


@pytest.mark.alone
async def test_a_paused_leader_is_followed_and_tells_the_truth_when_it_wakes(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with two_processes(tmp_path) as (first, second):
        await stop_process(first.pid)
        paused_s = time.monotonic()
        await until(second.leads, TTL_S + 5)
        took_s = second.roles[-1]["at_s"] - paused_s
        print(f"taken over {took_s:.2f} s after the pause")
        assert took_s < TTL_S + 1
        await until(lambda: any("status" in answer for answer in second.answers))
        before = len(first.answers)
        os.kill(first.pid, signal.SIGCONT)
        await until(lambda: first.roles[-1]["role"] == "follower")
        await until(lambda: sum("status" in answer for answer in first.answers[before:]) > 20)
        woken = first.answers[before:]
        assert all(answer.get("outcome") in {"unknown", "not-done"} for answer in woken if "status" not in answer)
        assert second.leads()
        await checked(server.endpoint, first, second)


@pytest.mark.alone
async def test_a_pause_shorter_than_the_lease_changes_nothing(server: EmbeddedServer, tmp_path: Path) -> None:
    async with two_processes(tmp_path) as (first, second):
        await stop_process(first.pid)
        await asyncio.sleep(TTL_S / 3)
        os.kill(first.pid, signal.SIGCONT)
        before = len(first.answers)
        await until(lambda: sum("status" in answer for answer in first.answers[before:]) > 20)
        assert first.leads()
        assert not second.leads()
        await checked(server.endpoint, first, second)


@pytest.mark.alone
async def test_a_leader_that_stops_is_followed_at_once(server: EmbeddedServer, tmp_path: Path) -> None:
    async with two_processes(tmp_path) as (first, second):
        began_s = time.monotonic()
        await asyncio.to_thread(first.end)
        await until(second.leads)
        took_s = second.roles[-1]["at_s"] - began_s
        print(f"taken over {took_s:.2f} s after SIGTERM")
        assert took_s < 2
        await checked(server.endpoint, first, second)


@pytest.mark.alone
async def test_a_process_that_is_killed_and_started_again_leads_at_once(server: EmbeddedServer, tmp_path: Path) -> None:
    url = running(tmp_path / "data").url
    with process(url, "n1", tmp_path) as first:
        await until(first.leads)
        first.kill()
    with process(url, "n1", tmp_path) as again:
        await until(lambda: sum(role["role"] == "started" for role in again.roles) == 2)
        await until(again.leads)
        started_s = [role["at_s"] for role in again.roles if role["role"] == "started"][-1]
        assert again.roles[-1]["at_s"] - started_s < 0.5


async def test_a_lost_lease_bucket_is_made_again_and_the_lead_is_proven_anew(server: EmbeddedServer) -> None:
    async with leading(server.endpoint) as node, connected(server.endpoint) as connection:
        epoch = node.state()["epoch"]
        await connection.api("STREAM.DELETE.KV_HF_main_LEASE")
        await until(lambda: node.state()["epoch"] == epoch + 1 and node.ready() == [])
        assert (await put(node, "r1", ("S1", 1)))[0] == 201


async def test_an_in_that_lost_its_end_is_quarantined_and_told(server: EmbeddedServer) -> None:
    settings = quick_settings(evidence_every_ms=200, evidence_patience_ms=500)
    async with leading(server.endpoint, settings) as node, connected(server.endpoint) as connection:
        configuration = (await connection.api("STREAM.INFO.HF_main_IN"))["config"]
        await connection.api("STREAM.DELETE.HF_main_IN")
        await connection.api("STREAM.CREATE.HF_main_IN", configuration)
        await until(lambda: "in-shorter" in node.state()["quarantine"])
        assert node.state()["role"] == "follower"
        assert any("in-shorter" in reason for reason in node.ready())
        answer = node.read_now(lambda engine, as_of: engine.availability("S1", "web", None, None, as_of))
        assert answer is not None
        assert json.loads(answer[1])["as_of"]["mode"] == "stale"
