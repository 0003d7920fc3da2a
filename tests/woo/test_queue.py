"""Pushing, without a shop: the newest value wins, whatever becomes of single writes."""

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.woo.pace import Pace
from holdfast.woo.queue import ABSENT, NOTHING_WRITTEN, REFUSED, PushQueue, Standing, Value
from holdfast.woo.stores import Pacing

DOUBT_S = 60.0


class Shop:
    """What a shop does with writes: at once, never, or late, after the caller has given up."""

    def __init__(self, queue: PushQueue, seed: int) -> None:
        self.queue = queue
        self.random = random.Random(seed)
        self.stock: dict[str, int] = {}
        self.late: list[tuple[float, str, int]] = []
        self.writes: Counter[tuple[str, int]] = Counter()
        self.now_s = 0.0

    def serve(self, trouble: float) -> bool:
        while self.late and self.late[0][0] <= self.now_s:
            _, sku, quantity = self.late.pop(0)
            self.stock[sku] = quantity
        batch = self.queue.take(self.random.randint(1, 4), self.now_s)
        if batch is None:
            return False
        for sku, value in batch.values.items():
            if sku in batch.look and self.stock.get(sku) == value.quantity:
                self.queue.done(sku, wrote=False)
            elif self.random.random() >= trouble:
                self.stock[sku] = value.quantity
                self.writes[sku, value.quantity] += 1
                self.queue.done(sku, wrote=True)
            else:
                self._fail(sku, value.quantity)
        return True

    def _fail(self, sku: str, quantity: int) -> None:
        kind = self.random.choice(["refused", "lost", "answer-lost", "late"])
        if kind == "answer-lost":
            self.stock[sku] = quantity
        elif kind == "late":
            self.late.append((self.now_s + self.random.uniform(0, DOUBT_S - 1), sku, quantity))
            self.late.sort()
        if kind == "refused":
            self.queue.failed(sku, self.now_s)
        else:
            self.queue.unanswered(sku, self.now_s)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 1 << 32), st.floats(0, 0.8))
def test_the_shop_comes_to_the_newest_values_whatever_happens_to_single_writes(seed: int, trouble: float) -> None:
    queue = PushQueue(DOUBT_S)
    shop = Shop(queue, seed)
    skus = [f"S{n}" for n in range(6)]
    wanted: dict[str, int] = {}
    for sequence in range(1, 120):
        sku = shop.random.choice(skus)
        if shop.random.random() < 0.7:
            wanted[sku] = shop.random.choice([0, 0, 1, 2, 50])
            queue.want(sku, Value(wanted[sku], "", sequence))
        if shop.random.random() < 0.2 and wanted:
            old = shop.random.choice(list(wanted))
            queue.want(old, Value(99, "", 0))  # an older figure, read again after a restart
        shop.now_s += shop.random.choice([0.0, 0.1, 5.0])
        shop.serve(trouble)
    for _ in range(4_000):
        shop.now_s += 7.0
        if not shop.serve(0.0) and not len(queue) and shop.now_s > 3_000:
            break
    assert shop.stock == wanted
    assert queue.in_flight == 0


@given(st.integers(0, 1 << 32))
def test_without_trouble_there_is_one_write_a_sku_and_value(seed: int) -> None:
    queue = PushQueue(DOUBT_S)
    shop = Shop(queue, seed)
    for sequence in range(1, 200):
        queue.want(f"S{shop.random.randint(0, 9)}", Value(sequence, "", sequence))
        if shop.random.random() < 0.3:
            shop.serve(0.0)
    while shop.serve(0.0):
        pass
    assert set(shop.writes.values()) <= {1}
    assert queue.coalesced_total > 0


def test_what_comes_to_zero_or_leaves_it_goes_first_and_alone_does_not_wait_for_the_pace() -> None:
    queue = PushQueue(DOUBT_S)
    for n in range(50):
        queue.want(f"S{n}", Value(5, "", 1))
    drain(queue)
    for n in range(50):
        queue.want(f"S{n}", Value(4, "", 2))
    queue.want("S40", Value(0, "", 3))
    batch = queue.take(10, 0.0, urgent_only=True)
    assert batch is not None
    assert (list(batch.values), batch.urgent) == (["S40"], True)
    assert queue.take(10, 0.0, urgent_only=True) is None
    queue.done("S40", wrote=True)
    queue.want("S40", Value(1, "", 4))
    batch = queue.take(10, 0.0)
    assert batch is not None
    assert next(iter(batch.values)) == "S40", "it can be sold again"


