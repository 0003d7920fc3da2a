"""A shop with a gateway: what the tests of the plugin do to both.

In: WOOCOMMERCE and WORDPRESS of the environment: where they are; the double and Debian's WordPress otherwise.
Out: products, settings, orders as they are stored. Always: each test has its own products, so tests share one shop.
"""

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.woocommerce.database import database, program
from tests.woocommerce.keeper import Keeper
from tests.woocommerce.site import DEBIAN_WORDPRESS, Site, site

DOUBLE = Path(__file__).parent / "double"
_numbers = itertools.count(1)


def named_woocommerce() -> Path | None:
    """A real WooCommerce, where the user names one."""
    return Path(os.environ["WOOCOMMERCE"]).resolve() if os.environ.get("WOOCOMMERCE") else None


def named_wordpress() -> Path | None:
    return Path(os.environ["WORDPRESS"]).resolve() if os.environ.get("WORDPRESS") else None


def missing() -> str:
    """What this machine lacks for a shop, as one line; nothing where all is there."""
    lacks = [name for name in ("php", "mariadbd", "mariadb-install-db", "mariadb") if not program(name)]
    if not (named_wordpress() or DEBIAN_WORDPRESS).is_dir():
        lacks.append("wordpress")
    if not (named_woocommerce() or DOUBLE).is_dir():
        lacks.append("a real WooCommerce (make woo-test WOOCOMMERCE=DIR)")
    return ", ".join(lacks)


class Shop:
    """Both, and what may be done to them."""

    def __init__(self, site: Site, keeper: Keeper) -> None:
        self.site = site
        self.keeper = keeper
        self.url = site.url

    def settings(self, **changes: Any) -> None:
        """What the shop owner has entered; what is not named has its default."""
        values = {
            "url": self.keeper.url,
            "key": self.keeper.key,
            "channel": "web",
            "budget_ms": 3000,
            "cache_seconds": 0,
        }
        self.site.call("settings", values=values | changes)

    def product(
        self, stock: int | None, *, woo: int | None = None, sku: str | None = None, **props: Any
    ) -> tuple[int, str]:
        """A product with so many pieces in holdfast (None: unknown there), and in the shop; its id and SKU."""
        number = next(_numbers)
        sku = f"SKU-{os.getpid()}-{number}" if sku is None else sku
        shown = woo if woo is not None else stock or 0
        made: int = self.site.call("product", name=f"Mug {number}", sku=sku, stock=shown, props=props)
        if stock is not None:
            self.keeper.stock(sku, stock)
        return made, sku

    def order(self, order: int) -> dict[str, Any]:
        """Status, mark, key and notes of an order as stored."""
        found: dict[str, Any] = self.site.call("order", id=order)
        return found

    def orders(self, product: int) -> list[dict[str, Any]]:
        """All stored orders with a product, drafts and the trash too."""
        found: list[dict[str, Any]] = self.site.call("orders", product=product)
        return found

    def status(self, order: int, status: str) -> None:
        """As an administrator changes it."""
        self.site.call("status", id=order, status=status)

    def paid(self, order: int) -> None:
        """As a payment service reports it."""
        self.site.call("paid", id=order)

    def stock_of(self, product: int) -> int:
        """The shop's own figure."""
        return int(self.site.call("stock_of", id=product))

    def run_outbox(self) -> int:
        """Action Scheduler's turn, whenever it was meant to come; how many actions ran."""
        return int(self.site.call("outbox"))


@contextmanager
def open_shop(directory: Path, *, hpos: bool = True) -> Iterator[Shop]:
    """Database, WordPress, both plugins, a gateway: until the end of the block."""
    keeper = Keeper(directory)
    try:
        keeper.start()
        with (
            database(directory) as socket,
            site(directory, socket, named_woocommerce() or DOUBLE, named_wordpress(), hpos=hpos) as running,
        ):
            shop = Shop(running, keeper)
            shop.settings()
            yield shop
    finally:
        keeper.stop()
        shutil.rmtree(directory / "shop", ignore_errors=True)
