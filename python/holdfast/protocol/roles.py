"""Who leads, and what this process is meanwhile.

Role: the part of the protocol that follows LOG to its end, takes the lead by a lead batch under the fence, steps down,
and keeps from leading while anything says that LOG is not what it was. In: events. Out: effects. Pure, as the rest.
Always: the fenced append alone proves who leads; a core with nothing in flight stays good when the lead is given up,
any other is thrown away; while a quarantine stands this process neither claims nor decides.
"""

from abc import ABC, abstractmethod
from random import Random

from holdfast.protocol import messages as e
from holdfast.protocol.clocks import Clocks
from holdfast.protocol.core import Core
from holdfast.protocol.election import Candidacy
from holdfast.protocol.log_types import Refusal
from holdfast.protocol.messages import Effect, Outcome, PeerReport, Problem, Role
from holdfast.protocol.pending_append import Flight, Verdict
from holdfast.protocol.quarantine import Quarantine
from holdfast.protocol.queues import Queues
from holdfast.protocol.tail_check import TailCheck
from holdfast.settings import NodeSettings


class Roles(ABC):
    """One process's part in one scope, but for deciding and appending (`holdfast.protocol.leader.Protocol`)."""

    def __init__(self, node: str, rules: bytes, settings: NodeSettings, boot: str, random: Random) -> None:
        self.node = node
        self.boot = boot
        self.role = Role.REBUILDING
        self.core: Core | None = None
        self.queues = Queues(settings)
        self.clocks = Clocks(settings)
        self.stored_upto = 0  # the highest sequence that an answer of this process ever rested on
        self.quarantine: dict[str, str] = {}  # cause: detail; while there is one, this process does not lead
        self.log_refusal: Refusal | None = None  # of this process's last append; nothing is known to be stored since
        self._rules = rules
        self._settings = settings
        self._flight: Flight | None = None
        self._candidacy = Candidacy(node, boot, settings, random)
        self._footing = TailCheck(settings)
        self._evidence = Quarantine(boot, settings)
        self._stopping = False
        self._leaving = False
        self._overtaken = False  # somebody else has appended, though our lease seems good
        self._rebuild_at_ms: int | None = None
        self._regressed_ms: int | None = None

    @abstractmethod
    def _begin(self, message: bytes, expected: int, effects: list[Effect], *, claim: bool) -> Flight:
        """Send an append."""

    @abstractmethod
    def _judge(self, flight: Flight, verdict: Verdict, effects: list[Effect]) -> None:
        """What is known about the append under way."""

    # ---- doors

    @property
    def lease_good(self) -> bool:
        """Whether nobody else can have been given the lead, as of the last reading of the clock."""
        return self._candidacy.good(self.clocks.mono_ms)

    @property
    def left(self) -> bool:
        """Whether the lease is given back, after `leave`; a halted process hears of it no more."""
        return self._candidacy.settled or self.role is Role.HALTED

    def leave(self) -> list[Effect]:
        """Give the lease back: the process goes. Drive it on until `left`."""
        effects: list[Effect] = []
        self._stopping = self._leaving = True
        self._review(effects)
        return effects

    def report(self, journal_end: tuple[int, str] | None = None) -> PeerReport:
        """What a peer that asks is told. `journal_end`: last sequence and chain hash of the own journal."""
        sequence, chain = self._evidence.tip if self.core is not None else (0, "")
        epoch, in_upto = (self.core.epoch, self.core.in_upto) if self.core is not None else (0, 0)
        journal = journal_end or (0, "")
        return PeerReport(self.node, self.boot, sequence, chain, in_upto, epoch, self.role.value, *journal)

    # ---- the lease and the evidence

    def _review(self, effects: list[Effect]) -> None:
        """What the lease, the peers and the streams make of us now."""
        mono_ms = self.clocks.mono_ms
        evidence, candidacy = self._evidence, self._candidacy
        evidence.judge(mono_ms, self.core, caught_up=candidacy.caught_up, effects=effects)
        self._note_quarantine(effects)
        candidacy.pursue(mono_ms, self._wants_lease(mono_ms), effects)
        follows = self.role in {Role.REBUILDING, Role.FOLLOWING} and not self._stopping
        evidence.pursue(mono_ms, self.core, candidate=follows and candidacy.open(mono_ms), effects=effects)
        self._yield_if_due(effects)
        self._claim_if_due(effects)

    def _wants_lease(self, mono_ms: int) -> bool:
        if self.quarantine or self._leaving:
            return False
        if self.role in {Role.LEADING, Role.CLAIMING}:
            return True
        if self.role is not Role.FOLLOWING or self._stopping:
            return False
        if self._candidacy.unused(mono_ms):
            self._candidacy.back_off(mono_ms)
            return False
        return self._candidacy.held or self._candidacy.may_claim(mono_ms)

    def _note_quarantine(self, effects: list[Effect]) -> None:
        self.quarantine = self._evidence.quarantine
        if self.quarantine and self.queues.commands:
            effects.append(e.Reject(self.queues.drop_commands(), Problem.LOG_UNAVAILABLE, Outcome.NOT_DONE))

    def _yield_if_due(self, effects: list[Effect]) -> None:
        """Give up the lead, once nothing is in flight: the core is what LOG says, and goes on following."""
        core = self.core
        if self.role is not Role.LEADING or self._flight is not None or core is None:
            return
        if self._candidacy.held and not self.quarantine and not self._overtaken:
            return
        holder = self._candidacy.holder
        reason = f"{holder} holds the lease" if holder else "the lease was lost, or given back"
        if self.quarantine:
            reason = f"quarantined: {', '.join(sorted(self.quarantine))}"
        elif self._overtaken:
            reason = f"LOG goes on after {core.sequence}, and not by this process"
        self._overtaken = False
        self._candidacy.caught_up = False
        self._become(Role.FOLLOWING, reason, effects)
        if self.queues.commands and not self._candidacy.returns_soon:
            effects.append(e.Reject(self.queues.drop_commands(), Problem.NO_LEADER, Outcome.NOT_DONE))
        effects.append(e.StopFollowing())
        effects.append(e.Follow(core.sequence))

    def _on_quarantined(self, event: e.Quarantined, effects: list[Effect]) -> None:
        self._evidence.on_quarantined(event, effects)
        self._review(effects)

    def _on_lifted(self, event: e.Lifted, effects: list[Effect]) -> None:
        self._evidence.on_lifted(event)
        self._review(effects)

    def _on_lease_read(self, event: e.LeaseRead, effects: list[Effect]) -> None:
        self._candidacy.on_read(event, self.clocks.mono_ms)
        self._review(effects)

    def _on_holder_died(self, event: e.HolderDied, effects: list[Effect]) -> None:
        self._candidacy.died(event.node, self.clocks.mono_ms)
        self._review(effects)

    def _on_lease_put(self, event: e.LeasePut, effects: list[Effect]) -> None:
        self._candidacy.on_put(event, self.clocks.mono_ms)
        self._review(effects)

    def _on_lease_failed(self, event: e.LeaseFailed, effects: list[Effect]) -> None:
        self._candidacy.on_failed(event, self.clocks.mono_ms)
        self._review(effects)

    def _on_peers_heard(self, event: e.PeersHeard, effects: list[Effect]) -> None:
        self._evidence.on_peers(event)
        self._review(effects)

    def _on_ends_read(self, event: e.EndsRead, effects: list[Effect]) -> None:
        self._evidence.on_ends(event, self.clocks.mono_ms)
        core = self.core
        if self.role is Role.LEADING and self._flight is None and core is not None:
            # Figures may be old, but never ahead: what is there and not ours, another one has appended.
            self._overtaken = event.log_end is not None and event.log_end > core.sequence
        self._review(effects)

    # ---- following and leading

    def _on_rebuilt(self, event: e.Rebuilt, effects: list[Effect]) -> None:
        core = event.core
        if self._is_regressed(core):
            reason = f"LOG ends at {core.sequence}, but {self.stored_upto} was acknowledged: not leading on that"
            effects.append(e.Alarm("log-regressed", reason))
            self._retry_rebuild()
            return
        self.core = core
        self._footing.clear()
        self._evidence.restart(core, event.journal_end, self.stored_upto)
        if core.node not in {"", self.node}:
            self._evidence.forget_peers()  # others lead here too: an answer from while we replayed is not enough
        self._candidacy.caught_up = False
        self._candidacy.saw_lead(core.node)
        self._become(Role.FOLLOWING, f"LOG is replayed up to {core.sequence}", effects)
        effects.append(e.Follow(core.sequence))
        self._review(effects)

    def _is_regressed(self, core: Core) -> bool:
        """Whether to replay again: a server may be behind. After a while the core is taken as it is, quarantined."""
        if core.sequence >= self.stored_upto:
            self._regressed_ms = None
            return False
        if self._regressed_ms is None:
            self._regressed_ms = self.clocks.mono_ms
        return self.clocks.mono_ms < self._regressed_ms + self._settings.evidence_patience_ms

    def _on_rebuild_failed(self, event: e.RebuildFailed, effects: list[Effect]) -> None:
        effects.append(e.Alarm("rebuild-failed", event.reason))
        self._retry_rebuild()

    def _retry_rebuild(self) -> None:
        self.core = None
        self._rebuild_at_ms = self.clocks.mono_ms + self._settings.rebuild_retry_ms

    def _on_followed(self, event: e.Followed, effects: list[Effect]) -> None:
        core = self.core
        if core is None or self.role is Role.LEADING:
            return
        skip = core.sequence + 1 - event.first_sequence
        if skip < 0:
            effects.append(e.Follow(core.sequence))  # a gap: read again
            return
        messages = event.messages[skip:]
        if not messages:
            return
        if self._flight is not None:
            verdict = self._flight.on_bytes(messages[0])
            self._judge(self._flight, verdict, effects)
            if verdict is Verdict.STORED:
                return
        self.log_refusal = None  # somebody's append was stored
        epoch = core.epoch
        effects.append(e.Keep(core.sequence + 1, messages))
        for message in messages:
            fits = core.apply(core.sequence + 1, message)
            if not fits:
                effects.append(e.Alarm("void-batch", f"LOG message {core.sequence} does not fit and is skipped"))
            self._evidence.took(core)
            self._footing.record(core.sequence, message, fits=fits)
        if core.epoch != epoch:
            self._candidacy.saw_lead(core.node)

    def _on_caught_up(self, event: e.CaughtUp, effects: list[Effect]) -> None:
        if self.role is Role.FOLLOWING and self.core is not None and event.sequence <= self.core.sequence:
            self._candidacy.caught_up = True
            self._review(effects)

    def _claim_if_due(self, effects: list[Effect]) -> None:
        if self.role is not Role.FOLLOWING or self.core is None or self._stopping or self.quarantine:
            return
        mono_ms = self.clocks.mono_ms
        candidacy = self._candidacy
        if not candidacy.may_claim(mono_ms) or not candidacy.good(mono_ms):
            return
        if self._footing.doubtful or not self._evidence.clear(mono_ms):
            return
        now_ms = max(self.clocks.now_ms, self.core.now_ms)
        message = self.core.lead_batch(self.node, now_ms, self._rules)
        self._become(Role.CLAIMING, f"epoch {self.core.epoch + 1}", effects)
        self._begin(message, self.core.sequence, effects, claim=True)

    def _lead(self, core: Core, effects: list[Effect]) -> None:
        self._candidacy.leads()
        self.clocks.lead_from(core.lead_ms, core.now_ms)
        self.queues.restart_incoming(core.in_upto)
        self._become(Role.LEADING, f"epoch {core.epoch}", effects)
        effects.append(e.StopFollowing())

    def _follow_on(self, verdict: Verdict, effects: list[Effect]) -> None:
        """A claim was not granted. The core is as it was: go on following."""
        self._candidacy.caught_up = verdict is not Verdict.FENCED
        self._candidacy.back_off(self.clocks.mono_ms)
        self._become(Role.FOLLOWING, f"claim {verdict.value}", effects)

    def _step_down(self, flight: Flight, verdict: Verdict, effects: list[Effect]) -> None:
        """The core's speculation is wrong, or may be: throw it away."""
        fenced = verdict is Verdict.FENCED
        waiting = flight.commands[flight.told :]
        if waiting:
            problem = Problem.NO_LEADER if fenced else Problem.LOG_UNAVAILABLE
            effects.append(e.Reject(waiting, problem, Outcome.NOT_DONE if fenced else Outcome.UNKNOWN))
        self._start_anew(f"append {verdict.value} at {flight.expected + 1}", verdict.value, effects)

    def _start_anew(self, reason: str, why: str, effects: list[Effect]) -> None:
        """Throw the core away and replay."""
        self.core = None
        self._candidacy.back_off(self.clocks.mono_ms)
        self._become(Role.REBUILDING, reason, effects)
        effects.append(e.StopFollowing())
        effects.append(e.Rebuild(why))

    def _become(self, role: Role, reason: str, effects: list[Effect]) -> None:
        self.role = role
        effects.append(e.RoleChanged(role, reason))

    def _on_stop(self, _event: e.Stop, _effects: list[Effect]) -> None:
        self._stopping = True

    def abandon(self) -> list[e.Command]:
        """The process goes: everyone who still waits."""
        flight, self._flight = self._flight, None
        waiting = list(flight.commands[flight.told :]) if flight is not None else []
        return waiting + self.queues.drop_commands()

    def _halt(self, reason: str, effects: list[Effect]) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            effects.append(e.Reject(flight.commands[flight.told :], Problem.LOG_UNAVAILABLE, Outcome.UNKNOWN))
        effects.append(e.Reject(self.queues.drop_commands(), Problem.NO_LEADER, Outcome.NOT_DONE))
        self.core = None
        self._candidacy.release(self.clocks.mono_ms, effects)
        self._become(Role.HALTED, reason, effects)
        effects.append(e.Halt(reason))
