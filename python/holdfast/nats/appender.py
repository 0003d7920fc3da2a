"""One fenced append, and reading a message back.

Role: send a batch with the expectation that LOG ends at E, and report what came back. In: bytes and E. Out: a reply for
the caller to judge. Always: stream-level expectation only, no message id, one subject; a reply carries the id of the
append it belongs to, so that a late one is never taken for the reply to another append.
"""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog
from nats.aio.msg import Msg

from holdfast.errors import ApiError, LogError, UnreachableError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names
from holdfast.protocol.log_types import Refusal

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """A success acknowledgement: LOG has the message at `sequence`."""

    append_id: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Anything else."""

    append_id: int
    refusal: Refusal
    detail: str


class _Error(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _Error | None = None


_REFUSALS = {
    10071: Refusal.WRONG_SEQUENCE,
    10164: Refusal.WRONG_SEQUENCE,
    10077: Refusal.FULL,
    10023: Refusal.FULL,
    10047: Refusal.FULL,
    10167: Refusal.FULL,
    10158: Refusal.BUSY,
}
_MESSAGE_NOT_FOUND = 10037
_ack_decoder = msgspec.json.Decoder(_Ack)


def parse_reply(stream: str, append_id: int, payload: bytes, status: str | None) -> Stored | Refused:
    """The reply that a server's answer to a publish means."""
    if status is not None:
        return Refused(append_id, Refusal.UNREACHABLE, f"status {status}")
    try:
        ack = _ack_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        return Refused(append_id, Refusal.STRANGE, f"unreadable acknowledgement: {fault}")
    if ack.error is not None:
        known = _REFUSALS.get(ack.error.err_code)
        if known is None:
            known = Refusal.BUSY if ack.error.code == 503 else Refusal.STRANGE
        return Refused(append_id, known, f"{ack.error.err_code}: {ack.error.description}")
    if ack.stream != stream or ack.seq <= 0 or ack.duplicate:
        return Refused(append_id, Refusal.STRANGE, f"impossible acknowledgement {payload!r}")
    return Stored(append_id, ack.seq)


def is_duplicate(payload: bytes) -> bool:
    """Whether an acknowledgement reports that the stream had this message id before (IN and DLQ; LOG uses no ids)."""
    try:
        return _ack_decoder.decode(payload).duplicate
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


class Appender:
    """Sends appends; calls `on_reply` for each answer. Deadlines and repeats are the protocol's."""

    def __init__(self, connection: Connection, names: Names, on_reply: Callable[[Stored | Refused], None]) -> None:
        self._connection = connection
        self._stream = names.log
        self._subject = names.log_subject
        self._on_reply = on_reply
        self._inbox = ""
        self._sending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen for answers."""
        self._inbox = self._connection.new_inbox()
        await self._connection.listen(f"{self._inbox}.*", self._on_message)

    def send(self, append_id: int, message: bytes, expected: int) -> None:
        """Publish `message` with the expectation that LOG ends at `expected`. Returns at once."""
        task = asyncio.get_running_loop().create_task(self._send(append_id, message, expected))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, append_id: int, message: bytes, expected: int) -> None:
        headers = {"Nats-Expected-Last-Sequence": str(expected), "Nats-Expected-Stream": self._stream}
        try:
            await self._connection.publish(self._subject, message, f"{self._inbox}.{append_id}", headers)
        except UnreachableError as fault:
            self._on_reply(Refused(append_id, Refusal.UNREACHABLE, str(fault)))

    async def _on_message(self, message: Msg) -> None:
        name = message.subject.rpartition(".")[2]
        if not name.isdecimal():
            return  # no append of ours has such an inbox
        append_id = int(name)
        status = message.headers.get("Status") if message.headers else None
        self._on_reply(parse_reply(self._stream, append_id, message.data, status))


async def get_message(connection: Connection, stream: str, sequence: int) -> bytes | None:
    """The bytes of one message, from the stream's leader. None proves nothing: a deposed one may have answered."""
    try:
        answer = await connection.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence})
    except ApiError as error:
        if error.code != _MESSAGE_NOT_FOUND:
            log.warning("read-back-failed", stream=stream, sequence=sequence, why=str(error))
        return None
    except LogError as fault:
        log.info("read-back-failed", stream=stream, sequence=sequence, why=str(fault))
        return None
    message = answer["message"]
    if message["seq"] != sequence:
        return None
    return base64.b64decode(message.get("data", ""))
