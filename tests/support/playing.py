"""Plays random histories: tells the core and the oracle the same, compares after each batch, notes what it met.

In: `Pick`, which decides what happens. Out: the history played; `History.reached` counts the deep states on the way and
the kinds of facts that LOG got. Always: the digest is proven after each batch, also in an engine that forgets early.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, ClassVar

from tests.support import commands, histories, supply_histories
from tests.support.digests import Forgetful
from tests.support.histories import Pick
from tests.support.oracle import Command
from tests.support.oracle.beside import NOON, Beside
from tests.support.oracle.orders import state_of
from tests.support.oracle.presumed import may_arrive
from tests.support.oracle.sellable import arrival, hole, inside, oversell_rule
from tests.support.oracle.world import Node, Reservation, Unit, World
from tests.support.order_histories import ORDER_FACTS, ack_of_units, shipment_of_units
from tests.support.retell import Read
from tests.support.supply_histories import SOURCE_FACTS, SUPPLY_FACTS

KIND = re.compile(rb'"kind":"([a-z._]+)"')
EVERY_FACT = [*histories.STOCK_FACTS, *SUPPLY_FACTS, *ORDER_FACTS, *histories.POLICY_FACTS, *SOURCE_FACTS]


class History:
    """One history: tells the core and the oracle what `pick` decides, compares, and notes what it came across."""

    reached: ClassVar[Counter[str]] = Counter()

    def __init__(self, *, compare: bool = True) -> None:
        """`compare`: every sellable and every reservation with the oracle after each step, else only the answers."""
        self.beside = Beside(renewals_max=2)
        self.forgetful = Forgetful(NOON)
        self.compare = compare
        self.keys = 0
        self.batches = 0
        self.step = 0
        self.read: Read | None = None  # the last question, to be asked again when the history is played again

    def opening(self, pick: Pick, shop: Callable[..., list[histories.Fact]] = histories.opening) -> None:
        self.told(histories.first_facts(), [])
        world = self.beside.oracle.world
        supplies = [supply_histories.supply(pick, world, 0) for _ in range(pick.between(0, 2))]
        self.told([*supplies, *shop(pick, world, 0)], [])

    def facts(self, pick: Pick, kinds: list[histories.Facts]) -> None:
        self.together(pick, kinds, [], 1, 0)

    def ask(self, pick: Pick, verbs: list[commands.Asks]) -> None:
        self.together(pick, [], verbs, 0, 1)

    def buy(self, pick: Pick) -> None:
        self.step += 1
        self.told([], commands.buy(pick, self.beside.oracle.world, self.step * 10))

    def backorder(self, pick: Pick) -> None:
        self.step += 1
        self.told([], commands.backorder(pick, self.beside.oracle.world, self.step * 10))

    def supply_ends(self, pick: Pick) -> None:
        self.step += 1
        self.told(supply_histories.supply_ends(pick, self.beside.oracle.world, self.step), [])

    def goods_arrive(self, pick: Pick) -> None:
        self.step += 1
        self.told(supply_histories.goods_arrive(pick, self.beside.oracle.world, self.step), [])

    def catch_up(self, pick: Pick) -> None:
        self.step += 1
        self.told(histories.catching_up(pick, self.beside.oracle.world, self.step), [])

    def together(
        self, pick: Pick, kinds: list[histories.Facts], verbs: list[commands.Asks], facts: int, asks: int
    ) -> None:
        """Several in one batch; commands of one group see each other."""
        self.step += 1
        world = self.beside.oracle.world
        some_facts = [pick.one(kinds)(pick, world, self.step) for _ in range(facts)]
        some_asks = [pick.one(verbs)(pick, world, self.step * 10 + number) for number in range(asks)]
        self.told(some_facts, some_asks)

    def told(self, facts: list[histories.Fact], asks: list[commands.Ask]) -> None:
        """One batch; every other time facts of one source that follow each other are one message, sometimes atomic."""
        incoming = []
        self.batches += 1
        for source, bodies in one_by_one(facts) if self.batches % 2 else together(facts):
            self.beside.in_sequence += 1
            atomic = {"atomic": True} if self.batches % 4 == 0 else {}
            payload = json.dumps({"source": source, "facts": bodies, **atomic, **self.identified(bodies)}).encode()
            incoming.append((self.beside.in_sequence, f"hf.main.in.erp.{source}", payload))
        asked: list[Command] = [
            (verb, name, json.dumps(body).encode() if body else b"", None, None, self.key())
            for verb, name, body in asks
        ]
        self.watched(lambda: self.note_answers(*self.beside.tell(asked, incoming)))

    def key(self) -> str | None:
        """An idempotency key for every third request."""
        self.keys += 1
        return f"key-{self.keys}" if self.keys % 3 == 0 else None

    def identified(self, body: list[dict[str, Any]]) -> dict[str, Any]:
        """The same for a message of facts, which carries hashes."""
        key = self.key()
        if key is None:
            return {}
        hashes = [hashlib.md5(text.encode()).hexdigest() for text in (key, repr(body))]
        return {"idempotency": {"root": hashes[0], "key": hashes[0], "request": hashes[1]}}

    def wait(self, pick: Pick) -> None:
        lead_ms, days = pick.one([0, 500, 1_000, 1_000, 20_000]), pick.one([0, 0, 0, 1, 2])
        self.watched(lambda: self.beside.wait(lead_ms, days))

    def again(self, pick: Pick) -> None:
        """A late duplicate: some earlier batch, as it was, a second time."""
        _, _, asked, incoming = pick.one(self.beside.told[1:])
        self.step += 1
        # Under its key nothing would be decided or taken a second time.
        asked = [command[:5] for command in asked]
        incoming = [(n, subject, without_key(payload)) for n, subject, payload in incoming]
        late = [(self.beside.in_sequence + n, subject, body) for n, (_, subject, body) in enumerate(incoming, start=1)]
        self.beside.in_sequence += len(late)
        self.watched(lambda: self.note_answers(*self.beside.tell(asked, late)))

    def cart_check(self, pick: Pick) -> None:
        """What the check says of a cart is what a hold of the same lines gets; with `owner`, one that supersedes."""
        body = commands.cart(pick, self.beside.oracle.world)
        if not self.compare:
            return
        body["lines"] = [{"sku": line["sku"], "quantity": line["quantity"]} for line in body["lines"]]
        self.read = lambda beside: beside.same_cart_check(body)
        checked = self.beside.same_cart_check(body)
        if self.beside.oracle.region_missing(body["channel"], body.get("region")):
            return
        answer = self.beside.fork().command("put", "what-if", ttl_ms=1_000, supersede="owner" in body, **body)
        assert (answer.status == 201) == checked["ok"]
        if answer.status == 409:
            assert answer.body["lines"] == checked["lines"]

    def promise(self, pick: Pick) -> None:
        sku, name, quantity = pick.one(histories.SKUS), pick.one(histories.CHANNELS), pick.between(1, 12)
        region = "FR" if self.beside.oracle.world.channel(name).regional == "require" else None
        if not self.compare:
            return
        self.read = lambda beside: beside.same_promise(sku, name, region, quantity)
        self.read(self.beside)

    def moves(self, pick: Pick) -> list[Callable[[], None]]:
        """What may happen next; what is named twice happens more often."""
        return [
            lambda: self.facts(pick, [histories.stock_level]),
            lambda: self.facts(pick, [*histories.STOCK_FACTS, supply_histories.supply]),
            lambda: self.facts(pick, SUPPLY_FACTS),
            lambda: self.facts(pick, ORDER_FACTS),
            lambda: self.facts(pick, [ack_of_units, shipment_of_units]),
            lambda: self.facts(pick, histories.POLICY_FACTS),
            lambda: self.ask(pick, commands.COMMANDS),
            lambda: self.ask(pick, [commands.put]),
            lambda: self.ask(pick, [commands.confirm]),
            lambda: self.buy(pick),
            lambda: self.backorder(pick),
            lambda: self.supply_ends(pick),
            lambda: self.goods_arrive(pick),
            lambda: self.facts(pick, SOURCE_FACTS),
            lambda: self.catch_up(pick),
            lambda: self.wait(pick),
            lambda: self.again(pick),
            lambda: self.together(pick, EVERY_FACT, commands.COMMANDS, pick.between(0, 3), pick.between(0, 3)),
        ]

    # --- watching -----------------------------------------------------------------------------------------------------

    def watched(self, action: Callable[[], None]) -> None:
        world = self.beside.oracle.world
        before, batches = snapshot(world), len(self.beside.batches)
        action()
        self.forgetful.tell(self.beside.told[-1])
        for batch in self.beside.batches[batches:]:
            self.reached.update(f"kind {kind.decode()}" for kind in KIND.findall(batch))
        self.reached.update({*what_is_sold(world), *what_happened(world, before)})
        if self.compare:
            self.beside.same_everywhere()
            self.reached.update({*what_is_deep(world), *what_is_arriving(world)})

    def note_answers(self, answers: list[Any], received: list[Any]) -> None:
        self.reached.update(f"{answer.status} {answer.problem}" for answer in answers if answer.problem is not None)
        self.reached.update("a closed hold said so" for answer in answers if answer.problem and "state" in answer.body)
        self.reached.update(f"rejected {reason}" for _, _, rejected in received for _, reason in rejected)


def one_by_one(facts: list[histories.Fact]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(source, [body]) for source, body in facts]


def together(facts: list[histories.Fact]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Runs of facts of one source."""
    return [(source, [body for _, body in run]) for source, run in groupby(facts, key=itemgetter(0))]


