"""Rates: counted by item, over renewed keys and all workers, and never more than the rate allows."""

import asyncio
from multiprocessing import get_context
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.gateway.gate import KeyGate
from holdfast.gateway.keyring import Keyring, KeyStore, Operation
from holdfast.gateway.paces import BURST_S, Pace, SharedPaces
from tests.support.gateway import Response, StubNode, ask, listening

WHAT = {"channel": "web", "ttl_ms": 1000, "lines": [{"sku": "A", "quantity": 1}]}


async def batch(port: int, token: str, count: int, first: int = 0) -> Response:
    body = {"requests": [{"id": f"r{first + number}", **WHAT} for number in range(count)]}
    return await ask(port, "POST", "/v1/reservations:batch", orjson.dumps(body), authorization=f"Bearer {token}")


def gate(directory: Path, paces: SharedPaces | None = None) -> KeyGate:
    keyring = Keyring(directory, paces)
    keyring.reload()
    return KeyGate(keyring)


async def test_each_reservation_of_a_batch_counts(tmp_path: Path) -> None:
    _, token = KeyStore(tmp_path).add("slow", [Operation.RESERVE], rate_per_s=5)
    node = StubNode()
    async with listening(node, gate=gate(tmp_path)) as (_, port):
        answers = [await batch(port, token, 500, 500 * number) for number in range(6)]
    assert len(node.submitted) <= 8, "a second's worth, and what a second brings"
    first = [result["status"] for result in answers[0].json["results"]]
    assert first[:5] == [201] * 5
    assert set(first[7:]) == {429}
    assert answers[0].json["results"][-1]["problem"]["type"].endswith("rate-limited")
    assert [answer.status for answer in answers[1:]] == [429] * 5
    assert int(answers[1].headers["retry-after"]) >= 1


async def test_facts_and_skus_count_each(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    _, erp = store.add("erp", [Operation.FACTS], rate_per_s=5)
    node = StubNode()
    facts = [{"kind": "location", "location": "W1"}] * 50
    body = orjson.dumps({"source": "acme", "facts": facts})
    async with listening(node, gate=gate(tmp_path)) as (_, port):
        answers = [await ask(port, "POST", "/v1/facts", body, authorization=f"Bearer {erp}") for _ in range(3)]
    assert [answer.status for answer in answers] == [202, 429, 429]
    assert 8 <= int(answers[1].headers["retry-after"]) <= 10, "fifty at five a second, less a second's burst"


async def test_a_renewed_key_goes_on_with_its_rate(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    _, token = store.add("slow", [Operation.RESERVE], rate_per_s=2)
    node = StubNode()
    async with listening(node, gate=gate(tmp_path)) as (_, port):
        for _ in range(5):
            await batch(port, token, 10)
            _, token = store.rotate("slow", overlap_s=60)
    assert len(node.submitted) <= 5


async def test_workers_share_the_rate(tmp_path: Path) -> None:
    _, token = KeyStore(tmp_path).add("slow", [Operation.RESERVE], rate_per_s=5)
    nodes = [StubNode(), StubNode()]
    async with (
        listening(nodes[0], gate=gate(tmp_path, SharedPaces(tmp_path))) as (_, one),
        listening(nodes[1], gate=gate(tmp_path, SharedPaces(tmp_path))) as (_, two),
    ):
        await asyncio.gather(*(batch(port, token, 20) for _ in range(5) for port in (one, two)))
    assert sum(len(node.submitted) for node in nodes) <= 8


def _admitted(directory: Path, tries: int) -> int:
    pace = Pace(50, SharedPaces(directory).cell("k"))
    return sum(pace.admit(1, now=1_000_000.0) for _ in range(tries))


def test_processes_that_ask_at_once_get_one_burst_together(tmp_path: Path) -> None:
    with get_context("spawn").Pool(2) as pool:
        found = pool.starmap(_admitted, [(tmp_path, 2_000)] * 2)
    assert 50 <= sum(found) <= 53, "a lock that is never waited for may lose a count"


@given(
    rate=st.floats(0.01, 1_000),
    asked=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 600)), max_size=40),
)
def test_no_stretch_of_time_has_more_than_its_rate_and_a_burst(rate: float, asked: list[tuple[float, int]]) -> None:
    pace, now, admitted = Pace(rate), 1_000.0, []
    for after_s, items in asked:
        now += after_s
        admitted.append((now, pace.admit(items, now)))
        if admitted[-1][1] < items:
            assert not pace.admit(1, now)
            assert pace.admit(0, now + pace.wait_s(now)) == 0
    for start in range(len(admitted)):
        for end in range(start, len(admitted)):
            total = sum(count for _, count in admitted[start : end + 1])
            assert total <= (admitted[end][0] - admitted[start][0] + BURST_S) * rate + 1 + 1e-3


@pytest.mark.parametrize("number", [0, 1])
def test_the_buckets_of_another_boot_are_not_believed(tmp_path: Path, number: int) -> None:
    first = SharedPaces(tmp_path)
    Pace(0.001, first.cell("k")).charge(10)
    if number:
        first.map[:4] = b"else"
    first.close()
    assert Pace(0.001, SharedPaces(tmp_path).cell("k")).admit(1) == number
