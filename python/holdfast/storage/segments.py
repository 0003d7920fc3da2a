"""The journal's files: how a segment and its records are written and read (docs/journal.md has every byte).

Role: bytes to records and back, each proven by its checksum. In: paths and bytes. Out: headers, records, or where and
why reading stopped. Always: one flipped bit, anywhere, is detected; a record's length is believed only when its head's
own checksum holds; whether a stop is a torn tail is not decided here.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from holdfast.errors import JournalDamagedError
from holdfast.storage.chain import Position

MAGIC = b"HFJOURN\n"
VERSION = 1
_SIGNED_VERSION = 2  # the names of the declared keys follow those of scope and node
SUFFIX = ".hfjournal"
PAYLOAD_BYTES_MAX = 64 << 20

# magic, version, header length, first sequence, chain, batch, epoch, IN taken, lengths of scope and node
_FIXED = struct.Struct("<8sHHQ32sQQQHH")
_KEYS_BYTES = struct.Struct("<H")
_CHECKSUM = struct.Struct("<I")
# payload length, sequence, checksum of the payload; then the checksum of these
_HEAD = struct.Struct("<IQI")
RECORD_HEAD_BYTES = _HEAD.size + _CHECKSUM.size
_SEQUENCE_OFFSET = 4
_HEADER_BYTES_MAX = 2_048
_TWO_ZEROS = re.compile(rb"(?=\x00\x00)")


class Record(NamedTuple):
    """One stored message, its offset and that of the next one."""

    sequence: int
    payload: bytes
    offset: int
    end: int


class Stop(Exception):  # noqa: N818 - no failure by itself: the caller decides what it means
    """Reading a segment reached bytes that are not a whole record."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset
        self.why = why


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the journal: the position of the history before its first record, and how long its header is."""

    path: Path
    scope: str
    before: Position
    header_bytes: int

    @property
    def first(self) -> int:
        """The sequence of its first record."""
        return self.before.sequence + 1


def segment_name(scope: str, first: int) -> str:
    """`main-00000000000000000001.hfjournal`."""
    return f"{scope}-{first:020d}{SUFFIX}"


def encode_header(scope: str, before: Position) -> bytes:
    """The header of a segment that continues after `before`."""
    names = scope.encode() + before.node.encode()
    if before.mac_keys:
        keys = ",".join(before.mac_keys).encode()
        names += keys + _KEYS_BYTES.pack(len(keys))
    fixed = _FIXED.pack(
        MAGIC,
        _SIGNED_VERSION if before.mac_keys else VERSION,
        _FIXED.size + _CHECKSUM.size + len(names) + _CHECKSUM.size,
        before.sequence + 1,
        bytes.fromhex(before.chain),
        before.batch,
        before.epoch,
        before.in_upto,
        len(scope.encode()),
        len(before.node.encode()),
    )
    return fixed + _checksum(fixed) + names + _checksum(names)


def _checksum(content: bytes) -> bytes:
    return _CHECKSUM.pack(zlib.crc32(content))


def encode_record(sequence: int, payload: bytes) -> bytes:
    """One record."""
    head = _HEAD.pack(len(payload), sequence, zlib.crc32(payload))
    return b"".join((head, _checksum(head), payload))


def read_header(path: Path, scope: str) -> Segment | None:
    """The header; None when the file never got a whole one (a crash while it was made: no record can follow).

    Raises JournalDamagedError.
    """
    with path.open("rb") as file:
        start = file.read(_FIXED.size + _CHECKSUM.size)
        if len(start) == _FIXED.size + _CHECKSUM.size and not any(start) and not any(file.read(_HEADER_BYTES_MAX)):
            return None
        file.seek(0)
        try:
            segment = parse_header(file, path)
        except EOFError:
            return None
    if path.name != segment_name(scope, segment.first) or segment.scope != scope:
        raise JournalDamagedError(
            path.name, 0, f"it holds scope {segment.scope!r} from {segment.first} on, which differs from its name"
        )
    return segment


def parse_header(file: BinaryIO, path: Path) -> Segment:
    """The header at the beginning of a file, whatever its name. Raises JournalDamagedError, EOFError when cut off."""
    start = file.read(_FIXED.size + _CHECKSUM.size)
    fixed, checksum = start[: _FIXED.size], start[_FIXED.size :]
    if len(checksum) < _CHECKSUM.size:
        raise EOFError("the header is cut off")
    if _checksum(fixed) != checksum:
        raise JournalDamagedError(path.name, 0, "the checksum of the segment's header does not match")
    magic, version, length, first, chain, batch, epoch, in_upto, scope_bytes, node_bytes = _FIXED.unpack(fixed)
    if magic != MAGIC:
        raise JournalDamagedError(path.name, 0, "this is not a journal segment")
    if version not in {VERSION, _SIGNED_VERSION}:
        raise JournalDamagedError(
            path.name, 8, f"format version {version} is above {_SIGNED_VERSION}; a newer holdfast wrote it"
        )
    names_bytes = length - _FIXED.size - 2 * _CHECKSUM.size
    names = file.read(names_bytes)
    checksum = file.read(_CHECKSUM.size)
    if len(checksum) < _CHECKSUM.size:
        raise EOFError("the header is cut off")
    if _checksum(names) != checksum:
        raise JournalDamagedError(path.name, len(start), "the checksum of the names in the header does not match")
    scope, node = names[:scope_bytes].decode(), names[scope_bytes : scope_bytes + node_bytes].decode()
    keys = names[scope_bytes + node_bytes : -_KEYS_BYTES.size].decode() if version == _SIGNED_VERSION else ""
    mac_keys = tuple(keys.split(",")) if keys else ()
    return Segment(path, scope, Position(first - 1, chain.hex(), batch, epoch, node, in_upto, mac_keys), length)


def list_paths(directory: Path, scope: str) -> list[Path]:
    """The files of a scope's journal, in order."""
    return sorted(path for path in directory.glob(f"{scope}-*{SUFFIX}") if _is_named(path, scope))


