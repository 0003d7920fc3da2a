"""Real servers for tests: an embedded nats-server, a node on it, and gateways as processes that can be killed.

In: a directory. Out: things that run, and have ended afterwards. Always: every wait has an end.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from holdfast._core import Engine
from holdfast.macs import Macs
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.stream_reader import StreamReader
from holdfast.nats.streams import stream_state
from holdfast.nats_server.server import EmbeddedServer, runtime_of
from holdfast.nats_server.store import Runtime
from holdfast.node.node import Node
from holdfast.settings import NodeSettings, Settings

OWNER_KEY = b"k" * 32
ROOT = Path(__file__).parents[2]


def quick_settings(**changes: int) -> Settings:
    """Defaults, with node settings changed."""
    return Settings(node=NodeSettings(**changes))


@asynccontextmanager
async def embedded(
    directory: Path, settings: Settings | None = None, scope: str = "main"
) -> AsyncIterator[EmbeddedServer]:
    """An embedded server, stopped afterwards."""
    server = EmbeddedServer(directory, (settings or Settings()).log)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def connected(endpoint: Endpoint, settings: Settings | None = None) -> AsyncIterator[Connection]:
    """A connection, closed afterwards."""
    connection = Connection(endpoint, (settings or Settings()).log, "test")
    await connection.open()
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def leading(
    endpoint: Endpoint,
    settings: Settings | None = None,
    name: str = "n1",
    scope: str = "main",
    rules: Mapping[str, Any] | None = None,
    macs: Macs | None = None,
) -> AsyncIterator[Node[Engine]]:
    """A node that leads, with these settings of the rules, stopped afterwards."""
    encoded = orjson.dumps(rules or {})
    macs = macs or Macs()
    make = partial(Engine, scope, OWNER_KEY, macs.keys)
    node = Node(scope, endpoint, make, settings, name=name, rules=encoded, macs=macs)
    await node.start()
    try:
        await until(lambda: node.state()["role"] == "leader" and node.ready() == [], 30)
        yield node
    finally:
        await node.stop(drain=False)


@asynccontextmanager
async def together(
    endpoint: Endpoint,
    settings: Settings | None = None,
    names: Sequence[str] = ("n1", "n2"),
    *,
    cores: Mapping[str, Callable[[], Any]] | None = None,
    macs: Callable[[], Macs] = Macs,
    directory: Path | None = None,
) -> AsyncIterator[list[Node[Engine]]]:
    """Nodes of one scope, each of which is ready: one leads and comes first, the others follow it.

    `directory`: the data directory that they share, as workers do; then they have sockets for each other.
    """
    nodes: list[Node[Engine]] = []
    async with AsyncExitStack() as stack:
        for name in names:
            own = macs()
            make = (cores or {}).get(name, partial(Engine, "main", OWNER_KEY, own.keys))
            node: Node[Engine] = Node("main", endpoint, make, settings, name=name, macs=own, directory=directory)
            await node.start()
            stack.push_async_callback(node.stop, drain=False)
            await until(lambda node=node: node.state()["sequence"] > 0, 30)  # type: ignore[misc]
            nodes.append(node)
        while not await _agreed(nodes):
            # A leader that was deposed while it was idle learns it with its next append.
            places = [{"kind": "location", "location": "w0", "type": "warehouse"}]
            await nodes[-1].facts("policy", "", [orjson.dumps({"facts": places})], "log")
        first = leaders(nodes)[0]
        yield [first, *(node for node in nodes if node is not first)]


async def _agreed(nodes: Sequence[Node[Engine]]) -> bool:
    """Whether, for a while, one of them leads, the others follow that one, and nobody tries anything else."""
    for _ in range(20):
        leading = leaders(nodes)
        named = {(node.state()["leader"], node.state()["epoch"]) for node in nodes}
        if len(leading) != 1 or len(named) != 1 or any(node.ready() for node in nodes):
            await asyncio.sleep(0.05)
            return False
        await asyncio.sleep(0.01)
    return True


def leaders(nodes: Sequence[Node[Engine]]) -> list[Node[Engine]]:
    """Those that lead now, by their own account."""
    return [node for node in nodes if node.state()["role"] == "leader"]


@asynccontextmanager
async def following(
    endpoint: Endpoint, settings: Settings | None = None, name: str = "n2", scope: str = "main"
) -> AsyncIterator[Node[Engine]]:
    """A node that may lead or follow and holds all of LOG, stopped afterwards."""
    node = Node(scope, endpoint, lambda: Engine(scope, OWNER_KEY), settings, name=name)
    await node.start()
    try:
        await until(lambda: node.state()["sequence"] > 0, 30)
        yield node
    finally:
        await node.stop(drain=False)


async def give_lease(endpoint: Endpoint, node: str, scope: str = "main") -> None:
    """Have another node lead: the lease is set to an earlier run of it, even if another holds it."""
    async with connected(endpoint) as connection:
        value = orjson.dumps({"node": node, "boot": "given"})
        await connection.request(f"$KV.HF_{scope}_LEASE.leader", value, 2_000)


async def stocked(node: Node[Engine], skus: int = 10, on_hand: int = 1_000_000) -> None:
    """Declare one warehouse and some stock in it."""
    facts: list[dict[str, object]] = [{"kind": "location", "location": "w1", "type": "warehouse"}]
    facts += [
        {"kind": "stock.level", "sku": f"S{at}", "location": "w1", "on_hand": on_hand, "basis": "net", "as_of": 1}
        for at in range(skus)
    ]
    outcome = await node.facts("erp", "acme", [orjson.dumps({"source": "acme", "facts": facts})], "log")
    assert outcome.rejected == []


def put_body(*lines: tuple[str, int], ttl_ms: int = 600_000) -> bytes:
    """The body of a PUT on channel web."""
    rows = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
    return orjson.dumps({"channel": "web", "ttl_ms": ttl_ms, "lines": rows})


async def put(node: Node[Engine], name: str, *lines: tuple[str, int], ttl_ms: int = 600_000) -> tuple[int, bytes, int]:
    """One reservation, awaited."""
    return await node.submit("put", name, put_body(*lines, ttl_ms=ttl_ms), None, None)


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> float:
    """Wait for something; how long it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, "it did not happen in time"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


