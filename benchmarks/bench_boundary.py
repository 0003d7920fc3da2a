"""What a call from Python into the core costs, both ways: JSON bytes in, JSON bytes out.

    .venv/bin/pytest benchmarks --benchmark-only -o python_files='bench_*.py'

In: a core with 10,000 SKUs at 3 locations. Out: pytest-benchmark's table; a round of `decide` and `apply_many` is a
group of 64 two-line reservations, of the reads one call. Always: each round of `decide` is a batch that is committed.
"""

import itertools
import json
from typing import Any

import pytest

from holdfast import _core
from holdfast._core import Engine

SKUS = 10_000
PLACES = ("lyon", "lille", "paris")
GROUP = 64
NOW_MS = 1_790_000_000_000
AS_OF = b'{"sequence":1,"age_ms":0,"mode":"live"}'
Command = tuple[str, str, bytes, tuple[str, ...] | None, str | None]

if _core.build_profile != "release":
    pytest.exit("the extension is not the one that is shipped: make install PROFILE=release", returncode=2)


def send(engine: Engine, number: int, facts: list[dict[str, Any]]) -> None:
    message = (number, "hf.main.in.erp.acme", json.dumps({"facts": facts}).encode())
    decision = engine.decide(NOW_MS, 0, [], [message])
    assert decision.dead == []
    engine.commit(engine.sequence + 1)


def put(number: int) -> Command:
    skus = (f"SKU-{number % SKUS}", f"SKU-{(number * 7 + 1) % SKUS}")
    body = {"channel": "web", "ttl_ms": 600_000, "lines": [{"sku": sku, "quantity": 1} for sku in skus]}
    return "put", f"cart-{number}", json.dumps(body).encode(), None, None


@pytest.fixture
def engine() -> Engine:
    engine = Engine("main")
    engine.apply(1, engine.lead_batch("n1", NOW_MS))
    send(engine, 1, [{"kind": "location", "location": place, "type": "warehouse"} for place in PLACES])
    for number, first in enumerate(range(0, SKUS, 500), start=2):
        level = {"kind": "stock.level", "on_hand": 10**6, "basis": "net", "as_of": 1}
        skus = range(first, first + 500)
        send(engine, number, [level | {"sku": f"SKU-{sku}", "location": place} for sku in skus for place in PLACES])
    return engine


def test_decide(benchmark: Any, engine: Engine) -> None:
    numbers = itertools.count()

    def group() -> tuple[tuple[list[Command]], dict[str, Any]]:
        return ([put(next(numbers)) for _ in range(GROUP)],), {}

    def decide(commands: list[Command]) -> None:
        decision = engine.decide(NOW_MS, 1, commands, [])
        assert decision.message is not None
        assert len(decision.answers) == GROUP
        engine.commit(engine.sequence + 1)

    benchmark.pedantic(decide, setup=group, rounds=2_000)


def test_apply_many(benchmark: Any) -> None:
    follower = Engine("main")
    log = [follower.lead_batch("n1", NOW_MS)]
    leader = Engine("main")
    leader.apply(1, log[0])
    facts: list[dict[str, Any]] = [{"kind": "location", "location": "lyon", "type": "warehouse"}]
    facts += [
        {"kind": "stock.level", "sku": f"SKU-{sku}", "location": "lyon", "on_hand": 10**6, "basis": "net", "as_of": 1}
        for sku in range(500)
    ]
    messages: list[tuple[int, str, bytes]] = [(1, "hf.main.in.erp.acme", json.dumps({"facts": facts}).encode())]
    for group in range(1_000):
        lines = [{"sku": f"SKU-{group % 500}", "quantity": 1}, {"sku": f"SKU-{(group + 1) % 500}", "quantity": 1}]
        body = json.dumps({"channel": "web", "ttl_ms": 600_000, "lines": lines}).encode()
        commands: list[Command] = [("put", f"cart-{group}-{n}", body, None, None) for n in range(GROUP)]
        decision = leader.decide(NOW_MS, 1, commands, messages)
        messages = []
        assert decision.message is not None
        leader.commit(leader.sequence + 1)
        log.append(decision.message)
    follower.apply_many(1, log[:2])
    left = iter(enumerate(log[2:], start=3))

    def batch() -> tuple[tuple[int, list[bytes]], dict[str, Any]]:
        sequence, message = next(left)
        return (sequence, [message]), {}

    benchmark.pedantic(follower.apply_many, setup=batch, rounds=900)


def test_availability(benchmark: Any, engine: Engine) -> None:
    status, _ = benchmark(engine.availability, "SKU-77", "web", None, None, AS_OF)
    assert status == 200


def test_a_hundred_availabilities(benchmark: Any, engine: Engine) -> None:
    body = json.dumps({"channel": "web", "skus": [f"SKU-{sku}" for sku in range(100)]}).encode()
    status, _ = benchmark(engine.availabilities, body, None, AS_OF)
    assert status == 200


def test_validate_a_cart_of_three(benchmark: Any, engine: Engine) -> None:
    lines = [{"sku": f"SKU-{sku}", "quantity": 2} for sku in range(3)]
    body = json.dumps({"channel": "web", "lines": lines}).encode()
    status, _ = benchmark(engine.validate, body, None, AS_OF)
    assert status == 200


def test_read_a_reservation(benchmark: Any, engine: Engine) -> None:
    engine.decide(NOW_MS, 1, [put(1)], [])
    engine.commit(engine.sequence + 1)
    status, _ = benchmark(engine.reservation, "cart-1", None, AS_OF)
    assert status == 200
