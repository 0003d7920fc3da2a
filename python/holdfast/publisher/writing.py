"""Fenced writes, many under way at once, or many as one.

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
EXPECTED_OF_SUBJECT = "Nats-Expected-Last-Subject-Sequence"
TOGETHER_MAX = 1_000
"""Messages that a nats-server stores as one (atomic batch publishing)."""


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
