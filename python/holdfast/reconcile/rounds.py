"""Comparing two systems that change meanwhile, at comparable moments.

In: readings of both, and a wait until whatever one of them knew has reached the other. Out: what differs. Always: a
difference is one only if both systems were the same before and after that wait, so that no message that is on its way
can explain it; what agrees in any reading agrees; what changes in every round is listed as moving, not as a difference.
"""

from collections.abc import Collection, Iterable
from typing import Any, Literal, Protocol, TypeVar

from holdfast.reconcile.findings import Compared, Difference

ROUNDS_MAX = 3
Verdict = Difference | Literal["agrees", "moving"]
ReadingT = TypeVar("ReadingT")
WatchT = TypeVar("WatchT")


class Comparison(Protocol[ReadingT, WatchT]):
    """A pair of systems, and what of them is compared."""

    async def read(self, only: Collection[str] | None) -> ReadingT:
        """Both, of these ids or of all: first the one that is stated to, then the one that states.

        So what the second had at its reading, and still has after a wait, cannot have been stated before the first one
        was read.
        """
        ...

    def differing(self, reading: ReadingT) -> Iterable[str]:
        """Ids that do not agree in it."""
        ...

    def at_once(self, reading: ReadingT) -> list[Difference]:
        """Differences that need no wait."""
        ...

    async def settle(self) -> WatchT:
        """Wait until what was read of the one can have reached the other; or say why it did not."""
        ...

    def judge(self, one: str, before: ReadingT, after: ReadingT, watch: WatchT) -> Verdict:
        """What an id is, after that wait."""
        ...

    def summary(self, reading: ReadingT, found: list[Difference]) -> Compared:
        """What was compared, of the first reading."""
        ...


async def compare(comparison: Comparison[Any, Any], rounds_max: int = ROUNDS_MAX) -> tuple[Compared, list[Difference]]:
    """Raises what reading raises."""
    first = before = await comparison.read(None)
    still = sorted(comparison.differing(before))
    found = comparison.at_once(first)
    for _ in range(rounds_max):
        if not still:
            break
        watch = await comparison.settle()
        after = await comparison.read(still)
        moving = []
        for one in still:
            verdict = comparison.judge(one, before, after, watch)
            if isinstance(verdict, Difference):
                found.append(verdict)
            elif verdict == "moving":
                moving.append(one)
        before, still = after, moving
    compared = comparison.summary(first, found)
    compared.differing, compared.moving = len(found), still
    return compared, found
