"""The clock of one source: at which moment something read from an ERP was true.

In: the wall clock. Out: times as facts have them. Always: it never goes back, over restarts too, and never gives one
time twice; what takes stock away is dated when its reading ended, what adds some when its reading began, so that a
level read in between shows too little at most.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

_POSITION = "clock"


class Moments:
    """`stored` and `store` keep the last moment; it is stored ahead, so that not every one is a write."""

    _AHEAD_MS = 1_000

    def __init__(
        self, stored: str | None, store: Callable[[str], None], clock_s: Callable[[], float] = time.time
    ) -> None:
        self._last_ms = self._upto_ms = int(stored) if stored else 0
        self._store = store
        self._clock_s = clock_s

    def now(self) -> str:
        """A moment later than all before."""
        self._last_ms = max(self._last_ms + 1, int(self._clock_s() * 1000))
        if self._last_ms > self._upto_ms:
            self._upto_ms = self._last_ms + self._AHEAD_MS
            self._store(str(self._upto_ms))
        return written(self._last_ms)


def written(at_ms: int) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
