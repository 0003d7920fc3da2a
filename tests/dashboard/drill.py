"""The drill: each incident is made for real, and the page must name it. `python -m tests.dashboard.drill DIR` times it.

In: a gateway of two processes with a shop, a page that shows Now. Out: how long it took until the page said so, and
with DIR a picture of each. Always: a test waits for the words with patience, for a machine may be busy; the command
prints the seconds, which are below five on one that is not, and which alert fires by the scrapes before and after.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from aiohttp import web

from holdfast.gateway.key_store import KeyStore
from holdfast.gateway.keyring import Operation
from tests.support.alerts import PROMTOOL, Scrapes, fired
from tests.support.browser import Page, browsing, installed
from tests.support.gateway import ask
from tests.support.receiver import Receiver, receiving
from tests.support.served import cart, level, serving
from tests.support.shown_shop import HOT, Gateway, Shoppers, ago, furnish
from tests.support.small_disk import fill, small_disk

PATIENCE_S = 60.0
AGAIN_S = 6.0
MAY_BE_S = 2
SCRAPE_S = 15.0


class Drill:
    """One gateway, and what can go wrong with it. `slow`: a key that may ask once a second."""

    def __init__(self, api: Gateway, shoppers: Shoppers, slow: Gateway, key: str, around: "Around") -> None:
        self.api = api
        self.shoppers = shoppers
        self._slow = slow
        self._key = key
        self._around = around
        self._asking: asyncio.Task[None] | None = None

    @property
    def incidents(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """What the page says, and what is done for it."""
        return [
            ("order has units that no stock covers any more", self.stock_is_wrong),
            ("rejected in the last minutes", self.fact_is_wrong),
            ("The source tills is silent", self.source_stops),
            ("Shoppers ask in vain", self.hot_sku_sells_out),
            ("A client is throttled", self.client_asks_too_often),
            ("took the lead from", self.leader_is_killed),
            ("The erp acme does not work: acme_levels", self.erp_stops),
            ("The webhook shop is not called any more", self.endpoint_ends),
            *([("The disk is nearly full", self.disk_fills)] if self._around.is_small else []),
        ]

    async def stock_is_wrong(self) -> None:
        """A location has less than it said, and an order has lost its units."""
        await self.api.facts(level("BOWL", 3, "paris-store", as_of=ago(minutes=30)), source="tills")
        assert await self.api.surely("PUT", "/v1/reservations/cart-short", cart(("BOWL", 3))) in {200, 201}
        await self.api.surely("POST", "/v1/reservations/cart-short/confirm", {"order_ref": "W-10421"})
        at = ago(minutes=1)
        await self.api.facts(level("BOWL", 1, "paris-store", as_of=at), source="tills")
        await self.api.facts(level("BOWL", 2, "paris-store", as_of=at), source="tills")  # and another figure for it

    async def fact_is_wrong(self) -> None:
        """A source states a level of the future."""
        wrong = level("MUG-RED", 5, "lyon-dc", as_of="2031-01-01T00:00:00Z")
        await self.api.surely("POST", "/v1/facts", {"source": "erp", "facts": [wrong]})

    async def source_stops(self) -> None:
        """It reports for the last time; its figures may be two seconds old."""
        fresh = {"kind": "freshness", "source": "tills", "stale_after_ms": MAY_BE_S * 1_000, "action": "serve"}
        assert await self.api.surely("POST", "/v1/policies", {"facts": [fresh]}) == 202
        await self.api.facts(level("MUG-RED", 11, "paris-store", as_of=ago(seconds=0)), source="tills")
        await asyncio.sleep(MAY_BE_S)

    async def hot_sku_sells_out(self) -> None:
        """Everybody wants a SKU that has sold out."""
        await self.api.facts(level(HOT, 0, "lyon-dc", as_of=ago(seconds=0)), source="erp")
        self.shoppers.hot, self.shoppers.rate = 1.0, 60.0
        self.shoppers.begin()

    async def client_asks_too_often(self) -> None:
        """A client asks far beyond the rate of its key."""
        await self.shoppers.end()
        self._asking = asyncio.create_task(self._ask_on())
        await asyncio.sleep(0)

    async def _ask_on(self) -> None:
        while True:
            await self._slow("GET", f"/v1/availability/{HOT}?channel=web")
            await asyncio.sleep(0.01)

    async def leader_is_killed(self) -> None:
        """kill -9."""
        if self._asking is not None:
            self._asking.cancel()
        leader: dict[str, Any] = {}
        while leader.get("role") != "leader":
            answer = await ask(self.api.port, "GET", "/v1/overview", authorization=f"Bearer {self._key}")
            leader = answer.json if answer.status == 200 else {}
        os.kill(leader["pid"], signal.SIGKILL)

    async def erp_stops(self) -> None:
        """A file that it wrote is missing, so the ones after it wait."""
        arriving = self._around.folder / "in" / "acme_levels_20260101T000000Z_2.csv"
        await asyncio.to_thread(arriving.write_text, "sku,location,on_hand,basis\nMUG-RED,lyon-dc,5,net\n")
        os.utime(arriving, (1, 1))

    async def endpoint_ends(self) -> None:
        """It answers 410: it wants nothing any more. Something must happen for it to be called."""
        self._around.gone = True
        number = 0
        while not self._around.answered_gone and number < 200:
            number += 1
            await self.api("PUT", f"/v1/reservations/hook-{number}", cart(("PLATE-27", 1)))
            await asyncio.sleep(0.1)

    async def disk_fills(self) -> None:
        """Something else writes to it."""
        await asyncio.to_thread(fill, self._around.store)


@dataclass
class Around:
    """What the gateway talks to: the folder of an ERP, an endpoint of webhooks; and its disk, a small one or not."""

    store: Path
    folder: Path
    is_small: bool
    gone: bool = False
    answered_gone: bool = False
    config: Path = Path()

    async def answer(self, _request: web.BaseRequest, _event: dict[str, Any]) -> web.StreamResponse:
        self.answered_gone |= self.gone
        return web.Response(status=410 if self.gone else 204)


@asynccontextmanager
async def around(directory: Path) -> AsyncIterator[Around]:
    """All of it, below a directory in which the gateway's store will be."""
    store = directory / "store"
    folder = directory / "folder"
    for one in (store, folder):
        one.mkdir(mode=0o700)
    with small_disk(store) as is_small:
        made = Around(store, folder, is_small)
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        async with receiving(Receiver((secret,), made.answer)) as receiver:
            (directory / "shop.secrets").write_text(secret)
            (directory / "shop.secrets").chmod(0o600)
            made.config = directory / "holdfast.toml"
            made.config.write_text(CONFIG.format(port=receiver.port, folder=folder))
            yield made


