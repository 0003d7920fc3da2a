"""What the processes of one scope send each other beside the log.

Role: the messages on `hf.<scope>.lead.<node>.<epoch>` (MessagePack, written by a process that follows, answered by the
one that leads); the state of a process (`PeerState`, JSON, so that any NATS tool can read it), as its heartbeat on
`hf.<scope>.pulse` and as its answer on `hf.<scope>.peers`. Always: arrays and objects may grow at their end, and
readers ignore what they do not know, so that versions may be mixed while they are replaced.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from holdfast.protocol.core import Request
from holdfast.protocol.forwarding import CommandAnswer
from holdfast.protocol.membership import PeerState

_Read = TypeVar("_Read")

STILL_WAITING = "still-waiting"
"""In the place of a problem: the leader has not taken in all of these IN messages yet. Ask again."""


class ForwardedCommand(msgspec.Struct, frozen=True, array_like=True):
    """A command, field by field as in `Request`; the idempotency key and the trace may be missing at the end."""

    verb: str
    reservation: str
    body: bytes
    channels: tuple[str, ...] | None
    by: str | None
    key: str | None = None
    trace: str | None = None

    @property
    def request(self) -> Request:
        """As the core takes it."""
        plain = (self.verb, self.reservation, self.body, self.channels, self.by)
        if self.trace is not None:
            return (*plain, self.key, self.trace)
        return plain if self.key is None else (*plain, self.key)


class Commands(msgspec.Struct, frozen=True, array_like=True, tag="commands"):
    """Commands in order of arrival; the sender waits `left_ms` more.

    `asked_ms`: the time, by the leader's own clock as its heartbeats report it, or a little earlier; 0: not known. By
    it the leader finds a question that arrived late, whose sender has given up and may have asked again. `sender` (a
    run of a process) and `number` (it counts that one's questions) show a question that arrives a second time.
    """

    left_ms: int
    requests: list[ForwardedCommand]
    asked_ms: int = 0
    sender: str = ""
    number: int = 0


class Taken(msgspec.Struct, frozen=True, array_like=True, tag="taken"):
    """Asks for the outcome of these IN messages. The sender waits `left_ms` more."""

    left_ms: int
    sequences: list[int]


Question: TypeAlias = Commands | Taken


class FactsReceipt(msgspec.Struct, frozen=True, array_like=True):
    """One IN message, taken into LOG at `sequence`: how many facts were accepted, which were rejected and why; and the
    core's report of what was ignored and created.
    """

    accepted: int
    rejected: list[tuple[int, str]]
    sequence: int
    report: bytes = b"{}"


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """As many as were asked for, in that order; or a `problem` with its `outcome` that holds for all of them."""

    problem: str = ""
    outcome: str = ""
    answers: list[CommandAnswer] = []
    receipts: list[FactsReceipt] = []


def _reading(decode: Callable[[bytes], _Read]) -> Callable[[bytes], _Read]:
    """Whatever the bytes are, they are read, or there is a DecodeError."""

    def read(payload: bytes) -> _Read:
        try:
            return decode(payload)
        except (UnicodeDecodeError, RecursionError) as fault:
            raise msgspec.DecodeError(str(fault)) from fault

    return read


encode = msgspec.msgpack.Encoder().encode
decode_question: Callable[[bytes], Question] = _reading(msgspec.msgpack.Decoder(Question).decode)
decode_reply: Callable[[bytes], Reply] = _reading(msgspec.msgpack.Decoder(Reply).decode)
encode_peer_state = msgspec.json.Encoder().encode
decode_peer_state: Callable[[bytes], PeerState] = _reading(msgspec.json.Decoder(PeerState).decode)
