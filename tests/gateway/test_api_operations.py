"""State, readiness, keys with channels, stopping and starting again, on the whole product."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.gateway.keyring import KeyStore, Operation
from holdfast.supervisor.record import gateway_of
from tests.support.gateway import ask, connected, raw
from tests.support.ports import free_port
from tests.support.served import Api, Served, cart, fresh, level, places, serving


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("keyed")
    with serving(directory, auth="on") as found:
        yield found


def key(served: Served, *operations: Operation, channels: str | list[str] = "*") -> str:
    return KeyStore(served.directory / "store").add(fresh("key"), list(operations), channels)[1]


async def test_state_says_where_the_process_stands(keyed: Served) -> None:
    api = Api(keyed.port, key(keyed, *Operation))
    answer = await api("GET", "/v1/state")
    assert answer.status == 200
    found = answer.json
    assert {"scope", "sequence", "digest", "role", "lag_facts", "pid", "totals", "as_of"} <= found.keys()
    assert (found["scope"], found["role"], found["lag_facts"]) == ("main", "leader", 0)
    gateway = gateway_of(keyed.directory / "store")
    assert gateway is not None
    assert gateway.pid == keyed.child.pid
    assert [worker.pid for worker in gateway.workers] == [found["pid"]]
    assert len(found["digest"]) == 32
    again = (await api("GET", "/v1/state")).json
    assert again["digest"] == found["digest"], "reading changes nothing"
    await api.policies(*places(fresh("place")))
    assert (await api("GET", "/v1/state")).json["digest"] != found["digest"]


async def test_what_lies_outside_a_keys_channels_does_not_exist(keyed: Served) -> None:
    everything = Api(keyed.port, key(keyed, *Operation))
    await everything.policies(*places("W1"))
    sku = await everything.stocked(10)
    shop_operations = (Operation.READ, Operation.RESERVE, Operation.ORDER)
    web = Api(keyed.port, key(keyed, *shop_operations, channels=["web"]))
    pos = Api(keyed.port, key(keyed, *shop_operations, channels=["pos"]))
    cart_id = await web.held((sku, 2))
    assert (await web("GET", f"/v1/reservations/{cart_id}")).status == 200
    foreign = await pos("GET", f"/v1/reservations/{cart_id}")
    nobody = await pos("GET", f"/v1/reservations/{fresh('nobody')}")
    assert (foreign.status, foreign.body) == (404, nobody.body), "not even a hint"
    for verb, body in (
        ("confirm", None),
        ("release", None),
        ("cancel", None),
        ("extend", {"ttl_ms": 1_000}),
        ("fulfil", {"lines": [{"sku": sku, "quantity": 1}]}),
    ):
        answer = await pos("POST", f"/v1/reservations/{cart_id}/{verb}", body)
        assert (answer.status, answer.problem) == (404, "unknown-reservation"), verb
    assert (await web("GET", f"/v1/reservations/{cart_id}")).json["state"] == "held"
    for answer in (
        await pos("PUT", f"/v1/reservations/{fresh('cart')}", cart((sku, 1))),
        await pos("GET", f"/v1/availability/{sku}?channel=web"),
        await pos("GET", f"/v1/availability/{sku}/explain?channel=web"),
        await pos("POST", "/v1/availability", {"channel": "web", "skus": [sku]}),
        await pos("POST", "/v1/carts/validate", {"channel": "web", "lines": [{"sku": sku, "quantity": 1}]}),
    ):
        assert (answer.status, answer.problem) == (403, "forbidden")
    batch = {"requests": [{"id": fresh("b"), **cart((sku, 1))}, {"id": fresh("b"), **cart((sku, 1)), "channel": "pos"}]}
    results = (await pos("POST", "/v1/reservations:batch", batch)).json["results"]
    assert [result["status"] for result in results] == [403, 201]
    for method, target in (("GET", "/v1/state"), ("GET", "/metrics"), ("POST", "/v1/facts"), ("POST", "/v1/policies")):
        assert (await ask(keyed.port, method, target, b"", **pos._headers)).status == 403


async def test_a_foreign_id_may_not_be_taken_over(keyed: Served) -> None:
    everything = Api(keyed.port, key(keyed, *Operation))
    await everything.policies(*places("W1"))
    sku = await everything.stocked(10)
    web = Api(keyed.port, key(keyed, Operation.READ, Operation.RESERVE, channels=["web"]))
    pos = Api(keyed.port, key(keyed, Operation.READ, Operation.RESERVE, channels=["pos"]))
    cart_id = await web.held((sku, 2))
    answer = await pos.reserve((sku, 1), reservation=cart_id, channel="pos")
    assert answer.status >= 400
    assert (await web("GET", f"/v1/reservations/{cart_id}")).json["lines"][0]["quantity"] == 2


async def test_metrics_come_from_gateway_and_node(keyed: Served) -> None:
    token = key(keyed, Operation.METRICS)
    answer = await ask(keyed.port, "GET", "/metrics", authorization=f"Bearer {token}")
    text = answer.body.decode()
    for name in (
        "holdfast_requests_total",
        "holdfast_request_seconds_bucket",
        "holdfast_node_batches_total",
        "holdfast_node_commands_waiting",
        "holdfast_node_void_total",
        "holdfast_node_dead_letters_total",
        "process_resident_memory_bytes",
    ):
        assert name in text


async def test_stopping_answers_what_is_under_way_and_starting_keeps_the_digest(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, port=port) as served:
        api = Api(port)
        await api.policies(*places("W1"))
        sku = await api.stocked(1_000)
        async with connected(port) as connection:
            many = [
                raw("PUT", f"/v1/reservations/under-way-{n}", json.dumps(cart((sku, 1))).encode()) for n in range(50)
            ]
            await connection.send(b"".join(many))
            first = await connection.receive()
            assert first.status == 201
            served.child.send_signal(signal.SIGTERM)
            answered = 1
            try:
                while True:
                    assert (await connection.receive()).status == 201
                    answered += 1
            except (asyncio.IncompleteReadError, ConnectionResetError):
                pass
        assert await asyncio.to_thread(served.child.wait, 20) == 0
    with serving(tmp_path, port=port) as served:
        api = Api(port)
        for number in range(answered):
            assert (await api("GET", f"/v1/reservations/under-way-{number}")).json["state"] == "held"
        before = (await api("GET", "/v1/state")).json
    with serving(tmp_path, port=port):
        after = (await Api(port)("GET", "/v1/state")).json
    assert after["digest"] == before["digest"]
    assert after["totals"] == before["totals"]


async def test_killed_in_the_middle_nothing_that_was_acknowledged_is_missing(tmp_path: Path) -> None:
    port = free_port()
    acknowledged: list[str] = []

    async def shop(number: int, api: Api, sku: str) -> None:
        for turn in range(10_000):
            try:
                answer = await api.reserve((sku, 1), reservation=f"shop-{number}-{turn}")
            except (OSError, asyncio.IncompleteReadError):
                return
            assert answer.status == 201
            acknowledged.append(f"shop-{number}-{turn}")

    with serving(tmp_path, port=port) as served:
        api = Api(port)
        await api.policies(*places("W1"))
        sku = await api.stocked(10_000_000)
        shops = [asyncio.create_task(shop(number, Api(port), sku)) for number in range(8)]
        await asyncio.sleep(0.7)
        served.child.kill()
        await asyncio.gather(*shops)
        served.child.wait()
    assert len(acknowledged) > 20
    with serving(tmp_path, port=port):
        api = Api(port)
        for name in acknowledged:
            assert (await api("GET", f"/v1/reservations/{name}")).status == 200
        assert await api.sellable(sku) <= 10_000_000 - len(acknowledged)


async def test_serving_says_what_to_do_next(keyed: Served) -> None:
    text = keyed.log.read_text()
    assert f"http://127.0.0.1:{keyed.port}" in text
    assert "keys add admin --operations all --data" in text
    assert "hf_" not in text


async def test_levels_of_time_are_taken(keyed: Served) -> None:
    api = Api(keyed.port, key(keyed, *Operation))
    await api.policies(*places("T1"))
    sku = fresh("timed")
    await api.facts(level(sku, 3, "T1", "2026-01-01T00:00:00Z"), source="clocked")
    assert await api.sellable(sku) == 3


async def test_slow_and_many_clients_are_told_so_on_the_real_loop(tmp_path: Path) -> None:
    with serving(tmp_path, "--connections-max", "3") as served:
        async with connected(served.port) as slow, connected(served.port) as idle, connected(served.port) as third:
            await slow.send(raw("PUT", "/v1/reservations/a", content_length="100"))
            for one in (idle, third):
                await one.send(raw("GET", "/livez"))
                assert (await one.receive()).status == 200
            async with connected(served.port) as fourth:
                await fourth.send(raw("GET", "/livez"))
                assert (await fourth.receive()).status == 200, "a probe is answered when all places are taken"
            answer = await slow.receive()
            assert (answer.status, answer.problem) == (408, "request-timeout")
            assert await slow.ended()


def refused(*arguments: str) -> str:
    """What `holdfast serve` says when it does not start."""
    command = [sys.executable, "-m", "holdfast", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_without_keys_it_listens_on_loopback_alone(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "10.1.2.3"):
        told = refused("--data", str(tmp_path / "store"), "--auth", "off", "--host", host)
        assert "loopback" in told
        assert "holdfast keys add" in told
    assert not (tmp_path / "store").exists()


def test_an_address_that_is_taken_is_said_before_the_log_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = refused("--data", str(tmp_path / "store"), "--port", str(taken.getsockname()[1]))
    assert "--port" in told
    assert not (tmp_path / "store" / "nats").exists()


def test_two_on_one_directory_are_one_too_many(keyed: Served) -> None:
    told = refused("--data", str(keyed.directory / "store"), "--port", str(free_port()))
    assert str(keyed.directory / "store") in told


@pytest.mark.parametrize(
    "arguments", [["--scope", "a.b"], ["--scope", ""], ["--nats", ""], ["--nats", "nats://127.0.0.1:1"]]
)
def test_what_makes_no_sense_is_said(tmp_path: Path, arguments: list[str]) -> None:
    assert refused("--data", str(tmp_path / "store"), "--port", str(free_port()), *arguments)
