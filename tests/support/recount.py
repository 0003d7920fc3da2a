"""The business figures counted again, plainly, in SQL, from the facts in LOG.

In: messages of LOG and of ASK. Out: the same figures as `hindsight/business`, over a range. Always: it shares nothing
with what it checks: no core, no events, no state; the rules that it needs (when a hold expires, what an order is) are
written here once more, for histories in which each reservation has one life.
"""

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

_TABLES = """
CREATE TABLE batch (sequence INTEGER PRIMARY KEY, at INT, lead INT, body TEXT);
CREATE TABLE ask (n INTEGER PRIMARY KEY, body TEXT);
"""
_VIEWS = """
CREATE TABLE fact AS SELECT batch.sequence, batch.at, batch.lead, one.key AS n, one.value ->> 'kind' AS kind,
  one.value ->> 'id' AS id, one.value AS body FROM batch, json_each(batch.body, '$.facts') AS one;
CREATE INDEX fact_id ON fact (id, kind, sequence);
CREATE TABLE line AS SELECT fact.sequence, fact.n, fact.kind, fact.id, fact.at, one.value ->> 'sku' AS sku,
  one.value ->> 'quantity' AS units FROM fact, json_each(fact.body, '$.lines') AS one;
CREATE INDEX line_id ON line (id, kind, sequence);
CREATE TABLE held AS SELECT id, min(sequence) AS first, max(sequence) AS last, min(at) AS at, max(lead) AS lead,
  max(body ->> 'ttl_ms') AS ttl, max(body ->> 'channel') AS channel FROM fact
  WHERE kind = 'reservation.held' GROUP BY id;
CREATE UNIQUE INDEX held_id ON held (id);
CREATE INDEX batch_lead ON batch (lead, at);
CREATE TABLE placed AS SELECT fact.id, fact.at, fact.sequence, held.last, held.channel, held.at AS held_at
  FROM fact JOIN held USING (id) WHERE kind = 'reservation.confirmed';
CREATE UNIQUE INDEX placed_id ON placed (id);
CREATE TABLE unsold AS SELECT id, channel, last,
  (SELECT at FROM fact WHERE fact.id = held.id AND kind = 'reservation.released') AS released,
  (SELECT min(at) FROM batch WHERE batch.lead >= held.lead + held.ttl) AS due
  FROM held WHERE id NOT IN (SELECT id FROM placed);
CREATE TABLE cell AS SELECT sequence, at, body ->> 'sku' AS sku, body ->> 'on_hand' AS units FROM fact
  WHERE kind = 'stock.level';
CREATE INDEX cell_sku ON cell (sku, sequence);
CREATE TABLE back AS SELECT sequence, body ->> 'sku' AS sku, body ->> 'quantity' AS units FROM fact
  WHERE kind = 'return';
CREATE INDEX back_sku ON back (sku, sequence);
CREATE TABLE out AS SELECT sequence, sku, units FROM line WHERE kind = 'shipment';
CREATE INDEX out_sku ON out (sku, sequence);
CREATE TABLE miss AS SELECT cart.value ->> 'reservation' AS id, cart.value ->> 'at_ms' AS at,
  one.value ->> 'sku' AS sku, (one.value ->> 'requested') - (one.value ->> 'sellable') AS units,
  cart.value ->> 'sequence' AS sequence, one.value ->> 'requested' AS asked
  FROM ask, json_each(ask.body) AS cart, json_each(cart.value, '$.lines') AS one
  WHERE one.value ->> 'reason' = 'insufficient-stock';
"""
_RAW = """(SELECT units FROM cell WHERE cell.sku = miss.sku AND cell.sequence <= miss.sequence
  ORDER BY sequence DESC LIMIT 1) + (SELECT coalesce(sum(units), 0) FROM back WHERE back.sku = miss.sku
  AND back.sequence <= miss.sequence AND back.sequence > (SELECT max(sequence) FROM cell
  WHERE cell.sku = miss.sku AND cell.sequence <= miss.sequence))"""
_ONCE = "SELECT min(at) AS at, max({}) AS most FROM miss GROUP BY id, sku"
_OFF = """SELECT now.at, now.units - (before.units
  + (SELECT coalesce(sum(units), 0) FROM back WHERE back.sku = now.sku
    AND back.sequence BETWEEN before.sequence AND now.sequence)
  - (SELECT coalesce(sum(units), 0) FROM out WHERE out.sku = now.sku
    AND out.sequence BETWEEN before.sequence AND now.sequence))
  AS off FROM cell AS now JOIN cell AS before ON before.sku = now.sku AND before.sequence =
  (SELECT max(sequence) FROM cell WHERE cell.sku = now.sku AND cell.sequence < now.sequence)
  WHERE NOT EXISTS (SELECT 1 FROM unsold JOIN line ON line.id = unsold.id
    WHERE released IS NULL AND due = now.at AND line.sku = now.sku)"""


def _within(name: str) -> str:
    return f"{name} >= :begin AND {name} < :end"