def without_key(payload: bytes) -> bytes:
    """A message of facts as one that was sent under no idempotency key."""
    return json.dumps({name: part for name, part in json.loads(payload).items() if name != "idempotency"}).encode()


def snapshot(world: World) -> tuple[dict[int, Any], dict[str, str], dict[str, int]]:
    nodes = {id(unit): unit.node for r in world.reservations.values() for unit in r.units}
    return nodes, {r.id: r.phase for r in world.reservations.values()}, dict(world.counts)


def portion(r: Reservation, unit: Unit, node: Node | None = None) -> str:
    """What kind of portion a unit is in, or was in while it was at `node`."""
    node = node or unit.node
    place = "unsourced" if node is None else "on supply" if node.supply else "on hand"
    return f"{'of a kit' if histories.KITS.get(r.lines[unit.line].sku) else 'loose'} {place}"


def what_is_sold(world: World) -> Iterator[str]:
    """The kinds of portions that there are, and by which policy those beyond any node were sold."""
    for r in world.reservations.values():
        for unit in r.units:
            yield f"{r.phase}, {portion(r, unit)}"
            if unit.node is None:
                rule = oversell_rule(world, r.channel, unit.sku)
                yield f"unsourced, oversell {world.oversells[rule][0] if rule else 'none'}"


