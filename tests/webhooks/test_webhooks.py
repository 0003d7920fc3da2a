"""Webhooks over real servers: nothing missed, nothing out of order, whatever the endpoint does or is killed."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from holdfast.errors import ConflictError
from holdfast.nats.connection import Connection, Endpoint
from holdfast.settings import EventSettings, LogSettings, Settings, WebhookSettings
from holdfast.tasks import cancel_and_wait
from holdfast.webhooks.addresses import is_allowed, networks_of
from holdfast.webhooks.places import EndpointState, HookStream
from holdfast.webhooks.runner import WebhooksInUseError, run
from tests.support.published import event, published
from tests.support.receiver import Receiver, receiving
from tests.support.servers import connected, embedded
from tests.support.servers import until as until_within

SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=")
QUICK: dict[str, Any] = {
    "retry_first_ms": 5,
    "retry_wait_ms_max": 50,
    "save_ms": 20,
    "renew_ms": 100,
    "look_ms": 50,
    "takeover_ms": 300,
    "timeout_ms": 300,
    "allow": "127.0.0.0/8",
}
SETTINGS = Settings(events=EventSettings(gather_ms=1, check_ms=100, retry_ms=50))


async def until(holds: Callable[[], bool]) -> None:
    await until_within(holds, 60)


async def becomes(found: Callable[[], Awaitable[Any]], wanted: Any = True, within_s: float = 60.0) -> None:
    """Wait until it is so; `wanted` True: until it is anything but nothing."""
    deadline = time.monotonic() + within_s
    while True:
        value = await found()
        if value == wanted or (wanted is True and value):
            return
        assert time.monotonic() < deadline, value
        await asyncio.sleep(0.05)


class Stage:
    """OUT, a receiver, and webhooks that run."""

    def __init__(self, directory: Path, endpoint: Endpoint, connection: Connection) -> None:
        self.directory = directory
        self.endpoint = endpoint
        self.connection = connection
        self.receiver = Receiver(SECRETS)
        self.stream = HookStream(connection, "main", LogSettings(), 1 << 24)

    @asynccontextmanager
    async def running(self, **changes: Any) -> AsyncIterator[asyncio.Task[None]]:
        url = f"http://127.0.0.1:{self.receiver.port}/hook"
        webhook = WebhookSettings(**{"url": url, "secrets": str(self.directory / "secrets")} | QUICK | changes)
        task = asyncio.create_task(run(self.directory, "main", self.endpoint, SETTINGS, {"shop": webhook}))
        try:
            yield task
        finally:
            await cancel_and_wait(task)

    async def state(self) -> EndpointState:
        found = await self.stream.load("shop")
        assert found is not None
        return found[1]

    async def change(self, **changes: Any) -> None:
        """As the command line does it."""
        while True:
            found = await self.stream.load("shop")
            assert found is not None
            for name, value in changes.items():
                setattr(found[1], name, value)
            with contextlib.suppress(ConflictError):
                await self.stream.save("shop", found[1], found[0])
                return

    async def begun(self) -> None:
        """Its place is stored, so that what is published from now on is sent."""
        await becomes(lambda: self.stream.load("shop"))

    async def halted(self) -> str:
        return (await self.state()).halted

    async def resuming(self) -> bool:
        return (await self.state()).resume

    async def upto(self) -> str:
        return (await self.state()).upto

    async def why(self) -> str:
        return (await self.state()).why

    async def parked(self) -> list[str]:
        return [one.id async for one in self.stream.parked("shop")]


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    secrets = tmp_path / "secrets"
    secrets.write_text("\n".join(SECRETS) + "\n")
    secrets.chmod(0o600)
    async with embedded(tmp_path) as server, connected(server.endpoint) as connection:
        await published(connection, [event(1)])
        made = Stage(tmp_path, server.endpoint, connection)
        await made.stream.ensure()
        async with receiving(made.receiver):
            yield made


def of_some(first: int, last: int, reservations: int = 7) -> list[dict[str, Any]]:
    """Events of a few reservations and SKUs, mixed."""
    found = []
    for at in range(first, last):
        one = event(at, kind="availability" if at % 5 == 0 else "held", channel="web" if at % 2 else "pos")
        if "reservation" in one:
            one["reservation"]["id"] = f"r{at % reservations}"
        else:
            one["sku"] = f"S{at % 3}"
        found.append(one)
    return found


def about(one: dict[str, Any]) -> str:
    return str(one["reservation"]["id"] if "reservation" in one else (one["channel"], one["sku"]))


def assert_in_order(taken: list[tuple[str, dict[str, Any]]]) -> None:
    """What is about one subject came first in its order; what came again was taken before."""
    newest: dict[str, int] = {}
    seen: set[str] = set()
    for identity, one in taken:
        if identity not in seen:
            assert one["sequence"] > newest.get(about(one), 0), about(one)
            newest[about(one)] = one["sequence"]
        seen.add(identity)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nothing_is_missed_and_all_is_in_order_whatever_is_killed_and_however_it_answers(
    stage: Stage, seed: int
) -> None:
    choose = random.Random(seed)

    async def unsteady(request: web.BaseRequest, _: dict[str, Any]) -> web.StreamResponse:
        match choose.randrange(14):
            case 0:
                return web.Response(status=500)
            case 1:
                await asyncio.sleep(0.5)  # longer than the sender waits
                return web.Response(status=200)
            case 2:
                assert request.transport is not None
                request.transport.abort()
                return web.Response(status=503)
            case 3:
                return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/elsewhere"})
            case 4:
                return web.Response(status=200, body=b"x" * 300_000)
            case _:
                return web.Response(status=200)

    stage.receiver.answer = unsteady
    events = of_some(2, 160)
    async with stage.running(tries_max=1_000):
        await stage.begun()
    publishing = asyncio.create_task(published(stage.connection, events))
    for _ in range(3):
        async with stage.running(tries_max=1_000):
            await asyncio.sleep(choose.uniform(0.1, 0.5))
    await publishing
    wanted = {f"main-{one['sequence']}-0" for one in events}
    async with stage.running(tries_max=1_000):
        await until(lambda: {identity for identity, _ in stage.receiver.taken} == wanted)
    assert_in_order(stage.receiver.taken)
    assert await stage.parked() == []


async def test_an_endpoint_that_was_down_gets_all_of_it_when_it_comes_back(stage: Stage) -> None:
    async with stage.running(tries_max=10_000):
        await stage.begun()
        port, down = stage.receiver.port, Receiver(SECRETS)
        stage.receiver.answer = answering(503)
        await published(stage.connection, of_some(2, 40))
        await until(lambda: len(stage.receiver.came) > 20)
        assert stage.receiver.taken == []
        stage.receiver.answer = down.answer
        await until(lambda: len({one for one, _ in stage.receiver.taken}) == 38)
    assert port == stage.receiver.port
    assert_in_order(stage.receiver.taken)


def answering(status: int) -> Any:
    async def answer(_request: web.BaseRequest, _body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=status)

    return answer


async def test_what_is_not_taken_is_parked_with_what_follows_it_and_resume_sends_it_in_order(stage: Stage) -> None:
    async def choosy(_: web.BaseRequest, one: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=500 if "reservation" in one and one["reservation"]["id"] == "r3" else 200)

    stage.receiver.answer = choosy
    events = of_some(2, 60)
    mine = [one["id"] for one in events if about(one) == "r3"]
    async with stage.running(tries_max=3):
        await stage.begun()
        await published(stage.connection, events)
        await becomes(stage.parked, mine)
        await until(lambda: len(stage.receiver.taken) == len(events) - len(mine))
        assert sum(one["id"] == mine[0] for _, one in stage.receiver.came) == 3
        stage.receiver.answer = Receiver(SECRETS).answer
        await stage.change(resume=True)
        await until(lambda: {one for one, _ in stage.receiver.taken} >= {f"main-{one['sequence']}-0" for one in events})
        await becomes(stage.parked, [])
        await becomes(stage.resuming, False)
        await published(stage.connection, of_some(60, 70))
        await until(lambda: len({one for one, _ in stage.receiver.taken}) == len(events) + 10)
    assert_in_order(stage.receiver.taken)


async def test_an_endpoint_that_is_full_of_parked_events_rests_and_loses_nothing(stage: Stage) -> None:
    stage.receiver.answer = answering(400)
    async with stage.running(tries_max=1, parked_max=5):
        await stage.begun()
        await published(stage.connection, of_some(2, 30))
        await becomes(stage.halted)
        assert len(await stage.parked()) == 5
        assert "parked" in (await stage.state()).halted
        stage.receiver.answer = Receiver(SECRETS).answer
        await stage.change(resume=True, halted="")
        await until(lambda: len({one for one, _ in stage.receiver.taken}) == 28)


async def test_410_ends_it_until_it_is_resumed_and_a_replay_sends_again_with_the_same_ids(stage: Stage) -> None:
    async with stage.running():
        await stage.begun()
        stage.receiver.answer = answering(410)
        await published(stage.connection, of_some(2, 5))
        await becomes(stage.halted)
        assert "410" in (await stage.state()).halted
        stage.receiver.answer = Receiver(SECRETS).answer
        await stage.change(halted="")
        await until(lambda: len(stage.receiver.taken) == 3)
        before = {identity for identity, _ in stage.receiver.taken}
        await becomes(stage.upto, "4:0")
        await stage.change(upto="1:0", done=[])
        await until(lambda: len(stage.receiver.taken) == 6)
        assert {identity for identity, _ in stage.receiver.taken} == before


async def test_kinds_and_channels_choose_what_is_sent(stage: Stage) -> None:
    async with stage.running(kinds="availability", channels="web"):
        await stage.begun()
        events = of_some(2, 62)
        await published(stage.connection, events)
        wanted = [one["id"] for one in events if one["kind"] == "availability" and one["channel"] == "web"]
        await until(lambda: len(stage.receiver.taken) == len(wanted))
        await becomes(stage.upto, "61:0")


async def test_one_process_sends_and_another_machine_takes_over_where_it_stopped(stage: Stage, tmp_path: Path) -> None:
    async with stage.running():
        await stage.begun()
        with pytest.raises(WebhooksInUseError):
            async with stage.running() as second:
                await asyncio.wait_for(second, 5)
        await published(stage.connection, of_some(2, 10))
        await until(lambda: len(stage.receiver.taken) == 8)
    await stage.change(owner="another-machine")
    elsewhere = Stage(tmp_path, stage.endpoint, stage.connection)
    elsewhere.receiver = stage.receiver
    async with elsewhere.running():
        await published(stage.connection, of_some(10, 20))
        await until(lambda: len({identity for identity, _ in stage.receiver.taken}) == 18)
    assert_in_order(stage.receiver.taken)


async def test_while_nothing_can_be_signed_nothing_is_parked(stage: Stage, tmp_path: Path) -> None:
    async with stage.running(tries_max=1):
        await stage.begun()
        secrets = (tmp_path / "secrets").read_text()
        (tmp_path / "secrets").unlink()
        await published(stage.connection, of_some(2, 6))
        await becomes(stage.why)
        (tmp_path / "secrets").touch(0o600)
        (tmp_path / "secrets").write_text(secrets)
        await until(lambda: len(stage.receiver.taken) == 4)
        assert await stage.parked() == []


async def test_a_private_address_is_refused_unless_it_is_allowed(stage: Stage) -> None:
    async with stage.running(allow=""):
        await stage.begun()
        await published(stage.connection, of_some(2, 4))
        await becomes(stage.why)
        assert "not public" in (await stage.state()).why
    assert stage.receiver.came == []


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        *((one, False) for one in ("127.0.0.1", "127.9.9.9", "10.0.0.1", "192.168.1.1", "172.16.0.1", "0.0.0.0")),
        *((one, False) for one in ("169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1")),
        *((one, False) for one in ("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "fd00:ec2::254")),
        *((one, False) for one in ("::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::a00:1")),
    ],
)
def test_only_public_addresses_are_called(address: str, allowed: bool) -> None:
    assert is_allowed(address, []) is allowed


def test_a_network_that_is_allowed_may_be_called() -> None:
    assert is_allowed("10.1.2.3", networks_of("10.1.0.0/16, ::1"))
    assert not is_allowed("10.2.2.3", networks_of("10.1.0.0/16, ::1"))
    assert is_allowed("::1", networks_of("10.1.0.0/16, ::1"))
