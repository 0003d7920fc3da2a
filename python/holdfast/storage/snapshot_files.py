"""The snapshots of one scope in one directory.

Role: name, list, write, trim and set aside files of docs/snapshots.md. In: a directory, and what writes and restores a
state (the engine's, handed in). Out: files that were proven, newest first. Always: a file bears a snapshot's name only
after it was written whole, fsynced, read back from the disk and restored to the digest that its header states; what is
stored is bounded; headers are read without an engine.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from holdfast._core import snapshot_format
from holdfast.errors import SnapshotsInUseError, SnapshotTooNewError, SnapshotUnreadableError
from holdfast.settings import SnapshotSettings

log = structlog.get_logger(__name__)

T = TypeVar("T")

FORMAT_MAX = snapshot_format
SUFFIX = ".hfsnap"
LOCK_FILE = "lock"
_MAGIC = b"HFSNAP\r\n"
_FIXED_BYTES = 16
_SEQUENCE_DIGITS = 20


class SnapshotHeader(msgspec.Struct, frozen=True):
    """The header of a snapshot. Its checksum is checked when it is restored."""

    scope: str
    sequence: int
    batch: int
    epoch: int
    node: str
    chain: str
    in_upto: int
    now_ms: int
    lead_ms: int
    digest: str
    tables: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file and its header."""

    path: Path
    header: SnapshotHeader
    size_bytes: int


_decode = msgspec.json.Decoder(SnapshotHeader).decode


def read_header(path: Path, bytes_max: int) -> SnapshotHeader:
    """Raises SnapshotUnreadableError, SnapshotTooNewError, OSError."""
    with path.open("rb") as file:
        fixed = file.read(_FIXED_BYTES)
        version, length = int.from_bytes(fixed[8:12], "little"), int.from_bytes(fixed[12:16], "little")
        if len(fixed) < _FIXED_BYTES or fixed[:8] != _MAGIC:
            raise SnapshotUnreadableError(f"{path} is not a snapshot")
        if version > FORMAT_MAX:
            raise SnapshotTooNewError(
                f"{path} has format {version}, this version reads up to {FORMAT_MAX}: use the version that wrote it"
            )
        if length > bytes_max:
            raise SnapshotUnreadableError(f"{path}: its header would be {length} bytes long")
        try:
            return _decode(file.read(length))
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            raise SnapshotUnreadableError(f"{path}: its header is damaged: {fault}") from fault


class SnapshotStore:
    """DIR/snapshots. Blocking: call it from a thread."""

    def __init__(self, directory: Path, scope: str, settings: SnapshotSettings) -> None:
        self.directory = directory
        self.scope = scope
        self._settings = settings

    def path_of(self, sequence: int) -> Path:
        """The path of the snapshot at a sequence, if there is one."""
        return self.directory / f"{self.scope}-{sequence:0{_SEQUENCE_DIGITS}}{SUFFIX}"

    def sequences(self) -> list[int]:
        """The sequences of the snapshots, the newest first."""
        found = (path.name.removeprefix(f"{self.scope}-").removesuffix(SUFFIX) for path in self._all(SUFFIX))
        return sorted((int(name) for name in found if name.isdigit() and len(name) == _SEQUENCE_DIGITS), reverse=True)

    def snapshots(self) -> Iterator[Snapshot]:
        """Those that can be read by their headers, the newest first; others are logged and left out."""
        for sequence in self.sequences():
            try:
                yield self.at(sequence)
            except (SnapshotUnreadableError, SnapshotTooNewError, OSError) as fault:
                log.warning("snapshot-unreadable", sequence=sequence, why=str(fault))

    def at(self, sequence: int) -> Snapshot:
        """One of them. Raises SnapshotUnreadableError, SnapshotTooNewError, OSError."""
        path = self.path_of(sequence)
        header = read_header(path, self._settings.header_bytes_max)
        if (header.scope, header.sequence) != (self.scope, sequence):
            raise SnapshotUnreadableError(f"{path} is of {header.scope} at {header.sequence}: not its name")
        return Snapshot(path, header, path.stat().st_size)

    @contextmanager
    def taking(self) -> Iterator[None]:
        """A context in which one is made. Raises SnapshotsInUseError, OSError."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as fault:
                raise SnapshotsInUseError(f"another process takes a snapshot in {self.directory}; try later") from fault
            for left in self._all(f"{SUFFIX}.part"):
                left.unlink()
            yield
        finally:
            os.close(lock)

    def part(self, sequence: int) -> Path:
        """The path of one that is not proven yet. Within `taking`."""
        return self.path_of(sequence).with_suffix(f"{SUFFIX}.part")

    def prove(self, part: Path, restore: Callable[[str], T]) -> T:
        """Restore from what the disk has. The caller keeps the state or drops it. Raises what `restore` does."""
        descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
            with contextlib.suppress(AttributeError, OSError):  # else only the page cache would be proven
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
        return restore(str(part))

    def admit(self, part: Path, sequence: int) -> Snapshot:
        """Give a proven file its name, and remove the oldest beyond the number to keep."""
        part.chmod(0o600)
        part.rename(self.path_of(sequence))
        self._sync_directory()
        self.trim(sequence)
        return self.at(sequence)

    def trim(self, upto: int) -> list[int]:
        """Remove all but the newest ones up to a sequence; returns the removed sequences.

        Those beyond it were made on a longer log, which may come back.
        """
        gone = [found for found in self.sequences() if found <= upto][self._settings.retained :]
        for sequence in gone:
            self.path_of(sequence).unlink(missing_ok=True)
        return gone

    def set_aside(self, sequence: int) -> Path:
        """Set a damaged one aside, for examination."""
        path = self.path_of(sequence)
        aside = path.with_suffix(f"{SUFFIX}.damaged")
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            path.rename(aside)
        for old in sorted(self._all(f"{SUFFIX}.damaged"))[: -self._settings.damaged_retained or None]:
            old.unlink(missing_ok=True)
        return aside

    def _all(self, suffix: str) -> list[Path]:
        return [path for path in self.directory.glob(f"{self.scope}-*{suffix}") if path.name.endswith(suffix)]

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
