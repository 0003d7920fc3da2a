"""What is wrong with a log, by the journals beside it.

Role: compare LOG with every journal under a data directory, message by message, and decide what to do. In: a connection
and journals. Out: findings as text, and a plan (`repair` carries it out). Always: it only reads;
only the bytes of LOG and of the journals, and the chain in them, are trusted; where two histories both chain there
is no plan, because a person has to decide.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from holdfast._core import ScopeKeys
from holdfast.nats.connection import Connection
from holdfast.nats.stream_reader import Entry, StreamReader
from holdfast.nats.streams import Names, StreamState, stream_state
from holdfast.recovery.repair_archive import with_archive
from holdfast.secret_files import scope_macs
from holdfast.settings import Settings
from holdfast.storage.archive import Archive
from holdfast.storage.chain import START, Position, advance
from holdfast.storage.journal_reader import JournalView, find_journals

ReportPhase = Callable[[str, int, int], None]  # the step, the amount done, the total
_HOLES_TOLD_MAX = 20


@dataclass(slots=True)
class Comparison:
    """One journal beside LOG."""

    journal: JournalView
    differs_at: int | None = None
    log_fits: bool = False  # at `differs_at`: LOG's message continues the history before it
    journal_fits: bool = False  # at `differs_at`: the journal's message does
    _cursor: Iterator[tuple[int, bytes]] | None = None

    @property
    def forked(self) -> bool:
        """Two histories that both chain."""
        return self.differs_at is not None and self.log_fits and self.journal_fits

    def compare(self, entry: Entry, before: Position | None) -> None:
        """Compare one LOG message; `before` is the position of the history before it, where that is known."""
        journal = self.journal
        if self.differs_at is not None or not journal.first <= entry.sequence <= journal.end.sequence:
            return
        if self._cursor is None:
            self._cursor = journal.messages(entry.sequence - 1)
        for sequence, message in self._cursor:
            if sequence < entry.sequence:  # LOG has a hole
                continue
            if message != entry.payload:
                self.differs_at = sequence
                self.log_fits = before is None or _continues(before, journal, entry.payload)
                self.journal_fits = before is None or _continues(before, journal, message)
            return


def _continues(before: Position, journal: JournalView, message: bytes) -> bool:
    return advance(before, journal.scope, message, journal.keys).batch > before.batch


@dataclass(slots=True)
class Examination:
    """LOG and the journals, as read."""

    scope: str
    log: StreamState
    incoming: StreamState
    comparisons: list[Comparison]
    begins: int  # the sequence from which on LOG must be complete: 1, unless snapshots let it be cut
    holes: list[tuple[int, int]] = field(default_factory=list)  # first and last of sequences that LOG lacks inside
    position: Position | None = None  # LOG's, at its end or before its first hole; None where its beginning is unknown
    voids: int = 0
    keys: ScopeKeys | None = None  # of the scope
    archive: Archive | None = None

    def reaching(self, journal: JournalView, first: int) -> JournalView:
        """The journal, with the archive before it where it begins after `first`. Reads the archive then."""
        if journal.first <= first or self.archive is None:
            return journal
        return with_archive(journal, self.archive)


@dataclass(slots=True)
class Plan:
    """What is wrong, as text, and what would repair it."""

    findings: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    append_from: JournalView | None = None  # put what LOG lacks at its end back from this journal
    recreate_from: JournalView | None = None  # write LOG again from this journal
    recreate_first: int = 1  # beginning with this sequence
    set_aside: list[JournalView] = field(default_factory=list)  # journals that are not copies of this log
    fill_in_upto: int = 0  # IN is to reach this sequence
    undecided: str = ""  # what a person has to decide first

    @property
    def sound(self) -> bool:
        """Nothing is wrong."""
        return not self.findings


async def examine(
    connection: Connection, data: Path, scope: str, settings: Settings, report_phase: ReportPhase | None = None
) -> Examination:
    """Read LOG and every journal, whole. Raises LogError when LOG cannot be read at all."""
    names = Names(scope)
    keys = scope_macs(data).keys
    journals = await asyncio.to_thread(find_journals, data, scope, keys)
    log = await stream_state(connection, names.log)
    incoming = await stream_state(connection, names.incoming)
    first = log.first_sequence if log.messages else log.last_sequence + 1
    journals_from = min((journal.first for journal in journals), default=first)
    cut = any((data / "snapshots").glob(f"{scope}-*"))
    begins = first if cut else min(first, journals_from)
    found = Examination(scope, log, incoming, [Comparison(journal) for journal in journals], begins, keys=keys)
    found.archive = Archive(data / "archive", scope, keys)
    found.position = await asyncio.to_thread(_position_before, begins, journals)
    if log.messages:
        await _read_log(connection, names, found, settings, report_phase)
    elif begins < first:
        found.holes.append((begins, first - 1))
    return found


def _position_before(first: int, journals: list[JournalView]) -> Position | None:
    """The position of the history before LOG's first message."""
    if first == 1:
        return START
    for journal in journals:
        if journal.before.sequence < first <= journal.end.sequence + 1:
            position = journal.before
            for sequence, message in journal.messages():
                if sequence >= first:
                    break
                position = advance(position, journal.scope, message, journal.keys)
            return position
    return None


