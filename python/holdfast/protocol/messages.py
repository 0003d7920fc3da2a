"""Events and effects: what happens to the protocol, and what it wants done.

Role: the whole vocabulary between the pure protocol and what drives it (the node, a simulator).
Always: plain values; an event says what happened, an effect says what to do; nothing here acts. `waiter` is
opaque to the protocol: it is handed back with the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from holdfast.protocol.core import Core, Incoming, Receipt, Request, Together
from holdfast.protocol.log_types import DeadLetter, Refusal
from holdfast.protocol.membership import *  # noqa: F403 - this module names the whole vocabulary
from holdfast.protocol.membership import MembershipEffect, MembershipEvent


class Role(Enum):
    """What this process is doing."""

    REBUILDING = "rebuilding"  # has no state; LOG is being replayed into a new core
    FOLLOWING = "following"  # applies what others appended
    CLAIMING = "claiming"  # its lead batch is under way
    LEADING = "leading"  # decides and appends
    HALTED = "halted"  # a fault that would get worse by going on


class Problem(Enum):
    """Why a command gets no answer from the state machine. The values are names of the HTTP problems."""

    NO_LEADER = "no-leader"
    LOG_UNAVAILABLE = "log-unavailable"
    OVERLOADED = "overloaded"


class Outcome(Enum):
    """What is known about a command that got no answer."""

    NOT_DONE = "not-done"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Command:
    """One request to the state machine, or several together, and its waiter."""

    request: Request | Together
    waiter: Any
    deadline_ms: int

    @property
    def single(self) -> Request:
        """The request of one that is alone: only such a one goes to another process."""
        assert isinstance(self.request, tuple), "Invariant: what is together is decided where it came"
        return self.request


# ---- events


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. Deadlines, repeats and the lead clock depend on it."""

    mono_ms: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What is queued may be decided now."""

    mono_ms: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A new core holds everything up to LOG's end as it was reported.

    `journal_end`: the last sequence and chain hash of this process's own journal, where it has one.
    """

    core: Core
    journal_end: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class RebuildFailed:
    """LOG could not be replayed; it will be tried again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Followed:
    """LOG messages, consecutive: the first one's sequence, and the bytes."""

    first_sequence: int
    messages: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Everything that LOG holds, as reported, up to this sequence, has been delivered."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """IN messages, ascending, after the sequence that was asked for."""

    messages: Sequence[Incoming]


@dataclass(frozen=True, slots=True)
class AppendStored:
    """A success acknowledgement for an append."""

    append_id: int
    sequence: int


@dataclass(frozen=True, slots=True)
class AppendRefused:
    """A failure; it proves nothing."""

    append_id: int
    refusal: Refusal
    detail: str


@dataclass(frozen=True, slots=True)
class MessageRead:
    """The bytes of a LOG message; None when it could not be read, which proves nothing."""

    sequence: int
    message: bytes | None


@dataclass(frozen=True, slots=True)
class Connected:
    """Connected to NATS (again)."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A failure outside the protocol that could get worse by going on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Accept no new commands; finish those that are here."""


Event: TypeAlias = (
    Tick
    | Turn
    | Rebuilt
    | RebuildFailed
    | Followed
    | CaughtUp
    | Fetched
    | AppendStored
    | AppendRefused
    | MessageRead
    | Connected
    | Broken
    | Stop
    | MembershipEvent
)

# ---- effects


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Throw the core away, replay LOG into a new one, then send Rebuilt."""

    reason: str


@dataclass(frozen=True, slots=True)
class Follow:
    """Deliver LOG messages after this sequence, as Followed, and CaughtUp at the end."""

    after: int


@dataclass(frozen=True, slots=True)
class StopFollowing:
    """Stop delivering LOG messages, and IN messages too."""


@dataclass(frozen=True, slots=True)
class Append:
    """Publish `message` to LOG with the expectation that LOG ends at `expected`."""

    append_id: int
    message: bytes
    expected: int


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """Read one LOG message from the stream's leader, then send MessageRead."""

    sequence: int


@dataclass(frozen=True, slots=True)
class FetchIn:
    """Deliver IN messages after this sequence: at least one; at most the given count and (beyond the first) bytes."""

    after: int
    messages_max: int
    bytes_max: int


@dataclass(frozen=True, slots=True)
class PublishDead:
    """Store these dead letters. Sent before the append that takes them in."""

    letters: list[DeadLetter]


@dataclass(frozen=True, slots=True)
class Answer:
    """Give each waiter its answer, in order. It reflects LOG up to `sequence`."""

    commands: Sequence[Command]
    answers: Sequence[tuple[int, bytes]]
    sequence: int


@dataclass(frozen=True, slots=True)
class Reject:
    """These waiters get no answer, but what is known of their commands."""

    commands: Sequence[Command]
    problem: Problem
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Received:
    """The outcome of IN messages, now that LOG has it at `sequence`."""

    receipts: Sequence[Receipt]
    sequence: int


@dataclass(frozen=True, slots=True)
class Committed:
    """LOG has the batch at `sequence`; the core is settled until the next Turn: reads may run now."""

    sequence: int


@dataclass(frozen=True, slots=True)
class Keep:
    """LOG has these messages from this sequence on, byte by byte: put them into the journal."""

    first_sequence: int
    messages: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """The role from now on, and why, for the operator."""

    role: Role
    reason: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that an operator should see. `name` is from a small fixed set."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop the process: it is not safe to go on."""

    reason: str


Effect: TypeAlias = (
    Rebuild
    | Follow
    | StopFollowing
    | Append
    | ReadMessage
    | FetchIn
    | PublishDead
    | Answer
    | Reject
    | Received
    | Committed
    | Keep
    | RoleChanged
    | Alarm
    | Halt
    | MembershipEffect
)
