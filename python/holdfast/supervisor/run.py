"""The supervisor: one data directory, one port, one nats-server, and the processes that serve.

In: a plan. Out: a gateway that is announced once it listens, and why it ended. Always: DATA is locked before anything
in it is touched; the nats-server belongs to this process and to no worker that can die, starts before and stops after
them; each one that dies is started again; SIGTERM and SIGINT drain; a kill -9 of this process ends every one of them,
and loses nothing that was acknowledged.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from holdfast.secret_files import make_scope_key
from holdfast.settings import Settings
from holdfast.supervisor import record
from holdfast.supervisor.address import Reserved, reserve
from holdfast.supervisor.children import Child, ChildSpec
from holdfast.supervisor.control_pipe import (
    Assignment,
    LogState,
    Outcome,
    Retained,
    SnapshotCounts,
    WorkerDied,
    fingerprint_of,
)
from holdfast.supervisor.record import WORKER_MODULE, GatewayRecord, WorkerRecord
from holdfast.tasks import cancel_and_wait

if TYPE_CHECKING:
    from holdfast.nats_server.server import EmbeddedServer

log = structlog.get_logger(__name__)

OWN_HOST = "127.0.0.1"
SNAPSHOTS = "snapshots"
SNAPSHOTS_MODULE = "holdfast.recovery.snapshot_process"
PUBLISHER = "publisher"
PUBLISHER_MODULE = "holdfast.publisher.process"
WEBHOOKS = "webhooks"
WEBHOOKS_MODULE = "holdfast.webhooks.process"
WEBHOOKS_NICENESS = 5
WOO = "woo"
WOO_MODULE = "holdfast.woo.process"
ERP_PREFIX = "erp-"
ERP_MODULE = "holdfast.erp.process"
DEGRADED = "degraded"
DEGRADED_MODULE = "holdfast.degraded.process"
RECONCILE = "reconcile"
RECONCILE_MODULE = "holdfast.reconcile.process"
ERP_NICENESS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `nats` None: an own nats-server under `directory`. `node`: the machine's name in the log.

    `probes`: where the probes are answered, too.
    """

    directory: Path
    host: str = "127.0.0.1"
    port: int = 8080
    auth: bool = True
    nats: str | None = None
    scope: str = "main"
    node: str = "n1"
    workers: int = 1
    log_level: str = "info"
    loop: str = "uvloop"
    settings: Settings = field(default_factory=Settings)
    probes: tuple[str, int] | None = None

    def nodes(self) -> list[str]:
        """The workers' names: n1-1, n1-2 ...; n1 when it is alone."""
        if self.workers == 1:
            return [self.node]
        return [f"{self.node}-{number}" for number in range(1, self.workers + 1)]

    def children(self) -> list[ChildSpec]:
        """All processes to keep running. A further one for this gateway is added here: it gets the same assignment."""
        place = str(self.directory.resolve())
        children = [ChildSpec(name, (sys.executable, "-m", WORKER_MODULE, name, place)) for name in self.nodes()]
        snapshots = self.settings.snapshots
        if snapshots.every_batches > 0:
            argv = (sys.executable, "-m", SNAPSHOTS_MODULE, place)
            # One that ends while it takes a snapshot (killed for its memory, for example) must not do so again and
            # again.
            factor, ms_max = snapshots.retry_rest_factor, snapshots.retry_ms_max
            spec = ChildSpec(SNAPSHOTS, argv, niceness=snapshots.niceness, rest_factor=factor, rest_ms_max=ms_max)
            children.append(spec)
        publisher = self.settings.publisher
        if publisher.enabled:
            argv = (sys.executable, "-m", PUBLISHER_MODULE, place)
            children.append(ChildSpec(PUBLISHER, argv, niceness=publisher.niceness))
        if self.settings.woo.enabled:
            argv = (sys.executable, "-m", WOO_MODULE, place)
            children.append(ChildSpec(WOO, argv, niceness=self.settings.woo.niceness))
        if any(one.enabled for one in self.settings.webhook.values()):
            children.append(
                ChildSpec(WEBHOOKS, (sys.executable, "-m", WEBHOOKS_MODULE, place), niceness=WEBHOOKS_NICENESS)
            )
        for name, erp in self.settings.erp.items():
            if erp.enabled:
                argv = (sys.executable, "-m", ERP_MODULE, place)
                children.append(ChildSpec(f"{ERP_PREFIX}{name}", argv, niceness=ERP_NICENESS))
        if self.settings.reconcile.every_ms:
            argv = (sys.executable, "-m", RECONCILE_MODULE, place)
            children.append(ChildSpec(RECONCILE, argv, niceness=self.settings.reconcile.niceness))
        if self.settings.degraded.enabled:
            argv = (sys.executable, "-m", DEGRADED_MODULE, place)
            children.append(ChildSpec(DEGRADED, argv, niceness=self.settings.degraded.niceness))
        return children


