"""Starts holdfast and its peers, each with the same stock, and stops them.

In: a directory. Out: where each listens, and how durable its answers are.
Always: every server is a process that was started here, listens on a free port of loopback, keeps its files in the
directory, and has ended when the block has.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import uvloop
from redis import Redis
from redis.exceptions import ConnectionError as NotThereError

from benchmarks.load import HOT, LAST, SKUS
from benchmarks.peers.stores import SCHEMA
from benchmarks.serving import free_port, process, stock, wait_until_ready

LAST_UNITS = 200
UNITS = 1_000_000
SPECIAL = {HOT: 1_000_000_000, LAST: LAST_UNITS}
STOCK = {f"SKU-{number:05}": UNITS for number in range(SKUS)} | SPECIAL
HOW_TO_GET = {
    "redis-server": "apt-get install redis-server",
    "postgres": "apt-get install postgresql",
}


@dataclass(frozen=True)
class Peer:
    """A server that is up. `keeps` is False where it answers a constant and holds nothing."""

    name: str
    port: int
    durable: str
    keeps: bool


def postgres_program(name: str) -> str | None:
    """The newest that is installed; Debian keeps them out of PATH."""
    found = [path for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}") if path.parts[-3].isdigit()]
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    return str(newest) if newest else shutil.which(name)


def missing() -> list[str]:
    """What is not on this machine, with how to get it."""
    lacking = [] if shutil.which("redis-server") else ["redis-server"]
    lacking += [] if postgres_program("postgres") and postgres_program("initdb") else ["postgres"]
    return [f"{name} is missing: {HOW_TO_GET[name]}" for name in lacking]


@contextmanager
def running(directory: Path) -> Iterator[list[Peer]]:
    """All of them, ready and stocked."""
    starts: list[Callable[[Path], Iterator[Peer]]] = [_bare, _raw, _redis, _postgres, _holdfast]
    with ExitStack() as stack:
        peers = []
        for start in starts:
            own = directory / start.__name__.strip("_")
            own.mkdir()
            peers.append(stack.enter_context(contextmanager(start)(own)))
        yield peers


def _handler(directory: Path, kind: str, address: str = "") -> "_Handler":
    return _Handler(directory / "handler.log", kind, address)


class _Handler:
    """The peer's own process in front of its database."""

    def __init__(self, log: Path, kind: str, address: str) -> None:
        self._stack = ExitStack()
        self._log, self._arguments = log, [kind, str(free_port()), *([address] if address else [])]

    def __enter__(self) -> int:
        child = self._stack.enter_context(
            process("-m", "benchmarks.peers.serve", *self._arguments, log=self._log),
        )
        port = int(self._arguments[1])
        wait_until_ready(port, "/v1/availability/SKU-00001?channel=web", child, self._log)
        return port

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _bare(directory: Path) -> Iterator[Peer]:
    with _handler(directory, "bare") as port:
        yield Peer("bare aiohttp", port, "nothing is kept", keeps=False)


def _raw(directory: Path) -> Iterator[Peer]:
    with _handler(directory, "raw") as port:
        yield Peer("raw uvloop", port, "nothing is kept", keeps=False)


def _holdfast(directory: Path) -> Iterator[Peer]:
    port, log = free_port(), directory / "serve.log"
    arguments = ["serve", "--data", str(directory / "log"), "--port", str(port), "--auth", "off"]
    with process("-m", "holdfast", *arguments, log=log) as child:
        wait_until_ready(port, "/readyz", child, log)
        stock(port, SPECIAL)
        yield Peer("holdfast", port, "NATS JetStream, fsync of each append before its answers", keeps=True)


@contextmanager
def _daemon(directory: Path, command: list[str], ends_with: signal.Signals, user: str | None) -> Iterator[None]:
    """A database server."""
    with (directory / "server.log").open("ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, user=user, group=user)
        try:
            yield
        finally:
            child.send_signal(ends_with)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _redis(directory: Path) -> Iterator[Peer]:
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", "always"]
    with _daemon(directory, command, signal.SIGTERM, None), Redis(port=port, socket_timeout=30) as client:
        _until(lambda: bool(client.ping()), NotThereError, directory / "server.log")
        client.mset({f"stock:{sku}": units for sku, units in STOCK.items()})
        with _handler(directory, "redis", f"redis://127.0.0.1:{port}/0") as served:
            yield Peer("aiohttp + Redis", served, "one Lua script a reservation, AOF appendfsync always", keeps=True)


def _postgres(directory: Path) -> Iterator[Peer]:
    port = free_port()
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if user:
        directory.parent.chmod(0o711)
        shutil.chown(directory, user, user)
    initdb, server = postgres_program("initdb"), postgres_program("postgres")
    assert initdb is not None
    assert server is not None
    files = str(directory / "cluster")
    initial = [initdb, "-D", files, "-A", "trust", "-U", "postgres", "--locale=C", "--encoding=UTF8", "--no-sync"]
    subprocess.run(initial, check=True, stdout=subprocess.DEVNULL, cwd=directory, user=user, group=user)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "shared_buffers": "512MB",
        "max_wal_size": "8GB",
        "checkpoint_timeout": "30min",
    }
    command = [server, "-D", files, *(f"--{name.replace('_', '-')}={value}" for name, value in settings.items())]
    address = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    with _daemon(directory, command, signal.SIGINT, user):
        errors = (OSError, asyncpg.PostgresError)
        _until(lambda: uvloop.run(_fill(address)), errors, directory / "server.log")
        with _handler(directory, "postgres", address) as served:
            durable = "rows locked in one function, synchronous_commit on"
            yield Peer("aiohttp + PostgreSQL", served, durable, keeps=True)


async def _fill(address: str) -> bool:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(SCHEMA)
        await connection.copy_records_to_table("stock", records=list(STOCK.items()))
        await connection.execute("VACUUM ANALYZE stock")
    finally:
        await connection.close()
    return True


def _until(
    done: Callable[[], bool], errors: type[Exception] | tuple[type[Exception], ...], log: Path, seconds: float = 60
) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            done()
        except errors as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"a database did not come up: {error}\n{log.read_text()[-2_000:]}") from None
            time.sleep(0.05)
        else:
            return


def versions() -> dict[str, str]:
    """Of the two databases."""
    found = {}
    for name, program in {"Redis": "redis-server", "PostgreSQL": postgres_program("postgres") or "postgres"}.items():
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        found[name] = (re.search(r"\d+(\.\d+)+", said) or [said])[0]
    return found
