"""Which SKUs to write to the shop next, and what.

Role: the pure half of pushing. In: figures as they change, answers of the shop. Out: batches; how far all is written.
Always: a SKU has one value to be written, the newest, and one write under way; what comes to zero or leaves it goes
first; a SKU that changes again and again keeps its place and delays no other; a value that the shop has is not written;
a SKU that cannot be written is set aside, delays no other, and is tried again for as long as it is wanted; after a
write without an answer the SKU is read before it is written again, and read once more when a late write must have
ended.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, NamedTuple


class Value(NamedTuple):
    """What the shop is to have: a quantity, what is written of backorders ("" nothing), and LOG's sequence."""

    quantity: int
    backorders: str
    sequence: int

    def same(self, other: "Value | None") -> bool:
        """Whether writing one over the other changes nothing."""
        return other is not None and self[:2] == other[:2]


class Pause(NamedTuple):
    """How long a SKU is set aside after a failure: doubled with each one in a row, up to a bound."""

    first_s: float
    most_s: float

    def after(self, failures: int) -> float:
        """After so many in a row."""
        return float(min(self.first_s * 2 ** min(failures - 1, 12), self.most_s))


REFUSED = Pause(5.0, 600.0)
ABSENT = Pause(60.0, 3_600.0)
"""The shop has no product of the SKU: most are there within minutes, or never."""
AT_ONCE = Pause(0.0, 0.0)
"""The SKU is not to blame."""
_PLACES_MIN: Final = 1_024
_TENTH = 10
"""One part in so many of a write is for SKUs that could not be written before."""


@dataclass(slots=True)
class _Entry:
    wanted: Value
    place: int = 0
    """Of the newest figure in AVAILABLE."""
    written: Value | None = None
    """What the shop has for all that is known; None: not known."""
    under_way: Value | None = None
    doubt_until_s: float | None = None
    failures: int = 0


class Batch(NamedTuple):
    """SKUs to write together; `urgent`: one of them came to zero or left it. `look`: read them from the shop first."""

    values: dict[str, Value]
    urgent: bool
    look: frozenset[str]


class Standing(NamedTuple):
    """How far the shop has what AVAILABLE says: everything up to the place `done` but the SKUs `open`.

    `more`: and others, which are not named.
    """

    done: int
    open: tuple[str, ...]
    more: bool


NOTHING_WRITTEN = Standing(0, (), more=False)