def list_segments(directory: Path, scope: str) -> tuple[list[Segment], Path | None]:
    """The segments in order, and the newest file where its header was torn. Raises JournalDamagedError."""
    paths = list_paths(directory, scope)
    segments: list[Segment] = []
    for path in paths:
        segment = read_header(path, scope)
        if segment is None:
            if path != paths[-1]:
                raise JournalDamagedError(path.name, 0, "its header is cut off, and it is not the newest segment")
            return segments, path
        segments.append(segment)
    return segments, None


def _is_named(path: Path, scope: str) -> bool:
    number = path.name.removeprefix(f"{scope}-").removesuffix(SUFFIX)
    return number.isdigit() and len(number) == 20


def read_records(segment: Segment, file: BinaryIO, *, skip_upto: int = 0) -> Iterator[Record]:
    """Records from the segment's first on, in order. Raises Stop where there is no whole one, at the file's end too.

    Of records up to `skip_upto` only the head is read; their payload comes empty and unproven.
    """
    offset = segment.header_bytes
    file.seek(offset)
    wanted = segment.first
    while True:
        head = file.read(RECORD_HEAD_BYTES)
        if len(head) < RECORD_HEAD_BYTES:
            raise Stop(offset, "a record's head is cut off" if head else "")
        length, sequence, checksum = _parse_head(head, offset)
        if sequence != wanted:
            raise Stop(offset, f"record {sequence} is in the place of {wanted}")
        end = offset + RECORD_HEAD_BYTES + length
        if sequence <= skip_upto:
            file.seek(end)
            payload = b""
        else:
            payload = file.read(length)
            if len(payload) < length:
                raise Stop(offset, f"record {sequence} is cut off")
            if zlib.crc32(payload) != checksum:
                raise Stop(offset, f"the checksum of record {sequence} does not match")
        yield Record(sequence, payload, offset, end)
        offset = end
        wanted += 1


def read_copied(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(sequence, payload) of records without a header, perhaps with holes. Raises Stop at damage."""
    offset = 0
    while head := file.read(RECORD_HEAD_BYTES):
        if len(head) < RECORD_HEAD_BYTES:
            raise Stop(offset, "a record's head is cut off")
        length, sequence, checksum = _parse_head(head, offset)
        payload = file.read(length)
        if len(payload) < length or zlib.crc32(payload) != checksum:
            raise Stop(offset, f"the checksum of record {sequence} does not match")
        yield sequence, payload
        offset += RECORD_HEAD_BYTES + length


def _parse_head(head: bytes, offset: int) -> tuple[int, int, int]:
    if _checksum(head[: _HEAD.size]) != head[_HEAD.size :]:
        raise Stop(offset, "the checksum of a record's head does not match")
    length, sequence, checksum = _HEAD.unpack_from(head)
    if length > PAYLOAD_BYTES_MAX:
        raise Stop(offset, f"a record of {length} bytes is longer than any message")
    return length, sequence, checksum


def last_record_after(file: BinaryIO, offset: int, sequence_min: int) -> int | None:
    """The highest sequence of a whole record somewhere after `offset`; None when there is none.

    A head has two zero bytes where the upper half of its sequence is; messages, being JSON, have none, so few places
    are examined.
    """
    file.seek(offset)
    rest = file.read()
    highest: int | None = None
    for match in _TWO_ZEROS.finditer(rest.rstrip(b"\0") + b"\0\0"):
        start = match.start() - _SEQUENCE_OFFSET - 6
        head = rest[start : start + RECORD_HEAD_BYTES] if start > 0 else b""
        if len(head) < RECORD_HEAD_BYTES:
            continue
        try:
            length, sequence, checksum = _parse_head(head, start)
        except Stop:
            continue
        payload = rest[start + RECORD_HEAD_BYTES : start + RECORD_HEAD_BYTES + length]
        if sequence >= sequence_min and len(payload) == length and zlib.crc32(payload) == checksum:
            highest = max(highest or 0, sequence)
    return highest
