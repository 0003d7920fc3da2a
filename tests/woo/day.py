"""A day of real orders through a shop, with every fault at once: in the end shop, orders and holdfast agree.

In: a file of real order lines, how many orders, a seed. Out: what was counted, and what does not agree. Always:
gateway, NATS, publisher and connector are real, the shop is the double; two of three orders are held as the plugin
holds them, the others are made past the checkout; what must come out follows from the shop's own books.
"""

import asyncio
import contextlib
import csv
import gzip
import os
import random
import signal
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from holdfast.client import Client
from holdfast.settings import WooSettings
from holdfast.woo.stores import Pacing
from tests.support.gateway import ask
from tests.support.served import level
from tests.support.woo_running import QUICK, Running, running, until
from tests.support.woo_store.model import Order
from tests.support.woo_store.webhooks import Weather

AGREE_S = 240.0
OWED = {"processing", "on-hold"}
LEFT = {"completed", "refunded"}
MET = 0.95  # of the demand for a SKU there is stock for so much


@dataclass
class Outcome:
    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def orders_of(file: Path, most: int) -> list[list[tuple[str, int]]]:
    """Lines of the first orders of a file, with what was bought."""
    orders: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if int(row["quantity"]) <= 0 or not row["invoice_no"].isdecimal():
                continue
            if row["invoice_no"] not in orders and len(orders) == most:
                break
            orders[row["invoice_no"]][row["stock_code"]] += int(row["quantity"])
    return [sorted(one.items()) for one in orders.values()]


