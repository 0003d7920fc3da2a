"""The dashboard in a browser, on a gateway with two processes: every view, wrong keys, and a drill of incidents.

Each incident is made for real, and must be on the page within five seconds.
"""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from holdfast.gateway.keyring import KeyStore, Operation
from tests.support.browser import Page, browsing, installed
from tests.support.gateway import ask
from tests.support.served import level, serving
from tests.support.shown_shop import HOT, Gateway, Shoppers, ago, furnish, short

pytestmark = [
    pytest.mark.skipif(installed() is None, reason="Chromium is not installed: the page is not looked at"),
    pytest.mark.slow,
]
SEEN_S = 5.0
VIEWS = {
    "#/now": "Sellable answers",
    "#/business": "Carts that became orders",
    "#/sku": "MUG-BLUE",
    "#/sku/MUG-BLUE?channel=web": "can be sold on web now",
    "#/order": "cart-short",
    "#/order?state=committed": "W-10421",
    "#/order/W-10421": "2 in deficit",
    "#/order/cart-short": "2 in deficit",
    "#/sources": "Accepted over HTTP",
    "#/troubles?part=anomalies": "older than what is known",
    "#/troubles?part=deficits": "BOWL",
    "#/troubles?part=letters": "Dead letters",
    "#/troubles?part=refused": "Refused carts",
}

NARROW = [
    (address, VIEWS[address]) for address in ("#/now", "#/sku/MUG-BLUE?channel=web", "#/order/W-10421", "#/sources")
]


async def view(page: Page, address: str, words: str, within_s: float = 10.0) -> None:
    await page.run(f"location.hash = {address!r}")
    await page.until(f"document.querySelector('main').innerText.includes({words!r})", within_s)


async def type_key(page: Page, key: str) -> None:
    await page.until("document.querySelector('#key')")
    await page.run(
        f"document.querySelector('#key').value = {key!r}; document.querySelector('form.sign button').click()"
    )


async def sign_in(page: Page, url: str, keys: dict[str, str]) -> None:
    """A wrong key and one that may do too little are answered in a sentence; the right one opens the page."""
    await page.open(url)
    await type_key(page, "hf_nobody_x")
    await page.until("document.querySelector('.problem').innerText.includes('does not know this key')")
    await type_key(page, keys["orders"])
    await page.until("document.querySelector('.problem').innerText.includes('lacks the operation “metrics”')")
    await type_key(page, keys["reader"])
    await page.until("document.querySelector('.verdict .problem')?.innerText.includes('“metrics”')")
    await view(page, "#/sku/MUG-BLUE?channel=web", "can be sold on web now")
    await page.run("document.querySelector('#leave').click()")
    await type_key(page, keys["screen"])
    await page.until("document.querySelector('#pill').innerText.includes('2 processes')")
    assert await page.run("sessionStorage.length") == 1
    assert await page.run("localStorage.length + document.cookie.length") == 0


async def every_view(page: Page) -> None:
    """Without an error in the console, with a heading, within the width of a telephone; with names for all fields."""
    assert [fault for fault in page.faults if "status of 40" not in fault] == []
    page.faults.clear()
    for width in (1400, 390):
        await page.size(width, 900, dark=width == 390)
        for address, words in VIEWS.items() if width > 390 else NARROW:
            await view(page, address, words)
            assert await page.run("document.querySelectorAll('h1').length") == 1
            assert await page.run("document.documentElement.scrollWidth") <= width, address
            fields = "[...document.querySelectorAll('input, select, button')]"
            unnamed = f"{fields}.filter((e) => !e.labels?.length && !e.innerText)"
            assert await page.run(f"{unnamed}.length") == 0, address
            assert await page.run("[...document.querySelectorAll('table')].every((t) => t.caption)"), address
    assert page.faults == []


async def seen(page: Page, words: str, within_s: float = SEEN_S) -> None:
    await page.until(f"document.querySelector('.verdict').innerText.includes({words!r})", within_s)


async def test_every_view_opens_and_incidents_are_seen_within_five_seconds(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    rights: dict[str, list[Operation]] = {
        "orders": [Operation.ORDER],
        "reader": [Operation.READ],
        "screen": [op for op in Operation if op not in {Operation.ORDER, Operation.RESERVE, Operation.FACTS}],
        "shop": list(Operation),
    }
    keys = {name: KeyStore(store).add(name, operations)[1] for name, operations in rights.items()}
    program = installed()
    assert program is not None
    with serving(tmp_path, "--workers", "2", auth="on") as served:
        api = Gateway(served.port, keys["shop"])
        await furnish(api)
        await short(api)
        shoppers = Shoppers(api)
        await shoppers.come(10)
        async with browsing(program) as page:
            await page.size(1400, 900)
            await sign_in(page, f"http://127.0.0.1:{served.port}/dashboard", keys)
            await every_view(page)
            await view(page, "#/now", "Sellable answers")
            await drill(page, api, shoppers, keys["screen"])
            assert page.hosts <= {f"127.0.0.1:{served.port}", ""}


async def drill(page: Page, api: Gateway, shoppers: Shoppers, key: str) -> None:
    """A source that falls silent, a SKU that sells out, a leader that is killed."""
    may_be_s = 2
    fresh = {"kind": "freshness", "source": "tills", "stale_after_ms": may_be_s * 1_000, "action": "serve"}
    assert await api("POST", "/v1/policies", {"facts": [fresh]}) == 202
    await api.facts(level("MUG-RED", 11, "paris-store", as_of=ago(seconds=0)), source="tills")
    await seen(page, "The source tills is silent", may_be_s + SEEN_S)

    rest = {**level(HOT, 0, "lyon-dc", as_of=ago(seconds=0))}
    await api.facts(rest, source="erp")
    shoppers.hot, shoppers.rate = 1.0, 60.0
    shoppers.begin()
    await seen(page, "Shoppers ask in vain")
    await shoppers.end()

    leader: dict[str, Any] = {}
    while leader.get("role") != "leader":
        leader = (await ask(api.port, "GET", "/v1/overview", authorization=f"Bearer {key}")).json
    os.kill(leader["pid"], signal.SIGKILL)
    await seen(page, "took the lead from")
