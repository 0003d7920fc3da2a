"""Leaders that are wrong on purpose about what they have sent.

Role: small subclasses of the real leader that break one rule of the append each (`tests.simulation.mutants` has the
table). In: what the real one receives. Out: what it should not do. Always: a mutant breaks what its sentence says and
nothing else; nothing of it is in the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.protocol import messages as e
from holdfast.protocol.leader import Leader
from holdfast.protocol.log_types import Refusal
from holdfast.protocol.machine import Protocol
from holdfast.protocol.pending_append import PendingAppend, Verdict
from tests.simulation.cores import new_core


class CoreAround:
    """The real core with something around it; remembers what it applied, so that a mutant can undo."""

    def __init__(self, messages: Sequence[bytes] = ()) -> None:
        self.engine = new_core()
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


class TwoInFlight(Leader):
    """Sends the next batch before the one before it is acknowledged, with the expectation that it will be."""

    _older: PendingAppend | None = None

    @property
    def speculating(self) -> bool:
        return super().speculating or self._older is not None

    @property
    def wants_turn(self) -> bool:
        pending = self.state.pending
        room = pending is None or (self._older is None and not pending.claim)
        return room and self.state.role is e.Role.LEADING and bool(self.state.queues)

    def decide(self, effects: list[e.Effect]) -> None:
        state, pending = self.state, self.state.pending
        core = state.core
        if pending is not None and not pending.claim and self._older is None and state.queues and core is not None:
            core.commit(pending.expected + 1)
            self._older, state.pending = pending, None
        super().decide(effects)

    def repeat_older(self, mono_ms: int, effects: list[e.Effect]) -> None:
        if self._older is not None:
            step = self._older.on_time(mono_ms, self.state.settings)
            if isinstance(step, Verdict):
                self.step_down(self._older, step, effects)
            elif step is not None:
                effects.append(step)

    def on_append_stored(self, event: e.AppendStored, effects: list[e.Effect]) -> None:
        if self._older is not None and self._older.append_id == event.append_id:
            self._answer_older(effects)
        else:
            super().on_append_stored(event, effects)

    def on_message_read(self, event: e.MessageRead, effects: list[e.Effect]) -> None:
        older = self._older
        if older is None or event.sequence != older.expected + 1 or event.message is None:
            super().on_message_read(event, effects)
        elif older.on_bytes(event.message, "") is Verdict.STORED:
            self._answer_older(effects)
        else:
            self.step_down(older, Verdict.FENCED, effects)

    def settle(self, pending: PendingAppend, effects: list[e.Effect]) -> None:
        if self._older is not None:  # "the second was accepted after the first, so the first is stored"
            self._answer_older(effects)
        super().settle(pending, effects)

    def _answer_older(self, effects: list[e.Effect]) -> None:
        older, self._older = self._older, None
        assert older is not None
        effects.append(e.Answer(older.waiting, older.answers[older.answered :], older.expected + 1))

    def step_down(self, pending: PendingAppend, verdict: Verdict, effects: list[e.Effect]) -> None:
        older, self._older = self._older, None
        newer, self.state.pending = self.state.pending, None
        others = [one for one in (older, newer) if one is not None and one is not pending]
        waiting = [command for other in others for command in other.waiting]
        effects.append(e.Reject(waiting, e.Problem.LOG_UNAVAILABLE, e.Outcome.UNKNOWN))
        super().step_down(pending, verdict, effects)


class RepeatsBoth(Protocol):
    """The protocol around that leader: it repeats the older append too."""

    def __init__(self, *arguments: Any, **life: Any) -> None:
        super().__init__(*arguments, leader=TwoInFlight, **life)

    def _on_tick(self, event: e.Tick, effects: list[e.Effect]) -> None:
        super()._on_tick(event, effects)
        assert isinstance(self.leader, TwoInFlight)
        self.leader.repeat_older(event.mono_ms, effects)


class Undoes(Leader):
    """After a time-out it takes the batch for not stored, takes it back, and goes on leading."""

    def repeat(self, pending: PendingAppend, effects: list[e.Effect]) -> None:
        state = self.state
        if pending.claim or state.clocks.mono_ms < pending.resend_ms or not isinstance(state.core, CoreAround):
            super().repeat(pending, effects)
            return
        waiting = pending.waiting
        effects.append(e.Reject(waiting, e.Problem.LOG_UNAVAILABLE, e.Outcome.NOT_DONE))
        state.pending, state.core = None, state.core.undone()
        effects.append(e.StopFollowing())
        state.queues.restart_incoming(state.core.in_upto)


class Redecides(Leader):
    """After a time-out it decides again, with what has come since, and sends that under the same expectation."""

    def repeat(self, pending: PendingAppend, effects: list[e.Effect]) -> None:
        state = self.state
        if pending.claim or state.clocks.mono_ms < pending.resend_ms or not isinstance(state.core, CoreAround):
            super().repeat(pending, effects)
            return
        state.pending, state.core = None, state.core.undone()
        state.queues.commands.extendleft(reversed(pending.waiting))
        effects.append(e.StopFollowing())
        state.queues.restart_incoming(state.core.in_upto)


class TrustsLastSequence(Leader):
    """Believes the figure in an error: LOG ends at E+1, so our batch is stored; further on, so it is not."""

    def on_append_refused(self, event: e.AppendRefused, effects: list[e.Effect]) -> None:
        pending = self.state.pending
        if pending is None or pending.append_id != event.append_id or event.refusal is not Refusal.WRONG_SEQUENCE:
            super().on_append_refused(event, effects)
            return
        said = int(event.detail.rpartition(" ")[2])
        if said == pending.expected + 1:
            self.judge(pending, Verdict.STORED, effects)
        elif said > pending.expected + 1:
            self.judge(pending, Verdict.FENCED, effects)


class WrongSequenceIsNotDone(Leader):
    """Takes "wrong last sequence" for the proof that somebody else's batch is at E+1, without reading it."""

    def on_append_refused(self, event: e.AppendRefused, effects: list[e.Effect]) -> None:
        pending = self.state.pending
        if pending is not None and pending.append_id == event.append_id and event.refusal is Refusal.WRONG_SEQUENCE:
            self.judge(pending, Verdict.FENCED, effects)
        else:
            super().on_append_refused(event, effects)