@dataclass(frozen=True, slots=True)
class Announcement:
    """A gateway that listens. `keys`: how many are in force."""

    url: str
    workers: tuple[WorkerRecord, ...]
    keys: int


class StartError(Exception):
    """A worker ended before any of them listened; the text is its last message."""


async def supervise(
    plan: Plan, announce: Callable[[Announcement], None], owned: Callable[[], None] = lambda: None
) -> str:
    """Run until asked to stop. Returns why it ended: "" for a signal, else the cause that made it impossible to go on.

    Raises LogError when the log cannot be used, StartError when a worker cannot start, OSError when the address is
    taken. `owned` is called once the directory and the address are ours.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        lock = record.own(plan.directory)
        stack.callback(os.close, lock)
        for orphan in record.end_orphans(plan.directory):
            log.warning("worker-orphan-ended", child=orphan.node, pid=orphan.pid)
        shared = reserve(plan.host, plan.port)
        stack.callback(shared.release)
        if plan.probes is not None:
            stack.callback(reserve(*plan.probes).release)
        owned()
        if plan.nats is None:
            make_scope_key(plan.directory)  # with --nats the gateways of other machines need the same one
        supervisor = Supervisor(plan, shared, announce)
        stack.push_async_callback(supervisor.stop)
        why = await supervisor.run(stop)
    log.info("stopped", why=why)
    return why


class Supervisor:
    """The children of one plan."""

    def __init__(self, plan: Plan, shared: Reserved, announce: Callable[[Announcement], None]) -> None:
        self._plan = plan
        self._shared = shared
        self._own: dict[str, Reserved] = {}
        self._announce = announce
        self._announced = False
        self._nodes = set(plan.nodes())
        self._children: list[Child] = []
        self._server: EmbeddedServer | None = None
        self._snapshot_counts = SnapshotCounts()
        self._snapshot_deaths = 0
        self._no_start: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._url = url_of(plan.host, shared.port)

    async def run(self, stop: asyncio.Event) -> str:
        """Until asked to stop, or until it is impossible to go on."""
        # The children first: they load their programs while the log starts.
        for spec in self._plan.children():
            child = Child(
                spec, self._plan.settings.supervisor, self._on_change, self._on_snapshot_tried, self._on_retained
            )
            child.start()
            self._children.append(child)
        viewing: asyncio.Task[None] | None = None
        stopping = asyncio.create_task(stop.wait())
        starting = asyncio.create_task(self._start_log())
        try:
            await asyncio.wait({stopping, starting}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return ""
            nats = starting.result()
            for child in self._children:
                child.assign(self._assignment(child.spec.name, nats))
            viewing = asyncio.create_task(self._serve_views(nats))
            return await self._until_over(stopping)
        finally:
            await cancel_and_wait(stopping, starting, viewing)

    async def _start_log(self) -> str:
        """The address of NATS, with its secret."""
        if self._plan.nats is not None:
            return self._plan.nats
        # Only now: the NATS client that it imports takes longer to load than everything else here.
        from holdfast.nats_server.server import EmbeddedServer

        self._server = EmbeddedServer(self._plan.directory, self._plan.settings.log, scope=self._plan.scope)
        self._server.watch(self._on_fault)
        await self._server.start()
        return self._server.url

    async def _serve_views(self, nats: str) -> None:
        """For people with the nats tool. Here, and not in a worker, so that many who ask stall nobody's checkout."""
        from holdfast.nats_server.view_service import serve_views

        await serve_views(nats, self._plan.scope, self._plan.settings.log)

    async def _until_over(self, stopping: asyncio.Task[bool]) -> str:
        ends: set[asyncio.Future[bool] | asyncio.Future[str]] = {stopping, self._no_start}
        failing = asyncio.create_task(self._server.failed()) if self._server is not None else None
        if failing is not None:
            ends.add(failing)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                return ""
            if self._no_start.done():
                raise StartError(self._no_start.result())
            assert failing is not None, "Invariant: one of them is done"
            return failing.result()
        finally:
            await cancel_and_wait(failing)

    def _assignment(self, name: str, nats: str) -> Assignment:
        plan = self._plan
        if name in self._nodes:
            self._own[name] = reserve(OWN_HOST, 0)
        return Assignment(
            node=name,
            directory=str(plan.directory),
            nats=nats,
            scope=plan.scope,
            host=plan.host,
            port=self._shared.port,
            own_port=self._own[name].port if name in self._own else 0,
            probes=plan.probes if name in self._nodes else None,
            auth=plan.auth,
            log_level=plan.log_level,
            loop=plan.loop,
            settings=plan.settings,
            own_nats=plan.nats is None,
            fingerprint=fingerprint_of(plan.settings),
        )

    def _on_change(self, child: Child) -> None:
        """A child listens, or died."""
        if child.spec.name == SNAPSHOTS and child.deaths_total > self._snapshot_deaths:
            self._snapshot_deaths = child.deaths_total
            self._on_snapshot_tried("failed")
        if child.listening is None and child.spec.name in self._nodes:
            for other in self._children:
                if other is not child and other.spec.name in self._nodes:
                    other.tell_death(WorkerDied(child.spec.name))
        workers = [one for one in self._children if one.spec.name in self._nodes]
        listening = [one for one in workers if one.listening is not None]
        if not self._announced and not listening:
            if child in workers and child.failed_first is not None and not self._no_start.done():
                self._no_start.set_result(f"{child.spec.name}: {child.failed_first}")
            return
        found = GatewayRecord(
            url=self._url,
            pid=os.getpid(),
            scope=self._plan.scope,
            workers=tuple(
                WorkerRecord(one.spec.name, one.pid, one.listening.url if one.listening is not None else "")
                for one in workers
                if one.pid is not None
            ),
        )
        try:
            found.write(self._plan.directory)
        except OSError as fault:  # a full disk must not keep a worker from coming back
            log.error("record-not-written", file=record.RECORD_FILE, why=str(fault))
        if not self._announced and len(listening) == len(found.workers):
            self._announced = True
            keys = max(one.listening.keys for one in listening if one.listening is not None)
            self._announce(Announcement(self._url, found.workers, keys))

    def _on_snapshot_tried(self, outcome: Outcome) -> None:
        self._snapshot_counts = self._snapshot_counts.after(outcome)
        for child in self._children:
            if child.spec.name in self._nodes:
                child.tell_snapshot_counts(self._snapshot_counts)

    def _on_retained(self, retained: Retained) -> None:
        for child in self._children:
            if child.spec.name in self._nodes:
                child.tell_retained(retained)

    def _on_fault(self, fault: str) -> None:
        """The nats-server has a fault, or no longer has one."""
        for child in self._children:
            child.tell_log_state(LogState(fault))

    async def stop(self) -> None:
        """The children first, each with time to finish; then the log; then the record of the address is removed."""
        log.info("stopping")
        await asyncio.gather(*(child.stop() for child in self._children))
        if self._server is not None:
            await self._server.stop()
        record.remove(self._plan.directory)
        for reserved in self._own.values():
            reserved.release()


def url_of(host: str, port: int) -> str:
    """For programs on this machine: where the gateway listens on every address, loopback is one of them."""
    host = {"": OWN_HOST, "0.0.0.0": OWN_HOST, "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
