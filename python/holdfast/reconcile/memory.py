"""What comparisons remember: a SQLite database in DIR/reconcile.

Role: since when a difference is there, how many there were at each location, which SKUs a shop had, what was corrected.
In: reports. Out: ages, trends, the audit of corrections. Always: written in one transaction a run; bounded; losing it
loses ages and history, and nothing else.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from holdfast.reconcile.findings import Applied, Compared, Correction, Difference

_RUNS_MAX = 1_000
_APPLIED_MAX = 10_000
_SHOWN_RUNS, _SHOWN_APPLIED = 30, 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS difference (id TEXT PRIMARY KEY, type TEXT NOT NULL, first_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trend (
  run INTEGER, connection TEXT, location TEXT, compared INTEGER NOT NULL, differing INTEGER NOT NULL,
  PRIMARY KEY (run, connection, location)
) STRICT;
CREATE TABLE IF NOT EXISTS seen (store TEXT, sku TEXT, PRIMARY KEY (store, sku)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS applied (
  number INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, at_ms INTEGER NOT NULL, id TEXT NOT NULL,
  type TEXT NOT NULL, sent TEXT NOT NULL, result TEXT NOT NULL
) STRICT;
"""


def directory_in(data: Path) -> Path:
    """Where it is."""
    return data / "reconcile"


class Memory:
    """Open it with `remembering`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def begin(self, at_ms: int) -> int:
        """The number of a run that begins."""
        number = self._db.execute("INSERT INTO run (at_ms) VALUES (?)", (at_ms,)).lastrowid
        assert number is not None
        self._db.execute("DELETE FROM run WHERE id <= ?", (number - _RUNS_MAX,))
        self._db.execute("DELETE FROM trend WHERE run <= ?", (number - _RUNS_MAX,))
        return number

    def seen(self, store: str) -> set[str]:
        """SKUs that were products of a shop."""
        return {sku for (sku,) in self._db.execute("SELECT sku FROM seen WHERE store = ?", (store,))}

    def note_seen(self, store: str, skus: Iterable[str]) -> None:
        """They are."""
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", [(store, sku) for sku in skus])

    def note(self, run: int, at_ms: int, comparisons: list[Compared], differences: list[Difference]) -> set[str]:
        """What a run found: gives each difference its age, and forgets those that ended. The ids of new ones.

        A comparison that failed, and a cell that was moving, say nothing: what was known of it stays.
        """
        known: dict[str, int] = dict(self._db.execute("SELECT id, first_ms FROM difference").fetchall())
        new = {one.id for one in differences if one.id not in known}
        blind = {one.connection for one in comparisons if one.failed or one.moving}
        kept = {key for key in known if any(part in blind for part in key.split("|")[1:3])}
        gone = [(key,) for key in known.keys() - {one.id for one in differences} - kept]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("DELETE FROM difference WHERE id = ?", gone)
        for one in differences:
            one.first_ms = known.get(one.id, at_ms)
            one.age_ms = at_ms - one.first_ms
            row = (one.id, one.type, one.first_ms)
            self._db.execute("INSERT OR REPLACE INTO difference VALUES (?, ?, ?)", row)
        for each in comparisons:
            rows = [(run, each.connection, place, *counts) for place, counts in each.by_location.items()]
            self._db.executemany("INSERT OR REPLACE INTO trend VALUES (?, ?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")
        return new

    def trend(self) -> list[dict[str, Any]]:
        """Of the last runs, the newest last."""
        rows = self._db.execute(
            "SELECT run.id, at_ms, connection, location, compared, differing FROM run JOIN trend ON run.id = run "
            "WHERE run.id > (SELECT max(id) FROM run) - ? ORDER BY run.id, location",
            (_SHOWN_RUNS,),
        )
        names = ("run", "at_ms", "connection", "location", "compared", "differing")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def note_applied(self, one: Applied) -> None:
        """A correction was sent. It stays in the audit."""
        one.at_ms = int(time.time() * 1000)
        row = (one.run, one.at_ms, one.id, one.type, msgspec.json.encode(one.sent).decode(), one.result)
        self._db.execute("INSERT INTO applied (run, at_ms, id, type, sent, result) VALUES (?, ?, ?, ?, ?, ?)", row)
        self._db.execute("DELETE FROM applied WHERE number <= (SELECT max(number) FROM applied) - ?", (_APPLIED_MAX,))

    def applied(self) -> list[Applied]:
        """The newest, the last one first."""
        rows = self._db.execute(
            "SELECT id, type, sent, result, run, at_ms FROM applied ORDER BY number DESC LIMIT ?", (_SHOWN_APPLIED,)
        )
        return [
            Applied(key, of, msgspec.json.decode(sent, type=Correction), result, run, at_ms)
            for key, of, sent, result, run, at_ms in rows
        ]


@contextmanager
def remembering(data: Path) -> Iterator[Memory]:
    """Made where it is missing. Raises OSError, sqlite3.Error."""
    directory = directory_in(data)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(directory / "memory.sqlite3", isolation_level=None, timeout=5)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(_SCHEMA)
        yield Memory(database)
