"""Facts through IN, for those who wait until LOG has them.

Role: publish messages of facts, and say what became of each fact. In: messages, and later what the leader received.
Out: counts, refusals by index in the whole body, and a sequence. Always: waiters and remembered results are bounded;
a message that was taken before its publisher knew its sequence is not lost on the publisher.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast._core import well_formed
from holdfast.log.errors import UnreachableError
from holdfast.log.in_stream import InFullError, InPublisher
from holdfast.node.core import Reception
from holdfast.node.errors import Unavailable
from holdfast.settings import Settings


@dataclass(frozen=True, slots=True)
class FactsOutcome:
    """How many facts were taken, which were not and why, and the sequence (LOG's, or IN's when only IN was awaited)."""

    accepted: int
    rejected: list[tuple[int, str]]
    sequence: int


class Receptions:
    """Who waits for which IN sequence."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: dict[int, asyncio.Future[tuple[Reception, int]]] = {}
        self._remembered: OrderedDict[int, tuple[Reception, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def tell(self, receptions: Sequence[Reception], sequence: int) -> None:
        """The leader took these, and LOG has them at `sequence`."""
        for reception in receptions:
            future = self._waiting.pop(reception[0], None)
            if future is None:
                self._remembered[reception[0]] = (reception, sequence)
            elif not future.done():
                future.set_result((reception, sequence))
        while len(self._remembered) > self._settings.node.facts_remembered_max:
            self._remembered.popitem(last=False)

    def refuse(self, in_upto: int) -> None:
        """After a rebuild: messages up to `in_upto` were taken, and what became of their facts is not known here."""
        for sequence in [sequence for sequence in self._waiting if sequence <= in_upto]:
            self._refuse(self._waiting.pop(sequence))

    def refuse_all(self) -> None:
        """Nobody takes anything here any more."""
        while self._waiting:
            self._refuse(self._waiting.popitem()[1])

    def _refuse(self, future: asyncio.Future[tuple[Reception, int]]) -> None:
        if not future.done():
            future.set_exception(Unavailable("log-unavailable", "unknown", self._settings.node.retry_after_s))

    async def send(
        self, publisher: InPublisher, subject: str, messages: list[bytes], *, await_log: bool
    ) -> FactsOutcome:
        """Publish in order; wait for LOG if asked to. Raises Unavailable."""
        retry_s = self._settings.node.retry_after_s
        if len(self._waiting) + len(messages) > self._settings.node.facts_waiting_max:
            raise Unavailable("overloaded", "not-done", retry_s)
        sequences: list[int] = []
        try:
            for message in messages:
                sequences += [await publisher.publish(subject, message)]
        except InFullError as fault:
            raise Unavailable("log-unavailable", "unknown" if sequences else "not-done", retry_s) from fault
        except UnreachableError as fault:
            raise Unavailable("log-unavailable", "unknown", retry_s) from fault
        if not await_log:
            return _sum([well_formed(message) for message in messages], sequences[-1] if sequences else 0)
        return await self._await_log(sequences)

    async def _await_log(self, sequences: list[int]) -> FactsOutcome:
        results: list[tuple[int, list[tuple[int, str]]]] = []
        sequence = 0
        waits = [self._wait(sequence) for sequence in sequences]
        try:
            async with asyncio.timeout(self._settings.node.facts_deadline_ms / 1000):
                for wait in waits:
                    (_, accepted, rejected), sequence = await wait
                    results.append((accepted, rejected))
        except TimeoutError as fault:
            raise Unavailable("log-unavailable", "unknown", self._settings.node.retry_after_s) from fault
        finally:
            for waited in sequences:
                self._waiting.pop(waited, None)
        return _sum(results, sequence)

    def _wait(self, sequence: int) -> asyncio.Future[tuple[Reception, int]]:
        future: asyncio.Future[tuple[Reception, int]] = asyncio.get_running_loop().create_future()
        known = self._remembered.pop(sequence, None)
        if known is not None:
            future.set_result(known)
        else:
            self._waiting[sequence] = future
        return future


def _sum(results: list[tuple[int, list[tuple[int, str]]]], sequence: int) -> FactsOutcome:
    """One outcome of several messages: indexes count on from one to the next."""
    accepted_all = 0
    rejected_all: list[tuple[int, str]] = []
    offset = 0
    for accepted, rejected in results:
        accepted_all += accepted
        rejected_all += [(offset + max(0, index), why) for index, why in rejected]
        offset += accepted + len(rejected)
    return FactsOutcome(accepted_all, rejected_all, sequence)