def test_a_sku_that_changes_all_the_time_delays_no_other() -> None:
    queue = PushQueue(DOUBT_S)
    for n in range(20):
        queue.want(f"S{n}", Value(5, "", 1))
    order: list[str] = []
    for sequence in range(2, 60):
        queue.want("S0", Value(5 + sequence, "", sequence))
        batch = queue.take(1, 0.0)
        assert batch is not None
        (sku,) = batch.values
        order.append(sku)
        queue.done(sku, wrote=True)
        if sequence > 21:
            break
    assert sorted(set(order[:20])) == sorted(f"S{n}" for n in range(20))


def test_one_write_a_sku_is_under_way() -> None:
    queue = PushQueue(DOUBT_S)
    queue.want("A", Value(5, "", 1))
    assert queue.take(10, 0.0) is not None
    queue.want("A", Value(6, "", 2))
    assert queue.take(10, 0.0) is None
    queue.done("A", wrote=True)
    batch = queue.take(10, 0.0)
    assert batch is not None
    assert batch.values["A"].quantity == 6


def test_a_write_without_an_answer_is_looked_at_before_and_once_more_after_it_must_have_ended() -> None:
    queue = PushQueue(DOUBT_S)
    queue.want("A", Value(5, "", 1))
    queue.take(1, 0.0)
    queue.unanswered("A", 0.0)
    batch = queue.take(1, 0.1)
    assert batch is not None
    assert batch.look == {"A"}
    queue.done("A", wrote=True)
    assert queue.take(1, DOUBT_S - 1) is None
    batch = queue.take(1, DOUBT_S + 1)
    assert batch is not None
    assert batch.look == {"A"}, "a late write may have put the older value back"


class Runs:
    """Connectors one after another, each from the report of the last; figures as AVAILABLE keeps them; a shop that
    lacks products at times, and whose answers are lost at times.
    """

    def __init__(self, seed: int, open_max: int) -> None:
        self.random = random.Random(seed)
        self.open_max = open_max
        self.available: dict[str, tuple[int, Value]] = {}
        self.end = 0
        self.stock: dict[str, int] = {}
        self.lacks: set[str] = set()
        self.now_s = 0.0
        self.begin(NOTHING_WRITTEN)

    def begin(self, before: Standing) -> None:
        """As Figures does it."""
        self.queue = PushQueue(DOUBT_S)
        self.taken = before.done
        late = [sku for sku, (place, _) in self.available.items() if place <= before.done]
        for sku in late if before.more else before.open:
            place, value = self.available[sku]
            self.queue.want(sku, value, place=place, late=True)
            self.queue.look_later(sku, self.now_s)
        self.read()

    def read(self) -> None:
        for sku, (place, value) in sorted(self.available.items(), key=lambda one: one[1]):
            if place > self.taken:
                self.queue.want(sku, value, place=place)
        self.taken = self.end

    def standing(self) -> Standing:
        """As the queue says it, and as going through all of it says it."""
        queue = self.queue
        places = {sku: entry.place for sku, entry in queue._entries.items()}
        done = max(queue._done, min([self.taken, *(place - 1 for sku, place in places.items() if queue.is_due(sku))]))
        failing = {*queue._aside, *queue._late, *queue._doubted}
        behind = {sku for sku, place in places.items() if place <= done and (sku in failing or queue.is_due(sku))}
        found = queue.standing(self.taken, self.open_max)
        assert found.done == done
        assert (len(found.open), found.more) == (min(len(behind), self.open_max), len(behind) > self.open_max)
        assert set(found.open) <= behind
        assert queue.standing(self.taken, self.open_max) == found
        return found

    def publish(self, sku: str) -> None:
        self.end += 1
        self.available[sku] = (self.end, Value(self.random.choice([0, 1, 2, 50]), "", self.end))

    def serve(self, trouble: float = 0.0) -> bool:
        batch = self.queue.take(self.random.randint(1, 4), self.now_s)
        for sku, value in {} if batch is None else batch.values.items():
            if sku in self.lacks:
                self.queue.failed(sku, self.now_s, ABSENT)
            elif self.random.random() < trouble:
                self.stock[sku] = self.random.choice([value.quantity, self.stock.get(sku, 0)])
                self.queue.unanswered(sku, self.now_s)
            else:
                self.stock[sku] = value.quantity
                self.queue.done(sku, wrote=True)
        return batch is not None


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 1 << 32), st.integers(0, 5), st.floats(0, 0.5))
def test_what_cannot_be_written_holds_no_other_back_and_is_written_once_it_can_be(
    seed: int, open_max: int, trouble: float
) -> None:
    runs = Runs(seed, open_max)
    pick = runs.random
    skus = [f"S{n}" for n in range(8)]
    for _ in range(80):
        runs.now_s += pick.choice([0.1, 1.0, 90.0])
        runs.lacks ^= {pick.choice(skus)} if pick.random() < 0.2 else set()
        if pick.random() < 0.5:
            runs.publish(pick.choice(skus))
        if pick.random() < 0.7:
            runs.read()
        if pick.random() < 0.7:
            runs.serve(trouble)
        now = runs.standing()
        if pick.random() < 0.1:
            runs.begin(now)
    runs.read()
    while len(runs.queue):
        runs.serve()
    found = runs.standing()
    assert found.done == runs.end, "what the shop lacks holds nothing back"
    wanted = {sku: value.quantity for sku, (_, value) in runs.available.items()}
    assert found.more or {sku for sku in wanted if wanted[sku] != runs.stock.get(sku)} <= set(found.open)
    runs.lacks.clear()
    if pick.random() < 0.5:
        runs.begin(found)
    for _ in range(400):
        runs.now_s += 30.0
        runs.serve()
    assert runs.stock == wanted
    assert runs.standing() == (runs.end, (), False)


