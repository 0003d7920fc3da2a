"""Dead letters: what could not be taken in from IN, with the reason.

Role: store the raw bytes of a refused fact or message in DLQ, and headers that say why, from where, and which
sequence. In: letters. Out: messages that `nats stream view HF_main_DLQ` shows and that can be published again as they
are. Always: letters go out on the connection before anything sent after `put`, so LOG never has taken in a message
whose letter was not sent; at most `dead_queued_max` wait; one that is not acknowledged is sent again under the same
message id; a failing dead letter never stops the log.
"""

import asyncio
import contextlib
import itertools
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import structlog
from nats.aio.msg import Msg

from holdfast.errors import UnreachableError
from holdfast.nats.appender import Stored, is_duplicate, parse_reply
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names
from holdfast.protocol.log_types import DeadLetter, Refusal
from holdfast.settings import LogSettings
from holdfast.tasks import cancel_and_wait
from holdfast.traces import trace_of_rejected

log = structlog.get_logger(__name__)

TRACE = "Holdfast-Trace"
_REASON_CHARS_MAX = 1_000
_REASONS_COUNTED_MAX = 64
_REASON_NAME = re.compile(r"[a-z][a-z-]{0,63}")


class DeadLetters:
    """Sends letters, and holds each until DLQ has it."""

    def __init__(self, connection: Connection, names: Names, settings: LogSettings) -> None:
        self._connection = connection
        self._names = names
        self._settings = settings
        self._inbox = ""
        self._numbers = itertools.count()
        self._waiting: dict[int, DeadLetter] = {}
        self._last_answer_s = 0.0
        self._empty = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._repeater: asyncio.Task[None] | None = None
        self.stored_total = 0
        self.stored_by_reason: Counter[str] = Counter()
        self.lost_total = 0

    async def open(self) -> None:
        """Listen for acknowledgements."""
        self._inbox = self._connection.new_inbox()
        await self._connection.listen(f"{self._inbox}.*", self._on_message)

    def put(self, letters: list[DeadLetter]) -> None:
        """Take letters to be stored. Beyond the bound the new ones are counted as lost (they are still in IN)."""
        room = self._settings.dead_queued_max - len(self._waiting)
        if len(letters) > room:
            self.lost_total += len(letters) - room
            log.error("dead-letters-lost", count=len(letters) - room, first_in_sequence=letters[room].in_sequence)
        traced = [replace(one, message=b"", trace=trace_of_rejected(one.message, one.raw)) for one in letters[:room]]
        numbered = dict(zip(self._numbers, traced, strict=False))
        self._waiting |= numbered
        self._empty.clear()
        self._last_answer_s = time.monotonic()
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._send(list(numbered)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        if self._repeater is None or self._repeater.done():
            self._repeater = loop.create_task(self._repeat())

    @property
    def waiting(self) -> int:
        """Letters not yet acknowledged."""
        return len(self._waiting)

    async def close(self, patience_s: float) -> None:
        """Wait at most this long for the letters that are not acknowledged."""
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._empty.wait()
        await cancel_and_wait(self._repeater, *self._sending)

    def _counted_as(self, reason: str) -> str:
        """The reason's name without its particulars; beyond the bound of names, `other`."""
        name = reason.partition(":")[0]
        known = name in self.stored_by_reason or len(self.stored_by_reason) < _REASONS_COUNTED_MAX
        return name if known and _REASON_NAME.fullmatch(name) else "other"

    async def _send(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            letter = self._waiting.get(number)
            if letter is None:
                continue
            headers = {
                "Nats-Msg-Id": f"{letter.in_sequence}:{letter.index}",
                "Holdfast-Reason": letter.reason[:_REASON_CHARS_MAX],
                "Holdfast-Subject": letter.subject,
                "Holdfast-In-Sequence": str(letter.in_sequence),
                "Holdfast-Index": str(letter.index),
            }
            if letter.trace:
                headers[TRACE] = letter.trace
            subject = self._names.dead_subject(letter.subject)
            try:
                await self._connection.publish(subject, letter.raw, f"{self._inbox}.{number}", headers)
            except UnreachableError:
                return  # all of them again, later

    async def _repeat(self) -> None:
        """Send again what has had no answer, once answers have stopped coming."""
        while self._waiting:
            await asyncio.sleep(self._settings.dead_retry_ms / 1000)
            if (time.monotonic() - self._last_answer_s) * 1000 >= self._settings.dead_retry_ms:
                await self._send(list(self._waiting))

    async def _on_message(self, message: Msg) -> None:
        self._last_answer_s = time.monotonic()
        number = int(message.subject.rpartition(".")[2])
        status = message.headers.get("Status") if message.headers else None
        reply = parse_reply(self._names.dead, 0, message.data, status)
        if isinstance(reply, Stored) or is_duplicate(message.data):
            if (letter := self._waiting.pop(number, None)) is not None:
                self.stored_total += 1
                self.stored_by_reason[self._counted_as(letter.reason)] += 1
        elif reply.refusal is Refusal.STRANGE:
            letter = self._waiting.pop(number, None)
            self.lost_total += letter is not None
            log.error("dead-letter-refused", in_sequence=letter.in_sequence if letter else 0, why=reply.detail)
        if not self._waiting:
            self._empty.set()
