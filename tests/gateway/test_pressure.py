"""A process with more work than it can do: reports are limited first, order flow next, checkouts never."""

import asyncio
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from time import monotonic, perf_counter
from types import SimpleNamespace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.gateway.ports import Answer, ReadCall
from holdfast.gateway.pressure import BURST, BURST_S, LOOK_S, LOOKS, Limit, Pressure, ThreadTime
from holdfast.gateway.shedding import Hold
from holdfast.settings import GatewaySettings
from tests.support.event_loop import Costs, served
from tests.support.gateway import StubNode, ask, listening
from tests.support.provider import until

PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'
MANY = orjson.dumps({"channel": "web", "skus": ["A"]})
SETTINGS = GatewaySettings()
LATE_S = SETTINGS.late_ms / 1000
ENGINE = SimpleNamespace(availability=lambda *_: (200, b"{}"), availabilities=lambda *_: (200, b"{}"))


def looks(pressure: Pressure, seconds: float, late_s: float, busy: float, *, checkouts: bool = True) -> None:
    """So many seconds of looks that find the same, with a few calls of each rank between them."""
    for number in range(round(seconds / LOOK_S)):
        pressure.checkouts += checkouts
        for limit in (pressure.background, pressure.order_flow):
            for _ in range(4):
                limit.admits(number * LOOK_S)
        pressure.note(LOOK_S, late_s, LOOK_S * busy)


def limited(pressure: Pressure) -> tuple[bool, bool]:
    return pressure.background.is_set, pressure.order_flow.is_set


@pytest.mark.parametrize(
    "costs",
    [
        pytest.param(Costs(), id="as measured"),
        pytest.param(Costs(read_s=0.0012), id="reads of a thousand figures"),
        pytest.param(Costs(refusal_s=0.00012), id="refusing is dear"),
        pytest.param(Costs(append_s=0.010), id="a slow disk"),
    ],
)
def test_at_twice_what_a_process_can_do_checkouts_wait_as_when_it_is_calm(costs: Costs) -> None:
    """On a loop with one thread in simulated time: half of what it can do are checkouts, and reads make it twice."""
    checkouts, reads = 0.5 / costs.checkout_s, 1.5 / costs.read_s
    calm = served(Pressure(SETTINGS), costs, checkouts, 0)
    alone = served(Pressure(GatewaySettings(late_ms=3_600_000)), costs, checkouts, reads)
    limited = served(Pressure(SETTINGS), costs, checkouts, reads)
    assert alone.p99_s > 10 * calm.p99_s, "the model shows the fault"
    assert limited.p99_s <= 2 * calm.p99_s
    assert limited.checkouts > 0.98 * calm.checkouts
    assert 0 < limited.reads < alone.reads
    assert limited.refused > 0


def test_few_clients_that_ask_as_fast_as_they_are_answered_are_not_limited() -> None:
    """Nobody waits long for them, so an export at night may have all that a process can do."""
    found = served(Pressure(SETTINGS), Costs(), 10, 100_000, connections=4)
    assert found.refused == 0
    assert found.reads > 0.9 / Costs().read_s * found.seconds


@given(st.lists(st.floats(0, 10), max_size=30))
def test_one_pause_is_no_pressure(pauses: list[float]) -> None:
    """Only where most of the last looks found the loop late."""
    pressure = Pressure(SETTINGS)
    for number, late_s in enumerate(pauses, start=1):
        pressure.note(LOOK_S, late_s, LOOK_S)
        newest = [0.0] * LOOKS + pauses[:number]
        assert pressure.late_s == sorted(newest[-LOOKS:])[LOOKS // 2]


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 0.7)), max_size=60))
def test_a_machine_that_others_keep_busy_limits_nothing(found: list[tuple[float, float]]) -> None:
    pressure = Pressure(SETTINGS)
    for late_s, busy in found:
        pressure.note(LOOK_S, late_s, LOOK_S * busy)
        assert limited(pressure) == (False, False)


