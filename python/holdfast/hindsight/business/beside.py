"""What LOG does not say by itself: refusals, and how right what sources counted was.

In: refusals of ASK, levels of LOG, a core at that place. Out: counts. Always: a cart that asks again counts once for
each SKU, with the most that it lacked; a level is compared with what was expected at its location just before it, and
only where nothing else happened to that SKU in the same batch.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import orjson

from holdfast._core import Engine
from holdfast.hindsight.batches import OF_COMMANDS, batch_of
from holdfast.hindsight.business.lives import Event
from holdfast.hindsight.business.store import Stretch

SHORT = "insufficient-stock"
_AS_OF = b""
_OK = 200
Cells = dict[tuple[str, str], tuple[int, int]]
"""By SKU and location: what is free there, and the sequence of the level."""


def levels_of(core: Engine, sku: str) -> list[dict[str, Any]]:
    """What each location has of a SKU."""
    status, body = core.sku(sku, None, _AS_OF)
    found: list[dict[str, Any]] = orjson.loads(body)["levels"] if status == _OK else []
    return found


def raw_of(core: Engine, sku: str) -> int:
    """What a shop would show that only knows what its sources counted: no orders, no carts, no safety stock."""
    return sum(max(0, one["on_hand"] - one["unsellable"]) for one in levels_of(core, sku))


class Refused:
    """Counts refusals, each at its place in LOG."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def wait(self, asked: int, refusals: Iterable[Mapping[str, Any]]) -> None:
        """Refusals that came, of one message of ASK."""
        rows = [(asked * 10_000 + n, one.get("sequence") or 0, orjson.dumps(one)) for n, one in enumerate(refusals)]
        self._db.executemany("INSERT OR IGNORE INTO waiting VALUES (?, ?, ?)", rows)

    def places(self, upto: int) -> list[int]:
        """The sequences up to one at which some wait, in order."""
        query = "SELECT DISTINCT sequence FROM waiting WHERE sequence <= ? ORDER BY sequence"
        return [at for (at,) in self._db.execute(query, (upto,))]

    def take(self, core: Engine, out: Stretch) -> None:
        """Those that were decided up to where the core is."""
        due = "WHERE sequence <= ?"
        found = self._db.execute(f"SELECT refusal FROM waiting {due} ORDER BY asked", (core.sequence,)).fetchall()  # noqa: S608
        for (body,) in found:
            self._one(core, orjson.loads(body), out)
        self._db.execute(f"DELETE FROM waiting {due}", (core.sequence,))  # noqa: S608

    def _one(self, core: Engine, refusal: dict[str, Any], out: Stretch) -> None:
        at_ms, channel, reason = refusal["at_ms"], refusal["channel"] or "", refusal["reason"]
        if self._more(refusal["reservation"], reason, "", 1, 0, at_ms)[0]:
            out.add(at_ms, f"refused.{reason}", channel)
            out.add(at_ms, "lines.left_out", channel, n=refusal.get("more_lines", 0))
        for line in refusal["lines"]:
            if line["reason"] != SHORT or not line["sku"]:
                continue
            requested, missing = line["requested"], line["requested"] - max(0, line["sellable"])
            raw = missing if raw_of(core, line["sku"]) >= requested else 0
            lost, beyond = self._more(refusal["reservation"], reason, line["sku"], missing, raw, at_ms)
            out.add(at_ms, "units.lost", channel, line["sku"], lost)
            out.add(at_ms, "units.would_have_oversold", channel, line["sku"], beyond)

    def _more(self, name: str, reason: str, sku: str, units: int, raw: int, at_ms: int) -> tuple[int, int]:
        """How much more that is than the cart lacked before."""
        row = (name, reason, sku)
        query = "SELECT units, raw FROM missed WHERE reservation = ? AND reason = ? AND sku = ?"
        known, known_raw = self._db.execute(query, row).fetchone() or (0, 0)
        most, most_raw = max(known, units), max(known_raw, raw)
        self._db.execute("INSERT OR REPLACE INTO missed VALUES (?, ?, ?, ?, ?, ?)", (*row, most, most_raw, at_ms))
        return most - known, most_raw - known_raw


def _free(level: Mapping[str, Any]) -> int:
    """What a location has beyond everything that is owed and held there; below 0 where that is more."""
    owed = sum(level[name] for name in ("unsellable", "allocated", "demand", "committed", "held"))
    found: int = level["on_hand"] - owed
    return found


class Levels:
    """Compares levels with what was expected."""

    def __init__(self, core: Engine, sequence: int, message: bytes) -> None:
        """Before the batch at `sequence` is applied."""
        batch = batch_of(sequence, message)
        cells: set[tuple[str, str]] = set()
        others: set[str] = set()
        for kind, fact in batch.facts:
            if kind in OF_COMMANDS:
                continue
            found = msgspec.json.decode(fact)
            sku = found.get("sku")
            if kind != "stock.level":
                others.update([sku] if sku else [line.get("sku", "") for line in found.get("lines") or []])
            elif (sku, found["location"]) in cells:
                others.add(sku)
            else:
                cells.add((sku, found["location"]))
        self._sequence = sequence
        self._skus = {sku for sku, _ in cells} - others
        self._cells = {(sku, place) for sku, place in cells if sku in self._skus}
        self._before = self._read(core)

    def _read(self, core: Engine) -> Cells:
        return {
            (sku, one["location"]): (_free(one), one["sequence"]) for sku in self._skus for one in levels_of(core, sku)
        }

    def compare(self, core: Engine, now_ms: int, events: Iterable[Event], out: Stretch) -> None:
        """After the batch; `events` are its own."""
        asked = {
            line.sku
            for event in events
            if event.reservation is not None and event.kind not in {"changed", "deficit"}
            for line in event.reservation.lines
        }
        after = self._read(core)
        for sku, place in self._cells:
            known, found = self._before.get((sku, place)), after.get((sku, place))
            if known is None or found is None or not known[1] or found[1] != self._sequence or sku in asked:
                continue
            off = found[0] - known[0]
            out.add(now_ms, "levels", "", sku)
            out.add(now_ms, "levels.exact", "", sku, off == 0)
            out.add(now_ms, "levels.up", "", sku, max(0, off))
            out.add(now_ms, "levels.down", "", sku, max(0, -off))
            out.add(now_ms, "levels.book", "", sku, max(0, known[0]))
