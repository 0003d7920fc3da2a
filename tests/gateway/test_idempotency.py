"""`Idempotency-Key`: a request that comes again is not done again, and is answered as the first time.

Through HTTP, a node and a real nats-server: at once, later, across a kill -9 and from another process of the scope; the
same key for another request, by another API key, after it was forgotten; for facts as well as for commands.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from holdfast._core import Engine
from holdfast.client import Client, ProblemError
from holdfast.contracts import requests
from holdfast.gateway.gate import AUTHORIZATION
from holdfast.gateway.idempotency import parse_key
from holdfast.gateway.keyring import EVERYTHING, Key
from holdfast.gateway.refusals import Refusal
from holdfast.nats.appender import get_message
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.node import Node
from holdfast.rehearsal.own_gateway import OwnGateway
from tests.support.gateway import Response, ask, listening
from tests.support.servers import connected, leading, put_body, stocked, together

EXTEND = {"ttl_ms": 9_000}
TWO = {"lines": [{"sku": "S1", "quantity": 2}]}


class ByName:
    """A gate that takes whatever is said for the API key's name."""

    def admit(self, request: web.BaseRequest) -> Key:
        name = request.headers.get(AUTHORIZATION, "nobody")
        return Key(name, EVERYTHING.operations, None)

    def screen(self, request: web.BaseRequest) -> None: ...

    async def run(self) -> None: ...


class Shop:
    """Posts to one gateway under an API key's name."""

    def __init__(self, port: int, name: str = "a") -> None:
        self.port = port
        self.name = name

    async def post(self, target: str, body: Any, key: str | None = None) -> Response:
        headers = {"authorization": self.name} | ({"idempotency_key": key} if key is not None else {})
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return await ask(self.port, "POST", target, content, **headers)

    async def hold(self, name: str, quantity: int = 4) -> None:
        answer = await ask(self.port, "PUT", f"/v1/reservations/{name}", put_body(("S1", quantity)))
        assert answer.status == 201, answer.body

    async def order(self, name: str) -> None:
        await self.hold(name)
        assert (await self.post(f"/v1/reservations/{name}/confirm", {})).status == 200


@asynccontextmanager
async def selling(server: EmbeddedServer, **rules: int) -> AsyncIterator[tuple[Shop, Node[Engine]]]:
    async with leading(server.endpoint, rules=rules) as node, listening(node, gate=ByName()) as (_, port):
        await stocked(node, on_hand=100)
        yield Shop(port), node


def totals(node: Node[Engine]) -> dict[str, int]:
    answer = node.read_now(lambda engine, _: (200, engine.totals()))
    assert answer is not None
    found: dict[str, int] = orjson.loads(answer[1])
    return found


async def test_a_handover_sent_twice_is_one_handover(server: EmbeddedServer) -> None:
    async with selling(server) as (shop, node):
        await shop.order("r1")
        first = await shop.post("/v1/reservations/r1/fulfil", TWO, "k1")
        sequence = node.state()["sequence"]
        again = await shop.post("/v1/reservations/r1/fulfil", TWO, '"k1"')
        assert (first.status, again.status, again.body) == (200, 200, first.body)
        assert node.state()["sequence"] == sequence, "a repeat appends nothing"
        assert (await shop.post("/v1/reservations/r1/fulfil", TWO, "k2")).status == 200
        later = await shop.post("/v1/reservations/r1/fulfil", TWO, "k1")
        assert later.body == first.body, "though the reservation went on"
        assert (await shop.post("/v1/reservations/r1/fulfil", TWO, "k3")).status == 422, "nothing is left"


async def test_many_at_once_are_one_with_one_answer(server: EmbeddedServer) -> None:
    async with selling(server) as (shop, node):
        await shop.hold("r1")
        before = node.state()["sequence"]
        posts = [shop.post("/v1/reservations/r1/extend", EXTEND, "k") for _ in range(40)]
        answers = await asyncio.gather(*posts)
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        assert answers[0].json["version"] == 2
        assert node.state()["sequence"] == before + 1


async def test_another_request_under_the_key_is_a_conflict_and_not_done(server: EmbeddedServer) -> None:
    async with selling(server) as (shop, _):
        await shop.hold("r1")
        await shop.hold("r2")
        await shop.post("/v1/reservations/r1/extend", EXTEND, "k")
        for target, body in [
            ("/v1/reservations/r1/extend", {"ttl_ms": 9_001}),
            ("/v1/reservations/r2/extend", EXTEND),
            ("/v1/reservations/r1/release", {}),
            ("/v1/reservations:batch", {"requests": [{"id": "r3", **orjson.loads(put_body(("S1", 1)))}]}),
        ]:
            answer = await shop.post(target, body, "k")
            assert (answer.status, answer.problem) == (409, "idempotency-conflict")
        assert (await ask(shop.port, "GET", "/v1/reservations/r3")).status == 404
        assert (await ask(shop.port, "GET", "/v1/reservations/r1")).json["state"] == "held"
        theirs = Shop(shop.port, "b")
        assert (await theirs.post("/v1/reservations/r1/extend", {"ttl_ms": 9_001}, "k")).status == 200


