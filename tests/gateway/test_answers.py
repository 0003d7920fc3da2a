"""What the gateway makes of the node's answers: refusals, faults, load, readiness, facts, batches, stopping, counts."""

import asyncio
from types import SimpleNamespace

import pytest

from holdfast.protocol.errors import Unavailable
from holdfast.protocol.facts_outcome import FactsOutcome
from holdfast.settings import GatewaySettings
from tests.support.gateway import Response, StubNode, Submitted, ask, connected, listening, raw

PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'


def engine_of(status: int, body: bytes) -> SimpleNamespace:
    def read(*_: object) -> tuple[int, bytes]:
        return status, body

    return SimpleNamespace(availability=read, explain=read, scope="main")


@pytest.mark.parametrize("problem", ["no-leader", "log-unavailable", "overloaded"])
@pytest.mark.parametrize("outcome", ["not-done", "unknown"])
async def test_what_the_node_cannot_do_is_503_with_what_is_known(problem: str, outcome: str) -> None:
    node = StubNode(answer=lambda _: Unavailable(problem, outcome, 2))
    async with listening(node) as (_, port):
        answer = await ask(port, "PUT", "/v1/reservations/a", PUT)
        assert (answer.status, answer.problem) == (503, problem)
        assert answer.json["outcome"] == outcome
        assert answer.headers["retry-after"] == "2"


async def test_a_fault_is_500_and_tells_nothing_of_the_inside() -> None:
    node = StubNode(answer=lambda _: RuntimeError("a secret of the inside"))
    async with listening(node) as (gateway, port):
        answer = await ask(port, "PUT", "/v1/reservations/a", PUT)
        assert (answer.status, answer.problem) == (500, "internal")
        assert b"secret" not in answer.body
        assert len(answer.json["incident"]) == 16
        assert gateway.counters.faults == 1


async def test_reporting_is_refused_first_and_checkout_last() -> None:
    settings = GatewaySettings(requests_in_flight_max=4)
    node = StubNode(engine=engine_of(200, b"{}"), delay_s=0.3)
    async with listening(node, settings=settings) as (_, port):
        busy = [asyncio.create_task(ask(port, "PUT", f"/v1/reservations/{n}", PUT)) for n in range(3)]
        await asyncio.sleep(0.1)
        explain = await ask(port, "GET", "/v1/availability/A/explain?channel=web")
        assert (explain.status, explain.problem) == (503, "overloaded")
        assert explain.json["outcome"] == "not-done"
        assert "retry-after" in explain.headers
        assert (await ask(port, "GET", "/v1/availability/A?channel=web")).status == 200
        assert (await ask(port, "GET", "/livez")).status == 200
        assert {answer.status for answer in await asyncio.gather(*busy)} == {201}


async def test_ready_says_why_not() -> None:
    node = StubNode(reasons=["replaying the log: 12 %"])
    async with listening(node) as (_, port):
        answer = await ask(port, "GET", "/readyz")
        assert (answer.status, answer.json["reasons"]) == (503, node.reasons)
        assert (await ask(port, "GET", "/livez")).json == {"status": "alive"}
        node.reasons.clear()
        assert (await ask(port, "GET", "/readyz")).json == {"ready": True, "reasons": []}


async def test_facts_go_through_in_under_their_source() -> None:
    node = StubNode(outcome=FactsOutcome(2, [(1, "unknown-location")], 31))
    async with listening(node) as (_, port):
        body = b'{"source":"acme","facts":[{"kind":"x"},{"kind":"y"},{"kind":"z"}]}'
        answer = await ask(port, "POST", "/v1/facts", body)
        assert answer.status == 202
        assert answer.json == {
            "accepted": 2,
            "rejected": [{"index": 1, "reason": "unknown-location"}],
            "sequence": 31,
        }
        assert answer.headers["holdfast-sequence"] == "31"
        received = await ask(port, "POST", "/v1/facts?wait=received", body)
        assert received.headers["holdfast-sequence"] == "31", "a sequence of IN is none of LOG"
        assert [(family, source, wait) for family, source, _, wait in node.received] == [
            ("erp", "acme", "log"),
            ("erp", "acme", "received"),
        ]
        assert (await ask(port, "POST", "/v1/facts?wait=never", body)).problem == "invalid"
        without = await ask(port, "POST", "/v1/facts", b'{"facts":[{"kind":"item"}]}')
        assert without.json["errors"] == [{"path": "source", "reason": "is missing"}]
        policy = await ask(port, "POST", "/v1/policies", body)
        assert policy.json["errors"] == [{"path": "source", "reason": "is unknown"}]


async def test_a_batch_answers_each_request_in_order() -> None:
    def answer(command: Submitted) -> tuple[int, bytes, int] | Exception:
        if command.reservation == "b":
            return 409, b'{"type":"urn:holdfast:problem:insufficient-stock"}', 9
        if command.reservation == "c":
            return Unavailable("overloaded", "not-done", 1)
        return 201, b'{"id":"%b"}' % command.reservation.encode(), 8

    requests = b",".join(
        b'{"id":"%c","channel":"web","ttl_ms":1,"lines":[{"sku":"A","quantity":1}]}' % c for c in b"abcd"
    )
    async with listening(StubNode(answer=answer)) as (_, port):
        found = await ask(port, "POST", "/v1/reservations:batch", b'{"requests":[%b]}' % requests)
        assert found.status == 200
        results = found.json["results"]
        assert [(result["id"], result["status"]) for result in results] == [
            ("a", 201),
            ("b", 409),
            ("c", 503),
            ("d", 201),
        ]
        assert results[0]["reservation"] == {"id": "a"}
        assert results[2]["problem"]["outcome"] == "not-done"
        assert found.headers["holdfast-sequence"] == "9"


async def test_stopping_finishes_what_is_under_way() -> None:
    node = StubNode(delay_s=0.3)
    async with listening(node) as (gateway, port):
        async with connected(port) as idle, connected(port) as busy:
            await idle.send(raw("GET", "/livez"))
            await idle.receive()
            await busy.send(raw("PUT", "/v1/reservations/a", PUT))
            await asyncio.sleep(0.1)
            stopping = asyncio.create_task(gateway.stop())
            answer: Response = await busy.receive()
            assert answer.status == 201
            assert answer.headers["connection"] == "close"
            assert await idle.ended()
            await stopping
        with pytest.raises(ConnectionRefusedError):
            await ask(port, "GET", "/livez")


async def test_metrics_count_by_call_and_status() -> None:
    async with listening() as (_, port):
        for _ in range(3):
            await ask(port, "PUT", "/v1/reservations/a", PUT)
        await ask(port, "GET", "/nowhere")
        answer = await ask(port, "GET", "/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        text = answer.body.decode()
        assert 'holdfast_requests_total{call="reserve",node="n1",status="2xx"} 3.0' in text
        assert 'holdfast_requests_total{call="unrouted",node="n1",status="4xx"} 1.0' in text
        assert 'holdfast_request_seconds_bucket{call="reserve",le="+Inf",node="n1"} 3.0' in text
        assert 'holdfast_node_batches_total{node="n1"} 3.0' in text
