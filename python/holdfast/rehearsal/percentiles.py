"""Latencies: durations in, percentiles out. Always: nearest rank, so that every figure is one that was measured."""

from array import array
from math import ceil
from typing import NamedTuple

SAMPLES_MAX = 5_000_000  # 20 MB; beyond it the oldest are overwritten


class Percentiles(NamedTuple):
    """Milliseconds; all 0 when there was nothing to measure."""

    calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Latencies:
    """Durations of one kind of call."""

    def __init__(self) -> None:
        self._seconds = array("f")
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, seconds: float) -> None:
        """Adds one call."""
        if self._count < SAMPLES_MAX:
            self._seconds.append(seconds)
        else:
            self._seconds[self._count % SAMPLES_MAX] = seconds
        self._count += 1

    def percentiles(self) -> Percentiles:
        """The percentiles of the calls."""
        ordered = sorted(self._seconds)
        if not ordered:
            return Percentiles(0, 0.0, 0.0, 0.0, 0.0, 0.0)

        def at(share: float) -> float:
            return round(ordered[max(0, ceil(share * len(ordered)) - 1)] * 1_000, 3)

        return Percentiles(self._count, at(0.5), at(0.9), at(0.99), at(0.999), at(1.0))
