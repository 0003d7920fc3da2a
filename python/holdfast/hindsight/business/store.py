"""The file of business figures: counts by minute, channel and SKU, in SQLite.

In: counts of a stretch of LOG. Out: sums over a range. Always: counts and the place in LOG up to which they reach are
stored in one transaction, so that nothing is counted twice or left out; what is older than DETAIL_DAYS is by day, so
that the file is bounded by what is sold in a day.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

FORMAT = 1
MINUTE_MS = 60_000
DAY_MINUTES = 1_440
DETAIL_DAYS = 62
CLOSED_KEPT_MS = 3 * 86_400_000  # longer than the state remembers what has ended
ASKED_KEPT_MS = 8 * 86_400_000  # longer than ASK keeps a refusal
_TABLES = """
CREATE TABLE IF NOT EXISTS place (format INT, sequence INT, chain TEXT, now_ms INT, since_ms INT, asked INT, days INT);
CREATE TABLE IF NOT EXISTS lives (id TEXT PRIMARY KEY, state TEXT, ordered INT, held_ms INT, ordered_ms INT,
  in_erp_ms INT, shipped_ms INT, ended_ms INT, lines TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ended ON lives (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE TABLE IF NOT EXISTS counts (minute INT, what TEXT, channel TEXT, sku TEXT, n INT,
  PRIMARY KEY (minute, what, channel, sku)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS times (minute INT, what TEXT, channel TEXT, bucket INT, n INT,
  PRIMARY KEY (minute, what, channel, bucket)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (asked INT PRIMARY KEY, sequence INT, refusal TEXT);
CREATE INDEX IF NOT EXISTS due ON waiting (sequence);
CREATE TABLE IF NOT EXISTS missed (reservation TEXT, reason TEXT, sku TEXT, units INT, raw INT, at_ms INT,
  PRIMARY KEY (reservation, reason, sku)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (from_ms INT, upto_ms INT);
"""


class Key(NamedTuple):
    """Of a count: in which minute, what, on which channel, of which SKU ("": not by SKU)."""

    minute: int
    what: str
    channel: str
    sku: str


class TimeKey(NamedTuple):
    """Of a duration: in which minute it ended, which one, on which channel, in which bucket."""

    minute: int
    what: str
    channel: str
    bucket: int


@dataclass(slots=True)
class Place:
    """Up to where LOG and ASK are counted. `since_ms`: counts begin there; `days`: before it counts are by day."""

    sequence: int = 0
    chain: str = ""
    now_ms: int = 0
    since_ms: int | None = None
    asked: int = 0
    days: int = 0


@dataclass(slots=True)
class Stretch:
    """What a stretch of LOG adds."""

    counts: Counter[Key] = field(default_factory=Counter)
    times: Counter[TimeKey] = field(default_factory=Counter)

    def add(self, at_ms: int, what: str, channel: str, sku: str = "", n: int = 1) -> None:
        """Count something."""
        if n:
            self.counts[Key(at_ms // MINUTE_MS, what, channel, sku)] += n


class Store:
    """One file."""

    def __init__(self, file: Path) -> None:
        """Opens it, or makes it."""
        self.db = sqlite3.connect(file, timeout=30, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.executescript(_TABLES)

    def close(self) -> None:
        """No more of it."""
        self.db.close()

    def place(self) -> Place:
        """Up to where everything is counted."""
        row = self.db.execute("SELECT sequence, chain, now_ms, since_ms, asked, days FROM place").fetchone()
        return Place(*row) if row else Place()

    def begin(self) -> None:
        """A transaction, which `commit` ends."""
        self.db.execute("BEGIN IMMEDIATE")

    def rollback(self) -> None:
        """Nothing of it."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")

    def commit(self, stretch: Stretch, place: Place) -> None:
        """Counts of a stretch, and its end."""
        self._count("counts", ((*key, n) for key, n in stretch.counts.items() if n))
        self._count("times", ((*key, n) for key, n in stretch.times.items()))
        self._forget(place)
        self.db.execute("DELETE FROM place")
        row = (FORMAT, place.sequence, place.chain, place.now_ms, place.since_ms, place.asked, place.days)
        self.db.execute("INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self.db.execute("COMMIT")

    def _count(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        more = "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"
        self.db.executemany(f"INSERT INTO {table} {more}", rows)

    def _forget(self, place: Place) -> None:
        self.db.execute("DELETE FROM lives WHERE ended_ms < ?", (place.now_ms - CLOSED_KEPT_MS,))
        days = place.now_ms // MINUTE_MS // DAY_MINUTES - DETAIL_DAYS
        if days > place.days:
            for table, key in (("counts", "sku"), ("times", "bucket")):
                old = f"FROM {table} WHERE minute < {days * DAY_MINUTES} AND minute >= {place.days * DAY_MINUTES}"
                day = f"minute / {DAY_MINUTES} * {DAY_MINUTES}"
                names = f"{day}, what, channel, {key}"
                found = self.db.execute(f"SELECT {names}, sum(n) {old} GROUP BY {names}").fetchall()
                self.db.execute(f"DELETE {old}")
                self._count(table, found)
            self.db.execute("DELETE FROM missed WHERE at_ms < ?", (place.now_ms - ASKED_KEPT_MS,))
            place.days = days

    # ---- reading

    def sums(self, begin: int, end: int, by: str) -> dict[tuple[str, str], int]:
        """By what and `by` (channel or sku), over minutes from `begin` until before `end`."""
        query = f"SELECT what, {by}, sum(n) FROM counts WHERE minute >= ? AND minute < ? GROUP BY 1, 2"  # noqa: S608
        return {(what, name): n for what, name, n in self.db.execute(query, (begin, end))}

    def gaps(self) -> list[tuple[int, int]]:
        """From when until when LOG could not be counted, in milliseconds."""
        return self.db.execute("SELECT from_ms, upto_ms FROM gaps ORDER BY from_ms").fetchall()

    def open_orders(self) -> tuple[int, int | None]:
        """Orders that are not handed over yet: how many, and when the oldest was placed, in milliseconds."""
        query = "SELECT count(*), min(ordered_ms) FROM lives WHERE state IN ('committed', 'in_erp')"
        count, oldest = self.db.execute(query).fetchone()
        return count, oldest

    def durations(self, begin: int, end: int) -> dict[str, Counter[int]]:
        """By which one: how many in which bucket."""
        found: defaultdict[str, Counter[int]] = defaultdict(Counter)
        query = "SELECT what, bucket, sum(n) FROM times WHERE minute >= ? AND minute < ? GROUP BY 1, 2"
        for what, bucket, n in self.db.execute(query, (begin, end)):
            found[what][bucket] = n
        return found