class Looked(dict[str, Any]):
    """Counts how often an entry is looked at."""

    times = 0

    def __getitem__(self, sku: str) -> Any:
        self.times += 1
        return super().__getitem__(sku)


def test_saying_how_far_all_is_written_does_not_go_through_a_catalogue() -> None:
    """A shop that is down for an hour has every SKU waiting, and one of them changes again and again."""
    queue = PushQueue(DOUBT_S)
    queue._entries = looked = Looked()
    for n in range(20_000):
        queue.want(f"S{n}", Value(5, "", n + 1), place=n + 1)
    queue.take(100, 0.0)
    looked.times = 0
    for n in range(1_000):
        queue.want("S0", Value(n, "", 30_000 + n), place=30_000 + n)
        assert queue.standing(31_000, 100) == (1, (), False)
    assert looked.times < 10_000
    for n in range(200_000):
        queue.want("S7", Value(n, "", 40_000 + n), place=40_000 + n)
    assert len(queue._places) <= 5 * 20_000 + 2_000, "bounded, however often a SKU changes"
    assert queue.standing(300_000, 100) == (1, (), False)


def test_what_was_set_aside_has_a_tenth_of_each_write_and_no_more() -> None:
    queue = PushQueue(DOUBT_S)
    for n in range(100):
        queue.want(f"GONE{n}", Value(5, "", 1))
    assert queue.take(100, 0.0) is not None
    for n in range(100):
        queue.failed(f"GONE{n}", 0.0, REFUSED)
        queue.want(f"S{n}", Value(5, "", 2))
    assert (len(queue), queue.set_aside) == (100, 100)
    batch = queue.take(20, 4.0)
    assert batch is not None
    assert sum(sku.startswith("GONE") for sku in batch.values) == 0, "not yet"
    batch = queue.take(20, 6.0)
    assert batch is not None
    assert sum(sku.startswith("GONE") for sku in batch.values) == 2


def test_news_about_what_an_earlier_run_left_open_waits_no_longer_than_other_news() -> None:
    queue = PushQueue(DOUBT_S)
    queue.want("OPEN", Value(5, "", 1), late=True)
    queue.want("MUG", Value(5, "", 2))
    assert (len(queue), queue.set_aside) == (1, 1)
    queue.want("OPEN", Value(4, "", 3))
    assert (len(queue), queue.set_aside) == (2, 0)


def drain(queue: PushQueue) -> None:
    while (batch := queue.take(100, 0.0)) is not None:
        for sku in batch.values:
            queue.done(sku, wrote=True)


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans(), st.none() | st.floats(0, 100)), max_size=40))
def test_the_pace_follows_what_the_shop_bears(answers: list[tuple[float, bool, float | None]]) -> None:
    pace = Pace(Pacing(), 100)
    now_s = 0.0
    for took_s, refused, retry_after_s in answers:
        before = pace.size
        now_s += took_s
        if refused:
            pace.refused(now_s, retry_after_s)
            assert pace.wait_s(now_s, urgent=True) >= (retry_after_s or 0) - 1e-6
            assert pace.size <= before
        else:
            pace.answered(now_s, took_s)
            assert pace.size <= before if took_s > 2 else pace.size >= before
            assert pace.wait_s(now_s, urgent=False) >= took_s - 1e-6, "as long idle as busy"
        assert 1 <= pace.size <= 100
