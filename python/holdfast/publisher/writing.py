"""Fenced writes, many under way at once.

Role: publish messages in order and say which of them are stored. In: subjects, bytes, and what each message expects.
Out: the sequence of each that is stored. Always: a message is stored only where its
expectation holds, so that of two publishers the one that is behind writes nothing.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from holdfast.errors import UnreachableError
from holdfast.nats.appender import Stored, parse_reply
from holdfast.nats.connection import Connection

EXPECTED_LAST = "Nats-Expected-Last-Sequence"
EXPECTED_OF_SUBJECT = "Nats-Expected-Last-Subject-Sequence"


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
