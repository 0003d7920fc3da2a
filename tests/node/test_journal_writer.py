"""A node keeps what LOG has, and does not lead on a log that lost or changed what it kept."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from holdfast._core import Engine, ScopeKeys
from holdfast.errors import JournalInUseError
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.journal_writer import position_of
from holdfast.protocol.errors import Unavailable
from holdfast.settings import JournalSettings, Settings
from holdfast.storage.chain import advance
from tests.support.journals import NAMES, kept, leads, log_messages, node_with_journal, rewrite_log
from tests.support.servers import connected, put, stocked, until


async def test_it_keeps_what_log_has_over_restarts(server: EmbeddedServer, tmp_path: Path) -> None:
    for life in range(3):
        async with node_with_journal(server.endpoint, tmp_path) as node:
            await leads(node)
            if life == 0:
                await stocked(node)
            await asyncio.gather(*(put(node, f"r{life}-{at}", ("S1", 1)) for at in range(50)))
            for at in range(20):
                await put(node, f"s{life}-{at}", ("S2", 1))
            await until(lambda node=node: node.counters()["journal_lag"] == 0)  # type: ignore[misc]
            end = node.journal_writer.end
            assert end is not None
            assert end[0] == node.state()["sequence"]
    async with connected(server.endpoint) as connection:
        assert kept(tmp_path) == await log_messages(connection)


async def test_a_node_without_a_journal_yet_takes_all_of_log(server: EmbeddedServer, tmp_path: Path) -> None:
    async with node_with_journal(server.endpoint, tmp_path, name="n1") as node:
        await leads(node)
        await stocked(node)
        for at in range(10):
            await put(node, f"r{at}", ("S1", 1))
    async with node_with_journal(server.endpoint, tmp_path, name="n2") as node:
        await leads(node)
        assert (await put(node, "r-last", ("S1", 1)))[0] == 201
    before, after = kept(tmp_path, "n1"), kept(tmp_path, "n2")
    assert len(after) == len(before) + 2
    assert after[: len(before)] == before


async def test_two_processes_of_one_name_do_not_share_a_journal(server: EmbeddedServer, tmp_path: Path) -> None:
    async with node_with_journal(server.endpoint, tmp_path):
        with pytest.raises(JournalInUseError, match="--node"):
            async with node_with_journal(server.endpoint, tmp_path):
                pass


async def test_a_log_that_lost_its_tail_is_not_led_on_until_it_is_back(server: EmbeddedServer, tmp_path: Path) -> None:
    async with node_with_journal(server.endpoint, tmp_path) as node:
        await leads(node)
        await stocked(node)
        for at in range(10):
            await put(node, f"r{at}", ("S1", 1))
        digest = node.state()["digest"]
    async with connected(server.endpoint) as connection:
        messages = await log_messages(connection)
        await rewrite_log(connection, messages[:-5])
        async with node_with_journal(server.endpoint, tmp_path) as node:
            await until(lambda: node.state()["sequence"] == len(messages) - 5)
            await asyncio.sleep(0.3)
            assert any("holdfast repair" in reason for reason in node.ready())
            assert node.counters()["alarm_quarantine_total"] == 1
            with pytest.raises(Unavailable):
                await put(node, "new", ("S1", 1))
            status, body, _ = await node.read(lambda engine, as_of: engine.availability("S1", "web", None, None, as_of))
            assert (status, orjson.loads(body)["as_of"]["mode"]) == (200, "stale")
            for message in messages[-5:]:
                await connection.request(NAMES.log_subject, message, 2_000)
            await leads(node)
            assert node.state()["digest"] == digest
            assert (await put(node, "new", ("S1", 1)))[0] == 201


async def test_a_log_with_other_bytes_is_not_led_on(server: EmbeddedServer, tmp_path: Path) -> None:
    async with node_with_journal(server.endpoint, tmp_path) as node:
        await leads(node)
        await stocked(node)
        for at in range(5):
            await put(node, f"r{at}", ("S1", 1))
    async with connected(server.endpoint) as connection:
        messages = await log_messages(connection)
        changed = [*messages[:-1], messages[-1].replace(b'"quantity":1', b'"quantity":2')]
        assert changed != messages
        await rewrite_log(connection, changed)
        async with node_with_journal(server.endpoint, tmp_path) as node:
            await until(lambda: node.counters().get("alarm_quarantine_total") == 1)
            await asyncio.sleep(0.3)
            assert any("other bytes" in reason for reason in node.ready())
    assert kept(tmp_path) == messages


async def test_a_damaged_journal_is_told_and_left_alone(server: EmbeddedServer, tmp_path: Path) -> None:
    async with node_with_journal(server.endpoint, tmp_path) as node:
        await leads(node)
        await stocked(node)
        for at in range(5):
            await put(node, f"r{at}", ("S1", 1))
    (path,) = (tmp_path / "journal" / "n1").glob("*.hfjournal")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    async with node_with_journal(server.endpoint, tmp_path) as node:
        await until(lambda: node.counters().get("alarm_quarantine_total") == 1)
        await asyncio.sleep(0.3)
        assert any(path.name in reason for reason in node.ready())
    assert path.read_bytes() == content


async def test_a_full_disk_stops_the_journal_alone_and_it_catches_up(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(journal=replace(JournalSettings(), queued_bytes_max=2_000, retry_ms=100))
    write = os.write

    def refuse(descriptor: int, content: bytes) -> int:
        if "hfjournal" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(28, "No space left on device")
        return write(descriptor, content)

    async with node_with_journal(server.endpoint, tmp_path, settings) as node:
        await leads(node)
        await stocked(node)
        await until(lambda: node.counters()["journal_lag"] == 0)
        monkeypatch.setattr("holdfast.storage.journal.os.write", refuse)
        for at in range(30):
            assert (await put(node, f"r{at}", ("S1", 1)))[0] == 201
        await until(lambda: node.counters()["journal_lag"] >= 30)
        await until(lambda: node.counters().get("alarm_journal_lags_total") == 1)
        monkeypatch.undo()
        await until(lambda: node.counters()["journal_lag"] == 0)
        assert (await put(node, "after", ("S1", 1)))[0] == 201
    async with connected(server.endpoint) as connection:
        assert kept(tmp_path) == await log_messages(connection)


def test_a_journal_that_begins_at_a_state_still_asks_for_the_code_of_the_scope(tmp_path: Path) -> None:
    keys = ScopeKeys([b"k" * 32])
    leader = Engine("main", None, keys)
    assert leader.apply(1, leader.lead_batch("n1", 1_000))
    leader.snapshot(str(tmp_path / "state"))
    restored = Engine.restore("main", None, str(tmp_path / "state"), keys)
    begun = position_of(restored)
    forged = orjson.dumps(
        {"version": 1, "scope": "main", "kind": "facts", "epoch": 1, "node": "n1", "batch": 2}
        | {"previous": begun.chain, "in_upto": 0, "now_ms": 2_000, "lead_ms": 0, "facts": []}
    )
    assert not restored.apply(2, forged)
    assert advance(begun, "main", forged, keys).chain == begun.chain
