"""An ERP that takes orders as fast as they come: an SQLite file with a unique reference.

In: `url`, the file. Out: rows that a test counts by SQL. Always: it is down while FILE.down is there, and the answer
of a call that it goes down in is lost although the call was carried out; a second row of one reference cannot be, and
the attempt is counted.
"""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from holdfast.erp.interface import (
    Adapter,
    Description,
    ErpDownError,
    Order,
    OrderStatus,
    Pulled,
    RefusedError,
)
from holdfast.erp.moments import Moments
from holdfast.settings import ErpSettings

EACH = 10_000_000
SKUS = tuple(f"T-{letter}" for letter in "ABCDEFGHIJKLMNOPQRST")
_TOGETHER = 100
_PAGE = 1_000


def made(file: Path) -> None:
    """An empty one."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE sale (number INTEGER PRIMARY KEY, reference TEXT UNIQUE, units INTEGER)")
        database.execute("CREATE TABLE attempt (reference TEXT)")


class FastLedger(Adapter):
    """See the module."""

    def __init__(self, settings: ErpSettings, moments: Moments) -> None:
        self._file, self._moments = Path(settings.url), moments
        self._down = Path(f"{settings.url}.down")

    def _asked(self) -> None:
        if self._down.exists():
            raise ErpDownError("the ledger is down")

    @contextlib.contextmanager
    def _database(self) -> Any:
        self._asked()
        with contextlib.closing(sqlite3.connect(self._file, timeout=30)) as database, database:
            yield database
        self._asked()

    async def describe(self) -> Description:
        self._asked()
        return Description(product="Fast ledger", locations=("paris",), orders_together=_TOGETHER)

    async def levels(self, _: str | None) -> AsyncIterator[Pulled]:
        """At each turn: a place that is declared after the first one refuses that."""
        as_of = self._moments.now()
        level = {"kind": "stock.level", "location": "paris", "on_hand": EACH, "basis": "gross", "as_of": as_of}
        yield Pulled([level | {"sku": sku} for sku in SKUS])

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        answers: list[str | RefusedError] = []
        with self._database() as database:
            for order in orders:
                try:
                    row = (order.key, sum(line.quantity for line in order.lines))
                    made = database.execute("INSERT INTO sale (reference, units) VALUES (?, ?)", row)
                    answers.append(str(made.lastrowid))
                except sqlite3.IntegrityError:
                    database.execute("INSERT INTO attempt VALUES (?)", (order.key,))
                    answers.append(RefusedError("it is there", final=True))
        return answers

    async def find(self, order: Order) -> str | None:
        with self._database() as database:
            found = database.execute("SELECT number FROM sale WHERE reference = ?", (order.key,)).fetchone()
        return None if found is None else str(found[0])

    async def cancel(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        return [order.key for order in orders]

    async def statuses(self, since: str | None) -> AsyncIterator[tuple[list[OrderStatus], str | None]]:
        last = int(since or 0)
        while True:
            with self._database() as database:
                rows = database.execute(
                    "SELECT number, reference FROM sale WHERE number > ? ORDER BY number LIMIT ?", (last, _PAGE)
                ).fetchall()
            if not rows:
                return
            as_of, last = self._moments.now(), rows[-1][0]
            acks = [{"kind": "order.ack", "reservation": key, "as_of": as_of} for _, key in rows]
            yield (
                [OrderStatus(key, str(number), True, (ack,)) for (number, key), ack in zip(rows, acks, strict=True)],
                str(last),
            )