class LoadedProcess:
    """`tests/support/loaded_node.py` as a process: a node under load that writes down each answer it got."""

    def __init__(self, directory: Path, answers: Path) -> None:
        self.answers = answers
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "support" / "loaded_node.py"), str(directory), str(answers)],
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'python'}{os.pathsep}{ROOT}"},
        )

    def acknowledged(self) -> list[str]:
        """Ids of reservations that were answered 201, as far as written down whole."""
        if not self.answers.exists():
            return []
        return [line for line in self.answers.read_text().split("\n")[:-1] if line]

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def kill_group(self) -> None:
        """kill -9 of everything in its process group."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def terminate(self) -> int:
        """SIGTERM, and the exit status."""
        self._process.terminate()
        return self._process.wait(30)


def running(directory: Path) -> Runtime:
    """The runtime file of a server that runs."""
    runtime = runtime_of(directory)
    assert runtime is not None, "no server runs there"
    return runtime


async def stop_process(pid: int) -> None:
    """SIGSTOP, and wait until it stands still."""
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    await asyncio.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def read(node: Node[Engine], name: str) -> tuple[int, dict[str, Any]]:
    """A reservation as the node has it now."""
    answer = node.read_now(lambda engine, as_of: engine.reservation(name, None, as_of))
    assert answer is not None
    return answer[0], orjson.loads(answer[1])


async def messages_of(connection: Connection, stream: str) -> list[tuple[int, str, bytes]]:
    """All messages of a stream that may have lost some: sequence, subject, payload."""
    state = await stream_state(connection, stream)
    if not state.messages:
        return []
    reader = StreamReader(connection, stream, max(0, state.first_sequence - 1), Settings().log, is_sparse=True)
    await reader.open()
    found: list[tuple[int, str, bytes]] = []
    try:
        await reader.wait_end()
        while not reader.at_end:
            found += [(one.sequence, one.subject, one.payload) for one in await reader.take(1_000, 1 << 20)]
    finally:
        await reader.close()
    return found
