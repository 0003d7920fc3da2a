"""Leaders that are wrong on purpose about what they have sent.

Role: small subclasses of the real protocol that break one rule of the append each (`tests.simulation.mutants` has the
table). In: what the real one hears. Out: what it should not do. Always: a mutant breaks what its sentence says and
nothing else; nothing of it is in the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast._core import Engine
from holdfast.protocol import messages as e
from holdfast.protocol.leader import Protocol
from holdfast.protocol.log_types import Refusal
from holdfast.protocol.pending_append import Flight, Verdict


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


class KeepsSpeculation(Protocol):
    """Without an answer it steps down, but keeps the core as it was decided."""

    def _step_down(self, flight: Flight, verdict: Verdict, effects: list[e.Effect]) -> None:
        core = self.core
        super()._step_down(flight, verdict, effects)
        if verdict is Verdict.UNKNOWN and core is not None:
            core.commit(flight.expected + 1)
            effects[:] = [effect for effect in effects if not isinstance(effect, e.Rebuild)]
            self._on_rebuilt(e.Rebuilt(core), effects)
