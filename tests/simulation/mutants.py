"""Protocols that are wrong on purpose, each in one way: what the simulation is worth is how fast it finds them.

Role: small subclasses of the real code, and wrappers around the real core, that break one rule each; nothing of them is
in the product. In: nothing. Out: `MUTANTS`, by name. Always: a mutant breaks what its sentence says and nothing else;
`HARMLESS` ones break something that the fence makes harmless, and must not be found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from holdfast._core import Engine
from holdfast.log.append import Refusal
from holdfast.node import events as e
from holdfast.node.clocks import Clocks
from holdfast.node.core import Core, Incoming
from holdfast.node.flight import Flight, Verdict
from holdfast.node.protocol import Protocol
from holdfast.node.queues import Queues
from tests.simulation.world import Cast


class CoreAround:
    """The real core with something around it; remembers what it applied, so that a mutant can undo."""

    def __init__(self, messages: Sequence[bytes] = ()) -> None:
        self.engine = Engine("main")
        self.messages: list[bytes] = []
        self._pending = b""
        self.apply_many(1, messages)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def apply(self, sequence: int, message: bytes) -> bool:
        self.messages.append(message)
        return self.engine.apply(sequence, message)

    def apply_many(self, first_sequence: int, messages: Sequence[bytes]) -> int:
        return sum(not self.apply(first_sequence + at, message) for at, message in enumerate(messages))

    def decide(self, *arguments: Any) -> Any:
        decision = self.engine.decide(*arguments)
        self._pending = decision.message or self._pending
        return decision

    def commit(self, sequence: int) -> None:
        self.messages.append(self._pending)
        self.engine.commit(sequence)

    def undone(self) -> CoreAround:
        """A core without the pending batch."""
        return CoreAround(self.messages)


class TwoInFlight(Protocol):
    """Sends the next batch before the one before it is acknowledged, with the expectation that it will be."""

    _older: Flight | None = None

    @property
    def speculating(self) -> bool:
        return super().speculating or self._older is not None

    @property
    def wants_turn(self) -> bool:
        flight = self._flight
        room = flight is None or (self._older is None and not flight.claim)
        return room and self.role is e.Role.LEADING and bool(self.queues)

    def _decide(self, effects: list[e.Effect]) -> None:
        flight = self._flight
        if flight is not None and not flight.claim and self._older is None and self.queues and self.core is not None:
            self.core.commit(flight.expected + 1)
            self._older, self._flight = flight, None
        super()._decide(effects)

    def _on_tick(self, event: e.Tick, effects: list[e.Effect]) -> None:
        super()._on_tick(event, effects)
        if self._older is not None:
            step = self._older.on_time(event.mono_ms, self._settings)
            if isinstance(step, Verdict):
                self._step_down(self._older, step, effects)
            elif step is not None:
                effects.append(step)

    def _on_append_stored(self, event: e.AppendStored, effects: list[e.Effect]) -> None:
        if self._older is not None and self._older.append_id == event.append_id:
            self._answer_older(effects)
        else:
            super()._on_append_stored(event, effects)

    def _on_message_read(self, event: e.MessageRead, effects: list[e.Effect]) -> None:
        older = self._older
        if older is None or event.sequence != older.expected + 1 or event.message is None:
            super()._on_message_read(event, effects)
        elif older.on_bytes(event.message) is Verdict.STORED:
            self._answer_older(effects)
        else:
            self._step_down(older, Verdict.FENCED, effects)

    def _settle(self, flight: Flight, effects: list[e.Effect]) -> None:
        if self._older is not None:  # "the second was accepted after the first, so the first is stored"
            self._answer_older(effects)
        super()._settle(flight, effects)

    def _answer_older(self, effects: list[e.Effect]) -> None:
        older, self._older = self._older, None
        assert older is not None
        effects.append(e.Answer(older.commands[older.told :], older.answers[older.told :], older.expected + 1))

    def _step_down(self, flight: Flight, verdict: Verdict, effects: list[e.Effect]) -> None:
        older, self._older = self._older, None
        newer, self._flight = self._flight, None
        others = [one for one in (older, newer) if one is not None and one is not flight]
        waiting = [command for other in others for command in other.commands[other.told :]]
        effects.append(e.Reject(waiting, e.Problem.LOG_UNAVAILABLE, e.Outcome.UNKNOWN))
        super()._step_down(flight, verdict, effects)


class Undoes(Protocol):
    """After a time-out it takes the batch for not stored, takes it back, and goes on leading."""

    def _repeat(self, flight: Flight, effects: list[e.Effect]) -> None:
        if flight.claim or self.clocks.mono_ms < flight.resend_ms or not isinstance(self.core, CoreAround):
            super()._repeat(flight, effects)
            return
        waiting = flight.commands[flight.told :]
        effects.append(e.Reject(waiting, e.Problem.LOG_UNAVAILABLE, e.Outcome.NOT_DONE))
        self._flight, self.core = None, self.core.undone()
        effects.append(e.StopFollowing())
        self.queues.restart_incoming(self.core.in_upto)


class Redecides(Protocol):
    """After a time-out it decides anew, with what has come since, and sends that under the same expectation."""

    def _repeat(self, flight: Flight, effects: list[e.Effect]) -> None:
        if flight.claim or self.clocks.mono_ms < flight.resend_ms or not isinstance(self.core, CoreAround):
            super()._repeat(flight, effects)
            return
        self._flight, self.core = None, self.core.undone()
        self.queues.commands.extendleft(reversed(flight.commands[flight.told :]))
        effects.append(e.StopFollowing())
        self.queues.restart_incoming(self.core.in_upto)


class TrustsLastSequence(Protocol):
    """Believes the figure in an error: LOG ends at E+1, so our batch is stored; further on, so it is not."""

    def _on_append_refused(self, event: e.AppendRefused, effects: list[e.Effect]) -> None:
        flight = self._flight
        if flight is None or flight.append_id != event.append_id or event.refusal is not Refusal.WRONG_SEQUENCE:
            super()._on_append_refused(event, effects)
            return
        said = int(event.detail.rpartition(" ")[2])
        if said == flight.expected + 1:
            self._judge(flight, Verdict.STORED, effects)
        elif said > flight.expected + 1:
            self._judge(flight, Verdict.FENCED, effects)


class WrongSequenceIsNotDone(Protocol):
    """Takes "wrong last sequence" for the proof that somebody else's batch is at E+1, without reading it."""

    def _on_append_refused(self, event: e.AppendRefused, effects: list[e.Effect]) -> None:
        flight = self._flight
        if flight is not None and flight.append_id == event.append_id and event.refusal is Refusal.WRONG_SEQUENCE:
            self._judge(flight, Verdict.FENCED, effects)
        else:
            super()._on_append_refused(event, effects)


