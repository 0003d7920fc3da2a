"""The rule of orders: what an order means that an ERP and holdfast do not have alike.

In: its documents, its reservation, its place in the connection's queue, before and after a wait. Out: agrees, moving,
or a type with its evidence. Always: pure.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from holdfast.erp.interface import Document
from holdfast.reconcile.findings import Found

_OPEN = frozenset({"committed", "in_erp"})


@dataclass(frozen=True, slots=True)
class Queued:
    """Its place in the queue of the connection."""

    state: str
    wish: str
    tries: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class OrderView:
    """One reading. `state` None: holdfast does not know it. `documents` None: the ERP cannot be asked."""

    state: str | None
    units: Mapping[str, int]
    documents: tuple[Document, ...] | None
    queued: Queued | None

    @property
    def live(self) -> list[Document]:
        """Those that are not cancelled."""
        return [one for one in self.documents or () if one.state != "cancelled"]


@dataclass(frozen=True, slots=True)
class OrderWatch:
    """`passed`: the connection asked the ERP for states since; if not, `why`. `exports`: orders go out. `behind`: how
    many events it has not read.
    """

    passed: bool
    exports: bool = True
    behind: int = 0
    why: str = ""


def agrees(view: OrderView) -> bool:
    """Whether there is nothing to ask, at a glance."""
    if view.state not in _OPEN:
        return not [one for one in view.live if one.state in {"draft", "open"}] or view.state == "fulfilled"
    if view.documents is None:
        return view.queued is not None and view.queued.state in {"exported", "acknowledged"}
    return view.state == "in_erp" and bool(view.live) and not _doubles(view) and not _changed(view)


def judge_order(before: OrderView, after: OrderView, watch: OrderWatch) -> Found | Literal["agrees", "moving"]:
    """What it is after the wait."""
    if agrees(after):
        return "agrees"
    if before != after:
        return "moving"
    if doubles := _doubles(after):
        return Found("duplicate", (f"the ERP has it twice: {', '.join(doubles)}",))
    if after.state not in _OPEN:
        return _ended(after, watch)
    return _there(after, watch) if after.live else _not_there(after, watch)


def _doubles(view: OrderView) -> list[str]:
    """Numbers of live documents of one place, where there are several."""
    places = Counter(one.place for one in view.live)
    return [one.number for one in view.live if places[one.place] > 1]


def _changed(view: OrderView) -> bool:
    units: Counter[str] = Counter()
    for one in view.live:
        units.update(one.units)
    return dict(units) != dict(view.units)


def _ended(view: OrderView, watch: OrderWatch) -> Found | Literal["moving"]:
    """It is over here, and open there."""
    queued, numbers = view.queued, ", ".join(one.number for one in view.live)
    if view.state is None:
        return Found("unknown", (f"{numbers} bears the key of an order that holdfast does not know",))
    if queued is None:
        return Found("missing-event", (f"it is {view.state} here; {numbers} is open, and its end is in no queue",))
    if queued.state == "parked":
        return Found("not-counted-yet", (f"it is {view.state} here; the ERP does not cancel {numbers}: {queued.why}",))
    if queued.state == "cancelled":
        return Found("manual-edit", (f"it was cancelled in the ERP, and {numbers} is open again",))
    return _under_way(queued, watch)


def _not_there(view: OrderView, watch: OrderWatch) -> Found | Literal["moving"]:
    """It is open here, and not in the ERP."""
    queued = view.queued
    if queued is None:
        if watch.behind or not watch.exports:
            return Found("late", (watch.why or f"the connection has {watch.behind} events to read",))
        return Found("missing-event", ("all events were read, and it is in no queue",))
    if queued.state == "parked":
        return Found("not-counted-yet", (f"the ERP refuses it: {queued.why}",))
    return _under_way(queued, watch) if queued.state in {"waiting", "unclear"} else _lost(view, queued, watch)


def _lost(view: OrderView, queued: Queued, watch: OrderWatch) -> Found:
    """The ERP had it."""
    if not watch.passed:
        return Found("late", (watch.why,))
    cancelled = ", ".join(one.number for one in view.documents or ())
    if cancelled:
        return Found("missing-event", (f"{cancelled} was cancelled in the ERP, and holdfast still owes it",))
    return Found("missing-event", (f"it was {queued.state}, and the ERP does not have it any more",))


def _there(view: OrderView, watch: OrderWatch) -> Found | Literal["moving"]:
    """It is open here, and in the ERP."""
    if not watch.passed:
        return Found("late", (watch.why,))
    if _changed(view):
        return Found("manual-edit", ("its units were changed in the ERP",))
    states = ", ".join(f"{one.number} is {one.state}" for one in view.live)
    return Found("not-counted-yet", (f"{states}; holdfast's levels do not count it",))


def _under_way(queued: Queued, watch: OrderWatch) -> Found | Literal["moving"]:
    if not watch.exports:
        return Found("late", (watch.why,))
    if queued.tries or queued.why:
        return Found("not-counted-yet", (f"tried {queued.tries} times: {queued.why}",))
    return "moving"