async def test_a_refusal_of_the_state_is_told_again_and_a_flaw_is_judged_again(server: EmbeddedServer) -> None:
    async with selling(server) as (shop, _):
        await shop.order("r1")
        refused = await shop.post("/v1/reservations/r1/release", {}, "k")
        assert (refused.status, refused.problem) == (409, "reservation-closed")
        assert (await shop.post("/v1/reservations/r1/release", {}, "k")).body == refused.body
        assert (await shop.post("/v1/reservations/r9/release", {}, "k9")).status == 404
        await shop.hold("r9")
        assert (await shop.post("/v1/reservations/r9/release", {}, "k9")).status == 200
        assert (await shop.post("/v1/reservations/r9/extend", {"ttl_ms": 0}, "k10")).status == 422
        assert (await shop.post("/v1/reservations/r9/extend", {"ttl_ms": 1}, "k10")).status == 409, "its first request"


async def test_a_batch_is_one_request(server: EmbeddedServer) -> None:
    async with selling(server) as (shop, _):
        body = {
            "requests": [
                {"id": name, **orjson.loads(put_body(("S1", quantity)))}
                for name, quantity in [("r1", 2), ("r1", 3), ("r2", 10_000), ("r3", 1)]
            ]
        }
        first = await shop.post("/v1/reservations:batch", body, "k")
        assert [one["status"] for one in first.json["results"]] == [201, 200, 409, 201]
        await shop.post("/v1/reservations/r1/release", {})
        assert (await shop.post("/v1/reservations:batch", body, "k")).body == first.body
        assert (await ask(shop.port, "GET", "/v1/reservations/r1")).json["state"] == "released"
        longer = {"requests": [*body["requests"], {"id": "r4", **orjson.loads(put_body(("S1", 1)))}]}
        answer = await shop.post("/v1/reservations:batch", longer, "k")
        assert (answer.status, answer.problem) == (409, "idempotency-conflict")
        assert (await ask(shop.port, "GET", "/v1/reservations/r4")).status == 404


async def test_facts_and_policies_under_a_key_are_taken_once(server: EmbeddedServer) -> None:
    async with selling(server) as (shop, _):
        cap = {"kind": "cap", "channel": "web", "sku": "S1", "quantity": 10}
        wrong = {"kind": "restriction", "sku": "S1", "blocked": "yes", "reason": ""}
        body = {"facts": [cap, wrong]}
        first = await shop.post("/v1/policies", body, "k")
        assert (first.status, first.json["accepted"], len(first.json["rejected"])) == (202, 1, 1)
        await shop.post("/v1/policies", {"facts": [{**cap, "quantity": 20}]}, "k2")
        again = await shop.post("/v1/policies", body, "k")
        told = {**again.json, "sequence": first.json["sequence"]}
        assert (again.status, told) == (202, first.json)
        answer = await ask(shop.port, "GET", "/v1/availability/S1?channel=web")
        assert answer.json["sellable"] == 20, "what was said meanwhile stands"
        other = await shop.post("/v1/policies", {"facts": [{**cap, "quantity": 30}]}, "k")
        assert (other.status, other.problem) == (409, "idempotency-conflict")
        level = {"kind": "stock.level", "sku": "S2", "location": "w1", "on_hand": 5, "basis": "net", "as_of": 2}
        facts = {"source": "acme", "facts": [level] * 3_000}
        for _ in range(2):
            answer = await shop.post("/v1/facts", facts, "k3")
            assert (answer.status, answer.json["accepted"]) == (202, 3_000)


async def test_a_key_is_forgotten_with_time_and_the_oldest_where_there_are_too_many(server: EmbeddedServer) -> None:
    async with selling(server, answers_kept_ms=400, answers_max=3, renewals_max=100) as (shop, node):
        await shop.hold("r1")
        first = await shop.post("/v1/reservations/r1/extend", EXTEND, "k")
        await asyncio.sleep(0.6)
        renewed = await shop.post("/v1/reservations/r1/extend", EXTEND, "k")
        assert (renewed.status, renewed.json["version"]) == (200, first.json["version"] + 1)
        for at in range(9):
            assert (await shop.post("/v1/reservations/r1/extend", EXTEND, f"k{at}")).status == 200
        assert totals(node)["answered_requests"] <= 3
        assert totals(node)["answers_dropped"] > 0


