"""Each order counts once: in whatever order, how often and from wherever its snapshots come.

Histories of a shop are played twice, each on a core: once with every order read when all is over, once with deliveries
as WooCommerce sends them, lost, doubled, late and shuffled. Both must come to what the shop's own books say.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.settings import WooSettings
from holdfast.woo.orderbook import OrderBook
from holdfast.woo.orders import Orders
from holdfast.woo.snapshots import NoOrderError, Snapshot, order_from, order_of
from holdfast.woo.snapshots import with_refunds as refunds_into
from holdfast.woo.stores import Role, Store
from tests.support.core_client import AS_OF, NOON, Core, CoreClient
from tests.support.woo_store.model import Model, Order

SKUS = ["MUG", "TEE", "CAP"]
STOCK = 10_000
START_S = NOON / 1000 - 86_400
TABLE = {"packed": Role.OPEN, "in-review": Role.HOLD}
TERMS = Store(url="http://127.0.0.1", channel="web", statuses=TABLE)
SHIPPING = Store(url="http://127.0.0.1", channel="web", statuses=TABLE, ships_from="W1")


class ModelOrders:
    """What ShopOrders answers, from a model. Its clock is far beyond: all is settled, unless `young`."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.read = 0
        self.young = False

    def snapshot(self, order: Order) -> Snapshot:
        return order_from(self.model.payload(order), settled=not self.young)

    async def by_number(self, orders: list[int]) -> tuple[list[Snapshot], list[int]]:
        self.read += len(orders)
        found = [self.snapshot(self.model.orders[one]) for one in orders if one in self.model.orders]
        return found, [one for one in orders if one not in self.model.orders]

    async def with_refunds(self, snapshot: Snapshot) -> Snapshot:
        order = self.model.orders.get(snapshot.order)
        return snapshot if order is None else refunds_into(snapshot, self.model.refunds(order))


@dataclass
class Side:
    """A core and the connector's part that states orders."""

    model: Model
    store: Store = TERMS
    core: Core = field(default_factory=Core)

    def __post_init__(self) -> None:
        self.core.state({"kind": "location", "location": "W1", "type": "warehouse"})
        level = {"kind": "stock.level", "location": "W1", "on_hand": STOCK, "basis": "net"}
        self.core.state(*({**level, "sku": sku, "as_of": "2025-12-01T00:00:00Z"} for sku in SKUS))
        self.renew()

    def renew(self) -> None:
        """As after a kill: nothing is remembered."""
        self.orders = Orders(
            "shop",
            self.store,
            CoreClient(self.core),
            ModelOrders(self.model),  # type: ignore[arg-type]
            WooSettings(settle_ms=0, facts_max=7),
            OrderBook(50),
        )

    async def take(self, *bodies: bytes) -> None:
        found, ask = [], []
        for body in bodies:
            try:
                found.append(order_of(body))
            except NoOrderError as fault:
                ask += [fault.order] if fault.order else []
        await self.orders.take(found, ask)

    async def end(self) -> None:
        """Polling, as the connector does in the end."""
        shop = self.orders.shop
        everything = [shop.snapshot(order) for order in self.model.orders.values()]  # type: ignore[attr-defined]
        await self.orders.take(everything, self.orders.book.open_orders())
        while self.orders.asked:
            await self.orders.ask(at_once=True)

    def sellable(self) -> dict[str, int]:
        return {sku: self.core.sellable(sku) for sku in SKUS}

    def reserve(self, reservation: str, lines: list[tuple[str, int]]) -> None:
        body = {"channel": "web", "ttl_ms": 600_000, "lines": [{"sku": s, "quantity": q} for s, q in lines]}
        status, answer = self.core.command("put", reservation, orjson.dumps(body))
        assert status == 201, answer

    def confirm(self, reservation: str, order: int) -> None:
        self.core.command("confirm", reservation, orjson.dumps({"order_ref": str(order)}))


def owed(model: Model, store: Store) -> dict[str, int]:
    """What the shop's books say that cannot be sold, of orders that no plugin reserved."""
    units: Counter[str] = Counter()
    for order in model.orders.values():
        left = order.completed_s is not None and order.status in {"completed", "refunded", "trash"}
        for item in order.items:
            if order.status in {"processing", "on-hold", "packed", "curious"} or (left and store.ships_from):
                units[item.sku] += item.quantity - item.restocked
    return {sku: units[sku] for sku in SKUS}


