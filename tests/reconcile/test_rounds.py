"""Systems that change while they are compared: without a fault nothing is found, in any order of what is on its way; a
fault among all that is found, by its type.
"""

import asyncio
import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from holdfast.erp.interface import Document
from holdfast.reconcile.cells import ErpCell, HeldCell, LastStated, Watch, judge_cell, same
from holdfast.reconcile.findings import Compared, Difference, Found
from holdfast.reconcile.orders import OrderView, OrderWatch, Queued, agrees, judge_order
from holdfast.reconcile.rounds import Verdict, compare

SKUS = "ABC"
EXAMPLES = 300


def difference(one: str, found: Found) -> Difference:
    return Difference(
        id=one,
        pair="erp-holdfast",
        what="level",
        type=found.type,
        connection="e",
        sku=one,
        figures={},
        evidence=list(found.evidence),
        advice="",
    )


def summary() -> Compared:
    return Compared(pair="erp-holdfast", what="level", connection="e")


# ---- levels


@dataclass
class Cells:
    """An ERP whose stock changes, a connection in the middle of its turns, and what has arrived of it.

    `quiet` cells do not change by themselves: a fault is planted there.
    """

    choose: random.Random
    erp: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(SKUS, 5))
    held: dict[str, HeldCell] = field(default_factory=lambda: {sku: HeldCell(5, 0, 1) for sku in SKUS})
    last: dict[str, LastStated] = field(default_factory=lambda: {sku: LastStated(5, 0, 1) for sku in SKUS})
    changed: set[str] = field(default_factory=set)
    quiet: set[str] = field(default_factory=set)
    clock: int = 1
    turn: list[str] | None = None
    as_of: int = 0
    turns: int = 0

    def change(self) -> None:
        sku = self.choose.choice(SKUS)
        if sku not in self.quiet:
            self.erp[sku] = self.choose.randrange(4, 7)
            self.changed.add(sku)

    def work(self) -> None:
        """One step of the connection: it begins a turn, states one level, or ends the turn."""
        self.clock += 1
        if self.turn is None:
            self.as_of, self.turn = self.clock, sorted(self.changed)
            self.changed.clear()
        elif self.turn:
            sku = self.turn.pop()
            on_hand = self.erp[sku]
            assert on_hand is not None
            self.held[sku] = HeldCell(on_hand, 0, self.as_of)
            self.last[sku] = LastStated(on_hand, 0, self.as_of)
        else:
            self.turn, self.turns = None, self.turns + 1

    def steps(self) -> None:
        for _ in range(self.choose.randrange(4)):
            (self.change if self.choose.random() < 0.5 else self.work)()

    # ---- as a Comparison

    async def read(self, only: Collection[str] | None) -> tuple[dict[str, ErpCell | None], dict[str, HeldCell]]:
        erp: dict[str, ErpCell | None] = {}
        held: dict[str, HeldCell] = {}
        for part in ("held", "erp"):
            for sku in only or SKUS:
                self.steps()
                on_hand = self.erp[sku]
                if part == "held":
                    held[sku] = self.held[sku]
                else:
                    erp[sku] = None if on_hand is None else ErpCell(on_hand, 0, self.clock)
        return erp, held

    def differing(self, reading: tuple[dict[str, ErpCell | None], dict[str, HeldCell]]) -> Iterable[str]:
        return [sku for sku in SKUS if not same(reading[0][sku], reading[1][sku], is_whole=True)]

    def at_once(self, _: object) -> list[Difference]:
        return []

    async def settle(self) -> Watch:
        upto = self.turns + (1 if self.turn is None else 2)
        while self.turns < upto:
            self.steps()
        return Watch(passed=True, clock=self.clock)

    def judge(
        self,
        one: str,
        before: tuple[dict[str, ErpCell | None], dict[str, HeldCell]],
        after: tuple[dict[str, ErpCell | None], dict[str, HeldCell]],
        watch: Watch,
    ) -> Verdict:
        erp, held = (before[0][one], after[0][one]), (before[1][one], after[1][one])
        found = judge_cell(erp, held, self.last.get(one), watch, is_whole=True)
        return difference(one, found) if isinstance(found, Found) else found

    def summary(self, *_: object) -> Compared:
        return summary()


