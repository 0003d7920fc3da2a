"""When work that failed may be tried again, and whether its failure has a new cause.

Role: back-off for work in the background that can cost a whole core. In: each attempt's end, what it took, and why it
failed. Out: how long to wait, and whether to raise an alarm. Always: the wait doubles with each failure in a row, from
`first_ms` to `ms_max`, and is never shorter than `rest_factor` times what the attempt took, so failing attempts get at
most one part in `rest_factor + 1` of a core; a success starts over; a cause is new once, until it changes or ends.
"""

import re
from dataclasses import dataclass

_FIGURES = re.compile(r"\b[0-9a-f]{32,64}\b|\d+")
_DOUBLINGS_MAX = 32


@dataclass(frozen=True, slots=True)
class Failed:
    """What follows from a failed attempt."""

    wait_ms: int
    is_news: bool
    in_a_row: int


class Backoff:
    """Of one kind of work."""

    def __init__(self, first_ms: int, ms_max: int, rest_factor: int) -> None:
        self._first_ms = first_ms
        self._ms_max = max(first_ms, ms_max)
        self._rest_factor = rest_factor
        self._cause = ""
        self.in_a_row = 0

    def succeeded(self) -> None:
        """The next failure waits `first_ms` and counts as new."""
        self.in_a_row, self._cause = 0, ""

    def failed(self, why: str, took_ms: float) -> Failed:
        """`why`: a sentence; other sequences, sizes and digests in it do not make it another cause."""
        cause = _FIGURES.sub("#", why)
        is_news = cause != self._cause
        self._cause = cause
        doubled_ms = self._first_ms << min(self.in_a_row, _DOUBLINGS_MAX)
        self.in_a_row += 1
        wait_ms = max(min(doubled_ms, self._ms_max), int(took_ms * self._rest_factor))
        return Failed(wait_ms, is_news, self.in_a_row)
