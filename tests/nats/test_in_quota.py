"""One source fills its own part of IN and no more; what was taken in makes room; an IN of before gets the bound."""

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import ApiError, StreamMismatchError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names, configurations, ensure_streams, messages_by_subject, stream_state
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.in_room import InRoom
from holdfast.settings import LogSettings, Settings
from holdfast.tasks import cancel_and_wait
from tests.support.nats_users import user
from tests.support.servers import connected, leading, put, stocked, until

NAMES = Names("main")
NUMBERS = itertools.count()
SMALL = replace(
    LogSettings(in_bytes_max=1 << 27, log_bytes_max=1 << 26, dead_bytes_max=1 << 24),
    in_messages_per_source_max=100,
    in_room_check_ms=50,
    in_kept_ms=200,
)


def level(at: int) -> bytes:
    fact = {"kind": "stock.level", "sku": f"S{at % 10}", "location": "w1", "on_hand": 5, "basis": "net", "as_of": at}
    return orjson.dumps({"facts": [fact]})


async def send(connection: Connection, source: str, body: bytes) -> int:
    """One message; the sequence, or 0 where IN refused it."""
    answer = orjson.loads((await connection.request(f"hf.main.in.erp.{source}", body, 2_000)).data)
    return int(answer.get("seq", 0)) if "error" not in answer else 0


async def test_a_source_that_fills_in_is_refused_and_the_others_are_not(server: EmbeddedServer, tmp_path: Path) -> None:
    async with connected(server.endpoint) as gateway:
        await ensure_streams(gateway, NAMES, SMALL)
        async with user(server.url, tmp_path, "erp.acme") as acme, user(server.url, tmp_path, "erp.other") as other:
            answers = [
                orjson.loads((await acme.request("hf.main.in.erp.acme", b"x", timeout=5)).data) for _ in range(110)
            ]
            assert ["error" in one for one in answers] == [False] * 100 + [True] * 10
            assert "maximum messages per subject" in answers[-1]["error"]["description"]
            first = orjson.loads((await other.request("hf.main.in.erp.other", b"y", timeout=5)).data)
            assert first["seq"] == 101, "and nothing of the first was dropped"
        assert (await stream_state(gateway, NAMES.incoming)).first_sequence == 1
        assert await messages_by_subject(gateway, NAMES.incoming) == {
            "hf.main.in.erp.acme": 100,
            "hf.main.in.erp.other": 1,
        }


@pytest.mark.parametrize("mebibytes", [16, 64, 1024, 16 * 1024, 1 << 20])
def test_the_largest_messages_of_one_source_fill_half_of_in_at_most(mebibytes: int) -> None:
    for log_settings in (LogSettings(), LogSettings(in_messages_per_source_max=10_000_000)):
        made = configurations(NAMES, replace(log_settings, in_bytes_max=mebibytes << 20))[0]
        assert 0 < made["max_msgs_per_subject"] * made["max_msg_size"] <= made["max_bytes"] // 2


async def test_a_source_that_is_read_as_fast_as_it_sends_is_never_refused(server: EmbeddedServer) -> None:
    async with leading(server.endpoint, Settings(log=SMALL)) as node, connected(server.endpoint) as gateway:
        await stocked(node)
        for at in range(3, 503):
            assert await send(gateway, "acme", level(at)), f"refused after {at} messages"
            await asyncio.sleep(0.008)
        assert (await put(node, "r1", ("S1", 1)))[0] == 201
        await until(lambda: node.state()["in_upto"] >= 500)
        sequence = node.state()["sequence"]
    async with leading(server.endpoint, Settings(log=SMALL)) as node:
        assert node.state()["sequence"] > sequence, "all of it is in LOG"
        assert (await put(node, "r1", ("S1", 1)))[0] == 200


async def test_while_in_is_less_than_half_full_nothing_is_cut(server: EmbeddedServer) -> None:
    async with leading(server.endpoint, Settings(log=SMALL)) as node, connected(server.endpoint) as gateway:
        await stocked(node)
        for at in range(3, 40):
            await send(gateway, "acme", level(at))
        await until(lambda: node.state()["in_upto"] >= 38)
        await asyncio.sleep(0.6)
        assert (await stream_state(gateway, NAMES.incoming)).first_sequence == 1


@settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    sent=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    stored=st.lists(st.integers(0, 200), min_size=1, max_size=6),
)
async def test_what_log_has_not_stored_is_never_cut(server: EmbeddedServer, sent: list[int], stored: list[int]) -> None:
    async with connected(server.endpoint) as gateway:
        names = Names(f"s{next(NUMBERS)}")
        await ensure_streams(gateway, names, SMALL)
        room = InRoom(gateway, names, replace(SMALL, in_kept_ms=1, in_room_check_ms=5))
        task = asyncio.create_task(room.run())
        noted = 0
        for count, upto in zip(sent, stored, strict=False):
            for _ in range(count):
                await gateway.request(f"hf.{names.scope}.in.erp.acme", b"x", 2_000)
            end = (await stream_state(gateway, names.incoming)).last_sequence
            noted = max(noted, min(upto, end))
            room.note(noted)
            await asyncio.sleep(0.03)
            state = await stream_state(gateway, names.incoming)
            assert state.first_sequence <= noted + 1
            assert state.last_sequence == end
        await cancel_and_wait(task)


