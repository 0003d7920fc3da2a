"""The servers that are attacked: `holdfast serve` as users run it, on its own nats-server or on that of deploy/nats.

In: an arena. Out: a gateway with keys, a NATS client of each role, and shoppers beside the attack. Always: real
processes, which end with the block; what is measured is what a shopper gets.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import nats
import orjson
import psutil
from nats.aio.client import Client

from holdfast.errors import ApiError, LogError
from holdfast.gateway.key_file import Operation
from holdfast.gateway.key_store import KeyStore
from holdfast.nats_server.accounts import inbox_of
from holdfast.nats_server.users import users_of
from holdfast.secret_files import make_scope_key
from holdfast.settings import LogSettings, Settings
from tests.attacks.attack import Arena
from tests.support.deployed import Deployed, deployed_cluster
from tests.support.gateway import Response, ask
from tests.support.ports import free_port
from tests.support.servers import ROOT, connected, running

READY_S, STOP_S = 60.0, 30.0
SKU, LOCATION, UNITS = "MUG", "w1", 1_000_000
USERS = {"erp": "erp.erp", "shop": "woo.shop", "operator": "operator", "reader": "reader"}
"""Roles, and what their users are called on the gateway's own nats-server; `node` is a gateway itself."""
_names = itertools.count(1)


