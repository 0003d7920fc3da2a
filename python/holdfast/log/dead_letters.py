"""Dead letters: what could not be taken from IN, with the reason.

Role: store the raw bytes of a refused fact or message in DLQ, and headers that say why, from where, and which
sequence. In: letters. Out: messages that `nats stream view HF_main_DLQ` shows and that can be published again as they
are. Always: at most `dead_queued_max` wait; one that cannot be stored is tried again, never a reason to stop the log;
a repeat after a crash has the same message id.
"""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from itertools import islice

import structlog

from holdfast.log.append import Refusal, Stored, is_duplicate, parse_reply
from holdfast.log.connection import Connection
from holdfast.log.errors import UnreachableError
from holdfast.log.streams import Names
from holdfast.settings import LogSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused fact (`index` in its message), or a whole message (`index` -1)."""

    in_sequence: int
    index: int
    reason: str
    raw: bytes
    subject: str


class DeadLetters:
    """Stores letters in the background, in order."""

    def __init__(self, connection: Connection, names: Names, settings: LogSettings) -> None:
        self._connection = connection
        self._names = names
        self._settings = settings
        self._waiting: deque[DeadLetter] = deque()
        self._task: asyncio.Task[None] | None = None
        self.stored_total = 0
        self.lost_total = 0

    def put(self, letters: list[DeadLetter]) -> None:
        """Take letters to be stored. Beyond the bound the new ones are counted as lost (they are still in IN)."""
        room = self._settings.dead_queued_max - len(self._waiting)
        if len(letters) > room:
            self.lost_total += len(letters) - room
            log.error("dead-letters-lost", count=len(letters) - room, first_in_sequence=letters[room].in_sequence)
        self._waiting.extend(letters[:room])
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._store_all())

    @property
    def waiting(self) -> int:
        """Letters not yet stored."""
        return len(self._waiting)

    async def close(self, patience_s: float) -> None:
        """Store what waits, for so long."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._task

    async def _store_all(self) -> None:
        while self._waiting:
            together = list(islice(self._waiting, self._settings.in_publish_together_max))
            fates = await asyncio.gather(*(self._store(letter) for letter in together))
            for _ in together:
                self._waiting.popleft()
            self._waiting.extendleft(
                letter for letter, fate in zip(reversed(together), reversed(fates), strict=True) if fate is None
            )
            self.stored_total += fates.count(True)
            self.lost_total += fates.count(False)
            if None in fates:
                await asyncio.sleep(self._settings.dead_retry_ms / 1000)

    async def _store(self, letter: DeadLetter) -> bool | None:
        """True: stored. None: try again. False: it can never be stored (and is still in IN)."""
        headers = {
            "Nats-Msg-Id": f"{letter.in_sequence}:{letter.index}",
            "Holdfast-Reason": letter.reason[:1_000],
            "Holdfast-Subject": letter.subject,
            "Holdfast-In-Sequence": str(letter.in_sequence),
            "Holdfast-Index": str(letter.index),
        }
        subject = self._names.dead_subject(letter.subject)
        try:
            answer = await self._connection.request(subject, letter.raw, self._settings.request_timeout_ms, headers)
        except UnreachableError as fault:
            log.info("dead-letter-delayed", in_sequence=letter.in_sequence, why=str(fault))
            return None
        reply = parse_reply(self._names.dead, 0, answer.data, None)
        if isinstance(reply, Stored) or is_duplicate(answer.data):
            return True
        log.warning("dead-letter-refused", in_sequence=letter.in_sequence, why=reply.detail)
        return False if reply.refusal is Refusal.STRANGE else None
