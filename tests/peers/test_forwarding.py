"""Any process of a scope answers any request: nodes on a real nats-server, asked through the one that follows."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import orjson
import pytest
from nats.aio.msg import Msg

from holdfast._core import Engine
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.node import Node
from holdfast.peers import wire
from holdfast.protocol.errors import Unavailable
from holdfast.settings import LogSettings, Settings
from tests.support.servers import connected, leaders, put, put_body, quick_settings, read, stocked, together, until


async def test_every_verb_through_a_follower_is_answered_as_by_the_leader(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader, on_hand=100)
        for verb, body, status, state in (
            ("put", put_body(("S1", 3)), 201, "held"),
            ("extend", b'{"ttl_ms":900000}', 200, "held"),
            ("confirm", b'{"order_ref":"A1"}', 200, "committed"),
            ("fulfil", b'{"lines":[{"sku":"S1","quantity":1}]}', 200, "committed"),
            ("cancel", b"{}", 200, "cancelled"),
        ):
            answer = await follower.submit(verb, "r1", body, None, None)
            assert (answer[0], orjson.loads(answer[1])["state"]) == (status, state), verb
            assert leader.state()["sequence"] == answer[2]
            assert read(follower, "r1")[1]["state"] == state, "a client sees its own write"
            assert follower.state()["sequence"] >= answer[2]
        await put(follower, "r2", ("S1", 1))
        status, body, _ = await follower.submit("release", "r2", b"", None, None)
        assert (status, orjson.loads(body)["state"]) == (200, "released")
        assert follower.state()["digest"] == leader.state()["digest"]


async def test_an_idempotency_key_goes_along(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader, on_hand=10)
        await put(follower, "r1", ("S1", 4))
        await follower.submit("confirm", "r1", b"{}", None, None)
        body = b'{"lines":[{"sku":"S1","quantity":1}]}'
        answers = [await node.submit("fulfil", "r1", body, None, "k", "once") for node in (follower, leader, follower)]
        assert [(status, told) for status, told, _ in answers] == [answers[0][:2]] * 3
        assert answers[0][0] == 200
        twice = await follower.submit("fulfil", "r1", body, None, "k", "again")
        assert twice[1] != answers[0][1], "another key does it again"


async def test_refusals_pass_through_unchanged(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader, on_hand=2)
        asked = [
            ("put", "r1", put_body(("S1", 5)), None),
            ("put", "r1", put_body(("NONE", 1)), None),
            ("put", "r1", b"{", None),
            ("put", "r1", b'{"channel":"web","lines":[]}', None),
            ("confirm", "never", b"{}", None),
            ("put", "r1", put_body(("S1", 1)), ("shop",)),
        ]
        for verb, name, body, channels in asked:
            told = [await node.submit(verb, name, body, channels, "key-1") for node in (leader, follower)]
            assert told[0] == told[1]
            assert told[0][0] >= 400


async def test_commands_of_one_turn_travel_together(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower), connected(server.endpoint) as connection:
        await stocked(leader)
        messages: list[int] = []

        async def count(message: Msg) -> None:
            messages.append(len(message.data))

        await connection.listen("hf.main.lead.>", count)
        await connection.request("$SYS.REQ.USER.INFO", b"", 1_000)  # the subscription is there
        answers = await asyncio.gather(*(put(follower, f"r{at}", ("S1", 1)) for at in range(200)))
        assert {answer[0] for answer in answers} == {201}
        assert len({answer[2] for answer in answers}) == 1, "and are one batch"
        assert len(messages) == 1
        settings = follower.settings.node
        bodies = [put_body(*((f"S{at % 10}", 1) for at in range(200))) for _ in range(100)]
        await asyncio.gather(*(follower.submit("put", f"b{at}", body, None, None) for at, body in enumerate(bodies)))
        assert len(messages) > 2, "what is large travels in several"
        assert max(messages) <= settings.forward_bytes_max


async def test_a_body_of_nearly_a_mebibyte_goes_alone_and_a_larger_one_is_told(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader)
        large = put_body(("S1", 1)) + b" " * 1_000_000
        assert (await follower.submit("put", "r1", large, None, None))[0] == 201
        with pytest.raises(Unavailable) as told:
            await follower.submit("put", "r2", put_body(("S1", 1)) + b" " * (1 << 20), None, None)
        assert (told.value.problem, told.value.outcome) == ("too-large", "not-done")
        assert read(leader, "r2")[0] == 404


async def test_an_answer_larger_than_a_message_comes_whole(server: EmbeddedServer) -> None:
    names = [f"{'x' * 120}{at:04}" for at in range(2_000)]
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader)
        places = [{"kind": "location", "location": f"{'w' * 120}{at}", "type": "warehouse"} for at in range(5)]
        levels = [
            {
                "kind": "stock.level",
                "sku": sku,
                "location": place["location"],
                "on_hand": 1,
                "basis": "net",
                "as_of": 1,
            }
            for sku in names
            for place in places
        ]
        for facts in (places, *(levels[at : at + 500] for at in range(0, len(levels), 500))):
            outcome = await follower.facts("erp", "acme", [orjson.dumps({"source": "acme", "facts": facts})], "log")
            assert outcome.rejected == []
        body = put_body(*((sku, 5) for sku in names))
        status, answer, _ = await follower.submit("put", "r1", body, None, None)
        assert status == 201
        assert len(answer) > 1 << 20
        assert len(orjson.loads(answer)["lines"]) == 2_000


async def test_facts_through_a_follower_say_what_became_of_each(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader)
        level = {"kind": "stock.level", "sku": "N1", "location": "w1", "on_hand": 7, "basis": "net", "as_of": 1}
        bad = level | {"location": "nowhere"}
        first = orjson.dumps({"source": "acme", "facts": [level, bad]})
        second = orjson.dumps({"source": "acme", "facts": [bad, level | {"sku": "N2"}]})
        outcome = await follower.facts("erp", "acme", [first, second], "log")
        assert outcome.accepted == 2
        assert [index for index, _ in outcome.rejected] == [1, 2]
        assert outcome.sequence == leader.state()["sequence"]
        assert follower.state()["sequence"] >= outcome.sequence, "a client sees its own facts"
        received = await follower.facts("erp", "acme", [first], "received")
        assert received.accepted == 2


async def test_facts_are_answered_across_a_change_of_leaders(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as nodes, connected(server.endpoint) as connection:
        leader, follower = nodes
        await stocked(leader)
        before = (await connection.api("STREAM.INFO.HF_main_IN"))["state"]["last_seq"]
        # IN has the message; nobody leads while the question is asked.
        await leader.stop(drain=True)
        level = {"kind": "stock.level", "sku": "N1", "location": "w1", "on_hand": 7, "basis": "net", "as_of": 1}
        asked = asyncio.create_task(
            follower.facts("erp", "acme", [orjson.dumps({"source": "acme", "facts": [level]})], "log")
        )
        third: Node[Engine] = Node("main", server.endpoint, lambda: Engine("main", b"k" * 32), name="n3")
        await third.start()
        try:
            outcome = await asyncio.wait_for(asked, 30)
            assert (outcome.accepted, outcome.rejected) == (1, [])
            assert (await connection.api("STREAM.INFO.HF_main_IN"))["state"]["last_seq"] == before + 1, "published once"
        finally:
            await third.stop(drain=False)


async def test_without_a_leader_it_is_not_done_and_said_at_once(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader)
        leader.cluster.stop()  # as the first step of its end: it takes nothing more from others
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable) as told:
            await put(follower, "r1", ("S1", 1))
        assert (told.value.problem, told.value.outcome) == ("no-leader", "not-done")
        assert told.value.retry_after_s > 0
        assert asyncio.get_running_loop().time() - began < 1, "nobody listens: no wait for a deadline"


class Mute:
    """Makes a leader silent: its answers to others are held back."""

    def __init__(self, node: Node[Engine]) -> None:
        self._rpc: Any = node.cluster._rpc
        self._answer = self._rpc.answer
        self.held = 0

    async def _hold(self, _reply: str, _payload: bytes) -> None:
        self.held += 1

    def __enter__(self) -> Self:
        self._rpc.answer = self._hold
        return self

    def __exit__(self, *_: object) -> None:
        self._rpc.answer = self._answer


async def test_when_the_answer_is_lost_the_outcome_is_unknown_and_a_repeat_gets_the_one_true_answer(
    server: EmbeddedServer,
) -> None:
    async with together(server.endpoint, quick_settings(command_deadline_ms=600)) as (leader, follower):
        await stocked(leader, on_hand=10)
        with Mute(leader) as mute:
            began = asyncio.get_running_loop().time()
            with pytest.raises(Unavailable) as told:
                await put(follower, "r1", ("S1", 4))
            assert (told.value.problem, told.value.outcome) == ("no-leader", "unknown")
            assert 0.5 < asyncio.get_running_loop().time() - began < 2, "the follower's own deadline holds"
            assert mute.held == 1, "it was sent once"
        status, _, sequence = await put(follower, "r1", ("S1", 4))
        assert status == 200, "it was done; the same again changes nothing"
        assert read(follower, "r1")[1]["lines"][0]["quantity"] == 4
        assert sequence == leader.state()["sequence"]


async def test_a_leader_that_stepped_down_takes_nothing(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower), connected(server.endpoint) as connection:
        await stocked(leader)
        epoch = leader.state()["epoch"]
        name = leader.state()["node"]
        question = wire.encode(
            wire.Commands(1_000, [wire.ForwardedCommand("put", "r1", put_body(("S1", 1)), None, None)])
        )
        handler: Any = leader.cluster._command_server._on_message
        replies: list[wire.Reply] = []

        async def note(message: Msg) -> None:
            replies.append(wire.decode_reply(message.data))

        inbox = connection.new_inbox()
        await connection.listen(f"{inbox}.>", note)
        await connection.publish(f"hf.main.lead.{name}.{epoch}", b"\xc1", inbox)
        await until(lambda: len(replies) == 1)
        client: Any = connection
        stale = Msg(client._client, f"hf.main.lead.{name}.{epoch + 1}", inbox, question)
        await handler(stale)
        await until(lambda: len(replies) == 2)
        assert {(reply.problem, reply.outcome) for reply in replies} == {("no-leader", "not-done")}
        assert read(leader, "r1")[0] == read(follower, "r1")[0] == 404


async def test_a_full_queue_is_overloaded_and_not_done(server: EmbeddedServer) -> None:
    settings = quick_settings(forward_queued_max=5, forwards_in_flight_max=1)
    async with together(server.endpoint, settings) as (leader, follower):
        await stocked(leader)
        asked = [follower.submit("put", f"r{at}", put_body(("S1", 1)), None, None) for at in range(5)]
        with pytest.raises(Unavailable) as told:
            await put(follower, "r5", ("S1", 1))
        assert (told.value.problem, told.value.outcome) == ("overloaded", "not-done")
        assert {answer[0] for answer in await asyncio.gather(*asked)} == {201}


async def test_a_follower_that_comes_to_lead_decides_what_it_had_not_sent(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader)
        asked = [follower.submit("put", f"r{at}", put_body(("S1", 1)), None, None) for at in range(3)]
        forwarder = follower.cluster.forwarder
        assert forwarder.waiting == 3
        taken: list[str] = []

        def submit(command: Any) -> None:
            taken.append(command.request[1])
            command.waiter.set_result((201, b"{}", 9))

        forwarder.lead(submit)
        assert taken == ["r0", "r1", "r2"]
        assert [await one for one in asked] == [(201, b"{}", 9)] * 3
        assert read(leader, "r0")[0] == 404, "nothing of it went to the other"


async def test_a_follower_tells_how_fresh_it_is(server: EmbeddedServer) -> None:
    settings = quick_settings(heartbeat_ms=100, live_age_ms_max=400)
    async with together(server.endpoint, settings) as (leader, follower):
        await stocked(leader, on_hand=5)
        sequence = leader.state()["sequence"]
        await follower.reach(sequence)

        def told(node: Node[Engine]) -> dict[str, Any]:
            answer = node.read_now(lambda engine, as_of: engine.availability("S1", "web", None, None, as_of))
            assert answer is not None
            found: dict[str, Any] = orjson.loads(answer[1])["as_of"]
            return found

        await asyncio.sleep(1)
        as_of = told(follower)
        assert (as_of["mode"], as_of["sequence"]) == ("live", sequence), (
            "the leader's heartbeat reports that LOG ends here"
        )
        assert as_of["age_ms"] <= 400
        leader.cluster.heartbeats.next_s = float("inf")  # no heartbeat, no batch: where LOG ends is not known any more
        await until(lambda: told(follower)["mode"] == "stale")
        assert told(follower)["age_ms"] > 400
        assert any("no heartbeat" in reason or "behind" in reason for reason in follower.ready())
        assert told(leader)["mode"] == "live"


async def test_waiting_for_a_sequence_has_an_end(server: EmbeddedServer) -> None:
    async with together(server.endpoint, quick_settings(read_deadline_ms=200)) as (leader, follower):
        await stocked(leader)
        sequence = leader.state()["sequence"]
        waiting = asyncio.create_task(follower.reach(sequence + 1))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await put(leader, "r1", ("S1", 1))
        await waiting
        with pytest.raises(Unavailable, match="overloaded") as told:
            await follower.reach(sequence + 5)
        assert f"up to {sequence + 1}" in (told.value.detail or "")
        await leader.reach(sequence + 1)
        assert len(follower.cluster.applied_index) == 0


async def test_load_through_both_keeps_every_answer_true(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader, skus=1, on_hand=300)
        nodes = (leader, follower)
        answers = await asyncio.gather(*(put(nodes[at % 2], f"r{at}", ("S0", 1)) for at in range(500)))
        made = [at for at, answer in enumerate(answers) if answer[0] == 201]
        assert len(made) == 300
        assert {answer[0] for answer in answers} == {201, 409}
        await follower.reach(leader.state()["sequence"])
        assert follower.state()["digest"] == leader.state()["digest"]
        assert all(read(follower, f"r{at}")[0] == 200 for at in made)


@pytest.mark.slow
async def test_a_leader_killed_with_forwards_in_flight_loses_no_answer(tmp_path: Path, server: EmbeddedServer) -> None:
    del tmp_path
    settings = replace(Settings(log=LogSettings()), node=replace(Settings().node, command_deadline_ms=800))
    async with together(server.endpoint, settings, ("n1", "n2", "n3")) as nodes:
        leader, *followers = nodes
        await stocked(leader)
        answered: dict[str, int] = {}
        unknown: set[str] = set()
        stop = asyncio.Event()

        async def client(number: int) -> None:
            at = 0
            while not stop.is_set():
                name = f"c{number}-{at}"
                at += 1
                while True:
                    try:
                        answered[name] = (await put(followers[number % 2], name, ("S1", 1)))[0]
                        break
                    except Unavailable as fault:
                        if fault.outcome == "unknown":
                            unknown.add(name)
                        await asyncio.sleep(0.05)

        clients = [asyncio.create_task(client(number)) for number in range(8)]
        await until(lambda: len(answered) > 200)
        await leader.stop(drain=False)
        fourth: Node[Engine] = Node("main", server.endpoint, lambda: Engine("main", b"k" * 32), settings, name="n4")
        await fourth.start()
        try:
            before = len(answered)
            await until(lambda: len(answered) > before + 200, 30)
            stop.set()
            await asyncio.gather(*clients)
            assert all(status in {200, 201} for status in answered.values())
            assert all(status == 201 for name, status in answered.items() if name not in unknown)
            leading = leaders([*followers, fourth])[0]
            assert [name for name in answered if read(leading, name)[0] != 200] == []
        finally:
            await fourth.stop(drain=False)