class AbsenceIsProof(Protocol):
    """Takes "message E+1 is not there" for the proof that it never will be."""

    def _on_message_read(self, event: e.MessageRead, effects: list[e.Effect]) -> None:
        flight = self._flight
        if flight is not None and event.sequence == flight.expected + 1 and event.message is None:
            self._judge(flight, Verdict.FENCED, effects)
        else:
            super()._on_message_read(event, effects)


class AnySuccessIsOurs(Protocol):
    """Does not look whose success it hears, nor where the batch is."""

    def _on_append_stored(self, event: e.AppendStored, effects: list[e.Effect]) -> None:
        del event
        if self._flight is not None:
            self._judge(self._flight, Verdict.STORED, effects)


class AnswersBeforeAck(Protocol):
    """Answers as soon as it has decided."""

    def _begin(self, message: bytes, expected: int, effects: list[e.Effect], *, claim: bool) -> Flight:
        flight = super()._begin(message, expected, effects, claim=claim)
        flight.told = 1 << 30
        return flight

    def _decide(self, effects: list[e.Effect]) -> None:
        super()._decide(effects)
        flight = self._flight
        if flight is not None and not flight.claim and flight.told == 1 << 30 and flight.commands:
            flight.told = len(flight.commands)
            effects.append(e.Answer(flight.commands, flight.answers, flight.expected + 1))