async def _read_log(
    connection: Connection, names: Names, found: Examination, settings: Settings, report_phase: ReportPhase | None
) -> None:
    reader = StreamReader(connection, names.log, found.log.first_sequence - 1, settings.log, gaps_allowed=True)
    wanted = found.begins
    await reader.open()
    try:
        await reader.wait_end()
        while not reader.at_end:
            entries = await reader.take(settings.node.replay_chunk_messages_max, settings.node.replay_chunk_bytes_max)
            wanted = await asyncio.to_thread(_look, found, entries, wanted)
            if report_phase is not None:
                report_phase("comparing the log with the journals", wanted - 1, found.log.last_sequence)
    finally:
        await reader.close()
    if wanted <= found.log.last_sequence:
        found.holes.append((wanted, found.log.last_sequence))


def _look(found: Examination, entries: list[Entry], wanted: int) -> int:
    """One run of LOG messages, off the event loop; the sequence that comes next."""
    for entry in entries:
        if entry.sequence != wanted and len(found.holes) < _HOLES_TOLD_MAX:
            found.holes.append((wanted, entry.sequence - 1))
        before = None if found.holes else found.position
        for comparison in found.comparisons:
            comparison.compare(entry, before)
        if before is not None:
            found.position = advance(before, found.scope, entry.payload, found.keys)
            found.voids += found.position.batch == before.batch
        wanted = entry.sequence + 1
    return wanted


def plan(found: Examination, trust: str | None = None) -> Plan:
    """What to do. `trust`: "log", or the node whose journal is right, where a person has decided. Reads journals."""
    made = Plan()
    best = _choose(found, made, trust)
    ends = found.log.last_sequence if not found.holes or made.recreate_from else found.holes[0][0] - 1
    _judge_damage(found, made, max(ends, best.journal.end.sequence if best is not None else 0), trust)
    return made


def _choose(found: Examination, made: Plan, trust: str | None) -> Comparison | None:
    """Plan everything except the damaged journals; returns the journal that counts."""
    whole = [one for one in found.comparisons if not one.journal.damage]
    differing = [one for one in whole if one.differs_at is not None]
    made.findings += [_difference(one) for one in differing]
    if trust == "log":
        _set_aside(made, [one.journal for one in differing], "the log counts")
        whole, differing = [one for one in whole if one.differs_at is None], []
    trusted = [one for one in whole if one.journal.node == trust]
    if trust not in {None, "log"} and not trusted:
        made.undecided = f"There is no sound journal of a node {trust!r} to trust."
    elif not trusted:
        made.undecided = _fork(whole, differing)
    if made.undecided:
        return None
    best = max(trusted or differing or whole, key=lambda one: one.journal.end.sequence, default=None)
    if best is None:
        made.undecided = _holes_alone(found, made)
        _judge_incoming(found, made, found.position)
        return None
    if trusted:
        parted = [one.journal for one in whole if one is not best and _parting(one.journal, best.journal) is not None]
        _set_aside(made, parted, f"the journal of {trust} counts")
    if found.holes or best.differs_at is not None:
        _plan_recreation(found, made, best)
    elif best.journal.end.sequence > found.log.last_sequence:
        _plan_suffix(found, made, best.journal)
    _judge_incoming(
        found, made, best.journal.end if best.journal.end.sequence >= found.log.last_sequence else found.position
    )
    return best


def _holes_alone(found: Examination, made: Plan) -> str:
    for first, last in found.holes:
        made.findings.append(f"The log lacks messages {first} to {last} in its middle.")
    return "No sound journal has what the log lacks: restore the log from a backup." if found.holes else ""


def _set_aside(made: Plan, journals: list[JournalView], why: str) -> None:
    made.set_aside += journals
    made.steps += [
        f"Set the journal of {journal.node} aside, because {why}; the node begins a new one." for journal in journals
    ]


