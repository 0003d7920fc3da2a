"""The archive: proven when written, read instead of what was cut from LOG, and never a reason to lose anything."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast._core import Engine
from holdfast.errors import ArchiveError
from holdfast.nats.streams import stream_state
from holdfast.node.node import Node
from holdfast.recovery.trim import archive_upto, trim
from holdfast.recovery.verify import verify
from holdfast.settings import JournalSettings, Settings
from holdfast.storage.archive import Archive
from holdfast.storage.chain import START, Position, advance
from tests.support.batches import chained
from tests.support.journals import NAMES, filled, kept, leads, log_messages, node_with_journal, scratch
from tests.support.servers import connected, embedded, put, stocked, until

MESSAGES = chained(12, size=100)
SMALL = Settings(journal=JournalSettings(archive_bytes_max=1_000))


def counted(first: int = 1, last: int = 12) -> Iterator[tuple[int, bytes]]:
    return iter(list(enumerate(MESSAGES, start=1))[first - 1 : last])


def archived(directory: Path) -> Archive:
    archive = Archive(directory, "main")
    position = START
    while position.sequence < 12:
        position = archive.add(position, counted(position.sequence + 1), 900)
    return archive


def test_what_was_archived_is_read_again(tmp_path: Path) -> None:
    archive = archived(tmp_path)
    assert len(archive.files()) > 2
    assert archive.upto == 12
    assert list(archive.messages()) == list(counted())
    assert list(archive.messages(7)) == list(counted(8))
    position = START
    for message in MESSAGES:
        position = advance(position, "main", message)
    assert archive.check() == archive.end() == position
    assert not list(tmp_path.glob("*.part"))


def test_a_gap_is_never_written_over(tmp_path: Path) -> None:
    archive = Archive(tmp_path, "main")
    with pytest.raises(ArchiveError, match="1 is missing"):
        archive.add(START, counted(2), 1_000_000)
    assert archive.files() == []
    assert archive.add(START, iter([]), 1_000) == START
    assert archive.files() == []


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    archive = archived(tmp_path)
    archive.files()[1].path.unlink()
    with pytest.raises(ArchiveError, match="lacks messages"):
        archive.check()


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_any_damage_of_a_file_is_told(where: float, bit: int, cut: bool) -> None:
    with scratch() as directory:
        archive = archived(directory)
        path = archive.files()[1].path
        content = bytearray(path.read_bytes())
        at = int(where * len(content))
        if cut:
            del content[at:]
        else:
            content[at] ^= 1 << bit
        path.write_bytes(content)
        try:
            archive.check()
        except ArchiveError:
            return
        # gzip's own header has bytes that mean nothing (which system wrote it): then all messages are as they were
        assert at < 10
        assert not cut
        assert list(archive.messages()) == list(counted())


async def test_log_and_in_are_cut_and_verify_reads_the_archive(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        digest = await filled(server, tmp_path, holds=20)
        async with connected(server.endpoint) as connection:
            messages = await log_messages(connection)
            middle = len(messages) // 2
            core = Engine("main")
            core.apply_many(1, messages[:middle])
            done = await trim(connection, tmp_path, "main", middle, core.in_upto, SMALL)
            assert (done.archived_upto, done.log_first) == (middle, middle)
            assert done.in_first == core.in_upto + 1
            again = await trim(connection, tmp_path, "main", middle, core.in_upto, SMALL)
            assert again == done
            state = await stream_state(connection, NAMES.log)
            assert (state.first_sequence, state.last_sequence) == (middle, len(messages))
    report = await verify(tmp_path)
    assert report.ok, report.differences
    assert (report.sequence, report.digest) == (len(messages), digest)
    archive = Archive(tmp_path / "archive", "main")
    assert [message for _, message in archive.messages()] == messages[:middle]


async def test_nothing_is_cut_that_is_not_archived(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        await filled(server, tmp_path)
        (path,) = (tmp_path / "journal" / "n1").glob("*.hfjournal")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        async with connected(server.endpoint) as connection:
            await connection.api(f"STREAM.PURGE.{NAMES.log}", {"seq": 3})
            with pytest.raises(ArchiveError, match="nothing is cut"):
                await trim(connection, tmp_path, "main", 8, 1, SMALL)
            assert (await stream_state(connection, NAMES.log)).first_sequence == 3


async def test_what_no_sound_journal_has_is_archived_from_the_log(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        digest = await filled(server, tmp_path)
        (path,) = (tmp_path / "journal" / "n1").glob("*.hfjournal")
        path.unlink()
        async with connected(server.endpoint) as connection:
            messages = await log_messages(connection)
            assert (await trim(connection, tmp_path, "main", 8, 1, SMALL)).archived_upto == 8
            assert (await stream_state(connection, NAMES.log)).first_sequence == 8
    assert [message for _, message in Archive(tmp_path / "archive", "main").messages()] == messages[:8]
    report = await verify(tmp_path)
    assert (report.ok, report.digest) == (True, digest)


async def filled_more(node: Node[Engine], turn: int) -> None:
    await stocked(node)
    for at in range(20):
        await put(node, f"t{turn}-{at}", ("S1", 1))
    await until(lambda: node.counters()["journal_lag"] == 0)


async def test_a_node_lets_go_of_segments_that_are_archived(tmp_path: Path) -> None:
    journal = JournalSettings(segment_bytes_max=2_000, archive_look_ms=0, sync_ms=0)
    async with embedded(tmp_path) as server:
        async with node_with_journal(server.endpoint, tmp_path, Settings(journal=journal)) as node:
            await leads(node)
            await filled_more(node, 0)
            files = len(list((tmp_path / "journal" / "n1").glob("*.hfjournal")))
            assert files > 3
            end = node.journal_writer.end
            assert end is not None
            position: Position = await asyncio.to_thread(archive_upto, tmp_path, "main", end[0] - 2, SMALL)
            assert position.sequence == end[0] - 2
            await filled_more(node, 1)
            oldest = tmp_path / "journal" / "n1" / "main-00000000000000000001.hfjournal"
            await until(lambda: not oldest.exists())
        async with connected(server.endpoint) as connection:
            messages = await log_messages(connection)
        tail = kept(tmp_path)
        assert messages[-len(tail) :] == tail
        archive = Archive(tmp_path / "archive", "main")
        assert archive.upto + len(tail) >= len(messages)