class AbsenceIsProof(Leader):
    """Takes "message E+1 is not there" for the proof that it never will be."""

    def on_message_read(self, event: e.MessageRead, effects: list[e.Effect]) -> None:
        pending = self.state.pending
        if pending is not None and event.sequence == pending.expected + 1 and event.message is None:
            self.judge(pending, Verdict.FENCED, effects)
        else:
            super().on_message_read(event, effects)


class AnySuccessIsOurs(Leader):
    """Does not check whose success it receives, nor where the batch is."""

    def on_append_stored(self, event: e.AppendStored, effects: list[e.Effect]) -> None:
        del event
        if self.state.pending is not None:
            self.judge(self.state.pending, Verdict.STORED, effects)


class AnswersBeforeAck(Leader):
    """Answers as soon as it has decided."""

    def begin(self, message: bytes, expected: int, effects: list[e.Effect], *, claim: bool) -> PendingAppend:
        pending = super().begin(message, expected, effects, claim=claim)
        pending.answered = 1 << 30
        return pending

    def decide(self, effects: list[e.Effect]) -> None:
        super().decide(effects)
        pending = self.state.pending
        if pending is not None and not pending.claim and pending.answered == 1 << 30 and pending.commands:
            pending.answered = len(pending.commands)
            effects.append(e.Answer(pending.commands, pending.answers, pending.expected + 1))


class LateIsNotDone(Leader):
    """Answers `not-done` to requests whose deadline passes while their batch is under way."""

    def sweep(self, effects: list[e.Effect]) -> None:
        mine: list[e.Effect] = []
        super().sweep(mine)
        for effect in mine:
            if isinstance(effect, e.Reject):
                effect = e.Reject(effect.commands, effect.problem, e.Outcome.NOT_DONE)  # noqa: PLW2901
            effects.append(effect)


class FillsFreedSlots(Leader):
    """Sends its append again whatever became of its lease, without asking the other processes."""

    def may_send_again(self, pending: PendingAppend) -> bool:
        del pending
        return True


class KeepsSpeculation(Leader):
    """Without an answer it steps down, but keeps the core as it was decided."""

    protocol: Protocol

    def step_down(self, pending: PendingAppend, verdict: Verdict, effects: list[e.Effect]) -> None:
        core = self.state.core
        super().step_down(pending, verdict, effects)
        if verdict is Verdict.UNKNOWN and core is not None:
            core.commit(pending.expected + 1)
            effects[:] = [effect for effect in effects if not isinstance(effect, e.Rebuild)]
            self.protocol._on_rebuilt(e.Rebuilt(core), effects)


def keeping_speculation(*arguments: Any, **life: Any) -> Protocol:
    """The protocol around that leader."""
    protocol = Protocol(*arguments, leader=KeepsSpeculation, **life)
    assert isinstance(protocol.leader, KeepsSpeculation)
    protocol.leader.protocol = protocol
    return protocol