class PushQueue:
    """The SKUs of one store. `doubt_s`: within so long a write without an answer may still be done by the shop."""

    def __init__(self, doubt_s: float) -> None:
        self._doubt_s = doubt_s
        self._entries: dict[str, _Entry] = {}
        self._urgent: OrderedDict[str, None] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._aside: dict[str, float] = {}  # until when
        self._aside_order: list[tuple[float, str]] = []
        self._late: OrderedDict[str, None] = OrderedDict()  # were set aside, and are tried again
        self._doubted: OrderedDict[str, None] = OrderedDict()
        self._under_way: set[str] = set()
        self._places: list[tuple[int, str]] = []  # a heap: of all that is due, and of some that is no longer
        self._done = 0
        self.coalesced_total = 0
        self.written_total = 0
        self.same_total = 0

    def __len__(self) -> int:
        """How many SKUs wait to be written, without those that could not be."""
        return len(self._urgent) + len(self._waiting)

    @property
    def set_aside(self) -> int:
        """How many SKUs could not be written, and wait to be tried again."""
        return len(self._aside) + len(self._late)

    @property
    def in_flight(self) -> int:
        """How many SKUs are being written."""
        return len(self._under_way)

    @property
    def known(self) -> int:
        """How many SKUs there are."""
        return len(self._entries)

    def want(self, sku: str, value: Value, *, place: int = 0, late: bool = False) -> None:
        """The shop is to have this; an older value than is wanted already changes nothing.

        `place`: of the figure in AVAILABLE. `late`: behind everything else, for it may well be there.
        """
        entry = self._entries.get(sku)
        if entry is None:
            entry = self._entries[sku] = _Entry(value)
        elif value.sequence < entry.wanted.sequence:
            return
        elif sku in self._urgent or sku in self._waiting:
            self.coalesced_total += 1
        entry.wanted, entry.place = value, max(place, entry.place)
        if sku in self._under_way:
            self._note_place(sku, entry)
        if late and entry.written is None and not self._is_somewhere(sku):
            self._late[sku] = None
        elif not late and not entry.failures:
            self._late.pop(sku, None)  # it is news, and nothing says that it cannot be written
        self._place(sku, entry)

    def has(self, sku: str, value: Value) -> None:
        """The shop was read, and has this."""
        entry = self._entries.get(sku)
        if entry is not None and entry.under_way is None:
            entry.written = value
            self._place(sku, entry)

    def again(self) -> int:
        """Look at every SKU again. How many there are."""
        self._aside.clear()
        self._aside_order.clear()
        self._late.clear()
        for sku, entry in self._entries.items():
            entry.written = None
            entry.failures = 0
            self._place(sku, entry)
        return len(self._entries)

    def wanted(self, sku: str) -> Value | None:
        """What the shop is to have."""
        entry = self._entries.get(sku)
        return None if entry is None else entry.wanted

    def is_due(self, sku: str) -> bool:
        """Whether it is being written, or waits for nothing but its turn."""
        return sku in self._urgent or sku in self._waiting or sku in self._under_way

    def is_under_way(self, sku: str) -> bool:
        """Whether it is being written."""
        return sku in self._under_way

    def look_later(self, sku: str, now_s: float) -> None:
        """The shop may move its own stock of this: look once that must be over."""
        entry = self._entries.get(sku)
        if entry is not None and entry.doubt_until_s is None:
            entry.doubt_until_s = now_s + self._doubt_s
            self._doubted[sku] = None

    def standing(self, taken: int, open_max: int) -> Standing:
        """How far all is written, when the figures up to a place of AVAILABLE are here. It never goes back."""
        first = self._first_place()
        self._done = max(self._done, min(taken, taken if first is None else first - 1))
        open_ones = self._open(open_max + 1)
        return Standing(self._done, tuple(open_ones[:open_max]), len(open_ones) > open_max)

    def _open(self, most: int) -> list[str]:
        """SKUs whose newest figure is behind us, and that the shop may not have; at most so many."""
        failing = chain(self._aside, self._late, self._doubted)
        behind = (sku for sku in failing if self._entries[sku].place <= self._done)
        found: dict[str, None] = {}
        for sku in chain(behind, self._due_behind()):
            found[sku] = None
            if len(found) == most:
                break
        return list(found)

    def _due_behind(self) -> Iterator[str]:
        """Those of them that are due, by place. Others are not looked at: there may be a whole catalogue of them."""
        found = []
        try:
            while (first := self._first_place()) is not None and first <= self._done:
                found.append(heapq.heappop(self._places))
                yield found[-1][1]
        finally:
            for one in found:
                heapq.heappush(self._places, one)

    def _note_place(self, sku: str, entry: _Entry) -> None:
        """It is due, or has a newer figure while it is."""
        heapq.heappush(self._places, (entry.place, sku))
        if len(self._places) > _PLACES_MIN + 4 * len(self._entries):
            due = chain(self._urgent, self._waiting, self._under_way)
            self._places = [(self._entries[one].place, one) for one in due]
            heapq.heapify(self._places)

    def _first_place(self) -> int | None:
        """The lowest place of what is due."""
        places = self._places
        while places:
            place, sku = places[0]
            if self._entries[sku].place == place and self.is_due(sku):
                return place
            heapq.heappop(places)
        return None

    def take(self, most: int, now_s: float, *, urgent_only: bool = False) -> Batch | None:
        """The next SKUs to write, which are under way from now on; None: nothing is due."""
        self._end_doubts(now_s)
        self._end_pauses(now_s)
        chosen = list(islice(self._urgent, most))
        urgent = bool(chosen)
        if not urgent_only:
            kept = min(len(self._late), max(1, most // _TENTH)) if self._waiting and most > 1 else 0
            chosen += islice(self._waiting, max(0, most - len(chosen) - kept))
            chosen += islice(self._late, max(0, most - len(chosen)))
        if not chosen:
            return None
        values, look = {}, set()
        for sku in chosen:
            entry = self._entries[sku]
            entry.under_way = values[sku] = entry.wanted
            if entry.written is None:
                look.add(sku)
            self._under_way.add(sku)
            self._note_place(sku, entry)
            for queue in (self._urgent, self._waiting, self._late):
                queue.pop(sku, None)
        return Batch(values, urgent, frozenset(look))

    def done(self, sku: str, *, wrote: bool) -> None:
        """It was written, or the shop has it already."""
        entry = self._entries[sku]
        if entry.under_way is None:
            return
        entry.written = entry.under_way
        entry.failures = 0
        if wrote:
            self.written_total += 1
        else:
            self.same_total += 1
        self._ended(sku, entry)

    def failed(self, sku: str, now_s: float, pause: Pause = REFUSED) -> None:
        """It was not written."""
        entry = self._entries[sku]
        if entry.under_way is None:
            return
        entry.failures += 1
        pause_s = pause.after(entry.failures)
        if pause_s > 0:
            self._aside[sku] = now_s + pause_s
            heapq.heappush(self._aside_order, (now_s + pause_s, sku))
        self._ended(sku, entry)

    def unanswered(self, sku: str, now_s: float) -> None:
        """Nobody knows whether it was written."""
        entry = self._entries[sku]
        if entry.under_way is None:
            return
        entry.written = None
        entry.doubt_until_s = now_s + self._doubt_s
        self._doubted[sku] = None
        self._doubted.move_to_end(sku)
        self._ended(sku, entry)

    def _ended(self, sku: str, entry: _Entry) -> None:
        entry.under_way = None
        self._under_way.discard(sku)
        self._place(sku, entry)

    def _end_doubts(self, now_s: float) -> None:
        """A late write must have ended: what the shop has is looked at once more."""
        while self._doubted:
            sku = next(iter(self._doubted))
            entry = self._entries[sku]
            if entry.doubt_until_s is not None and entry.doubt_until_s > now_s:
                return
            self._doubted.pop(sku)
            entry.doubt_until_s = None
            entry.written = None
            self._place(sku, entry)

    def _end_pauses(self, now_s: float) -> None:
        while self._aside_order and self._aside_order[0][0] <= now_s:
            until_s, sku = heapq.heappop(self._aside_order)
            if self._aside.get(sku) == until_s:
                del self._aside[sku]
                self._late[sku] = None

    def _is_somewhere(self, sku: str) -> bool:
        queues = (self._urgent, self._waiting, self._aside, self._late, self._under_way)
        return any(sku in queue for queue in queues)

    def _place(self, sku: str, entry: _Entry) -> None:
        """In the queue where it belongs; in none while it is under way, or where nothing is to be written."""
        if entry.under_way is not None:
            return
        if entry.wanted.same(entry.written):
            for queue in (self._urgent, self._waiting, self._late):
                queue.pop(sku, None)
            self._aside.pop(sku, None)
            return
        if sku in self._aside or sku in self._late:
            return
        before = entry.written
        crosses = before is not None and (before.quantity > 0) != (entry.wanted.quantity > 0)
        if crosses or (before is None and entry.wanted.quantity <= 0):
            self._waiting.pop(sku, None)
            self._urgent.setdefault(sku, None)
        else:
            self._urgent.pop(sku, None)
            self._waiting.setdefault(sku, None)
        self._note_place(sku, entry)
