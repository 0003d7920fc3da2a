"""A snapshot that cannot be taken is tried again with back-off, raises one alarm, and is counted in the metrics."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from holdfast.nats.connection import Endpoint
from holdfast.nats.streams import Names
from holdfast.peers.wire import encode_peer_state
from holdfast.protocol.membership import PeerState
from holdfast.recovery.snapshot_schedule import Outcome, Schedule
from holdfast.recovery.snapshotter import Snapshotter
from holdfast.settings import Settings
from holdfast.tasks import cancel_and_wait
from tests.support.gateway import ask
from tests.support.served import Served, serving
from tests.support.servers import connected, embedded, leading, stocked, until

QUICK: dict[str, Any] = {
    "every_batches": 1,
    "look_ms": 10,
    "heartbeat_wait_ms": 100,
    "retry_ms": 50,
    "retry_ms_max": 400,
}
SETTINGS = replace(Settings(), snapshots=replace(Settings().snapshots, **QUICK))
FIGURE = re.compile(
    r"^holdfast_node_snapshots?_(taken_total|failed_total|failures_in_a_row)\{.*\} (\S+)$", re.MULTILINE
)


async def test_a_log_of_which_no_snapshot_can_be_taken_is_tried_ever_later_and_alarmed_once(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        async with leading(server.endpoint) as node:
            await stocked(node)
            end = node.state()["sequence"]
        snapshotter = Snapshotter(tmp_path, "main", server.endpoint, SETTINGS, shared=False)
        await snapshotter.open()
        began: list[float] = []
        worked_s: list[float] = []
        _timed(snapshotter, began, worked_s)
        outcomes: Counter[Outcome] = Counter()
        schedule = Schedule(snapshotter, SETTINGS, lambda outcome: outcomes.update([outcome]))
        running: asyncio.Task[None] | None = None
        try:
            with structlog.testing.capture_logs() as told:
                await _say_another_digest(server.endpoint, end)
                running = asyncio.create_task(schedule.run())
                await until(lambda: outcomes["failed"] >= 6)
                assert outcomes["taken"] == 0
                waits_s = (0.05, 0.1, 0.2, 0.4, 0.4)
                gaps_s = [later - earlier for earlier, later in itertools.pairwise(began)]
                assert all(gap >= wait for gap, wait in zip(gaps_s, waits_s, strict=False)), gaps_s
                assert sum(worked_s[:5]) / (began[5] - began[0]) <= 1 / 21, "of a core"
                assert _alarms(told) == ["snapshot-differs"]
                async with leading(server.endpoint):  # LOG goes on beyond what the other process spoke of
                    await until(lambda: outcomes["taken"] >= 1)
                await until(lambda: snapshotter.bootstrap.store.sequences() != [])
                newest = snapshotter.bootstrap.store.sequences()[0]
                await _say_another_digest(server.endpoint, newest + 1)
                async with leading(server.endpoint):
                    pass
                await until(lambda: _alarms(told) == ["snapshot-differs"] * 2)
        finally:
            await cancel_and_wait(running)
            await snapshotter.close()


def _timed(snapshotter: Snapshotter, began: list[float], worked_s: list[float]) -> None:
    """Notes when each attempt begins and how long it works."""
    take = snapshotter.take

    async def timed() -> object:
        began.append(time.monotonic())
        try:
            return await take()
        finally:
            worked_s.append(time.monotonic() - began[-1])

    snapshotter.take = timed  # type: ignore[method-assign, assignment]


async def _say_another_digest(endpoint: Endpoint, sequence: int) -> None:
    """As a process that has another state would."""
    wrong = PeerState("n9", "0" * 16, "following", 1, sequence, digests=((sequence, "f" * 32),))
    async with connected(endpoint) as connection:
        await connection.publish(Names("main").heartbeat_subject, encode_peer_state(wrong))
        await asyncio.sleep(0.2)


def _alarms(told: list[structlog.types.EventDict]) -> list[str]:
    return [line["alarm"] for line in told if line["event"] == "alarm"]


@pytest.mark.slow
async def test_the_metrics_count_what_was_taken_and_what_failed(tmp_path: Path) -> None:
    snapshots = tmp_path / "store" / "snapshots"
    snapshots.parent.mkdir()
    snapshots.write_text("in the way of the directory")
    changes = {"snapshots": QUICK | {"start_ms": 0}, "node": {"heartbeat_ms": 200}}
    with serving(tmp_path, changes=changes) as served:
        failing = await _figures(served, lambda figures: figures["failures_in_a_row"] >= 2)
        assert failing["taken_total"] == 0
        snapshots.unlink()
        taken = await _figures(served, lambda figures: figures["taken_total"] >= 1)
        assert taken["failures_in_a_row"] == 0
        assert taken["failed_total"] >= failing["failed_total"]
    alarms = [line for line in served.log.read_text().splitlines() if '"alarm":"snapshot-not-taken"' in line]
    assert len([line for line in alarms if "FileExistsError" in line]) == 1


async def _figures(served: Served, enough: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """The figures of snapshots, once they are enough."""
    async with asyncio.timeout(30):
        while True:
            text = (await ask(served.port, "GET", "/metrics")).body.decode()
            figures = {name: float(number) for name, number in FIGURE.findall(text)}
            if len(figures) == 3 and enough(figures):
                return figures
            await asyncio.sleep(0.1)
