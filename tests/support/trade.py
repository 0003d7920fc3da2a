"""Real orders as trade over their own year: held, bought, given up, shipped, cancelled, returned, counted.

In: order lines with their dates, a seed. Out: a data directory with a journal, and the refusals as ASK has them.
Always: one real core decides everything on the clock of the orders; a batch is one moment; what is not in the file (who
gives up, when parcels leave, where counts are wrong) follows from the seed.
"""

import csv
import gzip
import heapq
import itertools
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from holdfast._core import Engine
from holdfast.nats.refusals import REFUSED, messages_of, refusal_of
from holdfast.protocol.core import Request
from holdfast.rehearsal.openings import Demand
from holdfast.rehearsal.orders import NO_GOODS, Cart, GoodsBack
from holdfast.settings import JournalSettings
from holdfast.storage.journal import Journal

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
TTL_MS = 15 * MINUTE_MS
COUNTED_A_WEEK = 40
Lines = dict[str, int]
Order = tuple[int, str, Lines, Lines]
"""When, which invoice, what was asked for, what came back."""


def orders_of(file: Path) -> Iterator[Order]:
    """Invoices in the file's order; postage, fees and vouchers are left out."""
    with gzip.open(file, "rt", encoding="utf-8") as text:
        rows = csv.DictReader(text)
        for number, (invoice, group) in enumerate(itertools.groupby(rows, lambda row: row["invoice_no"])):
            asked: Lines = defaultdict(int)
            back: Lines = defaultdict(int)
            at = 0
            for row in group:
                date = datetime.fromisoformat(row["invoice_date"]).replace(tzinfo=UTC)
                at = at or round(date.timestamp() * 1000)
                sku, quantity = row["stock_code"], int(row["quantity"])
                if not any(fnmatchcase(sku, code) for code in NO_GOODS):
                    (asked if quantity > 0 else back)[sku] += abs(quantity)
            yield at, f"{invoice}-{number}", {sku: n for sku, n in asked.items() if n}, dict(back)


def opening_of(orders: Iterable[Order], short_percent: float = 5.0) -> Lines:
    """Stock of which a stated share of the demand finds nothing."""
    found = Demand()
    for _, name, asked, back in orders:
        found.take([Cart(name, tuple(asked.items())), GoodsBack(name, tuple(back.items()))])
    return found.openings(short_percent)


