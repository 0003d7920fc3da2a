"""Repairing a log, and proving it.

Role: carry out a plan of `repair_plan`: append what is missing, write the stream again, fill IN, set journals
aside. In: the plan. Out: what was done, with the chain and digest that prove it. Always: each append is fenced by the
sequence before it, so a process that leads meanwhile stops the repair and not the other way round; what is deleted was
copied to a file before; the proof reads everything back and replays it in a fresh core.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from holdfast._core import Engine
from holdfast.errors import LogError, UnreachableError
from holdfast.nats.appender import Stored, get_message, parse_reply
from holdfast.nats.connection import Connection
from holdfast.nats.stream_reader import StreamReader
from holdfast.nats.streams import Names, ensure_streams, stream_state
from holdfast.node.replay import Replay
from holdfast.recovery.repair_plan import Plan, ReportPhase
from holdfast.secret_files import scope_macs
from holdfast.settings import Settings
from holdfast.storage.chain import advance
from holdfast.storage.journal import take_lock
from holdfast.storage.journal_reader import JournalView
from holdfast.storage.segments import encode_record, list_paths, read_copied

log = structlog.get_logger(__name__)

_ATTEMPTS_MAX = 20
_ATTEMPT_WAIT_S = 0.1
_CHUNK_MESSAGES = 256
_PADDING = b'{"facts":[]}'


def _silent(_what: str, _done: int, _total: int) -> None:
    """Report to nobody."""


class RepairError(LogError):
    """The repair stopped. Nothing is lost; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What LOG gives after the repair."""

    sequence: int
    chain: str
    digest: str  # "" where LOG does not begin at 1, so that it alone gives no state
    in_upto: int


class Repairer:
    """Carries out one plan."""

    def __init__(
        self, connection: Connection, data: Path, scope: str, settings: Settings, report_phase: ReportPhase = _silent
    ) -> None:
        self._connection = connection
        self._data = data
        self._names = Names(scope)
        self._settings = settings
        self.report_phase = report_phase
        self.backup: Path | None = None

    async def carry_out(self, plan: Plan) -> Proof:
        """Do it all, then prove it. Raises RepairError, UnreachableError, JournalError, OSError."""
        if plan.undecided:
            raise RepairError(plan.undecided)
        for journal in plan.set_aside:
            await asyncio.to_thread(self._set_aside, journal)
        if plan.recreate_from is not None:
            await self._recreate(plan.recreate_from, plan.recreate_first)
        elif plan.append_from is not None:
            await self._append_missing(plan.append_from)
        if plan.fill_in_upto:
            await self._fill_in(plan.fill_in_upto)
        return await self.prove(plan.recreate_from or plan.append_from)

    # ---- LOG

    async def _append_missing(self, journal: JournalView) -> None:
        end = (await stream_state(self._connection, self._names.log)).last_sequence
        await self.append_all(journal.messages(end), journal.end.sequence)

    async def append_all(self, messages: Iterator[tuple[int, bytes]], upto: int) -> None:
        """Append messages to LOG, each fenced. Raises RepairError, UnreachableError."""
        while chunk := await asyncio.to_thread(_take, messages):
            for sequence, message in chunk:
                await self._append(self._names.log, self._names.log_subject, sequence, message)
            self.report_phase("appending to the log", chunk[-1][0], upto)

    async def _append(self, stream: str, subject: str, sequence: int, message: bytes) -> None:
        """Have `message` stored at exactly this sequence, whatever the server answers meanwhile."""
        headers = {"Nats-Expected-Last-Sequence": str(sequence - 1), "Nats-Expected-Stream": stream}
        why = ""
        for _ in range(_ATTEMPTS_MAX):
            try:
                answer = await self._connection.request(
                    subject, message, self._settings.log.request_timeout_ms, headers
                )
                reply = parse_reply(stream, 0, answer.data, (answer.headers or {}).get("Status"))
                if isinstance(reply, Stored):
                    if reply.sequence != sequence:
                        raise RepairError(f"{stream}: stored at {reply.sequence}, not {sequence}: please report it")
                    return
                why = reply.detail
            except UnreachableError as fault:
                why = str(fault)
            there = await get_message(self._connection, stream, sequence)
            if there == message:
                return
            if there is not None:
                raise RepairError(
                    f"{stream}: another process wrote message {sequence}. Stop every process that serves this "
                    "scope, and run `holdfast repair` again."
                )
            await asyncio.sleep(_ATTEMPT_WAIT_S)
        raise RepairError(f"{stream}: message {sequence} could not be stored: {why}")

    async def _recreate(self, journal: JournalView, first: int) -> None:
        """Delete the stream and write it again: the journal's history, then the messages of LOG that continue it."""
        names = self._names
        self.backup = await self._copy_log()
        config: dict[str, Any] = (await self._connection.api(f"STREAM.INFO.{names.log}"))["config"]
        await self._connection.api(f"STREAM.DELETE.{names.log}")
        await self._connection.api(f"STREAM.CREATE.{names.log}", config | {"first_seq": first})
        log.warning("stream-recreated", stream=names.log, first=first, backup=str(self.backup))
        await self.append_all(journal.messages(first - 1), journal.end.sequence)
        await self.append_all(_continuing(self.backup, journal), journal.end.sequence)

    async def _copy_log(self) -> Path:
        """All that LOG still gives, in records as in a journal (docs/journal.md), with its holes."""
        directory = self._data / "repair"
        directory.mkdir(mode=0o700, exist_ok=True)
        path = directory / f"{self._names.log}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.messages"
        state = await stream_state(self._connection, self._names.log)
        reader = StreamReader(
            self._connection, self._names.log, state.first_sequence - 1, self._settings.log, gaps_allowed=True
        )
        await reader.open()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                await reader.wait_end()
                while not reader.at_end:
                    entries = await reader.take(_CHUNK_MESSAGES, self._settings.node.replay_chunk_bytes_max)
                    content = b"".join(encode_record(entry.sequence, entry.payload) for entry in entries)
                    await asyncio.to_thread(file.write, content)
                    self.report_phase("copying the log to a file", reader.taken, state.last_sequence)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        finally:
            await reader.close()
        return path

    # ---- IN and journals

    async def _fill_in(self, upto: int) -> None:
        names = self._names
        end = (await stream_state(self._connection, names.incoming)).last_sequence
        subject = names.incoming_subject("erp", "repair")
        for sequence in range(end + 1, upto + 1):
            await self._append(names.incoming, subject, sequence, _PADDING)
            if sequence % _CHUNK_MESSAGES == 0:
                self.report_phase("filling IN", sequence, upto)

    def _set_aside(self, journal: JournalView) -> None:
        """Move a journal's files aside, under its own lock."""
        target = self._data / "repair" / f"journal-{journal.node}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
        lock = take_lock(journal.directory, "stop the gateway first")
        try:
            target.mkdir(mode=0o700, parents=True)
            for path in list_paths(journal.directory, journal.scope):
                path.rename(target / path.name)
        finally:
            os.close(lock)

    # ---- proof

    async def prove(self, journal: JournalView | None) -> Proof:
        """Read LOG back and replay it; the same from the journal, where it has everything. Raises RepairError."""
        names = self._names
        await ensure_streams(self._connection, names, self._settings.log, create=False)
        state = await stream_state(self._connection, names.log)
        if state.first_sequence > 1 or (journal is not None and journal.first > 1):
            return await self._prove_chain(journal, state.first_sequence)
        core = Engine(names.scope, None, scope_macs(self._data).keys)
        replay = Replay(self._connection, names.log, core, self._settings)
        await replay.open()
        try:
            await replay.to_end(
                lambda progress: self.report_phase("replaying the log", progress.sequence, progress.end)
            )
        finally:
            await replay.close()
        broken = await asyncio.to_thread(core.check_thoroughly)
        if broken:
            raise RepairError(f"the log gives a state that breaks an invariant: {broken[0]}")
        if journal is not None:
            await asyncio.to_thread(_prove_equal, core, journal)
        incoming = await stream_state(self._connection, names.incoming)
        if incoming.last_sequence < core.in_upto:
            raise RepairError(f"IN ends at {incoming.last_sequence}, the log has taken in {core.in_upto}")
        return Proof(core.sequence, core.chain, core.digest(), core.in_upto)

    async def _prove_chain(self, journal: JournalView | None, first: int) -> Proof:
        if journal is None:
            return Proof((await stream_state(self._connection, self._names.log)).last_sequence, "", "", 0)
        position = journal.before
        for sequence, message in journal.messages():
            there = await get_message(self._connection, self._names.log, sequence) if sequence >= first else message
            if there != message:
                raise RepairError(f"the log still has other bytes at {sequence}")
            position = advance(position, journal.scope, message, journal.keys)
        return Proof(position.sequence, position.chain, "", position.in_upto)


