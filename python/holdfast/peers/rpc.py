"""Questions to another process over core NATS, with answers that may come in several messages.

Role: send one message and wait for its whole answer; send an answer, in parts where it is too large for one message.
In: a subject and bytes. Out: bytes, or an exception that states what is known. Always: a question is sent once; only
"nobody listens there" and "it was not sent" count as not delivered, all else is unknown; an answer in parts is bounded;
questions and answers carry a code of the scope (docs/log.md, "MACs"), an answer that of its question: what has none is
ignored.
"""

import asyncio
import contextlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nats.aio.msg import Msg

from holdfast.errors import NotDeliveredError, UnreachableError
from holdfast.macs import Macs
from holdfast.nats.connection import Connection
from holdfast.settings import NodeSettings

_NO_RESPONDERS = "503"
_NUMBER = re.compile("[0-9]{1,18}")
_CODE_BYTES = 40  # what names a signed question in its answer


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that came, by a process of the scope."""

    payload: bytes
    reply: str
    code: bytes


@dataclass(slots=True)
class _Answer:
    code: bytes
    future: asyncio.Future[bytes]
    parts: list[bytes] = field(default_factory=list)
    size: int = 0


class Rpc:
    """One process's own inbox for answers."""

    def __init__(self, connection: Connection, settings: NodeSettings, macs: Macs) -> None:
        self._connection = connection
        self._macs = macs
        self._settings = settings
        self._inbox = ""
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Answer] = {}

    async def open(self) -> None:
        """Listen for answers."""
        self._inbox = self._connection.new_inbox()
        await self._connection.listen(f"{self._inbox}.>", self._on_message)

    def close(self) -> None:
        """Fail all questions: no answer will come any more."""
        for answer in self._waiting.values():
            if not answer.future.done():
                answer.future.set_exception(UnreachableError("this process stops"))

    async def ask(self, subject: str, payload: bytes, timeout_s: float) -> bytes:
        """The whole answer. Raises NotDeliveredError (certainly not received) or UnreachableError (not known)."""
        payload = self._macs.sign("question", subject.encode(), payload)
        if len(payload) > self._connection.payload_bytes_max:
            raise NotDeliveredError(f"{subject}: {len(payload)} bytes are more than NATS takes in one message")
        number = next(self._numbers)
        answer = _Answer(payload[:_CODE_BYTES], asyncio.get_running_loop().create_future())
        self._waiting[number] = answer
        try:
            try:
                await self._connection.publish(subject, payload, f"{self._inbox}.{number}")
            except UnreachableError as fault:
                raise NotDeliveredError(str(fault)) from fault
            async with asyncio.timeout(timeout_s):
                return await answer.future
        except TimeoutError as fault:
            raise UnreachableError(f"{subject}: no answer within {timeout_s:.1f} s") from fault
        finally:
            del self._waiting[number]

    def question(self, message: Msg) -> Asked | None:
        """A question that came; None: no process of the scope asked it."""
        payload = self._macs.open("question", message.subject.encode(), message.data)
        return None if payload is None else Asked(payload, message.reply, message.data[:_CODE_BYTES])

    async def answer(self, asked: Asked, payload: bytes) -> None:
        """Answer a question, in as many messages as needed. An answer that cannot be sent is dropped."""
        parts = list(_cut(payload, self._settings.answer_part_bytes_max))
        with contextlib.suppress(UnreachableError):
            for at, part in enumerate(parts, start=1):
                signed = self._macs.sign("answer", _context(asked.code, at, len(parts)), part)
                await self._connection.publish(f"{asked.reply}.{at}.{len(parts)}", signed)

    async def _on_message(self, message: Msg) -> None:
        places = message.subject.removeprefix(self._inbox + ".").split(".")
        if len(places) not in {1, 3} or not all(_NUMBER.fullmatch(place) for place in places):
            return  # no answer to a question of this process
        number, *place = map(int, places)
        answer = self._waiting.get(number)
        if answer is None or answer.future.done():
            return
        if not place:
            status = (message.headers or {}).get("Status")
            nobody = NotDeliveredError("nobody listens there")
            unfit = UnreachableError(f"an answer of status {status}")
            answer.future.set_exception(nobody if status == _NO_RESPONDERS else unfit)
            return
        at, parts = place
        part = self._macs.open("answer", _context(answer.code, at, parts), message.data)
        if part is None:
            return
        answer.parts.append(part)
        answer.size += len(part)
        if at != len(answer.parts) or answer.size > self._settings.answer_bytes_max:
            answer.future.set_exception(UnreachableError(f"part {at} of {parts} of an answer does not fit"))
        elif at == parts:
            answer.future.set_result(b"".join(answer.parts))


def _context(code: bytes, at: int, parts: int) -> bytes:
    """An answer's part belongs to one question, and to one place in the answer."""
    return code + b"%d/%d" % (at, parts)


def _cut(payload: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, max(1, len(payload)), size):
        yield payload[at : at + size]
