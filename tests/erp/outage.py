"""An ERP that is down while orders are confirmed, and comes back: nothing lost, nothing twice, the oldest first.

In: `python -m tests.erp.outage --orders 5000` (into a real Tryton), `--orders 180000 --into ledger` (an SQLite file
with a unique reference), which is an hour at 50 orders a second. Out: the size of the queue, how fast it drains, what
the ERP's own database counts; exit status 1 where an order is missing, is there twice, or overtook another. Always:
gateway, publisher, connection and ERP are the processes that they are in use; orders are counted by SQL, in the ERP.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from holdfast.client import Client
from holdfast.erp.store import directory_of, opened
from tests.support import fast_ledger
from tests.support.erp import Served, ordered, serving
from tests.support.fast_ledger import FastLedger
from tests.support.tryton import People, TrytonServer, tryton
from tests.support.tryton_databases import NAME

SKUS = fast_ledger.SKUS
AT_ONCE = 32
STOCK = 1_000_000
SAYS_S = 10.0
WAITED_S = 4 * 3600
_QUICK = (
    "every_ms = 2_000\nretry_first_ms = 100\nretry_wait_ms_max = 2_000\nbreaker_rest_ms = 1_000\norders_at_once = 1\n"
)


class Down(Protocol):
    """An ERP that can be taken down. `config` is its connection."""

    config: str

    async def stock(self) -> None:
        """Have enough of everything."""

    async def stop(self) -> None:
        """From now on it does not answer."""

    async def start(self) -> None:
        """It does again."""

    def taken(self) -> list[str]:
        """The keys of its orders, in the order in which it made them; one that is there twice is twice in it."""
        ...


class TrytonDown:
    """A real one, killed."""

    def __init__(self, server: TrytonServer) -> None:
        self._server = server
        known = server.known
        self.config = f"""[erp.erp]
kind = "tryton"
url = "{server.url}"
database = "{NAME}"
token = "{known["key"]}"
customer = "{known["customer_code"]}"
warehouses = "WH=paris,WH2=lyon"
timeout_ms = 20_000
{_QUICK}"""

    async def stock(self) -> None:
        async with People(self._server) as people:
            for sku in SKUS:
                await people.count(sku, STOCK, self._server.known["storage"])

    async def stop(self) -> None:
        await asyncio.to_thread(self._server.kill)

    async def start(self) -> None:
        self._server.start()
        await self._server.ready()

    def taken(self) -> list[str]:
        rows = self._server.by_sql(
            "SELECT description FROM sale_sale WHERE description LIKE 'holdfast:%' AND state = 'processing' ORDER BY id"
        )
        return [description.removeprefix("holdfast:").partition("@")[0] for (description,) in rows]


class LedgerDown:
    """A file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._down = Path(f"{file}.down")
        adapter = f"{FastLedger.__module__}:{FastLedger.__name__}"
        self.config = f'[erp.erp]\nkind = "python"\nadapter = "{adapter}"\nurl = "{file}"\n{_QUICK}'

    async def stock(self) -> None:
        """It states it by itself."""

    async def stop(self) -> None:
        self._down.touch()

    async def start(self) -> None:
        self._down.unlink()

    def taken(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self._file)) as database:
            rows = database.execute("SELECT reference FROM sale ORDER BY number").fetchall()
            rows += database.execute("SELECT reference FROM attempt").fetchall()
        return [reference for (reference,) in rows]


