"""The leader's server for other processes of the scope.

Role: listen on the subject of the own epoch while leading, and on the socket for processes of this machine; have
forwarded commands decided like local ones; answer the outcome of IN messages. In: questions of `holdfast.peers.wire`.
Out: replies, the way that the question came. Always: nothing is accepted for another epoch, and nothing while not
leading: that is answered not-done; a question that comes a second time gets no answer, for the first one has the true
one; each command gets its own answer, and the reply goes out when all have one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names
from holdfast.peers.local import Answer, LocalServer
from holdfast.peers.receipts import Receipts
from holdfast.peers.rpc import Asked, Rpc
from holdfast.peers.wire import (
    STILL_WAITING,
    Commands,
    FactsReceipt,
    Reply,
    Taken,
    decode_question,
    encode,
)
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.forwarding import Admission, CommandAnswer, Group, NotTaken
from holdfast.protocol.machine import Protocol
from holdfast.protocol.messages import Command, Role
from holdfast.settings import NodeSettings
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

_NOT_LEADING = Reply("no-leader", "not-done")


class _Waiter:
    """Takes the place of a local command's future: the same three methods."""

    __slots__ = ("_answered", "_at", "_group")

    def __init__(self, group: Group[CommandAnswer], at: int) -> None:
        self._group = group
        self._at = at
        self._answered = False

    def done(self) -> bool:
        """Whether it was answered."""
        return self._answered

    def set_result(self, answer: tuple[int, bytes, int]) -> None:
        """The command was decided."""
        self._answered = True
        self._group.answer(self._at, CommandAnswer(*answer))

    def set_exception(self, fault: Unavailable) -> None:
        """It was not, or that is unknown."""
        self._answered = True
        self._group.answer(self._at, CommandAnswer(0, b"", 0, fault.problem, fault.outcome))


class CommandServer:
    """The leader's side."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        rpc: Rpc,
        protocol: Protocol,
        receipts: Receipts,
        wake: Callable[[], None],
        settings: NodeSettings,
        directory: Path | None = None,
    ) -> None:
        self._connection = connection
        self._names = names
        self._rpc = rpc
        self._protocol = protocol
        self._receipts = receipts
        self._wake = wake
        self._settings = settings
        self._admission = Admission(settings)
        self._local = LocalServer(directory, protocol.node, self._question_bytes_max, settings, self._take)
        self._epoch: int | None = None
        self._subscription: Subscription | None = None
        self._changing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.commands_total = 0
        self.late_total = 0
        self.again_total = 0

    async def open(self) -> None:
        """Listen for processes of this machine, which learn from the answer whether this one leads."""
        await self._local.open()

    def begin(self, epoch: int) -> None:
        """The process leads `epoch`: listen."""
        self._epoch = epoch
        self._change(epoch)

    def end(self) -> None:
        """It leads no more, or ends: stop listening."""
        if self._epoch is not None:
            self._epoch = None
            self._change(None)

    async def close(self, within_s: float) -> None:
        """Send the replies that are ready, then stop."""
        self.end()
        if self._tasks and within_s > 0:
            await asyncio.wait(self._tasks, timeout=within_s)
        await cancel_and_wait(*self._tasks)
        self._local.close()

    def _change(self, epoch: int | None) -> None:
        self._changing = asyncio.get_running_loop().create_task(self._listen(epoch, self._changing))
        self._keep(self._changing)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._keep(asyncio.get_running_loop().create_task(work))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, epoch: int | None, before: asyncio.Task[None] | None) -> None:
        """One change of what is listened to at a time, in order; an error ends with its connection."""
        if before is not None:
            await asyncio.wait([before])
        try:
            if self._subscription is not None:
                subscription, self._subscription = self._subscription, None
                await subscription.unsubscribe()
            if epoch is not None and epoch == self._epoch:
                subject = self._names.lead_subject(self._protocol.node, epoch)
                self._subscription = await self._connection.listen(subject, self._on_message)
        except Exception as fault:  # noqa: BLE001 - the client is closing, and drops its subscriptions
            log.warning("leadership-not-announced", epoch=epoch, why=str(fault))

    def _question_bytes_max(self) -> int:
        return self._connection.payload_bytes_max + self._settings.forward_bytes_max

    async def _on_message(self, message: Msg) -> None:
        epoch = int(message.subject.rpartition(".")[2])
        asked = self._rpc.question(message)
        if asked is not None:
            self._take(epoch, asked.payload, partial(self._reply_over_nats, asked))

    def _reply_over_nats(self, to: Asked, reply: bytes) -> None:
        if to.reply:
            self._spawn(self._rpc.answer(to, reply))

    def _take(self, epoch: int, payload: bytes, answer: Answer) -> None:
        """A question for the leader of that epoch, by a process of the scope."""
        try:
            question = decode_question(payload)
        except msgspec.MsgspecError as fault:
            log.error("unreadable-question", why=str(fault))
            answer(encode(_NOT_LEADING))
            return
        core = self._protocol.core
        leads = self._protocol.role is Role.LEADING and core is not None and core.epoch == epoch == self._epoch
        if isinstance(question, Commands):
            self._decide(answer, question, leads=leads)
        elif leads:
            self._spawn(self._answer_taken(answer, question))
        else:
            answer(encode(_NOT_LEADING))

    def _decide(self, answer: Answer, question: Commands, *, leads: bool) -> None:
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        deadline_ms = self._admission.deadline_ms(
            question.sender, question.number, question.left_ms, question.asked_ms, now_ms
        )
        if deadline_ms is NotTaken.AGAIN:
            self.again_total += 1
            log.warning("question-came-again", sender=question.sender, number=question.number)
            return
        if not leads or isinstance(deadline_ms, NotTaken):
            self.late_total += len(question.requests) if leads else 0
            answer(encode(_NOT_LEADING))
            return
        asked = question.requests
        group: Group[CommandAnswer] = Group(len(asked), lambda answers: answer(encode(Reply(answers=answers))))
        self.commands_total += len(asked)
        commands = [Command(one.request, _Waiter(group, at), deadline_ms) for at, one in enumerate(asked)]
        taken, refused = self._protocol.submit_many(commands)
        if refused is not None:
            for command in commands[taken:]:
                command.waiter.set_exception(Unavailable.of(*refused, self._settings.retry_after_s))
        self._wake()

    async def _answer_taken(self, answer: Answer, question: Taken) -> None:
        within_s = min(question.left_ms, self._settings.facts_deadline_ms) / 1000
        try:
            found = await self._receipts.taken(question.sequences, within_s)
        except TimeoutError:
            reply = Reply(STILL_WAITING, "unknown")
        except Unavailable as fault:
            reply = Reply(fault.problem, fault.outcome)
        else:
            stored = [FactsReceipt(accepted, rejected, at, report) for (_, accepted, rejected, report), at in found]
            reply = Reply(receipts=stored)
        answer(encode(reply))
