"""A node on a real nats-server with the real core: it answers, dies, rebuilds, and loses nothing."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from holdfast._core import Engine
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.node import Node
from holdfast.protocol.errors import Unavailable
from holdfast.recovery.verify import verify
from tests.support.servers import (
    LoadedProcess,
    connected,
    embedded,
    following,
    give_lease,
    is_alive,
    leading,
    put,
    put_body,
    quick_settings,
    running,
    stocked,
    stop_process,
    until,
)


def sellable(node: Node[Engine], sku: str) -> int:
    answer = node.read_now(lambda engine, as_of: engine.availability(sku, "web", None, None, as_of))
    assert answer is not None
    found: int = orjson.loads(answer[1])["sellable"]
    return found


def reservation(node: Node[Engine], name: str) -> tuple[int, dict[str, Any]]:
    answer = node.read_now(lambda engine, as_of: engine.reservation(name, None, as_of))
    assert answer is not None
    return answer[0], orjson.loads(answer[1])


async def test_a_reservation_is_answered_with_the_sequence_that_holds_it(server: EmbeddedServer) -> None:
    async with leading(server.endpoint) as node, connected(server.endpoint) as connection:
        await stocked(node, on_hand=10)
        status, body, sequence = await put(node, "r1", ("S1", 3))
        assert (status, orjson.loads(body)["state"]) == (201, "held")
        state = (await connection.api("STREAM.INFO.HF_main_LOG"))["state"]
        assert sequence == state["last_seq"] == node.state()["sequence"]
        assert sellable(node, "S1") == 7
        status, _, again = await put(node, "r1", ("S1", 3))
        assert (status, again) == (200, sequence), "a repeat changes nothing and appends nothing"
        status, _, confirmed = await node.submit("confirm", "r1", b"{}", None, None)
        assert (status, confirmed) == (200, sequence + 1)


async def test_commands_of_one_turn_are_one_message(server: EmbeddedServer) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        before = node.state()["sequence"]
        answers = await asyncio.gather(*(put(node, f"r{at}", ("S1", 1)) for at in range(50)))
        assert {answer[0] for answer in answers} == {201}
        assert {answer[2] for answer in answers} == {before + 1}


async def test_a_restart_rebuilds_the_same_state_from_log_alone(server: EmbeddedServer) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node, on_hand=100)
        for at in range(20):
            await put(node, f"r{at}", (f"S{at % 10}", 1 + at))
        await node.submit("confirm", "r1", b'{"order_ref":"A1"}', None, None)
        await node.submit("release", "r2", b"", None, None)
        before = node.state()
    async with leading(server.endpoint) as node:
        after = node.state()
        assert after["digest"] == before["digest"] is not None
        assert (after["sequence"], after["epoch"]) == (before["sequence"] + 1, before["epoch"] + 1)
        assert after["in_upto"] == before["in_upto"]
        assert reservation(node, "r1")[1]["state"] == "committed"


async def test_a_read_waits_for_the_batch_under_way(server: EmbeddedServer) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node, on_hand=10)
        asked = node.submit("put", "r1", put_body(("S1", 4)), None, None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        def read(engine: Engine, as_of: bytes) -> tuple[int, bytes]:
            return engine.availability("S1", "web", None, None, as_of)

        assert node.read_now(read) is None
        _, body, sequence = await node.read(read)
        told = orjson.loads(body)
        assert asked.done()
        assert (told["sellable"], told["as_of"]["mode"]) == (6, "live")
        assert sequence == told["as_of"]["sequence"] == asked.result()[2]


async def test_when_the_log_is_away_reads_are_degraded_and_writes_are_unknown(server: EmbeddedServer) -> None:
    settings = quick_settings(command_deadline_ms=600, read_wait_ms=100)
    async with leading(server.endpoint, settings) as node:
        await stocked(node, on_hand=10)
        stored = node.state()["sequence"]
        assert server.pid is not None
        await stop_process(server.pid)
        try:
            asked = node.submit("put", "r1", put_body(("S1", 4)), None, None)
            await asyncio.sleep(0.05)
            later = node.submit("put", "r2", put_body(("S1", 1)), None, None)
            _, body, _ = await node.read(lambda e, as_of: e.availability("S1", "web", None, None, as_of))
            told = orjson.loads(body)
            assert told["sellable"] == 6, "what is pending is taken off: the safe side"
            assert told["as_of"]["mode"] == "degraded"
            assert told["as_of"]["sequence"] == stored
            with pytest.raises(Unavailable, match="log-unavailable"):
                await node.read(lambda e, as_of: e.reservation("r1", None, as_of), degradable=False)
            with pytest.raises(Unavailable) as first:
                await asked
            assert (first.value.problem, first.value.outcome) == ("log-unavailable", "unknown")
            with pytest.raises(Unavailable) as second:
                await later
            assert (second.value.problem, second.value.outcome) == ("log-unavailable", "not-done")
            await until(lambda: node.ready() != [])
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await until(lambda: node.ready() == [])
        status, _, _ = await put(node, "r1", ("S1", 4))
        assert status == 200, "the same request gets the one true answer: it was stored"
        assert reservation(node, "r2")[0] == 404


async def test_kill_9_of_nats_under_load_loses_nothing_and_takes_less_than_five_seconds(server: EmbeddedServer) -> None:
    answered: list[str] = []
    unknown: list[str] = []
    longest_s = 0.0
    async with leading(server.endpoint, quick_settings(command_deadline_ms=5_000)) as node:
        await stocked(node)
        stop = asyncio.Event()

        async def client(number: int) -> None:
            nonlocal longest_s
            at = 0
            while not stop.is_set():
                at += 1
                name = f"c{number}-{at}"
                began = asyncio.get_running_loop().time()
                try:
                    status, _, _ = await put(node, name, ("S1", 1))
                except Unavailable:
                    unknown.append(name)
                    continue
                assert status == 201
                answered.append(name)
                longest_s = max(longest_s, asyncio.get_running_loop().time() - began)

        clients = [asyncio.create_task(client(number)) for number in range(8)]
        for _ in range(3):
            await asyncio.sleep(0.7)
            assert server.pid is not None
            before = len(answered)
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.sleep(0.05)
            await until(lambda before=before: len(answered) > before + 100, 8)  # type: ignore[misc]
        stop.set()
        await asyncio.gather(*clients)
        assert unknown == [], "each was resolved within its deadline"
        assert longest_s < 5
        digest = node.state()["digest"]
        assert node.state()["totals"] is not None
    async with leading(server.endpoint) as node:
        assert node.state()["digest"] == digest
        missing = [name for name in answered if reservation(node, name)[0] != 200]
        assert missing == []
        assert node.counters()["void_total"] == 0


@pytest.mark.slow
async def test_kill_9_of_everything_under_load_loses_no_acknowledged_reservation(tmp_path: Path) -> None:
    directory, answers = tmp_path / "kept", tmp_path / "answers"
    acknowledged: list[str] = []
    for _ in range(3):
        process = await asyncio.to_thread(LoadedProcess, directory, answers)
        before = len(process.acknowledged())
        await until(lambda process=process, before=before: len(process.acknowledged()) > before + 500, 30)  # type: ignore[misc]
        server_pid = running(directory).server_pid
        process.kill_group()
        await until(lambda server_pid=server_pid: not is_alive(server_pid), 10)  # type: ignore[misc]
        acknowledged = process.acknowledged()
    assert len(acknowledged) > 1_500
    async with embedded(directory) as server, leading(server.endpoint) as node:
        missing = [name for name in acknowledged if reservation(node, name)[0] != 200]
        assert missing == []
    report = await verify(directory)
    assert report.ok, report.differences
    assert report.void_total == 0


async def test_stopping_drains_what_was_asked(server: EmbeddedServer) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        asked = [node.submit("put", f"r{at}", put_body(("S1", 1)), None, None) for at in range(2_500)]
        await asyncio.sleep(0)
        await node.stop(drain=True)
        assert {(await answer)[0] for answer in asked} == {201}
        with pytest.raises(Unavailable):
            await node.submit("put", "late", put_body(("S1", 1)), None, None)


async def test_a_node_without_a_leader_says_so(server: EmbeddedServer) -> None:
    node = Node("main", server.endpoint, lambda: Engine("main"))
    await node.start()
    try:
        with pytest.raises(Unavailable) as told:
            await node.submit("put", "r1", put_body(("S1", 1)), None, None)
        assert (told.value.problem, told.value.outcome) == ("no-leader", "not-done")
        with pytest.raises(Unavailable):
            node.read_now(lambda engine, as_of: engine.availability("S1", "web", None, None, as_of))
        assert node.ready() != []
        await node.wait_ready()
    finally:
        await node.stop(drain=False)


async def test_an_exception_in_the_core_halts_the_node(server: EmbeddedServer) -> None:
    class Broken:
        def __init__(self) -> None:
            self._engine = Engine("main")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._engine, name)

        def commit(self, sequence: int) -> None:
            raise ValueError(f"cannot commit {sequence}")

    node: Node[Any] = Node("main", server.endpoint, Broken, quick_settings(facts_deadline_ms=1_000))
    await node.start()
    try:
        await node.wait_ready()
        asked = node.submit("put", "r1", put_body(("S1", 1)), None, None)
        assert (await asked)[0] == 404, "an unknown sku changes nothing"
        facts = orjson.dumps({"facts": [{"kind": "location", "location": "w1", "type": "warehouse"}]})
        with pytest.raises(Unavailable):
            await node.facts("erp", "acme", [facts], "log")
        assert "cannot commit" in await node.halted()
        assert any("halted" in reason for reason in node.ready())
    finally:
        await node.stop(drain=False)


async def test_a_deposed_leader_answers_nothing_as_done_and_follows_whom_the_lease_was_given(
    server: EmbeddedServer,
) -> None:
    async with leading(server.endpoint, name="n1") as first, following(server.endpoint, name="n2") as second:
        await stocked(first, on_hand=10)
        await put(first, "r1", ("S1", 1))
        await give_lease(server.endpoint, "n2")
        await until(lambda: second.state()["role"] == "leader")
        try:
            told = str((await put(first, "r2", ("S1", 1)))[0])  # it knows by now who leads, and asked there
        except Unavailable as refused:
            told = refused.outcome
        assert (told, reservation(second, "r2")[0]) in {("201", 200), ("not-done", 404)}
        assert (await put(second, "r3", ("S1", 1)))[0] == 201
        await until(lambda: first.state()["sequence"] == second.state()["sequence"])
        assert first.state()["digest"] == second.state()["digest"]
        assert first.state()["role"] == "follower"
        assert reservation(first, "r3")[0] == 200
        await second.stop()
        took_s = await until(lambda: first.state()["role"] == "leader")
        assert took_s < 1.5, "a lease that is given back is not waited for"
        assert (await put(first, "r4", ("S1", 1)))[0] == 201
