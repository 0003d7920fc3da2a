"""The embedded nats-server: one per store, private, fsynced, gone with its owner, back when it dies."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import ServerStartError, StoreInUseError, UnreachableError
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats_server.server import EmbeddedServer, runtime_of
from holdfast.nats_server.users import new_seed
from holdfast.settings import LogSettings, Settings
from tests.support.servers import ROOT, connected, embedded, is_alive, running, until

OWNER = """
import asyncio, sys, time
from pathlib import Path
from holdfast.nats_server.server import EmbeddedServer
from holdfast.settings import LogSettings
async def main():
    server = EmbeddedServer(Path(sys.argv[1]), LogSettings())
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def owner_process(directory: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that owns a server; the server's pid."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "python")},
    )
    assert owner.stdout is not None
    line = next(line for line in owner.stdout if line.strip().isdigit())
    return owner, int(line)


async def test_it_answers_with_jetstream_and_keeps_its_files_private(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server, connected(server.endpoint) as connection:
        account = await connection.api("INFO")
        assert account["api"]["level"] >= 2
        nats = tmp_path / "nats"
        for directory in (nats, nats / "store"):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        for file in ("nats-server.conf", "runtime.json", "owner.lock", "server.lock"):
            assert stat.S_IMODE((nats / file).stat().st_mode) == 0o600, file
        assert "sync_interval: always" in (nats / "nats-server.conf").read_text()
        assert running(tmp_path).server_pid == server.pid
    assert runtime_of(tmp_path) is None


async def test_nobody_gets_in_without_the_secret(tmp_path: Path) -> None:
    settings = replace(LogSettings(), connect_deadline_ms=700)
    async with embedded(tmp_path) as server:
        urls = server.endpoint.urls
        for endpoint in (Endpoint(urls), Endpoint(urls, "holdfast", "guess"), Endpoint(urls, seed=new_seed())):
            with pytest.raises(UnreachableError, match="secret"):
                await Connection(endpoint, settings, "stranger").open()
        assert "127.0.0.1" in server.endpoint.urls[0]
        assert str(server.endpoint.seed) not in repr(server.endpoint)
        arguments = await asyncio.to_thread(Path(f"/proc/{server.pid}/cmdline").read_text)
        assert str(server.endpoint.seed) not in arguments
        assert str(server.endpoint.seed) not in (tmp_path / "nats" / "nats-server.conf").read_text()


async def test_a_second_server_on_one_store_is_refused(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        with pytest.raises(StoreInUseError, match=str(os.getpid())):
            await EmbeddedServer(tmp_path, LogSettings()).start()
        assert running(tmp_path).server_pid == server.pid, "the first one's files are left alone"


async def test_it_is_gone_when_its_owner_is_killed(tmp_path: Path) -> None:
    owner, server_pid = await asyncio.to_thread(owner_process, tmp_path)
    owner.kill()
    owner.wait()
    await until(lambda: not is_alive(server_pid), 10)
    async with embedded(tmp_path) as server:
        assert server.pid != server_pid


async def test_an_orphan_that_does_not_go_is_ended_before_a_new_server_starts(tmp_path: Path) -> None:
    owner, server_pid = await asyncio.to_thread(owner_process, tmp_path)
    os.kill(server_pid, signal.SIGSTOP)  # it cannot react to its owner's end
    owner.kill()
    owner.wait()
    await asyncio.sleep(0.2)
    assert is_alive(server_pid)
    async with embedded(tmp_path, Settings(log=replace(LogSettings(), orphan_timeout_ms=1_000))) as server:
        assert not is_alive(server_pid)
        assert server.pid != server_pid


async def test_a_killed_server_is_back_within_five_seconds_at_the_same_address(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server, connected(server.endpoint) as connection:
        for restarts in (1, 2):
            pid = server.pid
            assert pid is not None
            endpoint = server.endpoint
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            await until(lambda: not connection.connected)
            await until(lambda: connection.connected, 5)
            assert (await connection.api("INFO"))["api"]["level"] >= 2
            assert time.monotonic() - began < 5
            assert server.endpoint == endpoint
            await until(lambda restarts=restarts: server.restarts_total == restarts and server.fault == "")  # type: ignore[misc]
            assert running(tmp_path).server_pid == server.pid != pid


async def test_a_server_that_hangs_is_replaced(tmp_path: Path) -> None:
    settings = replace(
        LogSettings(),
        server_health_ms=100,
        server_health_failures_max=2,
        request_timeout_ms=200,
        connect_deadline_ms=500,
        server_stop_timeout_ms=300,
    )
    async with embedded(tmp_path, Settings(log=settings)) as server:
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: server.pid not in {None, pid} and server.fault == "", 15)
        assert server.restarts_total == 1


async def test_what_keeps_it_from_starting_is_told(tmp_path: Path) -> None:
    store = tmp_path / "nats" / "store" / "jetstream"
    store.parent.mkdir(parents=True)
    store.write_text("a file where a directory should be")
    with pytest.raises(ServerStartError, match=r"nats-server\.log"):
        await EmbeddedServer(tmp_path, LogSettings()).start()
    store.unlink()
    async with embedded(tmp_path):
        pass
