"""Appending to LOG, reading back, publishing to IN, dead letters: against a real server."""

import asyncio
import base64
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import UnreachableError
from holdfast.nats.appender import Appender, Refused, Stored, get_message, parse_reply
from holdfast.nats.connection import Connection
from holdfast.nats.dead_letters import DeadLetters
from holdfast.nats.fact_publisher import FactPublisher, InFullError
from holdfast.nats.streams import Names, ensure_streams, stream_state
from holdfast.nats_server.server import EmbeddedServer
from holdfast.protocol.log_types import DeadLetter, Refusal
from holdfast.settings import LogSettings
from tests.support.servers import connected, embedded, until

NAMES = Names("main")


class Log:
    """A server, a connection, and an appender whose replies can be awaited."""

    def __init__(self, server: EmbeddedServer, connection: Connection) -> None:
        self.server = server
        self.connection = connection
        self.replies: asyncio.Queue[Stored | Refused] = asyncio.Queue()
        self.appender = Appender(connection, NAMES, self.replies.put_nowait)

    async def append(self, append_id: int, message: bytes, expected: int) -> Stored | Refused:
        self.appender.send(append_id, message, expected)
        async with asyncio.timeout(5):
            return await self.replies.get()


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with embedded(tmp_path) as server, connected(server.endpoint) as connection:
        await ensure_streams(connection, NAMES, LogSettings())
        log = Log(server, connection)
        await log.appender.open()
        yield log


async def test_an_append_is_stored_where_it_was_expected_even_the_first(log: Log) -> None:
    assert await log.append(1, b"one", 0) == Stored(1, 1)
    assert await log.append(2, b"two", 1) == Stored(2, 2)
    assert await get_message(log.connection, NAMES.log, 2) == b"two"
    assert await get_message(log.connection, NAMES.log, 3) is None


async def test_an_append_elsewhere_is_refused_and_stores_nothing(log: Log) -> None:
    await log.append(1, b"one", 0)
    for expected in (0, 5):
        reply = await log.append(2, b"two", expected)
        assert isinstance(reply, Refused)
        assert reply.refusal is Refusal.WRONG_SEQUENCE
    assert (await stream_state(log.connection, NAMES.log)).last_sequence == 1


async def test_the_same_append_twice_is_stored_once(log: Log) -> None:
    log.appender.send(1, b"one", 0)
    log.appender.send(1, b"one", 0)
    replies = {await log.replies.get(), await log.replies.get()}
    assert Stored(1, 1) in replies
    assert (await stream_state(log.connection, NAMES.log)).messages == 1


async def test_a_full_log_refuses_and_drops_nothing(log: Log) -> None:
    config = (await log.connection.api("STREAM.INFO.HF_main_LOG"))["config"]
    await log.connection.api("STREAM.UPDATE.HF_main_LOG", config | {"max_bytes": 2_000})
    assert await log.append(1, b"x" * 1_000, 0) == Stored(1, 1)
    reply = await log.append(2, b"x" * 1_000, 1)
    assert isinstance(reply, Refused)
    assert reply.refusal is Refusal.FULL
    assert (await stream_state(log.connection, NAMES.log)).first_sequence == 1


async def test_without_a_connection_it_was_not_sent_and_is_not_sent_later(log: Log) -> None:
    await log.server.stop()
    await until(lambda: not log.connection.connected)
    reply = await log.append(1, b"one", 0)
    assert isinstance(reply, Refused)
    assert reply.refusal is Refusal.UNREACHABLE
    assert await get_message(log.connection, NAMES.log, 1) is None
    with pytest.raises(UnreachableError):
        await log.connection.api("INFO")


@pytest.mark.parametrize(
    ("payload", "status", "refusal"),
    [
        (
            b'{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"}}',
            None,
            Refusal.WRONG_SEQUENCE,
        ),
        (b'{"error":{"code":400,"err_code":10164}}', None, Refusal.WRONG_SEQUENCE),
        (b'{"error":{"code":503,"err_code":10077}}', None, Refusal.FULL),
        (b'{"error":{"code":503,"err_code":10023}}', None, Refusal.FULL),
        (b'{"error":{"code":500,"err_code":10047}}', None, Refusal.FULL),
        (b'{"error":{"code":503,"err_code":10167}}', None, Refusal.FULL),
        (b'{"error":{"code":409,"err_code":10158}}', None, Refusal.BUSY),
        (b'{"error":{"code":503,"err_code":10008}}', None, Refusal.BUSY),
        (b'{"error":{"code":400,"err_code":10060}}', None, Refusal.STRANGE),
        (b"", "503", Refusal.UNREACHABLE),
        (b"not json", None, Refusal.STRANGE),
        (b'{"stream":"OTHER","seq":5}', None, Refusal.STRANGE),
        (b'{"stream":"HF_main_LOG","seq":5,"duplicate":true}', None, Refusal.STRANGE),
        (b'{"stream":"HF_main_LOG"}', None, Refusal.STRANGE),
    ],
)
def test_anything_but_a_clean_success_is_a_refusal(payload: bytes, status: str | None, refusal: Refusal) -> None:
    reply = parse_reply("HF_main_LOG", 3, payload, status)
    assert isinstance(reply, Refused)
    assert (reply.append_id, reply.refusal) == (3, refusal)


