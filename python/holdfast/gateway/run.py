"""One gateway process, from start to drained stop.

In: where the data is, where to listen, which NATS; then what the supervisor reports about the log. Out: an exit reason.
Always: the node is up before the gateway, and they stop the other way round; SIGTERM and SIGINT let what is under way
finish; the process ends when its node must not go on, and when the supervisor ends.
"""

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import structlog
from aiohttp import http_parser

from holdfast._core import Engine
from holdfast.events.feed import Feed
from holdfast.gateway.app import Gateway
from holdfast.gateway.bounds import bounds_of
from holdfast.gateway.event_streams import EventStreams
from holdfast.gateway.gate import KeyGate, LoopbackGate
from holdfast.gateway.key_exchange import KeyExchange
from holdfast.gateway.key_use import KeyUse
from holdfast.gateway.keyring import Keyring, KeyringError
from holdfast.gateway.looking_back import LookBack
from holdfast.gateway.paces import SharedPaces
from holdfast.gateway.silence import watch_silence
from holdfast.macs import Macs
from holdfast.nats.connection import endpoint_of
from holdfast.nats.streams import Names
from holdfast.node.bootstrap import Bootstrap
from holdfast.node.node import Node
from holdfast.secret_files import SCOPE_KEY_FILE, owner_key, scope_macs
from holdfast.settings import TokenSettings
from holdfast.supervisor.child import GONE
from holdfast.supervisor.control_pipe import (
    Assignment,
    ControlPipe,
    Listening,
    LogState,
    Retained,
    SnapshotCounts,
    WorkerDied,
)
from holdfast.tasks import cancel_and_wait
from holdfast.woo.intake import Intake

if TYPE_CHECKING:
    from holdfast.gateway.tokens import Tokens

OWN_HOST = "127.0.0.1"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Serving:
    """A gateway that listens; `keys` is how many keys are in force."""

    gateway: Gateway
    node: Node[Engine]
    own_url: str
    keys: int


async def work(assignment: Assignment, pipe: ControlPipe) -> str:
    """Serve until asked to stop. Returns why it ended: "" after a signal, else the cause that made it impossible to go
    on.

    Raises LogError when the log cannot be used, OSError when the address cannot, KeyringError when the key file cannot.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await pipe.open()
    if disagreement := assignment.disagreement():
        return disagreement
    async with AsyncExitStack() as stack:
        serving = await stack.enter_async_context(_serving(assignment))
        pipe.send(Listening(serving.own_url, serving.keys))
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(serving.node.halted())]
        note = serving.node.cluster.freshness.note_silent
        counted, bounds = serving.gateway.counters.beside, assignment.settings.retention
        counted.disk_wanted_bytes = bounds.free_bytes_min
        silence = asyncio.create_task(watch_silence(note, Path(assignment.directory)))
        around = asyncio.create_task(counted.watch(Path(assignment.directory)))
        beside = [asyncio.create_task(_report_ready(serving)), asyncio.create_task(_receive(serving.node, pipe))]
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (*ends, beside[0], silence, around):
            task.cancel()
        why = next((str(task.result()) for task in done if task is not ends[0]), "")
        log.info("stopping", why=why or "requested")
    beside[1].cancel()
    log.info("stopped")
    return why


@asynccontextmanager
async def _serving(assignment: Assignment) -> AsyncIterator[Serving]:
    settings = assignment.settings
    directory = Path(assignment.directory)
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        log.warning("slow_parser", detail="aiohttp lacks its C parser; install a wheel of it")
    gate, keys = await _gate(assignment)
    scope = assignment.scope
    macs = await asyncio.to_thread(scope_macs, directory)
    node = await _node(assignment, macs)
    await node.start()
    intake = Intake(directory, scope, endpoint_of(assignment.nats, settings.log), settings.woo, settings.log)
    feed = Feed(endpoint_of(assignment.nats, settings.log), scope, settings.events, settings.log)
    look_back = LookBack(directory, scope, assignment.nats, settings)
    gateway = Gateway(
        node,
        settings.gateway,
        gate,
        name=assignment.node,
        deliveries=intake,
        look_back=look_back,
        delivery_bytes_max=settings.woo.delivery_bytes_max,
        streams=EventStreams(feed, settings.events),
        bounds=bounds_of(settings.gateway, settings.node, settings.events),
        tokens=gate.tokens if isinstance(gate, KeyGate) else None,
    )
    drain = False
    exchange: asyncio.Task[None] | None = None
    try:
        await intake.warm()
        await gateway.start(assignment.host, assignment.port, shared=True)
        host, port = await gateway.listen(OWN_HOST, assignment.own_port, shared=True)
        if assignment.probes is not None:
            await gateway.listen_for_probes(*assignment.probes, shared=True)
        drain = True
        # The objects made so far stay for ever: the garbage collector need not visit them again.
        gc.collect()
        gc.freeze()
        exchange = _exchange(assignment, macs, gateway)
        yield Serving(gateway, node, f"http://{host}:{port}", keys)
    finally:
        await cancel_and_wait(exchange)
        await gateway.stop()
        await intake.close()
        await look_back.close()
        await node.stop(drain)


def _exchange(assignment: Assignment, macs: Macs, gateway: Gateway) -> asyncio.Task[None] | None:
    """Of keys with the scope's other machines; None: there are none, or nothing proves what comes from them."""
    if not assignment.auth or assignment.own_nats or macs.keys is None:
        return None
    logs = assignment.settings.log
    note = gateway.counters.beside.note_keys
    endpoint = endpoint_of(assignment.nats, logs)
    exchange = KeyExchange(Path(assignment.directory), assignment.scope, endpoint, logs, macs, note)
    return asyncio.create_task(exchange.run(), name="key-exchange")


