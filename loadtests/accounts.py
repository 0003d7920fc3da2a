"""What the processes of a rehearsal keep: the outcome of each reservation, and how long shoppers waited for answers.

In: answers, as they come; messages of other processes. Out: messages, and the sum of them.
Always: an account that was sent is empty afterwards, so that nothing is counted twice; a reservation is `opened` before
it is first asked for, and `closed` with what the gateway acknowledged, so that what is in neither state is known.
"""

import time
from collections.abc import Mapping

import msgspec

Millis = dict[int, int]  # how often each duration came; durations are rounded, so there are few


def rounded_ms(seconds: float) -> int:
    """Milliseconds with two figures that count: 1234 is 1200."""
    millis = max(1, round(seconds * 1_000))
    digits = max(0, len(str(millis)) - 2)
    step: int = 10**digits
    return round(millis / step) * step


def percentile(millis: Mapping[int, int], share: float) -> int:
    """Nearest rank; 0 where there is nothing."""
    wanted = share * sum(millis.values())
    seen = 0
    for value in sorted(millis):
        seen += millis[value]
        if seen >= wanted:
            return value
    return 0


class Accounts(msgspec.Struct):
    """One process, or all of them together. Times are seconds of the clock."""

    waited: dict[str, dict[int, Millis]] = msgspec.field(default_factory=dict)  # by call and second
    hold_to_purchase: Millis = msgspec.field(default_factory=dict)
    opened: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)  # units by SKU
    closed: dict[str, str] = msgspec.field(default_factory=dict)  # confirmed, released, refused or late
    refused: dict[str, int] = msgspec.field(default_factory=dict)  # by reason
    gave_up: dict[str, int] = msgspec.field(default_factory=dict)  # by call: no clear answer in all the patience
    repeated: dict[str, int] = msgspec.field(default_factory=dict)
    unexpected: dict[str, int] = msgspec.field(default_factory=dict)  # answers that nobody foresaw
    returned: dict[str, int] = msgspec.field(default_factory=dict)  # units by SKU
    facts: int = 0
    facts_rejected: int = 0

    def wait(self, call: str, began: float) -> None:
        """A clear answer came, however often it was asked for."""
        now = time.time()
        _add(self.waited.setdefault(call, {}).setdefault(int(now), {}), rounded_ms(now - began))

    def purchase(self, held: float) -> None:
        """A shopper who held a cart from `held` on has bought it."""
        _add(self.hold_to_purchase, rounded_ms(time.time() - held))

    def count(self, name: str, what: str, times: int = 1) -> None:
        """In one of the counters that have names."""
        _add(getattr(self, name), what, times)

    def take(self) -> bytes:
        """Everything so far as a message, and from here on nothing."""
        message = msgspec.json.encode(self)
        for field, empty in msgspec.structs.asdict(Accounts()).items():
            setattr(self, field, empty)
        return message

    def add(self, message: bytes | str) -> None:
        """What another process kept."""
        other = msgspec.json.decode(message, type=Accounts)
        for call, seconds in other.waited.items():
            for second, millis in seconds.items():
                _merge(self.waited.setdefault(call, {}).setdefault(second, {}), millis)
        _merge(self.hold_to_purchase, other.hold_to_purchase)
        for name in ("refused", "gave_up", "repeated", "unexpected", "returned"):
            _merge(getattr(self, name), getattr(other, name))
        self.opened.update(other.opened)
        self.closed.update(other.closed)
        self.facts += other.facts
        self.facts_rejected += other.facts_rejected

    @property
    def open(self) -> list[str]:
        """Asked for, and not known to have ended: abandoned, or the run ended in the middle."""
        return [reservation for reservation in self.opened if reservation not in self.closed]

    def ended(self, outcome: str) -> list[str]:
        """The reservations with this outcome."""
        return [reservation for reservation, one in self.closed.items() if one == outcome]

    def overall(self, call: str) -> Millis:
        """All waits for one call."""
        found: Millis = {}
        for millis in self.waited.get(call, {}).values():
            _merge(found, millis)
        return found


def _add(counter: dict, what: object, times: int = 1) -> None:  # type: ignore[type-arg]
    counter[what] = counter.get(what, 0) + times


def _merge(into: dict, other: Mapping) -> None:  # type: ignore[type-arg]
    for what, times in other.items():
        _add(into, what, times)
