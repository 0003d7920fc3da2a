"""The embedded nats-server: a child process that one data directory owns.

Role: make a log exist on a single machine without installing anything. In: DIR. Out: an endpoint to connect to, and a
runtime file (0600) by which `verify`, the command line and the nats CLI join a server that runs.
Always: one server per store, proven by a lock that the child itself holds too, so an orphan holds it; loopback and
accounts; every acknowledged message is fsynced; the child ends when its parent does, and is replaced when it dies or
hangs.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from holdfast.errors import LogError, ServerStartError
from holdfast.guarded import bare_environment, write_private
from holdfast.nats.connection import Endpoint
from holdfast.nats_server import store
from holdfast.nats_server.accounts import accounts_config
from holdfast.nats_server.config import Member, server_config
from holdfast.nats_server.health import HealthProbe
from holdfast.nats_server.store import Runtime, StoreDirectory
from holdfast.nats_server.users import Users, new_seed, public_key
from holdfast.settings import LogSettings
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

_USERS_LOOKED_AT_S = 0.5
_RELOADED_AGAIN_S = 0.3


class EmbeddedServer:
    """Starts the child, watches it, replaces it, stops it."""

    def __init__(
        self,
        directory: Path,
        settings: LogSettings,
        member: Member | None = None,
        *,
        scope: str = "main",
        users: Users | None = None,
    ) -> None:
        """`scope`: whose subjects the accounts share. `users`: where they are, if not in the directory itself."""
        self._store = StoreDirectory(directory / "nats")
        self._scope = scope
        self._users = users or Users(self._store.path)
        self._users_mark: tuple[tuple[str, int], ...] = ()
        self._settings = settings
        self._member = member
        self._name = member.name if member is not None else f"holdfast-{secrets.token_hex(4)}"
        # A gateway's secret is new at each start; the server gets the public half alone.
        self._seed = member.seed if member is not None else new_seed()
        self._system_seed = new_seed()
        self._port = 0
        # Servers of one cluster have a port each.
        self._wanted_port = settings.server_port if member is None else 0
        self._child: subprocess.Popen[bytes] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._failed: asyncio.Future[str] | None = None
        self._watchers: list[Callable[[str], None]] = []
        self.restarts_total = 0
        self.fault = ""

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Have `watcher(fault)` called at each change: what is wrong and what to do, as text; empty: no fault."""
        self._watchers.append(watcher)

    @property
    def url(self) -> str:
        """Where to connect, with the secret in it."""
        return f"nats://{self._seed}@127.0.0.1:{self._port}"

    @property
    def endpoint(self) -> Endpoint:
        """Where to connect; the same for as long as this object lives, restarts included."""
        return Endpoint((f"nats://127.0.0.1:{self._port}",), seed=self._seed)

    @property
    def pid(self) -> int | None:
        """Of the child that runs now."""
        return self._child.pid if self._child is not None else None

    async def start(self) -> None:
        """Lock the store, end an orphan, start the child, wait until JetStream answers.

        Raises StoreInUseError when another process owns the directory, ServerStartError when the child does not start.
        """
        await self._store.take(self._settings.orphan_timeout_ms)
        try:
            self._store.move_streams_of_before(alone=self._member is None)
            self._users.add_lasting()
            await self._start_child()
        except BaseException as fault:
            await self._end_child()
            self._store.release()
            if isinstance(fault, OSError):
                raise ServerStartError(f"nats-server did not start: {fault}") from fault
            raise
        self._failed = asyncio.get_running_loop().create_future()
        self._watch = asyncio.get_running_loop().create_task(self._keep_running())

    async def failed(self) -> str:
        """Wait until the server cannot be kept running any more; why. The process should then exit."""
        assert self._failed is not None, "Invariant: started"
        return await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """End the child cleanly and release the store."""
        await cancel_and_wait(self._watch)
        await self._end_child()
        self._store.release()

    async def _start_child(self) -> None:
        deadline = time.monotonic() + self._settings.server_start_timeout_ms / 1000
        while True:
            self._port = self._port or self._wanted_port or _free_port()
            self._write_config()
            self._child = self._spawn()
            write_private(self._store.pid_file, f"{self._child.pid}\n")
            why, server_id = await self._wait_up(deadline)
            if server_id:
                break
            await self._end_child()
            if self._wanted_port and "address already in use" in why:
                raise ServerStartError(
                    f"another program listens on port {self._wanted_port} (`log.server_port`); choose another one, or 0"
                )
            if time.monotonic() >= deadline or "address already in use" not in why:
                raise ServerStartError(f"nats-server did not start: {why}; its log is {self._store.log_file}")
            if self.restarts_total == 0:
                self._port = 0  # another program took the port; clients do not know this port yet
        self._store.write_runtime(
            Runtime(
                url=self.url,
                port=self._port,
                seed=self._seed,
                server_pid=self._child.pid,
                owner_pid=os.getpid(),
                server_id=server_id,
            )
        )
        log.info("nats-server-up", pid=self._child.pid, port=self._port, store=str(self._store.path))

    def _write_config(self) -> None:
        self._users_mark = self._users.mark()
        accounts = accounts_config(
            self._scope, public_key(self._seed), public_key(self._system_seed), self._users.all()
        )
        text = server_config(self._name, self._port, self._store, self._settings, accounts, self._member)
        write_private(self._store.config_file, text)

    async def _take_new_users(self) -> None:
        """Users that were added or removed while it runs: those who were removed are disconnected.

        The server is asked twice: what an account that it did not have imports is in force from the second time on.
        """
        if self._child is not None and await self._users.changed(self._users_mark):
            self._write_config()
            self._child.send_signal(signal.SIGHUP)
            await asyncio.sleep(_RELOADED_AGAIN_S)
            self._child.send_signal(signal.SIGHUP)
            log.info("nats-users-changed", users=[user.name for user in self._users.all()])

    def _spawn(self) -> subprocess.Popen[bytes]:
        # From the event loop's thread: the death signal is tied to the thread that forks.
        return subprocess.Popen(
            [str(store.server_binary(self._settings.server_binary)), "--config", str(self._store.config_file)],
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._store.child_lock,),
            start_new_session=True,
            preexec_fn=store.die_with_parent(),  # noqa: PLW1509 - one system call, and nothing else
        )

    async def _wait_up(self, deadline: float) -> tuple[str, str]:
        """("", server id) once JetStream answers, else (why, "")."""
        assert self._child is not None, "Invariant: spawned"
        probe = HealthProbe(self._system_endpoint(), self._settings, self._name, alone=self._member is None)
        try:
            while time.monotonic() < deadline:
                if self._child.poll() is not None:
                    return self._store.last_error() or f"exit status {self._child.returncode}", ""
                if _listens(self._port):
                    with contextlib.suppress(LogError):
                        server_id, fault = await probe.ask()
                        if not fault:
                            return "", server_id
                await asyncio.sleep(self._settings.server_watch_ms / 1000)
        finally:
            await probe.close()
        return f"no answer within {self._settings.server_start_timeout_ms} ms (`log.server_start_timeout_ms`)", ""

    def _system_endpoint(self) -> Endpoint:
        return Endpoint((f"nats://127.0.0.1:{self._port}",), seed=self._system_seed)

    async def _keep_running(self) -> None:
        """Replace the child whenever it dies, or reports for a while that it cannot write."""
        failures = 0
        while True:
            began = time.monotonic()
            why = await self._until_broken()
            log.error("nats-server-lost", why=why, restarts=self.restarts_total)
            if (time.monotonic() - began) * 1000 > self._settings.server_restart_wait_ms_max:
                failures = 0
            while why:
                self._note(why)
                wait_ms = self._settings.server_restart_first_ms << min(failures, 16) if failures else 0
                await asyncio.sleep(min(wait_ms, self._settings.server_restart_wait_ms_max) / 1000)
                failures += 1
                why = await self._replace_child()
                if why and failures > self._settings.server_restarts_max and self._has_room():
                    assert self._failed is not None, "Invariant: started"
                    self._failed.set_result(why)
                    return

    async def _replace_child(self) -> str:
        """Why it failed; empty when it did not."""
        self.restarts_total += 1
        try:
            await self._end_child()
            await self._start_child()
        except (ServerStartError, OSError) as fault:
            log.error("nats-server-restart-failed", why=str(fault))
            return str(fault)
        self._note("")
        return ""

    def _note(self, fault: str) -> None:
        if fault == self.fault:
            return
        self.fault = fault
        fault_text = self._advised(fault) if fault else ""
        log.log(logging.ERROR if fault else logging.INFO, "nats-server-fault", fault=fault_text)
        for watcher in self._watchers:
            watcher(fault_text)

    def _advised(self, fault: str) -> str:
        free = _free_bytes(self._store.path)
        if free < self._settings.server_free_bytes_min:
            return (
                f"the log's disk is full, {free} bytes are free on that of {self._store.path}: free some space, "
                f"then the nats-server is restarted by itself ({fault})"
            )
        return (
            f"the log's nats-server is failing ({fault}) and is being restarted; if this lasts, look at "
            f"{self._store.log_file} and at the disk"
        )

    def _has_room(self) -> bool:
        """While the disk is full, wait: a new server could not write either, and the old one still answers reads."""
        return _free_bytes(self._store.path) >= self._settings.server_free_bytes_min

    async def _until_broken(self) -> str:
        assert self._child is not None, "Invariant: started"
        probe = HealthProbe(self._system_endpoint(), self._settings, self._name, alone=self._member is None)
        failures = 0
        next_probe = time.monotonic() + self._settings.server_health_ms / 1000
        next_look = time.monotonic() + _USERS_LOOKED_AT_S
        try:
            while True:
                if self._child.poll() is not None:
                    return f"exit status {self._child.returncode}"
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + _USERS_LOOKED_AT_S
                    await self._take_new_users()
                if time.monotonic() >= next_probe:
                    next_probe = time.monotonic() + self._settings.server_health_ms / 1000
                    fault = await probe.fault()
                    failures = failures + 1 if fault else 0
                    self._note(fault)
                    if failures >= self._settings.server_health_failures_max and self._has_room():
                        return f"unhealthy: {fault}"
                await asyncio.sleep(self._settings.server_watch_ms / 1000)
        finally:
            await probe.close()

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.server_stop_timeout_ms / 1000
        while child.poll() is None:
            if time.monotonic() >= deadline:
                log.error("nats-server-killed", pid=child.pid, why="it did not stop when asked")
                child.kill()
                deadline = float("inf")
            await asyncio.sleep(0.01)


def _free_bytes(path: Path) -> int:
    """The bytes that an ordinary user may still write; 0 when the disk does not answer."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_ours(pid: int, directory: Path) -> bool:
    """Whether a process is the server of this directory, as far as the system shows (pids are used again)."""
    arguments = Path(f"/proc/{pid}/cmdline")
    if not arguments.parent.parent.is_dir():
        return True
    with contextlib.suppress(OSError):
        return str(StoreDirectory(directory / "nats").config_file).encode() in arguments.read_bytes()
    return False


def runtime_of(directory: Path) -> Runtime | None:
    """The server that runs for a data directory now, if one does."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        runtime = msgspec.json.decode(StoreDirectory(directory / "nats").runtime_file.read_bytes(), type=Runtime)
        if _is_ours(runtime.server_pid, directory) and _listens(runtime.port):
            return runtime
    return None