def _prove_equal(core: Engine, journal: JournalView) -> None:
    """The journal, replayed in a fresh core, gives the same history; and, when LOG has no more, the same state."""
    other = Engine(journal.scope, None, journal.keys)
    messages = journal.messages()
    while chunk := _take(messages):
        other.apply_many(chunk[0][0], [message for _, message in chunk])
    if (other.sequence, other.chain) != (journal.end.sequence, journal.end.chain):
        raise RepairError(f"the journal of {journal.node} does not give its own chain at {other.sequence}")
    mine, theirs = (core.sequence, core.chain, core.digest()), (other.sequence, other.chain, other.digest())
    if core.sequence == other.sequence and mine != theirs:
        raise RepairError(f"at {other.sequence} the log gives {mine[1:]}, the journal of {journal.node} {theirs[1:]}")


def _take(messages: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    chunk = []
    for item in messages:
        chunk.append(item)
        if len(chunk) >= _CHUNK_MESSAGES:
            break
    return chunk


def _continuing(backup: Path, journal: JournalView) -> Iterator[tuple[int, bytes]]:
    """The log's messages beyond the journal's end, as far as they continue that history."""
    position = journal.end
    with backup.open("rb") as file:
        for sequence, message in read_copied(file):
            if sequence <= position.sequence:
                continue
            following = advance(position, journal.scope, message, journal.keys)
            if sequence != following.sequence or following.batch == position.batch:
                return
            position = following
            yield sequence, message
