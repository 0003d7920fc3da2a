"""`holdfast serve` as users run it: a supervisor, workers, a log; found and hit from outside.

In: a data directory. Out: the gateway's URL, the workers by name, who leads. Always: only what this object started is
signalled, by its id; everything ends with it.
"""

import asyncio
import base64
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import aiohttp
import orjson

from holdfast.errors import LogError
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.streams import Names
from holdfast.nats_server.server import runtime_of
from holdfast.settings import LogSettings
from holdfast.supervisor.record import gateway_of
from tests.support.servers import ROOT, is_alive

READY_S = 120.0
STOP_S = 40.0


@dataclass(frozen=True, slots=True)
class Worker:
    """One process that serves."""

    node: str
    pid: int
    url: str


class Service:
    """One supervisor and what it started."""

    def __init__(
        self,
        directory: Path,
        workers: int,
        *,
        nats: Endpoint | None = None,
        url: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.workers_wanted = workers
        self.nats = nats
        self._environment = environment or {}
        self._nats_url = url
        self.url = ""  # where clients go; another one after each start
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, *, wait: bool = True) -> float:
        """Start and wait until every worker is ready (or only there, without `wait`); the seconds that took."""
        began = time.monotonic()
        command = [sys.executable, "-m", "holdfast", "serve", "--data", str(self.directory), "--port", "0"]
        command += ["--auth", "off", "--workers", str(self.workers_wanted)]
        variables = os.environ | {"PYTHONPATH": f"{ROOT / 'python'}{os.pathsep}{ROOT}"} | self._environment
        if self._nats_url is not None:
            variables["HOLDFAST_NATS"] = self._nats_url
        with (self.directory / "serve.log").open("ab") as log:
            self._process = _spawn(command, log, variables)
        await self.until_ready(began + READY_S, there=not wait)
        found = gateway_of(self.directory)
        assert found is not None, "it is ready, so it has said where it is"
        self.url = found.url
        return time.monotonic() - began

    async def stop(self) -> None:
        """SIGTERM, and wait; what was stopped is continued first."""
        process, self._process = self._process, None
        if process is None:
            return
        for worker in self.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGCONT)
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait, STOP_S)

    def kill_supervisor(self) -> None:
        """kill -9 of the process that owns everything."""
        assert self._process is not None, "started"
        self._process.kill()
        self._process.wait(STOP_S)
        self._process = None

    def workers(self) -> list[Worker]:
        """As the supervisor has written them down, those that live."""
        found = gateway_of(self.directory)
        if found is None:
            return []
        return [Worker(one.node, one.pid, one.url) for one in found.workers if one.url and is_alive(one.pid)]

    def nats_pid(self) -> int:
        """The embedded nats-server's."""
        return int((self.directory / "nats" / "nats-server.pid").read_text())

    def endpoint(self) -> Endpoint:
        """How to reach the log."""
        if self.nats is not None:
            return self.nats
        runtime = runtime_of(self.directory)
        assert runtime is not None, "the log does not run"
        return runtime.endpoint

    @contextlib.asynccontextmanager
    async def log(self) -> AsyncIterator[Connection]:
        """A connection to the log."""
        connection = Connection(self.endpoint(), LogSettings(), "faults")
        await connection.open()
        try:
            yield connection
        finally:
            await connection.close()

    async def until_ready(self, deadline_s: float, *, there: bool = False) -> None:
        """Until all workers are ready, or only `there`. Raises AssertionError with the end of the log."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
            while True:
                workers = self.workers()
                answers = [await _ready(session, one) for one in workers]
                if len(workers) == self.workers_wanted and (there or all(answers)):
                    return
                tail = (self.directory / "serve.log").read_text(errors="replace").splitlines()[-8:]
                assert self._process is None or self._process.poll() is None, "serve ended:\n" + "\n".join(tail)
                assert time.monotonic() < deadline_s, "not ready in time:\n" + "\n".join(tail)
                await asyncio.sleep(0.05)

    async def states(self) -> dict[str, dict[str, Any]]:
        """/v1/state of each worker, asked at its own address."""
        states = {}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            for worker in self.workers():
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{worker.url}/v1/state") as response:
                        states[worker.node] = orjson.loads(await response.read())
        return states

    async def leader(self, patience_s: float = 30.0) -> Worker:
        """Who appended the newest batch of the log, if it lives."""
        deadline_s = time.monotonic() + patience_s
        names = Names("main")
        while time.monotonic() < deadline_s:
            with contextlib.suppress(LogError, AssertionError):
                async with self.log() as connection:
                    answer = await connection.api(f"STREAM.MSG.GET.{names.log}", {"last_by_subj": names.log_subject})
                node = newest_node(answer)
                for worker in self.workers():
                    if worker.node == node:
                        return worker
            await asyncio.sleep(0.1)
        raise AssertionError("nobody leads")


def _spawn(command: list[str], log: IO[bytes], variables: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables)


def newest_node(answer: dict[str, Any]) -> str:
    """The node that appended the message of a STREAM.MSG.GET answer."""
    return str(orjson.loads(base64.b64decode(answer["message"]["data"]))["node"])


async def _ready(session: aiohttp.ClientSession, worker: Worker) -> bool:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with session.get(f"{worker.url}/readyz") as response:
            return response.status == 200
    return False
