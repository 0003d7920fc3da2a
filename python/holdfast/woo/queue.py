"""Which SKUs to write to the shop next, and what.

Role: the pure half of pushing. In: figures as they change, answers of the shop. Out: batches. Always: a SKU has one
value to be written, the newest, and one write under way; what comes to zero or leaves it goes first; a SKU that changes
again and again keeps its place and delays no other; a value that the shop has is not written; after a write without an
answer the SKU is read before it is written again, and read once more when a late write must have ended.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple


class Value(NamedTuple):
    """What the shop is to have: a quantity, what is written of backorders ("" nothing), and LOG's sequence."""

    quantity: int
    backorders: str = ""
    sequence: int = 0

    def same(self, other: "Value | None") -> bool:
        """Whether writing one over the other changes nothing."""
        return other is not None and self[:2] == other[:2]


@dataclass(slots=True)
class _Entry:
    wanted: Value
    written: Value | None = None
    """What the shop has for all that is known; None: not known."""
    under_way: Value | None = None
    doubt_until_s: float | None = None
    not_before_s: float = 0.0
    failures: int = 0


class Batch(NamedTuple):
    """SKUs to write together; `urgent`: one of them came to zero or left it. `look`: read them from the shop first."""

    values: dict[str, Value]
    urgent: bool
    look: frozenset[str]


_RETRY_S, _RETRY_S_MAX = 5.0, 600.0


class PushQueue:
    """The SKUs of one store. `doubt_s`: within so long a write without an answer may still be done by the shop."""

    def __init__(self, doubt_s: float) -> None:
        self._doubt_s = doubt_s
        self._entries: dict[str, _Entry] = {}
        self._urgent: OrderedDict[str, None] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._doubted: OrderedDict[str, None] = OrderedDict()
        self.coalesced_total = 0
        self.written_total = 0
        self.same_total = 0

    def __len__(self) -> int:
        """How many SKUs wait to be written."""
        return len(self._urgent) + len(self._waiting)

    def due(self, now_s: float) -> int:
        """How many of them wait for nothing: what failed lately is not among them, nor what the shop lacks."""
        waiting = (*self._urgent, *self._waiting)
        return sum(self._entries[sku].not_before_s <= now_s for sku in waiting)

    @property
    def in_flight(self) -> int:
        """How many SKUs are being written."""
        return sum(entry.under_way is not None for entry in self._entries.values())

    @property
    def known(self) -> int:
        """How many SKUs there are."""
        return len(self._entries)

    def want(self, sku: str, value: Value, *, again: bool = False) -> None:
        """The shop is to have this. An older one than is wanted already changes nothing. `again`: written or not."""
        entry = self._entries.get(sku)
        if entry is None:
            entry = self._entries[sku] = _Entry(value)
        elif value.sequence < entry.wanted.sequence:
            return
        elif not again and (sku in self._urgent or sku in self._waiting):
            self.coalesced_total += 1
        entry.wanted = value
        if again:
            entry.written = None
        self._place(sku, entry)

    def has(self, sku: str, value: Value) -> None:
        """The shop was read, and has this."""
        entry = self._entries.get(sku)
        if entry is not None and entry.under_way is None:
            entry.written = value
            self._place(sku, entry)

    def again(self) -> int:
        """Look at every SKU again. How many there are."""
        for sku, entry in self._entries.items():
            entry.written = None
            entry.failures, entry.not_before_s = 0, 0.0
            self._place(sku, entry)
        return len(self._entries)

    def wanted(self, sku: str) -> Value | None:
        """What the shop is to have."""
        entry = self._entries.get(sku)
        return None if entry is None else entry.wanted

    def lacks(self, sku: str) -> bool:
        """Whether the shop is to have another value than it has, for all that is known."""
        entry = self._entries.get(sku)
        return entry is not None and (entry.under_way is not None or not entry.wanted.same(entry.written))

    def look_later(self, sku: str, now_s: float) -> None:
        """The shop may move its own stock of this: look once that must be over."""
        entry = self._entries.get(sku)
        if entry is not None and entry.doubt_until_s is None:
            entry.doubt_until_s = now_s + self._doubt_s
            self._doubted[sku] = None

    def take(self, most: int, now_s: float, *, urgent_only: bool = False) -> Batch | None:
        """The next SKUs to write, which are under way from now on; None: nothing is due."""
        self._end_doubts(now_s)
        chosen = self._due(self._urgent, most, now_s)
        urgent = bool(chosen)
        if not urgent_only:
            chosen += self._due(self._waiting, most - len(chosen), now_s)
        if not chosen:
            return None
        values, look = {}, set()
        for sku in chosen:
            entry = self._entries[sku]
            entry.under_way = values[sku] = entry.wanted
            if entry.written is None:
                look.add(sku)
            self._urgent.pop(sku, None)
            self._waiting.pop(sku, None)
        return Batch(values, urgent, frozenset(look))

    def _due(self, queue: OrderedDict[str, None], most: int, now_s: float) -> list[str]:
        found: list[str] = []
        for sku in queue:
            if len(found) >= most:
                break
            if self._entries[sku].not_before_s <= now_s:
                found.append(sku)
        return found

    def done(self, sku: str, *, wrote: bool) -> None:
        """It was written, or the shop has it already."""
        entry = self._entries[sku]
        if entry.under_way is None:
            return
        entry.written, entry.under_way = entry.under_way, None
        entry.failures, entry.not_before_s = 0, 0.0
        if wrote:
            self.written_total += 1
        else:
            self.same_total += 1
        self._place(sku, entry)

    def failed(self, sku: str, now_s: float, *, unknown: bool, wait_s: float | None = None) -> None:
        """It was not written, or (`unknown`) nobody knows. It waits longer after each failure."""
        entry = self._entries[sku]
        if entry.under_way is None:
            return
        entry.under_way = None
        if unknown:
            entry.written = None
            entry.doubt_until_s = now_s + self._doubt_s
            self._doubted[sku] = None
            self._doubted.move_to_end(sku)
        else:
            entry.failures += 1
            pause_s = min(_RETRY_S * 2 ** min(entry.failures - 1, 10), _RETRY_S_MAX)
            entry.not_before_s = now_s + (pause_s if wait_s is None else wait_s)
        self._place(sku, entry)

    def forget(self, sku: str) -> None:
        """The shop does not have it; it is written when it is wanted again."""
        entry = self._entries.pop(sku, None)
        if entry is not None:
            for queue in (self._urgent, self._waiting, self._doubted):
                queue.pop(sku, None)

    def _end_doubts(self, now_s: float) -> None:
        """A late write must have ended: what the shop has is looked at once more."""
        while self._doubted:
            sku = next(iter(self._doubted))
            entry = self._entries[sku]
            if entry.doubt_until_s is None:
                self._doubted.pop(sku)
                continue
            if entry.doubt_until_s > now_s:
                return
            self._doubted.pop(sku)
            entry.doubt_until_s = None
            entry.written = None
            self._place(sku, entry)

    def _place(self, sku: str, entry: _Entry) -> None:
        """In the queue where it belongs; in none while it is under way, or where nothing is to be written."""
        if entry.under_way is not None:
            return
        if entry.wanted.same(entry.written):
            self._urgent.pop(sku, None)
            self._waiting.pop(sku, None)
            return
        before = entry.written
        crosses = before is not None and (before.quantity > 0) != (entry.wanted.quantity > 0)
        if crosses or (before is None and entry.wanted.quantity <= 0):
            self._waiting.pop(sku, None)
            self._urgent.setdefault(sku, None)
        else:
            self._urgent.pop(sku, None)
            self._waiting.setdefault(sku, None)