def what_is_deep(world: World) -> Iterator[str]:
    """What is remarkable about the world as it is."""
    refs = Counter(r.order_ref for r in world.reservations.values() if r.order_ref)
    for r in world.reservations.values():
        yield f"state {state_of(world, r)}"
        if r.superseded_by:
            yield "superseded"
        if r.body["partial"] and r.phase == "held":
            yield "partial hold"
        if r.order_ref is not None and refs[r.order_ref] > 1:
            yield "order twice under one ref"
        for line in r.lines:
            if line.sku == "KK" and line.quantity:
                yield "kit of kits sold"
            if any(kit != line.sku and epoch is not None for kit, epoch in line.caps.items()):
                yield "cap of an inner kit used"
        for unit in r.units:
            if unit.own is not None:
                yield "sold on own allocation" if unit.node else "unsourced on own allocation"
            if unit.cap is not None:
                yield "cap used"
            if unit.shipped is not None and not inside(world, unit):
                yield "deducted though shipped"
            if unit.node and unit.node.supply:
                yield "bound to a transfer" if world.supplies[unit.node.supply].transfer else "bound to supply"
            if unit.known_to:
                yield "a unit that the new owner counts"
            yield from what_is_said(unit)
    if world.waiting:
        yield "an ack or update waits for its order"
    if any(hole(world, s.sku, s.location) for s in world.supplies.values() if arrival(world, s)):
        yield "hole filled by supply"


