"""The oracle: holdfast's rules in plain, slow Python, to be checked by reading against docs/rules.md.

In: the same batches as `holdfast._core.Engine.decide` (clocks, commands, incoming facts, all JSON bytes). Out: the same
answers. Always holds: no cache and no running total; each question is counted again from the facts that are remembered.
It shares no code and no file with the core.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tests.support.oracle import orders as _orders
from tests.support.oracle.cart import Kept, bind_all, judge
from tests.support.oracle.documents import Seen
from tests.support.oracle.facts import take_fact
from tests.support.oracle.orders import Outcome
from tests.support.oracle.presumed import counted_late, look, presume
from tests.support.oracle.returns import settle_returns
from tests.support.oracle.sellable import promise, sellable
from tests.support.oracle.world import Cell, Reservation, World

__all__ = ["Answer", "Oracle", "Received"]

_Plain = tuple[str, str, bytes, tuple[str, ...] | None, str | None]
_Keyed = tuple[
    str, str, bytes, tuple[str, ...] | None, str | None, str | None
]  # the last: an idempotency key, used once
Command = _Plain | _Keyed
Received = tuple[int, int, list[tuple[int, str]]]


@dataclass
class Answer:
    """What a command got: the status, the problem's name if it is one, and the body that a client would compare."""

    status: int
    problem: str | None
    body: dict[str, Any]


def settle(world: World, by_level: Cell | None = None) -> None:
    """After every change, of a level of that cell or another. What arrived is presumed, and units bind to what is
    there, until neither changes anything.
    """
    counted_late(world, by_level)
    settle_returns(world)
    while True:
        while counted_late(world) | presume(world):
            pass
        bind_all(world)
        if not counted_late(world):
            return


@dataclass
class Outcomes:
    """What came of the accepted facts of a message."""

    ignored: list[tuple[int, str]]  # index, reason
    created: list[str]  # names that were unknown until now