@given(st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 1), st.booleans()), max_size=200))
def test_order_flow_is_limited_only_where_background_calls_are_at_their_least(
    found: list[tuple[float, float, bool]],
) -> None:
    pressure = Pressure(SETTINGS)
    for late_s, busy, checkouts in found:
        was_set = pressure.order_flow.is_set
        looks(pressure, LOOK_S, late_s, busy, checkouts=checkouts)
        if pressure.order_flow.is_set and not was_set:
            assert pressure.background.rate == SETTINGS.background_least
        assert pressure.background.rate >= SETTINGS.background_least
        assert pressure.order_flow.rate >= SETTINGS.order_flow_least


def test_facts_are_limited_only_while_checkouts_come() -> None:
    without = Pressure(SETTINGS)
    looks(without, 10, 10 * LATE_S, 1.0, checkouts=False)
    assert without.background.rate == SETTINGS.background_least
    assert not without.order_flow.is_set
    beside = Pressure(SETTINGS)
    looks(beside, 10, 10 * LATE_S, 1.0)
    assert beside.order_flow.rate == SETTINGS.order_flow_least


def test_between_the_bounds_a_limit_stays() -> None:
    pressure = Pressure(SETTINGS)
    looks(pressure, 0.3, 2 * LATE_S, 1.0)
    rate = pressure.background.rate
    looks(pressure, 1.0, 0.0, 0.8)
    assert pressure.background.rate == rate


def test_few_calls_are_not_limited_for_they_are_not_the_cause() -> None:
    """A process may be busy with its start, or wait for a core that others have."""
    pressure = Pressure(SETTINGS)
    for number in range(1_000):
        pressure.note(LOOK_S, 10 * LATE_S, LOOK_S)
        if number % 2 == 0:  # 25 a second
            pressure.background.admitted += 1
    assert limited(pressure) == (False, False)


def test_limits_are_lifted_when_nobody_has_met_them_for_a_while() -> None:
    pressure = Pressure(SETTINGS)
    looks(pressure, 5, 10 * LATE_S, 1.0)
    assert limited(pressure) == (True, True)
    looks(pressure, 40, 0.0, 0.3)
    assert limited(pressure) == (False, False)


@given(st.floats(1, 5_000), st.lists(st.tuples(st.floats(0, 3), st.integers(0, 300)), max_size=60))
def test_a_limit_admits_no_more_than_its_rate_and_one_burst(rate: float, asked: list[tuple[float, int]]) -> None:
    limit = Limit(1)
    limit.set(rate)
    now_s, admitted = 0.0, 0
    for seconds, calls in asked:
        now_s += seconds
        admitted += sum(limit.admits(now_s) for _ in range(calls))
        assert admitted <= rate * now_s + max(BURST, rate * BURST_S) + 1e-6


def test_the_time_of_a_thread_is_what_it_ran_or_waited_for_a_core() -> None:
    time = ThreadTime()
    began, used = perf_counter(), time.used_s()
    while perf_counter() - began < 0.05:
        pass
    assert time.used_s() - used > 0.02
    time.close()


def press(pressure: Pressure, *, hard: bool = False) -> None:
    """Background calls are at their least (and order flow, where it is hard), and this moment's share is used up."""
    looks(pressure, 5, (10 if hard else 2) * LATE_S, 1.0)
    for limit in [pressure.background, *([pressure.order_flow] if hard else [])]:
        while limit.admits(monotonic()):
            pass


