"""A node's own copy of LOG, in files that it checks itself.

Role: store every LOG message that this node applied, so that a log that lost its tail, or was altered, is noticed and
can be repaired. In: messages by sequence, off the event loop, one caller at a time. Out: the same bytes again, where
the history ends (sequence and chain), and an error wherever the two copies differ. Always: append-only; one `os.write`
per group; what the disk refused leaves no half record behind; a torn tail is cut off at `open` and reported, damage
anywhere else is an error that names segment and byte; one process at a time, by a lock.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from holdfast._core import ScopeKeys
from holdfast.errors import (
    JournalDamagedError,
    JournalDiffersError,
    JournalError,
    JournalFullError,
    JournalGapError,
    JournalInUseError,
)
from holdfast.settings import JournalSettings
from holdfast.storage.chain import START, Position, advance
from holdfast.storage.segments import (
    Segment,
    Stop,
    encode_header,
    encode_record,
    last_record_after,
    list_segments,
    read_header,
    read_records,
    segment_name,
)

log = structlog.get_logger(__name__)

LOCK_FILE = "lock"
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Cut:
    """A torn tail that was cut off."""

    segment: str
    offset: int
    bytes: int
    why: str


class Journal:
    """One scope's journal in one directory. Blocking: call it from a thread, and from one at a time."""

    def __init__(
        self, directory: Path, scope: str, settings: JournalSettings, lock: int, keys: ScopeKeys | None = None
    ) -> None:
        self.directory = directory
        self.scope = scope
        self._keys = keys
        self.cut: Cut | None = None
        self._settings = settings
        self._lock = lock
        self._segments: list[Segment] = []
        self._sizes: dict[Path, int] = {}
        self._position: Position | None = None
        self._file = -1
        self._dirty = False
        self._cursor: Iterator[tuple[int, bytes]] | None = None
        self._cursor_next = 0

    # ---- life

    @classmethod
    def open(cls, directory: Path, scope: str, settings: JournalSettings, keys: ScopeKeys | None = None) -> "Journal":
        """Lock and check: every header, and the whole newest segment.

        Raises JournalInUseError, JournalDamagedError, OSError.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = take_lock(directory, "give each process its own --node name")
        journal = cls(directory, scope, settings, lock, keys)
        try:
            journal._recover()
        except BaseException:
            journal.close()
            raise
        return journal

    def close(self) -> None:
        """Everything to the disk, and the lock released."""
        try:
            self.sync()
        finally:
            self._close_file()
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def _recover(self) -> None:
        self._segments, torn = list_segments(self.directory, self.scope)
        if torn is not None:
            self.cut = Cut(torn.name, 0, torn.stat().st_size, "its header is cut off")
            torn.unlink()
            self._sync_directory()
        self._sizes = {segment.path: segment.path.stat().st_size for segment in self._segments}
        if not self._segments:
            return
        newest = self._segments[-1]
        position = newest.before
        with newest.path.open("rb", buffering=_READ_BYTES) as file:
            try:
                for record in read_records(newest, file):
                    position = advance(position, self.scope, record.payload, self._keys)
            except Stop as stop:
                if stop.why:
                    later = last_record_after(file, stop.offset, position.sequence + 1)
                    if later is not None:
                        why = f"{stop.why}, and record {later} is whole after it"
                        raise JournalDamagedError(newest.path.name, stop.offset, why) from stop
                    self._cut_off(newest, stop)
        self._position = position
        self._file = os.open(newest.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _cut_off(self, segment: Segment, stop: Stop) -> None:
        size = self._sizes[segment.path]
        self.cut = Cut(segment.path.name, stop.offset, size - stop.offset, stop.why)
        log.warning("journal-torn-tail-cut", segment=segment.path.name, offset=stop.offset, why=stop.why)
        with segment.path.open("r+b") as file:
            file.truncate(stop.offset)
            os.fsync(file.fileno())
        self._sizes[segment.path] = stop.offset

    # ---- what it holds

    @property
    def position(self) -> Position | None:
        """The end of the stored history; None while nothing is stored."""
        return self._position

    @property
    def end(self) -> tuple[int, str] | None:
        """(sequence, chain) of the newest message stored; None while there is none."""
        return None if self._position is None else (self._position.sequence, self._position.chain)

    @property
    def first(self) -> int | None:
        """The oldest sequence stored."""
        return self._segments[0].first if self._segments else None

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(self._sizes.values())

    @property
    def sealed(self) -> list[Path]:
        """The segments that are complete, in order."""
        return [segment.path for segment in self._segments[:-1]]

    def read(self, after_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        """The messages after a sequence, in order. Raises JournalDamagedError where bytes are not as they were written.

        A sequence before the oldest stored begins at the oldest.
        """
        segments = list(self._segments)
        last = self._position.sequence if self._position is not None else 0
        for at, segment in enumerate(segments):
            ends_at = segments[at + 1].before.sequence if at + 1 < len(segments) else last
            if ends_at > after_sequence:
                yield from _read_segment(segment, after_sequence, ends_at)

    def check(self) -> Position | None:
        """Read everything, and follow the chain from the oldest message to the newest; returns its end.

        Raises JournalDamagedError.
        """
        position: Position | None = None
        for segment in self._segments:
            if position is not None and segment.before != position:
                raise JournalDamagedError(
                    segment.path.name, 0, f"it does not continue where the one before ends ({position.sequence})"
                )
            position = segment.before
            ends_at = self._ends_at(segment)
            for _, payload in _read_segment(segment, 0, ends_at):
                position = advance(position, self.scope, payload, self._keys)
        if position != self._position:
            raise JournalDamagedError(self._segments[-1].path.name, 0, "it changed while it was open")
        return position

    def _ends_at(self, segment: Segment) -> int:
        at = self._segments.index(segment) + 1
        if at < len(self._segments):
            return self._segments[at].before.sequence
        assert self._position is not None, "Invariant: with a segment there is a position"
        return self._position.sequence

    # ---- writing

    def keep(self, sequence: int, message: bytes) -> None:
        """Store one message, or check that it is the one stored. See `keep_many`."""
        self.keep_many(sequence, [message])

    def keep_many(self, first_sequence: int, messages: Sequence[bytes]) -> None:
        """Store consecutive messages; check that those stored before are the same.

        Raises JournalDiffersError, JournalGapError, JournalDamagedError, JournalFullError, OSError (then nothing
        changed).
        """
        end = self._position.sequence if self._position is not None else first_sequence - 1
        if self._position is None and first_sequence != 1:
            raise JournalGapError(1, first_sequence)
        if first_sequence > end + 1:
            raise JournalGapError(end + 1, first_sequence)
        known = min(len(messages), end + 1 - first_sequence)
        for at in range(known):
            self._compare(first_sequence + at, messages[at])
        if known < len(messages):
            self._append(messages[known:])

    def restart(self, position: Position) -> None:
        """Remove everything, and continue after `position`: LOG no longer has what lies between."""
        self._close_file()
        for segment in self._segments:
            segment.path.unlink()
        self._segments, self._sizes, self._cursor = [], {}, None
        self._begin_segment(position)

    def drop_below(self, sequence: int) -> list[Path]:
        """Remove and return the segments whose messages are all below `sequence`, except the newest segment."""
        gone: list[Path] = []
        while len(self._segments) > 1 and self._segments[1].first <= sequence:
            segment = self._segments.pop(0)
            segment.path.unlink()
            del self._sizes[segment.path]
            gone.append(segment.path)
        if gone:
            self._cursor = None
            self._sync_directory()
        return gone

    def sync(self) -> None:
        """Have the disk hold everything that was stored."""
        if self._dirty and self._file >= 0:
            os.fsync(self._file)
            self._dirty = False

    def _compare(self, sequence: int, message: bytes) -> None:
        if self._segments and sequence < self._segments[0].first:
            return
        if self._cursor is None or self._cursor_next != sequence:
            self._cursor = self.read(sequence - 1)
        found = next(self._cursor, None)
        if found is None:  # stored since the cursor was made
            self._cursor = self.read(sequence - 1)
            found = next(self._cursor)
        self._cursor_next = sequence + 1
        if found != (sequence, message):
            self._cursor = None
            raise JournalDiffersError(sequence)

    def _append(self, messages: Sequence[bytes]) -> None:
        if self._position is None:
            self._begin_segment(START)
        group = bytearray()
        position = self._position
        assert position is not None, "Invariant: begun"
        for message in messages:
            record = encode_record(position.sequence + 1, message)
            newest = self._segments[-1]
            size = self._sizes[newest.path] + len(group)
            if size + len(record) > self._settings.segment_bytes_max and size > newest.header_bytes:
                self._write(group, position)
                group.clear()
                self._seal()
                self._begin_segment(position)
            if self.size + len(group) + len(record) > self._settings.bytes_max:
                self._write(group, position)
                raise JournalFullError(
                    f"the journal in {self.directory} has reached {self._settings.bytes_max} bytes; "
                    "check that snapshots and the archive are made, or raise `journal.bytes_max`"
                )
            group += record
            position = advance(position, self.scope, message, self._keys)
        self._write(group, position)

    def _write(self, group: bytearray, position: Position) -> None:
        """One write; on failure the segment is as it was."""
        if not group:
            return
        if self._file < 0:
            raise JournalError(f"the journal in {self.directory} is unusable after a failed write; start again")
        path = self._segments[-1].path
        try:
            written = 0
            while written < len(group):
                written += os.write(self._file, memoryview(group)[written:])
        except OSError:
            try:
                os.ftruncate(self._file, self._sizes[path])
            except OSError:  # half a record may be there: `open` cuts it off
                self._close_file()
            raise
        self._sizes[path] += len(group)
        self._position = position
        self._dirty = True

    def _seal(self) -> None:
        self.sync()
        self._close_file()

    def _begin_segment(self, before: Position) -> None:
        path = self.directory / segment_name(self.scope, before.sequence + 1)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, encode_header(self.scope, before))
            os.fsync(descriptor)
            self._sync_directory()
            segment = read_header(path, self.scope)
            if segment is None:
                raise OSError(f"{path} could not be written whole")
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()
            self._reopen_newest()
            raise
        self._file = descriptor
        self._segments.append(segment)
        self._sizes[path] = segment.header_bytes
        self._position = before

    def _reopen_newest(self) -> None:
        if self._segments and self._file < 0:
            with contextlib.suppress(OSError):
                self._file = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def take_lock(directory: Path, advice: str) -> int:
    """The journal's lock, as a descriptor to close. Raises JournalInUseError."""
    lock = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as fault:
        os.close(lock)
        raise JournalInUseError(f"another process writes the journal in {directory}; {advice}") from fault
    return lock


def _read_segment(segment: Segment, after_sequence: int, ends_at: int) -> Iterator[tuple[int, bytes]]:
    if ends_at <= segment.before.sequence:
        return
    with segment.path.open("rb", buffering=_READ_BYTES) as file:
        try:
            for record in read_records(segment, file, skip_upto=after_sequence):
                if record.sequence > after_sequence:
                    yield record.sequence, record.payload
                if record.sequence == ends_at:
                    return
        except Stop as stop:
            why = stop.why or f"it ends before message {ends_at}"
            raise JournalDamagedError(segment.path.name, stop.offset, why) from stop
