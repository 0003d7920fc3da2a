"""Six calls after which the maintained digest once differed from that of the state; a directory so written, and the
alarm.

`tests/data/directories/v0.1.0-digest-drifted.tar.gz` is the data directory that the version with the fault wrote.
"""

from __future__ import annotations

import asyncio
import json
import tarfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast._core import Engine
from holdfast.client import Client
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.node.node import Node
from tests.support.gateway import ask
from tests.support.servers import embedded
from tests.support.serving import holdfast, running_gateway

DIRECTORY = Path(__file__).parents[1] / "data" / "directories" / "v0.1.0-digest-drifted.tar.gz"
COUNTED_ANEW = "a33c3e1fc90930a29ae6580422bd651a"  # what the version that wrote it counted, but did not keep up

POLICIES: list[dict[str, Any]] = [
    {"kind": "location", "location": "paris", "type": "warehouse"},
    {"kind": "channel", "channel": "web", "locations": "*", "supply_horizon_days": 30},
    {"kind": "oversell", "channel": "web", "policy": "unlimited"},
    {"kind": "item", "sku": "SAUCER", "base_unit": "each"},
    {"kind": "item", "sku": "CUP", "base_unit": "each"},
    {
        "kind": "item",
        "sku": "SET",
        "base_unit": "each",
        "kit": [{"sku": "CUP", "quantity": 2}, {"sku": "SAUCER", "quantity": 1}],
    },
]
CUP = {
    "kind": "stock.delta",
    "sku": "CUP",
    "location": "paris",
    "quantity": 1,
    "reason": "count",
    "ref": "D1",
    "as_of": 1,
}


def supply(status: str) -> dict[str, Any]:
    due = (datetime.now(UTC) + timedelta(days=10)).date().isoformat()
    fact = {"kind": "supply", "ref": "PO1", "line": "1", "sku": "SAUCER", "location": "paris", "quantity": 6}
    return fact | {"due": due, "status": status}


async def six_calls(url: str) -> None:
    cart = ReservationRequest(
        channel="web",
        ttl_ms=600_000,
        lines=[ReservationLine(sku="SET", quantity=1), ReservationLine(sku="CUP", quantity=3)],
    )
    async with Client(url) as client:
        await client.policies(POLICIES)
        await client.reserve("C1", cart)
        await client.facts("erp", [supply("open")])
        await client.confirm("C1", "O1")
        await client.facts("erp", [supply("cancelled")])
        await client.facts("erp", [CUP])


def assert_verified(directory: Path, url: str) -> None:
    """The log gives what the gateway has, and a snapshot is taken and proven."""
    verified = holdfast("verify", "--data", str(directory), "--gateway", url, "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["differences"] == []
    taken = holdfast("snapshots", "--data", str(directory), "--take", "--prove", "--json")
    assert taken.returncode == 0, taken.stderr
    assert [one["proven"] for one in json.loads(taken.stdout)["snapshots"]] == [True]


@pytest.mark.slow
def test_after_the_six_calls_the_log_verifies_and_a_snapshot_is_taken_and_proven(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        asyncio.run(six_calls(gateway.url))
        assert_verified(tmp_path, gateway.url)


@pytest.mark.slow
def test_a_directory_in_which_the_digest_had_drifted_opens_verifies_and_goes_on(tmp_path: Path) -> None:
    with tarfile.open(DIRECTORY) as packed:
        packed.extractall(tmp_path, filter="data")
    with running_gateway(tmp_path) as gateway:
        before = json.loads(asyncio.run(ask(gateway.port, "GET", "/v1/state")).body)
        assert before["digest"] == COUNTED_ANEW
        assert_verified(tmp_path, gateway.url)
        asyncio.run(one_more_cup(gateway.url))
        verified = holdfast("verify", "--data", str(tmp_path), "--gateway", gateway.url, "--json")
        assert verified.returncode == 0, verified.stdout
    assert "digest-drifted" not in gateway.log_file.read_text(), "replayed by this version, nothing drifts"


async def one_more_cup(url: str) -> None:
    async with Client(url) as client:
        assert (await client.reservation("C1")).state == "committed"
        await client.facts("erp", [CUP | {"ref": "D2"}])
        cart = ReservationRequest(channel="web", ttl_ms=60_000, lines=[ReservationLine(sku="CUP", quantity=1)])
        assert (await client.reserve("C2", cart)).state == "held"


class Drifted:
    """A real core that says once that its digest has drifted."""

    def __init__(self) -> None:
        self.engine = Engine("main")
        self.proven_in: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def apply_many(self, first_sequence: int, messages: Sequence[bytes]) -> int:
        return self.engine.apply_many(first_sequence, messages)

    def prove(self) -> bool:
        self.proven_in.append(threading.get_ident())
        return self.engine.prove() and len(self.proven_in) > 1


async def test_a_process_proves_its_digest_at_start_beside_the_event_loop_and_alarms_when_it_differs(
    tmp_path: Path,
) -> None:
    cores: list[Drifted] = []

    def new() -> Any:
        cores.append(Drifted())
        return cores[-1]

    async with embedded(tmp_path) as server:
        node: Node[Any] = Node("main", server.endpoint, new)
        await node.start()
        try:
            async with asyncio.timeout(20):
                await node.wait_ready()
            assert node.counters()["alarm_digest_drifted_total"] == 1
            assert len(cores[0].proven_in) == 1
            assert threading.get_ident() not in cores[0].proven_in
        finally:
            await node.stop(drain=False)
