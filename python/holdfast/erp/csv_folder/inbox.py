"""Files that arrive: which is next, what it states, where it goes then.

In: a folder, the number of the last file that was taken. Out: facts of the next ones; files in `processed` or
`rejected`, each with a report. Always: numbers rise by one, and a gap stops; a file is moved only after its facts were
taken and its number was stored, so a crash at any point neither loses nor doubles it.
"""

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path

import msgspec

from holdfast.adapters.csv_import import looks_rewritten
from holdfast.adapters.csv_kinds import Kind
from holdfast.adapters.csv_table import BadCell, Table, read_table
from holdfast.erp.csv_folder.names import ALL_KINDS, FileName, Manifest, manifest_of, parsed, translated
from holdfast.erp.interface import Counted, Fact, Pulled, Taken, UnusableError, counted_in
from holdfast.erp.store import Store
from holdfast.master.maps import Maps
from holdfast.settings import ErpSettings

BYTES_MAX = 256 * 1024 * 1024
_SETTLING_S = 2.0  # a file that changed less long ago may still be on its way
_BAD_MAX = 100
_COMPARED_MAX = 500


class Inbox:
    """The folders of one source."""

    def __init__(
        self, directory: Path, source: str, settings: ErpSettings, store: Store, maps: Maps | None = None
    ) -> None:
        self.arriving, self.processed = directory / "in", directory / "processed"
        self.rejected, self.reports = directory / "rejected", directory / "reports"
        self._source = source
        self._settings = settings
        self._store = store
        self._kinds = ALL_KINDS if maps is None else translated(maps)

    async def read(self, position: str | None) -> AsyncIterator[Pulled]:
        """The next files, as far as they are there without a gap. Raises UnusableError."""
        expected = int(position) + 1 if position is not None else self._settings.first_sequence
        waiting = self._waiting()
        for number in sorted(waiting):
            file = waiting[number]
            if number < expected:
                self._move(file, self.processed, {"repeated": True, "why": f"number {number} was taken before"})
                continue
            if number > expected:
                if time.time() - (self.arriving / file.name).lstat().st_mtime < _SETTLING_S:
                    return
                again = " (it was rejected: see reports)" if any(self.rejected.glob(f"*_{expected}.csv")) else ""
                raise UnusableError(file.name, f"file number {expected} is missing{again}, and this one is {number}")
            pulled = self._pulled(file)
            if pulled is None:
                return
            yield pulled
            expected += 1

    def listed(self) -> set[tuple[str, int, int]]:
        """What is in `in` now: names, sizes in bytes and times of change in ns. Raises OSError."""
        found = set()
        for entry in os.scandir(self.arriving):
            with contextlib.suppress(FileNotFoundError):
                state = entry.stat(follow_symlinks=False)
                found.add((entry.name, state.st_size, state.st_mtime_ns))
        return found

    def _waiting(self) -> dict[int, FileName]:
        found: dict[int, FileName] = {}
        for entry in sorted(path.name for path in self.arriving.iterdir()):
            if not entry.endswith(".csv") or entry.startswith("."):
                continue
            try:
                file = parsed(entry)
                if file.source != self._source:
                    raise UnusableError(entry, f"it is of source {file.source!r}; this folder is of {self._source!r}")
            except UnusableError as fault:
                self._reject(entry, "", fault.why)
                continue
            if file.number in found:
                raise UnusableError(file.name, f"{found[file.number].name} has the same number")
            found[file.number] = file
        return found

    def _pulled(self, file: FileName) -> Pulled | None:
        """None: it is not complete yet. Raises UnusableError where it is wrong; then it is in `rejected`."""
        path, beside = self.arriving / file.name, self.arriving / file.manifest
        manifest: Manifest | None = None
        try:
            if beside.is_symlink() or beside.exists():
                manifest = manifest_of(file.manifest, content_of(beside))
            elif self._settings.manifest == "required":
                return None
            content = content_of(path)
            table = _table(file, content, self._kinds)
            differs = manifest.differs(content, table.count) if manifest is not None else ""
            if differs:
                raise UnusableError(file.name, differs)
            if table.bad:
                raise UnusableError(file.name, _said(table.bad))
            zeros = self._zeros(file, manifest, table) if manifest is not None and manifest.full else []
        except UnusableError as fault:
            if time.time() - max(one.lstat().st_mtime for one in (path, beside) if one.exists()) < _SETTLING_S:
                return None  # it may still be on its way; it is judged again
            self._reject(file.name, file.manifest, fault.why)
            raise
        name = f"{file.number}:{hashlib.sha256(content).hexdigest()}"
        settle = partial(self._settle, file, table, len(zeros))
        return Pulled([*table.facts, *zeros], name, str(file.number), settle)

    def _zeros(self, file: FileName, manifest: Manifest, table: Table) -> list[Fact]:
        """What a full snapshot leaves out is not there any more. Raises UnusableError where that is too much."""
        if file.kind != "levels":
            raise UnusableError(file.name, "only levels can be a full snapshot")
        zeros: list[Fact] = []
        for location in manifest.locations:
            here = {fact["sku"]: fact for fact in table.facts if fact["location"] == location}
            before = self._store.stated(location)
            absent = sorted(before - here.keys())
            most = len(before) * self._settings.shrink_percent_max // 100
            if len(absent) > most:
                raise UnusableError(
                    file.name,
                    f"it leaves out {len(absent)} of {len(before)} SKUs at {location}, more than "
                    f"{self._settings.shrink_percent_max} percent (`shrink_percent_max` of the connection)",
                )
            basis = next((fact["basis"] for fact in here.values()), "gross")
            owed = {"allocated": 0} if any("allocated" in fact for fact in here.values()) else {}
            zeros += [
                {
                    "kind": "stock.level",
                    "sku": sku,
                    "location": location,
                    "on_hand": 0,
                    "basis": basis,
                    "as_of": file.as_of,
                    **owed,
                }
                for sku in absent
            ]
        return zeros

    def newest(self) -> list[Counted]:
        """The newest row of each cell in the newest `_COMPARED_MAX` files of levels that are here and can be read."""
        files: dict[int, tuple[FileName, Path]] = {}
        for folder in (self.processed, self.arriving):
            for path in folder.glob(f"{self._source}_levels_*.csv"):
                with contextlib.suppress(UnusableError):
                    file = parsed(path.name)
                    if file.source == self._source and not self._was_repeated(file):
                        files[file.number] = (file, path)
        cells: dict[tuple[str, str], Counted] = {}
        for number in sorted(files)[-_COMPARED_MAX:]:
            file, path = files[number]
            with contextlib.suppress(UnusableError, FileNotFoundError):
                table = _table(file, content_of(path), self._kinds)
                if table.bad:
                    continue
                found = {(fact["sku"], fact["location"]): counted_in(fact) for fact in table.facts}
                cells |= found | self._absent(file, path.with_name(file.manifest), cells, set(found))
        return list(cells.values())

    def _absent(
        self, file: FileName, beside: Path, cells: dict[tuple[str, str], Counted], named: set[tuple[str, str]]
    ) -> dict[tuple[str, str], Counted]:
        """What a full snapshot leaves out is not there. Raises UnusableError."""
        manifest = manifest_of(file.manifest, content_of(beside)) if beside.exists() else None
        if manifest is None or not manifest.full:
            return {}
        return {
            cell: one._replace(on_hand=0, allocated=None if one.allocated is None else 0, as_of=file.as_of, unit=None)
            for cell, one in cells.items()
            if cell[1] in manifest.locations and cell not in named
        }

    def _was_repeated(self, file: FileName) -> bool:
        """It was moved without being counted."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return b'"repeated"' in (self.reports / f"{file.name}.json").read_bytes()
        return False

    async def _settle(self, file: FileName, table: Table, zeros: int, taken: Taken) -> None:
        rows = table.rows
        rejected = [{"row": rows[at] if at < len(rows) else None, "why": why} for at, why in taken.rejected[:_BAD_MAX]]
        report = {
            "rows": table.count,
            "accepted": taken.accepted,
            "ignored": taken.ignored,
            "set_to_zero": zeros,
            "created": taken.created,
            "rejected_count": len(taken.rejected),
            "rejected": rejected,
        }
        self._move(file, self.processed, report)

    def _reject(self, name: str, manifest: str, why: str) -> None:
        self._report(name, {"file": name, "rejected": True, "why": why})
        for one in (name, manifest):
            if one and os.path.lexists(self.arriving / one):
                (self.arriving / one).replace(self.rejected / one)

    def _move(self, file: FileName, target: Path, report: dict[str, object]) -> None:
        self._report(file.name, {"file": file.name, **report})
        for name in (file.name, file.manifest):
            if os.path.lexists(self.arriving / name):
                (self.arriving / name).replace(target / name)

    def _report(self, name: str, report: dict[str, object]) -> None:
        write_whole(self.reports, f"{name}.json", msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def _table(file: FileName, content: bytes, kinds: Mapping[str, Kind]) -> Table:
    """Raises UnusableError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise UnusableError(file.name, f"byte {fault.start} is not UTF-8") from fault
    table = read_table(text, kinds[file.kind], file.as_of)
    for fact, row in zip(table.facts, table.rows, strict=True):
        if looks_rewritten(str(fact.get("sku", ""))):
            table.bad.append(BadCell(row, "sku", f"{fact['sku']} looks as if a spreadsheet had rewritten a number"))
    return table


def _said(bad: list[BadCell]) -> str:
    shown = [f"row {one.row}{f', {one.column}' if one.column else ''}: {one.why}" for one in bad[:_BAD_MAX]]
    more = [f"and {len(bad) - _BAD_MAX} more"] if len(bad) > _BAD_MAX else []
    return "; ".join([*shown, *more])


def content_of(path: Path) -> bytes:
    """The bytes of a file that is one: a link could name any file of this machine, whose text a report would show.

    Raises UnusableError, OSError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as fault:
        if path.is_symlink():
            raise UnusableError(path.name, "it is a link, and only files are read") from fault
        raise
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnusableError(path.name, "it is no file")
        if status.st_size > BYTES_MAX:
            raise UnusableError(path.name, f"it is larger than {BYTES_MAX} bytes")
        return file.read(BYTES_MAX)


def write_whole(directory: Path, name: str, content: bytes) -> None:
    """A file that is there as a whole or not at all. It may be read and written by whom the folder is open to.

    A link that somebody put in the place of the temporary file is removed, never written through.
    """
    temporary = directory / f".{name}.tmp"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), directory.stat().st_mode & 0o666)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(directory / name)
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
