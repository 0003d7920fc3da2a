"""Each process's heartbeat: its name, its sequence, and digests that others can compare with theirs.

Role: write the state of this process once a second, read that of the others, compare. In: the settled core, and states
of other processes. Out: the state as bytes, the peers by their newest heartbeats, and differences. Always: a digest is
taken only of a settled core (never ahead of LOG) and compared only with one at the same sequence; each (process,
sequence) is compared once; the number of digests and of peers is bounded.

Which is wrong? Two digests cannot show it. A process whose state differs from the leader's regards itself as wrong; a
leader does when two others agree with each other and not with it. Both raise an alarm. Only the node and the epoch that
LOG names are believed to lead. A heartbeat that is not newer than the newest of its process is one that was delayed, or
that somebody sends again: it counts for nothing. When all whose digests differ have fallen silent, nobody is left to
agree with: the doubt ends, and this process replays LOG.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import structlog

from holdfast.peers.wire import decode_peer_state, encode_peer_state
from holdfast.protocol.core import Core
from holdfast.protocol.messages import Lifted, PeerState, Quarantined, Role
from holdfast.settings import NodeSettings

log = structlog.get_logger(__name__)

CAUSE = "digest-differs"
_CLOCKS_KEPT = 8  # heartbeats; clocks drift, so the best of the newest few
_AGREEING_MIN = 2  # others against a leader


@dataclass(slots=True)
class Peer:
    """Another process, by its newest heartbeat."""

    state: PeerState
    received_s: float
    digest: str = "unknown"  # "same" or "differs" at the newest sequence that was compared
    alarmed: bool = False  # that its digest differs
    open: dict[int, str] = field(default_factory=dict)  # its digests at sequences that this process has not reached
    compared_upto: int = 0
    clock_offsets: deque[int] = field(
        default_factory=lambda: deque(maxlen=_CLOCKS_KEPT)
    )  # at most its clock minus ours


class Digests:
    """The process's own digests, at every `digest_every`th sequence."""

    def __init__(self, settings: NodeSettings) -> None:
        self._every = settings.digest_every
        self._kept_max = settings.digests_kept_max
        self._kept: OrderedDict[int, str] = OrderedDict()

    def note(self, core: Core) -> bool:
        """The core is settled: remember its digest if others can compare it. Whether it was."""
        sequence = core.sequence
        if sequence % self._every or sequence in self._kept:
            return False
        self._kept[sequence] = core.digest()
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        return True

    def at(self, sequence: int) -> str | None:
        """The digest after LOG sequence `sequence`."""
        return self._kept.get(sequence)

    def newest(self, count: int) -> list[tuple[int, str]]:
        """The last ones, ascending."""
        return list(self._kept.items())[-count:]

    def forget(self) -> None:
        """The core was thrown away."""
        self._kept.clear()