async def test_the_refusal_of_a_report_has_a_reason_and_is_held_back_while_checkouts_are_answered() -> None:
    settings = GatewaySettings(background_least=1, refusal_hold_ms=300)
    async with listening(StubNode(engine=ENGINE), settings=settings) as (gateway, port):
        press(gateway.pressure)
        began = perf_counter()
        refusing = asyncio.create_task(ask(port, "POST", "/v1/availability", MANY))
        assert (await ask(port, "PUT", "/v1/reservations/a", PUT)).status == 201
        refused = await refusing
        assert perf_counter() - began >= 0.15
        assert (refused.status, refused.problem, refused.headers["retry-after"]) == (503, "overloaded", "1")
        assert "checkouts go first" in orjson.loads(refused.body)["detail"]
        assert gateway.counters.at_bounds["late-background"] == 1
        text = (await ask(port, "GET", "/metrics")).body.decode()
    assert 'holdfast_refused_at_bound_total{node="n1",queue="late-background"} 1.0' in text
    assert 'holdfast_bound{node="n1",queue="late-background"} 0.005' in text
    assert 'holdfast_limit_per_second{node="n1",rank="order-flow"} +Inf' in text


@pytest.mark.parametrize(
    ("clients", "least", "expected"),
    [(1, 0.25, 4), (20, 0.25, 80), (60, 0.25, 100), (192, 0.25, 100), (4_000, 0.25, 2_000), (10, 0.0, 1_000)],
)
def test_refusals_are_held_back_so_long_that_a_hundred_a_second_remain(
    clients: int, least: float, expected: float
) -> None:
    """Clients that ask again as soon as they are refused, on a clock of this test; at most eight times as long."""
    hold, clock_s, ends_s = Hold(least), 1_000.0, 1_060.0
    due = [(clock_s + number / clients, number) for number in range(clients)]
    heapify(due)
    late = 0
    while due[0][0] < ends_s:
        clock_s, number = heappop(due)
        held_s = hold.next_s(clock_s)
        assert least <= held_s <= 8 * least
        heappush(due, (clock_s + max(held_s, 0.01), number))
        late += clock_s > ends_s - 20
    assert 0.7 * expected < late / 20 < 1.4 * expected


def test_when_few_are_refused_they_are_held_back_as_was_set() -> None:
    hold = Hold(0.25)
    for number in range(5_000):
        hold.next_s(1_000 + number / 1_000)
    assert hold.next_s(1_006) == 2.0
    hold.next_s(1_020)
    assert hold.next_s(1_040) == 0.25


async def test_where_that_is_not_enough_order_flow_is_refused_and_checkouts_are_not() -> None:
    settings = GatewaySettings(background_least=1, order_flow_least=1, refusal_hold_ms=0)
    async with listening(StubNode(engine=ENGINE), settings=settings) as (gateway, port):
        press(gateway.pressure, hard=True)
        refused = await ask(port, "POST", "/v1/reservations/a/cancel", b"{}")
        assert (refused.status, refused.problem) == (503, "overloaded")
        for path in ("/v1/availability/A?channel=web", "/livez", "/readyz"):
            assert (await ask(port, "GET", path)).status == 200
        assert (await ask(port, "PUT", "/v1/reservations/a", PUT)).status == 201
        assert gateway.counters.at_bounds["late-order-flow"] == 1


@dataclass
class Slow(StubNode):
    """Reads wait until they may go on."""

    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, call: ReadCall, *, degradable: bool = True) -> Answer:
        await self.goes_on.wait()
        return await super().read(call, degradable=degradable)


async def test_while_they_are_limited_only_a_few_background_calls_are_under_way() -> None:
    node = Slow(engine=ENGINE, busy=True)
    settings = GatewaySettings(background_at_once_max=2, refusal_hold_ms=0)
    async with listening(node, settings=settings) as (gateway, port):
        gateway.pressure.background.set(1_000_000.0)
        waiting = [asyncio.create_task(ask(port, "POST", "/v1/availability", MANY)) for _ in range(2)]
        await until(lambda: gateway.counters.background_in_flight == 2)
        refused = await ask(port, "POST", "/v1/availability", MANY)
        assert (refused.status, refused.problem) == (503, "overloaded")
        assert gateway.counters.at_bounds["background-at-once"] == 1
        node.goes_on.set()
        assert [(await one).status for one in waiting] == [200, 200]
        assert (await ask(port, "POST", "/v1/availability", MANY)).status == 200
        assert gateway.counters.background_in_flight == 0
