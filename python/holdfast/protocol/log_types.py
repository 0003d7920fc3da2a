"""What the protocol exchanges with the log that is not a message of its own.

Role: the values that `holdfast.nats` gives and takes and the protocol reasons about: why an append was refused, a dead
letter, a lease. Always: plain values; none of them says by itself what is stored.
"""

from dataclasses import dataclass
from enum import Enum


class Refusal(Enum):
    """Why an append got no success. None of these proves anything about what is stored."""

    WRONG_SEQUENCE = "wrong-sequence"  # LOG does not end at E, says a server that may be deposed: read E+1
    FULL = "full"  # no room, or no resources: repeat slowly
    BUSY = "busy"  # try again
    UNREACHABLE = "unreachable"  # nobody answered, or it was not sent
    STRANGE = "strange"  # an answer that a right configuration never gives


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused fact (`index` in its message), or a whole message (`index` -1)."""

    in_sequence: int
    index: int
    reason: str
    raw: bytes
    subject: str


@dataclass(frozen=True, slots=True)
class Lease:
    """What the lease's key holds: who leads or is about to, in which life; nobody when it was released."""

    node: str | None
    boot: str
    revision: int
