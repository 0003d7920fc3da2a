"""What one process does beside the log: forwards what it cannot decide, answers others, tells and reads heartbeats.

Role: what holdfast.peers does on asyncio, on simulated time, with the same `protocol.forwarding` and
`peers.heartbeat`. In: commands that this process cannot decide, messages of `Network`, its role. Out: questions,
answers, heartbeats, quarantines. Always: what is not sealed changes nothing; each attempt gets the one outcome that is
known.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from holdfast.peers.heartbeat import Heartbeats
from holdfast.peers.wire import Commands, ForwardedCommand
from holdfast.protocol import messages as e
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.forwarding import (
    CommandAnswer,
    Group,
    NotTaken,
    Outgoing,
    Question,
    answers_to,
    refusal,
    unanswered,
)
from tests.simulation.network import Replied, Sent

if TYPE_CHECKING:
    from tests.simulation.process import Process

PAYLOAD_BYTES_MAX = 1 << 20


class Asked:
    """The waiter of a command that another process forwarded."""

    def __init__(self, group: Group[CommandAnswer], at: int) -> None:
        self.number = -1
        self._group = group
        self._at = at

    def answered(self, status: int, body: bytes, sequence: int) -> None:
        """It was decided."""
        self._group.answer(self._at, CommandAnswer(status, body, sequence))

    def refused(self, outcome: e.Outcome) -> None:
        """It was not, or that is unknown."""
        self._group.answer(self._at, refusal(e.Problem.NO_LEADER, outcome))


class Member:
    """One process's part."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._open: dict[int, Question] = {}
        self.begin()

    @property
    def open_questions(self) -> list[int]:
        """The numbers of those that wait for an answer."""
        return list(self._open)

    # ---- life

    def begin(self) -> None:
        """A new life of the process, or none."""
        settings = self._world.plan.settings
        self._outgoing = Outgoing(settings)
        self._admission = self._world.cast.admission(settings)
        self._open.clear()
        self._scheduled = False
        process = self._process
        self._heartbeats = Heartbeats(process.name, process.boot, settings, self._alarm, self._judge)
        self._world.network.leave(process)

    def close(self) -> None:
        """The process ends in order: what is known of each command that still waits."""
        for number in self.open_questions:
            self._close(number, [refusal(e.Problem.NO_LEADER, e.Outcome.UNKNOWN)])
        self._refuse(self._outgoing.drop(), e.Outcome.NOT_DONE)

    def role_changed(self, role: e.Role) -> None:
        """The protocol has another role."""
        process, protocol = self._process, self._process.protocol
        assert protocol is not None
        self._heartbeats.next_s = 0.0
        self._world.network.leave(process)
        if role is e.Role.LEADING and protocol.core is not None:
            self._world.network.listen(process, protocol.core.epoch)
            while self._outgoing:
                command = self._outgoing.pop()
                refused = protocol.submit(command)
                if refused is not None:
                    self._refuse([command], refused[1])

    def settled(self) -> None:
        """The core may be at a new sequence."""
        protocol = self._process.protocol
        if protocol is not None and protocol.core is not None and not protocol.speculating:
            self._heartbeats.reached(protocol.core)

    def rebuilt(self) -> None:
        """There is a new core."""
        self._heartbeats.rebuilt()

    def tick(self) -> None:
        """Time passed."""
        self._refuse(self._outgoing.expired(self._process.mono_ms), e.Outcome.NOT_DONE)
        now_s = self._process.mono_ms / 1000
        self._heartbeats.sweep(now_s)
        if now_s >= self._heartbeats.next_s:
            self._heartbeats.next_s = now_s + self._world.plan.settings.heartbeat_ms / 1000
            protocol = self._process.protocol
            assert protocol is not None
            state = protocol.peer_state(self._process.journal.end)
            payload = self._heartbeats.encode(state, protocol.core, now_s, settled=not protocol.speculating)
            self._world.network.pulse(self._process, payload)

    # ---- the process that follows

    def forward(self, command: e.Command) -> None:
        """A command that this process cannot decide."""
        try:
            self._outgoing.take(command, leader=self._leader() is not None, payload_bytes_max=PAYLOAD_BYTES_MAX)
        except Unavailable as fault:
            self._process.refuse(command, e.Outcome(fault.outcome))
        else:
            self._schedule()

    def _leader(self) -> tuple[str, int] | None:
        protocol = self._process.protocol
        if protocol is None:
            return None
        core = protocol.core
        if core is None or protocol.role is e.Role.LEADING or core.node in {"", protocol.node}:
            return None
        return core.node, core.epoch

    def _schedule(self) -> None:
        if not self._scheduled and self._outgoing.sendable:
            self._scheduled = True
            self._world.later(0, self._process.run, self._process.life, self._send)

    def _send(self) -> None:
        self._scheduled = False
        process, world = self._process, self._world
        while self._outgoing.sendable:
            leader = self._leader()
            if leader is None:
                self._refuse(self._outgoing.drop(), e.Outcome.NOT_DONE)
                return
            clock_ms = self._heartbeats.clock_of(*leader, process.mono_ms / 1000)
            question = self._outgoing.question(process.mono_ms, clock_ms)
            self._open[question.number] = question
            if not process.connected:
                self._unanswered(question.number, received=False)
                continue
            world.met["question"] += 1
            asked = [ForwardedCommand(*command.single) for command in question.commands]
            message = Commands(question.left_ms, asked, question.asked_ms, process.boot, question.number)
            world.network.ask(leader, Sent(process, process.life, message, world.now_ms))
            wait_ms = max(1, question.deadline_ms - process.mono_ms)
            world.later(wait_ms, process.run, process.life, self._unanswered, question.number)

    def on_nobody(self, number: int) -> None:
        """The server says that nobody listens where the question went."""
        self._unanswered(number, received=False)

    def on_reply(self, replied: Replied) -> None:
        """The leader's answer."""
        question = self._open.get(replied.number)
        if question is None or not self._believes(sealed=replied.sealed):
            return
        size = len(question.commands)
        self._close(replied.number, answers_to(size, replied.problem, replied.outcome, replied.answers))

    def _unanswered(self, number: int, *, received: bool = True) -> None:
        self._close(number, [unanswered(received=received, connected=self._process.connected)])

    def _close(self, number: int, answers: Sequence[CommandAnswer]) -> None:
        """Each command of a question gets its answer; a single one holds for all of them."""
        question = self._open.pop(number, None)
        if question is None:
            return
        self._outgoing.ended()
        for at, command in enumerate(question.commands):
            answer = answers[at if len(answers) > 1 else 0]
            if answer.problem:
                self._world.met[f"forwarded {answer.outcome}"] += 1
                self._process.refuse(command, e.Outcome(answer.outcome))
            else:
                self._world.met["forwarded and answered"] += 1
                self._process.answer(command, answer.status, answer.body, answer.sequence)
        self._schedule()

    def _refuse(self, commands: Sequence[e.Command], outcome: e.Outcome) -> None:
        for command in commands:
            self._process.refuse(command, outcome)

    # ---- the process that leads

    def on_question(self, epoch: int, sent: Sent) -> None:
        """Commands of a process that follows."""
        process, protocol, asked = self._process, self._process.protocol, sent.question
        if protocol is None or not self._believes(sealed=sent.sealed):
            return
        core = protocol.core
        leads = protocol.role is e.Role.LEADING and core is not None and core.epoch == epoch
        deadline_ms = self._admission.deadline_ms(
            asked.sender, asked.number, asked.left_ms, asked.asked_ms, process.mono_ms
        )
        if deadline_ms is NotTaken.AGAIN:
            self._world.met["question again"] += 1
            return
        if not leads or isinstance(deadline_ms, NotTaken):
            self._world.met["question late"] += leads
            self._world.network.reply(process, sent, Replied(asked.number, "no-leader", "not-done", ()))
            return
        self._world.invariants.on_taken(process, sent)
        group = Group(len(asked.requests), partial(self._reply, sent))
        for at, command in enumerate(asked.requests):
            waiter = Asked(group, at)
            refused = protocol.submit(e.Command(command.request, waiter, deadline_ms))
            if refused is not None:
                waiter.refused(refused[1])
        process.wake()

    def _reply(self, sent: Sent, answers: list[CommandAnswer]) -> None:
        self._world.network.reply(self._process, sent, Replied(sent.question.number, "", "", tuple(answers)))

    # ---- heartbeats

    def on_pulse(self, payload: bytes, sealed: bool) -> None:
        """A heartbeat of another process, or of an attacker."""
        protocol = self._process.protocol
        if protocol is not None and self._believes(sealed=sealed):
            now_s = self._process.mono_ms / 1000
            self._heartbeats.receive(payload, now_s, protocol.core, settled=not protocol.speculating)

    def _believes(self, *, sealed: bool) -> bool:
        return sealed or self._world.cast.credulous

    def _alarm(self, name: str, detail: str) -> None:
        self._world.say(self._process.name, "alarm {}: {}", name, detail)
        self._world.invariants.on_differs(self._process, detail)

    def _judge(self, event: e.Quarantined | e.Lifted) -> None:
        self._world.later(0, self._process.hear, self._process.life, event)
