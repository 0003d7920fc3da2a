"""A run: all that is connected, compared.

In: settings, a data directory, a gateway, NATS. Out: a report; corrections where they are asked for. Always: what
cannot be reached is said, and the rest is compared; the memory of runs is written at the end.
"""

import asyncio
import time
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from holdfast.client import Client
from holdfast.client.errors import ClientError
from holdfast.erp.interface import ErpError
from holdfast.errors import LogError
from holdfast.nats.connection import Connection
from holdfast.nats.outlets import Outlets
from holdfast.reconcile.corrections import Corrections, Speaker
from holdfast.reconcile.erp_orders import ErpOrdersComparison
from holdfast.reconcile.erp_side import ErpSide
from holdfast.reconcile.findings import Compared, Difference, Pair, Report, What
from holdfast.reconcile.gateway_side import GatewaySide
from holdfast.reconcile.levels import LevelsComparison
from holdfast.reconcile.memory import Memory, remembering
from holdfast.reconcile.rounds import Comparison, compare
from holdfast.reconcile.shop_orders import ShopOrdersComparison, TwiceComparison
from holdfast.reconcile.shop_side import ShopSide, published_upto
from holdfast.reconcile.stock import StockComparison
from holdfast.settings import Settings
from holdfast.woo.rest import ShopError
from holdfast.woo.stores import Files, Store, StoreError, names_in

log = structlog.get_logger(__name__)

EXPECTED = (ErpError, ShopError, StoreError, ClientError, LogError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Place:
    """What is compared, and by which gateway and log."""

    data: Path
    gateway: str
    scope: str
    settings: Settings
    connection: Connection


@dataclass(slots=True)
class _Sides:
    erps: list[ErpSide] = field(default_factory=list)
    shops: list[ShopSide] = field(default_factory=list)
    failed: list[Compared] = field(default_factory=list)
    speakers: dict[str, Speaker] = field(default_factory=dict)


async def reconcile(place: Place, apply: Collection[str] = ()) -> Report:
    """Compare once. Raises OSError, sqlite3.Error where what it remembers cannot be written."""
    settings, began = place.settings.reconcile, time.monotonic()
    with remembering(place.data) as memory:
        report = Report(began_ms=int(time.time() * 1000))
        report.run = memory.begin(report.began_ms)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(Client(place.gateway, settings.key or None, timeout_s=30))
            sides = await _opened(place, stack)
            report.comparisons = sides.failed
            work = _comparisons(place, sides, GatewaySide(client), memory)
            for compared, found in await asyncio.gather(*(_compare(name, one) for name, one, _ in work)):
                report.comparisons.append(compared)
                report.differences += found
            for _, _, after in work:
                after()
            new = memory.note(report.run, report.began_ms, report.comparisons, report.differences)
            corrections = Corrections(report.run, place.scope, sides.speakers, place.connection, memory.note_applied)
            await corrections.apply(report.differences, apply)
        report.applied, report.trend = memory.applied(), memory.trend()
    report.took_ms = int((time.monotonic() - began) * 1000)
    _alarm(report, new)
    return report


async def _opened(place: Place, stack: AsyncExitStack) -> _Sides:
    """Every connection that can be asked."""
    found, settle_ms = _Sides(), place.settings.reconcile.settle_ms
    for name, settings in place.settings.erp.items():
        erp = ErpSide(name, settings, place.data, settle_ms)
        found.speakers[name] = Speaker(erp.source, settings.gateway or place.gateway, settings.key or None)
        try:
            found.erps.append(await stack.enter_async_context(erp.opened()))
        except FileNotFoundError:
            found.failed.append(_failed("erp-holdfast", "level", name, "the connection has never run here"))
        except EXPECTED as fault:
            found.failed.append(_failed("erp-holdfast", "level", name, str(fault)))
    for name in await asyncio.to_thread(names_in, place.data):
        files = Files(place.data, name)
        try:
            store: Store = await asyncio.to_thread(files.load)
            if store.paused:
                continue
            found.speakers[name] = Speaker(name, store.gateway or place.gateway, files.api_key())
            shop = ShopSide(files, store, place.connection, place.scope, place.settings, settle_ms)
            found.shops.append(await stack.enter_async_context(shop.opened()))
        except EXPECTED as fault:
            found.failed.append(_failed("shop-holdfast", "stock", name, str(fault)))
    return found


def _comparisons(place: Place, sides: _Sides, gateway: GatewaySide, memory: Memory) -> list[tuple[Compared, Any, Any]]:
    """What to compare, and what to do after each."""
    outlets, settings = Outlets(place.scope), place.settings.reconcile
    published = partial(_published, place.connection, outlets, settings.settle_ms / 1000)
    found: list[tuple[Compared, Any, Any]] = []

    def add(pair: Pair, what: What, connection: str, comparison: Comparison[Any, Any], after: Any = _nothing) -> None:
        found.append((Compared(pair=pair, what=what, connection=connection), comparison, after))

    for erp in sides.erps:
        add("erp-holdfast", "level", erp.name, LevelsComparison(erp, gateway))
        if erp.settings.orders:
            add("erp-holdfast", "order", erp.name, ErpOrdersComparison(erp, gateway, published))
    for shop in sides.shops:
        if shop.store.push:
            stock = StockComparison(shop, gateway, memory.seen(shop.name))
            add("shop-holdfast", "stock", shop.name, stock, partial(_note_seen, memory, shop.name, stock))
        orders = ShopOrdersComparison(shop, gateway, settings.order_days)
        add("shop-holdfast", "order", shop.name, orders)
        for erp in sides.erps:
            add("erp-shop", "order", erp.name, TwiceComparison(erp, shop, orders))
    return found


def _nothing() -> None:
    """Nothing is to be noted."""


def _note_seen(memory: Memory, store: str, stock: StockComparison) -> None:
    memory.note_seen(store, stock.there)


async def _published(connection: Connection, outlets: Outlets, within_s: float, sequence: int) -> int | None:
    return await published_upto(connection, outlets, sequence, within_s)


async def _compare(name: Compared, comparison: Comparison[Any, Any]) -> tuple[Compared, list[Difference]]:
    try:
        return await compare(comparison)
    except EXPECTED as fault:
        return _failed(name.pair, name.what, name.connection, str(fault)), []


def _failed(pair: Pair, what: What, connection: str, why: str) -> Compared:
    return Compared(pair=pair, what=what, connection=connection, failed=why)


def _alarm(report: Report, new: set[str]) -> None:
    """Once for each difference that was not there before."""
    fresh: list[Difference] = [one for one in report.differences if one.id in new and one.type != "rounding"]
    if fresh:
        types = {one.type: sum(other.type == one.type for other in fresh) for one in fresh}
        log.error("alarm", alarm="reconcile-differs", run=report.run, differences=len(fresh), **types)
