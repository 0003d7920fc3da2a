"""The stores of a data directory, each connected.

Role: run a connector for each store, and begin again when its files change. In: DIR/woo; NATS; a gateway. Out: running
connectors; answers to what `holdfast woo` asks of them; their figures for Prometheus. Always: a store whose settings
cannot be used stops no other; of several connectors of one store one works, and another goes on when it ends.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from nats.aio.msg import Msg

from holdfast.client import Client, Retry
from holdfast.errors import LogError
from holdfast.metrics_port import serve_figures
from holdfast.nats.connection import Connection, Endpoint
from holdfast.settings import Settings
from holdfast.supervisor.record import gateway_of
from holdfast.systems import System, end, say
from holdfast.tasks import cancel_and_wait
from holdfast.woo.connector import EXPECTED, Connector
from holdfast.woo.lease import Lease, OvertakenError
from holdfast.woo.metrics import StoreFigures
from holdfast.woo.outlets import WooStreams, ensure
from holdfast.woo.report import StoreReport
from holdfast.woo.stores import Files, Store, names_in

log = structlog.get_logger(__name__)

_LOOK_S = 2.0
PROCESS = "woo"
_BY_CHOICE = ("no delivery_url", "no secret")
_GATEWAY_POLL_S = 0.5


class Asked(msgspec.Struct):
    """What `holdfast woo` asks of a connector that runs."""

    verb: str
    since_s: int | None = None


@dataclass(slots=True)
class _Running:
    mark: tuple[float, ...]
    task: asyncio.Task[None]


class Connectors:
    """All of a data directory, or `only` those that are named."""

    def __init__(
        self, directory: Path, scope: str, endpoint: Endpoint, settings: Settings, *, only: tuple[str, ...] = ()
    ) -> None:
        self._directory = directory
        self._scope = scope
        self._settings = settings
        self._only = only
        self._connection = Connection(endpoint, settings.log, "woo")
        self._streams = WooStreams(scope)
        self._running: dict[str, _Running] = {}
        self.connectors: dict[str, Connector] = {}

    async def run(self) -> None:
        """Until cancelled. Raises LogError where NATS cannot be reached at the start."""
        await self._connection.open()
        stop_serving = serve_figures(self._settings.woo.metrics_port, StoreFigures(self._figures))
        try:
            await ensure(self._connection, self._streams, self._settings.woo, self._settings.log)
            await self._connection.listen(f"hf.{self._scope}.woo.do.*", self._on_asked)
            while True:
                await self._look()
                await asyncio.to_thread(say, self._directory, PROCESS, self._systems())
                await asyncio.sleep(_LOOK_S)
        finally:
            end(self._directory, PROCESS)
            await cancel_and_wait(*(one.task for one in self._running.values()))
            stop_serving()
            await self._connection.close()

    async def _look(self) -> None:
        """Begin what is new, begin again what changed, end what was removed."""
        found = await asyncio.to_thread(self._marks)
        for name in [one for one in self._running if one not in found]:
            await cancel_and_wait(self._running.pop(name).task)
            log.info("store-ended", store=name)
        for name, mark in found.items():
            before = self._running.get(name)
            if before is not None and before.mark == mark:
                continue
            if before is not None:
                log.info("store-changed", store=name)
                await cancel_and_wait(before.task)
            self._running[name] = _Running(mark, asyncio.create_task(self._connect(name)))

    def _marks(self) -> dict[str, tuple[float, ...]]:
        """By store: when its files were changed. The secrets are read again by themselves."""
        marks = {}
        for name in names_in(self._directory)[: self._settings.woo.stores_max]:
            if not self._only or name in self._only:
                files = Files(self._directory, name)
                read = (files.settings, files.rest, files.key, files.statuses)
                marks[name] = tuple(_changed(file) for file in read)
        return marks

    async def _connect(self, name: str) -> None:
        """Run one store, for ever."""
        files = Files(self._directory, name)
        while True:
            try:
                store = await asyncio.to_thread(files.load)
                if store.paused:
                    log.info("store-paused", store=name)
                    return
                await asyncio.to_thread(files.note_used)
                await self._once(name, files, store)
            except OvertakenError as other:
                log.info("store-elsewhere", store=name, why=str(other))
            except EXPECTED as fault:
                log.error("store-not-connected", store=name, why=str(fault))
            except Exception as fault:
                log.error("store-fault", store=name, exc_info=fault)
            await asyncio.sleep(_LOOK_S)

    async def _once(self, name: str, files: Files, store: Store) -> None:
        url, key = store.gateway or await self._gateway(), await asyncio.to_thread(files.api_key)
        lease = Lease(self._connection, self._streams.reports, self._streams.report(name), self._settings)
        await lease.claim()
        async with Client(url, key, timeout_s=30.0, retry=Retry(tries_max=4)) as client:
            connector = Connector(name, store, files, client, self._connection, self._scope, self._settings, lease)
            self.connectors[name] = connector
            try:
                await connector.run()
            finally:
                self.connectors.pop(name, None)

    async def _gateway(self) -> str:
        """The address of the gateway on this data directory, once it runs."""
        while True:
            found = await asyncio.to_thread(gateway_of, self._directory)
            if found is not None:
                return found.url
            await asyncio.sleep(_GATEWAY_POLL_S)

    async def _on_asked(self, message: Msg) -> None:
        name = message.subject.rpartition(".")[2]
        connector = self.connectors.get(name)
        if connector is None or not message.reply:
            return  # the connector of another machine may answer
        answer: dict[str, Any]
        try:
            asked = msgspec.json.decode(message.data, type=Asked)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            answer = {"error": "not understood"}
        else:
            if asked.verb == "push-all":
                answer = {"figures": connector.push_all()}
            elif asked.verb == "backfill":
                connector.read_since(asked.since_s)
                answer = {"since_s": asked.since_s}
            else:
                answer = {"error": f"no such verb: {asked.verb[:40]}"}
        with contextlib.suppress(LogError):
            await self._connection.publish(message.reply, msgspec.json.encode(answer))

    def _systems(self) -> list[System]:
        """What the gateways show of each store that is to run here."""
        found = []
        for name, running in self._running.items():
            connector = self.connectors.get(name)
            if connector is not None:
                found.append(system_of(connector.reported()))
            elif not running.task.done():  # not paused
                found.append(System(f"shop {name}", "failing", "it is not connected: see the line store-not-connected"))
        return found

    def _figures(self) -> dict[str, Any]:
        return {name: connector.reported() for name, connector in self.connectors.items()}


def system_of(report: StoreReport) -> System:
    """A shop whose webhooks do not come still has its orders read; a person should know all the same."""
    wrong = [f"webhook {one}" for one in report.webhooks_wrong if not one.startswith(_BY_CHOICE)]
    late = report.errors[-1:] if report.state == "waiting" else []
    why = "; ".join(late or wrong) or ("the shop or the gateway does not answer" if report.state == "waiting" else "")
    return System(f"shop {report.store}", "failing" if why else "working", why, report.push_waiting)


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