class LateIsNotDone(Protocol):
    """Tells those whose deadline passes while their batch is under way that nothing was done."""

    def _sweep(self, effects: list[e.Effect]) -> None:
        mine: list[e.Effect] = []
        super()._sweep(mine)
        for effect in mine:
            if isinstance(effect, e.Reject):
                effect = e.Reject(effect.commands, effect.problem, e.Outcome.NOT_DONE)  # noqa: PLW2901
            effects.append(effect)


class GoesOnAfterFence(Protocol):
    """Fenced, it takes in what the other one wrote and goes on as leader of its own epoch."""

    def _step_down(self, flight: Flight, verdict: Verdict, effects: list[e.Effect]) -> None:
        super()._step_down(flight, verdict, effects)
        self._zombie = verdict is Verdict.FENCED

    _zombie = False

    def _on_caught_up(self, event: e.CaughtUp, effects: list[e.Effect]) -> None:
        if self._zombie and self.role is e.Role.FOLLOWING and self.core is not None:
            self._zombie = False
            self._lead(self.core, effects)
        else:
            super()._on_caught_up(event, effects)


class LeadsWithoutLeadBatch(Protocol):
    """Takes the lead because it has caught up, without a batch that says so."""

    def _claim_if_due(self, effects: list[e.Effect]) -> None:
        if self.role is e.Role.FOLLOWING and self.core is not None and self.core.epoch > 0:
            if self._candidacy.may_claim(self.clocks.mono_ms):
                self._lead(self.core, effects)
        else:
            super()._claim_if_due(effects)


class IgnoresGaps(Protocol):
    """Applies what comes as what comes next."""

    def _on_followed(self, event: e.Followed, effects: list[e.Effect]) -> None:
        if self.core is not None and event.first_sequence > self.core.sequence + 1:
            event = e.Followed(self.core.sequence + 1, event.messages)
        super()._on_followed(event, effects)


class KeepsSpeculation(Protocol):
    """Without an answer it steps down, but keeps the core as it was decided."""

    def _step_down(self, flight: Flight, verdict: Verdict, effects: list[e.Effect]) -> None:
        core = self.core
        super()._step_down(flight, verdict, effects)
        if verdict is Verdict.UNKNOWN and core is not None:
            core.commit(flight.expected + 1)
            effects[:] = [effect for effect in effects if not isinstance(effect, e.Rebuild)]
            self._on_rebuilt(e.Rebuilt(core), effects)


class ClaimsAnywhere(Protocol):
    """Tries to take the lead without having followed LOG to its end."""

    def _claim_if_due(self, effects: list[e.Effect]) -> None:
        self._candidacy.caught_up = True
        super()._claim_if_due(effects)


class AlwaysRunning(Clocks):
    """Lead time runs whether one leads or not."""

    def observe(self, mono_ms: int, wall_ms: int, lead_upto_ms: int | None) -> int:
        del lead_upto_ms
        self._led = True
        return super().observe(mono_ms, wall_ms, 1 << 62)

    def lead_from(self, lead_ms: int, now_ms: int) -> None:
        super().lead_from(max(lead_ms, self.lead_ms), now_ms)


class ByTheWall(Clocks):
    """Lead time follows the wall clock."""

    def observe(self, mono_ms: int, wall_ms: int, lead_upto_ms: int | None) -> int:
        lead_ms, wall_before_ms = self.lead_ms, self.wall_ms
        jumped = super().observe(mono_ms, wall_ms, lead_upto_ms)
        if self.lead_ms > lead_ms:
            self.lead_ms = lead_ms + max(0, wall_ms - wall_before_ms)
        return jumped