def what_is_arriving(world: World) -> Iterator[str]:
    """What is remarkable about what is on its way, and about what arrived."""
    for line in world.supplies.values():
        if any(off.quantity for off in world.off.get(line.key, [])):
            yield "units off their line by a receipt"
        if line.transfer:
            yield f"a transfer {'on its way' if line.status == 'open' else line.status}"
        if line.presumed:
            yield "a transfer presumed to have arrived" if line.transfer else "a line presumed to have arrived"
        if line.as_of is None and line.stated is None:
            yield "a line whose moment is forgotten"
    if any(key not in world.supplies for key, off in world.off.items() if off):
        yield "a receipt of a line that nobody stated"
    for document in world.identities.values():
        if document.left is not None and document.body["status"] == "received":
            yield (
                "a transfer received in part" if document.left[1] != document.body["quantity"] else "a transfer arrived"
            )
    for cell, known in world.growths.items():
        lines = [line for line in may_arrive(world, cell) if world.room(line)]
        for rise in known.rises:
            if rise.units > 0:
                yield "a rise that no line explains" if lines else "a rise that waits for a line"
            elif rise.units < 0 and lines:
                yield "a level that fell beside open supply"
        if any(lowered.quantity for lowered in known.lowered):
            yield "a line lowered before a level showed it"
        if known.brought:
            yield "brought by a movement since the level"
    for (_, name), level in world.levels.items():
        if level.reset:
            yield "a level that waits after a reset"
        elif world.locations[name].former and level.source == world.locations[name].owner:
            yield "a level of a new owner"


def what_is_said(unit: Unit) -> Iterator[str]:
    """What is remarkable about where the sources have a unit."""
    for watch in unit.watches.values():
        if watch.late:
            yield "an older ack or shipment arrived later"
        if unit.node and unit.node.supply and watch.named:
            yield "acknowledged where its supply comes"
    if unit.set_aside:
        yield "an ack of another place waits while shipped"


def what_happened(world: World, before: tuple[dict[int, Any], dict[str, str], dict[str, int]]) -> Iterator[str]:
    """What is remarkable about the last step."""
    nodes, phases, counts = before
    for r in world.reservations.values():
        if r.phase == "confirmed" and phases.get(r.id) in ("expired", "released", "oversold"):
            yield "late confirm"
        for unit in r.units:
            was = nodes.get(id(unit), unit.node)
            if was is None and unit.node is not None:
                yield "unsourced unit has a node"
            elif was is not None and was.supply and unit.node != was:
                yield f"supply {world.supplies[was.supply].status}, {portion(r, unit, was)}"
            if was is not None and was.supply and unit.node is None:
                yield "supply-bound unit unsourced again"
            elif was is not None and was.supply and unit.node and not unit.node.supply:
                yield "supply-bound unit on the shelf"
                if unit.shipped and was.location == unit.node.location and world.supplies[was.supply].status == "open":
                    yield "shipped from where its supply comes"
            elif was is not None and unit.node and was.location != unit.node.location:
                yield "moved elsewhere by an ack or a shipment"
    for name, count in world.counts.items():
        if count > counts.get(name, 0):
            yield f"counted {name}"
