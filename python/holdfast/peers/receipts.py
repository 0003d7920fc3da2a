"""The outcomes of IN messages, for the requests that wait for them.

Role: the leader alone knows the outcome of each fact; remember it for requests, here or (through `command_server`) from
another process. In: receipts, as LOG has them. Out: receipts by IN sequence. Always: waiting requests and remembered
receipts are bounded; a message that was taken in before it was asked for is still answered; what another leader took
in, or what was forgotten, is at once unknown; a request that waits when the lead is lost gets `no-leader`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeAlias

from holdfast.protocol.core import Receipt
from holdfast.protocol.errors import Unavailable
from holdfast.settings import NodeSettings

Stored: TypeAlias = tuple[Receipt, int]
"""The outcome of an IN message, and the LOG sequence that has it."""


class Receipts:
    """The requests that wait for an IN sequence."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._waiting: dict[int, list[asyncio.Future[Stored]]] = {}
        self._remembered: OrderedDict[int, Stored] = OrderedDict()
        self._taken_upto = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def record(self, receipts: Sequence[Receipt], sequence: int) -> None:
        """The process took these in, and LOG has them at `sequence`."""
        for receipt in receipts:
            self._taken_upto = max(self._taken_upto, receipt[0])
            futures = self._waiting.pop(receipt[0], None)
            if futures is None:
                self._remembered[receipt[0]] = (receipt, sequence)
                continue
            for future in futures:
                if not future.done():
                    future.set_result((receipt, sequence))
        while len(self._remembered) > self._settings.facts_remembered_max:
            self._remembered.popitem(last=False)

    def lead(self, in_upto: int) -> None:
        """The process leads: messages up to `in_upto` were taken in, and their outcomes may not be known here."""
        self._taken_upto = max(self._taken_upto, in_upto)

    def refuse_all(self) -> None:
        """The process takes in nothing more: ask the present leader."""
        waiting, self._waiting = self._waiting, {}
        for futures in waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(self._unavailable("no-leader"))

    async def taken(self, sequences: Sequence[int], within_s: float) -> list[Stored]:
        """The outcomes of these messages, in order; call it while leading.

        Raises TimeoutError, or Unavailable: `no-leader` (ask the next leader), `log-unavailable` (forgotten).
        """
        if len(self) + len(sequences) > self._settings.facts_waiting_max:
            raise self._unavailable("overloaded")
        waits = [(sequence, self._wait(sequence)) for sequence in sequences]
        try:
            async with asyncio.timeout(within_s):
                return [await future for _, future in waits]
        finally:
            for sequence, future in waits:
                self._leave(sequence, future)

    def _wait(self, sequence: int) -> asyncio.Future[Stored]:
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        known = self._remembered.get(sequence)
        if known is not None:
            future.set_result(known)
        elif sequence <= self._taken_upto:
            future.set_exception(self._unavailable("log-unavailable"))
        else:
            self._waiting.setdefault(sequence, []).append(future)
        return future

    def _leave(self, sequence: int, future: asyncio.Future[Stored]) -> None:
        if future.done():
            if not future.cancelled():
                future.exception()  # each of several may have failed; one is raised
            return
        others = [other for other in self._waiting.get(sequence, ()) if other is not future]
        if others:
            self._waiting[sequence] = others
        else:
            self._waiting.pop(sequence, None)

    def _unavailable(self, problem: str) -> Unavailable:
        return Unavailable(problem, "unknown", self._settings.retry_after_s)