class Outage:
    """The orders, before it and during it."""

    def __init__(self, served: Served, erp: Down, client: Client, *, says: bool) -> None:
        self._served, self._erp, self._client, self._says = served, erp, client, says
        self.confirmed: list[str] = []

    async def known(self) -> None:
        """Until all can be sold."""
        wanted, deadline = set(SKUS), time.monotonic() + 300
        while not wanted <= {one.sku async for one in self._client.skus()}:
            assert time.monotonic() < deadline, "the levels did not come"
            await asyncio.sleep(0.2)

    async def sell(self, first: int, count: int, rate: float) -> float:
        """So many orders; how long it took. `rate`: at most so many a second, 0: as they are taken."""
        numbers, began, said = iter(range(first, first + count)), time.monotonic(), [time.monotonic()]

        async def shopper() -> None:
            for number in numbers:
                if rate:
                    await asyncio.sleep(max(0.0, began + (number - first) / rate - time.monotonic()))
                key = f"o-{number:07}"
                await ordered(self._client, key, (SKUS[number % len(SKUS)], 1 + number % 3))
                self.confirmed.append(key)
                if self._says and time.monotonic() - said[0] > SAYS_S:
                    said[0] = time.monotonic()
                    print(f"confirmed {len(self.confirmed):,}", flush=True)

        await asyncio.gather(*(shopper() for _ in range(AT_ONCE)))
        return time.monotonic() - began

    async def drained(self, upto: int) -> float:
        """Until none waits and all were exported; how long it took."""
        began = said = time.monotonic()
        while True:
            waiting, out = self.queue()
            if not waiting and out >= upto:
                return time.monotonic() - began
            assert time.monotonic() - began < WAITED_S, f"{waiting} wait still"
            if self._says and time.monotonic() - said > SAYS_S:
                said = time.monotonic()
                print(f"{waiting:,} wait, {out:,} are in the ERP", flush=True)
            await asyncio.sleep(0.2)

    async def some_are_in_it(self, count: int) -> None:
        """Until so many were exported."""
        deadline = time.monotonic() + 300
        while self.queue()[1] < count:
            assert time.monotonic() < deadline, f"{self.queue()}, wanted {count} in the ERP"
            await asyncio.sleep(0.05)

    async def all_waiting(self, count: int) -> None:
        """Until the queue has so many."""
        deadline = time.monotonic() + 3_600
        while self.queue()[0] < count:
            assert time.monotonic() < deadline, f"{self.queue()} of {count}"
            await asyncio.sleep(0.2)

    def queue(self) -> tuple[int, int]:
        """How many wait, and how many are in the ERP."""
        with opened(directory_of(self._served.data, "erp"), reads=True) as store:
            counts = store.counts()
            return store.waiting(), counts.get("exported", 0) + counts.get("acknowledged", 0)

    def queued(self) -> list[str]:
        """All keys, the oldest first."""
        file = directory_of(self._served.data, "erp") / "store.sqlite3"
        with contextlib.closing(sqlite3.connect(file)) as database:
            return [key for (key,) in database.execute("SELECT key FROM entry ORDER BY number")]


def overtaken(taken: list[str], queued: list[str]) -> int:
    """How many orders are in the ERP behind one that was confirmed later."""
    place = {key: at for at, key in enumerate(queued)}
    highest, count = -1, 0
    for key in taken:
        count += place[key] < highest
        highest = max(highest, place[key])
    return count


async def happen(served: Served, erp: Down, orders: int, rate: float, *, says: bool = True) -> dict[str, Any]:
    """The outage, and what it came to."""
    async with Client(served.url) as client:
        outage = Outage(served, erp, client, says=says)
        await erp.stock()
        await outage.known()
        before = max(1, orders // 100)
        await outage.sell(0, before, rate)
        await outage.some_are_in_it((before + 1) // 2)
        await erp.stop()
        selling_s = await outage.sell(before, orders - before, rate)
        await outage.all_waiting(orders - before)  # those in flight when it went down wait, too
        waiting, there = outage.queue()
        size = (directory_of(served.data, "erp") / "store.sqlite3").stat().st_size
        await erp.start()
        draining_s = await outage.drained(orders)
    taken, queued = erp.taken(), outage.queued()
    return {
        "orders": orders,
        "confirmed_a_second": round((orders - before) / selling_s, 1),
        "waiting_when_it_came_back": waiting,
        "in_it_before": there,
        "queue_bytes": size,
        "drained_s": round(draining_s, 1),
        "drained_a_second": round(waiting / draining_s, 1),
        "in_erp": len(set(taken)),
        "in_erp_twice": len(taken) - len(set(taken)),
        "not_in_erp": len(set(outage.confirmed) - set(taken)),
        "overtaken": overtaken(taken, queued),
    }


@contextmanager
def erp_of(into: str, directory: Path) -> Iterator[Down]:
    """One that runs."""
    if into == "tryton":
        with tryton(directory / "tryton") as server:
            yield TrytonDown(server)
        return
    fast_ledger.made(directory / "ledger.sqlite")
    yield LedgerDown(directory / "ledger.sqlite")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.erp.outage", description=__doc__)
    parser.add_argument("--orders", type=int, default=5_000)
    parser.add_argument("--into", choices=("tryton", "ledger"), default="tryton")
    parser.add_argument("--rate", type=float, default=0.0, help="orders a second; 0: as fast as they are taken")
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent.parent)
    with (
        tempfile.TemporaryDirectory() as base,
        erp_of(given.into, Path(base)) as erp,
        serving(Path(base) / "d", erp.config) as served,
    ):
        found = asyncio.run(happen(served, erp, given.orders, given.rate))
    print(json.dumps(found, indent=1))
    return 1 if found["in_erp_twice"] or found["not_in_erp"] or found["overtaken"] else 0


if __name__ == "__main__":
    sys.exit(main())