class Play:
    """A random history of a shop. `delivered` is called with what webhooks would bring."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_s = START_S
        self.model = Model(clock=lambda: self.now_s)
        for sku in SKUS:
            self.model.add(sku, STOCK)
        self.pending: list[bytes] = []

    def bodies(self) -> list[bytes]:
        """What has happened since, as deliveries: each payload is built now."""
        found = []
        for topic, order in self.model.events:
            if topic == "order.deleted" or order not in self.model.orders:
                found.append(orjson.dumps({"id": order}))
            else:
                found.append(orjson.dumps(self.model.payload(self.model.orders[order])))
        self.model.events.clear()
        return found

    def step(self) -> None:
        pick = self.random
        self.now_s += pick.choice([0, 0, 0.2, 0.7, 1, 3, 60])
        model = self.model
        orders = list(model.orders.values())
        if not orders or pick.random() < 0.25:
            lines = [(pick.choice(SKUS), pick.randint(1, 3)) for _ in range(pick.randint(1, 3))]
            model.place(lines, pick.choice(["pending", "processing", "on-hold", "failed"]))
            return
        order = pick.choice(orders)
        match pick.randint(0, 8):
            case 0 | 1 | 2:
                model.change(order, pick.choice(STATUSES))
            case 3 if order.items:
                model.refund(order, pick.choice(order.items), pick.randint(1, 2), restock=pick.random() < 0.7)
            case 4 if order.items and not order.refunds:
                model.edit(order, pick.choice(order.items), pick.randint(0, 4))
            case 5:
                model.extend(order, pick.choice(SKUS), pick.randint(1, 3))
            case 6 if order.status != "trash":
                model.trash(order)
            case 7 if order.status == "trash":
                model.restore(order)
            case 8 if order.status == "trash" and order.completed_s is None:
                model.delete(order)


STATUSES = ["pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed", "packed", "in-review"]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 32), st.booleans())
def test_any_order_of_deliveries_comes_to_what_the_shop_says(seed: int, shipping: bool) -> None:
    store = SHIPPING if shipping else TERMS
    asyncio.run(_play(seed, store))


async def _play(seed: int, store: Store) -> None:
    play = Play(seed)
    messy = Side(play.model, store)
    pick = play.random
    late: list[bytes] = []
    for _ in range(pick.randint(5, 40)):
        play.step()
        if pick.random() < 0.5:
            late += play.bodies()
            pick.shuffle(late)
            now, late = late[: len(late) // 2], late[len(late) // 2 :]
            kept = [body for body in now if pick.random() > 0.1]  # the others are lost
            await messy.take(*kept, *pick.choices(kept, k=len(kept)) if kept else ())
        if pick.random() < 0.05:
            messy.renew()
            await messy.orders.recall()
            late, again = [], late
            await messy.end()
            late = again
        if pick.random() < 0.2:
            await messy.orders.ask(at_once=True)
    late += play.bodies() * 3
    pick.shuffle(late)
    for body in late:
        await messy.take(body)
    play.now_s += 5
    await messy.end()
    clean = Side(play.model, store)
    await clean.end()
    wanted = {sku: max(0, STOCK - units) for sku, units in owed(play.model, store).items()}
    assert clean.sellable() == wanted
    assert messy.sellable() == wanted
    assert not messy.orders.rejected, messy.orders.rejected


async def test_a_plugin_order_and_a_webhook_of_it_count_once_whichever_comes_first() -> None:
    for marked_first in (True, False):
        play = Play(1)
        side = Side(play.model)
        order = play.model.place([("MUG", 2)], "processing")
        if not marked_first:
            await side.take(*play.bodies())
            assert side.core.sellable("MUG") == STOCK - 2
        side.reserve("cart-1", [("MUG", 2)])
        play.now_s += 1
        play.model.mark(order, _holdfast_reservation="cart-1", _holdfast_state="held")
        await side.take(*play.bodies())
        assert side.core.sellable("MUG") == STOCK - 2
        assert side.orders.counts.confirmed == 1
        side.confirm("cart-1", order.id)
        assert side.core.sellable("MUG") == STOCK - 2


@pytest.mark.parametrize("shipping", [False, True])
@pytest.mark.parametrize("order_of_events", [*range(12), 51])
async def test_plugin_orders_are_completed_whatever_happens_to_them(order_of_events: int, shipping: bool) -> None:
    play = Play(order_of_events)
    pick = play.random
    store = SHIPPING if shipping else TERMS
    side = Side(play.model, store)
    live: dict[str, Order] = {}
    for number in range(12):
        lines = [(pick.choice(SKUS), pick.randint(1, 3)) for _ in range(pick.randint(1, 2))]
        side.reserve(f"cart-{number}", lines)
        order = play.model.place(lines, "pending", _holdfast_reservation=f"cart-{number}", _holdfast_state="held")
        live[f"cart-{number}"] = order
    late: list[bytes] = []
    for _ in range(60):
        play.now_s += pick.choice([0.3, 2])
        name, order = pick.choice(list(live.items()))
        match pick.randint(0, 5 if shipping else 4):
            case 0 | 1 if order.completed_s is None:
                play.model.change(order, pick.choice(["processing", "on-hold", "cancelled", "packed"]))
            case 2 if order.items:
                play.model.refund(order, pick.choice(order.items), 1, restock=True)
            case 3 if order.items and not order.refunds and order.completed_s is None:
                play.model.edit(order, pick.choice(order.items), pick.randint(1, 4))
            case 5 if order.status in {"processing", "packed"}:
                play.model.change(order, "completed")
            case 4 if order.status == "processing":
                side.confirm(name, order.id)
        late += play.bodies()
        pick.shuffle(late)
        if pick.random() < 0.4:
            await side.take(*late[:3], *late[:2])
            late = late[3:]
    play.now_s += 5
    await side.end()
    held = [name for name, order in live.items() if order.status == "pending"]
    units = Counter(owed(play.model, store))
    for name in held:
        found = await side.orders.client.reservation(name)
        if found.state in {"held", "committed"}:
            for line in found.lines:
                units[line.sku] += line.open
    assert side.sellable() == {sku: STOCK - units[sku] for sku in SKUS}


async def test_a_fallback_order_is_counted_though_it_names_a_reservation() -> None:
    play = Play(2)
    side = Side(play.model)
    marks = {"_holdfast_reservation": "cart-9", "_holdfast_state": "fallback-open"}
    play.model.place([("TEE", 3)], "processing", **marks)
    await side.take(*play.bodies())
    assert side.core.sellable("TEE") == STOCK - 3


async def test_a_hold_that_is_sold_out_meanwhile_is_owed_all_the_same() -> None:
    play = Play(3)
    side = Side(play.model)
    side.reserve("cart-1", [("MUG", 5)])
    side.core.command("release", "cart-1", b"")
    side.reserve("other", [("MUG", STOCK - 2)])
    side.confirm("other", 1)
    marks = {"_holdfast_reservation": "cart-1", "_holdfast_state": "held"}
    order = play.model.place([("MUG", 5)], "processing", **marks)
    await side.take(*play.bodies())
    assert side.orders.counts.oversold == 1
    assert side.core.sellable("MUG") == 0
    play.now_s += 2
    play.model.change(order, "cancelled")
    await side.take(*play.bodies())
    assert side.core.sellable("MUG") == 2


async def test_a_product_that_was_deleted_keeps_what_is_owed() -> None:
    play = Play(4)
    side = Side(play.model)
    order = play.model.place([("CAP", 4)], "processing")
    await side.take(*play.bodies())
    del play.model.products[order.items[0].product]
    play.now_s += 2
    play.model.edit(order, order.items[0], 3)
    await side.take(*play.bodies())
    assert side.core.sellable("CAP") == STOCK - 3, "the SKU of the line is null now"


async def test_what_holdfast_does_not_know_stays_unknown_until_it_has_stock() -> None:
    play = Play(7)
    side = Side(play.model)
    play.model.add("GIFT", 5)
    play.model.place([("GIFT", 1), ("CAP", 1)], "processing")
    await side.take(*play.bodies())
    assert side.core.sellable("CAP") == STOCK - 1
    status, _ = side.core.engine.availability("GIFT", "web", None, None, AS_OF)
    assert status == 404, "else checkouts of it would be refused"
    moment = "2025-12-01T00:00:00Z"
    known = {"kind": "stock.level", "sku": "GIFT", "location": "W1", "on_hand": 9, "basis": "net", "as_of": moment}
    side.core.state(known)
    play.now_s += 2
    await side.orders.look_for_skus()
    await side.orders.ask(at_once=True)
    assert side.core.sellable("GIFT") == 8


async def test_unknown_statuses_count_as_owed_and_are_listed() -> None:
    play = Play(5)
    side = Side(play.model)
    play.model.place([("CAP", 1)], "curious")
    await side.take(*play.bodies())
    assert side.core.sellable("CAP") == STOCK - 1
    assert side.orders.unknown_statuses == {"curious": 1}


async def test_an_old_delivery_that_is_replayed_after_a_restart_is_not_believed() -> None:
    play = Play(6)
    side = Side(play.model)
    side.reserve("cart-1", [("MUG", 2)])
    marks = {"_holdfast_reservation": "cart-1", "_holdfast_state": "held"}
    order = play.model.place([("MUG", 2)], "processing", **marks)
    captured = play.bodies()
    await side.take(*captured)
    play.now_s += 3
    play.model.change(order, "cancelled")
    await side.take(*play.bodies())
    side.renew()
    side.orders.book.trusted_from_s = int(play.now_s) + 600
    await side.take(*captured)
    await side.orders.ask(at_once=True)
    assert side.core.sellable("MUG") == STOCK
    assert side.orders.counts.asked == 1


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_whatever_an_order_says_it_is_read_or_refused(value: Any) -> None:
    fields = ("id", "status", "date_modified_gmt", "line_items", "meta_data", "refunds", "date_completed_gmt")
    right = {"id": 1, "status": "processing", "line_items": [{"id": 2, "quantity": 1, "sku": "A", "meta_data": []}]}
    for name in fields:
        try:
            found = order_from(right | {name: value})
        except NoOrderError:
            continue
        assert found.order > 0
        assert all(line.quantity > 0 for line in found.lines)
