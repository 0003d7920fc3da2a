"""Commands that a process which follows hands to the one that leads: what is decided about them on either side.

Role: which commands travel together, what each end of a question means, and which questions a leader takes. In:
commands, the clocks of both, what became of a question. Out: questions, answers, refusals with a true outcome. Always:
no I/O, so that the simulation drives the same code; a command is sent at most once; "not-done" is said only when
nothing received it or the leader said so; a leader takes a question at most once, and none whose sender has given up.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

import msgspec

from holdfast.protocol.errors import Unavailable
from holdfast.protocol.messages import Command, Outcome, Problem
from holdfast.settings import NodeSettings

AnswerT = TypeVar("AnswerT")

_ENVELOPE_BYTES = 1_024  # of a message, and (far more than enough) of a command beside its body
_NUMBERS_KEPT = 1_024  # of one sender; it has far fewer questions under way, so one further back is certainly old


class CommandAnswer(msgspec.Struct, frozen=True, array_like=True):
    """One command's answer: (status, body, LOG sequence), or `problem` and `outcome` where there is none."""

    status: int
    body: bytes
    sequence: int
    problem: str = ""
    outcome: str = ""


def refusal(problem: Problem, outcome: Outcome) -> CommandAnswer:
    """No answer, and what is known."""
    return CommandAnswer(0, b"", 0, problem.value, outcome.value)


# ---- the process that follows


@dataclass(frozen=True, slots=True)
class Question:
    """Commands that travel in one message; how long their sender waits for the answer, and when it asked.

    `asked_ms`: by the leader's own clock as its heartbeats report it, or a little earlier; 0 where that is not known.
    `number`: counts the questions of this process.
    """

    number: int
    commands: list[Command]
    left_ms: int
    asked_ms: int

    @property
    def deadline_ms(self) -> int:
        """By the sender's clock: of its first command, which has waited longest."""
        return self.commands[0].deadline_ms


class Outgoing:
    """The commands that still have to be sent, and how many questions have no answer yet.

    `in_flight_max`: how many may have none; the way that they go decides it.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._queue: deque[tuple[Command, int]] = deque()  # and their bytes
        self._queued_bytes = 0
        self._number = 0
        self.in_flight = 0
        self.in_flight_max = settings.forwards_in_flight_max

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def sendable(self) -> bool:
        """Whether a question may go out now."""
        return bool(self._queue) and self.in_flight < self.in_flight_max

    def take(self, command: Command, *, leader: bool, payload_bytes_max: int) -> None:
        """Queue it. `leader`: whether LOG names one, and another than this process. Raises Unavailable, `not-done`."""
        settings = self._settings
        if not leader:
            raise Unavailable("no-leader", "not-done", settings.retry_after_s)
        size = _size(command)
        if size + _ENVELOPE_BYTES > payload_bytes_max:
            most = payload_bytes_max - 2 * _ENVELOPE_BYTES
            detail = f"A process that follows forwards at most {most} bytes: split the body, or send it to the leader."
            raise Unavailable("too-large", "not-done", settings.retry_after_s, detail)
        if len(self._queue) >= settings.forward_queued_max or (
            self._queued_bytes + size > settings.forward_queued_bytes_max
        ):
            raise Unavailable("overloaded", "not-done", settings.retry_after_s)
        self._queue.append((command, size))
        self._queued_bytes += size

    def question(self, now_ms: int, leader_clock_ms: int) -> Question:
        """The next one, under way from now on: as many commands as fit, at least one. Only while `sendable`."""
        settings = self._settings
        size = self._queue[0][1]
        commands = [self.pop()]
        while self._queue and len(commands) < settings.forward_commands_max:
            size += self._queue[0][1]
            if size > settings.forward_bytes_max:
                break
            commands.append(self.pop())
        self.in_flight += 1
        self._number += 1
        left_ms = max(1, commands[0].deadline_ms - now_ms - settings.forward_margin_ms)
        return Question(self._number, commands, left_ms, leader_clock_ms)

    def ended(self) -> None:
        """A question has its answer, or will get none."""
        self.in_flight -= 1

    def pop(self) -> Command:
        """The oldest command; it is not sent."""
        command, size = self._queue.popleft()
        self._queued_bytes -= size
        return command

    def expired(self, now_ms: int) -> list[Command]:
        """Remove the commands whose deadline passed before they could be sent."""
        late: list[Command] = []
        while self._queue and self._queue[0][0].deadline_ms <= now_ms:
            late.append(self.pop())
        return late

    def drop(self) -> list[Command]:
        """Remove all of them: they were not sent."""
        return [self.pop() for _ in range(len(self._queue))]


def unanswered(*, received: bool, connected: bool) -> CommandAnswer:
    """What is known when no answer comes. `received`: whether a process may have received the question."""
    problem = Problem.NO_LEADER if connected else Problem.LOG_UNAVAILABLE
    return refusal(problem, Outcome.UNKNOWN if received else Outcome.NOT_DONE)


def answers_to(size: int, problem: str, outcome: str, answers: Sequence[CommandAnswer]) -> Sequence[CommandAnswer]:
    """One for each command of a question of that size, from the leader's reply: `problem` holds for all of them."""
    if problem:
        return [CommandAnswer(0, b"", 0, problem, outcome)] * size
    if len(answers) != size:
        return [refusal(Problem.NO_LEADER, Outcome.UNKNOWN)] * size
    return answers