@dataclass
class Stage:
    """A gateway that runs. `log` is what it wrote to stderr."""

    store: Path
    port: int
    log: Path
    deployed: Deployed | None = None
    child: subprocess.Popen[bytes] | None = None
    admin: str = ""
    faults: list[Exception] = field(default_factory=list)

    def key(self, *operations: Operation, channels: str | list[str] = "*", rate_per_s: float | None = None) -> str:
        """A new key's token; it works within half a second (`until_works`)."""
        name = f"key-{next(_names)}"
        return KeyStore(self.store).add(name, list(operations), channels, rate_per_s=rate_per_s)[1]

    async def until_works(self, key: str) -> None:
        """The gateway has read the file that has this key."""
        while (await self.ask("GET", "/v1/skus", key=key)).status == 401:  # noqa: ASYNC110 - another process reads it
            await asyncio.sleep(0.05)

    async def ask(self, method: str, target: str, body: Any = None, *, key: str | None = None, **more: str) -> Response:
        """One request on a new connection."""
        content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        return await ask(self.port, method, target, content, authorization=f"Bearer {key or self.admin}", **more)

    async def facts(self, *facts: dict[str, Any], source: str = "acme", key: str | None = None) -> Response:
        """Send facts over HTTP."""
        return await self.ask("POST", "/v1/facts", {"source": source, "facts": facts}, key=key)

    async def state(self) -> dict[str, Any]:
        """/v1/state of one of the workers, asked again while that one is not ready. Raises AssertionError."""
        until = time.monotonic() + READY_S
        while (answer := await self.ask("GET", "/v1/state")).status == 503 and time.monotonic() < until:  # noqa: ASYNC110 - another process gets ready
            await asyncio.sleep(0.1)
        assert answer.status == 200, f"{answer.status} {answer.body[:500]!r}"
        found: dict[str, Any] = answer.json
        return found

    async def sellable(self, sku: str = SKU) -> int | None:
        """Of one SKU on channel web; None when there is no figure."""
        found: int | None = (await self.ask("GET", f"/v1/availability/{sku}?channel=web")).json.get("sellable")
        return found

    async def client(self, role: str) -> Client:
        """A plain NATS client, as an adapter or a person has it. What the server forbids it goes to `faults`."""
        if self.deployed is not None:
            return await self.deployed.client(role, self.faults)

        async def note(fault: Exception) -> None:
            self.faults.append(fault)

        runtime = running(self.store)
        own = users_of(self.store)
        name = USERS.get(role, "")
        who = {"nkeys_seed": str(own.file(name))} if name else {"nkeys_seed_str": runtime.seed}
        inbox = inbox_of(name) if name else "_INBOX"
        return await nats.connect(f"nats://127.0.0.1:{runtime.port}", inbox_prefix=inbox, error_cb=note, **who)

    def processes(self) -> list[psutil.Process]:
        """The supervisor and all below it."""
        assert self.child is not None, "started"
        supervisor = psutil.Process(self.child.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def resident_bytes(self) -> int:
        """Memory of the workers, without the nats-server."""
        return sum(one.memory_info().rss for one in self.processes() if "nats-server" not in one.name())

    def written(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace")


@asynccontextmanager
async def stage(
    arena: Arena,
    *options: str,
    changes: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    stocked: bool = True,
) -> AsyncIterator[Stage]:
    """A gateway with keys on, that is ready; `changes` are `section.name=value`."""
    with contextlib.ExitStack() as stack:
        deployed = stack.enter_context(deployed_cluster(arena.directory / "deployed")) if arena.cluster else None
        store = arena.directory / "store"
        store.mkdir(mode=0o700)
        found = Stage(store, free_port(), arena.directory / "serve.log", deployed)
        found.admin = found.key(*Operation)
        for name in USERS.values() if deployed is None else ():
            users_of(store).add(name)
        if deployed is not None:
            make_scope_key(store)  # as docs/operations.md has it: the file of all gateways, before the first start
        command = [sys.executable, "-m", "holdfast", "serve", "--data", str(store), "--port", str(found.port), *options]
        for change in changes:
            command += ["--set", change]
        variables = os.environ | {"PYTHONPATH": f"{ROOT / 'python'}{os.pathsep}{ROOT}"} | (environment or {})
        if deployed is not None:
            await _until_elected(deployed)
            first, *rest = deployed.urls
            user = first.replace("tls://", "tls://node:node-secret@")
            variables["HOLDFAST_NATS"] = ",".join((user, *rest))
            variables["HOLDFAST_NATS_CA"] = str(deployed.tls.ca)
        with found.log.open("ab") as output:
            found.child = spawned(command, output, variables)
        stack.callback(_end, found)
        await until_ready(found)
        await _until_each_answers(found, int(options[options.index("--workers") + 1]) if "--workers" in options else 1)
        if stocked:
            await open_shop(found)
        yield found


async def open_shop(found: Stage) -> None:
    """One location with enough of one SKU, of the source `acme`."""
    place = {"kind": "location", "location": LOCATION, "type": "warehouse"}
    answer = await found.facts(place, level(SKU, UNITS))
    while answer.status == 503:  # a cluster that has just started may still elect
        await asyncio.sleep(0.5)
        answer = await found.facts(place, level(SKU, UNITS))
    assert answer.status == 202, answer.body
    assert answer.json["rejected"] == [], answer.body


def level(sku: str, on_hand: int, location: str = LOCATION, as_of: int | str = 1) -> dict[str, Any]:
    """A stock.level."""
    return {
        "kind": "stock.level",
        "sku": sku,
        "location": location,
        "on_hand": on_hand,
        "basis": "net",
        "as_of": as_of,
    }


def cart(quantity: int = 1, sku: str = SKU, **fields: Any) -> dict[str, Any]:
    """A PUT body."""
    return {"channel": "web", "ttl_ms": 600_000, "lines": [{"sku": sku, "quantity": quantity}], **fields}


async def until_ready(found: Stage, within_s: float = READY_S) -> float:
    """Wait until /readyz says so; the seconds that took. Raises AssertionError with the log."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if (await ask(found.port, "GET", "/readyz")).status == 200:
                return time.monotonic() - began
        assert found.child is None or found.child.poll() is None, found.written()[-3_000:]
        assert time.monotonic() - began < within_s, found.written()[-3_000:]
        await asyncio.sleep(0.05)


async def _until_each_answers(found: Stage, workers: int) -> None:
    """Every worker has answered: a new connection is any worker's, and one may be ready before the others."""
    seen: set[int] = set()
    until = time.monotonic() + READY_S
    while len(seen) < workers:
        seen.add((await found.state())["pid"])
        assert time.monotonic() < until, f"{len(seen)} of {workers} workers answer\n{found.written()[-3_000:]}"


async def _until_elected(deployed: Deployed) -> None:
    """The servers have a leader of JetStream: they answer what a stream is like, or that there is none."""
    settings = LogSettings(api_timeout_ms=1_000)
    for _ in range(60):
        with contextlib.suppress(LogError):
            async with connected(deployed.endpoint("node"), Settings(log=settings)) as connection:
                try:
                    await connection.api("STREAM.INFO.HF_main_LOG")
                except ApiError:
                    return
        await asyncio.sleep(0.3)
    raise AssertionError("the servers did not elect a leader")


def spawned(command: Sequence[str], output: IO[bytes] | None, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """A child that writes there."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables)


def _end(found: Stage) -> None:
    child = found.child
    if child is None or child.poll() is not None:
        return
    left = found.processes()
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(STOP_S)
    for one in left:  # only those that this stage started, and that did not end with it
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.is_running() and one.status() != psutil.STATUS_ZOMBIE:
                one.kill()


class Shoppers:
    """Checkouts beside an attack, one every `every_s`, each on a connection that stays; how long each took."""

    def __init__(self, found: Stage, every_s: float = 0.05, address: str = "127.0.0.1") -> None:
        self._stage = found
        self._every_s = every_s
        self._address = address
        self._task: asyncio.Task[None] | None = None
        self.took_s: list[float] = []
        self.refused: list[str] = []
        self._epoch = 0

    async def __aenter__(self) -> Self:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, KeyError):  # every place may be taken
            self._epoch = (await self._stage.state())["epoch"]
        self._task = asyncio.create_task(self._shop())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None, "entered"
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _shop(self) -> None:
        import aiohttp

        connector = aiohttp.TCPConnector(local_addr=(self._address, 0))
        headers = {"Authorization": f"Bearer {self._stage.admin}"}
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
            while True:
                began = time.monotonic()
                url = f"http://127.0.0.1:{self._stage.port}/v1/reservations/shopper-{next(_names)}"
                try:
                    async with session.put(url, data=orjson.dumps(cart())) as answer:
                        body = await answer.read()
                        if answer.status != 201:
                            self.refused.append(f"{answer.status} {body[:120]!r}")
                except (aiohttp.ClientError, TimeoutError, OSError) as fault:
                    self.refused.append(type(fault).__name__)
                self.took_s.append(time.monotonic() - began)
                await asyncio.sleep(max(0.0, self._every_s - (time.monotonic() - began)))

    @property
    def worst_s(self) -> float:
        """The longest that one of them waited."""
        return max(self.took_s, default=0.0)

    def median_s(self) -> float:
        """Half of them took no longer."""
        return sorted(self.took_s)[len(self.took_s) // 2] if self.took_s else 0.0

    async def lease_was_lost(self) -> bool:
        """Whether another term began."""
        return bool((await self._stage.state())["epoch"] != self._epoch)
