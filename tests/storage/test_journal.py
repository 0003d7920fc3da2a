"""The journal: what is kept comes back byte by byte, and no damage goes unseen."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast._core import Engine
from holdfast.errors import (
    JournalDamagedError,
    JournalDiffersError,
    JournalFullError,
    JournalGapError,
    JournalInUseError,
)
from holdfast.settings import JournalSettings
from holdfast.storage.chain import START, Position, advance, chain_hash
from holdfast.storage.journal import Journal
from tests.support.batches import batch_after, chained
from tests.support.journals import scratch

SMALL = replace(JournalSettings(), segment_bytes_max=1_500)
MESSAGES = chained(12, size=100)


@contextmanager
def opened(directory: Path, settings: JournalSettings = SMALL, scope: str = "main") -> Iterator[Journal]:
    journal = Journal.open(directory, scope, settings)
    try:
        yield journal
    finally:
        journal.close()


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.hfjournal"))


def test_what_was_kept_comes_back_after_a_restart_and_over_segments(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        assert journal.position is None
        journal.keep(1, MESSAGES[0])
        journal.keep_many(2, MESSAGES[1:5])
        assert journal.end == (5, chain_hash(MESSAGES[4]))
    with opened(tmp_path) as journal:
        assert journal.cut is None
        journal.keep_many(6, MESSAGES[5:])
        assert journal.end == (12, chain_hash(MESSAGES[11]))
        assert len(segments(tmp_path)) > 2
        assert list(journal.read()) == list(enumerate(MESSAGES, start=1))
        assert list(journal.read(7)) == list(enumerate(MESSAGES[7:], start=8))
        assert list(journal.read(12)) == []
        assert journal.check() == journal.position


def test_its_position_is_the_cores(tmp_path: Path) -> None:
    core = Engine("main")
    messages = []
    for at in range(1, 5):
        messages.append(core.lead_batch(f"n{at}", at, b"{}"))
        assert core.apply(at, messages[-1])
        if at == 2:
            messages.append(b"nothing that a leader wrote")
            assert not core.apply(at + 1, messages[-1])
            break
    messages.append(core.lead_batch("n9", 9, b"{}"))
    core.apply(4, messages[-1])
    position = START
    for message in messages:
        position = advance(position, "main", message)
    assert position == Position(core.sequence, core.chain, core.batch, core.epoch, core.node, core.in_upto)
    with opened(tmp_path) as journal:
        journal.keep_many(1, messages)
        assert journal.position == position


def test_messages_that_do_not_fit_are_kept_and_leave_the_chain(tmp_path: Path) -> None:
    first = MESSAGES[0]
    void = [
        b"\xff\x00",
        batch_after("0" * 64, 2),
        batch_after(chain_hash(first), 3),
        batch_after(chain_hash(first), 2, scope="other"),
        batch_after(chain_hash(first), 2, node="n2"),
        batch_after(chain_hash(first), 2).replace(b'"kind":"facts"', b'"kind":"lead"'),
        batch_after(chain_hash(first), 2)[:-1],
        batch_after(chain_hash(first), 2).replace(b'"epoch":1', b'"epoch":1,"more":1'),
    ]
    with opened(tmp_path) as journal:
        journal.keep_many(1, [first, *void])
        assert journal.end == (1 + len(void), chain_hash(first))
        journal.keep(2 + len(void), MESSAGES[1])
        assert journal.end == (2 + len(void), chain_hash(MESSAGES[1]))
        assert [message for _, message in journal.read()] == [first, *void, MESSAGES[1]]


def test_keeping_again_is_nothing_new_and_other_bytes_are_an_error(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.keep_many(1, MESSAGES[:8])
        journal.keep_many(3, MESSAGES[2:10])
        assert journal.end is not None
        assert journal.end[0] == 10
        with pytest.raises(JournalDiffersError, match="4"):
            journal.keep(4, MESSAGES[3] + b" ")
        with pytest.raises(JournalDiffersError):
            journal.keep_many(9, [MESSAGES[8], MESSAGES[0], MESSAGES[10]])
        journal.keep_many(9, MESSAGES[8:])
        assert [message for _, message in journal.read()] == MESSAGES


def test_a_gap_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        with pytest.raises(JournalGapError):
            journal.keep(2, MESSAGES[1])
        journal.keep_many(1, MESSAGES[:3])
        with pytest.raises(JournalGapError):
            journal.keep(5, MESSAGES[4])
        assert journal.end == (3, chain_hash(MESSAGES[2]))


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(JournalInUseError, match="--node"), opened(tmp_path):
        pass
    with opened(tmp_path):
        pass


def test_scopes_share_a_directory_and_nothing_else(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.keep_many(1, MESSAGES[:3])
    other = chained(2, scope="main-2")
    with opened(tmp_path, scope="main-2") as journal:
        assert journal.end is None
        journal.keep_many(1, other)
    with opened(tmp_path) as journal:
        assert [message for _, message in journal.read()] == MESSAGES[:3]


def test_it_goes_on_after_a_position_and_lets_go_of_old_segments(tmp_path: Path) -> None:
    position = START
    for message in MESSAGES[:6]:
        position = advance(position, "main", message)
    with opened(tmp_path) as journal:
        journal.keep_many(1, MESSAGES[:3])
        journal.restart(position)
        assert journal.end == (6, chain_hash(MESSAGES[5]))
        journal.keep_many(5, MESSAGES[4:])  # what lies before is not kept and not compared
        assert journal.check() == journal.position
        assert journal.first == 7
        gone = journal.drop_below(11)
        assert gone
        assert not any(path.exists() for path in gone)
        assert 7 < (journal.first or 0) <= 11
        journal.drop_below(1_000)
        assert len(segments(tmp_path)) == 1
    with opened(tmp_path) as journal:
        assert journal.end == (12, chain_hash(MESSAGES[11]))
        assert journal.check() == journal.position


def test_its_bound_is_kept(tmp_path: Path) -> None:
    settings = replace(SMALL, bytes_max=2_000)
    with opened(tmp_path, settings) as journal:
        with pytest.raises(JournalFullError, match="bytes_max"):
            journal.keep_many(1, MESSAGES)
        assert journal.size <= 2_000
        kept = journal.end
        assert kept is not None
        assert list(journal.read()) == list(enumerate(MESSAGES[: kept[0]], start=1))


def test_what_the_disk_refuses_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def full(descriptor: int, group: bytes) -> int:
        if len(group) > 20:
            return write(descriptor, bytes(group[:20]))
        raise OSError(28, "No space left on device")

    with opened(tmp_path) as journal:
        journal.keep_many(1, MESSAGES[:3])
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            journal.keep_many(4, MESSAGES[3:5])
        monkeypatch.undo()
        assert journal.end == (3, chain_hash(MESSAGES[2]))
        journal.keep_many(4, MESSAGES[3:])
        assert journal.check() == journal.position
        assert [message for _, message in journal.read()] == MESSAGES


def test_a_missing_segment_is_damage(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.keep_many(1, MESSAGES)
    segments(tmp_path)[1].unlink()
    with opened(tmp_path) as journal, pytest.raises(JournalDamagedError):
        journal.check()


# ---- any damage is seen


def filled(directory: Path, count: int, segment_bytes: int) -> list[bytes]:
    with opened(directory, replace(SMALL, segment_bytes_max=segment_bytes)) as journal:
        journal.keep_many(1, MESSAGES[:count])
    return MESSAGES[:count]


def what_is_left(directory: Path) -> tuple[list[bytes], bool] | None:
    """(messages, whether a tail was cut); None where damage was reported."""
    try:
        with opened(directory) as journal:
            journal.check()
            return [message for _, message in journal.read()], journal.cut is not None
    except JournalDamagedError:
        return None


@given(
    count=st.integers(1, 12),
    segment_bytes=st.sampled_from([700, 1_500, 100_000]),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_any_flipped_bit_is_told_or_is_exactly_a_torn_tail(
    count: int, segment_bytes: int, where: float, bit: int
) -> None:
    with scratch() as directory:
        messages = filled(directory, count, segment_bytes)
        paths = segments(directory)
        sizes = [path.stat().st_size for path in paths]
        at = int(where * sum(sizes))
        hit = 0
        while at >= sizes[hit]:
            at -= sizes[hit]
            hit += 1
        path = paths[hit]
        content = bytearray(path.read_bytes())
        content[at] ^= 1 << bit
        path.write_bytes(content)
        left = what_is_left(directory)
        if left is not None:
            assert path == paths[-1]
            assert left == (messages[:-1], True), "only the newest record may be taken for torn"


def test_each_bit_of_a_header_is_guarded(tmp_path: Path) -> None:
    filled(tmp_path, 2, 100_000)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    for at in range(110 * 8):
        content = bytearray(whole)
        content[at // 8] ^= 1 << at % 8
        path.write_bytes(content)
        assert what_is_left(tmp_path) is None
        assert path.read_bytes() == content, "what cannot be told is left as it is"


@given(
    count=st.integers(1, 12),
    segment_bytes=st.sampled_from([700, 1_500, 100_000]),
    segment=st.integers(0, 20),
    keep=st.floats(0, 1, exclude_max=True),
)
def test_any_truncation_is_told_or_is_a_torn_tail(count: int, segment_bytes: int, segment: int, keep: float) -> None:
    with scratch() as directory:
        messages = filled(directory, count, segment_bytes)
        paths = segments(directory)
        path = paths[segment % len(paths)]
        os.truncate(path, int(path.stat().st_size * keep))
        left = what_is_left(directory)
        if path != paths[-1]:
            assert left is None
        elif left is not None:
            kept, _ = left
            assert kept == messages[: len(kept)]
            assert len(kept) < len(messages)
            with opened(directory) as journal:
                journal.keep_many(len(kept) + 1 if kept else 1, messages[len(kept) :])
                assert [message for _, message in journal.read()] == messages


@given(zeros=st.integers(1, 5_000), lost=st.integers(0, 60))
def test_a_tail_that_the_file_system_filled_with_zeros_is_torn(zeros: int, lost: int) -> None:
    with scratch() as directory:
        messages = filled(directory, 5, 100_000)
        path = segments(directory)[0]
        os.truncate(path, path.stat().st_size - lost)
        with path.open("ab") as file:
            file.write(b"\0" * zeros)
        left = what_is_left(directory)
        assert left == (messages[: 5 if lost == 0 else 4], True)


def test_a_copy_reads_the_same(tmp_path: Path) -> None:
    filled(tmp_path / "one", 12, 700)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with opened(tmp_path / "one"), opened(tmp_path / "two") as journal:
        assert [message for _, message in journal.read()] == MESSAGES
