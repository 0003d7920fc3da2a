"""Rubbish on the subjects of processes is passed over, and they go on."""

import asyncio
from typing import Any

from structlog.testing import capture_logs

from holdfast.macs import Macs
from holdfast.nats.connection import Connection
from holdfast.nats_server.server import EmbeddedServer
from holdfast.peers import wire
from holdfast.peers.rpc import Rpc
from holdfast.settings import NodeSettings
from tests.support.servers import connected, put, stocked, together

QUESTION = wire.encode(wire.Commands(900, [wire.ForwardedCommand("put", "r1", b"{}", ("web",), "k")], 1))
REPLY = wire.encode(wire.Reply(receipts=[wire.FactsReceipt(1, [(0, "why")], 7)]))
ACK = b'{"stream":"HF_main_LOG","seq":7,"error":{"code":400,"err_code":10071,"description":"no"}}'
NESTED = [
    b'{"x":' + b"[" * 50_000,
    b"\x91" * 50_000,
    b'{"node":"\xff"}',
    b"",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b"1e999",
]


async def test_answers_at_places_that_are_none_are_passed_over(server: EmbeddedServer) -> None:
    async with connected(server.endpoint) as asking, connected(server.endpoint) as other:
        rpc = Rpc(asking, NodeSettings(), Macs())
        await rpc.open()

        async def answer(message: Any) -> None:
            for place in ("x", "1.2", "1.a.b", "-1", "9" * 500, "1.1.1.1"):
                await other.publish(f"{message.reply.rpartition('.')[0]}.{place}", b"rubbish")
            await other.publish(f"{message.reply}.1.1", b"true")

        await other.listen("asked", answer)
        await other.api("INFO")  # the server knows by then that somebody listens there
        with capture_logs() as logged:
            assert await rpc.ask("asked", b"?", 5) == b"true"
        assert [entry for entry in logged if entry["event"] == "nats-fault"] == []


async def test_a_server_tells_the_publisher_alone_that_nobody_listens(server: EmbeddedServer) -> None:
    """A question that another one publishes again, where nobody listens any more, ends nothing."""
    async with connected(server.endpoint) as asking, connected(server.endpoint) as other:
        rpc = Rpc(asking, NodeSettings(), Macs())
        await rpc.open()

        async def answer(message: Any) -> None:
            await other.publish("nobody.listens", message.data, message.reply)
            await other.api("INFO")  # the server has dealt with it
            await other.publish(f"{message.reply}.1.1", b"done")

        await other.listen("asked", answer)
        await other.api("INFO")
        assert await rpc.ask("asked", b"?", 5) == b"done"


async def test_rubbish_on_every_subject_of_peers_leaves_them_at_work(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower), connected(server.endpoint) as connection:
        await stocked(leader)
        state = leader.state()
        with capture_logs() as logged:
            for subject in ("hf.main.peers", "hf.main.pulse", f"hf.main.lead.{state['node']}.{state['epoch']}"):
                for payload in [*NESTED, QUESTION[:-3], REPLY, ACK]:
                    await connection.publish(subject, payload, connection.new_inbox())
            await _answered(connection, leader.state()["node"], state["epoch"])
            assert (await put(follower, "r1", ("S1", 1)))[0] == 201
        assert [entry for entry in logged if entry["event"] == "nats-fault"] == []
        assert (leader.state()["role"], leader.state()["epoch"]) == ("leader", state["epoch"])


async def _answered(connection: Connection, node: str, epoch: int) -> None:
    """A last question to the leader has its answer: it has read those before it."""
    inbox, come = connection.new_inbox(), asyncio.Event()

    async def note(_message: Any) -> None:
        come.set()

    await connection.listen(f"{inbox}.>", note)
    await connection.publish(f"hf.main.lead.{node}.{epoch}", b"\xc1", inbox)
    await asyncio.wait_for(come.wait(), 10)
