"""Commands of a process that follows, forwarded to the one that leads.

Role: the hands of `protocol.forwarding`: send the commands of one turn of the event loop together to the leader that
LOG names, hand its answers back. In: commands that this process cannot decide. Out: the leader's answers, or
Unavailable with a true outcome. Always: a question is sent once; a command waits no longer than its own deadline, and
its answer goes out once this process holds what it reflects (or `forward_apply_wait_ms` later).
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import structlog

from holdfast.errors import NotDeliveredError, UnreachableError
from holdfast.nats.connection import Connection
from holdfast.peers.freshness import AppliedIndex
from holdfast.peers.rpc import Rpc
from holdfast.peers.wire import Commands, ForwardedCommand, decode_reply, encode
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.forwarding import CommandAnswer, Outgoing, Question, answers_to, refusal, unanswered
from holdfast.protocol.messages import Command, Outcome, Problem
from holdfast.settings import NodeSettings
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

Submit = Callable[[Command], tuple[Problem, Outcome] | None]
Leader = Callable[[], str | None]
"""The subject on which the leader that LOG names listens; None when nothing leads, or this process."""


class Forwarder:
    """The follower's side."""

    def __init__(
        self,
        connection: Connection,
        rpc: Rpc,
        applied_index: AppliedIndex,
        leader: Leader,
        leader_clock: Callable[[], int],
        boot: str,
        settings: NodeSettings,
    ) -> None:
        self._connection = connection
        self._rpc = rpc
        self._applied_index = applied_index
        self._leader = leader
        self._leader_clock = leader_clock
        self._boot = boot
        self._settings = settings
        self._outgoing = Outgoing(settings)
        self._scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.forwarded_total = 0
        self.unknown_total = 0

    @property
    def idle(self) -> bool:
        """Nothing waits for a leader's answer."""
        return not (self._outgoing or self._tasks)

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
        """Commands whose deadline passed before they could be sent."""
        self._refuse(self._outgoing.expired(now_ms), Problem.NO_LEADER, Outcome.NOT_DONE)

    async def close(self) -> None:
        """The process ends: each command that still waits is answered with what is known."""
        await cancel_and_wait(*self._tasks)
        self._refuse(self._outgoing.drop(), Problem.NO_LEADER, Outcome.NOT_DONE)

    def _schedule(self) -> None:
        if not self._scheduled and self._outgoing.sendable:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._scheduled = False
        loop = asyncio.get_running_loop()
        while self._outgoing.sendable:
            subject = self._leader()
            if subject is None:
                self._refuse(self._outgoing.drop(), Problem.NO_LEADER, Outcome.NOT_DONE)
                return
            question = self._outgoing.question(int(loop.time() * 1000), self._leader_clock())
            task = loop.create_task(self._forward(subject, question))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, subject: str, question: Question) -> None:
        loop = asyncio.get_running_loop()
        commands, deadline_s = question.commands, question.deadline_ms / 1000
        try:
            answers = await self._ask(subject, question, max(0.001, deadline_s - loop.time()))
        except NotDeliveredError as fault:
            log.info("not-forwarded", subject=subject, commands=len(commands), why=str(fault))
            self._unanswered(commands, received=False)
            return
        except (UnreachableError, msgspec.MsgspecError, UnicodeDecodeError) as fault:
            log.warning("forward-unanswered", subject=subject, commands=len(commands), why=str(fault))
            self._unanswered(commands, received=True)
            return
        except asyncio.CancelledError:
            self._refuse(commands, Problem.NO_LEADER, Outcome.UNKNOWN)
            raise
        finally:
            self._outgoing.ended()
            self._schedule()
        self.forwarded_total += len(commands)
        within_s = min(self._settings.forward_apply_wait_ms / 1000, max(0.0, deadline_s - loop.time()))
        try:
            await held(self._applied_index, max(one.sequence for one in answers), within_s)
        finally:
            self._answer(commands, answers)

    async def _ask(self, subject: str, question: Question, within_s: float) -> Sequence[CommandAnswer]:
        asked = [ForwardedCommand(*command.request) for command in question.commands]
        message = encode(Commands(question.left_ms, asked, question.asked_ms, self._boot, question.number))
        reply = decode_reply(await self._rpc.ask(subject, message, within_s))
        return answers_to(len(asked), reply.problem, reply.outcome, reply.answers)

    def _answer(self, commands: Sequence[Command], answers: Sequence[CommandAnswer]) -> None:
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


async def held(applied_index: AppliedIndex, sequence: int, within_s: float) -> None:
    """Wait until this process holds `sequence`, so that a client sees its own write; or until it takes too long."""
    try:
        if not await applied_index.wait(sequence, within_s):
            log.warning("behind", wanted=sequence, holds=applied_index.sequence)
    except Unavailable:
        log.warning("behind", wanted=sequence, holds=applied_index.sequence, why="too many wait")
