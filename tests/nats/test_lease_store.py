"""The lease's key on a real nats-server: what a put may replace, and what it may not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.errors import ConflictError
from holdfast.nats.connection import Connection
from holdfast.nats.lease_store import LeaseStore
from holdfast.nats.streams import Names
from holdfast.protocol.log_types import Lease
from holdfast.settings import LogSettings
from tests.support.servers import connected, embedded

NAMES = Names("main")


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with embedded(tmp_path) as server, connected(server.endpoint) as connection:
        yield connection


def key_of(connection: Connection, node: str) -> LeaseStore:
    return LeaseStore(connection, NAMES, node, f"{node}-boot", LogSettings(), 60_000, 1_000)


async def test_a_put_replaces_the_revision_that_it_names_and_no_other(connection: Connection) -> None:
    ours, theirs = key_of(connection, "n1"), key_of(connection, "n2")
    await ours.ensure()
    first = await ours.put(0)
    with pytest.raises(ConflictError):
        await theirs.put(0)
    second = await ours.put(first)
    assert await theirs.read() == Lease("n1", "n1-boot", second)
    with pytest.raises(ConflictError):
        await theirs.put(first)


async def test_a_bucket_that_was_lost_never_says_an_old_revision_again(connection: Connection) -> None:
    """The simulation found it: a renewal went through on the new bucket, over another one's lease."""
    ours, theirs = key_of(connection, "n1"), key_of(connection, "n2")
    await ours.ensure()
    held = await ours.put(0)
    await connection.api(f"STREAM.DELETE.{NAMES.lease}")
    await asyncio.sleep(0.005)
    await theirs.ensure()
    taken = await theirs.put(0)
    assert taken > held
    with pytest.raises(ConflictError):
        await ours.put(held)
    assert await ours.read() == Lease("n2", "n2-boot", taken)


async def test_processes_that_start_in_the_same_moment_make_one_bucket(connection: Connection) -> None:
    async def begin(number: int) -> None:
        await asyncio.sleep(number / 2_000)
        await key_of(connection, f"n{number}").ensure()

    for _ in range(10):
        await asyncio.gather(*(begin(number) for number in range(8)))
        await connection.api(f"STREAM.DELETE.{NAMES.lease}")