class Oracle:
    def __init__(self, **rules: Any) -> None:
        self.outcomes: list[Outcomes] = []  # of the messages of the last batch
        self.world = World(rules=rules)

    # --- what changes it ----------------------------------------------------------------------------------------------

    def batch(
        self, now_ms: int, lead_ms: int, commands: list[Command], incoming: list[tuple[int, str, bytes]]
    ) -> tuple[list[Answer], list[Received], bool]:
        """(answers, received, whether anything was stored). Without anything to store the clocks stay, too."""
        world = self.world
        clocks = world.now_ms, world.lead_ms
        world.now_ms, world.lead_ms = max(now_ms, world.now_ms), max(lead_ms, world.lead_ms)
        self.outcomes = []
        expired = _orders.expire(world)
        stored = bool(incoming) or expired > 0
        look(world)
        settle(world)
        answers = []
        for command in commands:
            before = repr(world)
            answers.append(self._obey(*command[:3]))
            stored = stored or repr(world) != before
        received = [self._take(*message) for message in incoming]
        if not stored:
            world.now_ms, world.lead_ms = clocks
        return answers, received, stored

    def _take(self, sequence: int, subject: str, payload: bytes) -> Received:
        message = json.loads(payload, parse_float=str)
        before = copy.deepcopy(self.world) if message.get("atomic") else None
        rejected, outcome = self._judge(message.get("source") or subject.rsplit(".", 1)[-1], message["facts"])
        if before is not None and rejected:
            self.world, reasons = before, dict(rejected)
            rejected = [(index, reasons.get(index, "atomic")) for index in range(len(message["facts"]))]
            outcome = Outcomes([], [])
        self.outcomes.append(outcome)
        return sequence, len(message["facts"]) - len(rejected), rejected

    def _judge(self, source: str, facts: list[dict[str, Any]]) -> tuple[list[tuple[int, str]], Outcomes]:
        """Each fact sees the ones before it. Which are rejected, and what came of the others."""
        world, seen = self.world, Seen()
        rejected: list[tuple[int, str]] = []
        outcome = Outcomes([], [])
        for index, fact in enumerate(facts):
            known = set(world.items)
            by_level = None
            look(world)
            reason = take_fact(world, source, fact, seen)
            if fact["kind"] == "stock.level" and reason is None:
                by_level = world.sku(fact["sku"]) or fact["sku"], fact["location"]
            settle(world, by_level)
            if reason is not None:
                rejected.append((index, reason))
            elif world.ignored is not None:
                outcome.ignored.append((index, world.ignored))
            outcome.created += sorted(set(world.items) - known)
        return rejected, outcome

    def dry_run(self, source: str, facts: list[dict[str, Any]]) -> list[tuple[int, str]]:
        """Which would be rejected; nothing changes."""
        before = copy.deepcopy(self.world)
        rejected, _ = self._judge(source, facts)
        self.world = before
        return rejected

    def _obey(self, verb: str, name: str, payload: bytes) -> Answer:
        world, body = self.world, json.loads(payload) if payload else {}
        look(world)
        if verb == "put":
            outcome = _orders.put(world, name, body)
        elif name not in world.reservations:
            outcome = (404, "unknown-reservation", None)
        else:
            outcome = self._change(verb, world.reservations[name], body)
        if outcome[1] is not None:
            look(world)
        settle(world)
        answer = self._answer(name, outcome)
        if (verb, answer.problem) == ("put", "reservation-closed"):
            answer.body["state"] = self.state(name)
        return answer

    def _change(self, verb: str, reservation: Reservation, body: dict[str, Any]) -> Outcome:
        if verb == "confirm":
            return _orders.confirm(self.world, reservation, body.get("order_ref"))
        if verb == "release":
            return _orders.release(self.world, reservation)
        if verb == "cancel":
            return _orders.cancel(self.world, reservation)
        if verb == "extend":
            return _orders.extend(self.world, reservation, body["ttl_ms"])
        return _orders.fulfil(self.world, reservation, body["lines"])

    def _answer(self, name: str, outcome: Outcome) -> Answer:
        status, problem, verdicts = outcome
        if problem is None:
            return Answer(status, None, self.reservation(name))
        return Answer(status, problem, {"lines": [v.shown() for v in verdicts]} if verdicts is not None else {})

    # --- questions ----------------------------------------------------------------------------------------------------

    def sellable(self, sku: str, channel: str, region: str | None = None) -> tuple[int, bool, str | None]:
        """(sellable, unlimited, reason)."""
        name = self.world.sku(sku)
        if name is None:
            return 0, False, "unknown-sku"
        if self.region_missing(channel, region):
            return 0, False, "region-needed"
        return sellable(self.world, name, channel, region)

    def promise(self, sku: str, channel: str, region: str | None, quantity: int) -> date | None:
        name = self.world.sku(sku)
        return promise(self.world, name, channel, region, quantity) if name else None

    def region_missing(self, channel: str, region: str | None) -> bool:
        return self.world.channel(channel).regional == "require" and region is None

    def validate(self, payload: bytes) -> dict[str, Any] | None:
        """The cart check; None where the channel needs a region. The owner's holds on that channel do not count."""
        body = json.loads(payload)
        channel, region, owner = body["channel"], body.get("region"), body.get("owner")
        if self.region_missing(channel, region):
            return None
        others = self.world.reservations
        self.world.reservations = {
            name: r
            for name, r in others.items()
            if owner is None or (r.owner, r.channel, r.phase) != (owner, channel, "held")
        }
        verdicts = judge(self.world, channel, region, body["lines"], Kept([], Counter()))
        self.world.reservations = others
        return {"ok": all(v.ok for v in verdicts), "lines": [v.shown() for v in verdicts]}

    def state(self, name: str) -> str:
        return _orders.state_of(self.world, self.world.reservations[name])

    def reservation(self, name: str) -> dict[str, Any]:
        """The reservation as a client sees it, but for its version and sequence, and with the owner as it was sent."""
        world, r = self.world, self.world.reservations[name]
        view: dict[str, Any] = {
            "id": r.id,
            "state": self.state(name),
            "channel": r.channel,
            "owner": r.owner,
            "order_ref": r.order_ref,
            "expires_at": None,
            "lines": [self._line(r, number) for number in range(len(r.lines))],
        }
        if r.superseded_by is not None:
            view["superseded_by"] = r.superseded_by
        if r.phase == "held":
            ends = world.now_ms + r.expires_lead - world.lead_ms
            view["expires_at"] = datetime.fromtimestamp(ends / 1000, tz=UTC).isoformat(timespec="milliseconds")
        return view

    def figures(self, name: str) -> dict[str, tuple[int, int, int, int]]:
        """Of each base SKU of an order: units open, fulfilled, of those back, and unsourced."""
        reservation, back = self.world.reservations[name], settle_returns(self.world)
        found = {sku: (0, 0, 0, 0) for line in reservation.lines for sku in line.parts}
        for unit in reservation.units:
            opened, fulfilled, returned, unsourced = found[unit.sku]
            here = (unit.open, not unit.open, id(unit) in back, unit.open and unit.node is None)
            found[unit.sku] = (opened + here[0], fulfilled + here[1], returned + here[2], unsourced + here[3])
        return found

    def _line(self, reservation: Reservation, number: int) -> dict[str, Any]:
        line = reservation.lines[number]
        totals: dict[tuple[str, str, str], int] = {}
        for unit in reservation.units:
            if unit.line == number and unit.node is not None:
                line_of = self.world.supplies[unit.node.supply] if unit.node.supply else None
                due = line_of.due.isoformat() if line_of is not None and line_of.due is not None else ""
                key = (unit.sku if line.kits else "", unit.node.location, due)
                totals[key] = totals.get(key, 0) + 1
        allocations = []
        for (sku, location, due), quantity in totals.items():
            allocation: dict[str, Any] = {"location": location, "quantity": quantity}
            allocations.append(allocation | ({"sku": sku} if sku else {}) | ({"due": due} if due else {}))
        return {"sku": line.sku, "quantity": line.quantity, "allocations": allocations}
