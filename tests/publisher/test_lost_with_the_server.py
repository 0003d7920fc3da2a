"""What a nats-server had taken and not written when it was killed: OUT and AVAILABLE come right from LOG."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast.errors import LogError, StreamMismatchError
from holdfast.nats.connection import Endpoint
from holdfast.nats.outlets import Way
from holdfast.nats.streams import stream_state
from holdfast.protocol.errors import Unavailable
from holdfast.publisher.writing import ID, Message, write_chained
from holdfast.tasks import cancel_and_wait
from tests.publisher.test_publisher import (
    OUTLETS,
    SETTINGS,
    assert_published,
    derived,
    published,
    publisher_of,
    read,
    shop,
    trading,
)
from tests.support.servers import until


def only(directory: Path, pattern: str) -> Path:
    (found,) = directory.glob(pattern)
    return found


def _chain(ids: Sequence[str]) -> list[Message]:
    return [Message(f"hf.main.out.held.{name}", b"{}", {ID: name}) for name in ids]


@pytest.mark.parametrize("number", [1, 2, 40])
async def test_a_chain_is_known_to_be_stored_only_where_each_link_is(tmp_path: Path, number: int) -> None:
    async with trading(tmp_path) as (_, connection, _):
        out = OUTLETS.out
        await connection.api(f"STREAM.CREATE.{out}", OUTLETS.configurations(SETTINGS.publisher, SETTINGS.log)[0])
        mine = [f"m{at}" for at in range(number)]
        assert not await write_chained(connection, out, _chain(mine), 7, 2_000)
        assert (await stream_state(connection, out)).last_sequence == 0
        assert await write_chained(connection, out, _chain(mine), 0, 2_000)
        assert not await write_chained(connection, out, _chain(mine), 0, 2_000)
        assert [subject.rpartition(".")[2] for _, subject, _ in await read(connection, out)] == mine

        # Another publisher's message where the first of ours should be: ours that follow are not stored behind it.
        await connection.request("hf.main.out.held.other", b"{}", 2_000, {ID: "other"})
        assert not await write_chained(connection, out, _chain([f"n{at}" for at in range(number)]), number, 2_000)
        assert (await stream_state(connection, out)).last_sequence == number + 1


async def test_two_publishers_that_write_the_same_chain_store_it_once(tmp_path: Path) -> None:
    async with trading(tmp_path) as (_, connection, _):
        out = OUTLETS.out
        await connection.api(f"STREAM.CREATE.{out}", OUTLETS.configurations(SETTINGS.publisher, SETTINGS.log)[0])
        names = [f"m{at}" for at in range(200)]
        known = await asyncio.gather(*(write_chained(connection, out, _chain(names), 0, 5_000) for _ in range(3)))
        assert [subject.rpartition(".")[2] for _, subject, _ in await read(connection, out)] == names
        assert sum(known) <= 1


@pytest.mark.parametrize("replicas", [1, 3])
def test_one_server_writes_when_it_likes_and_several_write_as_one(replicas: int) -> None:
    log = type(SETTINGS.log)(replicas=replicas)
    for configuration in OUTLETS.configurations(SETTINGS.publisher, log):
        assert ("persist_mode" in configuration) == (replicas == 1)
        assert ("allow_atomic" in configuration) == (replicas == 3)


@pytest.mark.parametrize("lost", [(OUTLETS.out,), (OUTLETS.available,), (OUTLETS.out, OUTLETS.available)])
async def test_a_stream_without_its_newest_messages_comes_right(tmp_path: Path, lost: tuple[str, ...]) -> None:
    """Its folder as it was some time ago: what a server finds after the power went out."""
    async with trading(tmp_path) as (node, _, endpoint):
        await shop(node, 10)
        await published(publisher_of(tmp_path, endpoint))
    streams = only(tmp_path, "**/jetstream/*/streams")
    for name in lost:
        shutil.copytree(streams / name, tmp_path / "then" / name)
    async with trading(tmp_path, on_hand=50) as (node, connection, endpoint):
        await shop(node, 10, 2)
        await published(publisher_of(tmp_path, endpoint))
        before = await read(connection, OUTLETS.out)
    for name in lost:
        shutil.rmtree(streams / name)
        shutil.copytree(tmp_path / "then" / name, streams / name)
    async with trading(tmp_path, on_hand=60) as (_, connection, endpoint):
        ended = (await stream_state(connection, OUTLETS.out)).last_sequence
        assert (ended < before[-1][0]) == (OUTLETS.out in lost)
        await published(publisher_of(tmp_path, endpoint))
        await assert_published(connection)
        after = await read(connection, OUTLETS.out)
        assert after[: len(before)] == before, "each event again in the place that it had"


async def test_a_publisher_that_is_ahead_of_what_the_server_has_ends(tmp_path: Path) -> None:
    async with trading(tmp_path) as (node, connection, endpoint):
        publisher = publisher_of(tmp_path, endpoint)
        running = asyncio.create_task(publisher.run())
        await shop(node, 10)
        events = len((await derived(connection))[0])
        await until(lambda: publisher.events_total >= events, 30)
        await connection.api(f"STREAM.DELETE.{OUTLETS.out}")
        await connection.api(
            f"STREAM.CREATE.{OUTLETS.out}", OUTLETS.configurations(SETTINGS.publisher, SETTINGS.log)[0]
        )
        await shop(node, 2, 2)
        with pytest.raises(StreamMismatchError, match="publishes the rest again"):
            await asyncio.wait_for(running, 30)


@pytest.mark.slow
async def test_a_server_killed_under_load_costs_no_event_and_no_figure(tmp_path: Path) -> None:
    choose = random.Random(8)

    async def publish(endpoint: Endpoint) -> None:
        """As the supervisor does: one that ends is followed by another."""
        while True:
            with contextlib.suppress(LogError):
                await publisher_of(tmp_path, endpoint).run()
            await asyncio.sleep(0.2)

    async def shop_on(node: object, seeds: Sequence[int]) -> None:
        for seed in seeds:
            with contextlib.suppress(Unavailable):  # a server that is away refuses carts; what counts is in LOG
                await shop(node, 40, seed)  # type: ignore[arg-type]

    async with trading(tmp_path, on_hand=4_000) as (node, connection, endpoint):
        running = asyncio.create_task(publish(endpoint))
        load = asyncio.create_task(shop_on(node, range(1, 30)))
        for _ in range(4):
            await asyncio.sleep(choose.uniform(0.3, 1.2))
            os.kill(int(only(tmp_path, "**/nats-server.pid").read_text()), signal.SIGKILL)
            await until(lambda: connection.connected, 30)
        await cancel_and_wait(load)
        await until(lambda: node.ready() == [], 30)
        await cancel_and_wait(running)
        await published(publisher_of(tmp_path, endpoint))
        await assert_published(connection)


async def test_streams_of_an_earlier_version_are_written_as_they_were_made(tmp_path: Path) -> None:
    async with trading(tmp_path) as (node, connection, endpoint):
        for one in OUTLETS.configurations(SETTINGS.publisher, SETTINGS.log):
            old = {key: value for key, value in one.items() if key != "persist_mode"} | {"allow_atomic": True}
            await connection.api(f"STREAM.CREATE.{one['name']}", old)
        await shop(node, 30)
        publisher = publisher_of(tmp_path, endpoint)
        await published(publisher)
        assert publisher._way is Way.TOGETHER
        await assert_published(connection)
