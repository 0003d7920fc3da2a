"""The client: typed answers, typed refusals, and what it does when a gateway cannot answer."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from holdfast.client import NO_RETRY, Client, ProblemError, Retry, UnavailableError, UnreachableError, errors
from holdfast.contracts import facts, requests
from holdfast.contracts.problems import PROBLEMS, URN, Problem, render_problem
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.facts_outcome import FactsOutcome
from tests.support.gateway import StubNode, Submitted, listening

QUICK = Retry(tries_max=4, total_s=5, first_wait_s=0.01, wait_s_max=0.02)
CART = requests.ReservationRequest(channel="web", ttl_ms=60_000, lines=[requests.ReservationLine(sku="A", quantity=1)])
HELD = {
    "id": "a",
    "state": "held",
    "channel": "web",
    "owner": None,
    "order_ref": None,
    "expires_at": "2026-11-23T15:00:00.250Z",
    "lines": [{"sku": "A", "quantity": 1, "allocations": [{"location": "W", "quantity": 1, "due": "2026-12-01"}]}],
    "version": 1,
    "sequence": 8,
    "something_new": 5,
}


def client(port: int, retry: Retry = NO_RETRY) -> Client:
    return Client(f"http://127.0.0.1:{port}", retry=retry, timeout_s=2)


def node(answer: Any = None, **reads: Any) -> StubNode:
    def reader(body: Any) -> Any:
        return lambda *_: (200, orjson.dumps(body))

    return StubNode(
        answer=answer or (lambda _: (201, orjson.dumps(HELD), 8)),
        engine=SimpleNamespace(scope="main", **{name: reader(body) for name, body in reads.items()}),
    )


async def test_a_reservation_comes_back_typed() -> None:
    behind = node()
    async with listening(behind) as (_, port), client(port) as gateway:
        held = await gateway.reserve("a/b c", CART)
        assert held.state == "held"
        assert held.expires_at == datetime(2026, 11, 23, 15, 0, 0, 250_000, UTC)
        assert held.lines[0].allocations[0].quantity == 1
        assert gateway.sequence == 8
        sent = behind.submitted[0]
        assert sent.reservation == "a/b c"
        assert orjson.loads(sent.body) == {
            "channel": "web",
            "ttl_ms": 60_000,
            "lines": [{"sku": "A", "quantity": 1}],
        }, "defaults are left out"


@pytest.mark.parametrize("reservation", ["..", ".", "a%2Fb", "ä/?#", "x" * 128])
async def test_any_id_arrives_as_it_is(reservation: str) -> None:
    behind = node()
    async with listening(behind) as (_, port), client(port) as gateway:
        await gateway.reserve(reservation, CART)
        assert behind.submitted[0].reservation == reservation


async def test_each_verb_is_sent() -> None:
    behind = node(lambda _: (200, orjson.dumps(HELD), 9))
    async with listening(behind) as (_, port), client(port) as gateway:
        await gateway.confirm("a", "order-1")
        await gateway.release("a")
        await gateway.cancel("a")
        await gateway.extend("a", 5)
        await gateway.fulfil("a", [requests.FulfilLine(sku="A", quantity=2)])
        assert [(sent.verb, orjson.loads(sent.body)) for sent in behind.submitted] == [
            ("confirm", {"order_ref": "order-1"}),
            ("release", {}),
            ("cancel", {}),
            ("extend", {"ttl_ms": 5}),
            ("fulfil", {"lines": [{"sku": "A", "quantity": 2}]}),
        ]


async def test_reads_come_back_typed() -> None:
    as_of = {"sequence": 7, "age_ms": 0, "mode": "live"}
    behind = node(
        availability={"sku": "A", "channel": "web", "sellable": 3, "unlimited": False, "promise": None, "as_of": as_of},
        availabilities={"items": [{"sku": "A", "sellable": 3}, {"sku": "B", "error": "unknown-sku"}], "as_of": as_of},
        explain={
            "sku": "A",
            "channel": "web",
            "sellable": 3,
            "terms": [{"name": "on hand", "quantity": 3}],
            "as_of": as_of,
        },
        validate={"ok": True, "lines": [{"sku": "A", "requested": 1, "sellable": 3, "ok": True}], "as_of": as_of},
        reservation={**HELD, "as_of": as_of},
    )
    async with listening(behind) as (_, port), client(port) as gateway:
        found = await gateway.availability("A", "web", quantity=9)
        assert (found.sellable, found.promise) == (3, None)
        first, second = await gateway.availabilities("web", ["A", "B"])
        assert (first.sellable, second.error) == (3, "unknown-sku")
        assert (await gateway.explain("A", "web")).terms[0].quantity == 3
        cart = requests.ValidateRequest(channel="web", lines=[requests.CartLine(sku="A", quantity=1)])
        assert (await gateway.validate(cart)).ok
        assert (await gateway.reservation("a")).sequence == 8
        assert await gateway.ready()
        assert await gateway.alive()
        assert "holdfast_requests_total" in await gateway.metrics()
        assert (await gateway.openapi())["openapi"].startswith("3.1")


async def test_facts_are_sent_as_structs_or_mappings() -> None:
    behind = node()
    behind.outcome = FactsOutcome(1, [(1, "unknown-location")], 9)
    async with listening(behind) as (_, port), client(port) as gateway:
        level = facts.StockLevel(sku="A", location="W", on_hand=5, basis="net", as_of=datetime(2026, 1, 1, tzinfo=UTC))
        answer = await gateway.facts("acme", [level, {"kind": "stock.level", "sku": "A"}])
        assert (answer.accepted, answer.rejected[0].reason) == (1, "unknown-location")
        assert behind.received[0][1] == "acme"
        await gateway.policies([facts.Cap(channel="web", sku="A", quantity=None)], wait="received")
        family, source, messages, wait = behind.received[1]
        assert (family, source, wait) == ("policy", "policy", "received")
        assert b'"quantity":null' in messages[0], "a field without a default is always sent"


@pytest.mark.parametrize("name", sorted(set(PROBLEMS) - {"overloaded", "no-leader", "log-unavailable"}))
async def test_every_problem_has_its_exception(name: str) -> None:
    status, body = render_problem(name)
    async with listening(node(lambda _: (status, body, 8))) as (_, port), client(port) as gateway:
        with pytest.raises(ProblemError) as caught:
            await gateway.reserve("a", CART)
        assert (caught.value.name, caught.value.status) == (name, status)


async def test_a_shortage_says_what_each_line_could_have() -> None:
    lines = [{"sku": "A", "requested": 5, "sellable": 2, "ok": False, "reason": "insufficient-stock"}]
    status, body = render_problem("insufficient-stock", lines=lines)
    async with listening(node(lambda _: (status, body, 8))) as (_, port), client(port) as gateway:
        with pytest.raises(errors.InsufficientStockError) as caught:
            await gateway.reserve("a", CART)
        found = caught.value.problem.lines
        assert isinstance(found, list)
        assert found[0].sellable == 2


async def test_an_unknown_problem_is_told_too() -> None:
    body = orjson.dumps({"type": URN + "brand-new", "title": "t", "status": 418, "detail": "d"})
    async with listening(node(lambda _: (409, body, 8))) as (_, port), client(port) as gateway:
        with pytest.raises(ProblemError, match="brand-new"):
            await gateway.reserve("a", CART)


def failing(times: int, error: Exception) -> Any:
    left = [times]

    def answer(_: Submitted) -> Any:
        left[0] -= 1
        return error if left[0] >= 0 else (201, orjson.dumps(HELD), 8)

    return answer


async def test_what_was_not_answered_is_sent_again_unchanged() -> None:
    behind = node(failing(3, Unavailable("log-unavailable", "unknown", 1)))
    async with listening(behind) as (_, port), client(port, QUICK) as gateway:
        assert (await gateway.reserve("a", CART)).state == "held"
        assert len(behind.submitted) == 4
        assert len({(sent.reservation, sent.body) for sent in behind.submitted}) == 1
        assert gateway.transport.repeated == 3


async def test_tries_are_bounded() -> None:
    behind = node(failing(100, Unavailable("no-leader", "not-done", 1)))
    async with listening(behind) as (_, port), client(port, QUICK) as gateway:
        with pytest.raises(UnavailableError) as caught:
            await gateway.reserve("a", CART)
        assert (caught.value.name, caught.value.outcome, caught.value.retry_after_s) == ("no-leader", "not-done", 1)
        assert len(behind.submitted) == 4


async def test_retry_after_is_kept_within_the_time_that_is_left() -> None:
    behind = node(failing(100, Unavailable("overloaded", "not-done", 30)))
    retry = Retry(tries_max=10, total_s=0.5, wait_s_max=60)
    async with listening(behind) as (_, port), client(port, retry) as gateway:
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(gateway.reserve("a", CART), 2)
        assert len(behind.submitted) == 1


@pytest.mark.parametrize("outcome", ["unknown", "not-done"])
async def test_a_change_is_sent_again_under_the_same_key_and_another_one_under_another(outcome: str) -> None:
    behind = node(failing(100, Unavailable("log-unavailable", outcome, 1)))
    handed = [requests.FulfilLine(sku="A", quantity=1)]
    async with listening(behind) as (_, port), client(port, QUICK) as gateway:
        for key in (None, None, "mine"):
            with pytest.raises(UnavailableError):
                await gateway.fulfil("a", handed, idempotency_key=key)
    tries = [[one.key for one in behind.submitted[at : at + 4]] for at in (0, 4, 8)]
    assert [len(set(keys)) for keys in tries] == [1, 1, 1]
    first, second, third = (keys[0] for keys in tries)
    assert len({first, second, third, None}) == 4
    assert third == "mine"
    assert len(behind.submitted) == 12


async def test_refusals_are_not_sent_again() -> None:
    status, body = render_problem("insufficient-stock", lines=[])
    behind = node(lambda _: (status, body, 8))
    async with listening(behind) as (_, port), client(port, QUICK) as gateway:
        with pytest.raises(errors.InsufficientStockError):
            await gateway.reserve("a", CART)
        assert len(behind.submitted) == 1


async def test_nobody_there_is_said() -> None:
    async with listening() as (_, port):
        pass
    async with client(port, QUICK) as gateway:
        with pytest.raises(UnreachableError):
            await gateway.alive()
        with pytest.raises(UnreachableError):
            await gateway.reserve("a", CART)


async def test_an_answer_of_something_else_is_said() -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server, client(server.sockets[0].getsockname()[1]) as gateway:
        with pytest.raises(ProblemError, match="oops"):
            await gateway.state()


async def test_the_key_is_sent() -> None:
    heads: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Client(f"http://127.0.0.1:{port}/", "hf_x_y", retry=NO_RETRY) as gateway:
        await gateway.alive()
    assert b"Authorization: Bearer hf_x_y\r\n" in heads[0]


def test_every_problem_that_a_caller_handles_has_an_exception() -> None:
    missing = [
        name
        for name, problem in PROBLEMS.items()
        if problem.status in {404, 409}
        and type(errors.error_for(Problem(type=URN + name, title="", status=problem.status, detail=""))) is ProblemError
    ]
    assert missing == []
