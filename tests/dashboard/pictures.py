"""Pictures of every view of the dashboard, of a small shop that is open: `python -m tests.dashboard.pictures DIR`.

In: a directory; `--docs`: the two of docs/dashboard.md, into docs/pictures. Out: PNG files, light and dark, 1400 and
390 pixels wide. Always: what they show comes from a running gateway with two processes, real shoppers and a publisher.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.dashboard.test_in_a_browser import VIEWS, view
from tests.support.browser import Page, browsing, installed
from tests.support.served import serving
from tests.support.shown_shop import Gateway, Shoppers, furnish, short

OPEN_S = 25.0
SIZES = ((1400, False), (1400, True), (390, False), (390, True))
DOCS = Path(__file__).parents[2] / "docs" / "pictures"


async def take(into: Path, *, docs: bool) -> None:
    """All of them; the shop has been open for a while."""
    program = installed()
    assert program is not None, "Chromium is not installed"
    with (
        tempfile.TemporaryDirectory() as directory,
        serving(Path(directory), "--workers", "2", "--set", "publisher.enabled=true") as served,
    ):
        api = Gateway(served.port)
        await furnish(api)
        await short(api)
        shoppers = Shoppers(api)
        shoppers.begin()
        async with browsing(program) as page:
            await page.size(1400, 900)
            await page.open(f"http://127.0.0.1:{served.port}/dashboard")
            await page.until("document.querySelector('#pill').innerText.includes('2 processes')", 30)
            await asyncio.sleep(OPEN_S)
            await (two(page, into) if docs else every(page, into))
            await shoppers.end()
            print("\n".join(page.faults) or "the console is empty")


async def every(page: Page, into: Path) -> None:
    """Each view in each size."""
    for n, (address, words) in enumerate(VIEWS.items()):
        for width, dark in SIZES:
            await page.size(width, 900, dark=dark)
            await view(page, address, words)
            await asyncio.sleep(0.6)
            await page.picture(into / f"{n:02}-{width}-{'dark' if dark else 'light'}.png")


async def two(page: Page, into: Path) -> None:
    """Those of the document."""
    await page.size(1100, 760)
    await view(page, "#/now", VIEWS["#/now"])
    await asyncio.sleep(3)
    await page.picture(into / "dashboard-now.png", whole=False)
    await page.size(1100, 900, dark=True)
    await view(page, "#/sku/MUG-BLUE?channel=web", VIEWS["#/sku/MUG-BLUE?channel=web"])
    await asyncio.sleep(3)
    await page.picture(into / "dashboard-sku.png", whole=False)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    target = DOCS if wanted == ["--docs"] else Path(wanted[0])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(target, docs=target == DOCS))
