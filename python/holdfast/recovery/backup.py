"""Backups: everything that a fresh machine needs, taken while the gateway runs, and proven before it counts.

Role: copy journal, archive, states and secrets of a data directory; make a data directory of such a copy. In: two
directories. Out: the sequence and digest that the backup has. Always: a backup without its record is none: that is
written last, after the copy alone was replayed; what is appended to is copied, what never changes may be linked;
nothing is restored over something else; a restored log gives the recorded digest.
"""

import asyncio
import os
import shutil
from pathlib import Path

import msgspec

from holdfast._core import Engine
from holdfast.errors import LogError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names, ensure_streams
from holdfast.nats_server.server import EmbeddedServer
from holdfast.recovery.past import Past, apply_all
from holdfast.recovery.repair import Repairer
from holdfast.recovery.verify import VerifyReport, verify
from holdfast.settings import Settings
from holdfast.storage.journal_reader import JournalView

RECORD_FILE = "backup.json"
SECRETS = ("owner.key", "scope.key", "keys.json")
_TRIES_MAX = 5


class BackupError(LogError):
    """The backup, or what was to be restored, is not whole. Nothing was changed in the data directory."""


class BackupRecord(msgspec.Struct, frozen=True):
    """`backup.json`: what the copy gives when it is replayed. `from_sequence`: its oldest state; 0: the empty one."""

    scope: str
    sequence: int
    chain: str
    digest: str
    in_upto: int
    now_ms: int
    from_sequence: int


def back_up(data: Path, target: Path, scope: str, settings: Settings) -> BackupRecord:
    """Copy, prove, record. Blocking. Raises BackupError, LogError, OSError."""
    _require_empty(target)
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal = _best(data, scope, settings)
    if journal is None:
        raise BackupError(f"there is no sound journal of scope {scope} under {data}")
    # The journal first: what leaves it meanwhile is in the archive before.
    _copy_journal(journal, target)
    for name in ("archive", "snapshots"):
        _copy_files(data / name, target / name, scope)
    for name in SECRETS:
        if (data / name).exists():
            _copy(data / name, target / name)
    record = _proven(target, scope, settings)
    part = target / f"{RECORD_FILE}.part"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.rename(target / RECORD_FILE)
    os.sync()
    return record


def _best(data: Path, scope: str, settings: Settings) -> JournalView | None:
    sound = [one for one in Past(data, scope, settings).journals if not one.damage]
    return max(sound, key=lambda one: one.end.sequence, default=None)


def _require_empty(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        raise BackupError(f"{directory} is not empty: name a directory that is new, or empty")


def _copy_journal(journal: JournalView, target: Path) -> None:
    place = target / "journal" / journal.node
    place.mkdir(mode=0o700, parents=True)
    for path in sorted(journal.directory.glob(f"{journal.scope}-*.hfjournal")):
        _copy(path, place / path.name)


def _copy_files(source: Path, target: Path, scope: str) -> None:
    """Files that never change, once they have their names; what retention removes meanwhile is asked for again."""
    target.mkdir(mode=0o700, exist_ok=True)
    for _ in range(_TRIES_MAX):
        wanted = [path for path in sorted(source.glob(f"{scope}-*")) if path.suffix in {".gz", ".hfsnap"}]
        try:
            for path in wanted:
                if not (target / path.name).exists():
                    _link_or_copy(path, target / path.name)
        except FileNotFoundError:
            continue
        names = {path.name for path in wanted}
        for path in target.iterdir():
            if path.name not in names:
                path.unlink()
        return
    raise BackupError(f"{source} changes too fast to be copied: try again")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:  # another disk
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _proven(target: Path, scope: str, settings: Settings) -> BackupRecord:
    """Replay the copy alone, from its oldest state."""
    past = Past(target, scope, settings)
    oldest = past.oldest()
    core = past.core(oldest.header.sequence) if oldest is not None else Engine(scope, None, past.keys)
    began = core.sequence
    apply_all(core, past.messages(began))
    wrong = core.check_thoroughly()
    if wrong:
        raise BackupError(f"the copy gives a state that breaks an invariant: {wrong[0]}")
    if core.sequence < past.last or core.sequence == 0:
        raise BackupError(f"the copy ends at {core.sequence}, and has messages up to {past.last}: try again")
    return BackupRecord(scope, core.sequence, core.chain, core.digest(), core.in_upto, core.now_ms, began)


def record_of(backup: Path) -> BackupRecord:
    """Raises BackupError."""
    try:
        return msgspec.json.decode((backup / RECORD_FILE).read_bytes(), type=BackupRecord)
    except (OSError, msgspec.DecodeError) as fault:
        raise BackupError(f"{backup} is no backup that was finished: {fault}") from fault


async def restore(backup: Path, data: Path, settings: Settings) -> VerifyReport:
    """Make a data directory of a backup, with its log, and prove it. Raises BackupError, LogError, OSError."""
    record = record_of(backup)
    _require_empty(data)
    await asyncio.to_thread(_copy_tree, backup, data)
    past = Past(data, record.scope, settings)
    states = [one.header for one in past.states() if one.header.sequence <= record.sequence]
    # As after a cut: from the second newest state on, whose message identifies it.
    first = next((one.sequence for one in states[-2:] if one.sequence > past.first), past.first)
    server = EmbeddedServer(data, settings.log, scope=record.scope)
    await server.start()
    try:
        connection = Connection(server.endpoint, settings.log, f"holdfast {record.scope} restore")
        await connection.open()
        try:
            names = Names(record.scope)
            await ensure_streams(connection, names, settings.log)
            for stream, begins in ((names.log, first), (names.incoming, record.in_upto + 1)):
                config = (await connection.api(f"STREAM.INFO.{stream}"))["config"]
                await connection.api(f"STREAM.DELETE.{stream}")
                await connection.api(f"STREAM.CREATE.{stream}", config | {"first_seq": begins})
            repairer = Repairer(connection, data, record.scope, settings)
            await repairer.append_all(past.messages(first - 1), record.sequence)
        finally:
            await connection.close()
    finally:
        await server.stop()
    report = await verify(data, record.scope, settings)
    if not report.ok or (report.sequence, report.digest, report.chain) != (
        record.sequence,
        record.digest,
        record.chain,
    ):
        raise BackupError(
            f"the restored log gives digest {report.digest} at {report.sequence}, the backup has {record.digest} at "
            f"{record.sequence}: {'; '.join(report.differences) or 'do not serve from it'}"
        )
    return report


def _copy_tree(backup: Path, data: Path) -> None:
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in sorted(backup.rglob("*")):
        place = data / path.relative_to(backup)
        if path.is_dir():
            place.mkdir(mode=0o700)
        elif path.name != RECORD_FILE:
            _copy(path, place)
