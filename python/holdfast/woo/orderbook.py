"""What is known of each order, and which snapshot is newer.

Role: decide whether a snapshot is to be stated. In: snapshots from webhooks, in any order and any number; snapshots
read from the shop. Out: a verdict for each; what was stated. Always: pure; an older snapshot changes nothing; of two
that differ and have the same time of change (whole seconds) neither counts, the shop is asked; orders that owe
something are never forgotten, of the others the ones that were seen last are remembered.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from holdfast.woo.snapshots import Snapshot
from holdfast.woo.statements import TIES_MAX, Known


class Verdict(StrEnum):
    """Of a snapshot."""

    NEWER = "newer"
    REPEAT = "repeat"
    STALE = "stale"
    ASK = "ask"
    """Only the shop can say."""


@dataclass(slots=True)
class Sorted:
    """A batch of snapshots: the one of each order that is to be stated, and the orders to read from the shop."""

    newer: dict[int, Snapshot] = field(default_factory=dict)
    ask: set[int] = field(default_factory=set)
    repeats: int = 0
    stale: int = 0


class OrderBook:
    """Orders of one store. `trusted_from_s`: of an order that is not known, an older delivery is not trusted."""

    def __init__(self, known_max: int) -> None:
        self._known_max = known_max
        self._open: dict[int, Known] = {}
        self._closed: OrderedDict[int, Known] = OrderedDict()
        self.trusted_from_s = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    def known(self, order: int) -> Known:
        """What was stated last."""
        return self._open.get(order) or self._closed.get(order) or Known()

    def open_orders(self) -> list[int]:
        """Those with open demand."""
        return sorted(self._open)

    def note(self, order: int, known: Known) -> None:
        """It was stated."""
        self._open.pop(order, None)
        self._closed.pop(order, None)
        if known.lines:
            self._open[order] = known
            return
        self._closed[order] = known
        while len(self._closed) > self._known_max:
            self._closed.popitem(last=False)

    def judge(self, snapshot: Snapshot) -> Verdict:
        """Whether it is to be stated."""
        known = self.known(snapshot.order)
        if known.modified_s < 0:
            is_late = snapshot.modified_s < self.trusted_from_s and not snapshot.settled
            return Verdict.ASK if is_late else Verdict.NEWER
        if snapshot.modified_s != known.modified_s:
            return Verdict.NEWER if snapshot.modified_s > known.modified_s else Verdict.STALE
        if snapshot.mark == known.mark:
            return Verdict.REPEAT
        return Verdict.NEWER if snapshot.settled else Verdict.ASK

    def tie_of(self, snapshot: Snapshot) -> int:
        """The number within its second under which it is stated."""
        known = self.known(snapshot.order)
        return min(known.tie + 1, TIES_MAX - 1) if known.modified_s == snapshot.modified_s else 0

    def sort(self, snapshots: Iterable[Snapshot]) -> Sorted:
        """Which of many are to be stated."""
        found = Sorted()
        for snapshot in snapshots:
            order = snapshot.order
            before = found.newer.get(order)
            if before is not None and snapshot.modified_s == before.modified_s:
                if snapshot.mark == before.mark:
                    found.repeats += 1
                elif snapshot.settled:
                    found.newer[order] = snapshot
                elif not before.settled:
                    found.ask.add(order)
                else:
                    found.repeats += 1
                continue
            if before is not None and snapshot.modified_s < before.modified_s:
                found.stale += 1
                continue
            self._add(found, snapshot)
        for order in found.ask:
            found.newer.pop(order, None)
        return found

    def _add(self, found: Sorted, snapshot: Snapshot) -> None:
        match self.judge(snapshot):
            case Verdict.NEWER:
                found.newer[snapshot.order] = snapshot
            case Verdict.ASK:
                found.ask.add(snapshot.order)
            case Verdict.REPEAT:
                found.repeats += 1
            case Verdict.STALE:
                found.stale += 1