def _size(command: Command) -> int:
    _, reservation, body, channels, by, *rest = command.single
    key = rest[0] if rest else None
    named = sum(map(len, channels)) if channels is not None else 0
    return 4 * (len(reservation) + named + len(by or "") + len(key or "")) + len(body) + 64


# ---- the process that leads


class NotTaken(Enum):
    """Why a leader takes nothing of a question."""

    LATE = "late"  # its sender has given up; it may have asked again, and been refused
    AGAIN = "again"  # it was here already: the first one gets the one answer, and this one none


class Admission:
    """The questions that reached this process, in whatever role, since it began."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._seen: OrderedDict[str, tuple[int, set[int]]] = OrderedDict()  # sender: highest number, and those near it

    def deadline_ms(self, sender: str, number: int, left_ms: int, asked_ms: int, now_ms: int) -> int | NotTaken:
        """By when, on this process's clock, the commands of a question must be decided.

        `sender`: the run of the process that asks; "" from a version that does not say so.
        """
        if sender and not self._is_new(sender, number):
            return NotTaken.AGAIN
        left_ms = min(max(1, left_ms), self._settings.command_deadline_ms)
        if asked_ms:
            left_ms -= max(0, now_ms - asked_ms)
        return now_ms + left_ms if left_ms > 0 else NotTaken.LATE

    def _is_new(self, sender: str, number: int) -> bool:
        highest, near = self._seen.pop(sender, (0, set()))
        new = number > highest - _NUMBERS_KEPT and number not in near
        if new:
            near.add(number)
            highest = max(highest, number)
            if len(near) > 2 * _NUMBERS_KEPT:
                near = {one for one in near if one > highest - _NUMBERS_KEPT}
        self._seen[sender] = (highest, near)
        if len(self._seen) > self._settings.peers_max:
            self._seen.popitem(last=False)
        return new


class Group(Generic[AnswerT]):
    """Commands that came together: `done` is called when each has its answer."""

    __slots__ = ("_answers", "_done", "_left")

    def __init__(self, size: int, done: Callable[[list[AnswerT]], None]) -> None:
        self._answers: list[AnswerT | None] = [None] * size
        self._left = size
        self._done = done

    def has(self, at: int) -> bool:
        """Whether the command at that index has its answer."""
        return self._answers[at] is not None

    def answer(self, at: int, answer: AnswerT) -> None:
        """The answer to the command at that index."""
        self._answers[at] = answer
        self._left -= 1
        if not self._left:
            self._done([one for one in self._answers if one is not None])