class TakesInAgain(Queues):
    """After a take-over it begins a little earlier in IN than it was taken, and counts on from there."""

    _shift = 0

    def restart_incoming(self, in_upto: int) -> None:
        super().restart_incoming(in_upto)
        self._shift = min(2, in_upto - 1) if in_upto > 3 else 0

    def add_incoming(self, messages: list[Incoming]) -> None:
        super().add_incoming([(number + self._shift, subject, payload) for number, subject, payload in messages])

    def fetch(self) -> e.FetchIn | None:
        fetch = super().fetch()
        return fetch and e.FetchIn(fetch.after - self._shift, fetch.messages_max, fetch.bytes_max)


class ForgetsIn(Queues):
    """After a take-over it goes on in IN where it had read to itself, not where LOG says."""

    def restart_incoming(self, in_upto: int) -> None:
        super().restart_incoming(max(in_upto, self._fetched_upto))


class NoChainCheck(CoreAround):
    """A batch that does not fit the chain is made to fit."""

    def apply(self, sequence: int, message: bytes) -> bool:
        if super().apply(sequence, message):
            return True
        try:
            batch = orjson.loads(message)
            lead = batch["kind"] == "lead"
            batch |= {"previous": self.chain, "batch": self.batch + 1, "in_upto": max(batch["in_upto"], self.in_upto)}
            batch |= {"epoch": self.epoch + lead, "node": batch["node"] if lead else self.node}
        except (ValueError, KeyError):
            return False
        engine = Engine("main")
        engine.apply_many(1, self.messages[:-1])
        taken = engine.apply(sequence, orjson.dumps(batch))
        if taken:
            self.engine = engine
            self.messages[-1] = orjson.dumps(batch)
        return taken


def _with(part: str, kind: Callable[..., Any]) -> Callable[..., Protocol]:
    """The real protocol with one part exchanged."""

    def make(node: str, rules: bytes, settings: Any, **life: Any) -> Protocol:
        protocol = Protocol(node, rules, settings, **life)
        setattr(protocol, part, kind(settings))
        return protocol

    return make


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong protocol."""

    what: str
    cast: Cast


def _mutant(protocol: Callable[..., Protocol], core: Callable[[], Core] | None = None, what: str = "") -> Mutant:
    said = what or (protocol.__doc__ or "").strip()
    return Mutant(said, Cast(protocol=protocol, core=core) if core is not None else Cast(protocol=protocol))


MUTANTS = {
    "two-in-flight": _mutant(TwoInFlight),
    "undo-and-go-on": _mutant(Undoes, CoreAround),
    "trust-last-sequence": _mutant(TrustsLastSequence),
    "no-chain-check": _mutant(Protocol, NoChainCheck, NoChainCheck.__doc__ or ""),
    "answer-before-ack": _mutant(AnswersBeforeAck),
    "wrong-sequence-is-not-done": _mutant(WrongSequenceIsNotDone),
    "absence-is-proof": _mutant(AbsenceIsProof),
    "any-success-is-ours": _mutant(AnySuccessIsOurs),
    "re-decide-at-the-same-end": _mutant(Redecides, CoreAround),
    "late-is-not-done": _mutant(LateIsNotDone),
    "go-on-after-fence": _mutant(GoesOnAfterFence),
    "lead-without-lead-batch": _mutant(LeadsWithoutLeadBatch),
    "ignore-gaps": _mutant(IgnoresGaps),
    "keep-speculation": _mutant(KeepsSpeculation),
    "lead-time-always-runs": _mutant(_with("clocks", AlwaysRunning), what=AlwaysRunning.__doc__ or ""),
    "lead-time-by-the-wall": _mutant(_with("clocks", ByTheWall), what=ByTheWall.__doc__ or ""),
    "take-in-again": _mutant(_with("queues", TakesInAgain), what=TakesInAgain.__doc__ or ""),
    "forget-in": _mutant(_with("queues", ForgetsIn), what=ForgetsIn.__doc__ or ""),
}

HARMLESS = {
    "claim-without-having-caught-up": _mutant(ClaimsAnywhere),
}
