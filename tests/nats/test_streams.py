"""The streams of a scope: made exactly as the protocol needs them, and refused when they are not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import ApiError, ServerUnfitError, StreamMismatchError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names, ensure_streams, stream_state
from holdfast.settings import LogSettings
from tests.support.servers import connected, embedded

NAMES = Names("main")


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with embedded(tmp_path) as server, connected(server.endpoint) as connection:
        yield connection


async def test_streams_are_made_as_designed_and_found_again(connection: Connection) -> None:
    await ensure_streams(connection, NAMES, LogSettings())
    await ensure_streams(connection, NAMES, LogSettings(), create=False)
    log = (await connection.api("STREAM.INFO.HF_main_LOG"))["config"]
    assert log["subjects"] == ["hf.main.log"]
    wanted = {
        "storage": "file",
        "discard": "new",
        "deny_delete": True,
        "allow_direct": False,
        "max_age": 0,
        "compression": "none",
        "retention": "limits",
        "max_msg_size": 1 << 20,
        "num_replicas": 1,
    }
    assert wanted.items() <= log.items()
    incoming = (await connection.api("STREAM.INFO.HF_main_IN"))["config"]
    assert incoming["subjects"] == ["hf.main.in.>"]
    assert incoming["max_msg_size"] == 512 * 1024
    assert incoming["deny_delete"] is True
    assert incoming["duplicate_window"] == 120 * 10**9
    assert (incoming["max_msgs_per_subject"], incoming["discard_new_per_subject"]) == (16_384, True)
    dead = (await connection.api("STREAM.INFO.HF_main_DLQ"))["config"]
    assert dead["deny_delete"] is False
    assert dead["max_age"] == 30 * 86_400 * 10**9


async def test_messages_of_log_cannot_be_deleted(connection: Connection) -> None:
    await ensure_streams(connection, NAMES, LogSettings())
    await connection.request("hf.main.log", b"x", 1_000)
    with pytest.raises(ApiError):
        await connection.api("STREAM.MSG.DELETE.HF_main_LOG", {"seq": 1})
    assert (await stream_state(connection, "HF_main_LOG")).last_sequence == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"storage": "memory"}, "storage"),
        ({"discard": "old"}, "discard"),
        ({"max_age": 3_600_000_000_000}, "max_age"),
        ({"compression": "s2"}, "compression"),
        ({"allow_direct": True}, "allow_direct"),
        ({"deny_delete": False}, "deny_delete"),
        ({"subjects": ["hf.main.log", "hf.main.other"]}, "subjects"),
        ({"max_msg_size": 1_000}, "max_msg_size"),
        ({"allow_msg_ttl": True}, "allow_msg_ttl"),
        ({"max_msgs": 10}, "max_msgs"),
        ({"retention": "workqueue"}, "retention"),
    ],
)
async def test_a_stream_that_contradicts_is_refused_in_words(
    connection: Connection, change: dict[str, object], told: str
) -> None:
    config: dict[str, object] = {
        "name": "HF_main_LOG",
        "subjects": ["hf.main.log"],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "deny_delete": True,
        "num_replicas": 1,
        "max_msg_size": 1 << 20,
    }
    await connection.api("STREAM.CREATE.HF_main_LOG", config | change)
    with pytest.raises(StreamMismatchError, match=told):
        await ensure_streams(connection, NAMES, LogSettings())


async def test_an_operator_may_enlarge_a_stream(connection: Connection) -> None:
    await ensure_streams(connection, NAMES, replace(LogSettings(), log_bytes_max=1 << 20))
    await ensure_streams(connection, NAMES, LogSettings())


async def test_without_streams_and_without_leave_to_make_them_it_says_so(connection: Connection) -> None:
    with pytest.raises(StreamMismatchError, match="no stream"):
        await ensure_streams(connection, NAMES, LogSettings(), create=False)


async def test_a_server_that_is_too_old_is_refused(connection: Connection) -> None:
    await connection.check_server()
    connection._settings = LogSettings(server_version_min=(9, 0))
    with pytest.raises(ServerUnfitError, match=r"use 9\.0 or newer"):
        await connection.check_server()


async def test_a_log_larger_than_the_server_allows_says_what_to_change(connection: Connection) -> None:
    huge = replace(LogSettings(), log_bytes_max=1 << 50)
    with pytest.raises(ServerUnfitError, match="max_file_store"):
        await ensure_streams(connection, Names("huge"), huge)


def test_names_follow_from_the_scope() -> None:
    names = Names("eu")
    assert (names.incoming, names.log, names.dead) == ("HF_eu_IN", "HF_eu_LOG", "HF_eu_DLQ")
    assert names.log_subject == "hf.eu.log"
    assert names.incoming_subject("erp", "acme") == "hf.eu.in.erp.acme"
    assert names.incoming_subject("policy", None) == "hf.eu.in.policy"
    assert names.dead_subject("hf.eu.in.erp.acme") == "hf.eu.dlq.erp"
    assert names.dead_subject("") == "hf.eu.dlq.unknown"


async def test_an_in_of_before_takes_every_subject_from_now_on_and_keeps_the_rest(connection: Connection) -> None:
    await ensure_streams(connection, NAMES, LogSettings())
    made = (await connection.api("STREAM.INFO.HF_main_IN"))["config"]
    await connection.api("STREAM.DELETE.HF_main_IN")
    before = ["hf.main.in.erp.*", "hf.main.in.woo.*", "hf.main.in.policy"]
    await connection.api("STREAM.CREATE.HF_main_IN", made | {"subjects": before, "max_bytes": 1 << 24})
    for number in range(3):
        await connection.request("hf.main.in.erp.acme", b"%d" % number, 1_000)
    await ensure_streams(connection, NAMES, LogSettings(), create=False)
    untouched = (await connection.api("STREAM.INFO.HF_main_IN"))["config"]
    assert untouched["subjects"] == before, "who only reads changes nothing"
    for _ in range(2):
        await ensure_streams(connection, NAMES, LogSettings())
        found = (await connection.api("STREAM.INFO.HF_main_IN"))["config"]
        assert found == made | {"max_bytes": 1 << 24} | {"metadata": found.get("metadata")}
    await connection.request("hf.main.in.no.family.of.ours", b"3", 1_000)
    assert (await stream_state(connection, "HF_main_IN")).last_sequence == 4


@pytest.mark.parametrize("subjects", [["hf.main.in.erp.*"], ["hf.main.in.erp.*", "hf.main.in.woo.*"]])
async def test_an_in_with_other_subjects_is_refused(connection: Connection, subjects: list[str]) -> None:
    await ensure_streams(connection, NAMES, LogSettings())
    config = (await connection.api("STREAM.INFO.HF_main_IN"))["config"]
    await connection.api("STREAM.UPDATE.HF_main_IN", config | {"subjects": subjects})
    with pytest.raises(StreamMismatchError, match="subjects are"):
        await ensure_streams(connection, NAMES, LogSettings())
