"""A real log with a scope key: what no gateway wrote changes nothing, and costs nobody the lead."""

import asyncio
from pathlib import Path

import orjson
import pytest

from holdfast._core import Engine, LogError, ScopeKeys
from holdfast.macs import Macs
from holdfast.nats.connection import Connection
from holdfast.node.node import Node
from holdfast.peers.wire import decode_peer_state, encode_peer_state
from holdfast.protocol.membership import PeerState
from holdfast.recovery.verify import verify
from tests.support.servers import connected, embedded, leaders, leading, put, quick_settings, stocked, together, until

KEYS = [b"s" * 32]
LOG, PULSE, LEASE = "hf.main.log", "hf.main.pulse", "$KV.HF_main_LEASE.leader"


def macs() -> Macs:
    return Macs(ScopeKeys(KEYS))


async def append(connection: Connection, message: bytes) -> None:
    await connection.request(LOG, message, 2_000)


async def hold(node: Node[Engine], name: str) -> None:
    """Held, and its answer, the state and LOG agree on where."""
    status, body, sequence = await put(node, name, ("S1", 1))
    assert (status, orjson.loads(body)["sequence"]) == (201, sequence)
    _, shown, _ = await node.read(lambda core, as_of: core.reservation(name, None, as_of))
    assert orjson.loads(shown)["sequence"] == sequence


async def test_what_no_gateway_wrote_into_log_is_stepped_over(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server, leading(server.endpoint, macs=macs()) as node:
        await stocked(node)
        epoch = node.state()["epoch"]
        rubbish = [b"{}", b"rubbish", Engine("main").lead_batch("evil", 0), b"x" * 100_000]
        guessed = ScopeKeys([b"g" * 32]).sign_json("batch", b"", Engine("main").lead_batch("evil", 0))
        async with connected(server.endpoint) as connection:
            for number, message in enumerate((*rubbish, guessed)):
                await append(connection, message)
                await hold(node, f"r{number}")
            for message in rubbish:
                await append(connection, message)
        await until(lambda: node.counters()["void_total"] == 9, 30)
        await hold(node, "last")
        state = node.state()
        assert (state["role"], state["epoch"]) == ("leader", epoch), "no new lead, no rebuild"
        report = await verify(server.endpoint, keys=ScopeKeys(KEYS))
        assert (report.ok, report.digest, report.void_total) == (True, state["digest"], 9)


async def test_forged_heartbeats_put_nobody_into_quarantine(tmp_path: Path) -> None:
    async with (
        embedded(tmp_path) as server,
        together(server.endpoint, quick_settings(), macs=macs) as (leader, follower),
        connected(server.endpoint) as connection,
    ):
        await stocked(leader)
        state = leader.state()
        sequence = state["sequence"]
        lie = PeerState(
            state["node"], "another boot", "leading", state["epoch"], sequence + 100, "f" * 64, 9, 0, "",
            digests=((sequence, "0" * 32),), clock_ms=1,
        )  # fmt: skip
        assert decode_peer_state(encode_peer_state(lie)) == lie
        for _ in range(5):
            await connection.publish(PULSE, encode_peer_state(lie))
            await connection.publish("hf.main.lead.n1.1", b"rubbish", "hf.main.nowhere")
            await asyncio.sleep(0.1)
        assert [node.state()["quarantine"] for node in (leader, follower)] == [{}, {}]
        await until(lambda: not (leader.ready() or follower.ready()))
        await hold(follower, "r1")
        assert all(peer["boot"] != "another boot" for peer in leader.state()["peers"])


async def test_a_forged_lease_names_no_holder(tmp_path: Path) -> None:
    async with (
        embedded(tmp_path) as server,
        together(server.endpoint, quick_settings(), macs=macs) as nodes,
        connected(server.endpoint) as connection,
    ):
        await stocked(nodes[0])
        for _ in range(3):
            await connection.request(LEASE, orjson.dumps({"node": "n9", "boot": "given"}), 2_000)
            await until(lambda: len(leaders(nodes)) == 1 and leaders(nodes)[0].ready() == [], 30)
        await hold(leaders(nodes)[0], "r1")


async def test_a_log_that_began_without_a_key_goes_on_with_one(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        async with leading(server.endpoint) as node:
            await stocked(node)
            await hold(node, "r1")
        async with leading(server.endpoint, macs=macs()) as node:
            await hold(node, "r2")
            digest = node.state()["digest"]
        report = await verify(server.endpoint, keys=ScopeKeys(KEYS))
        assert (report.ok, report.digest) == (True, digest)
        with pytest.raises(LogError, match="scope key"):
            await verify(server.endpoint)
