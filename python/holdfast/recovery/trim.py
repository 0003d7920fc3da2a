"""Cutting LOG and IN below what snapshots and the archive have.

Role: archive what the journals (or else LOG) have up to a sequence, then cut it from LOG and IN. In: a data
directory, and the sequence of the second newest proven snapshot. Out: what was archived and cut. Always: nothing is
cut that is not archived and proven, nor the message of the snapshot itself, which identifies it in LOG; to cut twice
does no harm.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

from holdfast._core import ScopeKeys
from holdfast.errors import ArchiveError
from holdfast.nats.appender import get_message
from holdfast.nats.connection import Connection
from holdfast.nats.stream_reader import StreamReader
from holdfast.nats.streams import Names, stream_state
from holdfast.secret_files import scope_macs
from holdfast.settings import Settings
from holdfast.storage.archive import Archive
from holdfast.storage.chain import START, Position, advance
from holdfast.storage.journal_reader import JournalView, find_journals

log = structlog.get_logger(__name__)

_FROM_LOG_BYTES = 16 << 20  # of messages in one file that is made from LOG: they are in memory meanwhile


class LacksMessagesError(ArchiveError):
    """No journal here has what the archive needs next."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The result. `log_first` and `in_first`: the streams begin there now."""

    archived_upto: int
    log_first: int
    in_first: int


def archive_upto(data: Path, scope: str, sequence: int, settings: Settings) -> Position:
    """Extend the archive to a sequence, from a journal that has what it lacks; returns its end. Blocking.

    Raises ArchiveError where no sound journal has it, JournalDamagedError, OSError.
    """
    keys = scope_macs(data).keys
    archive = Archive(data / "archive", scope, keys)
    position = archive.end() or START
    while position.sequence < sequence:
        journal = _with(find_journals(data, scope, keys), position, sequence)
        messages = ((at, message) for at, message in journal.messages(position.sequence) if at <= sequence)
        position = archive.add(position, messages, settings.journal.archive_bytes_max)
        log.info("archived", upto=position.sequence)
    return position


def _with(journals: list[JournalView], position: Position, sequence: int) -> JournalView:
    """A journal that continues where the archive ends."""
    for journal in journals:
        if journal.first <= position.sequence + 1 and journal.end.sequence >= sequence:
            return journal
    raise LacksMessagesError(
        f"no sound journal here has messages {position.sequence + 1} to {sequence}: nothing is archived, nothing is cut"
    )


async def _archived(connection: Connection, data: Path, scope: str, sequence: int, settings: Settings) -> Position:
    """The archive up to a sequence: from a journal, else from LOG, else begun again where this machine was away."""
    try:
        return await asyncio.to_thread(archive_upto, data, scope, sequence, settings)
    except LacksMessagesError:
        keys = scope_macs(data).keys
        archive = Archive(data / "archive", scope, keys)
        end = await asyncio.to_thread(archive.end) or START
        if (await stream_state(connection, Names(scope).log)).first_sequence <= end.sequence + 1:
            return await _from_log(connection, archive, end, sequence, settings)
        journals = await asyncio.to_thread(find_journals, data, scope, keys)
        beginning = next(
            (one for one in journals if end.sequence < one.first - 1 <= sequence <= one.end.sequence), None
        )
        if beginning is None:
            raise
        aside = await asyncio.to_thread(archive.set_aside)
        log.error(
            "archive-begun-again",
            first=beginning.first,
            aside=str(aside) if aside else None,
            why="LOG was cut while this machine was away",
        )
        messages = ((at, message) for at, message in beginning.messages() if at <= sequence)
        await asyncio.to_thread(archive.add, beginning.before, messages, settings.journal.archive_bytes_max)
        return await asyncio.to_thread(archive_upto, data, scope, sequence, settings)


async def _from_log(
    connection: Connection, archive: Archive, position: Position, sequence: int, settings: Settings
) -> Position:
    scope_keys = scope_macs(archive.directory.parent).keys
    reader = StreamReader(connection, Names(archive.scope).log, position.sequence, settings.log)
    await reader.open()
    try:
        while position.sequence < sequence:
            chunk: list[tuple[int, bytes]] = []
            size = 0
            while size < _FROM_LOG_BYTES and position.sequence + len(chunk) < sequence:
                wanted = min(settings.node.replay_chunk_messages_max, sequence - position.sequence - len(chunk))
                entries = await reader.take(wanted, settings.node.replay_chunk_bytes_max)
                chunk += [(entry.sequence, entry.payload) for entry in entries]
                size += sum(len(entry.payload) for entry in entries)
            await asyncio.to_thread(_require_whole, archive, position, chunk, scope_keys)
            position = await asyncio.to_thread(archive.add, position, iter(chunk), size)
            log.info("archived", upto=position.sequence, source="log")
    finally:
        await reader.close()
    return position


def _require_whole(
    archive: Archive, position: Position, chunk: list[tuple[int, bytes]], keys: ScopeKeys | None
) -> None:
    """Every message continues the chain: of what LOG alone has, a void one may be one that was altered."""
    for sequence, message in chunk:
        following = advance(position, archive.scope, message, keys)
        if following.batch == position.batch:
            raise ArchiveError(f"LOG alone has message {sequence}, and it does not continue the chain: nothing is cut")
        position = following


async def trim(
    connection: Connection, data: Path, scope: str, second_newest: int, in_upto: int, settings: Settings
) -> Trimmed:
    """Archive up to `second_newest`, the sequence of the second newest proven snapshot, and cut LOG and IN below it.

    `in_upto`: the IN sequence that this snapshot has taken in. Raises ArchiveError, UnreachableError, ApiError,
    OSError; then nothing was cut that is not archived.
    """
    names = Names(scope)
    end = await _archived(connection, data, scope, second_newest, settings)
    # The archive and LOG must be one history: the same bytes where both have them.
    newest = await asyncio.to_thread(_newest, data, scope)
    there = await get_message(connection, names.log, newest[0])
    if there is not None and there != newest[1]:
        raise ArchiveError(
            f"at {newest[0]} the log has other bytes than the archive: nothing is cut; `holdfast repair`"
        )
    if there is None and (await stream_state(connection, names.log)).first_sequence <= newest[0]:
        raise ArchiveError(f"the log does not give message {newest[0]}: nothing is cut")
    await connection.api(f"STREAM.PURGE.{names.log}", {"seq": min(second_newest, end.sequence)})
    await connection.api(f"STREAM.PURGE.{names.incoming}", {"seq": min(in_upto, end.in_upto) + 1})
    log_state, in_state = await stream_state(connection, names.log), await stream_state(connection, names.incoming)
    log.info("trimmed", log_first=log_state.first_sequence, in_first=in_state.first_sequence, archived=end.sequence)
    return Trimmed(end.sequence, log_state.first_sequence, in_state.first_sequence)


def _newest(data: Path, scope: str) -> tuple[int, bytes]:
    archive = Archive(data / "archive", scope)
    return next(iter(archive.messages(archive.upto - 1)))
