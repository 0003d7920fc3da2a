"""Publishing to IN.

Role: get a body of facts into the IN stream once. In: a subject and a payload. Out: the sequence IN gave it. Always: a
publish that got no answer is repeated under the same message id, so IN has it once; the id is random, and one that
somebody else took is replaced, for all who send share one memory of ids; a refusal because IN is full is an error,
never a drop.
"""

import asyncio
import secrets
import time
from collections.abc import Callable

import msgspec

from holdfast.errors import LogError, UnreachableError
from holdfast.macs import Macs
from holdfast.nats.appender import Refused, is_duplicate, parse_reply
from holdfast.nats.connection import Connection
from holdfast.protocol.log_types import Refusal
from holdfast.settings import LogSettings

_REPEAT_MS = 100
_ID_BYTES = 16


def random_id() -> str:
    """A message id that nobody can guess."""
    return secrets.token_hex(_ID_BYTES)


class InFullError(LogError):
    """IN refused the message and certainly has not stored it: no space left, or the message is too large."""


class _TakenError(Exception):
    """Another sender's message has the id: ours was dropped."""


class _Ack(msgspec.Struct):
    seq: int = 0


class FactPublisher:
    """Publishes to one scope's IN."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        settings: LogSettings,
        macs: Macs | None = None,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        self._macs = macs or Macs()
        self._connection = connection
        self._stream = stream
        self._settings = settings
        self._new_id = new_id

    async def publish(self, subject: str, payload: bytes) -> int:
        """Store one message; the sequence that IN gave it.

        Raises InFullError (not stored) or UnreachableError (not known).
        """
        payload = self._macs.sign_json("incoming", subject.encode(), payload)
        deadline = time.monotonic() + self._settings.in_publish_deadline_ms / 1000
        while True:
            try:
                return await self._once(subject, payload, deadline)
            except _TakenError as taken:
                if time.monotonic() >= deadline:
                    raise UnreachableError(f"{subject}: {taken}") from taken

    async def _once(self, subject: str, payload: bytes, deadline: float) -> int:
        """Under one id until there is an answer."""
        headers = {"Nats-Msg-Id": self._new_id(), "Nats-Expected-Stream": self._stream}
        is_repeat = False
        while True:
            why = await self._attempt(subject, payload, headers, is_repeat=is_repeat)
            if isinstance(why, int):
                return why
            if time.monotonic() >= deadline:
                raise UnreachableError(f"{subject}: no acknowledgement from IN ({why})")
            is_repeat = True
            await asyncio.sleep(_REPEAT_MS / 1000)

    async def _attempt(self, subject: str, payload: bytes, headers: dict[str, str], *, is_repeat: bool) -> int | str:
        try:
            answer = await self._connection.request(subject, payload, self._settings.request_timeout_ms, headers)
        except UnreachableError as fault:
            return str(fault)
        reply = parse_reply(self._stream, 0, answer.data, None)
        if isinstance(reply, Refused):
            if is_duplicate(answer.data):
                # Of a repeat the first is there. Nobody can know the id before that one is stored, so an id that
                # is taken at the first attempt is another sender's.
                if is_repeat:
                    return msgspec.json.decode(answer.data, type=_Ack).seq
                raise _TakenError(f"the message id {headers['Nats-Msg-Id']} is taken")
            if reply.refusal in {Refusal.FULL, Refusal.STRANGE}:
                raise InFullError(f"{subject}: {reply.detail}")
            return reply.detail
        return reply.sequence
