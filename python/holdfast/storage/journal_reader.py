"""Reading a journal that another process may be writing.

Role: a journal as it is on the disk, without its lock and unchanged: what it holds, whether that is sound, and the
messages again. In: a directory. Out: the end of the history, damage as text, messages. Always: read only; an
end that is being written, or was torn, counts as the end; damage anywhere else is reported, with the sequence up to
which the journal is good and the highest that it is known to have had.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast._core import ScopeKeys
from holdfast.errors import JournalDamagedError
from holdfast.storage.chain import Position, advance
from holdfast.storage.segments import (
    Segment,
    Stop,
    last_record_after,
    list_paths,
    list_segments,
    read_header,
    read_records,
)

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class JournalView:
    """One node's journal of one scope, as it was when it was read."""

    node: str
    directory: Path
    scope: str
    first: int  # the oldest sequence stored
    before: Position  # the position of the history before it
    end: Position  # the position after the newest good message
    known_upto: int  # the highest sequence that it is known to have had; beyond `end` where it is damaged
    damage: str  # "" when there is none
    keys: ScopeKeys | None = None  # the scope's, by which messages are judged

    def messages(self, after_sequence: int = 0) -> Iterator[tuple[int, bytes]]:
        """(sequence, bytes) after a sequence, up to `end`. Raises JournalDamagedError."""
        segments, _ = _segments(self.directory, self.scope)
        for segment, upto in zip(
            segments, [*(s.before.sequence for s in segments[1:]), self.end.sequence], strict=True
        ):
            if upto <= after_sequence or segment.first > self.end.sequence:
                continue
            with segment.path.open("rb", buffering=_READ_BYTES) as file:
                try:
                    for record in read_records(segment, file, skip_upto=after_sequence):
                        if record.sequence > self.end.sequence:
                            return
                        if record.sequence > after_sequence:
                            yield record.sequence, record.payload
                except Stop as stop:
                    if stop.why and segment is not segments[-1]:
                        raise JournalDamagedError(segment.path.name, stop.offset, stop.why) from stop


def _segments(directory: Path, scope: str) -> tuple[list[Segment], str]:
    """The segments up to the first whose header is damaged, and that damage."""
    try:
        return list_segments(directory, scope)[0], ""
    except JournalDamagedError as fault:
        good: list[Segment] = []
        for path in list_paths(directory, scope):
            segment = None if path.name == fault.segment else read_header(path, scope)
            if segment is None:
                break
            good.append(segment)
        return good, f"{fault.segment} at byte {fault.offset}: {fault.why}"


def read_journal_view(directory: Path, scope: str, keys: ScopeKeys | None = None) -> JournalView | None:
    """Read a whole journal; None where there is none. Blocking, for as long as reading its bytes takes."""
    segments, damage = _segments(directory, scope)
    newest = max((int(path.stem[-20:]) for path in list_paths(directory, scope)), default=1) - 1
    if not segments:
        if not damage:
            return None
        return JournalView(directory.name, directory, scope, 1, Position(), Position(), newest, damage, keys)
    position = segments[0].before
    for segment in segments:
        if segment.before != position:
            damage = damage or f"{segment.path.name} does not continue where the one before ends ({position.sequence})"
            break
        position, why, later = _follow(segment, scope, keys, last=segment is segments[-1])
        newest = max(newest, later, position.sequence)
        if why:
            damage = f"{segment.path.name}: {why}"
            break
    first = segments[0]
    known = newest if damage else position.sequence
    return JournalView(directory.name, directory, scope, first.first, first.before, position, known, damage, keys)


def _follow(segment: Segment, scope: str, keys: ScopeKeys | None, *, last: bool) -> tuple[Position, str, int]:
    """(the position of the history after the segment, damage, the sequence of a whole record behind the damage)."""
    position = segment.before
    with segment.path.open("rb", buffering=_READ_BYTES) as file:
        try:
            for record in read_records(segment, file):
                position = advance(position, scope, record.payload, keys)
        except Stop as stop:
            if not stop.why:
                return position, "", 0
            later = last_record_after(file, stop.offset, position.sequence + 1) or 0
            if last and not later:
                return position, "", 0
            return position, f"at byte {stop.offset}: {stop.why}", later
    raise AssertionError("Invariant: reading records ends with Stop")


def find_journals(data: Path, scope: str, keys: ScopeKeys | None = None) -> list[JournalView]:
    """Every journal of a scope under a data directory."""
    found = [read_journal_view(path, scope, keys) for path in sorted((data / "journal").glob("*")) if path.is_dir()]
    return [journal for journal in found if journal is not None]
