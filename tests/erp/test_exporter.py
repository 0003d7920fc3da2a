"""Orders on their way to an ERP that answers, does not, answers too late, refuses, or ends in the middle."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from holdfast.erp.breaker import Breaker, wait_ms
from holdfast.erp.exporter import Exporter
from holdfast.erp.interface import Adapter, Description, ErpDownError, Order, OrderLine, RefusedError
from holdfast.erp.store import State, Store
from holdfast.erp.turns import asked_for_turn, turn_mark
from holdfast.settings import ErpSettings
from holdfast.tasks import cancel_and_wait
from tests.support.erp import eventually

SETTINGS = ErpSettings(retry_first_ms=10, retry_wait_ms_max=10, breaker_rest_ms=10, breaker_failures=3, tries_max=3)


def order(at: int) -> Order:
    return Order(f"k{at:03}", f"k{at:03}", "web", f"{1000 + at}", "", (OrderLine("A", 1, "paris"),))


@dataclass
class Ledger(Adapter):
    """An ERP that remembers every order it made, and does as the test says.

    `lose`: how often of ten a call comes to nothing; `late`: how often its answer is lost. `refuses`: orders that it
    never takes.
    """

    choose: random.Random = field(default_factory=lambda: random.Random(1))
    lose: int = 0
    late: int = 0
    down: bool = False
    together: int = 1
    refuses: frozenset[str] = frozenset()
    made: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    calls: int = 0

    async def describe(self) -> Description:
        return Description(product="ledger", orders_together=self.together)

    async def _call(self) -> None:
        self.calls += 1
        await asyncio.sleep(0)
        if self.down or self.choose.randrange(10) < self.lose:
            raise ErpDownError("no answer")

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.choose.randrange(10) < self.late:
            raise ErpDownError("the answer was lost")

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        await self._call()
        answers: list[str | RefusedError] = []
        for one in orders:
            if one.key in self.refuses:
                answers.append(RefusedError("unknown product"))
            else:
                self.made.append(one.key)
                answers.append(f"S{one.key}")
        await self._answer()
        return answers

    async def find(self, order: Order) -> str | None:
        await self._call()
        return f"S{order.key}" if order.key in self.made else None

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        await self._call()
        self.cancelled += [one.key for one in orders if one.key in self.made]
        await self._answer()
        return [f"S{one.key}" for one in orders]


async def run(store: Store, erp: Ledger, seconds: float = 10, settings: ErpSettings = SETTINGS) -> Exporter:
    """Until nothing is due, or for so long."""
    exporter = Exporter(erp, store, settings, Breaker(settings.breaker_failures, settings.breaker_rest_ms))
    exporter.idle_s = 0.002
    running = asyncio.create_task(exporter.run(await erp.describe()))
    deadline = time.monotonic() + seconds
    try:
        while store.waiting() and not running.done() and time.monotonic() < deadline:
            await asyncio.wait({running}, timeout=0.002)
        if running.done():
            running.result()
    finally:
        await cancel_and_wait(running)
    return exporter


@tries(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 12),
    lose=st.integers(0, 5),
    late=st.integers(0, 5),
    together=st.sampled_from([1, 4]),
    crashes=st.integers(0, 4),
)
def test_each_order_is_made_once_whatever_is_lost_and_whenever_it_ends(
    seed: int, count: int, lose: int, late: int, together: int, crashes: int
) -> None:
    choose = random.Random(seed)
    refused = frozenset(order(at).key for at in range(count) if choose.randrange(5) == 0)
    given_up = {order(at).key for at in range(count) if choose.randrange(4) == 0}
    erp = Ledger(choose, lose, late, together=together, refuses=refused)

    async def life(directory: Path) -> None:
        for at in range(crashes + 1):
            store = Store(directory)
            if at == 0:
                for number in range(count):
                    store.add(order(number), number)
            if at == crashes // 2:
                for key in sorted(given_up):
                    store.cancel(key)
            await run(store, erp, 0.01 if at < crashes else 20)
            if at == crashes:
                _judge(store, erp, refused, given_up)
            store.close()

    with TemporaryDirectory() as directory:
        asyncio.run(life(Path(directory)))


def _judge(store: Store, erp: Ledger, refused: frozenset[str], given_up: set[str]) -> None:
    assert len(erp.made) == len(set(erp.made)), "made twice"
    assert not refused & set(erp.made)
    for state, entries in {one: store.of(one) for one in ("exported", "parked", "cancelled")}.items():
        for entry in entries:
            key = entry.order.key
            match state:
                case "exported":
                    assert key in erp.made
                    assert key not in given_up
                case "parked":
                    assert key in refused
                    assert entry.why == "unknown product"
                case _:
                    assert key in given_up
                    assert key not in erp.made or key in erp.cancelled
    assert sum(store.counts().values()) == sum(len(store.of(one)) for one in ("exported", "parked", "cancelled"))


async def test_the_oldest_go_first_and_one_that_is_refused_stands_in_nobodys_way(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for at in (3, 1, 2, 0):
        store.add(order(at), at)
    erp = Ledger(refuses=frozenset({"k000"}))
    await run(store, erp, settings=ErpSettings(orders_at_once=1, retry_first_ms=10, retry_wait_ms_max=10, tries_max=2))
    assert erp.made == ["k001", "k002", "k003"]
    assert [(one.order.key, one.why) for one in store.of("parked")] == [("k000", "unknown product")]
    erp.refuses = frozenset()
    assert store.resume() == 1
    await run(store, erp)
    assert (erp.made[-1], store.counts()) == ("k000", {"exported": 4})
    store.close()


async def test_an_erp_that_is_down_is_left_alone_and_nothing_is_counted_against_an_order(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for at in range(50):
        store.add(order(at), at)
    erp = Ledger(down=True)
    await run(store, erp, 1.0, ErpSettings(breaker_failures=3, breaker_rest_ms=300, retry_first_ms=10, tries_max=1))
    assert 3 <= erp.calls <= 12
    assert store.counts().keys() <= {"waiting", "unclear"}
    erp.down = False
    await run(store, erp)
    assert (sorted(erp.made), store.counts()) == ([order(at).key for at in range(50)], {"exported": 50})
    store.close()


async def test_orders_at_once_bounds_the_calls_and_one_orders_own_never_overlap(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for at in range(20):
        store.add(order(at), at)
    under_way: list[str] = []
    most = 0

    class Slow(Ledger):
        async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
            nonlocal most
            assert not {one.key for one in orders} & set(under_way)
            under_way.extend(one.key for one in orders)
            most = max(most, len(under_way))
            await asyncio.sleep(0.01)
            for one in orders:
                under_way.remove(one.key)
            return await super().push(orders)

    erp = Slow()
    await run(store, erp, settings=ErpSettings(orders_at_once=4))
    assert most == 4
    assert len(erp.made) == 20
    store.close()


def test_waits_double_up_to_a_bound_and_are_spread() -> None:
    waits = [[wait_ms(tries, 100, 1_000) for _ in range(50)] for tries in range(8)]
    assert all(50 <= one <= 100 for one in waits[0])
    assert all(500 <= one <= 1_000 for one in waits[7])
    assert len(set(waits[7])) > 10


def test_a_breaker_lets_one_caller_try_after_its_rest() -> None:
    now = 0.0
    breaker = Breaker(2, 1_000, lambda: now)
    assert breaker.may_call()
    assert not breaker.failed("a")
    assert breaker.failed("b")
    assert not breaker.may_call()
    now = 1.3
    assert breaker.may_call()
    assert not breaker.may_call(), "one at a time"
    breaker.failed("c")
    assert not breaker.may_call()
    now = 2.7
    assert breaker.may_call()
    assert breaker.worked()
    assert breaker.may_call()


@pytest.mark.parametrize("state", ["waiting", "unclear", "exported", "acknowledged"])
async def test_a_cancellation_reaches_an_order_in_every_state(tmp_path: Path, state: str) -> None:
    store = Store(tmp_path)
    store.add(order(1), 1)
    erp = Ledger()
    if state != "waiting":
        store.set_state(["k001"], cast("State", state), document="S1")
        erp.made.append("k001")
    store.cancel("k001")
    await run(store, erp)
    assert store.counts() == {"cancelled": 1}
    assert erp.cancelled == erp.made
    store.close()


@pytest.mark.parametrize("left", [False, True])
async def test_once_a_cancellation_is_answered_the_connection_looks_what_had_left(
    tmp_path: Path, *, left: bool
) -> None:
    class Shipped(Ledger):
        async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
            answers = await super().cancel(orders)
            return [RefusedError("units have left", final=True) for _ in orders] if left else answers

    store, erp = Store(tmp_path), Shipped(made=["k001"])
    store.add(order(1), 1)
    await run(store, erp)
    mark = turn_mark(tmp_path)
    store.set_state(["k001"], "acknowledged", document="S1")
    store.cancel("k001")
    await run(store, erp)
    assert store.counts() == {"parked" if left else "cancelled": 1}
    await asyncio.wait_for(asked_for_turn(tmp_path, mark), 5)
    store.close()


async def test_an_order_that_cannot_even_be_looked_for_is_parked_and_ends_nothing(tmp_path: Path) -> None:
    class Elsewhere(Ledger):
        async def find(self, order: Order) -> str | None:
            if order.key in self.refuses:
                raise RefusedError("no such warehouse", final=True)
            return await super().find(order)

    store, erp = Store(tmp_path), Elsewhere(refuses=frozenset({"k001"}))
    store.add(order(1), 1, "unclear")
    store.add(order(2), 2)
    running = asyncio.create_task(Exporter(erp, store, SETTINGS, Breaker(3, 10)).run(await erp.describe()))
    await eventually(lambda: not store.waiting() or running.done(), seconds=30)
    assert not running.done()
    await cancel_and_wait(running)
    assert [(one.order.key, one.why) for one in store.of("parked")] == [("k001", "no such warehouse")]
    assert [one.order.key for one in store.of("exported")] == ["k002"]
    store.close()
