"""The shoppers' requests, and the answers.

In: requests as they are sent and answered. Out: operations, each with every answer that it got. Always: times are
`time.monotonic()` of this one process; nothing is thrown away; an operation without a clear answer says so.
"""

from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(slots=True)
class Operation:
    """One thing that somebody wanted, sent as often as it took."""

    verb: str  # "put", "confirm", "release" or "delta"
    name: str  # the reservation's id, or the document's `ref`
    lines: tuple[tuple[str, int], ...]
    began_s: float
    ended_s: float | None = None
    status: int = 0  # 0: no clear answer to the end
    sequence: int = 0
    repeats: int = 0
    outcomes: list[str] = field(default_factory=list)  # of the answers that were not clear

    @property
    def acknowledged(self) -> bool:
        """Whether it was answered as done."""
        return self.status in {200, 201, 202}


@dataclass(slots=True)
class History:
    """All of one round."""

    operations: list[Operation] = field(default_factory=list)
    clear_s: list[float] = field(default_factory=list)  # when a clear answer to something that writes came
    reads: list[tuple[float, int, int, str]] = field(default_factory=list)  # (sent, known before, answered, mode)
    stale_reads: int = 0

    def longest_gap_s(self, since_s: float, until_s: float) -> float:
        """The longest time within which nobody got a clear answer."""
        moments = [since_s, *sorted(at for at in self.clear_s if since_s <= at <= until_s), until_s]
        return max(after - before for before, after in pairwise(moments))
