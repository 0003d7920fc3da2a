"""What breaks things.

In: a service under load, and chance. Out: the fault done, and undone where it must be. Always: a nemesis hits
processes of this run only, by their ids; what it stopped it continues, what it limited it frees, also when it fails.
"""

import asyncio
import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import orjson

from holdfast.errors import LogError
from holdfast.nats_server.cluster import LocalCluster
from holdfast.secret_files import scope_macs
from holdfast.settings import NodeSettings
from tests.faults.service import Service
from tests.support.servers import ROOT

TTL_S = NodeSettings().lease_ttl_ms / 1000
LEASE_SUBJECT = "$KV.HF_main_LEASE.leader"
NEWEST = 1 << 60  # a revision that no lease has come to: a value that follows it is not one of before

Nemesis: TypeAlias = Callable[[Service, random.Random], Awaitable[None]]


async def kill_leader(service: Service, _chance: random.Random) -> None:
    """kill -9 of the process that leads."""
    os.kill((await service.leader()).pid, signal.SIGKILL)


async def kill_workers(service: Service, _chance: random.Random) -> None:
    """kill -9 of every process that serves, at once."""
    for worker in service.workers():
        os.kill(worker.pid, signal.SIGKILL)


async def pause_leader(service: Service, chance: random.Random) -> None:
    """SIGSTOP of the process that leads for 1.2 to 3 times the lease's TTL, then SIGCONT: a zombie wakes up."""
    pid = (await service.leader()).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(TTL_S * chance.uniform(1.2, 3))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def force_takeover(service: Service, chance: random.Random) -> None:
    """Give the lease to another process while the leader is alive and appends."""
    leader = await service.leader()
    other = chance.choice([worker for worker in service.workers() if worker.node != leader.node])
    macs = scope_macs(service.directory)
    value = {"node": other.node, "boot": "0" * 16, "follows": NEWEST}
    given = macs.sign_json("lease", b"main", orjson.dumps(value))
    async with service.log() as connection:
        with contextlib.suppress(LogError):
            await connection.request(LEASE_SUBJECT, given, 2_000)
    async with asyncio.timeout(10 * TTL_S):
        while (await service.leader()).node == leader.node:  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.05)


async def kill_nats(service: Service, _chance: random.Random) -> None:
    """kill -9 of the only nats-server."""
    os.kill(service.nats_pid(), signal.SIGKILL)


async def kill_supervisor(service: Service, chance: random.Random) -> None:
    """kill -9 of the process that owns the nats-server and the workers; then it is started again."""
    service.kill_supervisor()
    await asyncio.sleep(chance.uniform(0, 0.5))
    await service.start()


async def slow_fsync(service: Service, _chance: random.Random) -> None:
    """Every fsync of the nats-server takes 300 ms more, for some seconds."""
    with _strace(service.nats_pid(), "delay_enter=300000"):
        await asyncio.sleep(5)


async def broken_fsync(service: Service, _chance: random.Random) -> None:
    """fsync fails with EIO for a while: a disk that is dying. What follows is sticky in nats-server."""
    with _strace(service.nats_pid(), "error=EIO"):
        await asyncio.sleep(3)


async def full_disk(service: Service, _chance: random.Random) -> None:
    """No file of the nats-server can grow (EFBIG where a full disk says ENOSPC), for some seconds."""
    pid = service.nats_pid()
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    try:
        await asyncio.sleep(4)
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def pause_nats(service: Service, chance: random.Random) -> None:
    """SIGSTOP of the only nats-server for some seconds: a machine that hangs."""
    pid = service.nats_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(chance.uniform(1, 6))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def second_owner(service: Service, _chance: random.Random) -> None:
    """A second `holdfast serve` on the same directory: it must refuse, and touch nothing."""
    command = [
        sys.executable,
        "-m",
        "holdfast",
        "serve",
        "--data",
        str(service.directory),
        "--port",
        "0",
        "--auth",
        "off",
    ]
    variables = os.environ | {"PYTHONPATH": str(ROOT / "python")}
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, env=variables)
    async with asyncio.timeout(60):
        _, told = await process.communicate()
    assert process.returncode == 2, f"a second owner ended with {process.returncode}: {told.decode()}"
    assert b"in use" in told, told


def on_cluster(cluster: LocalCluster, *, kill: bool) -> Nemesis:
    """kill -9, or SIGSTOP for some seconds, of one of three nats-servers; it comes back by itself."""

    async def strike(_service: Service, chance: random.Random) -> None:
        pid = chance.choice([server.pid for server in cluster.servers.values()])
        assert pid is not None, "every server runs between two faults"
        os.kill(pid, signal.SIGKILL if kill else signal.SIGSTOP)
        if not kill:
            await asyncio.sleep(chance.uniform(1, 11))
            os.kill(pid, signal.SIGCONT)

    async def strike_and_wait(service: Service, chance: random.Random) -> None:
        await strike(service, chance)
        await cluster_is_whole(cluster)

    return strike_and_wait


async def cluster_is_whole(cluster: LocalCluster, patience_s: float = 90.0) -> None:
    """Until every server runs and LOG's two followers are current: a majority survives the next fault too."""
    from tests.support.servers import connected

    deadline_s = time.monotonic() + patience_s
    seen: object = "no answer"
    while time.monotonic() < deadline_s:
        try:
            async with connected(cluster.endpoint) as connection:
                info = await connection.api("STREAM.INFO.HF_main_LOG")
            seen = replicas = info["cluster"]["replicas"]
            if len(replicas) == 2 and all(one.get("current") and not one.get("offline") for one in replicas):
                return
        except (LogError, KeyError) as fault:
            seen = fault
        await asyncio.sleep(0.2)
    raise AssertionError(f"the cluster did not become whole in {patience_s:.0f} s: {seen}")


def can_trace() -> str:
    """Why strace cannot be used here; empty when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with subprocess.Popen(["/bin/sleep", "5"]) as sleeper:
        try:
            command = ["strace", "-qq", "-p", str(sleeper.pid), "-o", os.devnull]
            tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            try:
                tracer.wait(0.3)
            except subprocess.TimeoutExpired:
                tracer.terminate()
                tracer.wait(5)
                return ""
            return "strace may not attach to processes here"
        finally:
            sleeper.kill()


@contextlib.contextmanager
def _strace(pid: int, injection: str) -> Iterator[None]:
    calls = "fsync,fdatasync"
    command = ["strace", "-f", "-qq", "-p", str(pid), "-o", os.devnull, "-e", f"trace={calls}"]
    tracer = subprocess.Popen([*command, "-e", f"inject={calls}:{injection}"], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait(10)
