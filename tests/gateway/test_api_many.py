"""Several gateways on one scope, over HTTP: whichever is asked, the answer is the same."""

import asyncio
import itertools
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from holdfast._core import Engine
from holdfast.client import Client
from holdfast.client.errors import UnavailableError
from holdfast.client.transport import NO_RETRY
from holdfast.node.node import Node
from holdfast.settings import Settings
from holdfast.supervisor.record import gateway_of
from tests.support.gateway import ask, listening
from tests.support.served import Api, cart, level, places, serving
from tests.support.servers import embedded, quick_settings, together, until


@dataclass
class Pair:
    """Two gateways of one scope, and who leads at the start."""

    leader: Node[Engine]
    follower: Node[Engine]
    at_leader: Api
    at_follower: Api


@asynccontextmanager
async def pair(directory: Path, settings: Settings | None = None) -> AsyncIterator[Pair]:
    async with (
        embedded(directory) as server,
        together(server.endpoint, settings) as (leader, follower),
        listening(leader) as (_, at_leader),
        listening(follower) as (_, at_follower),
    ):
        found = Pair(leader, follower, Api(at_leader), Api(at_follower))
        await found.at_follower.facts(*places("W1"))
        yield found


async def test_every_call_through_a_gateway_whose_process_follows(tmp_path: Path) -> None:
    async with pair(tmp_path) as both:
        api = both.at_follower
        assert (await api("GET", "/readyz")).status == 200
        await api.facts(level("S1", 10))
        await api.policies({"kind": "safety", "sku": "S1", "absolute": 1})
        assert await api.sellable("S1") == 9, "a client sees its own facts"
        assert (await api.reserve(("S1", 2), reservation="r1")).status == 201
        assert await api.sellable("S1") == 7, "and its own reservations"
        assert (await api("GET", "/v1/reservations/r1")).json["state"] == "held"
        for verb, body, state in (
            ("extend", {"ttl_ms": 700_000}, "held"),
            ("confirm", {"order_ref": "A1"}, "committed"),
            ("fulfil", {"lines": [{"sku": "S1", "quantity": 1}]}, "committed"),
            ("cancel", {}, "cancelled"),
        ):
            answer = await api("POST", f"/v1/reservations/r1/{verb}", body)
            assert (answer.status, answer.json["state"]) == (200, state), answer.body
        await api.reserve(("S1", 1), reservation="r2")
        assert (await api("POST", "/v1/reservations/r2/release")).json["state"] == "released"
        batch = {"requests": [{"id": f"b{at}", **cart(("S1", 4))} for at in range(3)]}
        results = (await api("POST", "/v1/reservations:batch", batch)).json["results"]
        assert [result["status"] for result in results] == [201, 201, 409]
        mine, other = await api("GET", "/v1/state"), await both.at_leader("GET", "/v1/state")
        assert (mine.json["role"], other.json["role"]) == ("follower", "leader")
        assert (mine.json["digest"], mine.json["sequence"]) == (other.json["digest"], other.json["sequence"])
        assert mine.json["leader"] == other.json["node"] != mine.json["node"]
        assert [peer["node"] for peer in mine.json["peers"]] == [other.json["node"]]


async def test_a_problem_is_the_same_through_either(tmp_path: Path) -> None:
    async with pair(tmp_path) as both:
        await both.at_leader.facts(level("S1", 1))
        held = await both.at_leader.held(("S1", 1))
        calls: tuple[tuple[str, str, Any], ...] = (
            ("PUT", "/v1/reservations/x", cart(("S1", 5))),
            ("PUT", "/v1/reservations/x", cart(("NONE", 5))),
            ("PUT", "/v1/reservations/x", b"{"),
            ("PUT", "/v1/reservations/x", {"channel": "web"}),
            ("PUT", f"/v1/reservations/{held}", cart(("S1", 1), revision=-1)),
            ("POST", "/v1/reservations/never/confirm", {}),
            ("POST", f"/v1/reservations/{held}/fulfil", {"lines": [{"sku": "S1", "quantity": 1}]}),
        )
        for method, target, body in calls:
            told = [await api(method, target, body) for api in (both.at_leader, both.at_follower)]
            assert told[0].status == told[1].status >= 400
            assert told[0].json == told[1].json


