"""A gateway with a publisher, and connections to ERPs that the tests run themselves.

In: a directory, settings of a connection. Out: a gateway that runs, a Connector, and what came of its turns. Always:
the gateway, the log and the events are the real ones; only the test decides when a connection takes a turn.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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
    """A gateway that runs on `data`."""

    data: Path
    url: str
    pid: int

    @property
    def place(self) -> Place:
        """Where a connection of it is."""
        runtime = runtime_of(self.data)
        assert runtime is not None
        return Place(self.data, self.url, endpoint=reading(runtime.endpoint, self.data))


@contextmanager
def serving(data: Path, config: str = "") -> Iterator[Served]:
    """`holdfast serve`, with a publisher; locations and a channel are declared."""
    data.mkdir(parents=True, exist_ok=True)
    file = data / "holdfast.toml"
    file.write_text("[publisher]\nenabled = true\nflush_ms = 20\n" + config)
    port = free_port()
    command = [sys.executable, "-m", "holdfast", "serve", "--data", str(data), "--config", str(file)]
    with (data / "gateway.log").open("ab") as log:
        child = subprocess.Popen(
            [*command, "--port", str(port), "--auth", "off"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        asyncio.run(_ready(url, child, data / "gateway.log"))
        yield Served(data, url, child.pid)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def tail(log: Path) -> str:
    return log.read_text()[-2_000:]


async def _ready(url: str, child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    async with Client(url, retry=NO_RETRY) as client:
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
        async with Client(served.url) as client:
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
