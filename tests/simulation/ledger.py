"""What LOG says about stock, counted a second time in a few lines of Python.

Role: read batches as they are stored and keep, for two SKUs and one location, what is on hand and who holds how much.
In: LOG messages that are not void. Out: complaints as text. Always: it shares nothing with the core; it knows only
what these histories contain (one location, no kits, no allocations, net levels that never absorb an order).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

_TAKING = {"held", "committed"}


@dataclass(slots=True)
class Hold:
    """One reservation: what it takes while it is held or committed."""

    lines: list[tuple[str, int]]
    owner: str | None
    due_lead_ms: int
    decided_ms: int  # simulated time at which its TTL began
    ttl_ms: int
    state: str = "held"
    history: list[tuple[int, str]] = field(default_factory=list)

    def states_at(self, sequence: int) -> set[str]:
        """In which states it was while the batch at this LOG sequence was decided: before, in the midst, after."""
        before = [state for at, state in self.history if at < sequence]
        return {state for at, state in self.history if at == sequence} | set(before[-1:])


class Ledger:
    """On hand, held, committed; and which command put what into LOG where."""

    def __init__(self) -> None:
        self.on_hand: dict[str, int] = defaultdict(int)
        self.taken: dict[str, int] = defaultdict(int)
        self.holds: dict[str, Hold] = {}
        self.where: dict[tuple[str, str], list[int]] = {}  # (fact, reservation) -> LOG sequences
        self.in_numbers: list[int] = []  # of the IN messages, as LOG shows them
        self.complaints: list[str] = []
        self._lead_ms = 0
        self._live: list[str] = []  # held ones, in order of their first hold

    def apply(self, sequence: int, batch: dict[str, Any], decided_ms: int | None) -> None:
        """One batch that took effect; `decided_ms`: when its leader made it, None if nobody knows."""
        lead_ms = batch["lead_ms"]
        if lead_ms < self._lead_ms:
            self.complaints.append(f"lead time went back to {lead_ms} at {sequence}")
        self._lead_ms = lead_ms
        for name in [name for name in self._live if self.holds[name].due_lead_ms <= lead_ms]:
            hold = self.holds[name]
            if decided_ms is not None and decided_ms - hold.decided_ms < hold.ttl_ms:
                lived_ms = decided_ms - hold.decided_ms
                self.complaints.append(f"{name} expired after {lived_ms} of {hold.ttl_ms} ms at {sequence}")
            self._become(sequence, name, "expired")
        for fact in batch["facts"]:
            kind = fact["kind"]
            if kind.startswith("reservation."):
                self._reservation(sequence, kind[12:], fact, lead_ms, decided_ms)
            elif kind == "stock.level":
                self.on_hand[fact["sku"]] = fact["on_hand"]
                self.in_numbers.append(fact["as_of"])
            elif kind == "stock.delta":
                self.on_hand[fact["sku"]] += fact["quantity"]
                self.in_numbers.append(fact["as_of"])

    def _reservation(
        self, sequence: int, verb: str, fact: dict[str, Any], lead_ms: int, decided_ms: int | None
    ) -> None:
        name = fact["id"]
        self.where.setdefault((verb, name), []).append(sequence)
        if verb == "held":
            if fact.get("supersede"):
                for other in [n for n in self._live if self.holds[n].owner == fact["owner"] and n != name]:
                    self._become(sequence, other, "released")
            lines = [(line["sku"], line["quantity"]) for line in fact["lines"]]
            self.holds[name] = Hold(lines, fact.get("owner"), 0, 0, 0, state="none")
            self._time(name, fact["ttl_ms"], lead_ms, decided_ms)
            self._become(sequence, name, "held")
        elif verb == "extended":
            self._time(name, fact["ttl_ms"], lead_ms, decided_ms)
        else:
            self._become(sequence, name, "committed" if verb == "confirmed" else verb)

    def _time(self, name: str, ttl_ms: int, lead_ms: int, decided_ms: int | None) -> None:
        hold = self.holds[name]
        hold.due_lead_ms, hold.ttl_ms = lead_ms + ttl_ms, ttl_ms
        hold.decided_ms = -(1 << 60) if decided_ms is None else decided_ms

    def _become(self, sequence: int, name: str, state: str) -> None:
        hold = self.holds[name]
        before, hold.state = hold.state, state
        hold.history.append((sequence, state))
        if state == "held":
            self._live.append(name)
        elif before == "held":
            self._live.remove(name)
        if (before in _TAKING) == (state in _TAKING):
            return
        sign = 1 if state in _TAKING else -1
        for sku, quantity in hold.lines:
            self.taken[sku] += sign * quantity
            if sign > 0 and self.taken[sku] > self.on_hand[sku]:
                self.complaints.append(
                    f"{name} took {quantity} {sku} at {sequence}: {self.taken[sku]} of {self.on_hand[sku]} are taken"
                )

    def by_state(self) -> Counter[str]:
        """How many reservations are in each state."""
        return Counter(hold.state for hold in self.holds.values())

    def sellable(self, sku: str) -> int:
        """What is left."""
        return max(0, self.on_hand[sku] - self.taken[sku])