class Day:
    """What happens, and what of it must be found at the end."""

    def __init__(self, one: Running, orders: list[list[tuple[str, int]]], seed: int) -> None:
        self.one, self.orders = one, orders
        self.pick = random.Random(seed)
        self.counts: Counter[str] = Counter()
        demand: Counter[str] = Counter()
        for lines in orders:
            demand.update(dict(lines))
        self.levels = {sku: max(1, int(units * MET)) for sku, units in demand.items()}

    async def stock(self) -> None:
        skus = sorted(self.levels)
        for sku in skus:
            self.one.model.add(sku, 0)
        for at in range(0, len(skus), 500):
            part = skus[at : at + 500]
            await self.one.api.facts(*(level(sku, self.levels[sku], "W1", "2025-01-01T00:00:00Z") for sku in part))

    async def run(self) -> None:
        """Faults come and go in every twelfth of the day."""
        twelfth = max(1, len(self.orders) // 12)
        for number, lines in enumerate(self.orders):
            if number % twelfth == 0:
                await self.fault(number // twelfth)
            await self.order(number, lines)
            self.life()
            if number % 5 == 4 and not self.one.store.faults.down:
                await self.one.deliver()

    async def fault(self, part: int) -> None:
        store, hooks = self.one.store, self.one.store.webhooks
        store.faults.down = part in {3, 8}
        store.faults.notices = part == 5
        store.faults.late_s = 0.6 if part == 6 else 0.0
        hooks.weather = Weather(lost=0.15, doubled=0.3, shuffled=True) if part % 2 else Weather(shuffled=True)
        await until(self.is_ready, 60, every_s=0.2)
        if part in {4, 9}:
            await self.kill_gateway()
        if part == 7:
            for hook in hooks.all.values():
                hook.status = "disabled"
        if part == 10:
            await self.one.end()
            await self.one.begin()

    async def kill_gateway(self) -> None:
        """Its worker, which the supervisor starts again; orders come meanwhile."""
        os.kill((await self.one.api("GET", "/v1/overview")).json["pid"], signal.SIGKILL)
        self.counts["gateway killed"] += 1

    async def is_ready(self) -> bool:
        with contextlib.suppress(OSError, EOFError):
            return (await ask(self.one.api.port, "GET", "/readyz")).status == 200
        return False

    async def order(self, number: int, lines: list[tuple[str, int]]) -> None:
        model = self.one.model
        if number % 3 == 2:
            model.place(lines, self.pick.choice(["processing", "on-hold"]), via="admin")
            self.counts["made past the checkout"] += 1
            return
        name = f"cart-{number}"
        body = {"channel": "web", "ttl_ms": 3_600_000, "lines": [{"sku": s, "quantity": q} for s, q in lines]}
        held = await self.call("PUT", f"/v1/reservations/{name}", body)
        if held in {200, 201}:
            marks = {"_holdfast_reservation": name, "_holdfast_state": "held"}
            order = model.place(lines, "pending", **marks)
            self.counts["held"] += 1
            if number % 7 == 6:
                model.change(order, "failed")  # the hold is given back as the plugin does it
                await self.call("POST", f"/v1/reservations/{name}/release", {})
                return
            model.change(order, "processing")
            await self.call("POST", f"/v1/reservations/{name}/confirm", {"order_ref": str(order.id)})
        elif held == 0:
            model.place(lines, "processing", _holdfast_state="fallback-open")
            self.counts["fell open"] += 1
        else:
            self.counts["refused"] += 1

    async def call(self, method: str, target: str, body: Any) -> int:
        """As the plugin asks: once, and not for long. 0: no answer."""
        with contextlib.suppress(OSError, EOFError, TimeoutError, AssertionError):
            async with asyncio.timeout(2):
                return (await ask(self.one.api.port, method, target, orjson.dumps(body))).status
        return 0

    def life(self) -> None:
        """What becomes of an order that is there."""
        model, pick = self.one.model, self.pick
        order = pick.choice(list(model.orders.values())) if model.orders else None
        if order is None or order.status not in OWED | {"completed"}:
            return
        kind = pick.random()
        if order.status == "completed" or kind < 0.15:
            model.refund(order, pick.choice(order.items), 1, restock=True)
        elif kind < 0.25:
            model.change(order, "cancelled")
        elif kind < 0.3:
            model.trash(order)
        elif kind < 0.35 and not order.refunds and len(order.items) > 1:
            model.edit(order, pick.choice(order.items), 0)
        elif kind < 0.6:
            model.change(order, "completed")
        self.counts["changes"] += 1

    def expected(self) -> dict[str, int]:
        """By the shop's books: what there was, less what is owed or has left."""
        left = dict(self.levels)
        for order in self.one.model.orders.values():
            if order.status in OWED | LEFT:
                for item in order.items:
                    left[item.sku] -= item.quantity - item.restocked
        return {sku: max(0, units) for sku, units in left.items()}

    async def differs(self) -> list[str]:
        """What of stock and orders does not agree."""
        expected, found = self.expected(), []
        skus = sorted(expected)
        for at in range(0, len(skus), 1_000):
            answer = await self.one.api("POST", "/v1/availability", {"channel": "web", "skus": skus[at : at + 1_000]})
            found += [
                f"{item['sku']}: expected {expected[item['sku']]}, holdfast {item['sellable']}"
                for item in answer.json["items"]
                if item["sellable"] != expected[item["sku"]]
            ]
        found += [
            f"{one.sku}: expected {expected[one.sku]}, in the shop {one.stock}"
            for one in self.one.model.products.values()
            if one.stock != expected[one.sku]
        ]
        in_shop = {str(one.id) for one in self.one.model.orders.values() if one.status in OWED and open_units(one)}
        in_holdfast = await self.owed_in_holdfast()
        return found + [f"order {self.shown(int(one))}" for one in sorted(in_shop ^ in_holdfast)]

    def shown(self, number: int) -> str:
        """What the shop says of an order, and the connector."""
        order = self.one.model.orders.get(number)
        lines = order and [(item.id, item.sku, item.quantity, item.restocked) for item in order.items]
        known = self.one.connector.orders.book.known(number)
        return f"{number}: {order and (order.status, order.modified_s, order.meta, lines)}, known: {known}"

    async def owed_in_holdfast(self) -> set[str]:
        async with Client(f"http://127.0.0.1:{self.one.api.port}") as client:
            owed = {one.ref async for one in client.demands() if one.quantity}
            async for one in client.reservations(state="committed"):
                if sum(line.open for line in one.lines):
                    owed.add(str(one.order_ref))
            return owed


def open_units(order: Order) -> int:
    return sum(item.quantity - item.restocked for item in order.items)


async def day(directory: Path, file: Path, most: int, *, seed: int = 1) -> Outcome:
    """All of it."""
    orders = orders_of(file, most)
    found = Outcome()
    quick = WooSettings(**{name: getattr(QUICK, name) for name in QUICK.__dataclass_fields__} | {"late_ms": 0})
    pace = Pacing(busy_percent=100, backfill_minutes=1, overlap_minutes=60, timeout_ms=2_000)
    async with running(directory, plugin=True, woo=quick, pace=pace, ships_from="W1") as one:
        of_day = Day(one, orders, seed)
        await of_day.stock()
        await one.begin()
        await of_day.run()
        await of_day.fault(0)
        await one.deliver()

        async def agree() -> bool:
            one.connector.read_since(None)
            found.wrong = await of_day.differs()
            return not found.wrong

        with contextlib.suppress(AssertionError):  # what differs is in the outcome
            await until(agree, AGREE_S, every_s=1.0)
        report = one.connector.reported()
        found.figures = {"orders": len(orders), "skus": len(of_day.levels), **of_day.counts, **report.orders}
        found.figures |= {"found by reading": report.found_by_reading, "webhooks ended": report.webhooks_ended_by_shop}
        found.figures["deliveries"] = dict(Counter(one.store.webhooks.statuses))
    return found
