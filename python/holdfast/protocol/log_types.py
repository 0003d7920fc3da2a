"""Values that the protocol exchanges with the log and that are not messages.

Role: the values that `holdfast.nats` gives and takes and the protocol decides by: why an append was refused, a dead
letter, a lease. Always: plain values; none of them proves by itself what is stored.
"""

from dataclasses import dataclass
from enum import Enum


class Refusal(Enum):
    """Why an append failed. None of these proves anything about what is stored."""

    WRONG_SEQUENCE = "wrong-sequence"  # a server, perhaps a deposed one, answers that LOG does not end at E: read E+1
    FULL = "full"  # no space, or no resources: repeat slowly
    BUSY = "busy"  # try again
    UNREACHABLE = "unreachable"  # no answer, or it was not sent
    STRANGE = "strange"  # an answer that a correct configuration never gives


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused fact (`index` in its message), or a whole message (`index` -1).

    `message`: what IN had; `trace`: once that was looked for.
    """

    in_sequence: int
    index: int
    reason: str
    raw: bytes
    subject: str
    message: bytes = b""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """What the lease's key holds: the process that leads or will lead, and its boot; nobody when it was released.

    `void`: no process of the scope wrote that there, or it did so earlier and somebody put it there again.
    """

    node: str | None
    boot: str
    revision: int
    void: bool = False
