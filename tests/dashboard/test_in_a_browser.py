"""The dashboard in a browser, on a gateway with two processes: every view, wrong keys, and a drill of incidents.

Each incident is made for real (drill.py).
"""

from pathlib import Path

import pytest

from holdfast.gateway.keyring import KeyStore, Operation
from tests.dashboard.drill import PATIENCE_S, Around, Drill, around, run, type_key
from tests.support.browser import Page, browsing, installed
from tests.support.gateway import listening
from tests.support.served import serving
from tests.support.shown_shop import Gateway, Shoppers, furnish, short

pytestmark = [
    pytest.mark.skipif(installed() is None, reason="Chromium is not installed: the page is not looked at"),
    pytest.mark.slow,
]
VIEWS = {
    "#/now": "Sellable answers",
    "#/business": "Hold to purchase",
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


async def view(page: Page, address: str, words: str, within_s: float = 60.0) -> None:
    await page.run(f"location.hash = {address!r}")
    await page.until(f"document.querySelector('main').innerText.includes({words!r})", within_s)


async def sign_in(page: Page, url: str, keys: dict[str, str]) -> None:
    """A wrong key and one that may do too little are answered in a sentence; the right one opens the page."""
    await page.open(url)
    await type_key(page, "hf_nobody_x")
    problem = "document.querySelector('.problem').innerText"
    await page.until(f"{problem}.includes('does not know this key')", PATIENCE_S)
    await type_key(page, keys["orders"])
    await page.until(
        "document.querySelector('.problem').innerText.includes('lacks the operation “metrics”')", PATIENCE_S
    )
    await type_key(page, keys["reader"])
    await page.until("document.querySelector('.verdict .problem')?.innerText.includes('“metrics”')", PATIENCE_S)
    await view(page, "#/sku/MUG-BLUE?channel=web", "can be sold on web now")
    await page.run("document.querySelector('#leave').click()")
    await type_key(page, keys["screen"])
    await page.until("document.querySelector('#pill').innerText.includes('2 processes')", PATIENCE_S)
    assert await page.run("sessionStorage.length") == 1
    assert await page.run("localStorage.length + document.cookie.length") == 0


async def every_view(page: Page) -> None:
    """Without an error in the console, with a heading, within the width of a telephone; with names for all fields."""
    assert [fault for fault in page.faults if "status of 40" not in fault and "status of 503" not in fault] == []
    page.faults.clear()
    for width in (1400, 390):
        await page.size(width, 900, dark=width == 390)
        for address, words in VIEWS.items() if width > 390 else NARROW:
            await view(page, address, words)
            assert await page.run("document.querySelectorAll('h1').length") == 1
            assert await page.run("document.documentElement.scrollWidth") <= width, address
            hidden = (
                "[...document.querySelectorAll('.tabs a')].filter((e) => e.getBoundingClientRect().right > innerWidth)"
            )
            assert await page.run(f"{hidden}.length") == 0, "every view is named, without scrolling"
            fields = "[...document.querySelectorAll('input, select, button')]"
            unnamed = f"{fields}.filter((e) => !e.labels?.length && !e.innerText)"
            assert await page.run(f"{unnamed}.length") == 0, address
            assert await page.run("[...document.querySelectorAll('table')].every((t) => t.caption)"), address
    assert [fault for fault in page.faults if "status of 503" not in fault] == [], "a busy machine may be asked again"


async def sent_again(page: Page) -> None:
    """A dead letter is sent again once the person has said so twice."""
    await view(page, "#/troubles?part=letters", "from-the-future")
    offered = (
        "[...document.querySelectorAll('td button:enabled')].find((one) => /Send again|Really/.test(one.innerText))"
    )
    sent = "document.querySelector('main').innerText.includes('Sent: ')"
    await page.until(f"{sent} || ({offered}?.click(), false)", PATIENCE_S)


async def test_every_view_opens_and_each_incident_is_named(tmp_path: Path) -> None:
    async with around(tmp_path) as place:
        await looked_at(tmp_path, place)


async def looked_at(tmp_path: Path, place: Around) -> None:
    store = place.store
    rights: dict[str, list[Operation]] = {
        "orders": [Operation.ORDER],
        "reader": [Operation.READ],
        "screen": [op for op in Operation if op not in {Operation.ORDER, Operation.RESERVE, Operation.FACTS}],
        "shop": list(Operation),
    }
    keys = {name: KeyStore(store).add(name, operations)[1] for name, operations in rights.items()}
    keys["slow"] = KeyStore(store).add("slow", [Operation.READ], rate_per_s=1)[1]
    program = installed()
    assert program is not None
    with serving(tmp_path, "--workers", "2", "--config", str(place.config), auth="on") as served:
        api = Gateway(served.port, keys["shop"])
        await furnish(api)
        await short(api)
        shoppers = Shoppers(api)
        await shoppers.come(10)
        async with browsing(program) as page:
            await page.size(1400, 900)
            await sign_in(page, f"http://127.0.0.1:{served.port}/dashboard", keys)
            await every_view(page)
            await sent_again(page)
            await view(page, "#/now", "Sellable answers")
            await run(page, Drill(api, shoppers, Gateway(served.port, keys["slow"]), keys["screen"], place))
            assert page.hosts <= {f"127.0.0.1:{served.port}", ""}


async def test_pages_of_two_people_have_cookies_apart() -> None:
    program = installed()
    assert program is not None
    async with listening() as (_, port), browsing(program) as ada:
        bob = await ada.another()
        for page in (ada, bob):
            await page.open(f"http://127.0.0.1:{port}/livez")
        await ada.run("document.cookie = 'cart=ada'")
        assert [await page.run("document.cookie") for page in (ada, bob)] == ["cart=ada", ""]
