"""From settings to a connection that can run.

In: a name, its settings, where the gateway and the log are. Out: a Connector, and its status in a file. Always: with
its own nats-server a connection reads events as the user `reader`, who can write nothing; what it states goes over HTTP
under its key.
"""

import asyncio
import contextlib
import importlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from holdfast.client import Client
from holdfast.erp.connector import Connector
from holdfast.erp.csv_folder.adapter import CsvFolder
from holdfast.erp.erpnext.adapter import ErpNext
from holdfast.erp.events import OrderReader
from holdfast.erp.feed import Feed
from holdfast.erp.interface import Erp, UnusableError
from holdfast.erp.moments import Moments
from holdfast.erp.odoo.adapter import Odoo
from holdfast.erp.renamed import Renamed
from holdfast.erp.store import Store, directory_of, now_ms
from holdfast.erp.tryton.adapter import Tryton
from holdfast.guarded import write_private
from holdfast.master import FOLDER
from holdfast.master.maps import Maps
from holdfast.master.tables import Master, read_master
from holdfast.master.used import VersionError, note_used
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats_server.accounts import inbox_of
from holdfast.nats_server.users import users_of
from holdfast.settings import ErpSettings, LogSettings
from holdfast.systems import System, end, say
from holdfast.tasks import cancel_and_wait

STATUS_FILE = "status.json"
_READER = "reader"
_STATUS_S = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection lives: its data directory, its gateway, and the log (None: orders are not read)."""

    data: Path
    gateway: str
    scope: str = "main"
    endpoint: Endpoint | None = None


def reading(endpoint: Endpoint, data: Path) -> Endpoint:
    """The same server, as a user who may view streams and nothing else."""
    users = users_of(data)
    users.add(_READER)
    seed = users.file(_READER).read_text(encoding="utf-8").strip()
    return replace(endpoint, user=None, password=None, credentials=None, seed=seed, inbox=inbox_of(_READER))


def adapter_of(name: str, settings: ErpSettings, store: Store) -> Erp:
    """The adapter of the ERP that the settings name."""
    return adapter_with(name, settings, store, moments_of(store))


def adapter_with(name: str, settings: ErpSettings, store: Store, moments: Moments) -> Erp:
    """The same, with another clock than the connection's; with holdfast's names where there are tables of them."""
    master = tables_of(name, store.directory.parent.parent)
    names, maps = master.names.get(name, []), master.maps.get(name, Maps())
    if settings.kind == "csv":
        erp: Erp = CsvFolder(settings.source or name, settings, store, maps)
        maps = Maps()  # a cell is translated before it is judged
    else:
        erp = _adapter(settings, moments)
    return Renamed(erp, names, maps) if names or maps else erp


def tables_of(name: str, data: Path) -> Master:
    """The tables of a connection. Raises UnusableError where they are wrong."""
    master = read_master(data / FOLDER, only=name)
    if master.wrong:
        raise UnusableError(master.wrong[0].where, master.wrong[0].what)
    return master


def _adapter(settings: ErpSettings, moments: Moments) -> Erp:
    if settings.kind == "tryton":
        return Tryton(settings, moments)
    if settings.kind == "odoo":
        return Odoo(settings, moments)
    if settings.kind == "erpnext":
        return ErpNext(settings, moments)
    if settings.kind == "python":
        return _own(settings, moments)
    raise ValueError(f"there is no adapter for {settings.kind!r}")


def _own(settings: ErpSettings, moments: Moments) -> Erp:
    """The class that the settings name, made with them and the connection's clock. Raises UnusableError."""
    module, _, name = settings.adapter.partition(":")
    try:
        made: Erp = getattr(importlib.import_module(module), name)(settings, moments)
    except (ImportError, AttributeError, ValueError) as fault:
        raise UnusableError("adapter", f"{settings.adapter or 'none'}: {fault}") from fault
    return made


def moments_of(store: Store) -> Moments:
    """The connection's clock."""
    return Moments(store.position("clock"), lambda value: store.set_position("clock", value))


@asynccontextmanager
async def connection_of(name: str, settings: ErpSettings, place: Place, log: LogSettings) -> AsyncIterator[Connector]:
    """A connection, ready to run. Raises StoreInUseError, UnreachableError, ErpError."""
    store = Store(directory_of(place.data, name))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(store.close)
        try:
            note_used(place.data / FOLDER, name, tables_of(name, place.data))
        except VersionError as fault:
            raise UnusableError("master.toml", str(fault)) from fault
        erp = adapter_of(name, settings, store)
        await erp.open()
        stack.push_async_callback(erp.close)
        client = await stack.enter_async_context(Client(settings.gateway or place.gateway, settings.key or None))
        orders = None
        if settings.orders and place.endpoint is not None:
            connection = Connection(place.endpoint, log, f"holdfast {place.scope} erp {name}")
            await connection.open()
            stack.push_async_callback(connection.close)
            channels = frozenset(part.strip() for part in settings.channels.split(",") if part.strip())
            orders = OrderReader(connection, place.scope, store, client, channels)
        yield Connector(erp, store, Feed(client, settings.source or name), settings, orders)


async def run(name: str, settings: ErpSettings, place: Place, log: LogSettings) -> None:
    """Until it is cancelled, with its status in a file once a second."""
    async with connection_of(name, settings, place, log) as connector:
        reporting = asyncio.create_task(_report(connector, place.data, name))
        try:
            await connector.run()
        finally:
            await cancel_and_wait(reporting)
            end(place.data, f"erp-{name}")


async def _report(connector: Connector, data: Path, name: str) -> None:
    file = directory_of(data, name) / STATUS_FILE
    while True:
        say(data, f"erp-{name}", [system_of(connector, name)])
        with contextlib.suppress(OSError):
            write_private(file, msgspec.json.encode(status_of(connector)).decode())
        await asyncio.sleep(_STATUS_S)


def system_of(connector: Connector, name: str) -> System:
    """What the gateways show of it."""
    parked, waiting = connector.store.counts_of("parked"), connector.store.waiting()
    faults = [connector.breaker.why] if connector.breaker.is_open else list(connector.faults.values())
    return System(f"erp {name}", "failing" if faults else "working", next(iter(faults), ""), waiting, parked)


def status_of(connector: Connector) -> dict[str, Any]:
    """What the process knows; the queue is in the store."""
    description = connector.description
    return {
        "pid": os.getpid(),
        "at_ms": now_ms(),
        "product": description.product if description else None,
        "version": description.version if description else None,
        "remarks": list(description.remarks) if description else [],
        "down": connector.breaker.is_open,
        "faults": connector.faults,
        "turns": connector.turns_total,
        "events_behind": connector.behind,
        "exported": connector.exporter.exported_total,
        "looked_up": connector.exporter.looked_up_total,
        "facts": connector.feed.facts_total,
        "facts_rejected": connector.feed.rejected_total,
    }
