"""Weeks of trade on simulated time at a small budget: `python -m tests.recovery.months [DAYS KEEP_DAYS]`.

Role: see that what is kept on the disk stops growing, and that the oldest day that is kept is still right. In: days of
trade, days to keep. Out: a line a week, then what was compared; exit status 1 where anything differs. Always: the core,
the archive, the snapshots and the retention are the real ones, with their files; LOG is the list of messages after the
newest cut, so no server is part of it.
"""

import itertools
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from holdfast._core import Engine
from holdfast.protocol.core import Request
from holdfast.recovery.past import Past, apply_all
from holdfast.recovery.retention import Retention
from holdfast.settings import Settings
from holdfast.storage.archive import Archive
from holdfast.storage.chain import START, Position
from holdfast.storage.snapshot_files import SnapshotStore

DAY_MS = 86_400_000
BEGAN_MS = 1_767_225_600_000  # 2026-01-01
BATCHES_A_DAY, CARTS = 192, 100  # a batch each seven and a half minutes
SKUS = [f"SKU-{number}" for number in range(50)]
PARTS_A_DAY = 4


@dataclass
class Months:
    """One scope, its files, and what was true on each day."""

    directory: Path
    settings: Settings
    core: Engine = field(default_factory=lambda: Engine("main"))
    log: list[tuple[int, bytes]] = field(default_factory=list)
    position: Position = START
    taken: int = 0
    carts: int = 0
    counted: int = 0
    ordered: list[str] = field(default_factory=list)
    said: dict[int, tuple[str, int | None]] = field(
        default_factory=dict
    )  # by sequence: digest, sellable of the first SKU

    def __post_init__(self) -> None:
        self.random = random.Random(2_026)
        self.archive = Archive(self.directory / "archive", "main")
        self.store = SnapshotStore(self.directory / "snapshots", "main", self.settings.snapshots)
        self.retention = Retention(self.directory, "main", self.settings)
        self.store.directory.mkdir()
        lead = self.core.lead_batch("n1", BEGAN_MS)
        self.core.apply(1, lead)
        self.log.append((1, lead))
        self.tell(0, [{"kind": "location", "location": "PAR"}, {"kind": "channel", "channel": "web", "locations": "*"}])

    def tell(self, ms: int, facts: Sequence[dict[str, object]], commands: list[Request] | None = None) -> None:
        core, incoming = self.core, []
        for policy in (True, False):
            chosen = [fact for fact in facts if (fact["kind"] in {"location", "channel"}) is policy]
            if chosen:
                self.taken += 1
                subject = "hf.main.in.policy" if policy else "hf.main.in.erp.erp"
                incoming.append((self.taken, subject, json.dumps({"facts": chosen}).encode()))
        decision = core.decide(core.now_ms + ms, core.lead_ms + ms, commands or [], incoming)
        assert not decision.dead, decision.dead
        if decision.message is not None:
            core.commit(core.sequence + 1)
            self.log.append((core.sequence, decision.message))

    def batch(self) -> None:
        """Some carts, most of them ordered, shipped, and known to the ERP a batch later."""
        asked: list[Request] = []
        self.counted += 1
        acks = [{"kind": "order.ack", "order_ref": ref, "as_of": self.counted} for ref in self.ordered]
        self.ordered = []
        for _ in range(CARTS):
            self.carts += 1
            lines = [{"sku": sku, "quantity": 1} for sku in self.random.sample(SKUS, 3)]
            body = json.dumps({"channel": "web", "ttl_ms": 600_000, "lines": lines}).encode()
            name = f"cart-{self.carts}"
            asked.append(("put", name, body, None, "key"))
            if self.carts % 3:
                self.ordered.append(str(self.carts))
                asked.append(("confirm", name, b'{"order_ref":"%d"}' % self.carts, None, "key"))
                asked.append(("fulfil", name, json.dumps({"lines": lines}).encode(), None, "key"))
        self.tell(DAY_MS // BATCHES_A_DAY, acks, asked)

    def count(self) -> None:
        """The ERP counts everything."""
        self.counted += 1
        level = {"kind": "stock.level", "location": "PAR", "basis": "net", "on_hand": 5_000, "as_of": self.counted}
        self.tell(0, [level | {"sku": sku} for sku in SKUS])

    def keep(self) -> int:
        """As the snapshot process does: a snapshot, the archive up to the second newest, a root, the budget; bytes."""
        self.core.snapshot(str(self.store.path_of(self.core.sequence)))
        self.said[self.core.sequence] = (self.core.digest(), self.core.sellable(SKUS[0], "web"))
        for old in sorted(self.store.sequences())[:-2]:
            self.store.path_of(old).unlink()
        second = min(self.store.sequences())
        while self.position.sequence < second:
            self.position = self.archive.add(self.position, self._before(second), 1 << 20)
        self.log = [one for one in self.log if one[0] > self.position.sequence]
        snapshot = next(one for one in self.store.snapshots() if one.header.sequence == second)
        self.retention.keep_root(snapshot)
        return self.retention.look(sum(len(one) for _, one in self.log), 0, self.core.now_ms).used_bytes

    def _before(self, second: int) -> Iterator[tuple[int, bytes]]:
        rest = (one for one in self.log if one[0] > self.position.sequence)
        return itertools.takewhile(lambda one: one[0] <= second, rest)


def main(days: int, keep_days: int) -> int:
    """Trade, and compare at the end."""
    settings = Settings()
    settings = replace(settings, retention=replace(settings.retention, keep_days=keep_days, keep_bytes=256 << 20))
    with tempfile.TemporaryDirectory() as name:
        months = Months(Path(name), settings)
        used, size = [], 0
        for day in range(days):
            for number in range(BATCHES_A_DAY):
                if number % (BATCHES_A_DAY // PARTS_A_DAY) == 0:
                    months.count()
                months.batch()
                if number % (BATCHES_A_DAY // PARTS_A_DAY) == 0:
                    size = months.keep()
            used.append(size)
            if day % 7 == 6:
                print(f"day {day + 1}: {months.carts:,} carts, {size / (1 << 20):.1f} MiB kept")
        past = Past(Path(name), "main", settings)
        oldest = past.oldest()
        first = oldest.header.sequence if oldest is not None else min(months.said)
        core = past.core(first)
        wrong = (core.digest(), core.sellable(SKUS[0], "web")) != months.said[first]
        kept = sorted(sequence for sequence in months.said if first < sequence <= past.last)
        apply_all(core, itertools.takewhile(lambda one: one[0] <= kept[-1], past.messages(first)))
        wrong |= core.digest() != months.said[kept[-1]][0] or core.check_thoroughly() != []
        for sequence in kept[:: max(1, len(kept) // 5)]:
            wrong |= past.core(sequence).digest() != months.said[sequence][0]
        flat = max(used[keep_days + 2 :]) <= 1.1 * min(used[keep_days + 2 :])
        states = json.loads(months.core.totals())["by_state"]
        wrong |= sum(states.values()) > 4 * BATCHES_A_DAY * CARTS  # closed ones are forgotten after two days
        print(f"the oldest day kept is right, and all after it: {not wrong}; flat after day {keep_days + 2}: {flat}")
    return int(wrong or not flat)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    sys.exit(main(*(int(number) for number in sys.argv[1:3] or ("60", "30"))))
