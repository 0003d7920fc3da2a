"""Fenced writes, many under way at once, or many with one answer.

Role: publish messages in order and say which of them are stored. In: subjects, bytes, and what each message expects.
Out: the sequence of each that is stored. Always: a message is stored only where its
expectation holds, so that of two publishers the one that is behind writes nothing.
"""

import asyncio
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from holdfast.errors import UnreachableError
from holdfast.nats.appender import Stored, parse_reply
from holdfast.nats.connection import Connection

EXPECTED_LAST = "Nats-Expected-Last-Sequence"
EXPECTED_LAST_ID = "Nats-Expected-Last-Msg-Id"
EXPECTED_OF_SUBJECT = "Nats-Expected-Last-Subject-Sequence"
ID = "Nats-Msg-Id"
TOGETHER_MAX = 1_000
"""Messages with one answer; a nats-server takes no more as one (atomic batch publishing)."""


class Message(NamedTuple):
    """To be written."""

    subject: str
    body: bytes
    headers: dict[str, str]


async def write(connection: Connection, stream: str, messages: Sequence[Message], timeout_ms: int) -> list[int | None]:
    """The sequence of each; None where it is not known to be stored. They go out in this order."""

    async def one(message: Message) -> int | None:
        headers = message.headers | {"Nats-Expected-Stream": stream}
        try:
            answer = await connection.request(message.subject, message.body, timeout_ms, headers)
        except UnreachableError:
            return None
        status = answer.headers.get("Status") if answer.headers else None
        reply = parse_reply(stream, 0, answer.data, status)
        return reply.sequence if isinstance(reply, Stored) else None

    return list(await asyncio.gather(*(one(message) for message in messages)))


async def write_chained(
    connection: Connection, stream: str, messages: Sequence[Message], end: int, timeout_ms: int
) -> bool:
    """Whether all are known to be stored, directly behind `end`, in this order; where not, perhaps some are.

    Each has an id (`ID`), that no other message of the stream has but the same one of another publisher, and nothing
    else is in its headers. The first one expects `end`, each other one the id of the one before it: where one is not
    stored, those behind it are not, so the answer to the last tells of all.
    """
    expected = {EXPECTED_LAST: str(end)}
    *first, last = messages
    try:
        for message in first:
            await connection.publish(message.subject, message.body, headers=message.headers | expected)
            expected = {EXPECTED_LAST_ID: message.headers[ID]}
        headers = last.headers | expected | {"Nats-Expected-Stream": stream}
        answer = await connection.request(last.subject, last.body, timeout_ms, headers)
    except UnreachableError:
        return False
    status = answer.headers.get("Status") if answer.headers else None
    reply = parse_reply(stream, 0, answer.data, status)
    return isinstance(reply, Stored) and reply.sequence == end + len(messages)


async def write_together(
    connection: Connection, stream: str, messages: Sequence[Message], timeout_ms: int
) -> list[int] | None:
    """The sequences of all; None where not all are known to be stored: then perhaps each is, perhaps none.

    At most TOGETHER_MAX messages, of a subject each. One answer in place of one a message. The stream must allow it
    (`allow_atomic`); where it does not, nothing is stored.
    """
    batch = uuid.uuid4().hex
    *first, last = (
        message._replace(headers=message.headers | {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(n)})
        for n, message in enumerate(messages, 1)
    )
    headers = last.headers | {"Nats-Batch-Commit": "1", "Nats-Expected-Stream": stream}
    try:
        for message in first:
            await connection.publish(message.subject, message.body, headers=message.headers)
        answer = await connection.request(last.subject, last.body, timeout_ms, headers)
        stored = msgspec.json.decode(answer.data, type=_Stored)
    except (UnreachableError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if stored.stream != stream or stored.batch != batch or stored.count != len(messages):
        return None
    return list(range(stored.seq - stored.count + 1, stored.seq + 1))


class _Stored(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    batch: str = ""
    count: int = 0
