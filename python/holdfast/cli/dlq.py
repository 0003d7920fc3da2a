"""`holdfast dlq`: facts and messages that were rejected: see why, correct them, send them again, remove them.

In: a data directory, or the NATS that its gateway uses. Out: a table or JSON; exit status 1 where a letter could not
be sent again. Always: nothing is removed before IN has it, except by `discard`; the gateway may run or be stopped.
"""

import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import App, Parameter
from rich.table import Table

from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, Json, print_whole, remarks, results, write_json
from holdfast.cli.place import HERE, Place, with_log
from holdfast.nats.connection import Connection
from holdfast.nats.dead_store import DeadStore, Letter, LetterError, Wanted, document_of
from holdfast.nats.streams import Names
from holdfast.settings.resolve import Resolved

Found = TypeVar("Found")

_LISTED_MAX = 10_000
_REASON = re.compile(r"[a-z][a-z-]{0,63}")
_SOURCE = re.compile(r"[A-Za-z0-9_-]{1,64}")

Sequences = Annotated[list[int] | None, Parameter(help="Letters, by their number in the list.", negative="")]
One = Annotated[int, Parameter(help="A letter, by its number in the list.")]
Reason = Annotated[str | None, Parameter(help="Only those with this reason, like `unknown-location`.")]
Source = Annotated[str | None, Parameter(help="Only those of this source.")]
Since = Annotated[
    str | None, Parameter(help="Only those stored at or after this time (ISO 8601; UTC where no zone is given).")
]
Until = Annotated[str | None, Parameter(help="Only those stored at or before this time.")]
File = Annotated[Path | None, Parameter(help="A file with the corrected fact or message; without it, stdin.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Which:
    """Which letters: all where nothing is said."""

    reason: Reason = None
    source: Source = None
    since: Since = None
    until: Until = None

    def wanted(self) -> Wanted:
        """As the store takes it. Raises CouldNotRunError."""
        for option, text, known in (("--reason", self.reason, _REASON), ("--source", self.source, _SOURCE)):
            if text is not None and known.fullmatch(text) is None:
                raise CouldNotRunError(
                    f"{option} {text[:80]!r} is not a name", "`holdfast dlq list` shows which there are."
                )
        return Wanted(self.reason or "", self.source or "", _time(self.since), _time(self.until))


ALL = Which()

app = App(name="dlq", help="Facts and messages that were rejected: see why, correct, send again, remove.")


@app.command(name="list")
def list_letters(
    *,
    which: Which = ALL,
    after: Annotated[int, Parameter(help="Only those with a higher number.")] = 0,
    limit: Annotated[int, Parameter(help="At most so many, the oldest first.")] = 100,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """List the dead letters, the oldest first. One that was corrected is shown as its correction.

    ```
    holdfast dlq list --data DIR
    holdfast dlq list --data DIR --reason unknown-location --source acme
    ```
    """
    wanted = which.wanted()
    if not 1 <= limit <= _LISTED_MAX:
        raise CouldNotRunError(
            f"--limit is 1 to {_LISTED_MAX}, not {str(limit)[:20]}", "--after lists those that follow."
        )

    async def listed(store: DeadStore) -> list[Letter]:
        found: list[Letter] = []
        async for letter in store.letters(wanted, after):
            if len(found) == limit:
                break
            found.append(letter)
        return found

    found = _with(listed, place)
    if json:
        write_json([document_of(letter) for letter in found])
        return DONE
    table = Table("number", "stored", "source", "message", "fact", "reason")
    for one in found:
        fact = "all" if one.index < 0 else str(one.index)
        stored = one.at.isoformat(timespec="seconds")
        table.add_row(str(one.sequence), stored, one.source, str(one.in_sequence), fact, one.reason)
    print_whole(table)
    if len(found) == limit:
        remarks.print(f"There may be more: --after {found[-1].sequence}", markup=False)
    return DONE


@app.command
def show(
    sequence: One,
    /,
    *,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Show one: why, from where, and its bytes as they came.

    ```
    holdfast dlq show 7 --data DIR
    ```
    """
    found = _with(lambda store: store.letter(sequence), place)
    if json:
        write_json(document_of(found))
        return DONE
    remarks.print(
        f"{found.reason}\nby {found.subject}, message {found.in_sequence}, "
        f"{'all of it' if found.index < 0 else f'fact {found.index}'}, stored {found.at.isoformat()}",
        markup=False,
    )
    results.print(found.raw.decode(errors="backslashreplace"), markup=False, soft_wrap=True)
    return DONE


@app.command
def edit(
    sequence: One,
    /,
    *,
    file: File = None,
    place: Place = HERE,
) -> int:
    """Store a correction beside a letter. The original stays until the correction is sent again or discarded.

    ```
    holdfast dlq show 7 --data DIR > fact.json
    holdfast dlq edit 7 --file fact.json --data DIR
    ```
    """
    place.settings()
    try:
        raw = file.read_bytes() if file is not None else sys.stdin.buffer.read()
    except OSError as error:
        raise CouldNotRunError(f"{file}: {error.strerror}", "Name a file that can be read.") from error
    stored = _with(lambda store: store.correct(sequence, raw.strip()), place)
    results.print(str(stored))
    remarks.print(f"Stored as {stored}, which corrects {sequence}. `holdfast dlq retry {stored}` sends it.")
    return DONE


@app.command
def retry(
    sequences: Sequences = None,
    /,
    *,
    which: Which = ALL,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Send letters to IN again, then remove them. What is rejected again is a new letter.

    Give their numbers, or say which. Facts that were to be taken all or none go together.

    ```
    holdfast dlq retry 7 8 --data DIR
    holdfast dlq retry --reason unknown-location --data DIR
    ```
    """
    wanted = _wanted(sequences, which)

    async def sent(store: DeadStore) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        gone: set[int] = set()
        for one in await _chosen(store, sequences, wanted):
            if one in gone:
                continue
            try:
                at, letters = await store.retry(one)
            except LetterError as fault:
                rows.append({"letter": one, "in_sequence": None, "fault": str(fault)})
                continue
            gone |= {letter.sequence for letter in letters}
            rows += [{"letter": letter.sequence, "in_sequence": at, "fault": None} for letter in letters]
        return rows

    rows = _with(sent, place)
    if json:
        write_json(rows)
    for row in rows if not json else []:
        what = f"sent again as message {row['in_sequence']}" if row["fault"] is None else row["fault"]
        results.print(f"{row['letter']}: {what}", markup=False)
    return FOUND_WRONG if any(row["fault"] for row in rows) else DONE


@app.command
def discard(
    sequences: Sequences = None,
    /,
    *,
    which: Which = ALL,
    place: Place = HERE,
) -> int:
    """Remove letters for good, each with what it corrects. Give their numbers, or say which.

    ```
    holdfast dlq discard 7 --data DIR
    holdfast dlq discard --source acme --until 2026-11-01 --data DIR
    ```
    """
    wanted = _wanted(sequences, which)

    async def removed(store: DeadStore) -> int:
        count = 0
        for one in await _chosen(store, sequences, wanted):
            try:
                await store.discard(await store.letter(one))
            except LetterError:
                continue  # it was removed already, which is what was asked for
            count += 1
        return count

    count = _with(removed, place)
    remarks.print(f"Removed {count}.")
    return DONE


def _wanted(sequences: list[int] | None, which: Which) -> Wanted | None:
    chosen = which != ALL
    if bool(sequences) == chosen:
        raise CouldNotRunError(
            "no letters are named" if not chosen else "letters are named twice",
            "Give numbers, or one of --reason, --source, --since, --until.",
        )
    return which.wanted() if chosen else None


async def _chosen(store: DeadStore, sequences: list[int] | None, wanted: Wanted | None) -> list[int]:
    return sequences or [letter.sequence async for letter in store.letters(wanted)]


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CouldNotRunError(f"{text[:80]!r} is not a time", "Write it like 2026-11-27T10:00:00Z.") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _with(work: Callable[[DeadStore], Awaitable[Found]], place: Place) -> Found:
    async def on(connection: Connection, found: Resolved, _: Path) -> Found:
        return await work(DeadStore(connection, Names(found.serve.scope), found.settings.log))

    return with_log(place, "dlq", on)
