"""What a connection to an ERP must not forget: a SQLite database in DIR/erp/NAME.

Role: positions, the order queue, and what was stated. In: changes. Out: what is due. Always: each change is durable
before it returns; a position moves in the transaction of what it stands for; one process writes, others (the command
line) may read and give orders back.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast.erp.interface import Order
from holdfast.errors import StoreInUseError
from holdfast.nats_server.store import try_lock

State = Literal["waiting", "unclear", "exported", "acknowledged", "parked", "cancelled"]
Wish = Literal["export", "cancel"]

_BUSY_MS = 5_000
_DUE = "(state IN ('waiting', 'unclear') OR (wish = 'cancel' AND state IN ('exported', 'acknowledged')))"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS position (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS entry (
  key TEXT PRIMARY KEY, body TEXT NOT NULL, wish TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '', document TEXT NOT NULL DEFAULT '',
  number INTEGER NOT NULL, changed_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS entry_by_number ON entry (state, wish, number);
CREATE INDEX IF NOT EXISTS entry_due ON entry (number) WHERE {_DUE};
CREATE TABLE IF NOT EXISTS stated (
  location TEXT, sku TEXT, body TEXT, PRIMARY KEY (location, sku)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
  key TEXT PRIMARY KEY, body TEXT NOT NULL, version INTEGER NOT NULL, changed_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY, body BLOB NOT NULL, written INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outbox_key (key TEXT, number INTEGER NOT NULL, PRIMARY KEY (key)) STRICT, WITHOUT ROWID;
"""


class Entry(msgspec.Struct, frozen=True):
    """An order in the queue. `number`: the place of its event in OUT, by which the oldest goes first."""

    order: Order
    wish: Wish
    state: State
    tries: int
    due_ms: int
    why: str
    document: str
    number: int


class StatedLevel(msgspec.Struct, frozen=True, omit_defaults=True):
    """A level as it was sent. `refused`: why it was not taken."""

    sku: str
    location: str
    on_hand: int
    as_of: int | str
    allocated: int | None = None
    unit: str | None = None
    refused: str = ""


def now_ms() -> int:
    """Wall time."""
    return int(time.time() * 1000)


def directory_of(data: Path, name: str) -> Path:
    """Where a connection keeps what is its own."""
    return data / "erp" / name