async def in_of_before(gateway: Connection, messages: int) -> None:
    """IN as the version before made it, with messages of one source in it."""
    await ensure_streams(gateway, NAMES, SMALL)
    config = (await gateway.api("STREAM.INFO.HF_main_IN"))["config"]
    await gateway.api("STREAM.DELETE.HF_main_IN")
    before = {"max_msgs_per_subject": -1, "discard_new_per_subject": False, "duplicate_window": 600 * 10**9}
    await gateway.api("STREAM.CREATE.HF_main_IN", config | before)
    for _ in range(messages):
        await send(gateway, "acme", b"x")


@pytest.mark.parametrize(("messages", "bounded"), [(0, True), (50, True), (51, False), (150, False)])
async def test_an_in_of_before_gets_the_bound_where_nothing_is_lost_by_it(
    server: EmbeddedServer, messages: int, bounded: bool
) -> None:
    async with connected(server.endpoint) as gateway:
        await in_of_before(gateway, messages)
        await ensure_streams(gateway, NAMES, SMALL, create=False)  # who only reads changes nothing
        assert (await gateway.api("STREAM.INFO.HF_main_IN"))["config"]["max_msgs_per_subject"] == -1
        for _ in range(2):
            await ensure_streams(gateway, NAMES, SMALL)
            config = (await gateway.api("STREAM.INFO.HF_main_IN"))["config"]
            assert (config["max_msgs_per_subject"] == 100) == bounded
            assert bool(config.get("discard_new_per_subject")) == bounded
            assert config["duplicate_window"] == 600 * 10**9, "as an operator may have wanted it"
        assert (await stream_state(gateway, NAMES.incoming)).messages == messages


@pytest.mark.parametrize(
    ("stream", "change"),
    [
        ("HF_main_IN", {"max_msgs_per_subject": 50, "discard_new_per_subject": False}),
        ("HF_main_LOG", {"max_msgs_per_subject": 50, "discard_new_per_subject": True}),
        ("HF_main_LOG", {"max_msgs_per_subject": 50}),
        ("HF_main_DLQ", {"max_msgs_per_subject": 50}),
    ],
)
async def test_a_bound_that_drops_what_is_older_is_refused(
    server: EmbeddedServer, stream: str, change: dict[str, object]
) -> None:
    async with connected(server.endpoint) as gateway:
        await ensure_streams(gateway, NAMES, SMALL)
        config = (await gateway.api(f"STREAM.INFO.{stream}"))["config"]
        await gateway.api(f"STREAM.UPDATE.{stream}", config | change)
        with pytest.raises(StreamMismatchError, match="max_msgs_per_subject"):
            await ensure_streams(gateway, NAMES, SMALL)


async def test_a_message_id_that_cannot_be_guessed_is_nobody_elses(server: EmbeddedServer, tmp_path: Path) -> None:
    """What holds, and what does not: the ids are one set for the whole stream."""
    async with leading(server.endpoint, Settings(log=SMALL)) as node:
        async with user(server.url, tmp_path, "erp.acme") as acme, user(server.url, tmp_path, "erp.evil") as evil:
            for name in ("acme-1", "holdfast", "n1", *(f"{at:032x}" for at in range(20))):
                await evil.request("hf.main.in.erp.evil", b'{"facts":[]}', headers={"Nats-Msg-Id": name}, timeout=5)
            answer = await acme.request(
                "hf.main.in.erp.acme", level(1), headers={"Nats-Msg-Id": "acme-7f3ac2e1-1"}, timeout=5
            )
            assert "duplicate" not in orjson.loads(answer.data)
            guessed = await acme.request("hf.main.in.erp.acme", level(2), headers={"Nats-Msg-Id": "acme-1"}, timeout=5)
            assert orjson.loads(guessed.data)["duplicate"], "a name that others guess is taken"
        await stocked(node)  # through a gateway, whose ids are random
        assert (await put(node, "r1", ("S1", 1)))[0] == 201


async def test_rollup_headers_do_not_pass_the_bound(server: EmbeddedServer, tmp_path: Path) -> None:
    async with connected(server.endpoint) as gateway:
        await ensure_streams(gateway, NAMES, SMALL)
        async with user(server.url, tmp_path, "erp.acme") as acme:
            for headers in (
                *({"Nats-Rollup": "all"}, {"Nats-Rollup": "sub"}, {"Nats-TTL": "1s"}, {"Nats-Incr": "1"}),
                *({"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1"}, {"Nats-Schedule": "@every 1s"}),
            ):
                answer = orjson.loads((await acme.request("hf.main.in.erp.acme", b"x", headers=headers)).data)
                assert "error" in answer, headers
        assert (await stream_state(gateway, NAMES.incoming)).messages == 0
        with pytest.raises(ApiError):
            await gateway.api("STREAM.MSG.DELETE.HF_main_IN", {"seq": 1})