async def _node(assignment: Assignment, macs: Macs) -> Node[Engine]:
    """The node, not yet started."""
    settings, scope = assignment.settings, assignment.scope
    directory = Path(assignment.directory)
    secret = await asyncio.to_thread(owner_key, directory)
    if macs.keys is None:
        log.warning("no-scope-key", detail=f"{directory} has no {SCOPE_KEY_FILE}: what gateways write is not signed")
    bootstrap = Bootstrap(
        directory,
        Names(scope),
        settings,
        lambda: Engine(scope, secret, macs.keys),
        lambda path: Engine.restore(scope, secret, path, macs.keys),
        shared=assignment.shares_snapshots,
        macs=macs,
    )
    return Node(
        scope,
        endpoint_of(assignment.nats, settings.log),
        lambda: Engine(scope, secret, macs.keys),
        settings,
        bootstrap=bootstrap,
        name=assignment.node,
        directory=directory,
        rules=orjson.dumps(asdict(settings.rules)),
        macs=macs,
    )


async def _gate(assignment: Assignment) -> tuple[KeyGate | LoopbackGate, int]:
    """Who may come in, and how many keys are in force. Raises KeyringError."""
    if not assignment.auth:
        return LoopbackGate(), 0
    directory = Path(assignment.directory)
    gate = KeyGate(
        Keyring(directory, await asyncio.to_thread(SharedPaces, directory)),
        tokens=_tokens(assignment.settings.tokens),
        use=await asyncio.to_thread(KeyUse, directory, assignment.node),
    )
    await gate.open()
    if unbound := gate.keyring.of_any_source():
        log.warning("keys_of_any_source", keys=unbound, detail="bind them: holdfast keys change ID --source NAME")
    return gate, gate.keyring.in_force()


def _tokens(settings: TokenSettings) -> "Tokens | None":
    """What verifies tokens, where an issuer is named. Raises KeyringError without the packages that it needs."""
    if not settings.issuer:
        return None
    try:
        from holdfast.gateway.tokens import Tokens
    except ImportError as error:
        raise KeyringError(f"tokens.issuer needs the package holdfast-inventory[tokens] ({error})") from error
    return Tokens(settings)


async def _receive(node: Node[Engine], pipe: ControlPipe) -> None:
    """Messages of the supervisor. When it ends, this process ends at once: the log stops too, and may be replaced."""
    async for message in pipe.received():
        if isinstance(message, LogState):
            node.log_fault = message.fault
        elif isinstance(message, SnapshotCounts):
            node.counted.snapshots_taken = message.taken_total
            node.counted.snapshots_failed = message.failed_total
            node.counted.snapshot_failures_in_a_row = message.failures_in_a_row
        elif isinstance(message, Retained):
            node.counted.retain(message.bytes_by_part, message.budget_bytes, message.since_ms, message.days_left)
            node.counted.bury(message.dead_letters, message.dead_since_ms)
        elif isinstance(message, WorkerDied):
            node.peer_died(message.node)
    log.critical("supervisor-gone")
    os._exit(GONE)


async def _report_ready(serving: Serving) -> None:
    began = time.monotonic()
    await serving.node.wait_ready()
    sequence = serving.node.state()["sequence"]
    serving.gateway.dispatcher.raise_answered(sequence)
    log.info("ready", sequence=sequence, after_ms=int((time.monotonic() - began) * 1000))
