"""Clients that are slow, many, or silent: nobody keeps the gateway busy for long."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import cast

import pytest

from holdfast.gateway import replies
from holdfast.settings import GatewaySettings
from tests.support.gateway import StubNode, ask, connected, listening, raw

PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'
QUICK = GatewaySettings(body_timeout_ms=300, facts_body_timeout_ms=600, keepalive_ms=500, lingering_ms=200)


async def test_a_body_that_never_arrives_is_refused_in_time() -> None:
    async with listening(settings=QUICK) as (_, port), connected(port) as connection:
        began = time.monotonic()
        await connection.send(raw("PUT", "/v1/reservations/a", content_length="100") + b'{"chan')
        answer = await connection.receive()
        assert (answer.status, answer.problem) == (408, "request-timeout")
        assert 0.2 < time.monotonic() - began < 3
        assert await connection.ended()


async def test_a_body_that_drips_is_refused_in_time() -> None:
    async with listening(settings=QUICK) as (_, port), connected(port) as connection:
        await connection.send(raw("PUT", "/v1/reservations/a", content_length="1000"))

        async def drip() -> None:
            while True:
                await connection.send(b" ")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert (await connection.receive()).problem == "request-timeout"
        dripping.cancel()


async def test_a_large_body_of_facts_has_longer() -> None:
    node = StubNode()
    async with listening(node, settings=QUICK) as (_, port), connected(port) as connection:
        body = b'{"source":"acme","facts":[{"kind":"x"}]}'
        await connection.send(raw("POST", "/v1/facts", content_length=str(len(body))))
        await asyncio.sleep(0.4)
        await connection.send(body)
        assert (await connection.receive()).status == 202


@pytest.mark.parametrize("begun", [b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"GET /"])
async def test_headers_that_never_end_are_refused_in_time(begun: bytes) -> None:
    async with listening(settings=QUICK) as (_, port), connected(port) as connection:
        began = time.monotonic()
        await connection.send(begun)

        async def drip() -> None:
            while True:
                await connection.send(b"a")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        answer = await connection.receive()
        assert (answer.status, answer.problem) == (408, "request-timeout")
        assert time.monotonic() - began < 3
        dripping.cancel()


async def test_headers_that_never_end_are_refused_after_a_first_request_too() -> None:
    async with listening(settings=QUICK) as (_, port), connected(port) as connection:
        await connection.send(raw("GET", "/livez"))
        assert (await connection.receive()).status == 200
        await connection.send(b"GET /live")
        assert (await connection.receive()).problem == "request-timeout"


@pytest.mark.parametrize("parts", [1, 2, 3])
async def test_a_connection_whose_body_came_in_parts_is_closed_without_a_word(parts: int) -> None:
    """An answer that nobody asked for would be taken for that of the next request."""
    async with listening(settings=QUICK) as (_, port), connected(port) as connection:
        await connection.send(raw("PUT", "/v1/reservations/a", content_length=str(len(PUT))))
        for part in range(parts):
            await asyncio.sleep(0.05)
            await connection.send(PUT[len(PUT) * part // parts : len(PUT) * (part + 1) // parts])
        assert (await connection.receive()).status == 201
        assert await connection.ended(), "nothing comes before the end"


async def test_a_silent_connection_is_closed_without_a_word() -> None:
    async with listening(settings=QUICK) as (gateway, port), connected(port) as silent, connected(port) as idle:
        await idle.send(raw("GET", "/livez"))
        await idle.receive()
        assert await silent.ended()
        assert await idle.ended()
        await asyncio.sleep(0.05)
        assert gateway.counters.connections == 0


async def test_connections_beyond_the_bound_are_told_so() -> None:
    settings = GatewaySettings(connections_max=5, connections_refused_max=2)
    async with listening(settings=settings) as (gateway, port), AsyncExitStack() as stack:
        kept = [await stack.enter_async_context(connected(port)) for _ in range(5)]
        for connection in kept:
            await connection.send(raw("GET", "/livez"))
            assert (await connection.receive()).status == 200
        async with connected(port) as refused:
            await refused.send(raw("GET", "/docs"))
            answer = await refused.receive()
            assert (answer.status, answer.problem) == (503, "overloaded")
            assert answer.json["outcome"] == "not-done"
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["holdfast-sequence"] == "7"
            assert await refused.ended()
        assert gateway.counters.connections_refused == 1
        await kept[0].send(raw("GET", "/livez"))
        assert (await kept[0].receive()).status == 200, "those inside are served on"
        kept[1].writer.close()
        await asyncio.sleep(0.1)
        assert (await ask(port, "GET", "/livez")).status == 200, "a place became free"


async def test_of_connections_beyond_all_bounds_the_newest_may_still_ask_whether_it_lives() -> None:
    settings = GatewaySettings(connections_max=1, connections_refused_max=1)
    async with listening(settings=settings) as (_, port), AsyncExitStack() as stack:
        kept = await stack.enter_async_context(connected(port))
        await kept.send(raw("GET", "/livez"))
        await kept.receive()
        *earlier, newest = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        await newest.send(raw("GET", "/livez"))
        assert (await newest.receive()).status == 200
        for one in earlier:
            assert await one.ended()


async def test_bodies_on_their_way_share_a_budget() -> None:
    settings = GatewaySettings(bodies_bytes_max=600_000)
    async with listening(settings=settings) as (_, port), AsyncExitStack() as stack:
        first = await stack.enter_async_context(connected(port))
        await first.send(raw("PUT", "/v1/reservations/a", content_length="1000000") + b" " * 500_000)
        await asyncio.sleep(0.1)
        second = await stack.enter_async_context(connected(port))
        await second.send(raw("PUT", "/v1/reservations/b", content_length="1000000") + b" " * 500_000)
        assert (await second.receive()).problem == "overloaded"
        first.writer.close()
        await asyncio.sleep(0.1)
        assert (await ask(port, "PUT", "/v1/reservations/c", b" " * 500_000)).status == 201


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "WRITE_TIMEOUT_S", 0.3)
    node = StubNode(answer=lambda _: (200, b"x" * 4_000_000, 8))
    async with listening(node) as (gateway, port), connected(port) as connection:
        cast("asyncio.Transport", connection.writer.transport).pause_reading()
        await connection.send(raw("PUT", "/v1/reservations/a", PUT) * 4)
        await asyncio.sleep(1.0)
        assert gateway.counters.connections == 0


async def test_a_client_that_leaves_does_not_stop_what_it_asked() -> None:
    node = StubNode(delay_s=0.2)
    async with listening(node) as (gateway, port):
        async with connected(port) as connection:
            await connection.send(raw("PUT", "/v1/reservations/a", PUT))
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert len(node.submitted) == 1
        assert gateway.counters.in_flight == 0
        assert gateway.counters.faults == 0


async def test_a_client_that_leaves_in_its_body_is_no_fault() -> None:
    async with listening() as (gateway, port):
        async with connected(port) as connection:
            await connection.send(raw("PUT", "/v1/reservations/a", content_length="1000") + b" " * 10)
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        assert gateway.counters.in_flight == 0
        assert gateway.counters.faults == 0
