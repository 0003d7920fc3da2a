"""The connector at the size of a large shop: many deliveries in any order, and many SKUs to write.

In: how many. Out: what was counted, and what was not as it must be. Always: gateway, NATS, publisher and the double's
HTTP are real; the shop's life is a function of the number of an order, so that what must come out is known beforehand.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from holdfast.woo.intake import signature_of
from tests.support.served import level
from tests.support.woo_running import Running, running, until
from tests.support.woo_store.model import Item, Order, gmt

SECRET = "a secret"
COPIES = 5
LEVEL = 1_000_000
LIVES = ("processing", "on-hold", "cancelled", "completed")


@dataclass
class Outcome:
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def life(number: int, version: int, began_s: int) -> dict[str, Any]:
    """An order as it is in its version 0 to 4: it is edited, and ends in one of four ways. Every tenth changes twice in
    one second.
    """
    seconds = began_s + number % 600 + version * (0 if number % 10 == 0 and version == 1 else 60)
    status = "processing" if version < COPIES - 1 else LIVES[number % len(LIVES)]
    items = [
        {"id": number * 10 + 1, "quantity": 1 + version % 3, "sku": f"S{number % 1_000}", "meta_data": []},
        {"id": number * 10 + 2, "quantity": 2, "sku": f"S{(number * 7) % 1_000}", "meta_data": []},
    ]
    return {
        "id": number,
        "status": status,
        "date_modified_gmt": gmt(seconds),
        "date_completed_gmt": gmt(seconds) if status == "completed" else None,
        "billing": {"email": f"{number}@example.com", "address_1": "x" * 300},
        "line_items": items if version % 2 == 0 or number % 3 else items[:1],
    }


def owed(orders: int, began_s: int) -> dict[str, int]:
    units: Counter[str] = Counter()
    for number in range(1, orders + 1):
        final = life(number, COPIES - 1, began_s)
        if final["status"] in {"processing", "on-hold"}:
            for item in final["line_items"]:
                units[item["sku"]] += item["quantity"]
    return units


async def deliveries(directory: Path, orders: int, *, seed: int = 1, at_once: int = 16) -> Outcome:
    """Each order five times, shuffled; 1 % malformed and 1 % badly signed beside."""
    pick = random.Random(seed)
    began_s = int(time.time()) - 3_000
    found = Outcome()
    async with running(directory) as one:
        skus = sorted({item["sku"] for n in range(1, min(orders, 1_000) + 1) for item in life(n, 0, 0)["line_items"]})
        for at in range(0, len(skus), 500):
            await one.api.facts(*(level(sku, LEVEL, "W1", "2025-01-01T00:00:00Z") for sku in skus[at : at + 500]))
        await one.begin()
        _fill(one, orders, began_s)  # only now: else they would all have been read before the first delivery
        plan = [(number, version) for number in range(1, orders + 1) for version in range(COPIES)]
        plan += [(0, 0)] * (len(plan) // 100) + [(-1, 0)] * (len(plan) // 100)
        pick.shuffle(plan)
        await _send(one, plan, began_s, found, at_once)
        connector = one.connector
        await until(
            lambda: connector.reported().deliveries_waiting == 0 and not connector.orders.asked, 600, every_s=0.2
        )
        wanted = {sku: LEVEL - units for sku, units in owed(orders, began_s).items()}
        await until(lambda: _agree(one, wanted), 60, every_s=0.2)
        counts = connector.reported()
        found.figures = {"orders": orders, **counts.orders, "unreadable": counts.deliveries_unreadable}
        sent = orders * COPIES
        if found.statuses != Counter({200: sent + sent // 100, 401: sent // 100}):
            found.wrong.append(f"statuses: {dict(found.statuses)}")
        if found.slowest_s > 1.0:
            found.wrong.append(f"an answer took {found.slowest_s:.2f} s")
        if counts.rejected:
            found.wrong.append(f"rejected: {counts.rejected[:3]}")
    return found


def _fill(one: Running, orders: int, began_s: int) -> None:
    """The shop has every order as it is in the end."""
    for number in range(1, orders + 1):
        final = life(number, COPIES - 1, began_s)
        modified_s = began_s + number % 600 + (COPIES - 1) * 60
        items = [Item(item["id"], 0, item["sku"], item["quantity"]) for item in final["line_items"]]
        completed_s = float(modified_s) if final["status"] == "completed" else None
        made = Order(number, final["status"], began_s, modified_s, "rest-api", items, completed_s=completed_s)
        one.model.orders[number] = made
    one.model.payload = lambda order: life(order.id, COPIES - 1, began_s)  # type: ignore[method-assign]


async def _send(one: Running, plan: list[tuple[int, int]], began_s: int, found: Outcome, at_once: int) -> None:
    url = f"http://127.0.0.1:{one.api.port}/v1/webhooks/woocommerce/shop"
    waiting = iter(plan)

    async def worker(session: aiohttp.ClientSession) -> None:
        for number, version in waiting:
            body = orjson.dumps(life(number, version, began_s)) if number > 0 else b"{not json"
            signature = signature_of(body, SECRET if number >= 0 else "another")
            headers = {"X-WC-Webhook-Topic": "order.updated", "X-WC-Webhook-Signature": signature}
            began = time.monotonic()
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()
                found.statuses[answer.status] += 1
            found.slowest_s = max(found.slowest_s, time.monotonic() - began)

    # As WooCommerce does it: each delivery on a connection by itself.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        await asyncio.gather(*(worker(session) for _ in range(at_once)))


async def _agree(one: Running, wanted: dict[str, int]) -> bool:
    names = sorted(wanted)
    for at in range(0, len(names), 1_000):
        body = {"channel": "web", "skus": names[at : at + 1_000]}
        answer = await one.api("POST", "/v1/availability", body)
        if any(item["sellable"] != wanted[item["sku"]] for item in answer.json["items"]):
            return False
    return True


async def figures(directory: Path, skus: int, *, down_s: float = 2.0, plugin: bool = True) -> Outcome:
    """All SKUs change twice, the shop is down in between, and one of them changes every 10 ms."""
    found = Outcome()
    async with running(directory, plugin=plugin) as one:
        names = [f"S{n}" for n in range(skus)]
        for name in names:
            one.model.add(name, 0)
        one.model.add("BUSY", 0)
        by_sku = {product.sku: product for product in one.model.products.values()}
        one.model.by_sku = lambda sku: [by_sku[sku]] if sku in by_sku else []  # type: ignore[method-assign]
        await _levels(one, names, 1, 5)
        await one.begin()
        began = time.monotonic()
        await until(lambda: all(by_sku[name].stock == 5 for name in names), 1_800, every_s=0.2)
        found.figures["first_s"] = round(time.monotonic() - began, 1)
        busy = asyncio.create_task(_busy(one))
        one.store.faults.down = True
        await _levels(one, names, 2, 7)
        await asyncio.sleep(down_s)
        one.store.faults.down = False
        began = time.monotonic()
        await until(lambda: all(by_sku[name].stock == 7 for name in names), 1_800, every_s=0.2)
        found.figures["again_s"] = round(time.monotonic() - began, 1)
        busy.cancel()
        twice = [name for name in names if by_sku[name].writes != [5, 7]]
        if twice:
            found.wrong.append(f"{len(twice)} SKUs were not written once a value: {by_sku[twice[0]].writes[:5]}")
        report = one.connector.reported()
        found.figures |= {
            "written": report.push_written,
            "coalesced": report.push_coalesced,
            "calls": report.push_calls,
        }
        found.figures["busy_writes"] = len(by_sku["BUSY"].writes)
    return found


async def _levels(one: Running, names: list[str], day: int, quantity: int) -> None:
    for at in range(0, len(names), 2_000):
        part = names[at : at + 2_000]
        await one.api.facts(*(level(name, quantity, "W1", f"2025-01-0{day}T00:00:00Z") for name in part))


async def _busy(one: Running) -> None:
    for n in range(1, 1_000_000):
        minute, second = divmod(n % 3_600, 60)
        await one.api.facts(level("BUSY", 1 + n % 50, "W1", f"2025-02-{1 + n // 3_600:02}T00:{minute:02}:{second:02}Z"))
        await asyncio.sleep(0.01)
