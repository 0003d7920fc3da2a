"""Comparing again and again.

In: settings, a gateway, NATS. Out: the newest report, as JSON and as a page, in DIR/reconcile. Always: one run at a
time; a report replaces the one before as a whole.
"""

import asyncio
import contextlib
from pathlib import Path

import msgspec

from holdfast.client import NO_RETRY, Client
from holdfast.client.errors import ClientError
from holdfast.guarded import write_private
from holdfast.nats.connection import Connection, Endpoint
from holdfast.reconcile.findings import Report
from holdfast.reconcile.memory import directory_in
from holdfast.reconcile.page import page_of
from holdfast.reconcile.run import Place, reconcile
from holdfast.settings import Settings

REPORT, PAGE = "report.json", "report.html"
_READY_POLL_S = 0.5


async def compare_on_schedule(data: Path, gateway: str, scope: str, settings: Settings, endpoint: Endpoint) -> None:
    """Until it is cancelled; the first time once the gateway is ready."""
    await _ready(gateway)
    connection = Connection(endpoint, settings.log, f"holdfast {scope} reconcile")
    await connection.open()
    types = [part for part in settings.reconcile.apply.split(",") if part]
    try:
        while True:
            report = await reconcile(Place(data, gateway, scope, settings, connection), types)
            await asyncio.to_thread(write, data, report)
            await asyncio.sleep(settings.reconcile.every_ms / 1000)
    finally:
        await connection.close()


async def _ready(gateway: str) -> None:
    async with Client(gateway, retry=NO_RETRY) as client:
        while True:
            with contextlib.suppress(ClientError):
                if await client.ready():
                    return
            await asyncio.sleep(_READY_POLL_S)


def write(data: Path, report: Report) -> None:
    """Raises OSError."""
    directory = directory_in(data)
    write_private(directory / REPORT, msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    write_private(directory / PAGE, page_of(report))
