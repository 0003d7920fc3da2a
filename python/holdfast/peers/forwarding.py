"""Commands of a process that follows, forwarded to the one that leads.

Role: the hands of `protocol.forwarding`: send the commands of one turn of the event loop together to the leader that
LOG names, over its socket where it is on this machine, else over NATS; hand its answers back. In: commands that this
process cannot decide. Out: the leader's answers, or Unavailable with a true outcome. Always: a question is sent once,
one way; a command waits no longer than its own deadline, and its answer goes out once this process holds what it
reflects (or `forward_apply_wait_ms` later).
"""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from pathlib import Path

import msgspec
import structlog

from holdfast.errors import NotDeliveredError, UnreachableError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names
from holdfast.peers.freshness import AppliedIndex
from holdfast.peers.local import LocalLink
from holdfast.peers.rpc import Rpc
from holdfast.peers.wire import Commands, ForwardedCommand, decode_reply, encode
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.forwarding import CommandAnswer, Outgoing, Question, answers_to, refusal, unanswered
from holdfast.protocol.messages import Command, Outcome, Problem
from holdfast.settings import NodeSettings
from holdfast.spans import Span, spans
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

Submit = Callable[[Command], tuple[Problem, Outcome] | None]
Leader = Callable[[], tuple[str, int] | None]
"""Name and epoch of the leader that LOG names; None when nothing leads, or this process."""
_Answers = Sequence[CommandAnswer]


