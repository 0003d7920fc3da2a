"""Nodes that write a journal, what their journals hold, and a LOG that is rewritten behind them."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from holdfast._core import Engine
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.stream_reader import StreamReader
from holdfast.nats.streams import Names, configurations
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.node import Node
from holdfast.settings import JournalSettings, LogSettings, Settings
from holdfast.storage.journal import Journal
from tests.support.servers import OWNER_KEY, put, stocked

NAMES = Names("main")


@asynccontextmanager
async def node_with_journal(
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


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


async def filled(server: EmbeddedServer, data: Path, holds: int = 10) -> str:
    """A node with a journal did some work and stopped; the digest it had."""
    async with node_with_journal(server.endpoint, data) as node:
        await leads(node)
        await stocked(node)
        for at in range(holds):
            await put(node, f"r{at}", ("S1", 1))
        digest: str = node.state()["digest"]
    return digest
