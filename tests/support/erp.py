"""A gateway with a publisher, and connections to ERPs that the tests run themselves.

In: a directory, settings of a connection, keys. Out: a gateway that runs, a Connector, and what came of its turns.
Always: the gateway, the log and the events are the real ones; only the test decides when a connection takes a turn.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.client import NO_RETRY, Client, ClientError
from holdfast.contracts.answers import Reservation
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.erp.connector import Connector
from holdfast.erp.events import OrderReader
from holdfast.erp.exporter import Exporter
from holdfast.erp.feed import Feed
from holdfast.erp.interface import Erp
from holdfast.erp.made import Place, adapter_of, reading
from holdfast.erp.store import Store, directory_of
from holdfast.nats.connection import Connection
from holdfast.nats_server.server import runtime_of
from holdfast.settings import ErpSettings, LogSettings
from holdfast.tasks import cancel_and_wait
from tests.support.ports import free_port

LOCATIONS = ("paris", "lyon")


@dataclass(frozen=True)
class Served:
    """A gateway that runs on `data`. `key`: one that may do everything, where it asks for keys."""

    data: Path
    url: str
    pid: int
    key: str | None = None

    def client(self) -> Client:
        """One that may do everything."""
        return Client(self.url, self.key)

    @property
    def place(self) -> Place:
        """Where a connection of it is."""
        runtime = runtime_of(self.data)
        assert runtime is not None
        return Place(self.data, self.url, endpoint=reading(runtime.endpoint, self.data))


@contextmanager
def serving(data: Path, config: str = "", keys: Sequence[str] | None = None) -> Iterator[Served]:
    """`holdfast serve`, with a publisher; locations and a channel are declared.

    `keys`: as `keys add` takes them, such as `acme --operations facts --source acme`; their secrets are in
    DATA/NAME.key, and nobody is served without one. None: everybody is.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = None if keys is None else [_key(data, one) for one in (*keys, "tests --operations all --source *")][-1]
    file = data / "holdfast.toml"
    file.write_text("[publisher]\nenabled = true\nflush_ms = 20\n" + config)
    port = free_port()
    auth = "off" if keys is None else "on"
    command = [sys.executable, "-m", "holdfast", "serve", "--data", str(data), "--config", str(file), "--auth", auth]
    with (data / "gateway.log").open("ab") as log:
        child = subprocess.Popen([*command, "--port", str(port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        served = Served(data, url, child.pid, key)
        asyncio.run(_ready(served, child, data / "gateway.log"))
        yield served
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def tail(log: Path) -> str:
    return log.read_text()[-2_000:]


def _key(data: Path, line: str) -> str:
    """As a person makes it; its secret."""
    command = [sys.executable, "-m", "holdfast", "keys", "add", *line.split(), "--data", str(data)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    file = data / f"{line.split(maxsplit=1)[0]}.key"
    file.touch(mode=0o600)
    file.write_text(made.stdout)
    return made.stdout.strip()


async def _ready(served: Served, child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    async with Client(served.url, served.key, retry=NO_RETRY) as client:
        while True:
            assert child.poll() is None, tail(log)
            assert time.monotonic() < deadline, tail(log)
            try:
                if await client.ready():
                    break
            except ClientError:
                await asyncio.sleep(0.05)
        await client.policies([{"kind": "location", "location": name, "type": "warehouse"} for name in LOCATIONS])


@asynccontextmanager
async def connected(
    served: Served, name: str, settings: ErpSettings, erp: Callable[[Store], Erp] | None = None
) -> AsyncIterator[Connector]:
    """A connection; with `erp`, to that one. There is a location of its name. Its store is found again later."""
    store = Store(directory_of(served.data, name))
    place = served.place
    assert place.endpoint is not None
    connection = Connection(place.endpoint, LogSettings(), "test")
    await connection.open()
    adapter = erp(store) if erp is not None else adapter_of(name, settings, store)
    await adapter.open()
    try:
        async with served.client() as client:
            await client.policies([{"kind": "location", "location": name, "type": "warehouse"}])
            orders = OrderReader(connection, "main", store, client)
            connector = Connector(adapter, store, Feed(client, settings.source or name), settings, orders)
            connector.description = await adapter.describe()
            yield connector
    finally:
        await adapter.close()
        await connection.close()
        store.close()


async def read_events(connector: Connector, until: Callable[[Store], bool], seconds: float = 10) -> None:
    """Reads OUT until the queue is as wanted."""
    assert connector.orders is not None
    await eventually(lambda: until(connector.store), connector.orders.read, seconds)


async def export(connector: Connector, until: Callable[[Store], bool], seconds: float = 10) -> Exporter:
    """Has orders go out until the queue is as wanted."""
    assert connector.description is not None
    running = asyncio.create_task(connector.exporter.run(connector.description))
    try:
        await eventually(lambda: until(connector.store) or running.done(), None, seconds)
        if running.done():
            running.result()
    finally:
        await cancel_and_wait(running)
    return connector.exporter


async def eventually(
    wanted: Callable[[], bool], between: Callable[[], Awaitable[Any]] | None = None, seconds: float = 10
) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "not within the time"
        if between is not None:
            await between()
        await asyncio.sleep(0.01)


async def ordered(client: Client, name: str, *lines: tuple[str, int], order_ref: str | None = None) -> Reservation:
    """A confirmed order."""
    wanted = [ReservationLine(sku=sku, quantity=quantity) for sku, quantity in lines]
    await client.reserve(name, ReservationRequest(channel="web", lines=wanted, ttl_ms=600_000))
    return await client.confirm(name, order_ref or name)


async def sellable(client: Client, sku: str) -> int:
    return (await client.availability(sku, "web")).sellable


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
