"""The sequence of this process, for the requests that wait for one, and the age of its answers.

Role: wake what waits for a LOG sequence; render `as_of`. In: each sequence as it is applied or committed, each moment
at which this process was known to hold all of LOG. Out: futures, and the `as_of` of an answer. Always: bounded; each
wait has a deadline; only the leader answers `live`, and a follower that held all of LOG at most
`live_age_ms_max` ago.
"""

import asyncio
import heapq
import itertools

import msgspec

from holdfast.protocol.errors import Unavailable
from holdfast.settings import NodeSettings

_STALE_ENTRIES = 64


class AppliedIndex:
    """The requests that wait for a sequence."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._heap: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._waiting = 0
        self.sequence = 0

    def __len__(self) -> int:
        return self._waiting

    def reached(self, sequence: int) -> None:
        """The process holds LOG up to `sequence`."""
        self.sequence = sequence
        while self._heap and self._heap[0][0] <= sequence:
            future = heapq.heappop(self._heap)[2]
            if not future.done():
                future.set_result(None)

    async def wait(self, sequence: int, within_s: float) -> bool:
        """Wait until this process holds LOG up to `sequence`; False after too long. Raises Unavailable: too many."""
        if sequence <= self.sequence:
            return True
        if self._waiting >= self._settings.reads_waiting_max:
            raise Unavailable("overloaded", "not-done", self._settings.retry_after_s)
        if len(self._heap) > 2 * self._waiting + _STALE_ENTRIES:  # requests that gave up
            self._heap = [entry for entry in self._heap if not entry[2].done()]
            heapq.heapify(self._heap)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (sequence, next(self._numbers), future))
        self._waiting += 1
        try:
            async with asyncio.timeout(within_s):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True


def as_of(sequence: int, age_ms: int, mode: str, silent: bytes = b"") -> bytes:
    """The `as_of` object that answers carry."""
    return b'{"sequence":%d,"age_ms":%d,"mode":"%s"%s}' % (sequence, age_ms, mode.encode(), silent)


class Freshness:
    """`as_of`. Times are the event loop's, in seconds."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._complete_s = 0.0
        self._lost_s: float | None = None
        self._leader: tuple[int, bytes] = (-1, b"")
        self._silent = b""
        self.silent: dict[str, float] = {}

    def note_silent(self, sources: dict[str, float]) -> None:
        """Sources that are silent, and for how many seconds: a rule asks that this is said."""
        named = msgspec.json.encode(sorted(sources))
        silent = b',"silent":' + named if sources else b""
        if silent != self._silent:
            self._silent, self._leader = silent, (-1, b"")
        self.silent = sources

    def complete(self, now_s: float) -> None:
        """The process holds all that LOG has: the log, or the leader, has just reported LOG's end."""
        self._complete_s = max(self._complete_s, now_s)

    def connection(self, connected: bool, now_s: float) -> None:
        """The log was connected, or disconnected."""
        self._lost_s = None if connected else (self._lost_s or now_s)

    def age_ms(self, now_s: float) -> int:
        """For how long this process has not been known to hold all of LOG."""
        return max(0, int((now_s - self._complete_s) * 1000))

    def live(self, now_s: float) -> bool:
        """Whether a follower's answers may be called live."""
        return self._lost_s is None and self.age_ms(now_s) <= self._settings.live_age_ms_max

    def as_of(self, sequence: int, now_s: float, *, leading: bool, sound: bool) -> bytes:
        """The `as_of` of an answer that reflects `sequence`; unless `sound` it is stale at any age."""
        live = "degraded" if self._silent else "live"
        if not leading or not sound:
            return as_of(sequence, self.age_ms(now_s), live if sound and self.live(now_s) else "stale", self._silent)
        if self._lost_s is not None:
            return as_of(sequence, int((now_s - self._lost_s) * 1000), "stale", self._silent)
        self._complete_s = now_s
        if sequence != self._leader[0]:
            self._leader = (sequence, as_of(sequence, 0, live, self._silent))
        return self._leader[1]
