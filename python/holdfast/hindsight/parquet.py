"""The facts of LOG as Parquet files, for a warehouse: one row a fact, one folder a day.

In: what is kept of a scope, a folder. Out: files under FOLDER/scope=SCOPE/day=YYYY-MM-DD/, named by the first and the
last message of LOG in them. Always: a file appears whole or not at all; an export goes on after the last message that
the folder has; what is void is left out; rows are in memory a group at a time.
"""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.errors import LogError
from holdfast.hindsight.batches import OF_COMMANDS, Batch, batches, position_of
from holdfast.hindsight.replaying import Moment, messages, reached, start
from holdfast.recovery.past import Past

ROWS_IN_GROUP = 50_000
ROWS_IN_FILE_MAX = 2_000_000
_DEEP_MAX = 16
_FILE = re.compile(r"facts-(\d{20})-(\d{20})\.parquet")
_PARTIAL = "facts.partial"

SCHEMA = pa.schema(
    [
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("kind", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("source", pa.string()),
        pa.field("by", pa.string()),
        pa.field("reservation", pa.string()),
        pa.field("order_ref", pa.string()),
        pa.field("ref", pa.string()),
        pa.field("sku", pa.string()),
        pa.field("location", pa.string()),
        pa.field("channel", pa.string()),
        pa.field("on_hand", pa.int64()),
        pa.field("quantity", pa.int64()),
        pa.field("skus", pa.list_(pa.string()), nullable=False),
        pa.field("fact", pa.string(), nullable=False),
    ]
)
"""The columns. docs/warehouse.md says what each is."""


class ExportError(LogError):
    """The folder cannot be gone on with."""


@dataclass(slots=True)
class Exported:
    """What was written. `began`: the first message that was looked at. `missing`: messages that are kept no longer."""

    began: int = 0
    upto: int = 0
    rows: int = 0
    files: list[Path] = field(default_factory=list)
    missing: int = 0


def export(past: Past, folder: Path, begin: Moment, upto: Moment, progress: Callable[[int], None]) -> Exported:
    """Everything that the folder does not have yet. `begin`: of a folder that has nothing.

    Raises ExportError, NotKeptError, ArchiveError, JournalDamagedError, OSError.
    """
    place = folder / f"scope={past.scope}"
    with _alone(folder, place):
        have = last_of(place)
        if have and not begin.is_open:
            raise ExportError(f"{place} has everything up to message {have:,}, so the export goes on after that")
        first = have + 1 if have else None
        missing = max(0, past.first - first) if first is not None else 0
        if first is not None and not missing and past.last < first:
            return Exported(first, have)
        core = start(past, begin if first is None or missing else Moment(sequence=first))
        found = Exported(core.sequence + 1, core.sequence, missing=missing)
        with _Files(place, found) as files:
            raw = _counted(messages(past, core.sequence, upto), found, progress)
            for batch in batches(raw, position_of(core), past.scope, past.keys):
                files.add(batch)
        reached(found.upto, upto)
        return found


def last_of(place: Path) -> int:
    """The newest message of LOG that the files of a scope have; 0: there are none."""
    names = (_FILE.fullmatch(path.name) for path in place.glob("day=*/facts-*.parquet"))
    return max((int(name[2]) for name in names if name is not None), default=0)


@contextmanager
def _alone(folder: Path, place: Path) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    place.mkdir(exist_ok=True)
    lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ExportError(f"another export writes to {place}") from error
        (place / _PARTIAL).unlink(missing_ok=True)  # of one that was killed
        yield
    finally:
        os.close(lock)


def _counted(
    found: Iterator[tuple[int, bytes]], exported: Exported, progress: Callable[[int], None]
) -> Iterator[tuple[int, bytes]]:
    for sequence, message in found:
        yield sequence, message
        exported.upto = sequence
        progress(sequence)


class _Files:
    """One file at a time: a new one for each day, and where one has become large."""

    def __init__(self, place: Path, exported: Exported) -> None:
        self._place = place
        self._exported = exported
        self._day = ""
        self._first = self._last = 0
        self._rows_in_file = 0
        self._columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._finish()
        elif self._writer is not None:
            self._writer.close()
            (self._place / _PARTIAL).unlink(missing_ok=True)

    def add(self, batch: Batch) -> None:
        """The facts of one batch, all in one file."""
        day = datetime.fromtimestamp(batch.now_ms / 1000, UTC).date().isoformat()
        if day != self._day or self._rows_in_file + self._waiting >= ROWS_IN_FILE_MAX:
            self._finish()
            self._day = day
        if not batch.facts:
            return
        self._first = self._first or batch.sequence
        self._last = batch.sequence
        for index, (kind, raw) in enumerate(batch.facts):
            for name, value in row(batch, index, kind, bytes(raw)).items():
                self._columns[name].append(value)
        if self._waiting >= ROWS_IN_GROUP:
            self._write_group()

    @property
    def _waiting(self) -> int:
        return len(self._columns["sequence"])

    def _write_group(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._place / _PARTIAL, SCHEMA, compression="zstd")
        self._writer.write_table(pa.table(self._columns, schema=SCHEMA))
        self._rows_in_file += self._waiting
        for values in self._columns.values():
            values.clear()

    def _finish(self) -> None:
        if self._waiting:
            self._write_group()
        if self._writer is None:
            return
        self._writer.close()
        partial, day = self._place / _PARTIAL, self._place / f"day={self._day}"
        day.mkdir(exist_ok=True)
        _to_disk(partial)
        whole = day / f"facts-{self._first:020}-{self._last:020}.parquet"
        partial.rename(whole)
        _to_disk(day)
        _to_disk(self._place)
        self._exported.rows += self._rows_in_file
        self._exported.files.append(whole)
        self._writer, self._rows_in_file, self._first = None, 0, 0


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def row(batch: Batch, index: int, kind: str, raw: bytes) -> dict[str, Any]:
    """One fact. What a column names is empty where the fact does not have it in that form; `fact` has it all."""
    fact = orjson.loads(raw)
    return {
        "sequence": batch.sequence,
        "index": index,
        "at": batch.now_ms,
        "kind": kind,
        "source": _text(fact.get("from" if kind in _ABOUT_A_SOURCE else "source")),
        "by": _text(fact.get("by")),
        "reservation": _text(fact.get("id" if kind in OF_COMMANDS else "reservation")),
        **{name: _text(fact.get(name)) for name in ("order_ref", "ref", "sku", "location", "channel")},
        **{name: _whole(fact.get(name)) for name in ("on_hand", "quantity")},
        "skus": list(dict.fromkeys(_skus(fact, _DEEP_MAX))),
        "fact": raw.decode(),
    }


_ABOUT_A_SOURCE = frozenset({"freshness", "source.reset", "ownership"})
"""Rules that name a source, whose sender LOG has in `from`."""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _skus(part: Any, deep: int) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "sku" and isinstance(value, str):
                yield value
            elif deep:
                yield from _skus(value, deep - 1)
    elif isinstance(part, list) and deep:
        for value in part:
            yield from _skus(value, deep - 1)