async def test_a_write_through_one_is_seen_through_the_other_from_its_sequence_on(tmp_path: Path) -> None:
    async with pair(tmp_path) as both:
        await both.at_leader.facts(level("S1", 1_000))
        apis = (both.at_leader, both.at_follower)
        for at, (writer, reader) in zip(range(40), itertools.cycle([apis, apis[::-1]]), strict=False):
            answer = await writer.reserve(("S1", 1), reservation=f"r{at}")
            assert answer.status == 201, (at, answer)
            sequence = answer.headers["holdfast-sequence"]
            seen = await reader("GET", f"/v1/reservations/r{at}?min_sequence={sequence}")
            assert seen.status == 200
            assert int(seen.headers["holdfast-sequence"]) >= int(sequence)
            sold = await reader("GET", f"/v1/availability/S1?min_sequence={sequence}&channel=web")
            assert sold.json["sellable"] == 999 - at
            assert sold.json["as_of"]["mode"] == "live"


async def test_a_sequence_that_does_not_come_is_503_and_says_how_far_it_is(tmp_path: Path) -> None:
    async with pair(tmp_path, quick_settings(read_deadline_ms=100)) as both:
        here = int((await both.at_follower("GET", "/v1/state")).json["sequence"])
        for target in ("/v1/state", "/v1/reservations/r1", "/v1/availability/S1/explain", "/metrics"):
            answer = await both.at_follower("GET", f"{target}?min_sequence={here + 7}")
            assert (answer.status, answer.problem, answer.json["outcome"]) == (503, "overloaded", "not-done")
            assert f"waits for min_sequence={here + 7}; this process holds LOG up to {here}." in answer.json["detail"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("min_sequence=", "must be 0"),
        ("min_sequence=-1", "must be 0"),
        ("min_sequence=1.0", "must be 0"),
        ("min_sequence=%D9%A1", "must be 0"),
        ("min_sequence=9223372036854775808", "must be 0"),
        ("min_sequence=1&min_sequence=1", "given twice"),
        ("min_sequence=1&min%5Fsequence=1", "given twice"),
    ],
)
async def test_min_sequence_is_checked_like_any_other_parameter(query: str, reason: str) -> None:
    async with listening() as (_, port):
        answer = await ask(port, "GET", f"/v1/state?{query}")
        assert (answer.status, answer.problem) == (422, "invalid")
        assert [error["path"] for error in answer.json["errors"]] == ["min_sequence"]
        assert reason in answer.json["errors"][0]["reason"]


async def test_min_sequence_is_for_reads_that_need_a_key() -> None:
    async with listening() as (_, port):
        for method, target in (("GET", "/livez"), ("GET", "/readyz"), ("POST", "/v1/reservations/r1/release")):
            answer = await ask(port, method, f"{target}?min_sequence=1")
            assert (answer.status, answer.problem) == (422, "invalid")
        assert (await ask(port, "GET", "/metrics?min%5Fsequence=7")).status == 200
        assert (await ask(port, "GET", "/metrics?min_sequence=7&x=1")).status == 422
        assert (await ask(port, "HEAD", "/metrics?min_sequence=8")).status == 503


async def test_the_client_asks_for_what_it_was_told(tmp_path: Path) -> None:
    async with pair(tmp_path, quick_settings(read_deadline_ms=100)) as both:
        await both.at_leader.facts(level("S1", 10))
        async with (
            Client(f"http://127.0.0.1:{both.at_leader.port}") as writer,
            Client(f"http://127.0.0.1:{both.at_follower.port}", retry=NO_RETRY) as reader,
        ):
            await writer.transport.send("PUT", "/v1/reservations/r1", orjson.dumps(cart(("S1", 3))))
            assert (await reader.reservation("r1", min_sequence=writer.sequence)).state == "held"
            assert (await reader.availability("S1", "web", min_sequence=writer.sequence)).sellable == 7
            assert (await reader.explain("S1", "web", min_sequence=writer.sequence)).sellable == 7
            state = await reader.state(min_sequence=writer.sequence)
            assert state.sequence >= writer.sequence
            assert (state.role, len(state.peers)) == ("follower", 1)
            with pytest.raises(UnavailableError):
                await reader.state(min_sequence=writer.sequence + 100)


