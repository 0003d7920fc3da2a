"""How much of the past stays on the disk.

Role: keep LOG, IN, journals, archive and snapshots of a data directory within days and bytes, by removing the oldest
part of the archive. In: the directory, the sizes of the streams, the budget. Out: what was removed, and figures.
Always: what is removed is whole files, from the beginning, below a root that stays and was proven; the past that is
left is complete from that root on; what LOG still has, and what is not in the archive, is never removed here.
"""

import contextlib
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from holdfast.recovery.past import made_ms
from holdfast.settings import Settings
from holdfast.storage.archive import Archive
from holdfast.storage.budget import budget_bytes
from holdfast.storage.snapshot_files import Snapshot, SnapshotStore

log = structlog.get_logger(__name__)

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept. `since_ms`: the wall time from which the past can be rebuilt; None while nothing is archived.

    `days_left`: until the budget is used up, at the pace of the archive; None while that is not known.
    """

    bytes_by_part: dict[str, int]
    budget_bytes: int
    free_bytes: int
    since_ms: int | None = None
    days_left: float | None = None
    dead_letters: int = 0  # letters and corrections that DLQ has
    dead_since_ms: int | None = None  # when the oldest of them came
    removed_upto: int = 0  # the sequence up to which messages were removed this time; 0: none were

    @property
    def used_bytes(self) -> int:
        """All parts together."""
        return sum(self.bytes_by_part.values())


class Retention:
    """One data directory's. Blocking: call it from a thread."""

    def __init__(self, data: Path, scope: str, settings: Settings) -> None:
        self._data = data
        self._scope = scope
        self._bounds = settings.retention
        self._settings = settings
        self._archive = Archive(data / "archive", scope)
        self.roots = SnapshotStore(data / "archive", scope, settings.snapshots)

    # ---- roots

    def keep_root(self, snapshot: Snapshot) -> bool:
        """Let a proven snapshot, which the archive now reaches, stay as a root, where the last one is long before."""
        newest = next(self.roots.snapshots(), None)
        if newest is not None:
            if newest.header.sequence >= snapshot.header.sequence:
                return False
            since = sum(one.path.stat().st_size for one in self._archive.files() if one.last > newest.header.sequence)
            passed_ms = snapshot.header.now_ms - newest.header.now_ms
            if passed_ms < self._bounds.root_ms and since < max(self._bounds.root_bytes, snapshot.size_bytes):
                return False
        self.roots.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self.roots.path_of(snapshot.header.sequence)
        part = target.with_suffix(".part")
        part.unlink(missing_ok=True)
        try:
            part.hardlink_to(snapshot.path)  # snapshots do not change, so one set of bytes serves both
        except OSError:
            shutil.copy2(snapshot.path, part)
        part.rename(target)
        log.info("root-kept", sequence=snapshot.header.sequence)
        return True

    # ---- measuring and removing

    def look(self, log_bytes: int, in_bytes: int, now_ms: int | None = None) -> Kept:
        """Measure, and remove what is too old or too much. Raises ArchiveError, OSError."""
        now_ms = int(time.time() * 1000) if now_ms is None else now_ms
        removed = 0
        while True:
            kept = self._measured(log_bytes, in_bytes, now_ms)
            is_much = kept.used_bytes > kept.budget_bytes
            aside = next(iter(self._archive.aside()), None)
            if aside is not None and (is_much or self._is_old(int(aside.stat().st_mtime * 1000), now_ms)):
                shutil.rmtree(aside)
                continue
            root = self._next_root()
            if root is None or not (is_much or self._is_old(root.header.now_ms, now_ms)):
                break
            if not self._is_old(root.header.now_ms, now_ms):
                log.warning("past-shortened", upto=root.header.sequence, why="the budget is used up")
            removed = self._remove_before(root)
        return replace(kept, removed_upto=removed)

    def _is_old(self, at_ms: int, now_ms: int) -> bool:
        return at_ms <= now_ms - self._bounds.keep_days * _DAY_MS

    def _next_root(self) -> Snapshot | None:
        """The oldest root that has something before it to remove, and something after it that stays."""
        first, upto = self._archive.first, self._archive.upto
        roots = sorted(self.roots.snapshots(), key=lambda one: one.header.sequence)
        return next((one for one in roots if first <= one.header.sequence < upto), None)

    def _measured(self, log_bytes: int, in_bytes: int, now_ms: int) -> Kept:
        archived = _sizes(self._data / "archive", self._scope)
        snapshots = _sizes(self._data / "snapshots", self._scope)
        parts = {
            "log": log_bytes,
            "in": in_bytes,
            "journal": sum(_sizes(self._data / "journal", self._scope).values()),
            "archive": sum(archived.values()),
            "snapshots": sum(size for inode, size in snapshots.items() if inode not in archived),
        }
        used, free = sum(parts.values()), shutil.disk_usage(self._data).free
        budget = budget_bytes(self._bounds.keep_bytes, free, used)
        since_ms = self._since_ms()
        days_left = None
        if since_ms is not None and now_ms > since_ms and parts["archive"]:
            per_day = parts["archive"] * _DAY_MS / (now_ms - since_ms)
            days_left = round(max(0.0, min(budget - used, free) / per_day), 2)
        return Kept(parts, budget, free, since_ms, days_left)

    def _since_ms(self) -> int | None:
        if self._archive.first > 1:
            oldest = min(self.roots.snapshots(), key=lambda one: one.header.sequence, default=None)
            return oldest.header.now_ms if oldest is not None else None
        first = next(self._archive.messages(), None)
        return made_ms(first[1]) if first is not None else None

    def _remove_before(self, root: Snapshot) -> int:
        """Remove what lies before a root: the files of the archive first, so that a root always has what follows it."""
        sequence = root.header.sequence
        for one in self._archive.drop_upto(sequence):
            log.info("archive-removed", first=one.first, last=one.last)
        for older in self.roots.sequences():
            if older < sequence:
                self.roots.path_of(older).unlink(missing_ok=True)
        return sequence


def _sizes(directory: Path, scope: str) -> dict[int, int]:
    """Size by inode: a file of two names counts once."""
    found: dict[int, int] = {}
    for path in directory.rglob(f"{scope}-*"):
        with contextlib.suppress(FileNotFoundError):  # removed by its process just now
            if path.is_file():
                found[path.stat().st_ino] = path.stat().st_size
    return found
