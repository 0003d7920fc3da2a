"""Publishing to IN.

Role: get a body of facts into the IN stream once. In: a subject and a payload, and an id that names the document, if
the caller has one. Out: the sequence IN gave it. Always: a publish that got no answer is repeated under the same
message id, so IN has it once; a refusal because IN is full is an error, never a drop.
"""

import asyncio
import time
import uuid

import msgspec

from holdfast.errors import LogError, UnreachableError
from holdfast.macs import Macs
from holdfast.nats.appender import Refused, is_duplicate, parse_reply
from holdfast.nats.connection import Connection
from holdfast.protocol.log_types import Refusal
from holdfast.settings import LogSettings

_REPEAT_MS = 100


class InFullError(LogError):
    """IN refused the message and certainly has not stored it: no space left, or the message is too large."""


class _Ack(msgspec.Struct):
    seq: int = 0


class FactPublisher:
    """Publishes to one scope's IN."""

    def __init__(self, connection: Connection, stream: str, settings: LogSettings, macs: Macs | None = None) -> None:
        self._macs = macs or Macs()
        self._connection = connection
        self._stream = stream
        self._settings = settings

    async def publish(self, subject: str, payload: bytes, message_id: str | None = None) -> int:
        """Store one message; the sequence that IN gave it.

        `message_id` names the document (never a hash of its body): the same id within the duplicate window is stored
        once. Raises InFullError (not stored) or UnreachableError (not known).
        """
        payload = self._macs.sign_json("incoming", subject.encode(), payload)
        headers = {"Nats-Msg-Id": message_id or uuid.uuid4().hex, "Nats-Expected-Stream": self._stream}
        deadline = time.monotonic() + self._settings.in_publish_deadline_ms / 1000
        while True:
            why = await self._attempt(subject, payload, headers)
            if isinstance(why, int):
                return why
            if time.monotonic() >= deadline:
                raise UnreachableError(f"{subject}: no acknowledgement from IN ({why})")
            await asyncio.sleep(_REPEAT_MS / 1000)

    async def _attempt(self, subject: str, payload: bytes, headers: dict[str, str]) -> int | str:
        try:
            answer = await self._connection.request(subject, payload, self._settings.request_timeout_ms, headers)
        except UnreachableError as fault:
            return str(fault)
        reply = parse_reply(self._stream, 0, answer.data, None)
        if isinstance(reply, Refused):
            # A repeat of what is already there is acknowledged as a duplicate, with the sequence of the first.
            if is_duplicate(answer.data):
                return msgspec.json.decode(answer.data, type=_Ack).seq
            if reply.refusal in {Refusal.FULL, Refusal.STRANGE}:
                raise InFullError(f"{subject}: {reply.detail}")
            return reply.detail
        return reply.sequence