@tries(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_levels_that_are_on_their_way_are_no_difference(seed: int) -> None:
    cells = Cells(random.Random(seed))
    for _ in range(6):
        cells.steps()
    _, found = asyncio.run(compare(cells))
    assert found == []


@pytest.mark.parametrize("fault", ["missing-event", "manual-edit", "deleted-sku", "never-arrived", "refused"])
@tries(max_examples=EXAMPLES // 5, deadline=None)
@given(seed=st.integers(0, 2**32), sku=st.sampled_from(SKUS))
def test_a_fault_among_levels_that_move_is_found_by_its_type(fault: str, seed: int, sku: str) -> None:
    cells = Cells(random.Random(seed), quiet={sku})
    wanted = "missing-event" if fault in {"never-arrived", "refused"} else fault
    match fault:
        case "missing-event":
            cells.erp[sku] = 9
        case "manual-edit":
            cells.held[sku] = HeldCell(9, 0, 1_000_000)
        case "deleted-sku":
            cells.erp[sku] = None
        case "never-arrived":
            cells.erp[sku], cells.last[sku] = 9, LastStated(9, 0, 2)
        case _:
            cells.erp[sku], cells.last[sku] = 9, LastStated(9, 0, 2, "unknown-location")
    for _ in range(6):
        cells.steps()
    _, found = asyncio.run(compare(cells))
    assert [(one.sku, one.type) for one in found] == [(sku, wanted)]


@tries(max_examples=EXAMPLES, deadline=None)
@given(erp=st.floats(0, 100, allow_nan=False), on_hand=st.integers(-5, 100), moment=st.integers(0, 3))
def test_a_connection_that_does_not_run_makes_it_late_and_nothing_else(erp: float, on_hand: int, moment: int) -> None:
    cell, held = ErpCell(erp, 0, 9), HeldCell(on_hand, 0, moment)
    found = judge_cell(
        (cell, cell), (held, held), LastStated(on_hand, 0, moment), Watch(passed=False, clock=3), is_whole=True
    )
    assert found == "agrees" if int(erp) == on_hand else isinstance(found, Found)
    if isinstance(found, Found):
        assert found.type == "late"


# ---- orders


@dataclass
class Order:
    state: str = "committed"
    published: bool = False
    queued: Queued | None = None
    document: str = ""
    cancelled_published: bool = False

    def view(self, which: str) -> object:
        if which == "holdfast":
            return self.state
        return self.document if which == "erp" else self.queued


@dataclass
class Orders:
    """Orders that are confirmed, published, queued, exported, acknowledged and cancelled, one step at a time."""

    choose: random.Random
    orders: dict[str, Order] = field(default_factory=dict)
    quiet: set[str] = field(default_factory=set)
    turn: list[str] | None = None
    turns: int = 0

    def happen(self) -> None:
        key = self.choose.choice("XYZ")
        one = self.orders.setdefault(key, Order())
        if key in self.quiet:
            return
        if self.choose.random() < 0.3 and one.state in {"committed", "in_erp"}:
            one.state = "cancelled"
        elif not one.published:
            one.published = True
        elif one.state == "cancelled" and not one.cancelled_published:
            one.cancelled_published = True
        else:
            self._connect(one)

    def _connect(self, one: Order) -> None:
        """What the connection does with it, beside its turns."""
        queued = one.queued
        if queued is None:
            one.queued = Queued("waiting", "export")
        elif one.cancelled_published and queued.wish == "export":
            state = "cancelled" if queued.state == "waiting" else queued.state
            one.queued = Queued(state, "cancel")
        elif queued.state == "waiting":
            one.queued = Queued("unclear", queued.wish)
        elif queued.state == "unclear":
            one.document = one.document or "open"
            one.queued = Queued("exported", queued.wish)
        elif queued.wish == "cancel" and queued.state != "cancelled":
            if one.document == "open":
                one.document = "cancelled"
            else:
                one.queued = Queued("cancelled", "cancel")

    def work(self) -> None:
        """One step of a turn: the states of what is there are read, and acknowledged."""
        if self.turn is None:
            self.turn = sorted(self.orders)
        elif self.turn:
            one = self.orders[self.turn.pop()]
            if one.document == "open" and one.state == "committed" and one.queued is not None:
                one.state = "in_erp"
                if one.queued.state == "exported":
                    one.queued = Queued("acknowledged", one.queued.wish)
        else:
            self.turn, self.turns = None, self.turns + 1

    def steps(self) -> None:
        for _ in range(self.choose.randrange(5)):
            (self.happen if self.choose.random() < 0.6 else self.work)()

    async def read(self, only: Collection[str] | None) -> dict[str, OrderView]:
        keys = sorted(self.orders if only is None else only)
        parts: dict[str, dict[str, object]] = {}
        for part in ("holdfast", "erp", "queue"):
            self.steps()
            parts[part] = {key: self.orders[key].view(part) for key in keys}
        return {key: self._view(*(parts[part][key] for part in ("holdfast", "erp", "queue"))) for key in keys}

    def _view(self, state: object, document: object, queued: object) -> OrderView:
        assert isinstance(state, str)
        assert queued is None or isinstance(queued, Queued)
        units = {} if state == "cancelled" else {"A": 1}
        numbers = {
            "": (),
            "open": (Document("k", "S1", "r", "paris", "open", {"A": 1}),),
            "cancelled": (Document("k", "S1", "r", "paris", "cancelled", {}),),
            "twice": tuple(Document("k", f"S{at}", "r", "paris", "open", {"A": 1}) for at in (1, 2)),
            "changed": (Document("k", "S1", "r", "paris", "open", {"A": 2}),),
        }
        return OrderView(state, units, numbers[str(document)], queued)

    def differing(self, reading: dict[str, OrderView]) -> Iterable[str]:
        return [key for key, view in reading.items() if not agrees(view)]

    def at_once(self, _: object) -> list[Difference]:
        return []

    async def settle(self) -> OrderWatch:
        """Events of now are published and read; then a whole turn is taken."""
        for one in self.orders.values():
            if self.orders and one.state != "lost":
                one.published = True
                if one.queued is None and not any(self.orders[key] is one for key in self.quiet):
                    self._connect(one)
                one.cancelled_published |= one.state == "cancelled"
        upto = self.turns + (1 if self.turn is None else 2)
        while self.turns < upto:
            self.steps()
        return OrderWatch(passed=True)

    def judge(self, one: str, before: dict[str, OrderView], after: dict[str, OrderView], watch: OrderWatch) -> Verdict:
        found = judge_order(before[one], after[one], watch)
        return difference(one, found) if isinstance(found, Found) else found

    def summary(self, *_: object) -> Compared:
        return summary()


@tries(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_orders_that_are_on_their_way_are_no_difference(seed: int) -> None:
    orders = Orders(random.Random(seed))
    for _ in range(8):
        orders.steps()
    _, found = asyncio.run(compare(orders))
    assert found == []


@pytest.mark.parametrize(
    ("planted", "wanted"),
    [
        (Order(published=True), "missing-event"),
        (Order(published=True, queued=Queued("parked", "export", 8, "no product")), "not-counted-yet"),
        (Order(published=True, queued=Queued("acknowledged", "export")), "missing-event"),
        (Order(published=True, queued=Queued("acknowledged", "export"), document="cancelled"), "missing-event"),
        (Order("in_erp", published=True, queued=Queued("acknowledged", "export"), document="twice"), "duplicate"),
        (Order("in_erp", published=True, queued=Queued("acknowledged", "export"), document="changed"), "manual-edit"),
        (Order("cancelled", published=True, document="open"), "missing-event"),
        (Order("cancelled", queued=Queued("cancelled", "cancel"), document="open"), "manual-edit"),
    ],
)
@tries(max_examples=EXAMPLES // 10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_fault_among_orders_that_move_is_found_by_its_type(planted: Order, wanted: str, seed: int) -> None:
    one = Order(planted.state, planted.published, planted.queued, planted.document)
    orders = Orders(random.Random(seed), {"Q": one}, quiet={"Q"})
    for _ in range(8):
        orders.steps()
    _, found = asyncio.run(compare(orders))
    assert [(each.sku, each.type) for each in found] == [("Q", wanted)]


def test_an_order_whose_key_nobody_knows_is_unknown_and_parts_of_units_are_rounding() -> None:
    stray = OrderView(None, {}, (Document("k", "S1", "r", "paris", "open", {"A": 1}),), None)
    found = judge_order(stray, stray, OrderWatch(passed=True))
    assert isinstance(found, Found)
    assert found.type == "unknown"
    assert same(ErpCell(2.5, 0, 1), HeldCell(2, 0, 1), is_whole=True)
