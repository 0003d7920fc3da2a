"""Event streams over real servers: each event once and in order, whatever ends a stream; bounds; who sees what."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from holdfast.client import Client, Retry
from holdfast.client.errors import ForbiddenError, InvalidError, NotFoundError
from holdfast.contracts.events import GapEvent
from holdfast.events.places import Place, place_of, start_after
from holdfast.gateway.gate import KeyGate
from holdfast.gateway.keyring import Keyring, KeyStore, Operation
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.outlets import GAP_INDEX
from holdfast.settings import EventSettings
from tests.support.gateway import ask, raw
from tests.support.gateway import connected as connected_to
from tests.support.ports import free_port
from tests.support.published import OUTLETS, event, published, streaming
from tests.support.servers import connected, embedded, until

PATIENT = Retry(first_wait_s=0.02, total_s=20)


@pytest_asyncio.fixture
async def nats(tmp_path: Path) -> AsyncIterator[tuple[Endpoint, Connection]]:
    async with embedded(tmp_path) as server, connected(server.endpoint) as connection:
        yield server.endpoint, connection


def client(port: int, key: str | None = None) -> Client:
    return Client(f"http://127.0.0.1:{port}", key, retry=PATIENT)


async def everything(port: int, key: str | None = None, **wanted: Any) -> list[Any]:
    async with client(port, key) as caller:
        return [one async for one in caller.events(**{"after": 0, "follow": False} | wanted)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_each_event_comes_once_and_in_order_however_often_the_stream_ends(
    nats: tuple[Endpoint, Connection], seed: int
) -> None:
    endpoint, connection = nats
    choose = random.Random(seed)
    events = [event(at // 3 + 1, at % 3) for at in range(1_000)]
    await published(connection, events[:250])
    port = free_port()
    found: list[str] = []

    async def listen() -> None:
        async with client(port) as caller:
            while len(found) < len(events):
                left = choose.randrange(1, 250)
                async for one in caller.events(after=found[-1] if found else 0):
                    found.append(one.id)
                    left -= 1
                    if not left or len(found) == len(events):
                        break

    listening = asyncio.create_task(listen())
    for part in range(1, 4):  # the gateway restarts meanwhile, at any point
        async with streaming(endpoint, port=port):
            await published(connection, events[part * 250 : part * 250 + 250])
            await asyncio.sleep(choose.uniform(0, 0.2))
    async with streaming(endpoint, port=port):
        await asyncio.wait_for(listening, 30)
    assert found == [one["id"] for one in events]


async def test_who_comes_late_reads_pages_and_then_what_is_new(nats: tuple[Endpoint, Connection]) -> None:
    endpoint, connection = nats
    events = [event(at) for at in range(1, 901)]
    await published(connection, events[:600])
    small = EventSettings(ring_bytes_max=20_000, page_messages_max=100, gather_ms=1, heartbeat_ms=200)
    async with streaming(endpoint, settings=small) as (_, port, _), client(port) as caller:
        found = []
        async for one in caller.events(after=0):
            found.append(one.sequence)
            if len(found) == 10:
                await published(connection, events[600:])
            if len(found) == len(events):
                break
    assert found == list(range(1, 901))


async def test_a_key_gets_the_events_of_its_channels_and_no_other(
    nats: tuple[Endpoint, Connection], tmp_path: Path
) -> None:
    endpoint, connection = nats
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    store = KeyStore(keys)
    token = {name: store.add(name, [Operation.EVENTS], [name])[1] for name in ("web", "pos", "a.b")}
    token["all"] = store.add("all", [Operation.EVENTS])[1]
    token["none"] = store.add("none", [Operation.READ])[1]
    gate = KeyGate(Keyring(keys))
    await gate.open()
    channels = ["web", "pos", "a.b"]
    events = [event(at, 0, channels[at % 3], "held" if at % 2 else "availability") for at in range(1, 61)]
    await published(connection, events)
    async with streaming(endpoint, gate=gate) as (_, port, _):
        for name in channels:
            found = await everything(port, token[name])
            assert [one.sequence for one in found] == [one["sequence"] for one in events if one["channel"] == name]
        assert len(await everything(port, token["all"])) == 60
        assert {one.channel for one in await everything(port, token["all"], channel="pos")} == {"pos"}
        only = await everything(port, token["web"], kinds=["availability"])
        assert {(one.kind, one.channel) for one in only} == {("availability", "web")}
        for who, wanted in (("web", {"channel": "pos"}), ("none", {})):
            with pytest.raises(ForbiddenError):
                await everything(port, token[who], **wanted)


async def test_a_revoked_key_ends_its_streams(nats: tuple[Endpoint, Connection], tmp_path: Path) -> None:
    endpoint, connection = nats
    await published(connection, [event(1)])
    store = KeyStore(tmp_path)
    identity, token = store.add("web", [Operation.EVENTS], ["web"])
    gate = KeyGate(Keyring(tmp_path))
    await gate.open()
    async with streaming(endpoint, gate=gate) as (_, port, streams):
        async with connected_to(port) as connection_:
            await connection_.send(raw("GET", "/v1/events", authorization=f"Bearer {token}"))
            await until(lambda: streams.open == 1)
            store.revoke(identity.id)
            await gate.reload()
            text = await asyncio.wait_for(connection_.reader.read(), 5)
        assert b'"reason":"key"' in text
        assert (await ask(port, "GET", "/v1/events", authorization=f"Bearer {token}")).problem == "unauthenticated"


async def test_what_was_dropped_is_a_gap_and_not_silence(nats: tuple[Endpoint, Connection]) -> None:
    endpoint, connection = nats
    await published(connection, [event(at) for at in range(1, 101)])
    await connection.api(f"STREAM.PURGE.{OUTLETS.out}", {"seq": 51})
    async with streaming(endpoint) as (_, port, _):
        gap, *rest = await everything(port, after="20:0")
        assert isinstance(gap, GapEvent)
        assert (gap.first, gap.upto, gap.reason) == (20, 51, "out-cut")
        assert [one.sequence for one in rest] == list(range(51, 101))
        assert (await everything(port, after=gap.id))[-1].sequence == 100
        assert [one.sequence for one in await everything(port, after="60:0")] == list(range(61, 101))
        assert await everything(port, after="100:0") == []
        with pytest.raises(InvalidError):
            await everything(port, after="101:0")


async def test_nothing_is_published_where_no_publisher_ever_ran(nats: tuple[Endpoint, Connection]) -> None:
    async with streaming(nats[0]) as (_, port, _):
        with pytest.raises(NotFoundError, match="publisher"):
            await everything(port)


async def test_a_query_that_makes_no_sense_is_refused(nats: tuple[Endpoint, Connection]) -> None:
    async with streaming(nats[0]) as (_, port, _):
        for query in ("after=x", "after=1:2:3", "kinds=sold", "kinds=", "follow=no", "since=1", "channel="):
            assert (await ask(port, "GET", f"/v1/events?{query}")).problem == "invalid", query


async def test_a_client_that_takes_nothing_is_cut_with_a_reason_and_reads_on_later(
    nats: tuple[Endpoint, Connection],
) -> None:
    endpoint, connection = nats
    events = [event(at, padding="x" * 20_000) for at in range(1, 201)]
    await published(connection, events)
    async with streaming(endpoint) as (_, port, streams):
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(raw("GET", "/v1/events?after=0"))
            await until(lambda: streams.ended["slow"] == 1, 10)
            slow.settimeout(5)
            text = await asyncio.to_thread(lambda: b"".join(iter(lambda: slow.recv(1 << 20), b"")))
        ending = orjson.loads(text.rpartition(b"event: end\ndata: ")[2])
        assert ending["reason"] == "slow"
        assert streams.open == 0
        rest = await everything(port, after=ending["id"])
        assert [one.sequence for one in rest][-1] == 200
        assert text.count(b"\ndata: ") - 1 + len(rest) == 200


async def test_streams_of_a_key_are_bounded_and_heartbeats_name_a_place(nats: tuple[Endpoint, Connection]) -> None:
    endpoint, connection = nats
    await published(connection, [event(1)])
    few = EventSettings(connections_per_key_max=2, heartbeat_ms=100, gather_ms=1)
    async with streaming(endpoint, settings=few) as (_, port, streams):
        async with connected_to(port) as one, connected_to(port) as two:
            for each in (one, two):
                await each.send(raw("GET", "/v1/events?channel=pos"))
            await until(lambda: streams.open == 2)
            assert (await ask(port, "GET", "/v1/events")).problem == "overloaded"
            await published(connection, [event(2), event(3)])
            text = await asyncio.wait_for(one.reader.readuntil(b"id: 3:0\n"), 5)
            assert b"data:" not in text
        await until(lambda: streams.open == 0, 5)


async def test_when_the_stream_was_made_again_clients_go_on_by_their_ids(nats: tuple[Endpoint, Connection]) -> None:
    endpoint, connection = nats
    await published(connection, [event(at) for at in range(1, 11)])
    async with streaming(endpoint) as (_, port, streams), client(port) as caller:
        found = []
        async for one in caller.events(after="5:0"):
            found.append(one.sequence)
            if len(found) == 5:
                await connection.api(f"STREAM.DELETE.{OUTLETS.out}")
                gap = event(10, GAP_INDEX, "_", "gap", **{"from": 1, "upto": 10}, reason="out-lost")
                await published(connection, [gap, event(11), event(12)])
            if one.sequence == 12:
                break
        assert found[:5] == [6, 7, 8, 9, 10]
        assert found[-2:] == [11, 12]
        assert streams.ended["made-again"] == 1


def test_events_are_read_as_what_they_are() -> None:
    assert [place_of(text) for text in ("7:1", "7", "", "7:", ":1", "-1", "7:1:1", "1" * 19)] == [
        Place(7, 1),
        Place(7, GAP_INDEX),
        *([None] * 6),
    ]


async def test_a_place_is_found_as_by_reading_everything(nats: tuple[Endpoint, Connection]) -> None:
    """For any stream and any id: what is read from there is all that is behind the id, or a gap says so."""
    _, connection = nats
    choose = random.Random(7)
    ids = sorted({(choose.randrange(1, 60), choose.randrange(3)) for _ in range(80)})
    await published(connection, [event(*one) for one in ids])
    for dropped in (0, 1, 30, len(ids)):
        if dropped:
            await connection.api(f"STREAM.PURGE.{OUTLETS.out}", {"seq": dropped + 1})
        for sequence in range(62):
            for number in (0, 1, 2, GAP_INDEX):
                after = Place(sequence, number)
                if after > (ids[-1] if dropped < len(ids) else (0, 0)) and sequence:
                    with pytest.raises(Exception, match="nothing is known"):
                        await start_after(connection, OUTLETS, after)
                    continue
                start = await start_after(connection, OUTLETS, after)
                kept = ids[dropped:]
                assert ids[start.cursor :] == [one for one in kept if one > after]
                lost = [one for one in ids[:dropped] if one > after]
                assert not lost or start.gap is not None or sequence == 0 == len(kept)
