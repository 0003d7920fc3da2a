"""The past, from the files of a data directory: the state after any sequence that is kept.

Role: the nearest root or snapshot before a moment, and after it what the archive and the journals have. In: a data
directory, a sequence or a time. Out: messages in order, or a core as it was then. Always: it only reads, and needs no
log; one state is in memory at a time, and messages a chunk at a time; what lies before the first root is not guessed.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from holdfast._core import Engine, SnapshotError
from holdfast.errors import ArchiveError, LogError
from holdfast.macs import without_code
from holdfast.secret_files import scope_macs
from holdfast.settings import Settings
from holdfast.storage.archive import Archive
from holdfast.storage.journal_reader import JournalView, find_journals
from holdfast.storage.snapshot_files import Snapshot, SnapshotStore

_NOW_MS = re.compile(rb'"now_ms":(\d{1,15})[,}]')
_HEAD_BYTES = 2_048
_CHUNK = 256


class NotKeptError(LogError):
    """A moment that the files here do not reach: before the oldest state that is kept, or after the newest message."""


class Past:
    """One scope's past in one data directory. Blocking: call it from a thread, or from a separate process."""

    def __init__(self, data: Path, scope: str, settings: Settings) -> None:
        self.data = data
        self.scope = scope
        self._settings = settings
        self.keys = scope_macs(data).keys
        self.archive = Archive(data / "archive", scope, self.keys)
        self._stores = [SnapshotStore(data / name, scope, settings.snapshots) for name in ("archive", "snapshots")]
        self._journals: list[JournalView] | None = None

    @property
    def journals(self) -> list[JournalView]:
        """The journals, as they were when they were first asked for."""
        if self._journals is None:
            self._journals = find_journals(self.data, self.scope, self.keys)
        return self._journals

    # ---- where the past begins

    def states(self) -> list[Snapshot]:
        """The roots and snapshots, the oldest first, from which what is kept here can be followed."""
        found = {one.header.sequence: one for store in self._stores for one in store.snapshots()}
        return [found[sequence] for sequence in sorted(found) if sequence + 1 >= self.first]

    @property
    def first(self) -> int:
        """The oldest message kept here; 1 where there is none at all."""
        if first := self.archive.first:
            return first
        return min((one.first for one in self.journals if one.end.sequence >= one.first), default=1)

    @property
    def last(self) -> int:
        """The newest message kept here."""
        return max([self.archive.upto, *(journal.end.sequence for journal in self.journals)])

    def oldest(self) -> Snapshot | None:
        """The state from which everything here follows; None where it follows from the first message.

        Raises NotKeptError where messages are kept, and no state before them.
        """
        if self.first <= 1:
            return None
        states = self.states()
        if not states:
            raise NotKeptError(
                f"the messages here begin at {self.first}, and no state before them is kept: "
                "put the root back into the archive from a copy"
            )
        return states[0]

    # ---- reading

    def messages(self, after: int) -> Iterator[tuple[int, bytes]]:
        """(sequence, bytes) of everything kept after a sequence. Raises ArchiveError, JournalDamagedError."""
        at = after
        for sequence, message in self.archive.messages(after):
            yield sequence, message
            at = sequence
        while True:
            journal = max(
                (one for one in self.journals if one.first <= at + 1 <= one.end.sequence),
                key=lambda one: one.end.sequence,
                default=None,
            )
            if journal is None:
                return
            for sequence, message in journal.messages(at):
                if sequence != at + 1:
                    raise ArchiveError(f"message {at + 1} is missing in the journal of {journal.node}")
                yield sequence, message
                at = sequence

    def core(self, upto: int | None = None, *, before_ms: int | None = None, owner_key: bytes | None = None) -> Engine:
        """The state after message `upto`, or after the last batch that was made at or before a time.

        Raises NotKeptError, ArchiveError, JournalDamagedError.
        """
        core = self._start(upto, before_ms, owner_key)
        messages = self.messages(core.sequence)
        if before_ms is not None:
            messages = itertools.takewhile(lambda one: (made_ms(one[1]) or 0) <= before_ms, messages)
        if upto is not None:
            messages = itertools.islice(messages, upto - core.sequence)
        apply_all(core, messages)
        if upto is not None and core.sequence < upto:
            raise NotKeptError(f"message {upto} is not kept here: what is kept ends at {core.sequence}")
        return core

    def _start(self, upto: int | None, before_ms: int | None, owner_key: bytes | None) -> Engine:
        for one in reversed(self.states()):
            late = upto is not None and one.header.sequence > upto
            if late or (before_ms is not None and one.header.now_ms > before_ms):
                continue
            try:
                return Engine.restore(self.scope, owner_key, str(one.path), self.keys)
            except (SnapshotError, FileNotFoundError):
                continue  # damaged, or removed meanwhile: an older one gives the same, more slowly
        if self.first > 1:
            oldest = self.oldest()
            since = f"{oldest.header.sequence} (made at {oldest.header.now_ms} ms)" if oldest else str(self.first)
            raise NotKeptError(
                f"that is before what is kept: the past begins at {since}; `retention.keep_days` and "
                "`retention.keep_bytes` say how much stays"
            )
        return Engine(self.scope, owner_key, self.keys)


def apply_all(core: Engine, messages: Iterator[tuple[int, bytes]]) -> None:
    """Apply messages that follow, a chunk at a time."""
    while chunk := [message for _, message in itertools.islice(messages, _CHUNK)]:
        core.apply_many(core.sequence + 1, chunk)


def made_ms(message: bytes) -> int | None:
    """When a batch was made, by its own wall time; None where it does not say."""
    found = _NOW_MS.search(without_code(message), 0, _HEAD_BYTES)
    return int(found[1]) if found else None
