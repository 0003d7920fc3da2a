"""Reads that wait for the batch under way.

Role: run a read when the core holds nothing but what LOG has. In: a call of the engine. Out: its answer with the
sequence that it reflects. Always: bounded; after `read_wait_ms` an availability is answered from the core as it
is (it includes the pending batch, so it never shows too much) and marked degraded; other reads are refused then,
because they would show what is not stored.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from holdfast.peers.freshness import as_of
from holdfast.protocol.core import Core
from holdfast.protocol.errors import Unavailable
from holdfast.settings import NodeSettings

CoreT = TypeVar("CoreT", bound=Core)
# (status, body, LOG sequence that it reflects)
Answer: TypeAlias = tuple[int, bytes, int]


@dataclass(frozen=True, slots=True)
class _Read(Generic[CoreT]):
    call: Callable[[CoreT, bytes], tuple[int, bytes]]
    future: asyncio.Future[Answer]
    began_ms: int
    degradable: bool


class Reads(Generic[CoreT]):
    """The waiting ones."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._waiting: list[_Read[CoreT]] = []
        self.degraded_total = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(
        self, call: Callable[[CoreT, bytes], tuple[int, bytes]], now_ms: int, *, degradable: bool
    ) -> asyncio.Future[Answer]:
        """Queue one read. Raises Unavailable when too many wait."""
        if len(self._waiting) >= self._settings.reads_waiting_max:
            raise Unavailable("overloaded", "not-done", self._settings.retry_after_s)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Read(call, future, now_ms, degradable))
        return future

    def run_all(self, core: CoreT, freshness: bytes) -> None:
        """The core is settled: answer all waiting reads."""
        waiting, self._waiting = self._waiting, []
        for read in waiting:
            _run(read, core, freshness)

    def run_late(self, core: CoreT, now_ms: int) -> None:
        """Some have waited too long: answer degraded, or refuse."""
        upto = 0
        for read in self._waiting:  # in order of arrival
            if now_ms - read.began_ms < self._settings.read_wait_ms:
                break
            upto += 1
        late, self._waiting = self._waiting[:upto], self._waiting[upto:]
        for read in late:
            if read.degradable:
                self.degraded_total += 1
                _run(read, core, as_of(core.sequence, now_ms - read.began_ms, "degraded"))
            elif not read.future.done():
                read.future.set_exception(Unavailable("log-unavailable", "not-done", self._settings.retry_after_s))

    def refuse_all(self, problem: str) -> None:
        """The core was thrown away."""
        waiting, self._waiting = self._waiting, []
        for read in waiting:
            if not read.future.done():
                read.future.set_exception(Unavailable(problem, "not-done", self._settings.retry_after_s))


def _run(read: _Read[CoreT], core: CoreT, freshness: bytes) -> None:
    if read.future.done():
        return
    try:
        status, body = read.call(core, freshness)
    except Exception as fault:  # noqa: BLE001 - an error of the read, raised where its caller waits
        read.future.set_exception(fault)
    else:
        read.future.set_result((status, body, core.sequence))