CONFIG = """
[publisher]
enabled = true

[webhook.shop]
url = "http://127.0.0.1:{port}/hook"
secrets = "shop.secrets"
allow = "127.0.0.0/8"

[erp.acme]
kind = "csv"
directory = "{folder}"
every_ms = 500
orders = false
"""


async def type_key(page: Page, key: str) -> None:
    """Into the form."""
    await page.until("document.querySelector('#key')", PATIENCE_S)
    await page.run(
        f"document.querySelector('#key').value = {key!r}; document.querySelector('form.sign button').click()"
    )


# Which alert says it, by what the page says. That of a silent source waits an hour, or for `degraded.enabled`.
ALERTS = {
    "order has units that no stock covers any more": "HoldfastFiguresContradict",
    "rejected in the last minutes": "HoldfastDeadLetters",
    "Shoppers ask in vain": "HoldfastHotSku",
    "A client is throttled": "HoldfastThrottling",
    "took the lead from": "HoldfastTookOver",
    "The erp acme does not work: acme_levels": "HoldfastSystemFails",
    "The webhook shop is not called any more": "HoldfastSystemFails",
    "The disk is nearly full": "HoldfastDiskFilling",
}


class Watch:
    """Scrapes before and after each incident, and the alerts that fire by them."""

    def __init__(self, port: int, key: str, directory: Path) -> None:
        self._port, self._key, self._directory = port, key, directory
        self.found: dict[str, set[str]] = {}

    async def begin(self) -> None:
        """What there was before an incident."""
        self._scrapes = Scrapes()
        await self._scrapes.take(self._port, 2, self._key)

    async def end(self, words: str) -> None:
        """Which alerts fire by it: Prometheus looks every 15 seconds, so that long the incident goes on."""
        deadline = monotonic() + SCRAPE_S
        while True:
            await self._scrapes.take(self._port, 2, self._key)
            found = await asyncio.to_thread(fired, self._directory, self._scrapes.series(), 13)
            self.found[words] = found
            if ALERTS[words] in found or monotonic() > deadline:
                return
            await asyncio.sleep(1)


async def run(page: Page, drill: Drill, pictures: Path | None = None, watch: Watch | None = None) -> dict[str, float]:
    """Every incident; after how many seconds the page said so."""
    took: dict[str, float] = {}
    for n, (words, cause) in enumerate(drill.incidents):
        if watch is not None:
            await watch.begin()
        await cause()
        since = monotonic()
        says = f"document.querySelector('.verdict').innerText.includes({words!r})"
        if cause == drill.fact_is_wrong:
            # The page sees a count grow only once it has asked the process that leads before; then another one shows.
            for _ in range(10):
                with contextlib.suppress(AssertionError):
                    await page.until(says, AGAIN_S)
                    break
                await cause()
        await page.until(says, PATIENCE_S)
        took[words] = monotonic() - since
        if pictures is not None:
            await page.picture(pictures / f"drill-{n}.png", whole=False)
        if watch is not None and words in ALERTS:
            await watch.end(words)
    return took


async def main(pictures: Path) -> None:
    """By hand."""
    program = installed()
    assert program is not None, "Chromium is not installed"
    async with contextlib.AsyncExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        place = await stack.enter_async_context(around(Path(name)))
        store = place.store
        _, key = KeyStore(store).add("all", list(Operation))
        _, slow = KeyStore(store).add("slow", [Operation.READ], rate_per_s=1)
        with serving(Path(name), "--workers", "2", "--config", str(place.config), auth="on") as served:
            api = Gateway(served.port, key)
            await furnish(api)
            async with browsing(program) as page:
                await page.size(1400, 900)
                await page.open(f"http://127.0.0.1:{served.port}/dashboard")
                await type_key(page, key)
                await page.until("document.querySelector('#pill').innerText.includes('2 processes')", PATIENCE_S)
                await asyncio.sleep(5)
                watch = Watch(served.port, key, Path(name)) if PROMTOOL is not None else None
                drill = Drill(api, Shoppers(api), Gateway(served.port, slow), key, place)
                took = await run(page, drill, pictures, watch)
    for words, seconds in took.items():
        print(f"{seconds:6.1f} s  {words:48}{said(watch, words)}")


def said(watch: Watch | None, words: str) -> str:
    """Of the alert of this incident."""
    if watch is None or words not in ALERTS:
        return "" if watch is not None else "alerts need promtool"
    others = sorted(watch.found[words] - {ALERTS[words]})
    verb = "fires" if ALERTS[words] in watch.found[words] else "DOES NOT FIRE"
    return f"{ALERTS[words]} {verb}" + (f"; also {', '.join(others)}" if others else "")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
