"""One world: log, gateway, Tryton, a shop and the connections between them, through a day of real orders.

In: `python -m tests.world --orders 150 --faults erp-down,shop-down,webhooks-lost`. Out: what happened, what `holdfast
reconcile` finds at the end, and how often each order is in Tryton, counted there by SQL; exit status 1 where something
differs or an order is there twice or not at all. Always: every part is real but the shop, which is the double of
tests/woo; orders are those of one day of a real file, in its order, at speed.
"""

import argparse
import asyncio
import contextlib
import csv
import gzip
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from holdfast.client import Client
from holdfast.client.errors import ClientError, OversoldError
from holdfast.woo.stores import Files, Pacing, Store, rendered
from tests.support.erp import Served, ordered, serving
from tests.support.tryton import People, TrytonServer, tryton
from tests.support.tryton_databases import NAME
from tests.support.woo_store.model import Model
from tests.support.woo_store.server import KEY, StoreServer, opened

ORDERS = Path(__file__).parent / "data" / "online-retail-3-days.csv.gz"
SKUS = [f"T-{letter}" for letter in "ABCDEFGHIJKLMNOPQRST"]
FAULTS = ("erp-down", "shop-down", "webhooks-lost")
SETTLED_S = 300


def orders_of_a_day(most: int) -> list[list[tuple[str, int]]]:
    """Lines of the first day's orders, of its twenty best sellers, each under the name of a product of the ERP."""
    with gzip.open(ORDERS, "rt", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["quantity"]) > 0]
    day = rows[0]["invoice_date"][:10]
    rows = [row for row in rows if row["invoice_date"].startswith(day)]
    best = [code for code, _ in Counter(row["stock_code"] for row in rows).most_common(len(SKUS))]
    names = dict(zip(best, SKUS, strict=True))
    orders: dict[str, Counter[str]] = {}
    for row in rows:
        if row["stock_code"] in names:
            orders.setdefault(row["invoice_no"], Counter())[names[row["stock_code"]]] += min(int(row["quantity"]), 12)
    return [sorted(lines.items()) for lines in list(orders.values())[:most]]


def config_of(erp: TrytonServer) -> str:
    """All connections, quick."""
    return f"""
[woo]
enabled = true
[reconcile]
settle_ms = 120_000
[erp.tryton]
kind = "tryton"
url = "{erp.url}"
database = "{NAME}"
token = "{erp.known["key"]}"
customer = "{erp.known["customer_code"]}"
warehouses = "WH=paris,WH2=lyon"
every_ms = 1_000
retry_first_ms = 100
retry_wait_ms_max = 2_000
breaker_rest_ms = 1_000
timeout_ms = 10_000
"""


