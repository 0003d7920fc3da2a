"""Commands on their way: from the gateway to the protocol, and their outcomes back.

Role: hand over what the gateway asks, one command or many at once, and give each its one outcome. In: requests; what
the protocol wants answered or rejected. Out: futures. Always: one command costs a tuple and a future; commands that
come together cost one future together; what this process cannot decide goes to the leader; what a client no longer
waits for is skipped.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import TypeAlias

from holdfast.nats.refusals import REFUSED, Refusals
from holdfast.node.reads import Answer
from holdfast.node.report import Counters
from holdfast.peers.cluster import ClusterMember
from holdfast.protocol import messages as e
from holdfast.protocol.core import Request, Together, trace_in
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.forwarding import Group
from holdfast.protocol.machine import Protocol
from holdfast.settings import NodeSettings
from holdfast.spans import Spans, spans

CommandOutcome: TypeAlias = Answer | Unavailable


class _Place:
    """Takes the place of one command's future: the same three methods."""

    __slots__ = ("_at", "_group")

    def __init__(self, group: Group[CommandOutcome], at: int) -> None:
        self._group = group
        self._at = at

    def done(self) -> bool:
        return self._group.has(self._at)

    def set_result(self, answer: Answer) -> None:
        self._group.answer(self._at, answer)

    def set_exception(self, fault: Unavailable) -> None:
        self._group.answer(self._at, fault)


class Commands:
    """Of one node."""

    def __init__(
        self,
        protocol: Protocol,
        cluster: ClusterMember,
        refusals: Refusals,
        counted: Counters,
        settings: NodeSettings,
    ) -> None:
        self._protocol = protocol
        self._cluster = cluster
        self._refusals = refusals
        self._counted = counted
        self._settings = settings
        self._spans = spans()
        self._sent_ns = 0

    def submit(self, request: Request, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Answer]:
        """Hand over one. Raises Unavailable, or the future does."""
        future: asyncio.Future[Answer] = loop.create_future()
        command = e.Command(request, future, self._deadline_ms(loop))
        refused = self._protocol.submit(command)
        if refused is not None:
            self._cluster.take(command, refused)
        return future

    def submit_together(self, carts: Together, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Answer] | None:
        """Hand over what is decided in one batch; None: this process cannot decide it now, or has no room."""
        future: asyncio.Future[Answer] = loop.create_future()
        refused = self._protocol.submit(e.Command(carts, future, self._deadline_ms(loop)))
        return None if refused is not None else future

    def submit_many(
        self, requests: Sequence[Request], loop: asyncio.AbstractEventLoop
    ) -> asyncio.Future[list[CommandOutcome]]:
        """Hand over several, in their order. The future never fails: an outcome may be an Unavailable."""
        future: asyncio.Future[list[CommandOutcome]] = loop.create_future()
        if not requests:
            future.set_result([])

        def done(outcomes: list[CommandOutcome]) -> None:
            if not future.done():
                future.set_result(outcomes)

        group: Group[CommandOutcome] = Group(len(requests), done)
        deadline_ms = self._deadline_ms(loop)
        commands = [e.Command(request, _Place(group, at), deadline_ms) for at, request in enumerate(requests)]
        taken, refused = self._protocol.submit_many(commands)
        if refused is not None:
            for command in commands[taken:]:
                try:
                    self._cluster.take(command, refused)
                except Unavailable as fault:
                    command.waiter.set_exception(fault)
        return future

    def _deadline_ms(self, loop: asyncio.AbstractEventLoop) -> int:
        return int(loop.time() * 1000) + self._settings.command_deadline_ms

    def appending(self) -> None:
        """A batch goes to LOG now."""
        if self._spans is not None:
            self._sent_ns = time.time_ns()

    def answer(self, effect: e.Answer) -> None:
        """Each waiter once; one whose client has disconnected is skipped."""
        sequence = effect.sequence
        if self._spans is not None:
            self._record(self._spans, effect)
        self._counted.answered += len(effect.commands)
        for command, (status, body) in zip(effect.commands, effect.answers, strict=True):
            waiter, request = command.waiter, command.request
            if not waiter.done():
                waiter.set_result((status, body, sequence))
            if not isinstance(request, tuple):
                self._counted.answered += len(request) - 1
                for one, answer in request.refused():
                    self._refusals.note(sequence, one, answer)
            elif status == REFUSED:
                self._refusals.note(sequence, request, body)

    def _record(self, recording: Spans, effect: e.Answer) -> None:
        """How long LOG took, for each command of the batch whose request is recorded."""
        for command in effect.commands:
            if (trace := trace_in(command.request)) and self._sent_ns:
                span = recording.begin("append", trace, since_ns=self._sent_ns)
                if span is not None:
                    span.end(
                        attributes={"holdfast.sequence": effect.sequence, "holdfast.commands": len(effect.commands)}
                    )

    def reject(self, effect: e.Reject) -> None:
        """No answer, but what is known."""
        retry_after_s = self._settings.retry_after_s
        for command in effect.commands:
            if not command.waiter.done():
                command.waiter.set_exception(Unavailable.of(effect.problem, effect.outcome, retry_after_s))
        self._counted.rejected += len(effect.commands)
