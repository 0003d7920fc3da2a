"""DATA/gateway.json: where the gateway of a data directory listens, and which processes it is made of.

In: the supervisor's plan and its workers. Out: the file, 0600, while it listens; its reader for the other verbs; and
the lock by which one supervisor owns DATA. Always: the file is replaced in one step, holds no secret, and is removed at
the end; a file left by a killed supervisor is ignored.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

import msgspec

from holdfast.errors import StoreInUseError
from holdfast.guarded import write_private
from holdfast.nats_server.store import try_lock

LOCK_FILE = "gateway.lock"
RECORD_FILE = "gateway.json"
WORKER_MODULE = "holdfast.gateway.worker"
_ORPHAN_PATIENCE_S = 5.0
_LOCK_PATIENCE_S = 1.0  # a reader that checks whether a supervisor lives holds the lock for a moment


class WorkerRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A worker that runs. `url` is its own address on loopback: the same calls, answered by this process only."""

    node: str
    pid: int
    url: str = ""


class GatewayRecord(msgspec.Struct, frozen=True):
    """The whole. `pid` is the supervisor's, `url` where clients go."""

    url: str
    pid: int
    scope: str
    workers: tuple[WorkerRecord, ...]

    def write(self, directory: Path) -> None:
        """Write the record for other programs."""
        write_private(directory / RECORD_FILE, msgspec.json.format(msgspec.json.encode(self)).decode() + "\n")


def remove(directory: Path) -> None:
    """Remove the record: it does not listen any more."""
    (directory / RECORD_FILE).unlink(missing_ok=True)


def own(directory: Path) -> int:
    """Become the one supervisor of a data directory, for as long as the descriptor is open. Raises StoreInUseError."""
    path = directory / LOCK_FILE
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while (descriptor := try_lock(path)) < 0:
        if time.monotonic() > deadline:
            raise StoreInUseError(
                f"{directory} is in use by process {path.read_text() or 'unknown'}; "
                "stop it, or use another --data directory"
            )
        time.sleep(0.02)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def gateway_of(directory: Path) -> GatewayRecord | None:
    """The gateway that runs on a data directory now, if one does."""
    found = _read(directory)
    if found is None:
        return None
    descriptor = try_lock(directory / LOCK_FILE)
    if descriptor < 0:
        return found
    os.close(descriptor)
    return None


def end_orphans(directory: Path) -> list[WorkerRecord]:
    """End workers that outlived their supervisor. The kernel does that (PR_SET_PDEATHSIG); this is for systems where it
    cannot.

    Called with DATA locked. A pid may be another program's by now, so only a worker of this directory is ended.
    """
    found = _read(directory)
    if found is None:
        return []
    mark = f"{WORKER_MODULE}\0".encode()
    place = f"\0{directory.resolve()}\0".encode()
    orphans = [one for one in found.workers if _lives(one.pid, mark) and _lives(one.pid, place)]
    for one in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
    deadline = time.monotonic() + _ORPHAN_PATIENCE_S
    while any(_lives(one.pid, mark) for one in orphans) and time.monotonic() < deadline:
        time.sleep(0.01)
    remove(directory)
    return orphans


def _read(directory: Path) -> GatewayRecord | None:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((directory / RECORD_FILE).read_bytes(), type=GatewayRecord)
    return None


def _lives(pid: int, mark: bytes) -> bool:
    """Whether a process exists and its command line has `mark`, as far as the system shows."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    arguments = Path(f"/proc/{pid}/cmdline")
    if not arguments.parent.parent.is_dir():
        return True
    with contextlib.suppress(OSError):
        return mark in arguments.read_bytes()
    return False
