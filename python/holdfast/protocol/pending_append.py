"""The one append that is under way.

Role: repeat the identical bytes under the identical expectation until there is evidence of what LOG holds at E+1.
In: replies, bytes read back, time. Out: a verdict, or what to send or read next.
Always: only a success naming E+1, or the bytes of message E+1, give a verdict other than UNKNOWN; new content for the
same E is never sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec

from holdfast.protocol.core import Receipt
from holdfast.protocol.log_types import Refusal
from holdfast.protocol.messages import Append, Command, ReadMessage
from holdfast.settings import NodeSettings


class Verdict(Enum):
    """What is known about message E+1."""

    STORED = "stored"  # it is our batch
    FENCED = "fenced"  # it is another's batch; ours can never be stored
    UNKNOWN = "unknown"  # no evidence within the deadline
    IMPOSSIBLE = "impossible"  # stored, but not at E+1: the fence does not hold


class _Head(msgspec.Struct):
    previous: str = ""


_head = msgspec.json.Decoder(_Head).decode


def _previous(message: bytes) -> str:
    try:
        return _head(message).previous
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


@dataclass(slots=True)
class PendingAppend:
    """A batch that was sent, and its waiters."""

    append_id: int
    message: bytes
    expected: int
    claim: bool
    began_ms: int
    deadline_ms: int
    lead_limit_ms: int
    tenure: int  # of the lease, in which it was decided
    resend_ms: int
    commands: Sequence[Command] = ()
    answers: Sequence[tuple[int, bytes]] = ()
    receipts: Sequence[Receipt] = ()
    answered: int = 0  # how many of `commands`, from the first, were already answered "unknown"
    attempts: int = 1
    refusal: Refusal | None = None
    reading: bool = False

    @property
    def waiting(self) -> Sequence[Command]:
        """The commands that have no answer yet."""
        return self.commands[self.answered :]

    def expired(self, mono_ms: int) -> Sequence[Command]:
        """The commands whose deadline has passed; they count as answered from now on."""
        first = self.answered
        while self.answered < len(self.commands) and self.commands[self.answered].deadline_ms <= mono_ms:
            self.answered += 1
        return self.commands[first : self.answered]

    def on_stored(self, sequence: int) -> Verdict:
        """A success acknowledgement for this append."""
        return Verdict.STORED if sequence == self.expected + 1 else Verdict.IMPOSSIBLE

    def on_bytes(self, message: bytes, chain: str) -> Verdict:
        """Message E+1 was read. `chain`: the chain hash at E, which our batch names as the one before it.

        Only another batch that names it too takes our place in the chain. Behind any other message ours still fits, and
        would take effect if somebody sent it again. Of a claim nobody waits for the outcome.
        """
        if message == self.message:
            return Verdict.STORED
        return Verdict.FENCED if self.claim or _previous(message) == chain else Verdict.UNKNOWN

    def move_behind(self, append_id: int, mono_ms: int) -> None:
        """Message E+1 is void for every process: the same batch is to follow it, and its answers name the new place."""
        old, new = (b'"sequence":%d' % (self.expected + more) for more in (1, 2))
        self.answers = [(status, body.replace(old, new)) for status, body in self.answers]
        self.receipts = [(*receipt[:3], receipt[3].replace(old, new)) for receipt in self.receipts]
        self.append_id = append_id
        self.expected += 1
        self.resend_ms = mono_ms
        self.reading = False

    def on_refused(self, refusal: Refusal, mono_ms: int, settings: NodeSettings) -> ReadMessage | None:
        """A failure. Read E+1, or wait and repeat."""
        self.refusal = refusal
        if refusal is Refusal.WRONG_SEQUENCE:
            if self.reading:
                return None
            self.reading = True
            self.resend_ms = mono_ms + settings.append_timeout_ms
            return ReadMessage(self.expected + 1)
        if refusal is Refusal.FULL:
            # The server answers, and its answer names what an operator can change. To rebuild the core would not help:
            # reads go on from this core, and the batch is stored as soon as there is room.
            self.deadline_ms = mono_ms + settings.append_deadline_ms
        slow = refusal in {Refusal.FULL, Refusal.STRANGE}
        self.resend_ms = mono_ms + (settings.append_full_retry_ms if slow else settings.append_retry_ms)
        return None

    def on_unread(self, mono_ms: int, settings: NodeSettings) -> None:
        """Message E+1 could not be read. That proves nothing."""
        self.reading = False
        self.resend_ms = mono_ms + settings.read_back_retry_ms

    def on_time(self, mono_ms: int, settings: NodeSettings) -> Append | Verdict | None:
        """Repeat when it is due; give up at the deadline."""
        if mono_ms >= self.deadline_ms:
            return Verdict.UNKNOWN
        if mono_ms < self.resend_ms:
            return None
        self.attempts += 1
        self.reading = False
        self.resend_ms = mono_ms + settings.append_timeout_ms
        return Append(self.append_id, self.message, self.expected)
