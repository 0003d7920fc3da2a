"""What a shop has, and what its connector knows.

In: a store's files; NATS, where the connector reports. Out: orders, stock; whether the connector has read the shop
since, and written all figures. Always: the shop is only read; the connector is asked to read, as it does on schedule.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from holdfast.errors import LogError, UnreachableError
from holdfast.nats.connection import Connection
from holdfast.nats.outlets import Outlets, checkpoint_of, last_of
from holdfast.nats.streams import stream_state
from holdfast.settings import Settings
from holdfast.woo.connectors import Asked
from holdfast.woo.mapping import ASKED_MAX, Found, Mapping
from holdfast.woo.outlets import WooStreams
from holdfast.woo.report import StoreReport, report_of
from holdfast.woo.rest import Shop
from holdfast.woo.shop_orders import ShopOrders
from holdfast.woo.snapshots import Snapshot
from holdfast.woo.stores import Files, Store

_POLL_S = 0.1
_ANSWER_MS = 2_000
_RECENT_S = 10


@dataclass(frozen=True, slots=True)
class ShopWatch:
    """`orders`: the connector has read the shop's orders since; `stock`: it has written all figures. If not, `why`.

    `problems`: SKUs that it cannot write, and why.
    """

    orders: bool
    stock: bool
    why: str = ""
    problems: dict[str, str] = field(default_factory=dict)


class ShopSide:
    """One store. Raises ShopError, StoreError, LogError."""

    def __init__(
        self, files: Files, store: Store, connection: Connection, scope: str, settings: Settings, settle_ms: int
    ) -> None:
        self.name = files.name
        self.store = store
        self._connection = connection
        self._outlets, self._streams = Outlets(scope), WooStreams(scope)
        self._asks = f"hf.{scope}.woo.do.{files.name}"
        self._settings = settings
        self._settle_s = settle_ms / 1000
        self._shop = Shop(store.url, files.rest_key(), store.pace.timeout_ms)
        self._orders = ShopOrders(self._shop, settings.woo)
        self._mapping = Mapping(self._shop)
        self.clock_s = 0.0

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["ShopSide"]:
        """Ready to be asked."""
        async with self._shop:
            await self._read_clock()
            yield self

    async def _read_clock(self) -> None:
        self.clock_s = (await self._shop.get("orders", per_page=1, _fields="id")).asked_s

    # ---- the shop

    async def changed(self, days: int) -> dict[int, Snapshot]:
        """Orders that changed within so many days."""
        await self._read_clock()
        found: dict[int, Snapshot] = {}
        async for page in self._orders.changed_since(int(self.clock_s) - days * 86_400):
            found |= {one.order: one for one in page}
        return found

    async def by_number(self, orders: Sequence[int]) -> dict[int, Snapshot]:
        """These, as far as the shop has them."""
        await self._read_clock()
        read, _ = await self._orders.by_number(list(orders))
        return {one.order: one for one in read}

    async def products(self, skus: Sequence[str]) -> Found:
        """Where these are, and what is there."""
        found = Found()
        for at in range(0, len(skus), ASKED_MAX):
            part = await self._mapping.find(list(skus[at : at + ASKED_MAX]))
            found.places |= part.places
            found.missing |= part.missing
            found.double |= part.double
            found.unaskable |= part.unaskable
        return found

    async def just_moved(self) -> set[str]:
        """SKUs of orders so young that the shop may still be moving its own stock for them."""
        report = await self.report()
        if report is not None and report.shop.get("writes_stock") is True:
            return set()
        await self._read_clock()
        since_s = int(self.clock_s - self._settings.woo.doubt_ms / 1000) - _RECENT_S
        found: set[str] = set()
        async for page in self._orders.changed_since(since_s):
            found |= {line.sku for one in page for line in one.lines}
        return found

    # ---- what was published for it

    async def figures(self, skus: Collection[str]) -> dict[str, int]:
        """The newest published figure of each."""
        found: dict[str, int] = {}
        for sku in skus:
            with contextlib.suppress(LogError):
                message = await last_of(
                    self._connection, self._outlets.available, self._outlets.figure(self.store.channel, sku)
                )
                if message is not None:
                    figure = msgspec.json.decode(message[1], type=_Figure)
                    found[sku] = 0 if figure.gone else max(0, figure.published)
        return found

    async def published(self, sequence: int) -> None:
        """Wait until everything up to a sequence of LOG is published; not for ever."""
        await published_upto(self._connection, self._outlets, sequence, self._settle_s)

    # ---- its connector

    async def report(self) -> StoreReport | None:
        """Of a connector that has not ended; whether it still writes them, `settle` sees."""
        try:
            message = await last_of(self._connection, self._streams.reports, self._streams.report(self.name))
        except LogError:
            return None
        found = None if message is None else report_of(message[1])
        return None if found is None or found.ended else found

    async def settle(self, sequence: int) -> ShopWatch:
        """Wait until the connector has read the orders of now, and written all figures up to a sequence of LOG."""
        deadline, asked_s, clock_s = time.monotonic() + self._settle_s, time.time(), int(self.clock_s)
        first = await self.report()
        if first is None:
            return ShopWatch(orders=False, stock=False, why="the connector of the shop does not run")
        with contextlib.suppress(UnreachableError):
            await self._connection.request(self._asks, msgspec.json.encode(Asked("backfill")), _ANSWER_MS)
        upto: int | None = None
        while True:
            upto = await self._available_upto(sequence) if upto is None else upto
            report = await self.report()
            if report is None:
                return ShopWatch(orders=False, stock=False, why="the connector of the shop stopped")
            fresh = report.at_s > asked_s
            read = fresh and report.backfills_total > first.backfills_total and report.read_upto_s >= clock_s
            orders = read and not report.deliveries_waiting
            taken = fresh and upto is not None and report.figures_taken >= upto
            stock = taken and not report.push_waiting and not report.push_in_flight
            if (orders and stock) or time.monotonic() > deadline:
                why = "; ".join(report.errors[-1:]) or "the connector did not catch up within `settle_ms`"
                return ShopWatch(orders, stock, "" if orders and stock else why, report.push_problems)
            await asyncio.sleep(_POLL_S)

    async def _available_upto(self, sequence: int) -> int | None:
        """Where AVAILABLE ended once the publisher had published up to a sequence; None: not yet."""
        if await published_upto(self._connection, self._outlets, sequence, 0) is None:
            return None
        with contextlib.suppress(LogError):
            return (await stream_state(self._connection, self._outlets.available)).last_sequence
        return None


async def published_upto(connection: Connection, outlets: Outlets, sequence: int, within_s: float) -> int | None:
    """Wait until the publisher has published up to a sequence of LOG: where OUT ended then. None: it has not."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(LogError):
            found = await checkpoint_of(connection, outlets)
            if found is not None and found[1].sequence >= sequence:
                return found[1].out_sequence
        if time.monotonic() >= deadline:
            return None
        await asyncio.sleep(_POLL_S)


class _Figure(msgspec.Struct):
    published: int
    gone: bool = False
