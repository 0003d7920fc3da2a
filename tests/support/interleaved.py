"""A shop, a connection and an ERP that take turns, with what is on its way between them; core and oracle beside.

In: a seed. Out: a history in which everything may come late, twice and out of order. Always: the connection's queue,
exporter, versions and clock are the real ones; the ERP is books in memory (`Books`) or what else keeps them.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import msgspec

from holdfast.contracts.answers import Reservation
from holdfast.erp.connector import Connector
from holdfast.erp.events import order_of
from holdfast.erp.feed import Feed
from holdfast.erp.interface import (
    Erp,
    ErpDownError,
    Fact,
    Order,
    RefusedError,
    Taken,
)
from holdfast.erp.moments import Moments
from holdfast.erp.store import Store, opened
from holdfast.settings import ErpSettings
from tests.support.books import PLACES, Basis, Books, Keeps
from tests.support.oracle.beside import AS_OF, Beside

FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass
class Shape:
    """What a history is like: how the ERP counts, how many things happen, and of how many orders at most."""

    basis: Basis
    steps: int
    orders: int


class Unsteady:
    """An ERP some of whose calls do not arrive, and some of whose answers are lost."""

    def __init__(self, erp: Erp, books: Keeps, choose: random.Random) -> None:
        self._erp, self._books, self._choose = erp, books, choose

    def __getattr__(self, name: str) -> Any:
        return getattr(self._erp, name)

    async def push(self, orders: Sequence[Order]) -> list[str | RefusedError]:
        for order in orders:
            self._books.parts[order.key] = len({line.location for line in order.lines})
        self._may_fail("no answer, and nothing was done")
        found = await self._erp.push(orders)
        self._may_fail("the answer was lost")
        return found

    def _may_fail(self, why: str) -> None:
        if not self._books.answers and self._choose.randrange(4) == 0:
            raise ErpDownError(why)


class World:
    """All three, and what is on its way between them. `sku` is what the ERP calls what is sold."""

    def __init__(self, seed: int, shape: Shape, store: Store, *, sku: str = "A", began_ms: int | None = None) -> None:
        self.choose = random.Random(seed)
        self.shape = shape
        self.sku = sku
        self.beside = Beside()
        if began_ms is not None:
            self.beside.now_ms = began_ms
        self.beside.locations(*PLACES)
        self.store = store
        self.moments = Moments(None, lambda _: None, lambda: self.beside.now_ms / 1000)
        self.on_the_way: list[list[Fact]] = []
        self.arrived: list[list[Fact]] = []
        self.prefix = f"i{seed}"
        self.made = 0
        self.live: dict[str, str] = {}
        self.quiet = False

    async def begin(self, books: Keeps, erp: Erp) -> None:
        """With the ERP's first levels."""
        settings = ErpSettings(retry_first_ms=10, retry_wait_ms_max=10, breaker_failures=1_000, tries_max=50)
        self.books = books
        unsteady = cast("Erp", Unsteady(erp, books, self.choose))
        self.connector = Connector(unsteady, self.store, cast("Feed", self), settings)
        await self.connector.turn()
        while self.on_the_way:
            self.deliver(in_order=True)

    # ---- the connection's feed

    async def send(self, facts: Sequence[Fact], _: str = "") -> Taken:
        """Goes on its way; meanwhile, more may happen."""
        mine = [dict(fact) for fact in facts if fact.get("sku", self.sku) == self.sku]
        if mine:
            self.on_the_way.append(mine)
        if not self.quiet:
            if self.choose.randrange(2):
                self.deliver()
            if self.choose.randrange(2):
                await self.person()
        return Taken(len(facts))

    def deliver(self, *, in_order: bool = False) -> None:
        """One body arrives, or one that arrived before arrives again."""
        if self.on_the_way and (in_order or self.choose.randrange(4)):
            body = self.on_the_way.pop(0 if in_order else self.choose.randrange(len(self.on_the_way)))
            self.arrived.append(body)
        elif self.arrived:
            body = self.choose.choice(self.arrived)
        else:
            return
        self.beside.now_ms += 1
        self.beside.in_sequence += 1
        payload = json.dumps({"source": "erp", "facts": body}).encode()
        self.beside.tell([], [(self.beside.in_sequence, "hf.main.in.erp.erp", payload)])

    # ---- the shop

    def shop(self) -> None:
        """A cart, of as much as there is where it says so; most are confirmed at once."""
        if self.made >= self.shape.orders:
            return
        key, partial = f"{self.prefix}-o{self.made}", self.choose.randrange(3) == 0
        wanted = (self.sku, self.choose.randint(1, 8 if partial else 4))
        more: dict[str, Any] = {"partial": True} if partial else {}
        if self.beside.hold(key, wanted, ttl_ms=600_000, **more).status != 201:
            return
        self.made += 1
        self.live[key] = "held"
        if self.choose.randrange(5):
            self.confirm(key)

    def confirm(self, key: str) -> None:
        assert self.beside.command("confirm", key, order_ref=key).status == 200
        self.live[key] = "confirmed"
        self.store.add(order_of(self.reservation(key), ""), self.made)

    def decide(self) -> None:
        """A shopper pays late, or wants it no more: wherever the order is by then."""
        held = [key for key, state in self.live.items() if state == "held"]
        if held and self.choose.randrange(2):
            self.confirm(self.choose.choice(held))
        elif self.live:
            key = self.choose.choice(list(self.live))
            answer = self.beside.command("release" if self.live[key] == "held" else "cancel", key)
            if answer.status == 200:
                del self.live[key]
                self.store.cancel(key)

    def reservation(self, key: str) -> Reservation:
        assert self.beside.engine is not None
        _, body = self.beside.engine.reservation(key, None, AS_OF)
        return msgspec.json.decode(body, type=Reservation)

    # ---- all

    async def person(self) -> None:
        """Somebody does something in the ERP."""
        keys = self.books.orders_in_it()
        if keys:
            does = self.choose.choice([self.books.ship, self.books.ship, self.books.take_back, self.books.end])
            await does(self.choose.choice(keys))

    async def step(self) -> None:
        match self.choose.randrange(12):
            case 0 | 1:
                self.shop()
            case 2:
                self.decide()
            case 3:
                await self.person()
            case 4 | 5 | 6:
                await self.connector.turn()
            case 7 | 8:
                await self.export()
            case 9:
                if self.choose.randrange(6) == 0:
                    await self.settle()
            case _:
                self.deliver()
        self.beside.now_ms += 1
        said, most = self.beside.sellable(self.sku), max(0, self.there_at_most())
        assert said <= most, f"{said} can be sold of {most}\n{self.beside.history()}"

    async def export(self) -> None:
        for entry in self.store.due(2):
            await self.connector.exporter._carry_out([entry])

    def there_at_most(self) -> int:
        """What lies there, less what was promised and has not left.

        Of an order that was cancelled here nothing is promised: it counts as if it lay there, until the ERP says that
        it had left before the cancellation came.
        """
        promised = sum(self.books.owed(key) if self.books.has(key) else self._open(key) for key in self.live)
        ended = [key for key in self.books.orders_in_it() if key not in self.live]
        lies = {place: self.books.lies(place) for place in PLACES}
        # What a place lacks is a deficit there; what lies elsewhere can be sold.
        lacking = sum(max(0, self.books.owed(place=place) - units) for place, units in lies.items())
        return sum(lies.values()) - promised + lacking + sum(self.books.left(key) for key in ended)

    def there(self) -> int:
        """What lies at each place, less what the ERP owes there and what has not come to it."""
        outside: Counter[str] = Counter()
        for key in self.live:
            if not self.books.has(key):
                for line in self.reservation(key).lines:
                    outside.update({one.location: one.quantity for one in line.allocations})
        return sum(max(0, self.books.lies(one) - self.books.owed(place=one) - outside[one]) for one in PLACES)

    def _open(self, key: str) -> int:
        return sum(line.open for line in self.reservation(key).lines)

    async def settle(self) -> None:
        """All arrives; nothing else happens. Then what can be sold is exact, and of each order what became of it."""
        self.quiet = self.books.answers = True
        for _ in range(200):
            if not self.store.waiting():
                break
            await self.export()
            await asyncio.sleep(0.005)
        assert not self.store.waiting()
        for _ in range(2):
            await self.connector.turn()
            while self.on_the_way:
                self.deliver(in_order=True)
            self.beside.now_ms += 1
        assert self.connector.faults == {}
        said, there = self.beside.sellable(self.sku), self.there()
        assert said == there, f"{said} can be sold, {there} are there\n{self.beside.history()}"
        for key in self.live:
            if self.books.has(key):
                [line] = self.reservation(key).lines
                wanted = (self.books.owed(key), self.books.returned(key))
                found = (line.open, line.returned)
                assert found == wanted, (
                    f"{key}: open and returned {found}, in the ERP {wanted}\n{self.beside.history()}"
                )
        self.quiet = self.books.answers = False

    async def live_through(self) -> None:
        """The whole history. Raises AssertionError, with the history."""
        for _ in range(self.shape.steps):
            await self.step()
        await self.settle()


async def one(seed: int, shape: Shape) -> None:
    """A history with books in memory."""
    with TemporaryDirectory(dir=FAST) as directory, opened(Path(directory)) as store:
        world = World(seed, shape, store)
        most = 10 if shape.orders > 1 else world.choose.randint(1, 6)
        books = Books(world.moments, shape.basis, world.choose, dict.fromkeys(PLACES, most))
        await world.begin(books, books)
        await world.live_through()
