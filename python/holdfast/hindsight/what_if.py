"""What would have been decided under other rules.

In: a past batch by batch, the refusals that ASK still has, other rules. Out: the decisions that differ. Always: one
core lives the past as it was, one as it would have been; only commands are decided again, facts are applied as they
came. What a shopper would have done next is not invented: a cart that was refused and would fit is taken as bought at
once, or as left to expire, whichever is asked for; what later depends on such a cart is marked uncertain.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
import orjson

from holdfast._core import Engine
from holdfast.hindsight.again import Again
from holdfast.hindsight.batches import Batch
from holdfast.hindsight.commands import (
    ACCEPTED,
    command_of,
    granted,
    held_of,
    in_deficit,
    problem_of,
    put_of,
    same_place,
    units_of,
)
from holdfast.hindsight.differences import Difference, Differences, Units
from holdfast.hindsight.other_rules import OtherRules

_AS_OF = b"{}"
_AGAIN = frozenset({"insufficient-stock", "deficit"})


class Then(StrEnum):
    """What a shopper does whose cart was refused, and would have been held."""

    BUYS = "buys"
    LEAVES = "leaves"


@dataclass(slots=True)
class Refused:
    """How many refusals there were, and how many could be decided again."""

    decided: int = 0
    other_reason: int = 0
    without_cart: int = 0
    place_unclear: int = 0


@dataclass(slots=True)
class WhatIf:
    """Takes batches. `refusals`: by the sequence of LOG that their answer named, in the order in which they came."""

    was: Again
    would: Again
    rules: OtherRules
    refusals: dict[int, list[dict[str, Any]]]
    then: Then = Then.BUYS
    found: Differences = field(default_factory=Differences)
    refused: Refused = field(default_factory=Refused)
    decisions: int = 0
    _bought: set[str] = field(default_factory=set)
    _touched: set[str] = field(default_factory=set)
    _parts: dict[str, frozenset[str]] = field(default_factory=dict)

    def take(self, batch: Batch) -> None:
        """One batch, and the refusals of its time."""
        waiting = self.refusals.pop(batch.sequence, [])
        if batch.rules is not None:
            self.was.lead(batch)
            self.would.lead(batch)
            self.rules.put(self.would, batch)
        runs = list(batch.runs())
        if not (runs and runs[0].asked) and batch.rules is None:
            self._both(batch, [])
        is_rule = False
        for run in runs:
            if run.asked:
                self._asked(batch, run.facts)
                continue
            waiting = self._refused(batch, waiting, last=False)
            self.was.facts(batch, [fact for _, fact in run.facts])
            self.would.facts(batch, self.rules.kept(run.facts))
            if any(kind == "item" for kind, _ in run.facts):
                self._parts.clear()
            is_rule = True
        if self.rules.waiting and is_rule:
            self.rules.put(self.would, batch)
        self._refused(batch, waiting, last=True)

    def _both(self, batch: Batch, facts: list[msgspec.Raw]) -> None:
        self.was.facts(batch, facts)
        self.would.facts(batch, facts)

    # ---- what LOG has: it was accepted

    def _asked(self, batch: Batch, facts: list[tuple[str, msgspec.Raw]]) -> None:
        read = [(kind, orjson.loads(bytes(fact))) for kind, fact in facts]
        commands = [command_of(kind, fact) for kind, fact in read]
        open_ones = [at for at, command in enumerate(commands) if command[1] not in self._bought]
        answers = dict(zip(open_ones, self.would.decide(batch, [commands[at] for at in open_ones]), strict=True))
        self.was.facts(batch, [fact for _, fact in facts])
        for at, (kind, fact) in enumerate(read):
            known = self.found.get(fact["id"])
            if known is not None and kind in {"reservation.confirmed", "reservation.released", "reservation.cancelled"}:
                known.became = kind.removeprefix("reservation.")
            if at not in answers:
                self.found.followed += 1
                if known is not None and kind == "reservation.held":
                    known.later = units_of(fact["lines"])
                continue
            self.decisions += 1
            self._compare(batch, kind, fact, answers[at], known)

    def _compare(
        self, batch: Batch, kind: str, fact: dict[str, Any], answer: tuple[int, bytes], known: Difference | None
    ) -> None:
        accepts = answer[0] in ACCEPTED
        if kind == "reservation.held":
            if accepts:
                would = granted(answer[1], fact["lines"], partial=bool(fact.get("partial")))
            else:
                would = held_of(self.would.core, fact["id"])
            was = units_of(fact["lines"])
            self._note(_difference(batch, "put", fact, was, would, "held", problem_of(answer)))
        elif accepts == (kind != "reservation.oversold"):
            return
        elif known is not None:
            self.found.followed += 1  # it follows from what became of the cart
        else:
            units, channel = self._units(fact["id"])
            named = fact | {"channel": channel}
            if kind == "reservation.oversold":
                self._note(_difference(batch, "confirm", named, {}, units, "oversold", "oversold"))
            else:
                verb, became = command_of(kind, fact)[0], kind.removeprefix("reservation.")
                self._note(_difference(batch, verb, named, units, {}, became, problem_of(answer)))

    def _units(self, reservation: str) -> tuple[Units, str | None]:
        status, body = self.was.core.reservation(reservation, None, _AS_OF)
        read = orjson.loads(body) if status in ACCEPTED else {"lines": []}
        return units_of(read["lines"]), read.get("channel")

    # ---- what ASK has: it was refused

    def _refused(self, batch: Batch, refusals: list[dict[str, Any]], *, last: bool) -> list[dict[str, Any]]:
        """Decide those whose place this is; returns the rest. After the last place of a batch there is no rest."""
        rest = []
        for refusal in refusals:
            if refusal["reason"] not in _AGAIN or refusal["verb"] not in {"put", "confirm"}:
                self.refused.other_reason += 1
                continue
            is_put = refusal["verb"] == "put"
            body = put_of(refusal) if is_put else b"{}"
            if body is None:
                self.refused.without_cart += 1
            elif same_place(self.was.core, refusal) if is_put else in_deficit(self.was.core, refusal["reservation"]):
                self._ask(batch, refusal, body)
            elif last:
                self.refused.place_unclear += 1
            else:
                rest.append(refusal)
        return rest

    def _ask(self, batch: Batch, refusal: dict[str, Any], body: bytes) -> None:
        reservation, verb = refusal["reservation"], refusal["verb"]
        if reservation in self._bought:
            self.found.followed += 1
            return
        self.refused.decided += 1
        was = held_of(self.was.core, reservation) if verb == "put" else {}
        before = held_of(self.would.core, reservation) if verb == "put" else {}
        status, answer = self.would.decide(batch, [(verb, reservation, body, None, refusal["by"])])[0]
        would = units_of(orjson.loads(answer)["lines"]) if status in ACCEPTED else before
        named = {"id": reservation, "channel": refusal["channel"]}
        self._note(_difference(batch, verb, named, was, would, "refused", refusal["reason"]))
        if status in ACCEPTED and verb == "put" and self.then is Then.BUYS:
            self.would.decide(batch, [("confirm", reservation, b"{}", None, None)])
            self._bought.add(reservation)

    # ---- differences

    def _note(self, one: Difference) -> None:
        known = self.found.get(one.reservation)
        if one.was == one.would and known is None:
            if self._touched:
                self.found.same_after += any(self._with_parts(sku) & self._touched for sku in one.was)
            return
        skus = frozenset[str]().union(*(self._with_parts(sku) for sku in {*one.was, *one.would}))
        if known is not None:
            known.was, known.would, known.became = one.was, one.would, one.became
            known.certain = False
        else:
            one.certain = not skus & self._touched
            self.found.add(one)
        self._touched |= skus

    def _with_parts(self, sku: str) -> frozenset[str]:
        """The SKU and, of a kit, what it is made of."""
        found = self._parts.get(sku)
        if found is None:
            self._parts[sku] = frozenset({sku})  # a kit of itself ends here
            found = self._parts[sku] = frozenset({sku}).union(
                *(self._with_parts(part) for part in components(self.was.core, sku))
            )
        return found


def _difference(
    batch: Batch, verb: str, named: dict[str, Any], was: Units, would: Units, became: str, reason: str
) -> Difference:
    return Difference(named["id"], batch.sequence, batch.now_ms, named.get("channel"), verb, reason, was, would, became)


def components(core: Engine, sku: str) -> list[str]:
    """What a kit is made of; nothing for any other SKU."""
    status, body = core.sku(sku, None, _AS_OF)
    item = orjson.loads(body).get("item") if status in ACCEPTED else None
    return [part["sku"] for part in (item or {}).get("kit") or []]
