"""Leader and follower as one pure state machine.

Role: the entry: take an event, let the part that it concerns act, and review what the lease, the peers and the streams
mean for this process. In: events (`messages`) and commands. Out: effects. Always: no I/O, no clock, no asyncio: a
simulator drives the same code; an exception in the core halts; during a quarantine this process neither
claims nor decides.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from holdfast.protocol import messages as e
from holdfast.protocol.clocks import Clocks
from holdfast.protocol.core import Core
from holdfast.protocol.follower import Follower
from holdfast.protocol.leader import Leader
from holdfast.protocol.log_types import Refusal
from holdfast.protocol.messages import Effect, Outcome, PeerState, Problem, Role
from holdfast.protocol.queues import Queues
from holdfast.protocol.state import ProcessState
from holdfast.settings import NodeSettings


class Protocol:
    """One process's part in one scope."""

    def __init__(
        self,
        node: str,
        rules: bytes,
        settings: NodeSettings,
        *,
        boot: str = "",
        random: Random | None = None,
        leader: Callable[[ProcessState], Leader] = Leader,
        follower: Callable[[ProcessState, Leader], Follower] = Follower,
    ) -> None:
        """`boot` identifies this run of the process; `random` spreads candidates that see the lease end at the same
        moment.

        `leader` and `follower` make the two parts.
        """
        random = random or Random(f"{node} {boot}")  # noqa: S311 - no secret
        self.state = ProcessState(node, rules, settings, boot, random)
        self.leader = leader(self.state)
        self.follower = follower(self.state, self.leader)
        self._handlers: dict[type[Any], Callable[[Any, list[Effect]], Any]] = {
            e.Turn: self._on_turn,
            e.Tick: self._on_tick,
            e.AppendStored: self.leader.on_append_stored,
            e.AppendRefused: self.leader.on_append_refused,
            e.MessageRead: self.leader.on_message_read,
            e.Fetched: self.leader.on_fetched,
            e.Followed: self.follower.on_followed,
            e.CaughtUp: self._on_caught_up,
            e.Rebuilt: self._on_rebuilt,
            e.RebuildFailed: self.follower.on_rebuild_failed,
            e.Connected: self._on_connected,
            e.Broken: lambda event, effects: self.state.halt(event.reason, effects),
            e.Stop: self._on_stop,
            e.Quarantined: self._on_quarantined,
            e.Lifted: self._on_lifted,
            e.HolderDied: self._on_holder_died,
            e.LeaseRead: self._on_lease_read,
            e.LeasePut: self._on_lease_put,
            e.LeaseFailed: self._on_lease_failed,
            e.PeersAnswered: self._on_peers_answered,
            e.EndsRead: self._on_ends_read,
        }

    # ---- queries

    @property
    def node(self) -> str:
        """The process's name."""
        return self.state.node

    @property
    def boot(self) -> str:
        """The identifier of this run of it."""
        return self.state.boot

    @property
    def role(self) -> Role:
        """What the process is doing."""
        return self.state.role

    @property
    def core(self) -> Core | None:
        """The state machine; None while there is none to use."""
        return self.state.core

    @property
    def queues(self) -> Queues:
        """What waits to be decided."""
        return self.state.queues

    @property
    def clocks(self) -> Clocks:
        """Lead time and wall time."""
        return self.state.clocks

    @property
    def quarantine(self) -> dict[str, str]:
        """Cause: detail; while there is one, this process does not lead."""
        return self.state.quarantined

    @property
    def stored_upto(self) -> int:
        """The highest sequence that an answer of this process was ever based on."""
        return self.state.stored_upto

    @property
    def log_refusal(self) -> Refusal | None:
        """Of this process's last append; None when an append is known to be stored since."""
        return self.state.log_refusal

    @property
    def log_refuses(self) -> bool:
        """Whether the last append of this process was refused with a definite reason, and none was stored since."""
        return self.state.log_refusal in {Refusal.FULL, Refusal.STRANGE}

    @property
    def speculating(self) -> bool:
        """Whether the core is ahead of LOG: a batch that it has decided is not yet acknowledged."""
        return self.leader.speculating

    @property
    def waiting_ms(self) -> int:
        """For how long the append under way has had no answer; 0 without one."""
        pending = self.state.pending
        return self.state.clocks.mono_ms - pending.began_ms if pending is not None else 0

    @property
    def idle(self) -> bool:
        """Nothing is under way and nothing waits."""
        return self.state.pending is None and not self.state.queues.commands

    @property
    def wants_turn(self) -> bool:
        """Whether a Turn would decide something now."""
        return self.leader.wants_turn

    @property
    def may_decide(self) -> bool:
        """Whether this process leads, and no other process can have been given the lead meanwhile."""
        return self.leader.may_decide

    @property
    def lease_good(self) -> bool:
        """Whether no other process can have been given the lead, as of the last reading of the clock."""
        return self.state.lease_good

    @property
    def left(self) -> bool:
        """Whether the lease is given back, after `leave`; a halted process gets no more news of it."""
        return self.state.election.settled or self.state.role is Role.HALTED

    def peer_state(self, journal_end: tuple[int, str] | None = None) -> PeerState:
        """The state that this process sends to others. `journal_end`: last sequence and chain hash of its journal."""
        state, core = self.state, self.state.core
        journal = journal_end or (0, "")
        if core is None:
            return PeerState(state.node, state.boot, state.role.value, 0, 0, "", 0, *journal)
        sequence, chain = state.quarantine.tip
        role = state.role.value
        return PeerState(state.node, state.boot, role, core.epoch, sequence, chain, core.in_upto, *journal)

    # ---- entries

    def start(self) -> list[Effect]:
        """The first effects."""
        return [e.Rebuild("start")]

    def submit(self, command: e.Command) -> tuple[Problem, Outcome] | None:
        """Queue one command for the next Turn, or return why not. The hot path: it does nothing else."""
        state = self.state
        if state.quarantined:
            return Problem.LOG_UNAVAILABLE, Outcome.NOT_DONE
        if state.stopping or not (state.role is Role.LEADING or state.election.returns_soon):
            return Problem.NO_LEADER, Outcome.NOT_DONE
        if state.queues.full:
            return Problem.OVERLOADED, Outcome.NOT_DONE
        state.queues.commands.append(command)
        return None

    def submit_many(self, commands: Sequence[e.Command]) -> tuple[int, tuple[Problem, Outcome] | None]:
        """Queue commands in their order: how many were, and why not the rest."""
        if not commands:
            return 0, None
        refused = self.submit(commands[0])
        if refused is not None:
            return 0, refused
        queues = self.state.queues
        taken = 1 + min(queues.room, len(commands) - 1)
        queues.commands.extend(commands[1:taken])
        return taken, None if taken == len(commands) else (Problem.OVERLOADED, Outcome.NOT_DONE)

    def handle(self, event: e.Event) -> list[Effect]:
        """The effects of an event, in this order."""
        effects: list[Effect] = []
        if self.state.role is Role.HALTED:
            return effects
        try:
            self._handlers[type(event)](event, effects)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as fault:  # noqa: BLE001 - fail-stop; a panic in the core is no Exception
            self.state.halt(f"{type(event).__name__}: {type(fault).__name__}: {fault}", effects)
        return effects

    def leave(self) -> list[Effect]:
        """Give the lease back: the process ends. Drive it on until `left`."""
        effects: list[Effect] = []
        self.state.stopping = self.state.leaving = True
        self._review(effects)
        return effects

    def end(self) -> None:
        """Do nothing more, whatever event comes."""
        self.state.role = Role.HALTED

    def abandon(self) -> list[e.Command]:
        """The process ends: every command that still has no answer."""
        return self.state.abandon()

    # ---- time

    def _on_turn(self, event: e.Turn, effects: list[Effect]) -> None:
        self._observe(event.mono_ms, event.wall_ms, effects)
        self.leader.decide(effects)

    def _on_tick(self, event: e.Tick, effects: list[Effect]) -> None:
        self._observe(event.mono_ms, event.wall_ms, effects)
        self.leader.sweep(effects)
        self.leader.check_tail(effects)
        if self.state.pending is not None:
            self.leader.repeat(self.state.pending, effects)
        self.follower.rebuild_if_due(effects)
        self._review(effects)
        self.leader.decide(effects)

    def _observe(self, mono_ms: int, wall_ms: int, effects: list[Effect]) -> None:
        state = self.state
        limit: int | None = None
        if state.role is Role.LEADING and state.lease_good:
            limit = state.pending.lead_limit_ms if state.pending is not None else 1 << 62
        jump_ms = state.clocks.observe(mono_ms, wall_ms, limit)
        if jump_ms:
            effects.append(e.Alarm("clock-jump", f"the wall clock moved by {jump_ms} ms against the monotonic one"))

    # ---- the lease, the peers, the streams' ends

    def _review(self, effects: list[Effect]) -> None:
        """Review what the lease, the peers and the streams mean for this process now."""
        state, election, quarantine = self.state, self.state.election, self.state.quarantine
        mono_ms = state.clocks.mono_ms
        quarantine.judge(mono_ms, state.core, caught_up=election.caught_up, effects=effects)
        state.note_quarantine(effects)
        election.pursue(mono_ms, self._wants_lease(mono_ms), effects)
        follows = state.role in {Role.REBUILDING, Role.FOLLOWING} and not state.stopping
        asks = (follows and election.open(mono_ms)) or self.leader.asks_peers
        quarantine.pursue(mono_ms, state.core, candidate=asks, effects=effects)
        self.leader.yield_if_due(effects)
        self.leader.claim_if_due(effects)

    def _wants_lease(self, mono_ms: int) -> bool:
        state = self.state
        if state.quarantined or state.leaving:
            return False
        if state.role in {Role.LEADING, Role.CLAIMING}:
            return True
        if state.role is not Role.FOLLOWING or state.stopping:
            return False
        if state.election.unused(mono_ms):
            state.election.back_off(mono_ms)
            return False
        return state.election.held or state.election.may_claim(mono_ms)

    def _on_quarantined(self, event: e.Quarantined, effects: list[Effect]) -> None:
        self.state.quarantine.on_quarantined(event, effects)
        self._review(effects)

    def _on_lifted(self, event: e.Lifted, effects: list[Effect]) -> None:
        state = self.state
        state.quarantine.on_lifted(event)
        if event.replay and state.role is Role.FOLLOWING:
            state.start_anew(f"nobody is left who could confirm {event.cause}", "doubted", effects)
        self._review(effects)

    def _on_lease_read(self, event: e.LeaseRead, effects: list[Effect]) -> None:
        self.state.election.on_read(event, self.state.clocks.mono_ms)
        self._review(effects)

    def _on_holder_died(self, event: e.HolderDied, effects: list[Effect]) -> None:
        self.state.election.died(event.node, self.state.clocks.mono_ms)
        self._review(effects)

    def _on_lease_put(self, event: e.LeasePut, effects: list[Effect]) -> None:
        self.state.election.on_put(event, self.state.clocks.mono_ms)
        self._review(effects)

    def _on_lease_failed(self, event: e.LeaseFailed, effects: list[Effect]) -> None:
        self.state.election.on_failed(event, self.state.clocks.mono_ms)
        self._review(effects)

    def _on_peers_answered(self, event: e.PeersAnswered, effects: list[Effect]) -> None:
        self.state.quarantine.on_peers(event)
        self._review(effects)

    def _on_ends_read(self, event: e.EndsRead, effects: list[Effect]) -> None:
        self.state.quarantine.on_ends(event, self.state.clocks.mono_ms)
        self.leader.note_log_end(event.log_end, effects)
        self._review(effects)

    # ---- the rest

    def _on_rebuilt(self, event: e.Rebuilt, effects: list[Effect]) -> None:
        if self.follower.on_rebuilt(event, effects):
            self._review(effects)

    def _on_caught_up(self, event: e.CaughtUp, effects: list[Effect]) -> None:
        if self.follower.on_caught_up(event, effects):
            self._review(effects)

    def _on_connected(self, _event: e.Connected, effects: list[Effect]) -> None:
        self.state.election.connected(self.state.clocks.mono_ms)
        self.state.quarantine.connected()
        self.leader.connected(effects)

    def _on_stop(self, _event: e.Stop, _effects: list[Effect]) -> None:
        self.state.stopping = True
