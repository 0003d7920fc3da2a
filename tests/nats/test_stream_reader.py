"""Reading a stream: in order, without a gap, bounded, through restarts, and quickly enough to replay a year."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from holdfast.errors import GapError
from holdfast.nats.connection import Connection
from holdfast.nats.stream_reader import Entry, StreamReader, read_delivery
from holdfast.nats.streams import Names, ensure_streams
from holdfast.nats_server.server import EmbeddedServer
from holdfast.settings import LogSettings
from tests.support.servers import connected, until

NAMES = Names("main")
SETTINGS = LogSettings()


@pytest.fixture
async def connection(server: EmbeddedServer) -> AsyncIterator[Connection]:
    async with connected(server.endpoint) as connection:
        await ensure_streams(connection, NAMES, SETTINGS)
        yield connection


async def fill(connection: Connection, count: int, size: int = 100) -> None:
    """Messages of LOG, each beginning with its number."""
    first = (await connection.api("STREAM.INFO.HF_main_LOG"))["state"]["last_seq"] + 1
    for number in range(first, first + count):
        await connection.request(NAMES.log_subject, b"%010d" % number + b"x" * (size - 10), 20_000)


async def read(reader: StreamReader, count: int) -> list[Entry]:
    entries: list[Entry] = []
    async with asyncio.timeout(20):
        while len(entries) < count:
            entries += await reader.take(1_000, 1 << 20)
    return entries


async def test_it_reads_from_a_sequence_on_and_goes_on_as_messages_come(connection: Connection) -> None:
    await fill(connection, 300)
    reader = StreamReader(connection, NAMES.log, 20, SETTINGS)
    await reader.open()
    await reader.wait_end()
    assert reader.end == 300
    entries = await read(reader, 280)
    assert [entry.sequence for entry in entries] == list(range(21, 301))
    assert all(int(entry.payload[:10]) == entry.sequence for entry in entries)
    assert reader.at_end
    await fill(connection, 3)
    assert [entry.sequence for entry in await read(reader, 3)] == [301, 302, 303]
    await reader.close()
    consumers = (await connection.api("CONSUMER.LIST.HF_main_LOG", {}))["total"]
    assert consumers == 0, "nothing is left behind"


async def test_an_empty_stream_ends_at_once(connection: Connection) -> None:
    reader = StreamReader(connection, NAMES.log, 0, SETTINGS)
    await reader.open()
    await reader.wait_end()
    assert reader.at_end
    await reader.close()


async def test_what_is_read_ahead_is_bounded(connection: Connection) -> None:
    await fill(connection, 200, size=10_000)
    settings = replace(SETTINGS, read_ahead_messages_max=20, pull_messages_max=10, read_ahead_bytes_max=60_000)
    reader = StreamReader(connection, NAMES.log, 0, settings)
    await reader.open()
    await reader.wait_end()
    await asyncio.sleep(0.3)
    assert len(reader._buffer) <= 20
    assert len(await read(reader, 200)) == 200
    await reader.close()


async def test_it_survives_the_server(server: EmbeddedServer, connection: Connection) -> None:
    await fill(connection, 50)
    settings = replace(SETTINGS, reader_silence_ms=1_500, pull_heartbeat_ms=500)
    reader = StreamReader(connection, NAMES.log, 0, settings)
    await reader.open()
    await read(reader, 50)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: not connection.connected)
    await until(lambda: connection.connected)
    await until(lambda: server.fault == "")
    await fill(connection, 50)
    assert [entry.sequence for entry in await read(reader, 50)] == list(range(51, 101))
    await reader.close()


async def test_it_makes_a_lost_consumer_anew(connection: Connection) -> None:
    await fill(connection, 10)
    settings = replace(SETTINGS, reader_silence_ms=1_000, pull_heartbeat_ms=300)
    reader = StreamReader(connection, NAMES.log, 0, settings)
    await reader.open()
    await read(reader, 10)
    for name in (await connection.api("CONSUMER.NAMES.HF_main_LOG", {}))["consumers"]:
        await connection.api(f"CONSUMER.DELETE.HF_main_LOG.{name}")
    await fill(connection, 5)
    assert [entry.sequence for entry in await read(reader, 5)] == list(range(11, 16))
    await reader.close()


async def test_missing_messages_of_log_stop_it(connection: Connection) -> None:
    await fill(connection, 30)
    await connection.api("STREAM.PURGE.HF_main_LOG", {"seq": 11})
    reader = StreamReader(connection, NAMES.log, 5, SETTINGS)
    await reader.open()
    with pytest.raises(GapError, match="message 6 is missing, the next one is 11"):
        await read(reader, 1)
    await reader.close()


async def test_missing_messages_of_in_are_counted_and_passed_over(connection: Connection) -> None:
    for number in range(20):
        await connection.request("hf.main.in.erp.acme", b"%d" % number, 2_000)
    await connection.api("STREAM.PURGE.HF_main_IN", {"seq": 11})
    reader = StreamReader(connection, NAMES.incoming, 0, SETTINGS, gaps_allowed=True)
    await reader.open()
    assert [entry.sequence for entry in await read(reader, 10)] == list(range(11, 21))
    assert reader.gaps_total == 1
    await reader.close()


def test_positions_are_read_from_short_and_long_reply_subjects() -> None:
    short = read_delivery("$JS.ACK.HF_main_LOG.c1.1.42.7.1790000000000000000.9")
    long = read_delivery("$JS.ACK.hub.ACCHASH.HF_main_LOG.c1.1.42.7.1790000000000000000.9.rand")
    assert short == long == ("c1", 42, 9)


@pytest.mark.alone
@pytest.mark.slow
async def test_reading_is_far_quicker_than_a_replay_needs(connection: Connection) -> None:
    """300,000 facts a second of 150 bytes are 45 MB a second; a quiet machine reads some 700."""
    await fill(connection, 600, size=75_000)
    reader = StreamReader(connection, NAMES.log, 0, SETTINGS)
    began = time.perf_counter()
    await reader.open()
    size = 0
    while reader.taken < 600:
        size += sum(len(entry.payload) for entry in await reader.take(256, 4 << 20))
    megabytes_per_s = size / (time.perf_counter() - began) / 1e6
    await reader.close()
    assert megabytes_per_s > 90
