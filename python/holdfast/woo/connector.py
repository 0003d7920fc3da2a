"""One shop, connected.

Role: run the parts of one store side by side: deliveries, reading of orders, the guardian of the webhooks, pushing, the
report. In: a store, the gateway's client, the streams. Out: orders stated, stock written. Always: orders that were
changed while nothing ran are read before the first delivery counts; each part tries again for ever, with a pause that
grows, and none stops another; what a later run needs is in the report.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import msgspec
import structlog

from holdfast.client import Client, ClientError
from holdfast.errors import LogError
from holdfast.nats.connection import Connection
from holdfast.nats.outlets import Outlets, last_of
from holdfast.nats.stream_reader import StreamReader
from holdfast.nats.streams import stream_state
from holdfast.settings import Settings
from holdfast.tasks import cancel_and_wait
from holdfast.woo.about import describe
from holdfast.woo.figures import Figures
from holdfast.woo.guardian import Guardian
from holdfast.woo.lag import report_lag
from holdfast.woo.lease import Lease, OvertakenError
from holdfast.woo.orderbook import OrderBook
from holdfast.woo.orders import Orders
from holdfast.woo.outlets import WooStreams
from holdfast.woo.pusher import Pusher
from holdfast.woo.queue import NOTHING_WRITTEN, PushQueue, Standing
from holdfast.woo.report import StoreReport, report_of
from holdfast.woo.rest import Shop, ShopError
from holdfast.woo.shop_orders import ShopOrders
from holdfast.woo.shortage import short
from holdfast.woo.snapshots import NoOrderError, Snapshot, order_of
from holdfast.woo.stores import Files, Store, StoreError

log = structlog.get_logger(__name__)

EXPECTED = (ShopError, ClientError, LogError, StoreError, OSError)
_FIRST_READ_S = 3_600
"""How far back orders are read when nothing was ever read."""


@dataclass(slots=True)
class Places:
    """Where an earlier run stopped."""

    deliveries: int = 0
    figures: Standing = NOTHING_WRITTEN
    read_upto_s: int = 0


@dataclass
class Connector:
    """Of one store. `run` until it is cancelled."""

    name: str
    store: Store
    files: Files
    client: Client
    connection: Connection
    scope: str
    settings: Settings
    lease: Lease
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=20))

    def __post_init__(self) -> None:
        woo = self.settings.woo
        self.streams = WooStreams(self.scope)
        self.outlets = Outlets(self.scope)
        self.shop = Shop(self.store.url, self.files.rest_key(), self.store.pace.timeout_ms)
        self.shop_orders = ShopOrders(self.shop, woo)
        self.orders = Orders(self.name, self.store, self.client, self.shop_orders, woo, OrderBook(woo.known_orders_max))
        self.guardian = Guardian(self.shop, self.name, delivery_url(self.store, self.name))
        self.queue = PushQueue(woo.doubt_ms / 1000)
        self.report = StoreReport(self.name, self.lease.run, started_s=time.time())
        self.pusher: Pusher | None = None
        self.figures: Figures | None = None
        self._read_now = asyncio.Event()
        self._since_s: int | None = None
        self._ready = asyncio.Event()
        self._failing: dict[str, str] = {}
        self._figures_after: Standing | None = None
        self._following: asyncio.Task[None] | None = None

    # ---- what others ask of it

    def read_since(self, since_s: int | None) -> None:
        """Read changed orders now, from a time on."""
        self._since_s = since_s
        self._read_now.set()

    def push_all(self) -> int:
        """Read what the shop has of every SKU, and write what differs. How many SKUs there are."""
        self._figures_after = NOTHING_WRITTEN
        if self._following is not None:
            self._following.cancel()  # all figures are read again, those of an earlier run too
        known = self.queue.again()
        if self.pusher is not None:
            self.pusher.wake()
        return known

    # ---- its life

    async def run(self) -> None:
        """Until cancelled."""
        async with self.shop:
            places = await self._again("start", self._places)
            report = self.report
            report.deliveries_taken = places.deliveries
            self._note(places.figures)
            report.read_upto_s = places.read_upto_s
            tasks = [asyncio.create_task(self._forever("report", self._write_reports))]
            try:
                await self._again("start", self._begin)
                tasks += self._parts(places)
                await asyncio.gather(*tasks)
            finally:
                await cancel_and_wait(*tasks)
                report.ended = True
                with contextlib.suppress(*EXPECTED):
                    await self._write_report()

    def _parts(self, places: Places) -> list[asyncio.Task[None]]:
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "deliveries": lambda: self._follow_deliveries(places),
            "reading": self._read_on_schedule,
            "webhooks": self._guard,
            "asking": self._ask,
        }
        if self.store.push:
            work |= {"figures": lambda: self._follow_figures(places), "push": self._push}
        return [asyncio.create_task(self._forever(part, done)) for part, done in work.items()]

    async def _forever(self, part: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._again(part, work)

    async def _again(self, part: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do it, and again after a growing pause while shop, gateway or log do not do their part."""
        woo = self.settings.woo
        pause_ms = woo.retry_ms
        while True:
            began = time.monotonic()
            # What goes on for a while works again.
            working = asyncio.get_running_loop().call_later(woo.retry_ms_max / 1000, self._failing.pop, part, None)
            try:
                done = await work()
            except OvertakenError:
                raise
            except EXPECTED as fault:
                working.cancel()
                if (time.monotonic() - began) * 1000 > woo.retry_ms_max:
                    pause_ms = woo.retry_ms
                why = f"{part}: {fault}"[:500]
                if self._failing.get(part) != why:
                    log.warning("woo-waits", store=self.name, part=part, why=str(fault))
                    self.errors.append(why)
                self._failing[part] = why
                asked_ms = int((fault.retry_after_s or 0) * 1000) if isinstance(fault, ShopError) else 0
                await asyncio.sleep(max(pause_ms, min(asked_ms, 3_600_000)) / 1000)
                pause_ms = min(pause_ms * 2, woo.retry_ms_max)
                continue
            finally:
                working.cancel()
            self._failing.pop(part, None)
            return done

    async def _begin(self) -> None:
        """Ask shop and holdfast what they know; read the orders that changed meanwhile."""
        self.report.shop = await describe(self.shop)
        plugin = bool(self.report.shop.get("plugin_version"))
        self.pusher = self.pusher or Pusher(self.store, self.shop, self.queue, plugin=plugin)
        await self.orders.recall()
        await self._read(first=True)
        self._ready.set()

    async def _places(self) -> Places:
        found = await last_of(self.connection, self.streams.reports, self.streams.report(self.name))
        before = None if found is None else report_of(found[1])
        places = Places()
        if before is not None:
            figures = Standing(before.figures_done, tuple(before.figures_open), before.figures_more)
            places = Places(before.deliveries_taken, figures, before.read_upto_s)
        # A stream that was lost begins at 1 again: a place beyond its end would wait for ever.
        deliveries = await stream_state(self.connection, self.streams.deliveries)
        if places.deliveries > deliveries.last_sequence:
            places.deliveries = 0
        with contextlib.suppress(LogError):
            available = await stream_state(self.connection, self.outlets.available)
            if places.figures.done > available.last_sequence:
                places.figures = NOTHING_WRITTEN
        return places

    # ---- deliveries

    async def _follow_deliveries(self, places: Places) -> None:
        state = await stream_state(self.connection, self.streams.deliveries)
        after = max(places.deliveries, self.report.deliveries_taken)
        if state.first_sequence > after + 1 and state.messages:
            self.report.deliveries_lost += state.first_sequence - after - 1
            self._read_now.set()
        woo = self.settings.woo
        reader = StreamReader(
            self.connection,
            self.streams.deliveries,
            max(after, state.first_sequence - 1),
            self.settings.log,
            is_sparse=True,
        )
        await reader.open()
        prefix = self.streams.delivery(self.name, "x")[:-1]
        try:
            while True:
                entries = await reader.take(woo.batch_max, woo.batch_bytes_max)
                ours = [one for one in entries if one.subject.startswith(prefix)]
                if ours:
                    await self._take([one.payload for one in ours if one.subject.startswith(f"{prefix}order")])
                    self.report.deliveries_total += len(ours)
                    self.report.last_delivery_s = time.time()
                self.report.deliveries_taken = entries[-1].sequence
                self.report.deliveries_waiting = max(0, (reader.end or 0) - entries[-1].sequence)
        finally:
            await reader.close()

    async def _take(self, payloads: list[bytes]) -> None:
        snapshots: list[Snapshot] = []
        ask: list[int] = []
        for payload in payloads:
            try:
                snapshots.append(order_of(payload))
            except NoOrderError as fault:
                if fault.order:
                    ask.append(fault.order)
                else:
                    self.report.deliveries_unreadable += 1
        if snapshots:
            newest_s = max(one.modified_s for one in snapshots)
            self.report.delivery_lag_s = round(max(0.0, time.time() - newest_s), 1)
        await self._again("gateway", lambda: self.orders.take(snapshots, ask))
        self._look_later(snapshots)

    def _look_later(self, snapshots: list[Snapshot]) -> None:
        """Where no plugin keeps WooCommerce from moving its own stock, an order moves it."""
        if self.pusher is None or self.report.shop.get("writes_stock") is True:
            return
        now_s = time.monotonic()
        for sku in {line.sku for one in snapshots for line in one.lines}:
            self.queue.look_later(sku, now_s)

    async def _ask(self) -> None:
        await self._ready.wait()
        await asyncio.sleep(self.settings.woo.settle_ms / 4_000)
        await self.orders.ask()

    # ---- reading the shop

    async def _read_on_schedule(self) -> None:
        swept_s = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.store.pace.backfill_minutes * 60):
                    await self._read_now.wait()
            self._read_now.clear()
            try:
                await self._read()
            except BaseException:
                self._read_now.set()  # again after a pause, not when the next reading is due
                raise
            if time.monotonic() - swept_s > self.store.pace.sweep_hours * 3_600:
                swept_s = time.monotonic()
                await self.orders.take([], self.orders.book.open_orders())

    async def _read(self, *, first: bool = False) -> None:
        """Orders that changed since the last time, with an overlap; then the time up to which all is read."""
        woo, report = self.settings.woo, self.report
        now_s = (await self.shop.get("orders", per_page=1, _fields="id")).asked_s
        overlap_s = self.store.pace.overlap_minutes * 60
        since_s, self._since_s = self._since_s, None
        if since_s is None:
            since_s = report.read_upto_s - overlap_s if report.read_upto_s else int(now_s) - _FIRST_READ_S
        try:
            async for page in self.shop_orders.changed_since(since_s):
                late = [one for one in page if one.modified_s < now_s - woo.late_ms / 1000]
                missed = [] if first else [one for one in late if self._is_news(one)]
                await self.orders.take(page)
                report.found_by_reading += len(missed)
                for one in missed:
                    log.info("order-without-webhook", store=self.name, order=one.order)
        except BaseException:
            self._since_s = since_s
            raise
        if first:
            await self.orders.take([], self.orders.book.open_orders())
            await self.orders.ask(at_once=True)
        await self.orders.look_for_skus()
        if not first:
            report.shop = await describe(self.shop)
            if self.pusher is not None:
                self.pusher.use(plugin=bool(report.shop.get("plugin_version")))
        report.backfills_total += 1
        report.read_upto_s = max(report.read_upto_s, int(now_s))
        self.orders.book.trusted_from_s = since_s
        with contextlib.suppress(ClientError):  # it is counted again with the next reading
            report.short = await short(self.client, self.store.channel, self.orders.book)

    def _is_news(self, snapshot: Snapshot) -> bool:
        known = self.orders.book.known(snapshot.order)
        return snapshot.modified_s > known.modified_s or snapshot.mark != known.mark

    # ---- webhooks, pushing, the report

    async def _guard(self) -> None:
        secrets = await asyncio.to_thread(self.files.webhook_secrets)
        was = self.guardian.health.ended_by_shop
        await self.guardian.watch(secrets[0] if secrets else "")
        if self.guardian.health.ended_by_shop > was:
            self._read_now.set()  # while a webhook is ended, WooCommerce does not even collect what happens
        await asyncio.sleep(self.settings.woo.guard_ms / 1000)

    async def _follow_figures(self, places: Places) -> None:
        assert self.pusher is not None, "Invariant: begun"
        before = places.figures if self._figures_after is None else self._figures_after
        figures = Figures(self.connection, self.outlets, self.store, self.pusher, self.settings)
        self.pusher.recall = figures.recall
        after = await figures.resume(before)
        late_upto = before.done if before.more else 0
        self._following = asyncio.create_task(figures.follow(after, late_upto=late_upto))
        self.figures = figures
        try:
            await asyncio.wait({self._following})
            if not self._following.cancelled():
                await self._following
        finally:
            await cancel_and_wait(self._following)
            if self._figures_after is None or self._figures_after is before:
                self._figures_after = Standing(figures.taken, (), more=False)  # the queue has them

    async def _push(self) -> None:
        assert self.pusher is not None, "Invariant: begun"
        await self.pusher.run()

    async def _write_reports(self) -> None:
        await self._write_report()
        if self.store.push and self.pusher is not None:
            await report_lag(self.connection, self.outlets, self.store.channel, self.pusher.lag.take_ms())
        await asyncio.sleep(self.settings.woo.report_ms / 1000)

    async def _write_report(self) -> None:
        report = self.reported()
        await self.lease.write(report, msgspec.json.encode(report))

    def _note(self, figures: Standing) -> None:
        report = self.report
        report.figures_done, report.figures_open, report.figures_more = figures.done, list(figures.open), figures.more

    def reported(self) -> StoreReport:
        """The report of now."""
        report, counts, health, queue = self.report, self.orders.counts, self.guardian.health, self.queue
        report.at_s = time.time()
        report.state = "waiting" if self._failing else "working" if self._ready.is_set() else "starting"
        report.orders = asdict(counts)
        report.orders_known = len(self.orders.book)
        report.orders_open = len(self.orders.book.open_orders())
        report.unknown_statuses = dict(list(self.orders.unknown_statuses.items())[:50])
        report.unknown_skus = sorted(self.orders.skus.waiting)[:100]
        report.rejected = list(self.orders.rejected)
        report.webhooks_active, report.webhooks_wrong = health.active, health.wrong
        report.webhooks_repaired, report.webhooks_ended_by_shop = health.repaired, health.ended_by_shop
        report.push_waiting, report.push_in_flight, report.push_known = len(queue), queue.in_flight, queue.known
        report.push_set_aside = queue.set_aside
        report.push_written, report.push_same = queue.written_total, queue.same_total
        report.push_coalesced = queue.coalesced_total
        if self.figures is not None:
            report.figures_taken = self.figures.taken
            self._note(queue.standing(self.figures.taken, self.settings.woo.open_figures_max))
        if self.pusher is not None:
            report.push_calls, report.push_batch = self.pusher.calls_total, self.pusher.pace.size
            report.push_answer_s = round(self.pusher.pace.last_answer_s, 3)
            report.last_push_s = self.pusher.last_written_s
            report.push_problems = dict(list(self.pusher.problems.by_sku.items())[:100])
        report.errors = list(self.errors)
        report.requests_total = self.shop.requests_total
        return report


def delivery_url(store: Store, name: str) -> str:
    """Where the shop's webhooks go; "" where the shop cannot reach this gateway yet."""
    return f"{store.delivery_url.rstrip('/')}/v1/webhooks/woocommerce/{name}" if store.delivery_url else ""
