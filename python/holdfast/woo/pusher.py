"""Writing stock to the shop.

Role: carry out what the queue says, as fast as the shop bears. In: a queue; the shop. Out: writes, and what came of
each SKU. Always: with the plugin one call for any SKUs, each with LOG's sequence; without it one call for a hundred
products, and one for each parent of variations; an error of one item, which WooCommerce reports within a 200, concerns
that item alone; a whole call that is refused for good is halved until the SKU is found that is to blame; an answer that
did not come leaves its SKUs in doubt.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from holdfast.woo.lag import LagMeter
from holdfast.woo.mapping import Found, Mapping, Place
from holdfast.woo.pace import Pace
from holdfast.woo.queue import ABSENT, AT_ONCE, REFUSED, Pause, PushQueue, Value
from holdfast.woo.rest import PLUGIN, Shop, ShopError
from holdfast.woo.stores import Store

log = structlog.get_logger(__name__)

PLUGIN_MAX, REST_MAX = 500, 100
_IDLE_S = 0.5
_CONCERNS_ALL = {401, 404, 410}
"""The key, or the address: no SKU is to blame."""
_LISTED_MAX = 1_000
_KNOWN_MAX = 2_000_000


@dataclass(slots=True)
class Problems:
    """SKUs that cannot be written, and why; the newest of each."""

    by_sku: dict[str, str] = field(default_factory=dict)
    latest: deque[str] = field(default_factory=lambda: deque(maxlen=20))

    def add(self, sku: str, why: str) -> None:
        """It was not written."""
        if len(self.by_sku) < _LISTED_MAX or sku in self.by_sku:
            self.by_sku[sku] = why

    def end(self, sku: str) -> None:
        """It was."""
        self.by_sku.pop(sku, None)


class Pusher:
    """Of one store. `plugin`: whether the shop has the plugin's route."""

    def __init__(self, store: Store, shop: Shop, queue: PushQueue, *, plugin: bool) -> None:
        self.queue = queue
        self.plugin = plugin
        self.pace = _pace(store, plugin=plugin)
        self.problems = Problems()
        self.calls_total = 0
        self.last_written_s = 0.0
        self.lag = LagMeter()
        self._store = store
        self._shop = shop
        self._mapping = Mapping(shop)
        self._places: dict[str, Place] = {}
        self._at_parent: set[str] = set()
        self.recall: Callable[[str], Awaitable[None]] = _nothing
        """Puts the newest figure of a SKU into the queue, where there is one."""
        self._wake = asyncio.Event()

    def use(self, *, plugin: bool) -> None:
        """The plugin was installed, or removed."""
        if plugin != self.plugin:
            self.plugin = plugin
            self.pace = _pace(self._store, plugin=plugin)
            log.info("shop-changed", plugin=plugin)

    def want(self, sku: str, value: Value, *, place: int = 0, late: bool = False) -> None:
        """The shop is to have this; `place` and `late` as the queue has them."""
        self.queue.want(sku, value, place=place, late=late)
        if self.queue.is_due(sku):
            self.lag.wants(sku)
        else:
            self.lag.drop(sku)

    def wake(self) -> None:
        """Something is to be written."""
        self._wake.set()

    async def run(self) -> None:
        """For ever. Raises nothing that a shop can cause."""
        while True:
            if not await self.step():
                self._wake.clear()
                try:
                    async with asyncio.timeout(_IDLE_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def step(self) -> bool:
        """One write, when something is due and the shop may be worked. Whether there was one."""
        now_s = time.monotonic()
        closed_s = self.pace.wait_s(now_s, urgent=True)
        if closed_s > 0:
            await asyncio.sleep(min(closed_s, _IDLE_S))
            return True
        rest_s = self.pace.wait_s(now_s, urgent=False)
        batch = self.queue.take(self.pace.size, now_s, urgent_only=rest_s > 0)
        if batch is None:
            if rest_s > 0 and len(self.queue):
                await asyncio.sleep(min(rest_s, 0.05))
                return True
            return False
        write = self._write_by_plugin if self.plugin else self._write_by_rest
        try:
            await self._halved(batch.values, lambda part: write(part, batch.look))
        finally:
            for sku in batch.values:
                self.queue.unanswered(sku, time.monotonic())  # those that are still under way
        return True

    async def _halved(self, values: dict[str, Value], write: Callable[[dict[str, Value]], Awaitable[None]]) -> None:
        """Write these. One that keeps the shop from taking the others is found by halving, and set aside alone."""
        parts, refusals = [values], 0
        most = 2 * len(values).bit_length() + 1  # enough for one; where all are refused, it is not for one of them
        while parts:
            part = parts.pop()
            try:
                await write(part)
            except ShopError as fault:
                refusals += 1
                if self.plugin and fault.status == 404:
                    self.use(plugin=False)
                for_good = not fault.is_passing and fault.status not in _CONCERNS_ALL
                skus = [sku for sku in part if self.queue.is_under_way(sku)]
                if for_good and len(skus) > 1 and refusals < most:
                    parts += [{sku: part[sku] for sku in skus[half::2]} for half in (0, 1)]
                elif for_good and len(skus) == 1 and refusals > 1:
                    self._failed(skus[0], str(fault))
                else:
                    for waiting in (skus, *parts):
                        self._refused(list(waiting), fault)
                    return

    # ---- with the plugin

    async def _write_by_plugin(self, values: dict[str, Value], look: frozenset[str]) -> None:
        left = dict(values)
        await self._look_up(left, [sku for sku in left if sku in self._at_parent], look)
        entries: list[tuple[list[str], dict[str, Any]]] = []
        for sku, value in left.items():
            if sku not in self._at_parent:
                entries.append(([sku], _item({"sku": sku}, value.quantity, value)))
        at_parents: dict[int, list[str]] = {}
        for sku in (one for one in left if one in self._at_parent):
            at_parents.setdefault(self._places[sku].id, []).append(sku)
        for product, skus in at_parents.items():
            place = self._places[skus[0]]
            newest = max(
                (self.queue.wanted(sku) or left[skus[0]] for sku in place.siblings), key=lambda one: one.sequence
            )
            entries.append((skus, _item({"product": product}, self._quantity(place, newest), newest)))
        if not entries:
            return
        answer = await self._call("POST", f"{PLUGIN}stock", {"items": [item for _, item in entries]})
        results = answer.get("results") if isinstance(answer, dict) else None
        results = results if isinstance(results, list) and len(results) == len(entries) else [None] * len(entries)
        for (skus, _), one in zip(entries, results, strict=True):
            said = one if isinstance(one, dict) else {"status": "error", "message": "the plugin's answer lacks it"}
            for sku in skus:
                self._plugin_said(sku, str(said.get("status")), str(said.get("message") or ""))

    def _plugin_said(self, sku: str, status: str, message: str) -> None:
        if status in {"written", "same", "older"}:
            self._done(sku, wrote=status == "written")
        elif status in {"unknown", "ambiguous"}:
            self._absent(sku, "the shop has no product of this SKU" if status == "unknown" else "several products")
        elif status == "parent" and sku not in self._at_parent:
            self._at_parent.add(sku)
            self.queue.failed(sku, time.monotonic(), AT_ONCE)
        else:
            self._failed(sku, message or status)

    # ---- without it

    async def _write_by_rest(self, values: dict[str, Value], look: frozenset[str]) -> None:
        left = dict(values)
        await self._look_up(left, list(left), look)
        for path, entries in self._calls(left).items():
            for at in range(0, len(entries), REST_MAX):
                await self._send(path, entries[at : at + REST_MAX])

    async def _look_up(self, values: dict[str, Value], skus: list[str], look: frozenset[str]) -> None:
        """Find out where these are, unless it is known; leave out of `values` what needs no write."""
        unknown = [sku for sku in skus if sku in look or sku not in self._places]
        if not unknown:
            return
        found = await self._mapping.find(unknown)
        self.pace.answered(time.monotonic(), 0.0)
        for sku in {sibling for place in found.places.values() for sibling in place.siblings}:
            if self.queue.wanted(sku) is None:  # an earlier run has written it, and it has not changed since
                await self.recall(sku)
        self._sort_out(values, found)

    def _sort_out(self, values: dict[str, Value], found: Found) -> None:
        """Leave out what is not there, and what the shop has already."""
        for sku in found.missing:
            self._absent(sku, "the shop has no product of this SKU")
        for sku, ids in found.double.items():
            self._absent(sku, f"several products have this SKU: {ids}")
        for sku in found.unaskable:
            self._absent(sku, "its comma or blank keeps the shop from finding it; with the plugin it is found")
        for sku in (*found.missing, *found.double, *found.unaskable):
            values.pop(sku, None)
            self._places.pop(sku, None)
        if len(self._places) > _KNOWN_MAX:
            self._places.clear()
        self._places |= found.places
        for sku, place in found.places.items():
            if not place.siblings:
                self._at_parent.discard(sku)
            value = values.get(sku)
            if value is None:
                continue
            quantity = self._quantity(place, value)
            if place.stock == quantity and value.backorders in {"", place.backorders}:
                self._done(sku, wrote=False)
                values.pop(sku)

    def _quantity(self, place: Place, value: Value) -> int:
        """Of a parent: the sum over the variations whose stock it manages."""
        if not place.siblings:
            return value.quantity
        wanted = (self.queue.wanted(sku) for sku in place.siblings)
        return sum(one.quantity for one in wanted if one is not None)

    def _calls(self, values: AbstractMapping[str, Value]) -> dict[str, list[tuple[list[str], dict[str, Any]]]]:
        """By path: the SKUs of an item, and the item."""
        calls: dict[str, dict[int, tuple[list[str], dict[str, Any]]]] = {}
        for sku, value in values.items():
            place = self._places[sku]
            is_variation = bool(place.parent) and not place.siblings
            path = f"products/{place.parent}/variations/batch" if is_variation else "products/batch"
            item: dict[str, Any] = {
                "id": place.id,
                "manage_stock": True,
                "stock_quantity": self._quantity(place, value),
            }
            if value.backorders:
                item["backorders"] = value.backorders
            skus, _ = calls.setdefault(path, {}).setdefault(place.id, ([], item))
            skus.append(sku)
        return {path: list(items.values()) for path, items in calls.items()}

    async def _send(self, path: str, entries: list[tuple[list[str], dict[str, Any]]]) -> None:
        try:
            answer = await self._call("POST", path, {"update": [item for _, item in entries]})
        except ShopError as fault:
            if fault.status in {404, 410}:  # the parent was deleted
                for skus, _ in entries:
                    for sku in skus:
                        self._places.pop(sku, None)
            self._refused([sku for skus, _ in entries for sku in skus], fault)
            return
        updated = answer.get("update") if isinstance(answer, dict) else None
        found = {one.get("id"): one for one in updated or [] if isinstance(one, dict)}
        for skus, item in entries:
            one = found.get(item["id"])
            error = {"message": "the answer lacks it"} if one is None else one.get("error")
            for sku in skus:
                if error:
                    self._places.pop(sku, None)  # it may be another product now
                    self._failed(sku, str(error.get("message") or error.get("code") or "refused"))
                else:
                    self._done(sku, wrote=True)

    # ---- both

    async def _call(self, method: str, path: str, body: Any) -> Any:
        self.calls_total += 1
        answer = await self._shop.send(method, path, None, body)
        now_s = time.monotonic()
        self.pace.answered(now_s, answer.took_s)
        self.last_written_s = time.time()
        return answer.value

    def _done(self, sku: str, *, wrote: bool) -> None:
        self.queue.done(sku, wrote=wrote)
        self.lag.has(sku, wrote=wrote)
        if self.queue.is_due(sku):
            self.lag.wants(sku)
        self.problems.end(sku)

    def _failed(self, sku: str, why: str) -> None:
        self._set_aside(sku, why, REFUSED)
        log.warning("stock-not-written", sku=sku, why=why)

    def _absent(self, sku: str, why: str) -> None:
        self._set_aside(sku, why, ABSENT)

    def _set_aside(self, sku: str, why: str, pause: Pause) -> None:
        self.queue.failed(sku, time.monotonic(), pause)
        self.lag.drop(sku)
        self.problems.add(sku, why)

    def _refused(self, skus: list[str], fault: ShopError) -> None:
        """A whole call failed: nothing is known of it, or nothing of it was done."""
        now_s = time.monotonic()
        self.pace.refused(now_s, fault.retry_after_s, is_passing=fault.is_passing)
        self.problems.latest.append(str(fault))
        log.warning("shop-refused", why=str(fault), skus=len(skus))
        for sku in skus:
            if fault.status == 0 or fault.status >= 500:
                self.queue.unanswered(sku, now_s)
            else:
                self.queue.failed(sku, now_s, AT_ONCE)


async def _nothing(_: str) -> None:
    """Nobody knows figures yet."""


def _item(which: dict[str, Any], quantity: int, value: Value) -> dict[str, Any]:
    """As the plugin takes it."""
    item = {**which, "quantity": quantity, "sequence": value.sequence}
    return item | ({"backorders": value.backorders} if value.backorders else {})


def _pace(store: Store, *, plugin: bool) -> Pace:
    return Pace(store.pace, PLUGIN_MAX if plugin else REST_MAX)


def value_of(store: Store, published: int, *, unlimited: bool, sequence: int) -> Value:
    """What the shop is to have of a figure."""
    backorders = "" if store.backorders == "leave" else (store.backorders if unlimited else "no")
    return Value(published, backorders, sequence)
