"""The archive: what is cut from the log, compressed, proven, and readable as long as it is kept.

Role: keep LOG messages that were cut from LOG, in DIR/archive. In: consecutive messages, and the position of the
history before them. Out: the same messages again. Always: a file gets its name only after it was written whole,
fsynced, read back, and every checksum and the chain in it held; files follow each other without a gap; only whole
files are removed, and only from the beginning (recovery/retention.py decides which).
"""

import contextlib
import gzip
import itertools
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from holdfast._core import ScopeKeys
from holdfast.errors import ArchiveError, JournalDamagedError
from holdfast.storage.chain import START, Position, advance
from holdfast.storage.segments import Segment, Stop, encode_header, encode_record, parse_header, read_records

SUFFIX = ".hfjournal.gz"
_LEVEL = 6
_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Archived:
    """One file, by its name."""

    path: Path
    first: int
    last: int


class Archive:
    """One scope's archive in one directory. Blocking: call it from a thread."""

    def __init__(self, directory: Path, scope: str, keys: ScopeKeys | None = None) -> None:
        self.directory = directory
        self.scope = scope
        self._keys = keys
        self._named = re.compile(rf"{re.escape(scope)}-(\d{{{_DIGITS}}})-(\d{{{_DIGITS}}}){re.escape(SUFFIX)}")

    def files(self) -> list[Archived]:
        """In order. Raises ArchiveError where one is missing in between."""
        found = []
        for path in sorted(self.directory.glob(f"{self.scope}-*{SUFFIX}")):
            match = self._named.fullmatch(path.name)
            if match:
                found.append(Archived(path, int(match[1]), int(match[2])))
        for one, following in itertools.pairwise(found):
            if following.first != one.last + 1:
                raise ArchiveError(
                    f"the archive lacks messages {one.last + 1} to {following.first - 1} (after {one.path.name}): "
                    "put the missing file back from a copy"
                )
        return found

    @property
    def upto(self) -> int:
        """The newest sequence archived, by the files' names; 0 without any. Raises ArchiveError."""
        files = self.files()
        return files[-1].last if files else 0

    @property
    def first(self) -> int:
        """The oldest sequence archived, by the files' names; 0 without any. Raises ArchiveError."""
        files = self.files()
        return files[0].first if files else 0

    @property
    def size(self) -> int:
        """Bytes on the disk, of what was set aside too."""
        return sum(path.stat().st_size for path in self.directory.rglob(f"{self.scope}-*") if path.is_file())

    def before(self) -> Position | None:
        """The position of the history before the first archived message; None without any. Raises ArchiveError."""
        files = self.files()
        return self._header(files[0].path).before if files else None

    def drop_upto(self, sequence: int) -> list[Archived]:
        """Remove, from the beginning, the files whose messages all lie at or below a sequence; returns them."""
        gone = [one for one in self.files() if one.last <= sequence]
        for one in gone:
            one.path.unlink()
        if gone:
            self._sync_directory()
        return gone

    def set_aside(self) -> Path | None:
        """Move everything into a separate folder: what comes next does not follow it. None when there is nothing."""
        files = self.files()
        if not files:
            return None
        aside = self.directory / f"before-{files[-1].last + 1:0{_DIGITS}}"
        aside.mkdir(mode=0o700, exist_ok=True)
        for path in sorted(self.directory.glob(f"{self.scope}-*"), reverse=True):
            path.rename(aside / path.name)
        self._sync_directory()
        return aside

    def aside(self) -> list[Path]:
        """The folders that `set_aside` made, the oldest first."""
        return sorted(path for path in self.directory.glob("before-*") if path.is_dir())

    def end(self) -> Position | None:
        """The end of the archived history; None while there is none. Reads the newest file. Raises ArchiveError."""
        files = self.files()
        return self._prove(files[-1].path, files[-1].first) if files else None

    def add(self, before: Position, messages: Iterator[tuple[int, bytes]], bytes_max: int) -> Position:
        """Archive messages that follow `before`, until they end or one file is full; returns the position of the
        history then.

        Raises ArchiveError, OSError, and what `messages` raises.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.directory / f"{self.scope}.part"
        position = before
        size = 0
        try:
            with _private(part) as raw:
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=_LEVEL, mtime=0) as file:
                    file.write(encode_header(self.scope, before))
                    for sequence, message in messages:
                        if sequence != position.sequence + 1:
                            raise ArchiveError(f"message {position.sequence + 1} is missing, {sequence} is there")
                        file.write(encode_record(sequence, message))
                        position = advance(position, self.scope, message, self._keys)
                        size += len(message)
                        if size >= bytes_max:
                            break
                raw.flush()
                os.fsync(raw.fileno())
                with contextlib.suppress(AttributeError, OSError):  # else only the page cache would be proven
                    os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if position == before:
                return before
            if self._prove(part, before.sequence + 1) != position:
                raise ArchiveError(f"{part} was read back with other bytes than were written; look at the disk")
            name = f"{self.scope}-{before.sequence + 1:0{_DIGITS}}-{position.sequence:0{_DIGITS}}{SUFFIX}"
            part.rename(self.directory / name)
        finally:
            part.unlink(missing_ok=True)
        self._sync_directory()
        return position

    def messages(self, after_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        """What is archived after a sequence, in order. Raises ArchiveError."""
        for one in self.files():
            if one.last > after_sequence:
                for sequence, message in self._read(one.path, one.first, one.last):
                    if sequence > after_sequence:
                        yield sequence, message

    def check(self) -> Position:
        """Read everything and check the chain from the first message; returns its end. Raises ArchiveError."""
        position: Position | None = None
        for one in self.files():
            before = self._header(one.path).before
            if position is not None and before != position:
                raise ArchiveError(f"{one.path} does not continue where the file before it ends")
            position = self._prove(one.path, one.first)
            if position.sequence != one.last:
                raise ArchiveError(f"{one.path} ends at {position.sequence}, which differs from its name")
        return position or START

    def _header(self, path: Path) -> Segment:
        with self._opened(path) as file:
            return parse_header(file, path)

    def _prove(self, path: Path, first: int) -> Position:
        position = self._header(path).before
        for _, message in self._read(path, first, None):
            position = advance(position, self.scope, message, self._keys)
        return position

    def _read(self, path: Path, first: int, last: int | None) -> Iterator[tuple[int, bytes]]:
        upto = first - 1
        with self._opened(path) as file:
            segment = parse_header(file, path)
            if segment.first != first:
                raise ArchiveError(f"{path} begins at {segment.first}, which differs from its name")
            try:
                for record in read_records(segment, file):
                    yield record.sequence, record.payload
                    upto = record.sequence
            except Stop as stop:
                if stop.why:
                    raise ArchiveError(f"{path} is damaged at {stop.offset}: {stop.why}; use a copy") from stop
        if last is not None and upto != last:
            raise ArchiveError(f"{path} ends at {upto}, which differs from its name; use a copy")

    @contextlib.contextmanager
    def _opened(self, path: Path) -> Iterator[BinaryIO]:
        try:
            with gzip.open(path, "rb") as file:
                yield cast("BinaryIO", file)
        except (EOFError, zlib.error, JournalDamagedError, OSError) as fault:
            raise ArchiveError(f"{path} cannot be read ({fault}); use a copy") from fault

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
