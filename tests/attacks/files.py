"""Attacks by another user of the machine: files that others can write or read, and what is installed.

In: an arena. Out: what was seen. Always: `holdfast` is started as a user would start it, and must refuse by itself.
"""

import asyncio
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.gateway.key_file import Operation
from holdfast.gateway.key_store import KeyStore
from tests.attacks.attack import Arena, Seen, attack
from tests.attacks.stage import stage
from tests.support.ports import free_port
from tests.support.servers import ROOT

STARTED_S = 60.0


def _started(store: Path, *options: str) -> tuple[int | None, str]:
    """Exit status (None: it serves) and what it wrote. A busy machine may be slow to refuse."""
    port = free_port()
    command = [sys.executable, "-m", "holdfast", "serve", "--data", str(store), "--port", str(port), *options]
    until = time.monotonic() + STARTED_S
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"PYTHONPATH": str(ROOT / "python")}
    ) as child:
        while child.poll() is None and not _listens(port) and time.monotonic() < until:
            time.sleep(0.05)
        served = child.poll() is None
        if served:
            child.terminate()
        written, _ = child.communicate(timeout=STARTED_S)
        return None if served else child.returncode, written.decode(errors="replace")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@attack(
    done="a data directory, or a file of secrets in it, that others can write",
    right="refused, as ssh does, with the chmod that helps",
)
async def files_of_others(arena: Arena) -> Seen:
    def directory_of_all(store: Path) -> None:
        store.chmod(0o777)

    def directory_of_the_group(store: Path) -> None:
        store.chmod(0o770)

    def keys_of_all(store: Path) -> None:
        (store / "keys.json").chmod(0o666)

    def owner_key_of_all(store: Path) -> None:
        (store / "owner.key").write_bytes(os.urandom(32))
        (store / "owner.key").chmod(0o666)

    broke = []
    opened: tuple[Callable[[Path], None], ...] = (
        directory_of_all,
        directory_of_the_group,
        keys_of_all,
        owner_key_of_all,
    )
    for at, make in enumerate(opened):
        store = arena.directory / f"store-{at}"
        store.mkdir(mode=0o700)
        KeyStore(store).add("some", [Operation.READ])
        make(store)
        status, written = await asyncio.to_thread(_started, store)
        if status is None or "Traceback" in written:
            broke.append(f"serves with {make.__name__.replace('_', ' ')}")
        elif "chmod" not in written:
            broke.append(f"{make.__name__.replace('_', ' ')}: refused without saying what helps")
    return Seen(not broke, "; ".join(broke) or "refused", f"{len(opened)} kinds of openness")


@attack(done="files of the data directory read by another user", right="0600 and 0700, all of them, whatever the umask")
async def modes_of_files(arena: Arena) -> Seen:
    before = os.umask(0)
    try:
        async with stage(arena) as found:
            modes = {
                path: stat.S_IMODE(path.stat().st_mode)
                for path in found.store.rglob("*")
                if path.exists() and not path.is_symlink()
            }
            private = found.store / "nats" / "store"  # of nats-server, inside a directory of 0700
            loose = [
                f"{path.relative_to(found.store)} {mode:o}"
                for path, mode in modes.items()
                if mode & 0o077 and private not in path.parents
            ]
    finally:
        os.umask(before)
    return Seen(not loose, f"open to others: {', '.join(loose[:4])}" if loose else "private", f"{len(modes)} files")


@attack(
    done="a package of the lock replaced at the index; an unknown nats-server",
    right="hashes in the lock, required; the binary's source and licence stated, one's own by setting",
)
async def what_is_installed(arena: Arena) -> Seen:
    broke = []
    lock = (ROOT / "requirements.lock").read_text()
    names = re.findall(r"^[\w.\-\[\]]+==\S+", lock, re.MULTILINE)
    if lock.count("--hash=sha256:") < len(names):
        broke.append("packages without a hash in the lock")
    if "--require-hashes" not in (ROOT / "tools" / "packages.sh").read_text():
        broke.append("hashes are not required")
    deploy = (ROOT / "docs" / "deploy.md").read_text()
    if not re.search(r"nats-server.*Apache", deploy, re.DOTALL):
        broke.append("docs/deploy.md does not state the source and licence of nats-server")
    if not re.search(r"nats_server|server_binary|server_program", (ROOT / "docs" / "settings.md").read_text()):
        broke.append("no setting names one's own nats-server")
    return Seen(not broke, "; ".join(broke) or "stated and required", f"{len(names)} packages")
