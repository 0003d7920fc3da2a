"""Why this process must not lead on LOG as it is: a quarantine, its causes, and what ends them.

Role: ask the other processes, and the streams, what they hold; compare it with what this process knows; keep the causes
why it must not lead. In: reports of peers, the reported ends of LOG and IN, the end of the own journal,
findings of other parts (`Quarantined`, `Lifted`). Out: queries, alarms, and whether a candidate may claim. Always: what
is missing here but was seen by another is waited for first (a follower may be a moment ahead, a server's figure may be
stale), then it is a cause; a missing answer never proves anything; what is remembered is bounded; streams that do not
answer are asked again later each time.
"""

from holdfast.protocol.clocks import doubling_ms
from holdfast.protocol.core import Core
from holdfast.protocol.messages import Alarm, AskPeers, Effect, EndsRead, Lifted, PeersAnswered, Quarantined, ReadEnds
from holdfast.settings import NodeSettings

LOG_SHORTER, LOG_ALTERED, IN_SHORTER = "log-shorter", "log-altered", "in-shorter"
_NEVER_MS = -(1 << 62)


class Quarantine:
    """One process's doubts about LOG and IN."""

    def __init__(self, boot: str, settings: NodeSettings) -> None:
        self._boot = boot
        self._settings = settings
        self._reported: dict[str, str] = {}  # causes that other parts reported, and end
        self._found: dict[str, str] = {}  # causes found here
        self._chains: dict[int, str] = {}  # of the newest messages that the core applied
        self._ahead: dict[str, tuple[int, str]] = {}  # holder of a message that LOG lacks here: its sequence, its chain
        self._altered: dict[str, str] = {}  # holder of another chain hash
        self._ahead_ms: int | None = None  # since when
        self._log_short: tuple[int, str] | None = None  # since when LOG is reported to end too early
        self._in_short: tuple[int, str] | None = None
        self._regrown = ""  # what to tell an operator, once
        self._call_id = 0
        self._asked_peers: tuple[int, int] | None = None  # (call id, when) of what is not answered
        self._asked_ends: tuple[int, int, int, int] | None = None  # and the core's sequence and in_upto at that time
        self._peers_ms = _NEVER_MS  # when the newest answered query was sent
        self._ends_ms = _NEVER_MS
        self._ends_unread = 0  # in a row
        self._ends_again_ms = _NEVER_MS

    # ---- queries

    @property
    def causes(self) -> dict[str, str]:
        """Cause: detail, of everything in force."""
        return self._found | self._reported

    @property
    def tip(self) -> tuple[int, str]:
        """The newest message that the core applied, and the chain hash there."""
        return next(reversed(self._chains.items()), (0, ""))

    def clear(self, mono_ms: int) -> bool:
        """Whether a candidate may claim: all peers answered a moment ago, and nothing is open."""
        oldest_ms = mono_ms - self._settings.evidence_fresh_ms
        answered = self._peers_ms >= oldest_ms and self._ends_ms >= oldest_ms
        open_ends = self._ahead or self._log_short or self._in_short or self._found or self._reported
        return answered and not open_ends

    # ---- what this process knows

    def restart(self, core: Core, journal_end: tuple[int, str] | None, stored_upto: int) -> None:
        """A new core."""
        self._chains.clear()
        self.took(core)
        self._asked_ends = None
        self._ends_ms = _NEVER_MS
        self._log_short = self._in_short = None
        if stored_upto > core.sequence:
            self._note_holder("this process, which acknowledged it", stored_upto, "")
        if journal_end is not None:
            self._note_holder("this process's journal", *journal_end)

    def took(self, core: Core) -> None:
        """The core has applied one more message."""
        self._chains[core.sequence] = core.chain
        if len(self._chains) > self._settings.chains_remembered_max:
            del self._chains[next(iter(self._chains))]

    def stored(self) -> None:
        """LOG acknowledged our batch at its end: it is not too short, even if a report differs."""
        self._log_short = None

    def fetched(self) -> None:
        """IN gave messages after the last one taken in."""
        if self._in_short is not None:
            self._regrown = f"{self._in_short[1]}; it has grown since"
        self._in_short = None

    def connected(self) -> None:
        """Connected to NATS (again): a server that restarted may have lost a tail. Ask at once where streams end."""
        self._asked_ends = None
        self._ends_ms = self._ends_again_ms = _NEVER_MS
        self._ends_unread = 0

    def forget_peers(self) -> None:
        """The peers' earlier answers do not count any more."""
        self._peers_ms = _NEVER_MS
        self._asked_peers = None

    # ---- asking

    def pursue(self, mono_ms: int, core: Core | None, *, candidate: bool, effects: list[Effect]) -> None:
        """Send the due queries: all before claiming and while quarantined, else at times the streams' ends."""
        settings = self._settings
        every_ms = settings.evidence_every_ms
        if candidate:
            every_ms = settings.evidence_fresh_ms // 2
        elif self._found:
            every_ms = settings.evidence_again_ms
        if self._log_short or self._in_short or self._ahead:
            every_ms = min(every_ms, settings.evidence_retry_ms)
        if (candidate or self._found) and self._due(self._asked_peers, self._peers_ms, every_ms, mono_ms):
            self._call_id += 1
            self._asked_peers = (self._call_id, mono_ms)
            effects.append(AskPeers(self._call_id))
        ends_due = self._due(self._asked_ends, self._ends_ms, every_ms, mono_ms) and mono_ms >= self._ends_again_ms
        if core is not None and ends_due:
            self._call_id += 1
            self._asked_ends = (self._call_id, mono_ms, core.sequence, core.in_upto)
            effects.append(ReadEnds(self._call_id))

    def _due(self, asked: tuple[int, ...] | None, answered_ms: int, every_ms: int, mono_ms: int) -> bool:
        if asked is not None:
            return mono_ms >= asked[1] + self._settings.evidence_call_ms
        return mono_ms >= answered_ms + every_ms

    # ---- answers

    def on_peers(self, event: PeersAnswered) -> None:
        """What the other processes hold."""
        if self._asked_peers is None or event.call_id != self._asked_peers[0]:
            return
        self._peers_ms = self._asked_peers[1]
        self._asked_peers = None
        for peer in event.peers:
            if peer.boot != self._boot:
                self._note_holder(peer.node, peer.sequence, peer.chain)
                self._note_holder(f"the journal of {peer.node}", peer.journal_sequence, peer.journal_chain)

    def on_ends(self, event: EndsRead, mono_ms: int) -> None:
        """The reported ends of the streams, against what was known when they were queried."""
        asked = self._asked_ends
        if asked is None or event.call_id != asked[0]:
            return
        self._asked_ends = None
        _, asked_ms, sequence, in_upto = asked
        if event.log_end is None or event.in_end is None:
            self._ends_unread += 1
            settings = self._settings
            wait_ms = doubling_ms(settings.lead_retry_first_ms, settings.evidence_retry_ms, self._ends_unread)
            self._ends_again_ms = mono_ms + wait_ms
            return
        self._ends_ms = asked_ms
        self._ends_unread = 0
        self._log_short = _since(
            self._log_short, mono_ms, event.log_end < sequence, f"LOG ends at {event.log_end}, {sequence} was read"
        )
        if self._in_short is not None and event.in_end >= in_upto:
            self._regrown = f"{self._in_short[1]}; it ends at {event.in_end} now"
        self._in_short = _since(
            self._in_short, mono_ms, event.in_end < in_upto, f"IN ends at {event.in_end}, LOG has taken {in_upto}"
        )

    def on_quarantined(self, event: Quarantined, effects: list[Effect]) -> None:
        """A finding of another part."""
        if self._reported.get(event.cause) != event.detail and event.cause not in self._found:
            effects.append(Alarm("quarantine", f"{event.cause}: {event.detail}"))
        self._reported[event.cause] = event.detail

    def on_lifted(self, event: Lifted) -> None:
        """That finding is over."""
        self._reported.pop(event.cause, None)

    def _note_holder(self, who: str, sequence: int, chain: str) -> None:
        if sequence <= 0 or (who not in self._ahead and len(self._ahead) >= self._settings.peers_max):
            return
        if sequence > self._ahead.get(who, (0, ""))[0]:
            self._ahead[who] = (sequence, chain)

    # ---- judging

    def judge(self, mono_ms: int, core: Core | None, *, caught_up: bool, effects: list[Effect]) -> None:
        """Compare the reports of others with what the core holds now; causes begin and end."""
        if core is None:
            return
        if self._regrown:
            effects.append(Alarm("in-regrown", self._regrown))
            self._regrown = ""
        for who, (sequence, chain) in list(self._ahead.items()):
            if sequence <= core.sequence:
                del self._ahead[who]
                self._compare(who, sequence, chain)
        if not self._ahead:
            self._ahead_ms = None
        elif self._ahead_ms is None and caught_up:
            self._ahead_ms = mono_ms
        patience_ms = self._settings.evidence_patience_ms
        detail = ""
        if self._ahead_ms is not None and mono_ms >= self._ahead_ms + patience_ms:
            who, (sequence, _) = max(self._ahead.items(), key=lambda one: one[1][0])
            detail = f"LOG shows nothing after {core.sequence}, but {who} holds {sequence}"
        elif self._log_short is not None and mono_ms >= self._log_short[0] + patience_ms:
            detail = self._log_short[1]
        self._set(LOG_SHORTER, detail, effects)
        in_short = self._in_short is not None and mono_ms >= self._in_short[0] + patience_ms
        self._set(IN_SHORTER, self._in_short[1] if in_short and self._in_short is not None else "", effects)
        self._set(LOG_ALTERED, "; ".join(self._altered[who] for who in sorted(self._altered)), effects)

    def _compare(self, who: str, sequence: int, chain: str) -> None:
        known = self._chains.get(sequence)
        if known is None or not chain:
            return
        if known == chain:
            self._altered.pop(who, None)
        elif len(self._altered) < self._settings.peers_max:
            self._altered[who] = f"at {sequence} {who} has the chain hash {chain[:16]}, this process {known[:16]}"

    def _set(self, cause: str, detail: str, effects: list[Effect]) -> None:
        if not detail:
            self._found.pop(cause, None)
        else:
            if cause not in self.causes:
                effects.append(Alarm("quarantine", f"{cause}: {detail}"))
            self._found[cause] = detail


def _since(before: tuple[int, str] | None, mono_ms: int, holds: bool, detail: str) -> tuple[int, str] | None:
    """Since when something holds, without a break."""
    if not holds:
        return None
    return (before[0] if before is not None else mono_ms), detail