async def test_a_restart_and_a_follower_remember_what_was_told(server: EmbeddedServer) -> None:
    async with selling(server) as (shop, node):
        await shop.order("r1")
        first = await shop.post("/v1/reservations/r1/fulfil", TWO, "k")
        batch = {"requests": [{"id": "b1", **orjson.loads(put_body(("S1", 1)))}]}
        made = await shop.post("/v1/reservations:batch", batch, "kb")
        digest = node.state()["digest"]
    async with together(server.endpoint) as (leader, follower), listening(follower, gate=ByName()) as (_, port):
        assert totals(leader)["answered_requests"] == 3
        assert digest is not None
        shop = Shop(port)
        assert (await shop.post("/v1/reservations/r1/fulfil", TWO, "k")).body == first.body
        assert (await shop.post("/v1/reservations:batch", batch, "kb")).body == made.body
        assert (await shop.post("/v1/reservations/r1/fulfil", EXTEND, "k")).problem == "idempotency-conflict"


async def test_after_kill_9_the_same_request_gets_its_one_answer(tmp_path: Path) -> None:
    async with OwnGateway(tmp_path / "own") as gateway:
        shop = Shop(gateway.port)
        place = {"kind": "location", "location": "w1", "type": "warehouse"}
        level = {"kind": "stock.level", "sku": "S1", "location": "w1", "on_hand": 9, "basis": "net", "as_of": 1}
        assert (await shop.post("/v1/facts", {"source": "acme", "facts": [place, level]}, "f1")).status == 202
        await shop.order("r1")
        first = await shop.post("/v1/reservations/r1/fulfil", TWO, "k")
        assert first.status == 200
        await gateway.kill()
        await gateway.start()
        again = await shop.post("/v1/reservations/r1/fulfil", TWO, "k")
        assert (again.status, again.body) == (200, first.body)
        left = await shop.post("/v1/reservations/r1/fulfil", TWO)
        assert left.status == 200, "two of four were handed over, once"
        assert (await shop.post("/v1/reservations/r1/fulfil", TWO)).status == 422


async def test_log_has_hashes_and_never_the_key_itself(server: EmbeddedServer) -> None:
    async with selling(server) as (shop, node):
        await shop.hold("r1")
        await shop.post("/v1/reservations/r1/extend", EXTEND, "a-telling-key")
        sequence = node.state()["sequence"]
        async with connected(server.endpoint) as connection:
            message = orjson.loads(await get_message(connection, "HF_main_LOG", sequence) or b"")
        extended, answered = message["facts"]
        assert (extended["kind"], answered["kind"]) == ("reservation.extended", "request.answered")
        assert set(answered) == {"kind", "by", "key", "request", "status", "reservation"}
        assert b"a-telling-key" not in orjson.dumps(message)


async def test_the_client_repeats_under_its_key(server: EmbeddedServer) -> None:
    async with selling(server) as (shop, _):
        await shop.order("r1")
        async with Client(f"http://127.0.0.1:{shop.port}") as client:
            lines = [requests.FulfilLine(sku="S1", quantity=2)]
            first = await client.fulfil("r1", lines, idempotency_key="mine")
            assert await client.fulfil("r1", lines, idempotency_key="mine") == first
            await client.fulfil("r1", lines)
            with pytest.raises(ProblemError, match="idempotency-conflict"):
                await client.extend("r1", 1_000, idempotency_key="mine")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        (r'"a\"b\\c"', r'a"b\c'),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("a/b+c==:;~!", "a/b+c==:;~!"),
        ("x" * 255, "x" * 255),
        (" padded\t", "padded"),
    ],
)
def test_what_is_a_key(text: str, key: str) -> None:
    assert parse_key([text]) == key


@pytest.mark.parametrize(
    "text", ["", '""', '"', '"a', 'a"', "a b", '"a b"', "a,b", "é", '"é"', "a\\b", r'"a\b"', "x" * 256]
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_key([text])
    assert refused.value.status == 422
    assert orjson.loads(refused.value.body)["errors"][0]["path"] == "Idempotency-Key"


def test_a_key_is_given_once() -> None:
    with pytest.raises(Refusal):
        parse_key(["a", "b"])


async def test_a_malformed_key_is_refused_where_it_means_something_and_passed_over_elsewhere() -> None:
    async with listening() as (_, port):
        answer = await ask(port, "POST", "/v1/reservations/r1/release", b"{}", idempotency_key="a b")
        assert (answer.status, answer.problem) == (422, "invalid")
        answer = await ask(port, "PUT", "/v1/reservations/r1", b"{}", idempotency_key="a b")
        assert answer.status == 201, "a PUT is named by its reservation"