async def test_when_the_leader_goes_503_no_leader_and_then_the_one_true_answer(tmp_path: Path) -> None:
    async with pair(tmp_path, quick_settings(command_deadline_ms=500, lease_ttl_ms=1_000)) as both:
        await both.at_leader.facts(level("S1", 10))
        rpc: Any = both.leader.cluster._rpc
        held: list[str] = []

        async def lost(reply: str, _payload: bytes) -> None:
            held.append(reply)

        rpc.answer = lost  # what it answers is lost, as when it dies
        answer = await both.at_follower.reserve(("S1", 4), reservation="r1")
        assert (answer.status, answer.problem, answer.json["outcome"]) == (503, "no-leader", "unknown")
        assert answer.headers["retry-after"] == "1"
        assert len(held) == 1, "it was sent once"
        both.leader.cluster.stop()
        await asyncio.sleep(0.1)
        answer = await both.at_follower.reserve(("S1", 1), reservation="r2")
        assert (answer.status, answer.problem, answer.json["outcome"]) == (503, "no-leader", "not-done")
        await both.leader.stop(drain=True)
        await until(lambda: both.follower.state()["role"] == "leader", 20)
        answer = await both.at_follower.reserve(("S1", 4), reservation="r1")
        assert answer.status == 200, "it was done before; the same request gets the one true answer"
        assert await both.at_follower.sellable("S1") == 6
        assert (await both.at_follower("GET", "/v1/reservations/r2")).status == 404


@dataclass
class Shopper:
    """Reserves through one process until it is answered, again and again; it records the answers."""

    api: Api
    name: str
    made: dict[str, int] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)

    async def shop(self, stop: asyncio.Event) -> None:
        at = 0
        while not stop.is_set():
            at += 1
            name = f"{self.name}-{at}"
            while name not in self.made:
                try:
                    answer = await asyncio.wait_for(self.api.reserve(("S1", 1), reservation=name), 10)
                except (OSError, asyncio.IncompleteReadError, TimeoutError):
                    self.outcomes["reset"] += 1
                    self.api = Api(self.api.port)  # what answers there next may be another process
                    await asyncio.sleep(0.05)
                    continue
                if answer.status == 503:
                    self.outcomes[f"{answer.problem}, {answer.json['outcome']}"] += 1
                    await asyncio.sleep(0.05)
                    continue
                assert answer.status in {200, 201}, answer
                self.made[name] = int(answer.headers["holdfast-sequence"])


@pytest.mark.slow
async def test_kill_9_of_the_leading_worker_under_load_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as served:

        def workers(but: int = 0) -> list[Api]:
            found = gateway_of(served.directory / "store")
            listening = [worker for worker in found.workers if worker.url and worker.pid != but] if found else []
            return [Api(int(worker.url.rpartition(":")[2])) for worker in listening]

        await until(lambda: len(workers()) == 2)
        await workers()[0].facts(*places("W1"), level("S1", 1_000_000))
        shoppers = [Shopper(Api(api.port), f"s{at}") for at, api in enumerate(workers() * 2)]
        stop = asyncio.Event()
        async with asyncio.timeout(80), asyncio.TaskGroup() as shopping:
            for shopper in shoppers:
                shopping.create_task(shopper.shop(stop))
            for _ in range(3):
                before = [len(shopper.made) for shopper in shoppers]
                await until(
                    lambda before=before: all(  # type: ignore[misc]
                        len(shopper.made) > most + 50 for shopper, most in zip(shoppers, before, strict=True)
                    ),
                    30,
                )
                states = [(await api("GET", "/v1/state")).json for api in workers()]
                leading = max(states, key=lambda state: (state["role"] == "leader", state["epoch"]))
                os.kill(leading["pid"], signal.SIGKILL)
                await until(lambda leading=leading: len(workers(but=leading["pid"])) == 2, 20)  # type: ignore[misc]
                for shopper, api in zip(shoppers, workers() * 2, strict=True):
                    shopper.api = Api(api.port)
            stop.set()
        made = {name: at for shopper in shoppers for name, at in shopper.made.items()}
        last = max(made.values())
        states = [(await api("GET", f"/v1/state?min_sequence={last}")).json for api in workers()]
        assert len({state["digest"] for state in states}) == 1
        assert {state["totals"]["reservations"] for state in states} == {len(made)}
        for api in workers():
            for name in made:
                assert (await api("GET", f"/v1/reservations/{name}?min_sequence={last}")).status == 200