class Store:
    """Open it once; `close` it at the end. `readers` (the command line) do not make it, and take no lock."""

    def __init__(self, directory: Path, *, reads: bool = False) -> None:
        """Raises StoreInUseError, FileNotFoundError."""
        self.directory = directory
        self._lock = -1
        self._by_due = "" if reads else "INDEXED BY entry_due"  # one of before has no such index until it is opened
        file = directory / "store.sqlite3"
        if reads:
            if not file.exists():
                raise FileNotFoundError(file)
        else:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = try_lock(directory / "lock")
            if self._lock < 0:
                raise StoreInUseError(f"{directory} is in use: the connection runs already")
        self._db = sqlite3.connect(file, isolation_level=None, timeout=_BUSY_MS / 1000)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if not reads:
            self._db.executescript(_SCHEMA)
            if "body" not in {name for _, name, *_ in self._db.execute("PRAGMA table_info(stated)")}:
                self._db.execute("ALTER TABLE stated ADD COLUMN body TEXT")

    def close(self) -> None:
        """Give it back."""
        self._db.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @contextmanager
    def together(self) -> Iterator[None]:
        """All changes inside, or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def traced(self, key: str) -> list[dict[str, Any]]:
        """The queue's entries of an order or a trace, with the time of their last change."""
        names = ("key", "wish", "state", "tries", "why", "document", "changed_ms", "trace")
        columns = f"{', '.join(names[:-1])}, substr(coalesce(body ->> 'trace', ''), 1, 32)"
        found = f"SELECT {columns} FROM entry WHERE key = ?1 OR substr(body ->> 'trace', 1, 32) = ?1"  # noqa: S608
        rows = self._db.execute(found, (key,))
        return [dict(zip(names, row, strict=True)) for row in rows]

    # ---- positions

    def position(self, name: str) -> str | None:
        """Where to go on."""
        found = self._db.execute("SELECT value FROM position WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def set_position(self, name: str, value: str) -> None:
        """From now on."""
        self._db.execute("INSERT OR REPLACE INTO position VALUES (?, ?)", (name, value))

    def forget_position(self, name: str) -> None:
        """All is to be read again."""
        self._db.execute("DELETE FROM position WHERE name = ?", (name,))

    # ---- the queue

    def add(self, order: Order, number: int, state: State = "waiting") -> None:
        """An order was confirmed. One that is known already stays as it is. `unclear`: it may be in the ERP already."""
        self._db.execute(
            "INSERT INTO entry (key, body, wish, state, number, changed_ms) VALUES (?, ?, 'export', ?, ?, ?) "
            "ON CONFLICT (key) DO NOTHING",
            (order.key, msgspec.json.encode(order).decode(), state, number, now_ms()),
        )

    def cancel(self, key: str) -> None:
        """An order was cancelled: one that was never sent goes no further, the ERP is to cancel the others."""
        self._db.execute(
            "UPDATE entry SET wish = 'cancel', state = CASE WHEN state = 'waiting' AND tries = 0 THEN 'cancelled' "
            "WHEN state = 'parked' THEN 'unclear' ELSE state END, due_ms = 0, tries = 0, changed_ms = ? "
            "WHERE key = ? AND wish = 'export'",
            (now_ms(), key),
        )

    def due(self, most: int, under_way: Iterable[str] = ()) -> list[Entry]:
        """What is to be done now, the oldest first."""
        skipped = list(under_way)
        marks = ",".join("?" * len(skipped))
        return self._entries(
            f"{self._by_due} WHERE {_DUE} AND due_ms <= ? AND key NOT IN ({marks}) ORDER BY number LIMIT ?",
            (now_ms(), *skipped, most),
        )

    def of(self, *states: State, most: int = 1_000) -> list[Entry]:
        """Those in these states, the oldest first."""
        marks = ",".join("?" * len(states))
        return self._entries(f"WHERE state IN ({marks}) ORDER BY number LIMIT ?", (*states, most))

    def entry(self, key: str) -> Entry | None:
        """One order."""
        return next(iter(self._entries("WHERE key = ?", (key,))), None)

    def set_state(self, keys: Sequence[str], state: State, *, document: str | None = None, why: str = "") -> None:
        """What became of them."""
        for key in keys:
            self._db.execute(
                "UPDATE entry SET state = ?1, why = ?2, document = coalesce(?3, document), changed_ms = ?4, "
                "tries = CASE WHEN ?1 IN ('exported', 'acknowledged', 'cancelled') THEN 0 ELSE tries END "
                "WHERE key = ?5 AND NOT (?1 = 'exported' AND state = 'acknowledged')",
                (state, why, document, now_ms(), key),
            )

    def acknowledge(self, key: str, document: str) -> None:
        """The ERP has it, whatever was known of it: only what is parked or cancelled stays so."""
        self._db.execute(
            "UPDATE entry SET state = 'acknowledged', document = ?, tries = 0, changed_ms = ? WHERE key = ? AND "
            "state IN ('waiting', 'unclear', 'exported')",
            (document, now_ms(), key),
        )

    def acknowledged(self, reservation: str | None, order_ref: str | None, channel: str | None) -> None:
        """Likewise, of the orders that a fact names."""
        self._db.execute(
            "UPDATE entry SET state = 'acknowledged', tries = 0, changed_ms = ?1 "
            "WHERE state IN ('unclear', 'exported') AND (?2 IS NULL OR key = ?2) "
            "AND (?3 IS NULL OR body ->> 'order_ref' = ?3) AND (?4 IS NULL OR body ->> 'channel' = ?4)",
            (now_ms(), reservation, order_ref, channel),
        )

    def put_off(self, key: str, wait_ms: int, why: str, *, counts: bool) -> None:
        """It is tried again later; `counts`: the try was one of those after which it is parked."""
        self._db.execute(
            "UPDATE entry SET due_ms = ?, why = ?, tries = tries + ?, changed_ms = ? WHERE key = ?",
            (now_ms() + wait_ms, why, int(counts), now_ms(), key),
        )

    def resume(self, keys: Sequence[str] | None = None) -> int:
        """Parked orders are tried again, as ones that may be there; how many."""
        chosen = "" if keys is None else f" AND key IN ({','.join('?' * len(keys))})"
        return self._db.execute(
            f"UPDATE entry SET state = 'unclear', tries = 0, due_ms = 0, changed_ms = ? WHERE state = 'parked'{chosen}",  # noqa: S608 - marks alone
            (now_ms(), *(keys or ())),
        ).rowcount

    def counts(self) -> dict[str, int]:
        """How many orders are in each state; `oldest_ms` is the age of the oldest that waits."""
        found = dict(self._db.execute("SELECT state, count(*) FROM entry GROUP BY state").fetchall())
        return {str(state): int(count) for state, count in found.items()}

    def counts_of(self, state: State) -> int:
        """How many orders are in one state."""
        return int(self._db.execute("SELECT count(*) FROM entry WHERE state = ?", (state,)).fetchone()[0])

    def waiting(self) -> int:
        """How many are not in the ERP yet."""
        return int(self._db.execute(f"SELECT count(*) FROM entry {self._by_due} WHERE {_DUE}").fetchone()[0])  # noqa: S608

    def oldest_waiting_ms(self) -> int | None:
        """For how long the oldest one that is not in the ERP has not changed."""
        found = self._db.execute(f"SELECT min(changed_ms) FROM entry WHERE {_DUE}").fetchone()[0]  # noqa: S608
        return None if found is None else max(0, now_ms() - int(found))

    def forget(self, before_ms: int) -> None:
        """Orders that are done, and have not changed since."""
        self._db.execute(
            "DELETE FROM entry WHERE state IN ('acknowledged', 'cancelled') AND changed_ms < ? AND NOT "
            "(wish = 'cancel' AND state = 'acknowledged')",
            (before_ms,),
        )
        self._db.execute("DELETE FROM document WHERE changed_ms < ?", (before_ms,))
        self._db.execute("DELETE FROM outbox_key WHERE substr(key, instr(key, ':') + 1) NOT IN (SELECT key FROM entry)")

    def _entries(self, rest: str, values: tuple[object, ...]) -> list[Entry]:
        rows = self._db.execute(
            f"SELECT body, wish, state, tries, due_ms, why, document, number FROM entry {rest}",  # noqa: S608
            values,
        )
        return [Entry(msgspec.json.decode(body, type=Order), *others) for body, *others in rows.fetchall()]

    # ---- what levels were stated of

    def stated(self, location: str) -> set[str]:
        """The SKUs of which this connection stated a level there."""
        rows = self._db.execute("SELECT sku FROM stated WHERE location = ?", (location,))
        return {sku for (sku,) in rows}

    def note_stated(self, levels: Iterable[StatedLevel]) -> None:
        """These were sent."""
        self._db.executemany(
            "INSERT OR REPLACE INTO stated (location, sku, body) VALUES (?, ?, ?)",
            [(one.location, one.sku, msgspec.json.encode(one).decode()) for one in levels],
        )

    def last_levels(self) -> dict[tuple[str, str], StatedLevel]:
        """The newest level that was sent of each (SKU, location)."""
        with contextlib.suppress(sqlite3.OperationalError):  # one of before there was this column
            rows = self._db.execute("SELECT body FROM stated WHERE body IS NOT NULL")
            found = [msgspec.json.decode(body, type=StatedLevel) for (body,) in rows]
            return {(one.sku, one.location): one for one in found}
        return {}

    def document(self, key: str) -> tuple[str, int] | None:
        """What a document was stated as last, and in which version."""
        found = self._db.execute("SELECT body, version FROM document WHERE key = ?", (key,)).fetchone()
        return (found[0], found[1]) if found else None

    def set_document(self, key: str, body: str, version: int) -> None:
        """It was taken so."""
        self._db.execute("INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?)", (key, body, version, now_ms()))

    # ---- numbered files out

    def next_outbox(self) -> int:
        """The number of the next file."""
        return int(self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM outbox").fetchone()[0])

    def add_outbox(self, number: int, body: bytes, keys: Iterable[str]) -> None:
        """A file is to be written; from here on its messages are in it and in no other."""
        with self.together():
            self._db.execute("INSERT INTO outbox VALUES (?, ?, 0)", (number, body))
            self._db.executemany("INSERT INTO outbox_key VALUES (?, ?)", [(key, number) for key in keys])

    def outbox_of(self, key: str) -> int | None:
        """The number of the file that has it."""
        found = self._db.execute("SELECT number FROM outbox_key WHERE key = ?", (key,)).fetchone()
        return found[0] if found else None

    def unwritten(self) -> list[tuple[int, bytes]]:
        """Files that may not be there yet, in their order."""
        return self._db.execute("SELECT number, body FROM outbox WHERE written = 0 ORDER BY number").fetchall()

    def set_written(self, number: int) -> None:
        """It is there. Its text is not needed again."""
        self._db.execute("UPDATE outbox SET written = 1, body = x'' WHERE number = ?", (number,))


@contextmanager
def opened(directory: Path, *, reads: bool = False) -> Iterator[Store]:
    """A store for the time of a block. Raises StoreInUseError, FileNotFoundError."""
    with contextlib.closing(Store(directory, reads=reads)) as store:
        yield store
