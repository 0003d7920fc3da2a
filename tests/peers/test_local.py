"""Commands that go to a leader on the same machine over its socket: answered as over NATS, and never a guess."""

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast._core import Engine
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.node import Node
from holdfast.peers import local, wire
from holdfast.protocol.errors import Unavailable
from holdfast.settings import NodeSettings, Settings
from tests.support.servers import put, put_body, quick_settings, read, stocked, together, until

HEADER = struct.Struct(">IQQ")


def _reaches(follower: Node[Engine], leader: Node[Engine]) -> bool:
    reaches: bool = follower.cluster.forwarder._local.reaches(leader.state()["node"])
    return reaches


@asynccontextmanager
async def neighbours(
    server: EmbeddedServer, directory: Path, settings: Settings | None = None
) -> AsyncIterator[tuple[Node[Engine], Node[Engine]]]:
    """A leader with stock, and a follower that has a connection to its socket."""
    async with together(server.endpoint, settings, directory=directory) as (leader, follower):
        await stocked(leader, on_hand=1_000)
        await until(lambda: _reaches(follower, leader), 30)
        yield leader, follower


def _locally(follower: Node[Engine]) -> float:
    return follower.counters()["commands_forwarded_locally_total"]


async def _asked(path: Path, *frames: bytes, answers: int) -> list[tuple[int, wire.Reply]]:
    """What a process answers on its socket: (number, reply) each."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.writelines(frames)
        found = []
        for _ in range(answers):
            size, number, _epoch = HEADER.unpack(await asyncio.wait_for(reader.readexactly(HEADER.size), 30))
            found.append((number, wire.decode_reply(await reader.readexactly(size))))
        return found
    finally:
        writer.close()


def _question(number: int, epoch: int, *names: str, sender: str = "", left_ms: int = 1_000) -> bytes:
    asked = [wire.ForwardedCommand("put", name, put_body(("S1", 1)), None, None) for name in names]
    payload = wire.encode(wire.Commands(left_ms, asked, 0, sender, number))
    return HEADER.pack(len(payload), number, epoch) + payload


async def test_every_verb_over_the_socket_is_answered_as_by_the_leader(server: EmbeddedServer, tmp_path: Path) -> None:
    async with neighbours(server, tmp_path) as (leader, follower):
        for verb, body, status in (
            ("put", put_body(("S1", 3)), 201),
            ("extend", b'{"ttl_ms":900000}', 200),
            ("confirm", b'{"order_ref":"A1"}', 200),
            ("fulfil", b'{"lines":[{"sku":"S1","quantity":1}]}', 200),
            ("cancel", b"{}", 200),
            ("put", put_body(("NONE", 1)), 404),
            ("put", b"{", 400),
        ):
            answer = await follower.submit(verb, "r1", body, None, "key-1", "once" if verb == "fulfil" else None)
            assert answer[0] == status, (verb, answer)
            if status < 300:
                assert leader.state()["sequence"] == answer[2]
                found = [read(node, "r1")[1] for node in (leader, follower)]
                assert found[0]["version"] == found[1]["version"], "a client sees its own write"
        many = await asyncio.gather(*(put(follower, f"m{at}", ("S1", 1)) for at in range(200)))
        assert len({answer[2] for answer in many}) == 1, "those of one turn travel together"
        large = put_body(("S1", 1)) + b" " * 1_000_000
        assert (await follower.submit("put", "large", large, None, None))[0] == 201
        assert _locally(follower) == follower.counters()["commands_forwarded_total"] == 208
        assert follower.state()["digest"] == leader.state()["digest"]


async def test_a_socket_is_for_this_user_alone(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with neighbours(server, tmp_path) as (leader, follower):
        path = local.socket_of(tmp_path, leader.state()["node"])
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        epoch = leader.state()["epoch"]
        assert (await _asked(path, _question(1, epoch, "ours"), answers=1))[0][1].answers[0].status == 201
        own = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: own + 1)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await _asked(path, _question(2, epoch, "others"), answers=1)
        monkeypatch.undo()
        assert read(leader, "others")[0] == 404
        assert (await put(follower, "r1", ("S1", 1)))[0] == 201


async def test_another_epoch_a_late_question_and_a_repeated_one_are_not_done(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with neighbours(server, tmp_path) as (leader, follower):
        state = leader.state()
        path = local.socket_of(tmp_path, state["node"])
        frames = (
            _question(1, state["epoch"] + 1, "later"),
            _question(2, state["epoch"], "once", sender="n9.1"),
            _question(2, state["epoch"], "once", sender="n9.1"),  # gets no answer
            HEADER.pack(1, 3, state["epoch"]) + b"\xc1",
        )
        answers = dict(await _asked(path, *frames, answers=3))
        assert {number: reply.outcome for number, reply in answers.items()} == {1: "not-done", 2: "", 3: "not-done"}
        assert read(leader, "later")[0] == 404
        # One that follows says so.
        other = local.socket_of(tmp_path, follower.state()["node"])
        reply = (await _asked(other, _question(1, state["epoch"], "wrong"), answers=1))[0][1]
        assert (reply.problem, reply.outcome) == ("no-leader", "not-done")
        leader.cluster.stop()  # as the first step of its end: it takes nothing more from others
        with pytest.raises(Unavailable) as told:
            await put(follower, "r1", ("S1", 1))
        assert (told.value.problem, told.value.outcome) == ("no-leader", "not-done")


async def test_when_the_socket_ends_the_outcome_is_unknown_at_once_and_nats_is_the_other_way(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    settings = quick_settings(command_deadline_ms=60_000)
    async with neighbours(server, tmp_path, settings) as (leader, follower):
        serving: Any = leader.cluster._command_server
        decide, serving._decide = serving._decide, lambda *_args, **_named: None
        asked = [asyncio.ensure_future(put(follower, f"r{at}", ("S1", 1))) for at in range(3)]
        await until(lambda: follower.counters()["forwards_in_flight"] == 1)
        serving._local.close()  # long before their deadline
        told = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 30)
        assert {(one.problem, one.outcome) for one in told if isinstance(one, Unavailable)} == {
            ("no-leader", "unknown")
        }
        serving._decide = decide
        before = _locally(follower)
        assert [(await put(follower, f"r{at}", ("S1", 1)))[0] for at in range(3)] == [201] * 3
        assert _locally(follower) == before, "there is no socket any more"
        await serving.open()
        await until(lambda: _reaches(follower, leader), 30)
        assert (await put(follower, "r4", ("S1", 1)))[0] == 201
        assert _locally(follower) == before + 1


async def test_without_an_answer_the_followers_own_deadline_holds(server: EmbeddedServer, tmp_path: Path) -> None:
    async with neighbours(server, tmp_path, quick_settings(command_deadline_ms=500)) as (leader, follower):
        serving: Any = leader.cluster._command_server
        decide, serving._decide = serving._decide, lambda *_args, **_named: None
        with pytest.raises(Unavailable) as told:
            await put(follower, "r1", ("S1", 1))
        assert (told.value.problem, told.value.outcome) == ("no-leader", "unknown")
        serving._decide = decide
        assert follower.counters()["forwards_in_flight"] == 0


async def test_connections_and_frames_are_bounded(server: EmbeddedServer, tmp_path: Path) -> None:
    async with neighbours(server, tmp_path, quick_settings(peers_max=3)) as (leader, follower):
        path = local.socket_of(tmp_path, leader.state()["node"])
        idle = [await asyncio.open_unix_connection(path) for _ in range(8)]
        assert await asyncio.wait_for(idle[-1][0].read(1), 30) == b"", "beyond the bound: ended"
        for _, writer in idle:
            writer.close()
        serving: Any = leader.cluster._command_server._local
        await until(lambda: len(serving._open) <= 1)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(HEADER.pack(1 << 31, 1, 1) + b"x")
        assert await asyncio.wait_for(reader.read(1), 30) == b"", "so large a frame is not read"
        writer.close()
        assert (await put(follower, "r1", ("S1", 1)))[0] == 201


async def test_a_long_path_and_a_stale_socket_are_no_hindrance(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    path = local.socket_of(directory, "n1")
    path.parent.mkdir(parents=True)
    path.touch()  # as a killed process leaves it
    answers: list[tuple[int, bytes]] = []
    server = local.LocalServer(directory, "n1", lambda: 100, NodeSettings(), lambda epoch, told, to: to(told * epoch))
    link = local.LocalLink(
        directory, NodeSettings(local_retry_ms=0), lambda number, told: answers.append((number, told)), lambda: None
    )
    link.look_for("n1")
    await asyncio.sleep(0)
    assert not link.reaches("n1"), "nobody listens there yet"
    await server.open()
    try:
        while not link.reaches("n1"):
            link.look_for("n1")
            await asyncio.sleep(0.01)
        link.send(7, 3, b"ab")
        await until(lambda: answers == [(7, b"ababab")])
    finally:
        link.close()
        server.close()
    assert not path.exists()


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(payloads: list[bytes], draw: st.DataObject) -> None:
    stream = b"".join(HEADER.pack(len(one), at, at + 1) + one for at, one in enumerate(payloads))
    found: list[tuple[int, int, bytes]] = []
    frames = local._Frames(40, lambda _frames, *frame: found.append(frame), lambda _frames: None)
    while stream:
        size = draw.draw(st.integers(1, len(stream)))
        frames.data_received(stream[:size])
        stream = stream[size:]
    assert found == [(at, at + 1, one) for at, one in enumerate(payloads)]


async def test_load_through_both_keeps_every_answer_true(server: EmbeddedServer, tmp_path: Path) -> None:
    async with neighbours(server, tmp_path) as (leader, follower):
        nodes = (leader, follower)
        answers = await asyncio.gather(*(put(nodes[at % 2], f"r{at}", ("S0", 3)) for at in range(500)))
        made = [at for at, answer in enumerate(answers) if answer[0] == 201]
        assert len(made) == 1_000 // 3
        assert {answer[0] for answer in answers} == {201, 409}
        assert all(orjson.loads(answer[1])["id"] == f"r{at}" for at, answer in enumerate(answers) if answer[0] == 201)
        await follower.reach(leader.state()["sequence"])
        assert follower.state()["digest"] == leader.state()["digest"]
