"""Commands that are handed over together: each has the outcome that it has by itself."""

import asyncio
from dataclasses import replace

import orjson

from holdfast._core import CartsBody
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.commands import CommandOutcome
from holdfast.protocol.core import Request
from holdfast.protocol.errors import Unavailable
from holdfast.settings import NodeSettings, Settings
from tests.support.servers import leading, put, put_body, stocked, together, until


def carts(count: int, name: str = "c", sku: str = "S1") -> list[Request]:
    return [("put", f"{name}{at}", put_body((sku, 1)), None, None) for at in range(count)]


def statuses(outcomes: list[CommandOutcome]) -> list[int | str]:
    return [one.problem if isinstance(one, Unavailable) else one[0] for one in outcomes]


async def test_later_ones_see_earlier_ones_and_one_refused_stops_none(server: EmbeddedServer) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node, on_hand=3)
        asked = carts(2)
        asked.insert(1, ("put", "none", put_body(("NOWHERE", 1)), None, None))
        asked += carts(3, "d")
        outcomes = await node.submit_many(asked)
        assert statuses(outcomes) == [201, 404, 201, 201, 409, 409]
        assert len({one[2] for one in outcomes if not isinstance(one, Unavailable)}) == 1, "one batch of LOG"
        assert await node.submit_many([]) == []


async def test_a_process_that_follows_hands_them_on(server: EmbeddedServer) -> None:
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader)
        outcomes = await follower.submit_many(carts(250))
        assert statuses(outcomes) == [201] * 250
        assert statuses(await leader.submit_many(carts(250))) == [200] * 250


async def test_what_finds_no_room_is_not_done(server: EmbeddedServer) -> None:
    settings = Settings(node=replace(NodeSettings(), commands_queued_max=10))
    async with leading(server.endpoint, settings) as node:
        await stocked(node)
        outcomes = await node.submit_many(carts(15))
        assert statuses(outcomes) == [201] * 10 + ["overloaded"] * 5
        assert {one.outcome for one in outcomes if isinstance(one, Unavailable)} == {"not-done"}


async def test_a_client_that_is_gone_stops_nothing(server: EmbeddedServer) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        gone = node.submit_many(carts(5))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await put(node, "next", ("S1", 1)))[0] == 201
        assert statuses(await node.submit_many(carts(5))) == [200] * 5


async def test_carts_of_one_request_are_one_command_of_a_process_that_leads(server: EmbeddedServer) -> None:
    asked = [
        {"id": f"c{at}", "channel": "web", "ttl_ms": 600_000, "lines": [{"sku": "S1", "quantity": 1}]}
        for at in range(4)
    ]
    body = CartsBody(orjson.dumps({"requests": asked}))
    async with together(server.endpoint) as (leader, follower):
        await stocked(leader, on_hand=3)
        before = leader.counters()["commands_answered_total"]
        answered = leader.submit_together(body.part(0, 4, None, "key-1"))
        assert answered is not None
        status, results, sequence = await answered
        assert (status, sequence) == (200, leader.state()["sequence"])
        assert [one["status"] for one in orjson.loads(b"[%b]" % results)] == [201, 201, 201, 409]
        assert leader.counters()["commands_answered_total"] == before + 4
        await until(lambda: leader.counters()["refusals_kept_total"] == 1, 30)
        assert follower.submit_together(body.part(0, 4, None, None)) is None, "one by one, to the one that leads"
