"""When an ERP counts as down, and how long a failure is waited out.

In: what calls came to. Out: whether to call now. Always: an ERP that is down gets one call in `rest_ms`; waits double
up to a bound and are drawn from their upper half, so that many do not return at the same time.
"""

import random
import time
from collections.abc import Callable


def wait_ms(tries: int, first_ms: int, most_ms: int) -> int:
    """Before the next try, after so many."""
    wait = min(first_ms << min(max(tries, 0), 20), most_ms)
    return int(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads the load


class Breaker:
    """Closed: calls go through. Open: none does, until one may try after the rest."""

    def __init__(self, failures: int, rest_ms: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._rest_ms = rest_ms
        self._clock_s = clock_s
        self._in_a_row = 0
        self._open_until_s = 0.0
        self._trying = False
        self.why = ""

    @property
    def is_open(self) -> bool:
        """Whether the ERP counts as down."""
        return self._in_a_row >= self._failures

    @property
    def rests_s(self) -> float:
        """For how long no call may go out."""
        return max(0.0, self._open_until_s - self._clock_s()) if self.is_open else 0.0

    def may_call(self) -> bool:
        """Take the right to call now. While it is open one caller has it, until it reports."""
        if not self.is_open:
            return True
        if self._trying or self.rests_s > 0:
            return False
        self._trying = True
        return True

    def worked(self) -> bool:
        """A call was answered; whether the ERP counted as down before."""
        was_open = self.is_open
        self._in_a_row, self._trying, self.why = 0, False, ""
        return was_open

    def failed(self, why: str) -> bool:
        """A call had no answer; whether the ERP counts as down since this one."""
        was_open = self.is_open
        self._in_a_row += 1
        self._trying, self.why = False, why
        if self.is_open:
            self._open_until_s = self._clock_s() + self._rest_ms * random.uniform(0.8, 1.2) / 1000  # noqa: S311
        return self.is_open and not was_open