QUESTIONS = {
    "carts.held": f"SELECT count(*) FROM held WHERE {_within('at')}",
    "carts.released": f"SELECT count(*) FROM unsold WHERE released IS NOT NULL AND {_within('released')}",
    "carts.expired": f"SELECT count(*) FROM unsold WHERE released IS NULL AND {_within('due')}",
    "orders.all": f"SELECT count(*) FROM placed WHERE {_within('at')}",
    "orders.held": f"SELECT count(*) FROM placed WHERE {_within('at')}",
    "orders.cancelled": f"SELECT count(*) FROM fact WHERE kind = 'reservation.cancelled' AND {_within('at')}",
    "units.reserved": "SELECT coalesce(sum(max(0, now.units - coalesce((SELECT sum(units) FROM line AS was "
    "WHERE was.id = now.id AND was.sku = now.sku AND was.kind = now.kind AND was.sequence < now.sequence), 0))), 0) "
    f"FROM line AS now WHERE kind = 'reservation.held' AND {_within('at')}",
    "units.ordered": "SELECT coalesce(sum(units), 0) FROM placed JOIN line ON line.id = placed.id "
    f"AND line.sequence = placed.last AND kind = 'reservation.held' WHERE {_within('placed.at')}",
    "units.shipped": f"SELECT coalesce(sum(units), 0) FROM line WHERE kind = 'shipment' AND {_within('at')}",
    "units.cancelled": "SELECT coalesce(sum(units), 0) FROM fact JOIN placed USING (id) JOIN line ON line.id = fact.id "
    f"AND line.sequence = placed.last WHERE fact.kind = 'reservation.cancelled' AND {_within('fact.at')}",
    "units.expired": "SELECT coalesce(sum(units), 0) FROM unsold JOIN line ON line.id = unsold.id AND "
    f"line.sequence = unsold.last WHERE released IS NULL AND {_within('due')}",
    "units_lost": f"SELECT coalesce(sum(most), 0) FROM ({_ONCE.format('units')}) WHERE {_within('at')}",
    "units_would_have_oversold": "SELECT coalesce(sum(most), 0) "
    f"FROM ({_ONCE.format(f'CASE WHEN {_RAW} >= asked THEN units ELSE 0 END')}) WHERE {_within('at')}",
    "refused": "SELECT count(*) FROM (SELECT min(cart.value ->> 'at_ms') AS at FROM ask, json_each(ask.body) AS cart "
    f"GROUP BY cart.value ->> 'reservation') WHERE {_within('at')}",
    "accuracy.levels": f"SELECT count(*) FROM ({_OFF}) WHERE {_within('at')}",
    "accuracy.exact": f"SELECT count(*) FROM ({_OFF}) WHERE off = 0 AND {_within('at')}",
    "accuracy.units_up": f"SELECT coalesce(sum(max(0, off)), 0) FROM ({_OFF}) WHERE {_within('at')}",
    "accuracy.units_down": f"SELECT coalesce(sum(max(0, -off)), 0) FROM ({_OFF}) WHERE {_within('at')}",
}
DURATIONS = {
    "hold_to_order": f"SELECT at - held_at FROM placed WHERE {_within('at')} ORDER BY 1",
    "order_to_first_shipment": "SELECT min(fact.at) - placed.at FROM fact "
    "JOIN placed ON placed.id = body ->> 'order_ref' "
    f"WHERE kind = 'shipment' GROUP BY placed.id HAVING {_within('min(fact.at)')} ORDER BY 1",
}


class Recount:
    """LOG and ASK in a database in memory."""

    def __init__(self, messages: Iterable[tuple[int, bytes]], asked: Iterable[list[dict[str, Any]]]) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.executescript(_TABLES)
        heads = ((at, json.loads(body), body.decode()) for at, body in messages)
        rows = ((at, head["now_ms"], head["lead_ms"], body) for at, head, body in heads)
        self._db.executemany("INSERT INTO batch VALUES (?, ?, ?, ?)", rows)
        self._db.executemany("INSERT INTO ask (body) VALUES (?)", ((json.dumps(one),) for one in asked))
        self._db.executescript(_VIEWS)

    def figures(self, begin_ms: int, end_ms: int) -> dict[str, int]:
        """Each figure over a range."""
        given = {"begin": begin_ms, "end": end_ms}
        return {name: self._db.execute(query, given).fetchone()[0] for name, query in QUESTIONS.items()}

    def durations(self, begin_ms: int, end_ms: int) -> dict[str, list[int]]:
        """In milliseconds, the shortest first."""
        given = {"begin": begin_ms, "end": end_ms}
        return {name: [one for (one,) in self._db.execute(query, given)] for name, query in DURATIONS.items()}


def figures_of(report: dict[str, Any]) -> dict[str, int]:
    """The same of a report."""
    found: dict[str, int] = {}
    for name in QUESTIONS:
        part, _, member = name.partition(".")
        found[name] = report[part][member] if member else report[part]
    return found
