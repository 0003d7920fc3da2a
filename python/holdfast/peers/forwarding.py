"""Commands of a process that follows, forwarded to the one that leads.

Role: gather the commands of one turn of the event loop, send them together to the leader that LOG names, hand its
answers back. In: commands that this process cannot decide. Out: the leader's answers, or Unavailable with a true
outcome. Always: a command is sent at most once; "not-done" is answered only when nothing received it or the leader
answered so, else "unknown"; queue, message and messages in flight are bounded; a command waits no longer than its own
deadline, and its answer goes out once this process holds what it reflects (or `forward_apply_wait_ms` later).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import structlog

from holdfast.errors import NotDeliveredError, UnreachableError
from holdfast.nats.connection import Connection
from holdfast.peers.freshness import AppliedIndex
from holdfast.peers.rpc import Rpc
from holdfast.peers.wire import CommandAnswer, Commands, ForwardedCommand, decode_reply, encode
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.messages import Command, Outcome, Problem
from holdfast.settings import NodeSettings
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

_ENVELOPE_BYTES = 1_024  # of a message, and (far more than enough) of a command beside its body

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
        settings: NodeSettings,
    ) -> None:
        self._connection = connection
        self._rpc = rpc
        self._applied_index = applied_index
        self._leader = leader
        self._leader_clock = leader_clock
        self._settings = settings
        self._queue: deque[Command] = deque()
        self._queued_bytes = 0
        self._asking = 0
        self._scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.forwarded_total = 0
        self.unknown_total = 0

    @property
    def idle(self) -> bool:
        """Nothing waits for a leader's answer."""
        return not (self._queue or self._tasks)

    @property
    def waiting(self) -> int:
        """Commands that are not sent yet."""
        return len(self._queue)

    @property
    def in_flight(self) -> int:
        """Messages that the leader has not answered yet."""
        return self._asking

    def take(self, command: Command) -> None:
        """Forward this command with the others of this turn. Raises Unavailable."""
        retry_s = self._settings.retry_after_s
        if self._leader() is None:
            raise Unavailable("no-leader", "not-done", retry_s)
        size = _size(command)
        if size + _ENVELOPE_BYTES > self._connection.payload_bytes_max:
            most = self._connection.payload_bytes_max - 2 * _ENVELOPE_BYTES
            detail = f"A process that follows forwards at most {most} bytes: split the body, or send it to the leader."
            raise Unavailable("too-large", "not-done", retry_s, detail)
        settings = self._settings
        if len(self._queue) >= settings.forward_queued_max or (
            self._queued_bytes + size > settings.forward_queued_bytes_max
        ):
            raise Unavailable("overloaded", "not-done", retry_s)
        self._queue.append(command)
        self._queued_bytes += size
        self._schedule()

    def lead(self, submit: Submit) -> None:
        """The process leads now: it decides what is not sent yet itself."""
        while self._queue:
            command = self._pop()
            refused = submit(command)
            if refused is not None:
                self._refuse([command], *refused)

    def sweep(self, now_ms: int) -> None:
        """Commands whose deadline passed before they could be sent."""
        while self._queue and self._queue[0].deadline_ms <= now_ms:
            self._refuse([self._pop()], Problem.NO_LEADER, Outcome.NOT_DONE)

    async def close(self) -> None:
        """The process ends: each command that still waits is answered with what is known."""
        await cancel_and_wait(*self._tasks)
        while self._queue:
            self._refuse([self._pop()], Problem.NO_LEADER, Outcome.NOT_DONE)

    def _schedule(self) -> None:
        if not self._scheduled and self._queue and self._asking < self._settings.forwards_in_flight_max:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._scheduled = False
        while self._queue and self._asking < self._settings.forwards_in_flight_max:
            subject = self._leader()
            commands = self._group()
            if subject is None:
                self._refuse(commands, Problem.NO_LEADER, Outcome.NOT_DONE)
                continue
            self._asking += 1
            task = asyncio.get_running_loop().create_task(self._forward(subject, commands))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _group(self) -> list[Command]:
        """The next message: as many commands as fit, at least one."""
        commands = [self._pop()]
        size = _size(commands[0])
        while self._queue and len(commands) < self._settings.forward_commands_max:
            size += _size(self._queue[0])
            if size > self._settings.forward_bytes_max:
                break
            commands.append(self._pop())
        return commands

    def _pop(self) -> Command:
        command = self._queue.popleft()
        self._queued_bytes -= _size(command)
        return command

    async def _forward(self, subject: str, commands: list[Command]) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = commands[0].deadline_ms / 1000
        try:
            answers = await self._ask(subject, commands, max(0.001, deadline_s - loop.time()))
        except NotDeliveredError as fault:
            log.info("not-forwarded", subject=subject, commands=len(commands), why=str(fault))
            self._refuse(commands, self._problem(), Outcome.NOT_DONE)
            return
        except (UnreachableError, msgspec.MsgspecError) as fault:
            log.warning("forward-unanswered", subject=subject, commands=len(commands), why=str(fault))
            self._refuse(commands, self._problem(), Outcome.UNKNOWN)
            return
        except asyncio.CancelledError:
            self._refuse(commands, Problem.NO_LEADER, Outcome.UNKNOWN)
            raise
        finally:
            self._asking -= 1
            self._schedule()
        self.forwarded_total += len(commands)
        within_s = min(self._settings.forward_apply_wait_ms / 1000, max(0.0, deadline_s - loop.time()))
        try:
            await held(self._applied_index, max(one.sequence for one in answers), within_s)
        finally:
            self._answer(commands, answers)

    async def _ask(self, subject: str, commands: list[Command], within_s: float) -> list[CommandAnswer]:
        left_ms = max(1, int(within_s * 1000) - self._settings.forward_margin_ms)
        asked = [ForwardedCommand(*command.request) for command in commands]
        question = encode(Commands(left_ms, asked, self._leader_clock()))
        reply = decode_reply(await self._rpc.ask(subject, question, within_s))
        if reply.problem:
            return [CommandAnswer(0, b"", 0, reply.problem, reply.outcome)] * len(commands)
        if len(reply.answers) != len(commands):
            raise UnreachableError(f"{len(reply.answers)} answers to {len(commands)} commands")
        return reply.answers

    def _problem(self) -> Problem:
        return Problem.NO_LEADER if self._connection.connected else Problem.LOG_UNAVAILABLE

    def _answer(self, commands: Sequence[Command], answers: Sequence[CommandAnswer]) -> None:
        for command, answer in zip(commands, answers, strict=True):
            if command.waiter.done():
                continue
            if answer.problem:
                self.unknown_total += answer.outcome != "not-done"
                command.waiter.set_exception(Unavailable(answer.problem, answer.outcome, self._settings.retry_after_s))
            else:
                command.waiter.set_result((answer.status, answer.body, answer.sequence))

    def _refuse(self, commands: Sequence[Command], problem: Problem, outcome: Outcome) -> None:
        self._answer(commands, [CommandAnswer(0, b"", 0, problem.value, outcome.value)] * len(commands))


async def held(applied_index: AppliedIndex, sequence: int, within_s: float) -> None:
    """Wait until this process holds `sequence`, so that a client sees its own write; or until it takes too long."""
    try:
        if not await applied_index.wait(sequence, within_s):
            log.warning("behind", wanted=sequence, holds=applied_index.sequence)
    except Unavailable:
        log.warning("behind", wanted=sequence, holds=applied_index.sequence, why="too many wait")


def _size(command: Command) -> int:
    one = ForwardedCommand(*command.request)
    named = sum(map(len, one.channels)) if one.channels is not None else 0
    return 4 * (len(one.reservation) + named + len(one.by or "") + len(one.key or "")) + len(one.body) + 64
