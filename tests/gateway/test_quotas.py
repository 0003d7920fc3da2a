"""Quotas: what is left is stated in structured fields; and under load reports go first, checkouts last."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.gateway.gate import KeyGate
from holdfast.gateway.keyring import Keyring, KeyringError, KeyStore, Operation
from holdfast.gateway.paces import Pace, Quota, SharedPaces
from holdfast.gateway.ports import Answer
from holdfast.settings import GatewaySettings
from tests.support.gateway import Connection, StubNode, ask, connected, listening, raw

PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'
ITEM = re.compile(r'"(?P<name>[a-z_]+)";(?:q=(?P<q>[0-9]+);w=(?P<w>[0-9]+)|r=(?P<r>[0-9]+);t=(?P<t>[0-9]+))')
"""A string with integers as parameters: a member of a list, as RFC 9651 writes it."""


def parsed(field: str) -> dict[str, dict[str, int]]:
    found = {}
    for member in field.split(", "):
        match = ITEM.fullmatch(member)
        assert match is not None, field
        found[match["name"]] = {name: int(match[name]) for name in "qwrt" if match[name] is not None}
    return found


def keyed(directory: Path, *operations: Operation, **rates: Any) -> tuple[KeyGate, str]:
    _, token = KeyStore(directory).add("shop", list(operations), **rates)
    keyring = Keyring(directory, SharedPaces(directory))
    keyring.reload()
    return KeyGate(keyring), f"Bearer {token}"


async def test_every_answer_of_a_key_with_a_rate_says_what_is_left(tmp_path: Path) -> None:
    gate, token = keyed(tmp_path, Operation.RESERVE, Operation.READ, rate_per_s=0.02, rates={Operation.RESERVE: 0.01})
    async with listening(gate=gate) as (_, port):
        first = await ask(port, "PUT", "/v1/reservations/a", PUT, authorization=token)
        second = await ask(port, "PUT", "/v1/reservations/a", PUT, authorization=token)
    assert (first.status, second.status) == (201, 429)
    for answer in (first, second):
        assert parsed(answer.headers["ratelimit-policy"]) == {"key": {"q": 1, "w": 50}, "reserve": {"q": 1, "w": 100}}
        left = parsed(answer.headers["ratelimit"])
        assert left["key"]["r"] == left["reserve"]["r"] == 0
        assert 0 < left["key"]["t"] <= 50
        assert 50 < left["reserve"]["t"] <= 100
    assert int(second.headers["retry-after"]) == parsed(second.headers["ratelimit"])["reserve"]["t"], (
        "the later of both"
    )


async def test_refusals_of_the_node_say_it_too(tmp_path: Path) -> None:
    gate, token = keyed(tmp_path, Operation.RESERVE, rate_per_s=1_000)
    async with listening(gate=gate) as (_, port):
        answer = await ask(port, "PUT", "/v1/reservations/a", b"{", authorization=token, content_encoding="gzip")
    assert answer.status == 415
    assert parsed(answer.headers["ratelimit-policy"]) == {"key": {"q": 1_000, "w": 1}}


async def test_a_key_without_a_rate_gets_no_such_headers(tmp_path: Path) -> None:
    gate, token = keyed(tmp_path, Operation.RESERVE)
    async with listening(gate=gate) as (_, port):
        answer = await ask(port, "PUT", "/v1/reservations/a", PUT, authorization=token)
    assert answer.status == 201
    assert not any(name.startswith("ratelimit") for name in answer.headers)


async def test_the_rate_of_one_operation_leaves_the_others_alone(tmp_path: Path) -> None:
    gate, token = keyed(tmp_path, Operation.RESERVE, Operation.READ, rates={Operation.READ: 0.01})
    body = orjson.dumps({"channel": "web", "skus": ["A"]})
    async with listening(gate=gate) as (_, port):
        reads = [await ask(port, "POST", "/v1/availability", body, authorization=token) for _ in range(2)]
        puts = [await ask(port, "PUT", f"/v1/reservations/{n}", PUT, authorization=token) for n in range(3)]
    assert reads[1].problem == "rate-limited"
    assert [answer.status for answer in puts] == [201] * 3


def test_a_rate_is_for_an_operation_that_the_key_has(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="has no operation `order`"):
        KeyStore(tmp_path).add("shop", [Operation.READ], rates={Operation.ORDER: 1.0})


@given(
    rates=st.dictionaries(st.sampled_from(["key", "read", "order"]), st.floats(0.01, 1_000), min_size=1),
    asked=st.lists(st.integers(1, 50), min_size=1, max_size=30),
)
def test_what_is_stated_is_what_is_admitted(rates: dict[str, float], asked: list[int]) -> None:
    quota = Quota({name: Pace(rate) for name, rate in rates.items()})
    for items in asked:
        policy, left = (parsed(line.partition(": ")[2]) for line in quota.lines().decode().split("\r\n")[:2])
        for name, rate in rates.items():
            assert policy[name]["q"] <= policy[name]["w"] * rate + 1e-6, "never more than the rate"
        stated = min(found["r"] for found in left.values())
        admitted = quota.admit(items)
        assert admitted >= min(items, stated)
        if admitted < items:
            assert quota.wait_s() > 0


class Holding(StubNode):
    """Answers nothing until `release`."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[asyncio.Future[Answer]] = []

    def submit(self, *_: Any) -> asyncio.Future[Answer]:
        self.held.append(asyncio.get_running_loop().create_future())
        return self.held[-1]

    def release(self) -> None:
        for waiter in self.held:
            waiter.set_result((201, b"{}", 8))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def test_under_load_many_figures_at_once_go_first_and_checkout_last() -> None:
    """Requests under way fill up; each rank is refused from its bound on, and each refusal is counted by its bound."""
    settings = GatewaySettings(connections_max=20, requests_in_flight_max=8_192)
    many = raw("POST", "/v1/availability", orjson.dumps({"channel": "web", "skus": ["A"]}))
    cancel, put = raw("POST", "/v1/reservations/a/cancel", b"{}"), raw("PUT", "/v1/reservations/a", PUT)
    node = Holding()
    async with listening(node, settings=settings) as (gateway, port), AsyncExitStack() as stack:

        async def begin(request: bytes) -> Connection:
            connection = await stack.enter_async_context(connected(port))
            await connection.send(request)
            return connection

        for under_way, request, queue in ((10, many, "background"), (18, cancel, "order-flow")):
            while len(node.held) < under_way:
                await begin(put)
                await until(lambda: gateway.counters.in_flight == gateway.counters.connections)
            async with connected(port) as one:
                await one.send(request)
                refused = await one.receive()
            assert (refused.status, refused.problem, refused.headers["retry-after"]) == (503, "overloaded", "1")
            assert gateway.counters.at_bounds[queue] == 1
            await until(lambda: gateway.counters.connections == len(node.held))
        last = await begin(put)
        await until(lambda: len(node.held) == 19)
        node.release()
        assert (await last.receive()).status == 201
        await until(lambda: gateway.counters.in_flight == 0)
        text = (await ask(port, "GET", "/metrics")).body.decode()
    assert 'holdfast_refused_at_bound_total{node="n1",queue="background"} 1.0' in text
    assert 'holdfast_refused_at_bound_total{node="n1",queue="checkout"} 0.0' in text
    assert 'holdfast_bound{node="n1",queue="background"} 10.0' in text
