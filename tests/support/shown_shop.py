"""A small shop with everything that the dashboard shows: stock, rules, carts, orders, a shortage, rejected facts.

In: an empty gateway. Out: a shop, and shoppers that come while it is looked at.
Always: the same shop each time; every figure on a picture of it comes from a running gateway.
"""

import asyncio
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tests.support.gateway import ask
from tests.support.served import cart

CHANNELS = ("web", "marketplace", "stores")
STOCK = {"MUG-BLUE": (240, 35), "MUG-RED": (80, 12), "PLATE-27": (400, 60), "LAMP-OAK": (18, 4), "CHAIR-ASH": (36, 9)}
HOT = "LAMP-OAK"


class Gateway:
    """Calls of any process behind a port; one that is killed meanwhile answers 0.

    `surely` asks again what is answered 503, or not at all: every call here may come twice.
    """

    def __init__(self, port: int, key: str | None = None) -> None:
        self.port = port
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    async def __call__(self, method: str, target: str, body: Any = None) -> int:
        """The status."""
        content = b"" if body is None else orjson.dumps(body)
        try:
            return (await ask(self.port, method, target, content, **self._headers)).status
        except (OSError, asyncio.IncompleteReadError):
            return 0

    async def surely(self, method: str, target: str, body: Any = None, within_s: float = 60.0) -> int:
        """The status, once there is an answer that is final."""
        deadline = asyncio.get_running_loop().time() + within_s
        for pause in itertools.repeat(0.1):
            status = await self(method, target, body)
            if status not in {0, 503} or asyncio.get_running_loop().time() > deadline:
                return status
            await asyncio.sleep(pause)
        raise AssertionError("Invariant: repeat has no end")

    async def facts(self, *facts: dict[str, Any], source: str) -> None:
        """Facts that must be taken."""
        assert await self.surely("POST", "/v1/facts", {"source": source, "facts": facts}) == 202, facts


def ago(**past: float) -> str:
    """A time before now."""
    return (datetime.now(UTC) - timedelta(**past)).isoformat()


def _level(sku: str, place: str, quantity: int, as_of: str, **fields: Any) -> dict[str, Any]:
    levels = {"sku": sku, "location": place, "on_hand": quantity, "basis": "net", "as_of": as_of}
    return {"kind": "stock.level", **levels, **fields}


async def furnish(api: Gateway) -> None:
    """Everything but the shoppers."""
    rules = (
        *({"kind": "location", "location": place, "type": kind} for place, kind in PLACES.items()),
        *({"kind": "channel", "channel": name, "locations": "*"} for name in CHANNELS),
        {"kind": "safety", "sku": "MUG-BLUE", "location": "lyon-dc", "absolute": 10},
        {"kind": "allocation", "sku": "MUG-BLUE", "channel": "marketplace", "quantity": 25},
        {"kind": "cap", "sku": "PLATE-27", "channel": "marketplace", "quantity": 50},
        *(
            {"kind": "freshness", "source": source, "stale_after_ms": 3_600_000, "action": "widen", "amount": 2}
            for source in ("erp", "tills")
        ),
    )
    assert await api.surely("POST", "/v1/policies", {"facts": rules}) == 202
    for sku, (central, store) in STOCK.items():
        unsellable = {"unsellable": {"damaged": 6, "quality_control": 8}} if sku == "MUG-BLUE" else {}
        await api.facts(_level(sku, "lyon-dc", central, ago(minutes=4), **unsellable), source="erp")
        await api.facts(_level(sku, "paris-store", store, ago(minutes=11)), source="tills")
    await api.facts(_level("MUG-BLUE", "lyon-dc", 200, ago(hours=4)), source="erp")
    due = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    supply = {"sku": HOT, "location": "lyon-dc", "quantity": 60, "due": due, "as_of": ago(hours=2)}
    await api.facts({"kind": "supply", "ref": "PO-7711", "line": 1, "status": "open", **supply}, source="erp")
    wrong = {"kind": "stock.level", "sku": "MUG-BLUE", "location": "lyon-dc", "on_hand": 1, "basis": "net"}
    await api.surely("POST", "/v1/facts", {"source": "erp", "facts": [{**wrong, "as_of": "2031-01-01T00:00:00Z"}]})


PLACES = {"lyon-dc": "warehouse", "paris-store": "store"}


async def short(api: Gateway) -> str:
    """An order that nothing covers any more; its id."""
    await api.facts(_level("BOWL", "paris-store", 3, ago(minutes=30)), source="tills")
    assert await api.surely("PUT", "/v1/reservations/cart-short", cart(("BOWL", 3))) in {200, 201}
    await api.surely("POST", "/v1/reservations/cart-short/confirm", {"order_ref": "W-10421"})
    await api.facts(_level("BOWL", "paris-store", 1, ago(minutes=1)), source="tills")
    return "cart-short"


class Shoppers:
    """They look, hold and buy, at about `rate` carts a second, until they are stopped."""

    def __init__(self, api: Gateway, rate: float = 20.0, seed: int = 7) -> None:
        self.api = api
        self.rate = rate
        self.hot = 0.15  # how many of them want the SKU that is short
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._going: asyncio.Task[None] | None = None

    async def come(self, carts: int) -> None:
        """That many, at once."""
        for _ in range(carts):
            await self._one()

    def begin(self) -> None:
        """They keep coming."""
        self._going = asyncio.create_task(self._go())

    async def end(self) -> None:
        """No more of them."""
        if self._going is not None:
            self._going.cancel()
            await asyncio.wait([self._going])

    async def _go(self) -> None:
        while True:
            await self._one()
            await asyncio.sleep(self._random.expovariate(self.rate))

    async def _one(self) -> None:
        number, chance = next(self._numbers), self._random.random()
        sku = HOT if chance < self.hot else self._random.choice([name for name in STOCK if name != HOT])
        channel = self._random.choice(CHANNELS[:2])
        for _ in range(3):
            await self.api("GET", f"/v1/availability/{sku}?channel={channel}")
        lines = [(sku, self._random.randint(1, 3))]
        if await self.api("PUT", f"/v1/reservations/cart-{number}", cart(*lines, channel=channel)) != 201:
            return
        step = self._random.random()
        if step < 0.25:
            await self.api("POST", f"/v1/reservations/cart-{number}/confirm", {"order_ref": f"W-{20_000 + number}"})
            if step < 0.15:
                left = {"lines": [{"sku": name, "quantity": units} for name, units in lines]}
                await self.api("POST", f"/v1/reservations/cart-{number}/fulfil", left)
        elif step < 0.9:
            await self.api("POST", f"/v1/reservations/cart-{number}/release")
