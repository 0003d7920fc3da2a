"""A node keeps what LOG has, and does not lead on a log that lost or changed what it kept."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from holdfast._core import Engine
from holdfast.errors import JournalInUseError
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.stream_reader import StreamReader
from holdfast.nats.streams import Names, configurations
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.node import Node
from holdfast.protocol.errors import Unavailable
from holdfast.settings import JournalSettings, LogSettings, Settings
from holdfast.storage.journal import Journal
from tests.support.servers import OWNER_KEY, connected, embedded, put, stocked, until

NAMES = Names("main")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with embedded(tmp_path) as running:
        yield running


@asynccontextmanager
async def keeping(
    endpoint: Endpoint, directory: Path, settings: Settings | None = None, name: str = "n1"
) -> AsyncIterator[Node[Engine]]:
    """A node with a journal, that may or may not come to lead."""
    node = Node("main", endpoint, lambda: Engine("main", OWNER_KEY), settings, name=name, directory=directory)
    await node.start()
    try:
        yield node
    finally:
        await node.stop(drain=False)


async def leads(node: Node[Engine]) -> None:
    async with asyncio.timeout(30):
        await node.wait_ready()


async def log_messages(connection: Connection) -> list[bytes]:
    reader = StreamReader(connection, NAMES.log, 0, LogSettings())
    await reader.open()
    messages: list[bytes] = []
    try:
        await reader.wait_end()
        while not reader.at_end:
            messages += [entry.payload for entry in await reader.take(1_000, 1 << 24)]
    finally:
        await reader.close()
    return messages


async def rewrite_log(connection: Connection, messages: list[bytes]) -> None:
    """LOG as if it had never held anything but these."""
    await connection.api(f"STREAM.DELETE.{NAMES.log}")
    wanted = next(one for one in configurations(NAMES, LogSettings()) if one["name"] == NAMES.log)
    await connection.api(f"STREAM.CREATE.{NAMES.log}", wanted)
    for message in messages:
        await connection.request(NAMES.log_subject, message, 2_000)


def kept(directory: Path, name: str = "n1") -> list[bytes]:
    journal = Journal.open(directory / "journal" / name, "main", JournalSettings())
    try:
        assert journal.check() == journal.position
        return [message for _, message in journal.read()]
    finally:
        journal.close()


async def test_it_keeps_what_log_has_over_restarts(server: EmbeddedServer, tmp_path: Path) -> None:
    for life in range(3):
        async with keeping(server.endpoint, tmp_path) as node:
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
    async with keeping(server.endpoint, tmp_path, name="n1") as node:
        await leads(node)
        await stocked(node)
        for at in range(10):
            await put(node, f"r{at}", ("S1", 1))
    async with keeping(server.endpoint, tmp_path, name="n2") as node:
        await leads(node)
        assert (await put(node, "r-last", ("S1", 1)))[0] == 201
    before, after = kept(tmp_path, "n1"), kept(tmp_path, "n2")
    assert len(after) == len(before) + 2
    assert after[: len(before)] == before


async def test_two_processes_of_one_name_do_not_share_a_journal(server: EmbeddedServer, tmp_path: Path) -> None:
    async with keeping(server.endpoint, tmp_path):
        with pytest.raises(JournalInUseError, match="--node"):
            async with keeping(server.endpoint, tmp_path):
                pass


async def test_a_log_that_lost_its_tail_is_not_led_on_until_it_is_back(server: EmbeddedServer, tmp_path: Path) -> None:
    async with keeping(server.endpoint, tmp_path) as node:
        await leads(node)
        await stocked(node)
        for at in range(10):
            await put(node, f"r{at}", ("S1", 1))
        digest = node.state()["digest"]
    async with connected(server.endpoint) as connection:
        messages = await log_messages(connection)
        await rewrite_log(connection, messages[:-5])
        async with keeping(server.endpoint, tmp_path) as node:
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
    async with keeping(server.endpoint, tmp_path) as node:
        await leads(node)
        await stocked(node)
        for at in range(5):
            await put(node, f"r{at}", ("S1", 1))
    async with connected(server.endpoint) as connection:
        messages = await log_messages(connection)
        changed = [*messages[:-1], messages[-1].replace(b'"quantity":1', b'"quantity":2')]
        assert changed != messages
        await rewrite_log(connection, changed)
        async with keeping(server.endpoint, tmp_path) as node:
            await until(lambda: node.counters().get("alarm_quarantine_total") == 1)
            await asyncio.sleep(0.3)
            assert any("other bytes" in reason for reason in node.ready())
    assert kept(tmp_path) == messages


async def test_a_damaged_journal_is_told_and_left_alone(server: EmbeddedServer, tmp_path: Path) -> None:
    async with keeping(server.endpoint, tmp_path) as node:
        await leads(node)
        await stocked(node)
        for at in range(5):
            await put(node, f"r{at}", ("S1", 1))
    (path,) = (tmp_path / "journal" / "n1").glob("*.hfjournal")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    async with keeping(server.endpoint, tmp_path) as node:
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

    async with keeping(server.endpoint, tmp_path, settings) as node:
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
