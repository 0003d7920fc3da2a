"""What the node needs of the state machine.

Role: the part of `holdfast._core.Engine` that the protocol calls, as a type, so that tests and a simulator can put
another one in its place. Always: calls are synchronous and deterministic; `decide` mutates speculatively and there is
no undo: an engine whose pending batch turns out foreign is thrown away.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

# (verb, reservation id, body, channels that the key may see, key id), then the idempotency key where there is one,
# and then the trace where the request has one
_Plain: TypeAlias = tuple[str, str, bytes, tuple[str, ...] | None, str | None]
_Keyed: TypeAlias = tuple[str, str, bytes, tuple[str, ...] | None, str | None, str | None]
_Traced: TypeAlias = tuple[str, str, bytes, tuple[str, ...] | None, str | None, str | None, str | None]
Request: TypeAlias = _Plain | _Keyed | _Traced


class Together(Protocol):
    """Several commands that the core decides in one batch, and answers in one piece: carts of one request."""

    def __len__(self) -> int:
        """How many."""

    def refused(self) -> Sequence[tuple[Request, bytes]]:
        """Once they were decided: those that the state refused, each with its answer."""


def request_of(
    verb: str,
    reservation: str,
    body: bytes,
    channels: tuple[str, ...] | None,
    by: str | None,
    key: str | None = None,
    trace: str = "",
) -> Request:
    """The shortest form that has it all."""
    if trace:
        return verb, reservation, body, channels, by, key, trace
    if key is not None:
        return verb, reservation, body, channels, by, key
    return verb, reservation, body, channels, by


def trace_in(request: Request | Together) -> str:
    """The trace of its request; "" for none."""
    return (request[6] or "") if isinstance(request, tuple) and len(request) == 7 else ""


# (IN sequence, subject, payload)
Incoming: TypeAlias = tuple[int, str, bytes]
# (IN sequence, accepted, [(index, reason)], report)
Receipt: TypeAlias = tuple[int, int, list[tuple[int, str]], bytes]


class Decision(Protocol):
    """The outcome of one `decide`."""

    @property
    def message(self) -> bytes | None:
        """The batch to append; None when nothing changed."""

    @property
    def commands_taken(self) -> int:
        """How many commands, from the first, were decided."""

    @property
    def incoming_taken(self) -> int:
        """How many IN messages, from the first, were taken in."""

    @property
    def answers(self) -> list[tuple[int, bytes]]:
        """(status, body) for each command taken."""

    @property
    def received(self) -> list[Receipt]:
        """The outcome of each IN message taken in."""

    @property
    def dead(self) -> list[tuple[int, int, str, bytes]]:
        """(IN sequence, index or -1, reason, raw bytes) for the dead letters."""


class Core(Protocol):
    """The state machine."""

    @property
    def sequence(self) -> int:
        """Of the newest LOG message that was applied or committed."""

    @property
    def chain(self) -> str:
        """Hash of the newest batch that took effect, 64 hex digits."""

    @property
    def epoch(self) -> int:
        """Of the newest lead batch."""

    @property
    def node(self) -> str:
        """The node that appended the newest lead batch."""

    @property
    def in_upto(self) -> int:
        """The last IN sequence taken in."""

    @property
    def now_ms(self) -> int:
        """Wall time of the newest batch."""

    @property
    def lead_ms(self) -> int:
        """Lead time of the newest batch."""

    @property
    def pending(self) -> bool:
        """Whether a decided batch waits for its commit."""

    @property
    def void_total(self) -> int:
        """How many LOG messages did not fit and were skipped."""

    def lead_batch(self, node: str, now_ms: int, rules: bytes = b"{}") -> bytes:
        """A lead batch on the present state; changes nothing."""

    def decide(self, now_ms: int, lead_ms: int, requests: list[Any], incoming: list[Incoming], /) -> Decision:
        """Decide a group, speculatively. `requests`: each a Request, or a Together that this core made."""

    def commit(self, sequence: int) -> None:
        """The pending batch is stored at `sequence`."""

    def apply(self, sequence: int, message: bytes) -> bool:
        """Apply a batch that LOG has; False when it is void."""

    @property
    def signed(self) -> bool:
        """Whether batches of LOG are signed from here on."""

    def lacks_code(self, message: bytes) -> bool:
        """Whether no process of the scope can have written a message of LOG, by its code."""

    def skip_unsigned(self, sequence: int, message: bytes) -> bool:
        """Whether a message in the pending batch's place has no right code; if so it is skipped, the batch follows."""

    def apply_many(self, first_sequence: int, messages: Sequence[bytes]) -> int:
        """Apply consecutive batches; how many were void."""

    def next_due_lead_ms(self) -> int | None:
        """Lead time at which the earliest hold is due."""

    def wants_tick(self, now_ms: int) -> bool:
        """Whether a batch without facts is needed because the day changed."""

    def digest(self) -> str:
        """Of the state, 32 hex digits."""

    def prove(self) -> bool:
        """Whether the maintained digest equals the recounted one; if not, the next batch decided here records it."""

    def totals(self) -> bytes:
        """Counts, as a JSON object."""

    def check(self) -> list[str]:
        """Invariants that are cheap to check; the violated ones, as text."""