async def test_in_has_what_is_published_once_each_time(log: Log) -> None:
    publisher = FactPublisher(log.connection, NAMES.incoming, LogSettings())
    for sequence in (1, 2):
        assert await publisher.publish("hf.main.in.erp.acme", b'{"facts":[]}') == sequence
    with pytest.raises(InFullError):
        await publisher.publish("hf.main.in.erp.acme", b"x" * (513 * 1024))


async def test_a_message_whose_id_another_sender_took_is_published_under_another_one(log: Log) -> None:
    for name in ("guessed-1", "guessed-2"):
        await log.connection.request("hf.main.in.erp.evil", b"x", 1_000, {"Nats-Msg-Id": name})
    ids = iter(["guessed-1", "guessed-2", "free"])
    publisher = FactPublisher(log.connection, NAMES.incoming, LogSettings(), new_id=ids.__next__)
    assert await publisher.publish("hf.main.in.erp.acme", b'{"facts":[]}') == 3
    assert await get_message(log.connection, NAMES.incoming, 3) == b'{"facts":[]}'


async def test_a_message_whose_every_id_is_taken_is_no_success(log: Log) -> None:
    await log.connection.request("hf.main.in.erp.evil", b"x", 1_000, {"Nats-Msg-Id": "guessed"})
    settings = replace(LogSettings(), in_publish_deadline_ms=100)
    publisher = FactPublisher(log.connection, NAMES.incoming, settings, new_id=lambda: "guessed")
    with pytest.raises(UnreachableError, match="is taken"):
        await publisher.publish("hf.main.in.erp.acme", b"{}")


async def test_a_repeat_after_a_lost_acknowledgement_is_in_in_once(log: Log) -> None:
    """The server stops answering while it stores; what is asked again under the same id is believed to be there."""
    settings = replace(LogSettings(), request_timeout_ms=300)
    publisher = FactPublisher(log.connection, NAMES.incoming, settings)
    pid = log.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    publishing = asyncio.create_task(publisher.publish("hf.main.in.erp.acme", b"{}"))
    await asyncio.sleep(0.7)  # two requests lie in the server's socket
    os.kill(pid, signal.SIGCONT)
    assert await publishing == 1
    assert (await stream_state(log.connection, NAMES.incoming)).last_sequence == 1


async def test_in_says_when_there_is_no_answer(log: Log) -> None:
    await log.server.stop()
    settings = replace(LogSettings(), in_publish_deadline_ms=300)
    with pytest.raises(UnreachableError):
        await FactPublisher(log.connection, NAMES.incoming, settings).publish("hf.main.in.erp.acme", b"{}")


async def test_dead_letters_carry_the_raw_bytes_and_say_why_and_where(log: Log) -> None:
    letters = DeadLetters(log.connection, NAMES, LogSettings())
    await letters.open()
    letters.put(
        [
            DeadLetter(7, 1, "malformed: quantity:\r\nInjected: no", b'{"kind": "what\xff', "hf.main.in.erp.acme"),
            DeadLetter(8, -1, "malformed-json", b"{", "hf.main.in.policy"),
        ]
    )
    letters.put([DeadLetter(7, 1, "again", b"again", "hf.main.in.erp.acme")])
    await until(lambda: letters.stored_total == 3)
    assert letters.stored_by_reason == {"malformed": 1, "malformed-json": 1, "again": 1}
    state = await stream_state(log.connection, NAMES.dead)
    assert state.messages == 2, "the same letter is kept once"
    answer: dict[str, Any] = await log.connection.api("STREAM.MSG.GET.HF_main_DLQ", {"last_by_subj": "hf.main.dlq.erp"})
    assert await get_message(log.connection, NAMES.dead, answer["message"]["seq"]) == b'{"kind": "what\xff'
    headers = await _headers(log.connection, answer["message"]["seq"])
    assert headers["Holdfast-Reason"].startswith("malformed: quantity:")
    assert "Injected" not in headers
    assert headers["Holdfast-Subject"] == "hf.main.in.erp.acme"
    assert (headers["Holdfast-In-Sequence"], headers["Holdfast-Index"]) == ("7", "1")


async def _headers(connection: Connection, sequence: int) -> dict[str, str]:
    answer = await connection.api("STREAM.MSG.GET.HF_main_DLQ", {"seq": sequence})
    lines = base64.b64decode(answer["message"]["hdrs"]).decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines if ": " in line)


async def test_dead_letters_wait_for_the_server_and_are_bounded(log: Log) -> None:
    settings = replace(LogSettings(), dead_queued_max=3, dead_retry_ms=50)
    letters = DeadLetters(log.connection, NAMES, settings)
    await letters.open()
    pid = log.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not log.connection.connected)
    letters.put([DeadLetter(at, 0, "why", b"x", "hf.main.in.erp.acme") for at in range(1, 6)])
    assert (letters.waiting, letters.lost_total) == (3, 2)
    await until(lambda: letters.stored_total == 3)
    assert (await stream_state(log.connection, NAMES.dead)).messages == 3
