"""What others publish into the streams of a node that leads: facts, nonsense, and garbage in LOG itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from holdfast.errors import StreamMismatchError
from holdfast.nats.appender import get_message
from holdfast.nats.connection import Connection
from holdfast.nats.streams import stream_state
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.replay import ReplayProgress
from holdfast.protocol.errors import Unavailable
from holdfast.recovery.verify import verify
from tests.support.servers import connected, embedded, leading, put, stocked, until

LEVEL = {"kind": "stock.level", "sku": "MUG", "location": "w1", "on_hand": 5, "basis": "net", "as_of": 2}


@pytest.fixture
async def outside(server: EmbeddedServer) -> AsyncIterator[Connection]:
    """What an operator with the nats CLI has."""
    async with connected(server.endpoint) as connection:
        yield connection


async def test_a_raw_message_published_to_in_is_taken_like_any_other(
    server: EmbeddedServer, outside: Connection
) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        await outside.publish("hf.main.in.erp.acme", orjson.dumps({"facts": [LEVEL]}))
        await until(lambda: node.state()["in_upto"] == 2)
        answer = await node.read(lambda engine, as_of: engine.availability("MUG", "web", None, None, as_of))
        assert orjson.loads(answer[1])["sellable"] == 5
        batch = orjson.loads(await get_message(outside, "HF_main_LOG", answer[2]) or b"")
        assert (batch["kind"], batch["in_upto"]) == ("facts", 2)
        assert batch["facts"][0]["source"] == "acme"


TAILS = ("shop.acme", "erp", "erp.acme.more", "policy.acme", "x")


async def test_a_message_that_fits_no_family_is_dead_and_the_next_one_is_taken(
    server: EmbeddedServer, outside: Connection
) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        body = orjson.dumps({"facts": [LEVEL]})
        for tail in TAILS:
            await outside.request(f"hf.main.in.{tail}", body, 1_000)
        await outside.request("hf.main.in.erp.acme", body, 1_000)
        await until(lambda: node.state()["in_upto"] == 2 + len(TAILS))
        await until(lambda: node.counters()["dead_letters_total"] == len(TAILS))
        assert node.tallies()["dead_letters"] == {"unknown-subject": len(TAILS)}
        answer = await node.read(lambda engine, as_of: engine.availability("MUG", "web", None, None, as_of))
        assert orjson.loads(answer[1])["sellable"] == 5
        for at in range(1, len(TAILS) + 1):
            assert await get_message(outside, "HF_main_DLQ", at) == body
            letter = (await outside.api("STREAM.MSG.GET.HF_main_DLQ", {"seq": at}))["message"]
            assert letter["subject"].split(".")[3] in {"erp", "policy", "unknown"}
    report = await verify(server.endpoint)
    assert report.ok


async def test_what_is_malformed_lands_in_the_dead_letters_and_the_stream_goes_on(
    server: EmbeddedServer, outside: Connection
) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        await outside.request("hf.main.in.erp.acme", b'{"facts": [', 1_000)
        mixed = orjson.dumps({"facts": [LEVEL, {"kind": "stock.level", "sku": "MUG"}, LEVEL | {"location": "nowhere"}]})
        outcome = await node.facts("erp", "acme", [mixed], "log")
        assert outcome.accepted == 1
        assert [index for index, _ in outcome.rejected] == [1, 2]
        assert outcome.rejected[1][1].startswith("unknown-location")
        await until(lambda: node.counters()["dead_letters_total"] == 3)
        dead = [await get_message(outside, "HF_main_DLQ", at) for at in (1, 2, 3)]
        assert dead[0] == b'{"facts": ['
        assert orjson.loads(dead[1] or b"") == {"kind": "stock.level", "sku": "MUG"}
        header = (await outside.api("STREAM.MSG.GET.HF_main_DLQ", {"seq": 1}))["message"]
        assert header["subject"] == "hf.main.dlq.erp"
        assert (await put(node, "r1", ("MUG", 5)))[0] == 201


async def test_facts_of_several_messages_are_numbered_through(server: EmbeddedServer) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        bad = {"kind": "stock.level", "sku": "MUG"}
        messages = [orjson.dumps({"facts": facts}) for facts in ([LEVEL, bad], [bad], [LEVEL, LEVEL, bad])]
        outcome = await node.facts("erp", "acme", messages, "log")
        assert outcome.accepted == 3
        assert [index for index, _ in outcome.rejected] == [1, 2, 5]
        received = await node.facts("erp", "acme", messages, "received")
        assert (received.accepted, [index for index, _ in received.rejected]) == (3, [1, 2, 5])
        assert received.sequence == 7, "IN's sequence: one message of stock, then twice three"


async def test_garbage_in_log_is_void_and_the_leader_recovers(server: EmbeddedServer, outside: Connection) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        await put(node, "r1", ("S1", 1))
        forged = orjson.loads(await get_message(outside, "HF_main_LOG", 3) or b"")
        for garbage in (
            b"",
            b"hello",
            b"{}",
            orjson.dumps(forged),
            orjson.dumps(forged | {"epoch": 9, "node": "evil"}),
        ):
            await outside.request("hf.main.log", garbage, 1_000)
        fenced = await asyncio.gather(*(put(node, f"n{at}", ("S1", 1)) for at in range(20)), return_exceptions=True)
        assert any(isinstance(answer, Unavailable) for answer in fenced), "the batch under way was fenced: not done"
        await until(lambda: node.ready() == [])
        answers = await asyncio.gather(*(put(node, f"n{at}", ("S1", 1)) for at in range(20)))
        assert {answer[0] for answer in answers} == {201}
        assert node.counters()["void_total"] == 5
        assert node.counters()["times_leading_total"] == 2
        before = node.state()
    async with leading(server.endpoint) as node:
        assert node.state()["digest"] == before["digest"]
        assert node.counters()["void_total"] == 5
        report = await verify(server.endpoint)
        assert (report.ok, report.void_total, report.digest) == (True, 5, before["digest"])


async def test_in_is_taken_exactly_once_across_restarts(server: EmbeddedServer, outside: Connection) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node, skus=1, on_hand=100)
    delta = {"kind": "stock.delta", "sku": "S0", "location": "w1", "quantity": 1, "reason": "found", "as_of": 5}
    for number in range(60):
        await outside.request("hf.main.in.erp.acme", orjson.dumps({"facts": [delta | {"ref": f"d{number}"}]}), 1_000)
        if number % 20 == 10:
            async with leading(server.endpoint) as node:
                await asyncio.sleep(0.01)
    async with leading(server.endpoint) as node:
        await until(lambda: node.state()["in_upto"] == 61)
        answer = await node.read(lambda engine, as_of: engine.availability("S0", "web", None, None, as_of))
        assert orjson.loads(answer[1])["sellable"] == 160


async def test_verify_compares_with_a_gateway_at_the_same_sequence(server: EmbeddedServer, tmp_path: Path) -> None:
    told: list[ReplayProgress] = []
    async with leading(server.endpoint) as node:
        await stocked(node)
        for at in range(10):
            await put(node, f"r{at}", ("S1", 1))

        async def ask() -> tuple[int, str]:
            await put(node, f"later-{len(told)}", ("S1", 1))
            return node.state()["sequence"], node.state()["digest"]

        report = await verify(tmp_path, ask_gateway=ask, report_progress=told.append)
        assert report.ok
        assert report.compared_at == node.state()["sequence"]
        assert told[-1].facts >= 10

        async def lie() -> tuple[int, str]:
            return node.state()["sequence"], "0" * 32

        report = await verify(tmp_path, ask_gateway=lie)
        assert not report.ok
        assert "digest" in report.differences[0]


async def test_verify_starts_the_directorys_own_server_when_none_runs(tmp_path: Path) -> None:
    directory = tmp_path / "kept"
    with pytest.raises(StreamMismatchError):
        await verify(directory)
    async with embedded(directory) as server, leading(server.endpoint) as node:
        await stocked(node)
        await put(node, "r1", ("S1", 1))
        before = node.state()
    report = await verify(directory)
    assert (report.ok, report.sequence, report.digest) == (True, before["sequence"], before["digest"])


async def test_verify_finds_an_in_that_lost_what_log_has_taken(server: EmbeddedServer, outside: Connection) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
    await outside.api("STREAM.DELETE.HF_main_IN")
    config = {"name": "HF_main_IN", "subjects": ["hf.main.in.>"]}
    more = {"storage": "file", "discard": "new", "deny_delete": True, "max_msg_size": 512 * 1024, "num_replicas": 1}
    await outside.api("STREAM.CREATE.HF_main_IN", config | more)
    report = await verify(server.endpoint)
    assert report.differences == ("IN ends at 0, but LOG has taken it in up to 1",)
    assert (await stream_state(outside, "HF_main_LOG")).last_sequence == 2
