"""Leader and follower as one pure state machine.

Role: what a leader does: decide and append one batch at a time, and resolve what is ambiguous by evidence alone
(`roles` has who leads). In: events (`messages`) and commands. Out: effects. No I/O, no clock,
no asyncio: a simulator drives the very same code. Always: one append in flight; an answer goes out only when LOG has
what it reflects; a core whose speculation may be wrong is never used again; IN is taken exactly once, because
`in_upto` is in the state; an exception in the core halts.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from holdfast.protocol import messages as e
from holdfast.protocol.core import Core, Decision, Incoming
from holdfast.protocol.log_types import DeadLetter, Refusal
from holdfast.protocol.messages import Effect, Outcome, Problem, Role
from holdfast.protocol.pending_append import Flight, Verdict
from holdfast.protocol.roles import Roles
from holdfast.protocol.tail_check import Ground
from holdfast.settings import NodeSettings


class Protocol(Roles):
    """One process's part in one scope."""

    def __init__(
        self, node: str, rules: bytes, settings: NodeSettings, *, boot: str = "", random: Random | None = None
    ) -> None:
        """`boot` names this life of the process; `random` spreads candidates that see the lease go at one moment."""
        super().__init__(node, rules, settings, boot, random or Random(f"{node} {boot}"))  # noqa: S311 - no secret
        self._append_id = 0
        self._handlers: dict[type[Any], Callable[[Any, list[Effect]], None]] = {
            e.Turn: self._on_turn,
            e.Tick: self._on_tick,
            e.AppendStored: self._on_append_stored,
            e.AppendRefused: self._on_append_refused,
            e.MessageRead: self._on_message_read,
            e.Fetched: self._on_fetched,
            e.Followed: self._on_followed,
            e.CaughtUp: self._on_caught_up,
            e.Rebuilt: self._on_rebuilt,
            e.RebuildFailed: self._on_rebuild_failed,
            e.Connected: self._on_connected,
            e.Broken: lambda event, effects: self._halt(event.reason, effects),
            e.Stop: self._on_stop,
            e.Quarantined: self._on_quarantined,
            e.Lifted: self._on_lifted,
            e.HolderDied: self._on_holder_died,
            e.LeaseRead: self._on_lease_read,
            e.LeasePut: self._on_lease_put,
            e.LeaseFailed: self._on_lease_failed,
            e.PeersHeard: self._on_peers_heard,
            e.EndsRead: self._on_ends_read,
        }

    # ---- doors

    @property
    def speculating(self) -> bool:
        """Whether the core is ahead of LOG: a batch that it has decided is not yet acknowledged."""
        return self._flight is not None and not self._flight.claim

    @property
    def log_refuses(self) -> bool:
        """Whether the last append of this process was refused for good reason, and nothing was stored since."""
        return self.log_refusal in {Refusal.FULL, Refusal.STRANGE}

    @property
    def waiting_ms(self) -> int:
        """For how long the append under way has had no answer; 0 without one."""
        return self.clocks.mono_ms - self._flight.began_ms if self._flight is not None else 0

    @property
    def idle(self) -> bool:
        """Nothing is under way and nothing waits."""
        return self._flight is None and not self.queues.commands

    @property
    def wants_turn(self) -> bool:
        """Whether a Turn would decide something now."""
        return self._flight is None and bool(self.queues) and self.may_decide

    @property
    def may_decide(self) -> bool:
        """Whether this process leads, and nobody else can have been given the lead meanwhile."""
        sound = not self.quarantine and not self._footing.doubtful
        return self.role is Role.LEADING and sound and self.lease_good

    def start(self) -> list[Effect]:
        """The first effects."""
        return [e.Rebuild("start")]

    def submit(self, command: e.Command) -> tuple[Problem, Outcome] | None:
        """Queue one command for the next Turn, or say why not. The hot path: it does nothing else."""
        if self.quarantine:
            return Problem.LOG_UNAVAILABLE, Outcome.NOT_DONE
        if self._stopping or not (self.role is Role.LEADING or self._candidacy.returns_soon):
            return Problem.NO_LEADER, Outcome.NOT_DONE
        if self.queues.full:
            return Problem.OVERLOADED, Outcome.NOT_DONE
        self.queues.commands.append(command)
        return None

    def handle(self, event: e.Event) -> list[Effect]:
        """What to do about an event, in this order."""
        effects: list[Effect] = []
        if self.role is Role.HALTED:
            return effects
        try:
            self._handlers[type(event)](event, effects)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as fault:  # noqa: BLE001 - fail-stop; a panic in the core is no Exception
            self._halt(f"{type(event).__name__}: {type(fault).__name__}: {fault}", effects)
        return effects

    # ---- time

    def _on_turn(self, event: e.Turn, effects: list[Effect]) -> None:
        self._observe(event.mono_ms, event.wall_ms, effects)
        self._decide(effects)

    def _on_tick(self, event: e.Tick, effects: list[Effect]) -> None:
        self._observe(event.mono_ms, event.wall_ms, effects)
        self._sweep(effects)
        self._look_at_footing(effects)
        if self._flight is not None:
            self._repeat(self._flight, effects)
        if self._rebuild_at_ms is not None and event.mono_ms >= self._rebuild_at_ms:
            self._rebuild_at_ms = None
            effects.append(e.Rebuild("again"))
        self._review(effects)
        self._decide(effects)

    def _observe(self, mono_ms: int, wall_ms: int, effects: list[Effect]) -> None:
        limit: int | None = None
        if self.role is Role.LEADING and self.lease_good:
            limit = self._flight.lead_limit_ms if self._flight is not None else 1 << 62
        jump_ms = self.clocks.observe(mono_ms, wall_ms, limit)
        if jump_ms:
            effects.append(e.Alarm("clock-jump", f"the wall clock moved by {jump_ms} ms against the monotonic one"))

    def _sweep(self, effects: list[Effect]) -> None:
        late = self.queues.expired(self.clocks.mono_ms)
        if late:
            log_is_away = self.role is Role.LEADING and (self._flight is not None or self.lease_good)
            problem = Problem.LOG_UNAVAILABLE if log_is_away else Problem.NO_LEADER
            effects.append(e.Reject(late, problem, Outcome.NOT_DONE))
        flight = self._flight
        if flight is not None:
            told = flight.told
            while told < len(flight.commands) and flight.commands[told].deadline_ms <= self.clocks.mono_ms:
                told += 1
            if told > flight.told:
                waiting = flight.commands[flight.told : told]
                flight.told = told
                effects.append(e.Reject(waiting, Problem.LOG_UNAVAILABLE, Outcome.UNKNOWN))

    # ---- deciding

    def _decide(self, effects: list[Effect]) -> None:
        """Decide what has gathered, until a batch is under way or nothing is left."""
        core = self.core
        if core is None or not self.may_decide:
            return
        while self._flight is None and (self.queues or self._is_due(core)):
            requests, incoming = self.queues.group()
            decision = core.decide(self.clocks.now_ms, self.clocks.lead_ms, requests, incoming)
            commands, taken = self.queues.taken(decision.commands_taken, decision.incoming_taken, len(requests))
            if decision.message is None:
                effects.append(e.Answer(commands, decision.answers, core.sequence))
                if decision.received:
                    effects.append(e.Received(decision.received, core.sequence))
                if not commands and not taken:
                    break  # a hold that is due by our clock may not be by the core's
                continue
            self._send_dead(decision, taken, effects)
            flight = self._begin(decision.message, core.sequence, effects, claim=False)
            flight.commands = commands
            flight.answers = decision.answers
            flight.receipts = decision.received
        self._fetch(effects)

    def _is_due(self, core: Core) -> bool:
        due_ms = core.next_due_lead_ms()
        return (due_ms is not None and due_ms <= self.clocks.lead_ms) or core.wants_tick(self.clocks.now_ms)

    def _send_dead(self, decision: Decision, taken: list[Incoming], effects: list[Effect]) -> None:
        if decision.dead:
            subjects = {sequence: subject for sequence, subject, _ in taken}
            letters = [DeadLetter(at, index, why, raw, subjects.get(at, "")) for at, index, why, raw in decision.dead]
            effects.append(e.PublishDead(letters))

    def _fetch(self, effects: list[Effect]) -> None:
        if self.role is Role.LEADING and not self._stopping:
            fetch = self.queues.fetch()
            if fetch is not None:
                effects.append(fetch)

    def _on_fetched(self, event: e.Fetched, effects: list[Effect]) -> None:
        if self.role is Role.LEADING:
            self._evidence.fetched()
            self.queues.add_incoming(list(event.messages))
            self._fetch(effects)

    # ---- the append under way

    def _begin(self, message: bytes, expected: int, effects: list[Effect], *, claim: bool) -> Flight:
        self._append_id += 1
        now_ms = self.clocks.mono_ms
        self._flight = Flight(
            append_id=self._append_id,
            message=message,
            expected=expected,
            claim=claim,
            began_ms=now_ms,
            deadline_ms=now_ms + self._settings.append_deadline_ms,
            lead_limit_ms=self.clocks.lead_ms + self._settings.lead_step_ms_max,
            resend_ms=now_ms + self._settings.append_timeout_ms,
        )
        effects.append(e.Append(self._append_id, message, expected))
        return self._flight

    def _on_append_stored(self, event: e.AppendStored, effects: list[Effect]) -> None:
        flight = self._flight
        if flight is not None and flight.append_id == event.append_id:
            self._judge(flight, flight.on_stored(event.sequence), effects)

    def _on_append_refused(self, event: e.AppendRefused, effects: list[Effect]) -> None:
        flight = self._flight
        if flight is None or flight.append_id != event.append_id:
            return
        self.log_refusal = event.refusal
        read = flight.on_refused(event.refusal, self.clocks.mono_ms, self._settings)
        if read is not None:
            effects.append(read)
        elif event.refusal in {Refusal.FULL, Refusal.STRANGE}:
            effects.append(e.Alarm(f"log-{event.refusal.value}", event.detail))

    def _on_message_read(self, event: e.MessageRead, effects: list[Effect]) -> None:
        flight = self._flight
        ground = self._footing.on_read(event)
        if ground is Ground.OTHER:
            self._lose_footing(event.sequence, effects)
        elif ground is Ground.SAME and flight is not None:
            flight.resend_ms = self.clocks.mono_ms
            self._repeat(flight, effects)
        if flight is None or event.sequence != flight.expected + 1:
            return
        if event.message is None:
            flight.on_unread(self.clocks.mono_ms, self._settings)
        else:
            self._judge(flight, flight.on_bytes(event.message), effects)

    def _on_connected(self, _event: e.Connected, effects: list[Effect]) -> None:
        self._candidacy.connected(self.clocks.mono_ms)
        if self.core is not None:
            self._footing.suspect(self.clocks.mono_ms)
            self._look_at_footing(effects)
        if self._flight is not None:
            self._flight.resend_ms = self.clocks.mono_ms
            self._repeat(self._flight, effects)

    def _look_at_footing(self, effects: list[Effect]) -> None:
        read = self._footing.pursue(self.clocks.mono_ms)
        if read is not None:
            effects.append(read)

    def _lose_footing(self, sequence: int, effects: list[Effect]) -> None:
        """LOG has another message where the core has one: replay, and let the journal and the peers say what was."""
        effects.append(e.Alarm("log-altered", f"message {sequence} of LOG is not what it was"))
        flight, self._flight = self._flight, None
        if flight is not None:
            waiting = flight.commands[flight.told :]
            effects.append(e.Reject(waiting, Problem.LOG_UNAVAILABLE, Outcome.UNKNOWN))
        self._start_anew(f"message {sequence} of LOG is not what it was", "altered", effects)

    def _repeat(self, flight: Flight, effects: list[Effect]) -> None:
        if self._footing.doubtful and self.clocks.mono_ms < flight.deadline_ms:
            return  # what it is to follow may be another one's by now
        step = flight.on_time(self.clocks.mono_ms, self._settings)
        if isinstance(step, Verdict):
            self._judge(flight, step, effects)
        elif step is not None:
            effects.append(step)

    def _judge(self, flight: Flight, verdict: Verdict, effects: list[Effect]) -> None:
        if verdict is Verdict.STORED:
            self._settle(flight, effects)
            return
        if verdict is Verdict.IMPOSSIBLE:
            self._halt("an append was stored elsewhere than expected: this server does not honour the fence", effects)
            return
        self._flight = None
        if flight.claim:
            self._follow_on(verdict, effects)
        else:
            self._step_down(flight, verdict, effects)

    def _settle(self, flight: Flight, effects: list[Effect]) -> None:
        """LOG has our batch at E+1."""
        core = self.core
        assert core is not None, "Invariant: a batch is in flight only with a core"
        sequence = flight.expected + 1
        if flight.claim:
            if not core.apply(sequence, flight.message):
                self._halt(f"our own lead batch is void at {sequence}", effects)
                return
            self._lead(core, effects)
        else:
            core.commit(sequence)
            self._candidacy.proven(self.clocks.mono_ms)
        self._flight = None
        self._evidence.took(core)
        self._footing.record(sequence, flight.message)
        self._evidence.stored()
        self.log_refusal = None
        self.stored_upto = sequence
        effects.append(e.Answer(flight.commands[flight.told :], flight.answers[flight.told :], sequence))
        if flight.receipts:
            effects.append(e.Received(flight.receipts, sequence))
        effects.extend(e.Alarm("invariant", violation) for violation in core.check())
        effects += [e.Committed(sequence), e.Keep(sequence, (flight.message,))]
        self._yield_if_due(effects)
        self._fetch(effects)