@dataclass
class Trade:
    """One scope's year. `asked`: messages of ASK."""

    directory: Path
    seed: int = 1
    core: Engine = field(default_factory=lambda: Engine("main"))
    asked: list[list[dict[str, Any]]] = field(default_factory=list)
    _messages: list[bytes] = field(default_factory=list)
    _kept: int = 0
    _received: int = 0
    now_ms: int = 0
    _trades: bool = True
    began_ms: int = 0
    _later: list[tuple[int, int, Callable[[int], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _physical: Counter[str] = field(default_factory=Counter)

    def run(self, orders: Iterable[Order], opening: Lines) -> None:
        """All of it, and ten days more."""
        self._chance = random.Random(self.seed)
        with_journal = Journal.open(self.directory / "journal" / "n1", "main", JournalSettings())
        try:
            self._journal = with_journal
            first = next(iter(orders := iter(orders)))
            self._begin(first[0], opening)
            for order in itertools.chain([first], orders):
                self._upto(order[0])
                self._order(*order[1:])
            self._trades = False
            self._upto(self.now_ms + 10 * DAY_MS)
            self._flush()
        finally:
            with_journal.close()

    # ---- what a core is given

    def _begin(self, at_ms: int, opening: Lines) -> None:
        self.now_ms = self.began_ms = at_ms - DAY_MS
        self._physical.update(opening)
        self._store(self.core.lead_batch("n1", self.now_ms, b'{"undeclared_channels":"serve"}'), applied=False)
        self._facts({"kind": "location", "location": "dc", "type": "warehouse"})
        skus = sorted(opening)
        for part in range(0, len(skus), 500):
            self._facts(*(self._level(sku) for sku in skus[part : part + 500]))
        self._at(self.now_ms + 7 * DAY_MS, self._count)

    def _store(self, message: bytes, *, applied: bool) -> None:
        sequence = self.core.sequence + 1
        if applied:
            self.core.commit(sequence)
        else:
            assert self.core.apply(sequence, message)
        self._messages.append(message)
        if len(self._messages) == 1_000:
            self._flush()

    def _flush(self) -> None:
        self._journal.keep_many(self._kept + 1, self._messages)
        self._kept += len(self._messages)
        self._messages.clear()

    def _decide(self, commands: list[Request], incoming: list[tuple[int, str, bytes]]) -> list[tuple[int, bytes]]:
        sequence = self.core.sequence
        found = self.core.decide(self.now_ms, self.now_ms - self.began_ms, commands, incoming)
        if found.message is not None:
            self._store(found.message, applied=True)
        assert found.dead == [], found.dead
        for request, (status, answer) in zip(commands, found.answers, strict=True):
            if status == REFUSED:
                refusal = refusal_of(self.now_ms, sequence, request, answer)
                self.asked += [[json.loads(one) for one in parts] for parts in messages_of([refusal])]
        return [one[:2] for one in found.answers]

    def _facts(self, *facts: dict[str, Any]) -> None:
        self._received += 1
        body = json.dumps({"source": "erp", "facts": facts}).encode()
        self._decide([], [(self._received, "hf.main.in.erp.erp", body)])

    def _command(self, verb: str, name: str, body: dict[str, Any]) -> bool:
        ((status, _),) = self._decide([(verb, name, json.dumps(body).encode(), None, None)], [])
        return status < 300

    def _at(self, at_ms: int, work: Callable[[int], None]) -> None:
        heapq.heappush(self._later, (at_ms, next(self._numbers), work))

    def _upto(self, at_ms: int) -> None:
        """What is due until then; the clock never goes back."""
        while self._later and self._later[0][0] <= at_ms:
            due, _, work = heapq.heappop(self._later)
            self.now_ms = max(self.now_ms + 1, due)
            work(self.now_ms)
        self.now_ms = max(self.now_ms + 1, at_ms)

    def _iso(self, at_ms: int) -> str:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()

    # ---- what happens

    def _level(self, sku: str, wrong: int = 0) -> dict[str, Any]:
        level = {
            "kind": "stock.level",
            "sku": sku,
            "location": "dc",
            "basis": "gross",
            "as_of": self._iso(self.now_ms),
        }
        self._physical[sku] = max(0, self._physical[sku] + wrong)
        return level | {"on_hand": self._physical[sku]}

    def _count(self, at_ms: int) -> None:
        """Each week some SKUs are counted, one in five of them otherwise than the books say."""
        skus = self._chance.sample(sorted(self._physical), min(COUNTED_A_WEEK, len(self._physical)))
        self._facts(
            *(self._level(sku, self._chance.choice((0, 0, 0, 0, -3, 2)[self._chance.randrange(2) :])) for sku in skus)
        )
        if self._trades:
            self._at(at_ms + 7 * DAY_MS, self._count)

    def _order(self, name: str, asked: Lines, back: Lines) -> None:
        chance = self._chance
        returned = [(sku, n) for sku, n in back.items() if sku in self._physical]
        for part in range(0, len(returned), 500):
            self._facts(
                *(
                    self._return(f"{name}-{part}", n, sku, units)
                    for n, (sku, units) in enumerate(returned[part : part + 500])
                )
            )
        if not asked:
            return
        lines = [{"sku": sku, "quantity": units} for sku, units in asked.items()][:200]
        body = {"channel": chance.choice(("web", "web", "market")), "ttl_ms": TTL_MS, "lines": lines}
        if chance.random() < 0.1 and lines[0]["quantity"] > 1:  # type: ignore[operator]
            first = [lines[0] | {"quantity": chance.randint(1, 3)}, *lines[1:]]
            self._command("put", name, body | {"lines": first})
        if not self._command("put", name, body):
            return
        step = chance.random()
        if step < 0.06:
            self._at(self.now_ms + 3 * MINUTE_MS, lambda _: self._given_up("release", name))
        elif step > 0.12:  # the others are forgotten, and expire
            self._at(self.now_ms + chance.randint(20_000, 10 * MINUTE_MS), lambda _: self._bought(name, lines))

    def _return(self, ref: str, line: int, sku: str, units: int) -> dict[str, Any]:
        self._physical[sku] += units
        fact = {"kind": "return", "ref": ref, "line": str(line), "sku": sku, "location": "dc", "quantity": units}
        return fact | {"condition": "sellable", "as_of": self._iso(self.now_ms)}

    def _given_up(self, verb: str, name: str) -> None:
        assert self._command(verb, name, {})

    def _bought(self, name: str, lines: list[dict[str, Any]]) -> None:
        if not self._command("confirm", name, {"order_ref": name}):
            return
        chance, later = self._chance, self.now_ms + self._chance.randint(2, 70) * HOUR_MS
        if chance.random() < 0.04:
            self._at(later, lambda _: self._given_up("cancel", name))
        elif chance.random() < 0.2 and len(lines) > 1:
            half = len(lines) // 2
            self._at(later, lambda _: self._shipped(name, lines[:half]))
            self._at(later + DAY_MS, lambda _: self._shipped(name, lines[half:]))
        elif chance.random() < 0.95:
            self._at(later, lambda _: self._shipped(name, lines))

    def _shipped(self, name: str, lines: list[dict[str, Any]]) -> None:
        at = self._iso(self.now_ms)
        parcel = {"kind": "shipment", "order_ref": name, "ref": f"{name}-{self.now_ms}", "lines": lines, "as_of": at}
        self._facts(parcel)
        for line in lines:
            self._physical[line["sku"]] -= line["quantity"]
