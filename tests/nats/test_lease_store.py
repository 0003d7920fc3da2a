"""The lease's key on a real nats-server: what a put may replace, and what it may not."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast._core import ScopeKeys
from holdfast.errors import ConflictError
from holdfast.macs import Macs
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


def signing(connection: Connection, node: str) -> LeaseStore:
    macs = Macs(ScopeKeys([b"k" * 32]))
    return LeaseStore(connection, NAMES, node, f"{node}-boot", LogSettings(), 60_000, 1_000, macs)


async def held_in_bytes(connection: Connection) -> bytes:
    """What somebody who may read the bucket can record."""
    found = await connection.api(f"STREAM.MSG.GET.{NAMES.lease}", {"last_by_subj": NAMES.lease_subject})
    return base64.b64decode(found["message"]["data"])


async def test_a_value_that_is_put_there_again_names_nobody(connection: Connection) -> None:
    ours, theirs, watching = (signing(connection, node) for node in ("n1", "n2", "n3"))
    await ours.ensure()
    first = await ours.put(0)
    recorded = await held_in_bytes(connection)
    await ours.release(first)
    given_back = await held_in_bytes(connection)
    seen = await theirs.read()
    assert seen is not None
    assert seen.node is None
    assert not seen.void
    second = await theirs.put(seen.revision)
    assert await watching.read() == Lease("n2", "n2-boot", second)
    for replayed in (recorded, given_back, b"", b"\xff", b'{"node":"evil","boot":"evil"}', b'{"x":' + b"[" * 50_000):
        await connection.request(NAMES.lease_subject, replayed, 1_000)
        for store in (ours, theirs, watching):
            found = await store.read()
            assert found is not None
            assert (found.node, found.void) == (None, True)
    over = await theirs.read()
    assert over is not None
    third = await theirs.put(over.revision)
    assert await watching.read() == Lease("n2", "n2-boot", third), "the holder put it again over that"
    assert await ours.read() == Lease("n2", "n2-boot", third)


async def test_a_lease_counts_after_its_bucket_was_emptied_or_made_again(connection: Connection) -> None:
    ours, theirs = signing(connection, "n1"), signing(connection, "n2")
    await ours.ensure()
    await ours.put(0)
    await theirs.read()
    await connection.api(f"STREAM.PURGE.{NAMES.lease}")
    fresh = signing(connection, "n3")
    assert await fresh.read() is None
    taken = await fresh.put(0)
    assert await ours.read() == await theirs.read() == Lease("n3", "n3-boot", taken)
    await connection.api(f"STREAM.DELETE.{NAMES.lease}")
    await asyncio.sleep(0.005)
    assert await theirs.read() is None
    taken = await theirs.put(0)
    assert await ours.read() == Lease("n2", "n2-boot", taken)
