"""What processes of one scope learn of each other, and what keeps one of them from leading.

Role: the part of the protocol's vocabulary (`messages` has the rest, and names all of it) that is about the lease, the
peers and the quarantine. Always: plain values. A lease is a hint about who is alive; what peers report, and where a
stream is reported to end, is a reason to wait or to stop, never a reason to go on: only the fenced append proves who
leads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from holdfast.protocol.log_types import Lease


@dataclass(frozen=True, slots=True)
class PeerState:
    """The state that one process sends, once a second and when it is asked.

    `chain` and `journal_chain` are 64 hex digits, "" where there is none. `digests`: of the state at LOG sequences at
    which others can compare theirs, ascending. `clock_ms`: of the process, monotonic; 0 where it is not known.
    """

    node: str
    boot: str
    role: str
    epoch: int
    sequence: int  # of the newest LOG message that its core holds; 0 without a core
    chain: str = ""
    in_upto: int = 0
    journal_sequence: int = 0
    journal_chain: str = ""
    digests: tuple[tuple[int, str], ...] = ()
    clock_ms: int = 0


# ---- events


@dataclass(frozen=True, slots=True)
class HolderDied:
    """The supervisor of the process of that name has seen that it ended."""

    node: str


@dataclass(frozen=True, slots=True)
class LeaseRead:
    """What the key holds; None when it holds nothing, or its value has expired."""

    call_id: int
    lease: Lease | None


@dataclass(frozen=True, slots=True)
class LeasePut:
    """The put was stored, at this revision."""

    call_id: int
    revision: int


@dataclass(frozen=True, slots=True)
class LeaseFailed:
    """A read or a put failed. `conflict`: the key's revision is not the expected one."""

    call_id: int
    conflict: bool
    detail: str


@dataclass(frozen=True, slots=True)
class PeersAnswered:
    """All answers that came in time. A missing answer proves nothing."""

    call_id: int
    peers: Sequence[PeerState]


@dataclass(frozen=True, slots=True)
class EndsRead:
    """Where LOG and IN end, as reported; None without an answer. Hints: they may come from a deposed server."""

    call_id: int
    log_end: int | None
    in_end: int | None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A finding that forbids this process to lead. It holds until Lifted with the same cause.

    Causes: "log-shorter", "log-altered", "journal-damaged", "in-shorter", "digest-differs".
    """

    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Lifted:
    """The finding that Quarantined reported for this cause is over.

    `replay`: because nobody is left who could confirm it; so the core is made again from LOG.
    """

    cause: str
    replay: bool = False


MembershipEvent: TypeAlias = (
    HolderDied | LeaseRead | LeasePut | LeaseFailed | PeersAnswered | EndsRead | Quarantined | Lifted
)

# ---- effects


@dataclass(frozen=True, slots=True)
class ReadLease:
    """Read the lease's key, then send LeaseRead or LeaseFailed."""

    call_id: int


@dataclass(frozen=True, slots=True)
class PutLease:
    """Put our name and life while the key's revision is `expected` (0: it holds nothing); LeasePut or LeaseFailed."""

    call_id: int
    expected: int


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Put an empty holder while the key's revision is `expected`; LeasePut or LeaseFailed."""

    call_id: int
    expected: int


@dataclass(frozen=True, slots=True)
class AskPeers:
    """Ask every process of the scope for its report, gather for a moment, then send PeersAnswered."""

    call_id: int


@dataclass(frozen=True, slots=True)
class ReadEnds:
    """Ask where LOG and IN end, then send EndsRead."""

    call_id: int


MembershipEffect: TypeAlias = ReadLease | PutLease | ReleaseLease | AskPeers | ReadEnds
