"""What the journals no longer have, a repair takes from the archive, where that is of the same history."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.nats.connection import Connection
from holdfast.recovery.repair import Repairer
from holdfast.recovery.repair_archive import with_archive
from holdfast.recovery.repair_plan import examine, plan
from holdfast.settings import JournalSettings, Settings
from holdfast.storage.archive import Archive
from holdfast.storage.chain import START, Position, advance
from holdfast.storage.journal import Journal
from holdfast.storage.journal_reader import JournalView, read_journal_view
from tests.support.batches import chained
from tests.support.journals import filled, kept, log_messages, rewrite_log
from tests.support.servers import connected, embedded

SETTINGS = Settings()


def position_after(messages: list[bytes], count: int) -> Position:
    position = START
    for message in messages[:count]:
        position = advance(position, "main", message)
    return position


def cut(data: Path, messages: list[bytes], journal_after: int, archive_upto: int, node: str = "n1") -> None:
    """A journal without its beginning, and an archive of the beginning."""
    journal = Journal.open(data / "journal" / node, "main", JournalSettings())
    journal.restart(position_after(messages, journal_after))
    journal.keep_many(journal_after + 1, messages[journal_after:])
    journal.close()
    archived = list(enumerate(messages, start=1))[:archive_upto]
    if archived:
        Archive(data / "archive", "main").add(START, iter(archived), 1 << 30)


def view(data: Path) -> JournalView:
    found = read_journal_view(data / "journal" / "n1", "main")
    assert found is not None
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 18), st.integers(0, 20), st.booleans(), st.integers(0, 20))
def test_both_are_one_history_where_they_meet(journal_after: int, archive_upto: int, other: bool, after: int) -> None:
    messages = chained(20)
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        cut(data, messages, journal_after, 0)
        archived = chained(20, node="n2") if other else messages
        if archive_upto:
            Archive(data / "archive", "main").add(START, enumerate(archived[:archive_upto], start=1), 1 << 30)
        journal = view(data)
        found = with_archive(journal, Archive(data / "archive", "main"))
        meets = archive_upto >= journal_after and not other
        assert found.first == (1 if meets else journal_after + 1)
        have = list(enumerate(messages, start=1))[found.first - 1 :]
        assert list(found.messages(after)) == [one for one in have if one[0] > after]


async def repaired(connection: Connection, data: Path) -> str:
    made = plan(await examine(connection, data, "main", SETTINGS))
    assert made.undecided == ""
    return (await Repairer(connection, data, "main", SETTINGS).carry_out(made)).digest


@pytest.mark.parametrize("archive_upto", [10, 0])
async def test_a_log_that_ends_before_the_journal_begins_is_put_right(tmp_path: Path, archive_upto: int) -> None:
    async with embedded(tmp_path) as server:
        digest = await filled(server, tmp_path)
        messages = kept(tmp_path)
        cut(tmp_path, messages, 8, archive_upto)
        async with connected(server.endpoint) as connection:
            await rewrite_log(connection, messages[:5])
            if archive_upto:
                assert await repaired(connection, tmp_path) == digest
                assert await log_messages(connection) == messages
            else:
                made = plan(await examine(connection, tmp_path, "main", SETTINGS))
                assert "Neither a journal nor the archive has messages 6 to 8" in made.undecided