def _judge_damage(found: Examination, made: Plan, upto: int, trust: str | None) -> None:
    """Damaged journals can be set aside once the log is known to have all that they had: it does up to `upto`."""
    for one in found.comparisons:
        journal = one.journal
        if not journal.damage:
            continue
        made.findings.append(f"The journal of {journal.node} is damaged: {journal.damage}.")
        if trust is not None or (journal.known_upto <= upto and one.differs_at is None):
            _set_aside(made, [journal], "it is damaged, and the log has what it had")
        else:
            made.undecided = made.undecided or (
                f"The damaged journal of {journal.node} is known to have had messages up to {journal.known_upto}, and "
                f"nothing sound here goes beyond {upto}. Restore the log from a backup that has them; or, where they "
                "are to be given up, `--trust log`."
            )


def _difference(one: Comparison) -> str:
    comparison = {
        (True, True): "both continue the history before it: two histories",
        (True, False): "the log's continues the history before it, the journal's does not",
        (False, True): "the journal's continues the history before it, the log's does not: the log was altered",
        (False, False): "neither continues the history before it",
    }[one.log_fits, one.journal_fits]
    return f"At {one.differs_at} the log has other bytes than the journal of {one.journal.node}; {comparison}."


def _fork(whole: list[Comparison], differing: list[Comparison]) -> str:
    """What a person must decide; "" when nothing is."""
    for one in differing:
        if one.log_fits:
            return (
                f"Two histories differ from {one.differs_at}. The journal of {one.journal.node} has one, up to "
                f"{one.journal.end.sequence}; the log has the other. What was answered from the one that is given "
                f"up (orders, holds, stock) is undone. Decide which counts: `--trust {one.journal.node} --recreate` or "
                "`--trust log`."
            )
    ahead = sorted((one.journal for one in whole), key=lambda journal: journal.end.sequence)
    for shorter, longer in itertools.pairwise(ahead):
        at = _parting(shorter, longer)
        if at is not None:
            return (
                f"The journals of {shorter.node} (up to {shorter.end.sequence}) and {longer.node} (up to "
                f"{longer.end.sequence}) have other bytes at {at}, which the log does not have. Decide which counts: "
                f"`--trust {shorter.node}` or `--trust {longer.node}`."
            )
    return ""


def _parting(shorter: JournalView, longer: JournalView) -> int | None:
    """Where two journals first differ; None where they agree as far as both go."""
    begin = max(shorter.first, longer.first) - 1
    pairs = zip(shorter.messages(begin), longer.messages(begin), strict=False)
    return next((mine[0] for mine, other in pairs if mine != other), None)


def _plan_suffix(found: Examination, made: Plan, journal: JournalView) -> None:
    first, last = found.log.last_sequence + 1, journal.end.sequence
    made.findings.append(
        f"The log ends at {found.log.last_sequence}; the journal of {journal.node} has messages up to {last}: "
        f"the log lost {last - first + 1:,} at its end."
    )
    journal = found.reaching(journal, first)
    if journal.first > first:
        made.undecided = (
            f"Neither a journal nor the archive has messages {first} to {journal.first - 1}: restore the log from a "
            "backup first."
        )
        return
    made.append_from = journal
    made.steps.append(
        f"Append messages {first} to {last} from the journal of {journal.node}, byte by byte, and prove it."
    )


def _plan_recreation(found: Examination, made: Plan, one: Comparison) -> None:
    journal = found.reaching(one.journal, found.begins)
    for first, last in found.holes:
        made.findings.append(f"The log lacks messages {first} to {last} in its middle.")
    if journal.first > found.begins:
        made.undecided = (
            f"The journal of {journal.node}, with the archive before it, begins at {journal.first}, the log at "
            f"{found.begins}: it cannot be written again from that alone. Restore the log from a backup."
        )
        return
    made.recreate_from, made.recreate_first = journal, found.begins
    made.steps.append(
        "The fault is inside the log, where nothing can be put back in place. With `--recreate`: copy the log to "
        f"a file, delete the stream, write it again from the journal of {journal.node}, same sequences, and prove it."
    )


def _judge_incoming(found: Examination, made: Plan, end: Position | None) -> None:
    wanted = end.in_upto if end is not None else 0
    if found.incoming.last_sequence >= wanted:
        return
    missing = wanted - found.incoming.last_sequence
    made.findings.append(
        f"IN ends at {found.incoming.last_sequence}, but the log has taken it in up to {wanted}: new facts would get "
        "sequences that count as taken."
    )
    made.fill_in_upto = wanted
    made.steps.append(
        f"Fill IN with {missing:,} empty messages, which are never read, so that new facts come after {wanted}."
    )
