"""One client among others: connections and batches are bounded per address and key, and probes answer all the same."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.gateway.connections import Connections, address_of
from holdfast.gateway.gate import KeyGate
from holdfast.gateway.keyring import Keyring, KeyStore, Operation
from holdfast.gateway.refusals import Refusal
from holdfast.gateway.turns import Turns
from holdfast.settings import GatewaySettings
from tests.support.gateway import Connection, StubNode, Submitted, ask, connected, listening, raw
from tests.support.ports import free_port
from tests.support.served import serving

PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'


@asynccontextmanager
async def connected_from(address: str, port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


async def put_from(address: str, port: int) -> int:
    async with connected_from(address, port) as connection:
        await connection.send(raw("PUT", "/v1/reservations/a", PUT))
        return (await connection.receive()).status


async def test_one_address_has_its_bound_and_no_other_notices() -> None:
    settings = GatewaySettings(connections_max=100, connections_per_address_max=10)
    async with listening(settings=settings) as (_, port), AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(connected(port))
        await asyncio.sleep(0.05)
        assert await put_from("127.0.0.1", port) == 503
        assert await put_from("127.0.0.2", port) == 201


async def test_who_takes_all_places_gives_idle_ones_up() -> None:
    settings = GatewaySettings(connections_max=20, connections_per_address_max=20)
    async with listening(settings=settings) as (gateway, port), AsyncExitStack() as stack:
        held = [await stack.enter_async_context(connected(port)) for _ in range(30)]
        await asyncio.sleep(0.05)
        assert gateway.counters.connections == 20
        assert await asyncio.gather(*(put_from(f"127.0.0.{last}", port) for last in range(2, 7))) == [201] * 5
        ended = await asyncio.wait_for(held[0].ended(), 2)
        assert ended, "the oldest idle one"


async def test_a_request_under_way_is_not_cut_off_for_another() -> None:
    settings = GatewaySettings(connections_max=4, connections_per_address_max=4)
    async with listening(StubNode(delay_s=0.3), settings=settings) as (_, port):
        busy = [asyncio.create_task(put_from("127.0.0.1", port)) for _ in range(4)]
        await asyncio.sleep(0.1)
        assert await put_from("127.0.0.2", port) == 503
        assert await asyncio.gather(*busy) == [201] * 4


async def test_probes_answer_when_all_places_are_taken() -> None:
    settings = GatewaySettings(connections_max=5, connections_per_address_max=5)
    async with listening(StubNode(delay_s=0.5), settings=settings) as (gateway, port), AsyncExitStack() as stack:
        _, separate = await gateway.listen_for_probes("127.0.0.1", 0)
        for _ in range(5):
            await stack.enter_async_context(connected(port))
        await asyncio.sleep(0.05)
        for target in ("/livez", "/readyz"):
            assert (await ask(port, "GET", target)).status == 200
            assert (await ask(port, "HEAD", target)).status == 200
        assert (await ask(port, "GET", "/livezz")).status == 503
        async with connected(port) as connection:
            await connection.send(raw("GET", "/livez") + raw("PUT", "/v1/reservations/a", PUT))
            assert (await connection.receive()).status == 200
            assert await connection.ended(), "one probe, and nothing after it"
        for target in ("/livez", "/readyz", "/metrics"):
            assert (await ask(separate, "GET", target)).status == 200
        assert (await ask(separate, "PUT", "/v1/reservations/a", PUT)).status == 404
    assert gateway.counters.connections == 0


async def test_a_batch_goes_in_steps_between_which_others_get_in(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    tokens = [store.add(f"k{number}", [Operation.RESERVE])[1] for number in range(3)]
    keyring = Keyring(tmp_path)
    keyring.reload()
    under_way, most = 0, 0

    class Counting(StubNode):
        def submit(self, *arguments: object, **named: object) -> asyncio.Future[tuple[int, bytes, int]]:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            return super().submit(*arguments, **named)  # type: ignore[arg-type] # handed on

    def answer(_: Submitted) -> tuple[int, bytes, int]:
        nonlocal under_way
        under_way -= 1
        return 201, b"{}", 8

    node = Counting(answer=answer, delay_s=0.005)
    requests = [{"id": f"r{number}", "channel": "web", "ttl_ms": 1, "lines": []} for number in range(500)]
    body = orjson.dumps({"requests": requests})
    async with listening(node, gate=KeyGate(keyring)) as (_, port):
        batches = [
            asyncio.create_task(ask(port, "POST", "/v1/reservations:batch", body, authorization=f"Bearer {token}"))
            for token in [tokens[0]] * 15 + [tokens[1]]
        ]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        assert (await batches[-1]).status == 200
        waited_s = time.monotonic() - began
        done = sum(one.done() for one in batches)
        for answered in await asyncio.gather(*batches):
            assert [result["status"] for result in answered.json["results"]] == [201] * 500
    assert most <= 200, "two steps at once"
    assert done < 8, f"the other key waits for its rounds, not for the backlog ({waited_s:.2f} s)"


async def test_a_key_with_too_many_batches_waiting_is_refused() -> None:
    turns = Turns(at_once=1, waiting_max=2, retry_after_s=1)
    order: list[str] = []

    async def take(who: str) -> None:
        async with turns.turn(who):
            await asyncio.sleep(0.01)
            order.append(who)

    tasks = [asyncio.create_task(take("a")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal):
        await take("a")
    await asyncio.gather(*tasks, *(take(who) for who in ("b", "c")))
    assert order[:4].count("a") <= 2, order


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5), st.booleans()), max_size=40), st.integers(1, 4))
def test_every_turn_comes_and_no_more_than_allowed(asked: list[tuple[str, int, bool]], at_once: int) -> None:
    async def play() -> None:
        turns = Turns(at_once, 1_000, 1)
        having = 0

        async def take(who: str, steps: int) -> None:
            nonlocal having
            async with turns.turn(who):
                having += 1
                try:
                    assert having <= at_once
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    having -= 1

        tasks = []
        for who, steps, gives_up in asked:
            tasks.append(asyncio.create_task(take(who, steps)))
            if gives_up:
                await asyncio.sleep(0)
                tasks[-1].cancel()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(take("z", 0) for _ in range(at_once)))
        assert turns._free == at_once
        assert not turns._waiting

    asyncio.run(play())


class _Idle:
    def __init__(self, *, idle: bool) -> None:
        self.idle, self.closed = idle, False

    def is_idle(self) -> bool:
        return self.idle

    def force_close(self) -> None:
        self.closed = True


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=60))
def test_bounds_of_connections_hold_whatever_comes(events: list[tuple[str, bool, bool]]) -> None:
    bounds = Connections(6, 4)
    there: dict[str, list[_Idle]] = {"a": [], "b": [], "c": []}
    for address, comes, idle in events:
        if comes:
            one = _Idle(idle=idle)
            full = sum(map(len, there.values())) == 6
            if bounds.add(address, one):
                there[address].append(one)
            else:
                assert len(there[address]) == 4 or full
            there = {name: [one for one in ones if not one.closed] for name, ones in there.items()}
        elif there[address]:
            bounds.remove(address, there[address].pop())
        assert bounds.count == sum(map(len, there.values())) <= 6
        assert all(len(ones) <= 4 for ones in there.values())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_an_address_is_what_one_client_has(one: str, other: str, same: bool) -> None:
    assert (address_of((one, 1)) == address_of((other, 2))) is same


async def test_the_supervisor_keeps_the_listener_of_the_probes(tmp_path: Path) -> None:
    probes = free_port()
    with serving(tmp_path, "--probes", f"127.0.0.1:{probes}") as served:
        assert (await ask(probes, "GET", "/readyz")).status == 200
        assert b"holdfast_" in (await ask(probes, "GET", "/metrics")).body
        assert (await ask(probes, "GET", "/v1/state")).status == 404
        assert (await ask(served.port, "GET", "/livez")).status == 200
