"""A scope on three hosts: on each a nats-server of one cluster, and a gateway that joins it.

In: a network and a directory. Out: what a round needs of a service: addresses, workers, states, the log. Always: the
hosts share the secrets that gateways share, and nothing else; each program runs in its host's network.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson

from holdfast.errors import LogError
from holdfast.gateway.key_file import KEYS_FILE, Operation
from holdfast.gateway.key_store import KeyStore
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats_server.store import server_binary
from holdfast.secret_files import OWNER_KEY_FILE, SCOPE_KEY_FILE, make_scope_key, owner_key
from holdfast.settings import LogSettings
from tests.faults.network import HOSTS, Network
from tests.faults.service import STOP_S, Worker, newest_node
from tests.support.servers import ROOT

PORT, NATS_PORT, ROUTE_PORT = 8080, 4222, 6222
READY_S = 180.0
ROLES = ("NODE", "ERP", "SHOP", "OPERATOR", "READER", "SYSTEM")
_CONFIG = """\
server_name: "{name}"
listen: "{address}:4222"
max_payload: 1MB
jetstream {{ store_dir: "{store}", sync_interval: always, max_memory_store: 64MB, max_file_store: 200GB }}
cluster {{
  name: "holdfast", listen: "{address}:6222", pool_size: 1
  authorization {{ user: "route", password: "route-secret" }}
  routes: [ {routes} ]
}}
include "./users.conf"
"""


class ThreeHosts:
    """The gateways and servers of three hosts."""

    def __init__(self, directory: Path, network: Network) -> None:
        self.directory = directory
        self.network = network
        self.workers_wanted = len(HOSTS)
        self.key = ""
        self._passwords = {f"{role}_PASSWORD": f'"{role.lower()}-secret"' for role in ROLES}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def urls(self) -> list[str]:
        """Of all gateways: a client takes any."""
        return [f"http://{self.network.address(host)}:{PORT}" for host in HOSTS]

    async def __aenter__(self) -> Self:
        for host in HOSTS:
            (self.directory / host / "store").mkdir(parents=True, mode=0o700)
        first = self.directory / HOSTS[0] / "store"
        self.key = KeyStore(first).add("all", list(Operation))[1]
        owner_key(first)
        make_scope_key(first)
        for host in HOSTS[1:]:
            for shared in (KEYS_FILE, OWNER_KEY_FILE, SCOPE_KEY_FILE):
                target = self.directory / host / "store" / shared
                target.write_bytes((first / shared).read_bytes())
                target.chmod(0o600)
        for host in HOSTS:
            self._serve_nats(host)
        await self._until_elected()
        for host in HOSTS:
            self._serve(host)
        try:
            await self.until_ready(time.monotonic() + READY_S)
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Gateways first, then the servers."""
        for name in sorted(self._processes, reverse=True):  # serve-*, nats-*
            process = self._processes.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(process.wait, STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait, STOP_S)

    def workers(self) -> list[Worker]:
        """One a host, that runs."""
        running = [host for host in HOSTS if self._processes[f"serve-{host}"].poll() is None]
        return [
            Worker(f"n{host}", self._processes[f"serve-{host}"].pid, f"http://{self.network.address(host)}:{PORT}")
            for host in running
        ]

    @contextlib.asynccontextmanager
    async def log(self) -> AsyncIterator[Connection]:
        """A connection to the log, as a gateway has it."""
        urls = tuple(f"nats://{self.network.address(host)}:{NATS_PORT}" for host in HOSTS)
        connection = Connection(Endpoint(urls, "node", "node-secret"), LogSettings(), "faults")
        await connection.open()
        try:
            yield connection
        finally:
            await connection.close()

    async def until_ready(self, deadline_s: float) -> None:
        """Until every gateway is ready; one that ended because the log was away is started again, as systemd would."""
        async with self._session() as session:
            while True:
                for host in HOSTS:
                    if self._processes[f"serve-{host}"].poll() is not None:
                        self._serve(host)
                answers = [await _answers(session, f"{url}/readyz") for url in self.urls]
                if all(answers):
                    return
                assert time.monotonic() < deadline_s, f"not ready in time: {answers}\n{self._tails()}"
                await asyncio.sleep(0.1)

    async def states(self) -> dict[str, dict[str, Any]]:
        """/v1/state of each gateway."""
        found = {}
        async with self._session() as session:
            for host, url in zip(HOSTS, self.urls, strict=True):
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{url}/v1/state") as response:
                        found[f"n{host}"] = orjson.loads(await response.read())
        return found

    async def leader(self) -> str:
        """The host of the gateway that appended the newest batch."""
        for _ in range(300):
            with contextlib.suppress(LogError):
                async with self.log() as connection:
                    answer = await connection.api("STREAM.MSG.GET.HF_main_LOG", {"last_by_subj": "hf.main.log"})
                return newest_node(answer).removeprefix("n")
            await asyncio.sleep(0.1)
        raise AssertionError("nobody leads")

    async def whole(self, patience_s: float = 90.0) -> None:
        """Until LOG's two followers are current: a majority survives the next fault too."""
        ends = time.monotonic() + patience_s
        while time.monotonic() < ends:
            with contextlib.suppress(LogError, KeyError):
                async with self.log() as connection:
                    replicas = (await connection.api("STREAM.INFO.HF_main_LOG"))["cluster"]["replicas"]
                if len(replicas) == 2 and all(one.get("current") and not one.get("offline") for one in replicas):
                    return
            await asyncio.sleep(0.2)
        raise AssertionError("the cluster did not become whole")

    def _session(self) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {self.key}"}
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3), headers=headers)

    def _serve_nats(self, host: str) -> None:
        directory = self.directory / host / "nats"
        directory.mkdir()
        routes = ", ".join(
            f'"nats-route://route:route-secret@{self.network.address(other)}:{ROUTE_PORT}"'
            for other in HOSTS
            if other != host
        )
        address = self.network.address(host)
        text = _CONFIG.format(name=f"nats-{host}", address=address, store=directory / "store", routes=routes)
        (directory / "nats.conf").write_text(text)
        (directory / "users.conf").write_text((ROOT / "deploy" / "nats" / "users.conf").read_text())
        self._start(f"nats-{host}", host, [str(server_binary()), "--config", str(directory / "nats.conf")], {})

    def _serve(self, host: str) -> None:
        own = [host, *(other for other in HOSTS if other != host)]  # each joins the server beside it first
        first, *rest = (f"{self.network.address(one)}:{NATS_PORT}" for one in own)
        urls = ",".join((f"nats://node:node-secret@{first}", *(f"nats://{one}" for one in rest)))
        command = [sys.executable, "-m", "holdfast", "serve", "--data", str(self.directory / host / "store")]
        command += ["--host", self.network.address(host), "--port", str(PORT), "--node", f"n{host}"]
        self._start(f"serve-{host}", host, command, {"HOLDFAST_NATS": urls, "PYTHONPATH": str(ROOT / "python")})

    def _start(self, name: str, host: str, command: list[str], variables: dict[str, str]) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self.network.on(host, command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self._passwords | variables,
            )

    async def _until_elected(self) -> None:
        for _ in range(300):
            with contextlib.suppress(LogError):
                async with self.log() as connection:
                    await connection.api("INFO")
                    return
            await asyncio.sleep(0.2)
        raise AssertionError(f"the servers did not become a cluster\n{self._tails()}")

    def _tails(self) -> str:
        logs = sorted(self.directory.glob("*.log"))
        return "\n".join(f"{one.name}: {one.read_text(errors='replace')[-400:]}" for one in logs)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with session.get(url) as response:
            return response.status == 200
    return False
