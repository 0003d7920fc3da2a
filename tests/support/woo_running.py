"""A gateway with a publisher, a double of a shop, and connectors between them.

In: a directory. Out: all of it running, and ways to wait. Always: gateway, NATS and publisher are the real processes;
the connector runs in the test's own event loop, with short intervals.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.nats.connection import Endpoint
from holdfast.nats_server.server import runtime_of
from holdfast.settings import Settings, WooSettings
from holdfast.tasks import cancel_and_wait
from holdfast.woo.connector import Connector
from holdfast.woo.connectors import Connectors
from holdfast.woo.stores import Files, Pacing, Store, rendered
from tests.support.served import Api, places, serving
from tests.support.woo_store.model import Model
from tests.support.woo_store.server import KEY, StoreServer, opened

QUICK = WooSettings(settle_ms=1_100, report_ms=200, retry_ms=100, retry_ms_max=500, guard_ms=300, doubt_ms=1_000)


@dataclass
class Running:
    store: StoreServer
    api: Api
    directory: Path
    endpoint: Endpoint
    settings: Settings
    connectors: Connectors
    task: asyncio.Task[None]

    @property
    def model(self) -> Model:
        return self.store.model

    @property
    def connector(self) -> Connector:
        return self.connectors.connectors["shop"]

    async def begin(self) -> None:
        self.connectors = Connectors(self.directory / "store", "main", self.endpoint, self.settings)
        self.task = asyncio.create_task(self.connectors.run())
        await until(lambda: "shop" in self.connectors.connectors and self.connector.reported().state == "working", 20)

    async def end(self) -> None:
        await cancel_and_wait(self.task)

    async def deliver(self) -> int:
        return await self.store.webhooks.run_queue()

    def stock(self, sku: str) -> int | None:
        return self.model.by_sku(sku)[0].stock


async def until(holds: Callable[[], Any], within_s: float = 15.0, *, every_s: float = 0.02) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within_s
    while True:
        found = holds()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, "it never came to hold"
        await asyncio.sleep(every_s)


@asynccontextmanager
async def running(
    directory: Path, *, plugin: bool = False, woo: WooSettings = QUICK, **terms: Any
) -> AsyncIterator[Running]:
    """With three SKUs of 10 in one warehouse, sold on the channel `web`, which publishes."""
    model = Model(moves_stock=not plugin)
    async with opened(StoreServer(model, plugin=plugin)) as store:
        with serving(directory, "--set", "publisher.enabled=true", "--set", "publisher.flush_ms=20") as served:
            terms = {"channel": "web", "url": store.url, "delivery_url": f"http://127.0.0.1:{served.port}", **terms}
            files = Files(served.directory / "store", "shop")
            pace = terms.pop("pace", Pacing(busy_percent=100))
            files.write(files.settings, rendered(Store(pace=pace, **terms)))
            files.write(files.rest, "\n".join(KEY))
            files.write(files.secrets, "a secret\n")
            api = Api(served.port)
            await api.policies(*places("W1"), {"kind": "channel", "channel": "web", "locations": "*", "buffer": 0})
            runtime = runtime_of(served.directory / "store")
            assert runtime is not None
            settings = replace(Settings(), woo=woo)
            idle = asyncio.create_task(asyncio.sleep(0))
            found = Running(store, api, directory, runtime.endpoint, settings, None, idle)  # type: ignore[arg-type]
            try:
                yield found
            finally:
                await found.end()