class Day:
    """Orders, some with the plugin's mark and some without; a few are cancelled; faults in the middle third."""

    def __init__(self, served: Served, erp: TrytonServer, shop: StoreServer, people: People, client: Client) -> None:
        self.served, self.erp, self.shop, self.people, self.client = served, erp, shop, people, client
        self.reserved: list[str] = []
        self.cancelled: set[str] = set()
        self.refused = 0

    async def stock(self) -> None:
        await self.client.policies([{"kind": "channel", "channel": "web", "locations": "*", "buffer": 0}])
        for sku in SKUS:
            await self.people.count(sku, 400, self.erp.known["storage"])
            await self.people.count(sku, 150, self.erp.known["lyon_storage"])
            self.shop.model.add(sku, 0)
        await self.until(self.all_known, "the levels did not come")
        files = Files(self.served.data, "shop")
        files.write(files.rest, "\n".join(KEY))
        files.write(files.secrets, "a secret\n")
        pace = Pacing(busy_percent=100, backfill_minutes=1)
        files.write(
            files.settings, rendered(Store(url=self.shop.url, channel="web", delivery_url=self.served.url, pace=pace))
        )

    async def all_known(self) -> bool:
        return set(SKUS) <= {one.sku async for one in self.client.skus()}

    async def until(self, wanted: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + SETTLED_S
        while not await wanted():
            assert time.monotonic() < deadline, what
            await asyncio.sleep(0.5)

    async def order(self, number: int, lines: list[tuple[str, int]]) -> None:
        model = self.shop.model
        if number % 3 == 2:  # made past the checkout: by a person, or another program
            order = model.place(lines, "processing", via="admin")
        else:
            name = f"cart-{number}"
            order = model.place(lines, "pending", _holdfast_reservation=name)
            try:
                await ordered(self.client, name, *lines, order_ref=str(order.id))
            except (OversoldError, ClientError):
                self.refused += 1
                model.change(order, "cancelled")
                return
            self.reserved.append(name)
            model.change(order, "processing")
        if number % 11 == 10:
            model.change(order, "cancelled")
            self.cancelled.add(f"cart-{number}")

    async def run(self, orders: Iterable[list[tuple[str, int]]], faults: frozenset[str], total: int) -> None:
        for number, lines in enumerate(orders):
            middle = total // 3 <= number < 2 * total // 3
            if number == total // 3 and "erp-down" in faults:
                self.erp.kill()
            if number == 2 * total // 3 and "erp-down" in faults:
                self.erp.start()
                await self.erp.ready()
            self.shop.faults.down = middle and "shop-down" in faults
            await self.order(number, lines)
            if middle and "webhooks-lost" in faults:
                self.shop.model.events.clear()
            elif number % 5 == 0 and not self.shop.faults.down:
                await self.shop.webhooks.run_queue()
        self.shop.faults.down = False
        await self.shop.webhooks.run_queue()

    def in_erp(self) -> Counter[str]:
        """How many live sales each order has at each place."""
        found = self.erp.by_sql(
            "SELECT description FROM sale_sale WHERE description LIKE 'holdfast:%' AND state != 'cancelled'"
        )
        return Counter(description.removeprefix("holdfast:") for (description,) in found)


async def compared(served: Served) -> dict[str, Any]:
    """As people call it."""
    command = [sys.executable, "-m", "holdfast", "reconcile", "--json", "--data", str(served.data)]
    child = await asyncio.create_subprocess_exec(
        *command, "--config", str(served.data / "holdfast.toml"), stdout=-1, stderr=-1
    )
    out, err = await child.communicate()
    assert child.returncode in {0, 1}, err.decode()
    report: dict[str, Any] = json.loads(out)
    return report


async def live(served: Served, erp: TrytonServer, most: int, faults: frozenset[str]) -> dict[str, Any]:
    """The day, and what it came to."""
    orders = orders_of_a_day(most)
    model = Model(moves_stock=False)
    async with opened(StoreServer(model, plugin=True)) as shop, People(erp) as people, Client(served.url) as client:
        day = Day(served, erp, shop, people, client)
        await day.stock()
        began = time.monotonic()
        await day.run(orders, faults, len(orders))
        took_s = time.monotonic() - began
        report: dict[str, Any] = {}

        async def agree() -> bool:
            nonlocal report
            report = await compared(served)
            moving = any(one.get("moving") or one.get("failed") for one in report["comparisons"])
            return not report.get("differences") and not moving

        with contextlib.suppress(AssertionError):  # the report has what differs
            await day.until(agree, "the systems do not agree")
        sales = day.in_erp()
        missing = [
            name
            for name in day.reserved
            if name not in day.cancelled and not any(key.startswith(f"{name}@") for key in sales)
        ]
        return {
            "orders": len(orders),
            "took_s": round(took_s, 1),
            "agree_after_s": round(time.monotonic() - began - took_s, 1),
            "refused": day.refused,
            "in_erp": len(sales),
            "in_erp_twice": [key for key, count in sales.items() if count > 1],
            "not_in_erp": missing,
            "differences": report.get("differences", []),
            "compared": sum(one.get("compared", 0) for one in report["comparisons"]),
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.world", description=__doc__)
    parser.add_argument("--orders", type=int, default=120)
    parser.add_argument("--faults", default=",".join(FAULTS), help=f"with commas, of {', '.join(FAULTS)}; none: ''")
    parser.add_argument("--directory", type=Path, help="stays afterwards; without it a temporary one")
    given = parser.parse_args()
    faults = frozenset(filter(None, given.faults.split(",")))
    if not faults <= set(FAULTS):
        parser.error(f"--faults are of {', '.join(FAULTS)}")
    place = tempfile.TemporaryDirectory() if given.directory is None else nullcontext(str(given.directory))
    with place as base, tryton(Path(base) / "erp") as erp, serving(Path(base) / "d", config_of(erp)) as served:
        found = asyncio.run(live(served, erp, given.orders, faults))
    print(json.dumps(found, indent=1))
    return 1 if found["differences"] or found["in_erp_twice"] or found["not_in_erp"] else 0


if __name__ == "__main__":
    sys.exit(main())
