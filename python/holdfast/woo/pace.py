"""How fast a shop is worked.

Role: the size of the next write, and how long to wait before it. In: how long answers took, what the shop refused. Out:
a size and a pause. Always: pure; an answer that takes too long halves the size, a quick one lets it grow; between
writes the shop has as much time as its share says; Retry-After is kept to; failures in a row double the pause up to a
bound.
"""

from holdfast.woo.stores import Pacing

_PAUSE_S, _PAUSE_S_MAX = 1.0, 60.0


class Pace:
    """Of one store."""

    def __init__(self, settings: Pacing, items_max: int) -> None:
        self._settings = settings
        self.items_max = min(settings.items_max, items_max)
        self._size = max(1.0, self.items_max / 4)
        self._free_s = 0.0
        self._closed_s = 0.0
        self._failures = 0
        self.last_answer_s = 0.0

    @property
    def size(self) -> int:
        """SKUs of the next write."""
        return max(1, min(self.items_max, int(self._size)))

    def wait_s(self, now_s: float, *, urgent: bool) -> float:
        """How long to wait. What is urgent waits only where the shop is closed."""
        until_s = self._closed_s if urgent else max(self._closed_s, self._free_s)
        return max(0.0, until_s - now_s)

    def answered(self, now_s: float, took_s: float) -> None:
        """A write was answered."""
        self._failures = 0
        self.last_answer_s = took_s
        if took_s * 1000 > self._settings.answer_ms:
            self._size = max(1.0, self._size / 2)
        else:
            self._size = min(self.items_max, self._size * 1.25 + 1)
        share = self._settings.busy_percent / 100
        self._free_s = now_s + took_s * (1 - share) / share

    def refused(self, now_s: float, retry_after_s: float | None, *, is_passing: bool = True) -> None:
        """The shop refused, or did not answer."""
        self._failures += 1
        if is_passing:
            self._size = max(1.0, self._size / 2)
        pause_s = min(_PAUSE_S * 2 ** min(self._failures - 1, 10), _PAUSE_S_MAX)
        self._closed_s = now_s + max(pause_s, min(retry_after_s or 0.0, 3_600.0))