class Heartbeats:
    """Writes and reads them. Times are the event loop's, in seconds."""

    def __init__(
        self,
        node: str,
        boot: str,
        settings: NodeSettings,
        alarm: Callable[[str, str], None],
        judge: Callable[[Quarantined | Lifted], None],
    ) -> None:
        """`judge`: called as this process begins and ceases to regard itself as wrong."""
        self._node = node
        self._boot = boot
        self._settings = settings
        self._alarm = alarm
        self._judge = judge
        self._against: dict[str, str] = {}  # boot -> the digest it has instead of ours, at `_against_at`
        self._against_at = 0
        self._clocks: OrderedDict[str, int] = OrderedDict()  # boot: of its newest heartbeat, kept when it is silent
        self.digests = Digests(settings)
        self.peers: dict[str, Peer] = {}
        self.next_s = 0.0
        self.differs = ""  # why this process regards itself as wrong; "" when it does not
        self.received_total = 0
        self.comparisons_total = 0
        self.differences_total = 0

    def encode(self, state: PeerState, core: Core | None, now_s: float, *, settled: bool) -> bytes:
        """The state of this process as others read it: with its newest digests, and its clock."""
        digests = self.digests.newest(self._settings.digests_sent_max) if core is not None else []
        if core is not None and settled and (not digests or digests[-1][0] != core.sequence):
            digests.append((core.sequence, core.digest()))
        return encode_peer_state(replace(state, digests=tuple(digests), clock_ms=int(now_s * 1000)))

    def clock_of(self, node: str, epoch: int, now_s: float) -> int:
        """The monotonic clock of the process that leads that epoch, or a little earlier (a heartbeat takes a while).

        Milliseconds; 0 where that is not known: an earlier run of that process may have had another clock.
        """
        for peer in self.peers.values():
            if _leads(peer.state, node, epoch) and peer.clock_offsets:
                return max(0, int(now_s * 1000) + max(peer.clock_offsets))
        return 0

    def receive(self, payload: bytes, now_s: float, core: Core | None, *, settled: bool) -> PeerState | None:
        """The state of another process; None when the payload is unreadable, not new, or this process's own."""
        try:
            state = decode_peer_state(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            log.warning("heartbeat-unreadable", why=str(fault))
            return None
        if state.boot == self._boot:
            return None
        self.received_total += 1
        self.sweep(now_s)
        if not self._is_new(state):
            return None
        if state.role == Role.HALTED.value:
            self._forget(state.boot)
            return None
        peer = self.peers.get(state.boot)
        if peer is None:
            if len(self.peers) >= self._settings.heartbeat_peers_max:
                return state
            peer = self.peers[state.boot] = Peer(state, now_s)
            self.next_s = now_s  # so that a new process need not wait to know the others
        peer.state = state
        peer.received_s = now_s
        if state.clock_ms:
            peer.clock_offsets.append(state.clock_ms - int(now_s * 1000))
        for sequence, digest in state.digests[-self._settings.digests_sent_max - 1 :]:
            if sequence > peer.compared_upto:
                peer.open[sequence] = digest
        while len(peer.open) > self._settings.digests_kept_max:
            del peer.open[min(peer.open)]
        self._compare(peer, core, settled=settled)
        return state

    def reached(self, core: Core) -> None:
        """The core is settled at a new sequence."""
        if self.digests.note(core):
            for peer in self.peers.values():
                self._compare(peer, core, settled=True)

    def rebuilt(self) -> None:
        """A new core: nothing is known of it yet."""
        self.digests.forget()
        for peer in self.peers.values():
            peer.open.clear()

    def seen(self, now_s: float) -> list[dict[str, Any]]:
        """The others, by name."""
        self.sweep(now_s)
        peers = sorted(self.peers.values(), key=lambda peer: (peer.state.node, peer.state.boot))
        return [
            {
                "node": peer.state.node,
                "boot": peer.state.boot,
                "role": peer.state.role,
                "epoch": peer.state.epoch,
                "sequence": peer.state.sequence,
                "age_ms": max(0, int((now_s - peer.received_s) * 1000)),
                "digest": peer.digest,
            }
            for peer in peers
        ]

    def _compare(self, peer: Peer, core: Core | None, *, settled: bool) -> None:
        if core is None:
            return
        holds = core.sequence
        for sequence in sorted(sequence for sequence in peer.open if sequence <= holds):
            theirs = peer.open.pop(sequence)
            own = self.digests.at(sequence)
            if own is None and settled and sequence == holds:
                own = core.digest()
            if own is not None and sequence > peer.compared_upto:
                peer.compared_upto = sequence
                self.comparisons_total += 1
                self._note(peer, sequence, own, theirs, leads=_leads(peer.state, core.node, core.epoch))

    def _note(self, peer: Peer, sequence: int, own: str, theirs: str, *, leads: bool) -> None:
        peer.digest = "same" if own == theirs else "differs"
        if own == theirs:
            peer.alarmed = False
            self._against.pop(peer.state.boot, None)
            if self.differs and (leads or not self._against):
                self.differs = ""
                self._judge(Lifted(CAUSE))
            return
        self.differences_total += 1
        detail = f"at {sequence} this process has {own}, {peer.state.node} ({peer.state.role}) has {theirs}"
        if not peer.alarmed:
            peer.alarmed = True
            self._alarm(CAUSE, detail)
        if sequence != self._against_at:
            self._against = {} if sequence > self._against_at else self._against
            self._against_at = max(sequence, self._against_at)
        self._against[peer.state.boot] = theirs
        agreeing = sum(other == theirs for other in self._against.values())
        if not self.differs and (leads or agreeing >= _AGREEING_MIN):
            self.differs = detail
            self._judge(Quarantined(CAUSE, detail))

    def _is_new(self, state: PeerState) -> bool:
        newest_ms = self._clocks.pop(state.boot, 0)
        self._clocks[state.boot] = max(newest_ms, state.clock_ms)
        if len(self._clocks) > self._settings.heartbeat_peers_max:
            self._clocks.popitem(last=False)
        return state.clock_ms == 0 or state.clock_ms > newest_ms

    def sweep(self, now_s: float) -> None:
        """Forget who is silent, and what rests on them alone."""
        silent = self._settings.heartbeat_silent_ms / 1000
        for boot in [boot for boot, peer in self.peers.items() if now_s - peer.received_s > silent]:
            self._forget(boot)

    def _forget(self, boot: str) -> None:
        self.peers.pop(boot, None)
        self._against.pop(boot, None)
        if self.differs and not self._against:
            self.differs = ""
            self._judge(Lifted(CAUSE, replay=True))


def _leads(state: PeerState, node: str, epoch: int) -> bool:
    """Whether it says that it leads, and is the process and the epoch that LOG names."""
    return state.role == Role.LEADING.value and (state.node, state.epoch) == (node, epoch)