class Forwarder:
    """The follower's side."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        rpc: Rpc,
        applied_index: AppliedIndex,
        leader: Leader,
        leader_clock: Callable[[], int],
        boot: str,
        settings: NodeSettings,
        directory: Path | None = None,
    ) -> None:
        """`directory`: the data directory, where processes of this machine have their sockets."""
        self._connection = connection
        self._names = names
        self._rpc = rpc
        self._applied_index = applied_index
        self._leader = leader
        self._leader_clock = leader_clock
        self._boot = boot
        self._settings = settings
        self._outgoing = Outgoing(settings)
        self._local = LocalLink(directory, settings, self._on_local_answer, self._on_local_lost)
        self._asked_locally: dict[int, Question] = {}
        self._held: list[tuple[int, int, Sequence[Command], _Answers]] = []
        self._scheduled = False
        self._nobody = copy_context()  # what is sent together belongs to no single request
        self._spans = spans()
        self._recorded: dict[int, list[Span]] = {}  # by the question's number
        self._tasks: set[asyncio.Task[None]] = set()
        self.forwarded_total = 0
        self.local_total = 0
        self.unknown_total = 0

    @property
    def idle(self) -> bool:
        """Nothing waits for a leader's answer."""
        return not (self._outgoing or self._tasks or self._asked_locally or self._held)

    @property
    def waiting(self) -> int:
        """Commands that are not sent yet."""
        return len(self._outgoing)

    @property
    def in_flight(self) -> int:
        """Messages that the leader has not answered yet."""
        return self._outgoing.in_flight

    def take(self, command: Command) -> None:
        """Forward this command with the others of this turn. Raises Unavailable."""
        leader = self._leader() is not None
        self._outgoing.take(command, leader=leader, payload_bytes_max=self._connection.payload_bytes_max)
        self._schedule()

    def lead(self, submit: Submit) -> None:
        """The process leads now: it decides what is not sent yet itself."""
        while self._outgoing:
            command = self._outgoing.pop()
            refused = submit(command)
            if refused is not None:
                self._refuse([command], *refused)

    def sweep(self, now_ms: int) -> None:
        """Time passed: commands and questions whose deadline is over; the leader may have come to this machine."""
        leader = self._leader()
        self._local.look_for(None if leader is None else leader[0])
        self._refuse(self._outgoing.expired(now_ms), Problem.NO_LEADER, Outcome.NOT_DONE)
        late = [number for number, question in self._asked_locally.items() if question.deadline_ms <= now_ms]
        for number in late:
            self._local_unanswered(number, "no answer in time")
        self._give_held(lambda _sequence, until_ms: until_ms <= now_ms)

    def reached(self, sequence: int) -> None:
        """LOG is held here up to `sequence`."""
        if self._held:
            self._give_held(lambda wanted, _until_ms: wanted <= sequence)

    async def close(self) -> None:
        """The process ends: each command that still waits is answered with what is known."""
        await cancel_and_wait(*self._tasks)
        self._local.close()
        for number in tuple(self._asked_locally):
            self._local_unanswered(number, "this process stops")
        self._give_held(lambda _sequence, _until_ms: True)
        self._refuse(self._outgoing.drop(), Problem.NO_LEADER, Outcome.NOT_DONE)

    # ---- sending

    def _schedule(self) -> None:
        if not self._scheduled and self._outgoing.sendable:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send, context=self._nobody)

    def _send(self) -> None:
        self._scheduled = False
        loop = asyncio.get_running_loop()
        while self._outgoing:
            leader = self._leader()
            if leader is None:
                self._refuse(self._outgoing.drop(), Problem.NO_LEADER, Outcome.NOT_DONE)
                return
            is_local = self._local.reaches(leader[0])
            settings = self._settings
            most = settings.local_forwards_in_flight_max if is_local else settings.forwards_in_flight_max
            self._outgoing.in_flight_max = most
            if not self._outgoing.sendable:
                return
            question = self._outgoing.question(int(loop.time() * 1000), self._leader_clock())
            if is_local:
                self._asked_locally[question.number] = question
                self._local.send(question.number, leader[1], self._message(question))
                continue
            task = loop.create_task(self._forward(self._names.lead_subject(*leader), question))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _message(self, question: Question) -> bytes:
        asked = [ForwardedCommand(*command.single) for command in question.commands]
        if self._spans is not None:
            for at, one in enumerate(asked):
                if (span := self._spans.begin("forward", one.trace or "")) is not None:
                    asked[at] = msgspec.structs.replace(one, trace=span.trace)
                    self._recorded.setdefault(question.number, []).append(span)
        return encode(Commands(question.left_ms, asked, question.asked_ms, self._boot, question.number))

    def _end_spans(self, question: Question) -> None:
        for span in self._recorded.pop(question.number, ()):
            span.end(attributes={"holdfast.commands": len(question.commands)})

    async def _forward(self, subject: str, question: Question) -> None:
        commands, deadline_s = question.commands, question.deadline_ms / 1000
        within_s = max(0.001, deadline_s - asyncio.get_running_loop().time())
        try:
            answered = await self._rpc.ask(subject, self._message(question), within_s)
            answers = _answers_to(question, answered)
        except NotDeliveredError as fault:
            log.info("not-forwarded", subject=subject, commands=len(commands), why=str(fault))
            self._unanswered(commands, received=False)
        except (UnreachableError, msgspec.MsgspecError, UnicodeDecodeError) as fault:
            log.warning("forward-unanswered", subject=subject, commands=len(commands), why=str(fault))
            self._unanswered(commands, received=True)
        except asyncio.CancelledError:
            self._refuse(commands, Problem.NO_LEADER, Outcome.UNKNOWN)
            raise
        else:
            self._answered(question, answers)
        finally:
            self._end_spans(question)
            self._outgoing.ended()
            self._schedule()

    # ---- over the socket

    def _on_local_answer(self, number: int, payload: bytes) -> None:
        question = self._asked_locally.get(number)
        if question is None:
            return  # it came too late
        try:
            answers = _answers_to(question, payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            self._local_unanswered(number, str(fault))
            return
        del self._asked_locally[number]
        self._end_spans(question)
        self._outgoing.ended()
        self.local_total += len(question.commands)
        self._answered(question, answers)
        self._schedule()

    def _on_local_lost(self) -> None:
        """The leader has ended, perhaps after it had read what was written."""
        for number in tuple(self._asked_locally):
            self._local_unanswered(number, "the leader's socket was closed")

    def _local_unanswered(self, number: int, why: str) -> None:
        question = self._asked_locally.pop(number)
        self._end_spans(question)
        log.warning("forward-unanswered", subject="", commands=len(question.commands), why=why)
        self._outgoing.ended()
        self._unanswered(question.commands, received=True)
        self._schedule()

    # ---- answers

    def _answered(self, question: Question, answers: _Answers) -> None:
        """Give them, now or once this process holds what they reflect: a client sees its own write."""
        self.forwarded_total += len(question.commands)
        sequence = max(one.sequence for one in answers)
        if sequence <= self._applied_index.sequence:
            self._answer(question.commands, answers)
            return
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        until_ms = min(now_ms + self._settings.forward_apply_wait_ms, question.deadline_ms)
        self._held.append((sequence, until_ms, question.commands, answers))

    def _give_held(self, is_due: Callable[[int, int], bool]) -> None:
        held, self._held = self._held, []
        for one in held:
            sequence, until_ms, commands, answers = one
            if not is_due(sequence, until_ms):
                self._held.append(one)
                continue
            if sequence > self._applied_index.sequence:
                log.warning("behind", wanted=sequence, holds=self._applied_index.sequence)
            self._answer(commands, answers)

    def _answer(self, commands: Sequence[Command], answers: _Answers) -> None:
        for command, answer in zip(commands, answers, strict=True):
            if command.waiter.done():
                continue
            if answer.problem:
                self.unknown_total += answer.outcome != "not-done"
                command.waiter.set_exception(Unavailable(answer.problem, answer.outcome, self._settings.retry_after_s))
            else:
                command.waiter.set_result((answer.status, answer.body, answer.sequence))

    def _unanswered(self, commands: Sequence[Command], *, received: bool) -> None:
        answer = unanswered(received=received, connected=self._connection.connected)
        self._answer(commands, [answer] * len(commands))

    def _refuse(self, commands: Sequence[Command], problem: Problem, outcome: Outcome) -> None:
        self._answer(commands, [refusal(problem, outcome)] * len(commands))


def _answers_to(question: Question, payload: bytes) -> _Answers:
    """Raises MsgspecError, UnicodeDecodeError."""
    reply = decode_reply(payload)
    return answers_to(len(question.commands), reply.problem, reply.outcome, reply.answers)


async def held(applied_index: AppliedIndex, sequence: int, within_s: float) -> None:
    """Wait until this process holds `sequence`, so that a client sees its own write; or until it takes too long."""
    try:
        if not await applied_index.wait(sequence, within_s):
            log.warning("behind", wanted=sequence, holds=applied_index.sequence)
    except Unavailable:
        log.warning("behind", wanted=sequence, holds=applied_index.sequence, why="too many wait")
