"""One shop for all tests of the plugin: it takes some time to open. Skipped where PHP, MariaDB or WordPress is missing.

In: WOOCOMMERCE, WORDPRESS and HPOS of the environment (`make woo-test`); without them the double on Debian's WordPress.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.woocommerce.shop import Shop, missing, named_woocommerce, open_shop

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs them all: two would open two shops."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def open_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    if lacks := missing():
        pytest.skip(f"this machine lacks for a shop: {lacks}")
    with open_shop(tmp_path_factory.mktemp("shop"), hpos=os.environ.get("HPOS", "yes") != "no") as shop:
        yield shop


@pytest.fixture
def real_woocommerce() -> None:
    if not named_woocommerce():
        pytest.skip("needs WooCommerce itself: make woo-test WOOCOMMERCE=DIR")


@pytest.fixture
def shop(open_once: Shop) -> Iterator[Shop]:
    """As the owner set it up; afterwards PHP has complained of nothing that is the plugin's."""
    open_once.settings()
    yield open_once
    wrong = [line for line in open_once.site.debug().splitlines() if "holdfast" in line and "PHP" in line]
    assert wrong == []
