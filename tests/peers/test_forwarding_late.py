"""Forwarded commands that come late, by the leader's clock as heartbeats report it; or twice."""

import asyncio
from typing import Any

from nats.aio.msg import Msg

from holdfast.nats_server.server import EmbeddedServer
from holdfast.peers import wire
from tests.support.servers import connected, put_body, read, stocked, together, until


async def test_what_was_too_long_on_its_way_is_not_done(server: EmbeddedServer) -> None:
    """`make faults` found it: a server stood still with a command in it; its sender was refused elsewhere meanwhile."""
    async with together(server.endpoint) as (leader, follower), connected(server.endpoint) as connection:
        await stocked(leader)
        subject = f"hf.main.lead.{leader.state()['node']}.{leader.state()['epoch']}"
        await until(lambda: follower.cluster._leader_clock() > 0)
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        assert now_ms - 500 <= follower.cluster._leader_clock() <= now_ms, "never ahead of the leader's own"
        asked = [wire.ForwardedCommand("put", "late", put_body(("S1", 1)), None, None)]
        inbox = connection.new_inbox()
        replies: list[wire.Reply] = []

        async def note(message: Msg) -> None:
            replies.append(wire.decode_reply(message.data))

        await connection.listen(f"{inbox}.>", note)
        await connection.publish(subject, wire.encode(wire.Commands(900, asked, now_ms - 1_000)), inbox)
        await until(lambda: len(replies) == 1)
        assert (replies[0].problem, replies[0].outcome) == ("no-leader", "not-done")
        assert read(leader, "late")[0] == 404
        assert leader.counters()["commands_too_late_total"] == 1
        await connection.publish(subject, wire.encode(wire.Commands(900, asked, now_ms)), inbox)
        await until(lambda: len(replies) == 2)
        assert replies[1].answers[0].status == 201


async def test_what_comes_again_gets_no_answer_not_even_from_one_that_leads_no_more(server: EmbeddedServer) -> None:
    """The first one may be under way: "not-done" would be a guess."""
    async with together(server.endpoint) as (leader, follower), connected(server.endpoint) as connection:
        await stocked(leader)
        node, epoch = leader.state()["node"], leader.state()["epoch"]
        asked = [wire.ForwardedCommand("put", "twice", put_body(("S1", 1)), None, None)]
        replies: list[wire.Reply] = []

        async def note(message: Msg) -> None:
            replies.append(wire.decode_reply(message.data))

        inbox = connection.new_inbox()
        await connection.listen(f"{inbox}.>", note)
        question = wire.encode(wire.Commands(900, asked, 0, "n9.1", 7))
        await connection.publish(f"hf.main.lead.{node}.{epoch}", question, inbox)
        await until(lambda: len(replies) == 1)
        assert replies[0].answers[0].status == 201
        client: Any = connection
        handler: Any = leader.cluster._command_server._on_message
        for subject in (f"hf.main.lead.{node}.{epoch}", f"hf.main.lead.{node}.{epoch + 1}"):
            await handler(Msg(client._client, subject, inbox, question))
        await connection.publish(f"hf.main.lead.{node}.{epoch}", b"\xc1", inbox)
        await until(lambda: len(replies) == 2)
        assert replies[1].problem == "no-leader", "that is the answer to what cannot be read, not to the two before it"
        assert leader.counters()["questions_again_total"] == 2
        assert read(follower, "twice")[0] == 200
