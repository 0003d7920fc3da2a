"""The publisher over real servers: nothing missed, nothing twice, figures that are those of the gateway."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from holdfast._core import Engine, Publication
from holdfast.errors import StreamMismatchError
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.outlets import Outlets, token
from holdfast.nats.stream_reader import StreamReader
from holdfast.nats.streams import stream_state
from holdfast.node.node import Node
from holdfast.publisher.publisher import Publisher
from holdfast.publisher.writing import EXPECTED_OF_SUBJECT, TOGETHER_MAX, Message, write_together
from holdfast.settings import PublisherSettings, Settings
from holdfast.tasks import cancel_and_wait
from tests.support.servers import connected, embedded, leading, put, stocked, until

SETTINGS = Settings(publisher=PublisherSettings(flush_ms=10, checkpoint_ms=50, takeover_ms=500, retry_ms=50))
OUTLETS = Outlets("main")
CHANNELS = [
    {"kind": "channel", "channel": "web", "locations": "*", "buffer": 2},
    {"kind": "channel", "channel": "shop", "locations": "*", "buffer": 0},
    {"kind": "channel", "channel": "tills", "locations": "*"},
]


@asynccontextmanager
async def trading(directory: Path, on_hand: int = 40) -> AsyncIterator[tuple[Node[Engine], Connection, Endpoint]]:
    """A node with stock, a connection, and where the log is."""
    async with (
        embedded(directory) as server,
        leading(server.endpoint) as node,
        connected(server.endpoint) as connection,
    ):
        await stocked(node, 8, on_hand)
        await node.facts("policy", "", [orjson.dumps({"source": "policy", "facts": CHANNELS})], "log")
        yield node, connection, server.endpoint


def publisher_of(directory: Path, endpoint: Endpoint, settings: Settings = SETTINGS, **options: bool) -> Publisher:
    return Publisher(directory, "main", endpoint, settings, shared=False, **options)


async def read(connection: Connection, stream: str, first: int = 0) -> list[tuple[int, str, dict[str, Any]]]:
    """All messages of a stream."""
    state = await stream_state(connection, stream)
    if not state.messages:
        return []
    reader = StreamReader(connection, stream, max(first, state.first_sequence - 1), SETTINGS.log, is_sparse=True)
    await reader.open()
    found = []
    try:
        await reader.wait_end()
        while not reader.at_end:
            found += [(e.sequence, e.subject, orjson.loads(e.payload)) for e in await reader.take(1_000, 1 << 20)]
    finally:
        await reader.close()
    return found


async def derived(connection: Connection) -> tuple[list[dict[str, Any]], Engine]:
    """The events of the whole of LOG, by another core; and that core."""
    core = Engine("main", None)
    publication = Publication(core)
    reader = StreamReader(connection, "HF_main_LOG", 0, SETTINGS.log)
    await reader.open()
    try:
        await reader.wait_end()
        while not reader.at_end:
            for entry in await reader.take(1_000, 1 << 20):
                core.apply(entry.sequence, entry.payload)
    finally:
        await reader.close()
    return [orjson.loads(body) for *_, body in publication.events()], core


async def assert_published(connection: Connection) -> None:
    """OUT has each event once, in order; AVAILABLE has what the gateway answers."""
    events, core = await derived(connection)
    out = [body for _, _, body in await read(connection, OUTLETS.out)]
    assert [one["id"] for one in out] == [one["id"] for one in events]
    assert out == events
    figures = {s: body for _, s, body in await read(connection, OUTLETS.available) if s != OUTLETS.checkpoint}
    wanted = {}
    for channel in ("web", "shop"):
        for sku in (f"S{at}" for at in range(8)):
            _, answer = core.availability(sku, channel, None, None, b"", published=True)
            wanted[OUTLETS.figure(channel, sku)] = orjson.loads(answer)["sellable"]
    assert {s: body["published"] for s, body in figures.items() if not body["gone"]} == wanted


async def shop(node: Node[Engine], rounds: int, seed: int = 1, ttl_ms: int = 600_000) -> None:
    """Some holds, and what becomes of them."""
    choose = random.Random(seed)
    for at in range(rounds):
        name = f"r{seed}-{at}"
        answer = await put(node, name, (f"S{choose.randrange(8)}", choose.randrange(1, 4)), ttl_ms=ttl_ms)
        assert answer[0] != 422, answer
        verb = choose.choice(["confirm", "release", "put", "cancel"])
        if verb in {"confirm", "release"}:
            body = orjson.dumps({"order_ref": name}) if verb == "confirm" else b"{}"
            await node.submit(verb, name, body, None, None)


async def published(publisher: Publisher) -> None:
    """Runs it until all that LOG holds is published."""
    async with asyncio.timeout(30):
        await publisher.run(lambda: True)


async def test_each_event_is_published_once_in_order_and_figures_are_those_of_the_gateway(tmp_path: Path) -> None:
    async with trading(tmp_path, on_hand=4) as (node, connection, endpoint):
        publisher = publisher_of(tmp_path, endpoint)
        await shop(node, 20)
        await published(publisher)
        await assert_published(connection)
        out = await read(connection, OUTLETS.out)
        assert {subject for _, subject, _ in out} >= {"hf.main.out.held.web", "hf.main.out.availability.web"}


@pytest.mark.parametrize("seed", [1, 2])
async def test_publishers_that_are_stopped_anywhere_miss_nothing_and_repeat_nothing(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    async with trading(tmp_path) as (node, connection, endpoint):
        first = publisher_of(tmp_path, endpoint)
        load = asyncio.create_task(shop(node, 120, seed))
        for _ in range(8):
            running = asyncio.create_task(publisher_of(tmp_path, endpoint).run())
            await asyncio.sleep(choose.uniform(0.05, 0.4))
            await cancel_and_wait(running)
        await load
        await published(first)
        await assert_published(connection)


async def test_a_second_publisher_writes_nothing_twice_and_goes_on_when_the_first_is_gone(tmp_path: Path) -> None:
    async with trading(tmp_path) as (node, connection, endpoint):
        first = publisher_of(tmp_path, endpoint)
        second = publisher_of(tmp_path, endpoint)
        running = [asyncio.create_task(one.run()) for one in (first, second)]
        await shop(node, 30, 1)
        await cancel_and_wait(running[0])
        await shop(node, 30, 2)
        wanted = (await derived(connection))[0][-1]
        await until(lambda: second.position >= (wanted["sequence"], wanted["index"]), 60)
        await cancel_and_wait(running[1])
        await published(publisher_of(tmp_path, endpoint))
        await assert_published(connection)


async def test_figures_come_right_from_whatever_the_stream_holds(tmp_path: Path) -> None:
    async with trading(tmp_path) as (node, connection, endpoint):
        publisher = publisher_of(tmp_path, endpoint)
        await published(publisher)
        for channel, sku, value in (("web", "S1", 999), ("shop", "S2", 0), ("web", "never-heard-of", 5)):
            body = {"sku": sku, "channel": channel, "published": value, "sellable": value, "unlimited": False}
            subject = OUTLETS.figure(channel, sku)
            await connection.request(subject, msgspec.json.encode(body | {"sequence": 1, "gone": False}), 2_000)
        await connection.request(OUTLETS.figure("web", "S3"), b"no figure at all", 2_000)
        await shop(node, 3)
        await published(publisher_of(tmp_path, endpoint, rebuild=True))
        await assert_published(connection)
        figures = {s: body for _, s, body in await read(connection, OUTLETS.available)}
        assert figures[OUTLETS.figure("web", "never-heard-of")]["gone"] is True


async def test_figures_are_written_one_by_one_where_the_stream_takes_no_batches(tmp_path: Path) -> None:
    """As a version before this one made it."""
    async with trading(tmp_path) as (node, connection, endpoint):
        _, available = OUTLETS.configurations(SETTINGS.publisher, SETTINGS.log)
        await connection.api(f"STREAM.CREATE.{OUTLETS.available}", available | {"persist_mode": "default"})
        await shop(node, 5)
        await published(publisher_of(tmp_path, endpoint))
        await assert_published(connection)


@pytest.mark.parametrize("number", [2, 10, TOGETHER_MAX])
async def test_messages_are_written_together_or_not_at_all(tmp_path: Path, number: int) -> None:
    async with trading(tmp_path) as (_, connection, _):
        stream = OUTLETS.available
        available = OUTLETS.configurations(SETTINGS.publisher, SETTINGS.log)[1]
        del available["persist_mode"]
        await connection.api(f"STREAM.CREATE.{stream}", available | {"allow_atomic": True})

        def written(expected: int, wrong: int | None = None) -> list[Message]:
            return [
                Message(
                    OUTLETS.figure("web", f"S{at}"), b"{}", {EXPECTED_OF_SUBJECT: str(7 if at == wrong else expected)}
                )
                for at in range(number)
            ]

        for wrong in {0, number // 2, number - 1}:
            assert await write_together(connection, stream, written(0, wrong), 5_000) is None
            assert (await stream_state(connection, stream)).last_sequence == 0
        assert await write_together(connection, stream, written(0), 5_000) == list(range(1, number + 1))
        found = await read(connection, stream)
        assert [subject for _, subject, _ in found] == [OUTLETS.figure("web", f"S{at}") for at in range(number)]
        assert await write_together(connection, stream, written(0), 5_000) is None


async def test_a_lost_out_is_a_gap_and_events_go_on(tmp_path: Path) -> None:
    async with trading(tmp_path) as (node, connection, endpoint):
        publisher = publisher_of(tmp_path, endpoint)
        await shop(node, 5)
        await published(publisher)
        upto = publisher.position[0]
        await connection.api(f"STREAM.DELETE.{OUTLETS.out}")
        await shop(node, 5, 2)
        await published(publisher_of(tmp_path, endpoint))
        out = [body for _, _, body in await read(connection, OUTLETS.out)]
        assert (out[0]["kind"], out[0]["reason"]) == ("gap", "out-lost")
        assert out[0]["upto"] >= upto
        later = [one["id"] for one in (await derived(connection))[0] if one["sequence"] > out[0]["upto"]]
        assert [one["id"] for one in out[1:]] == later


async def test_what_is_published_beyond_the_log_stops_the_publisher(tmp_path: Path) -> None:
    async with trading(tmp_path) as (_, connection, endpoint):
        publisher = publisher_of(tmp_path, endpoint)
        await published(publisher)
        body = msgspec.json.encode({"sequence": 10_000, "index": 0})
        await connection.request("hf.main.out.held.web", body, 2_000)
        with pytest.raises(StreamMismatchError, match="holdfast repair"):
            await published(publisher_of(tmp_path, endpoint))


async def test_a_stream_of_another_shape_is_refused(tmp_path: Path) -> None:
    async with trading(tmp_path) as (_, connection, endpoint):
        publisher = publisher_of(tmp_path, endpoint)
        settings = replace(SETTINGS.publisher, out_bytes_max=1 << 24)
        out, available = OUTLETS.configurations(settings, SETTINGS.log)
        await connection.api(f"STREAM.CREATE.{out['name']}", out)
        await connection.api(f"STREAM.CREATE.{available['name']}", available | {"max_msgs_per_subject": 3})
        with pytest.raises(StreamMismatchError, match="max_msgs_per_subject"):
            await published(publisher)


@pytest.mark.parametrize("name", ["a.b", "*", ">", "a b", "é~", "SKU-1_x", "%2E"])
def test_a_token_is_one_token_and_no_two_names_share_one(name: str) -> None:
    assert not set(token(name)) & set(".*> \t")
    assert token(name) != token(name + ".")
