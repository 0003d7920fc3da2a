"""One shop for all tests of the plugin: it takes some time to open. Skipped where PHP, MariaDB or WordPress is missing.

In: WOOCOMMERCE, WORDPRESS and HPOS of the environment (`make woo-test`); without them the double on Debian's WordPress.
Always: `make test` plays a part of them on the double, SHORT; `make woo-test` plays all.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.woocommerce.shop import Shop, missing, named_woocommerce, open_shop

HERE = Path(__file__).parent
SHORT = {
    "test_an_order_holds_its_units_and_confirms_them",
    "test_what_was_sold_since_the_page_was_opened_is_refused_with_words_for_a_shopper",
    "test_a_payment_that_fails_is_tried_again_with_the_last_piece",
    "test_what_this_shop_took_since_the_figure_is_not_sold_again",
    "test_the_pay_page_refuses_what_others_bought_meanwhile",
    "test_a_late_payment_for_what_others_bought_is_said_to_the_shop_and_confirmed_when_stock_comes",
    "test_figures_are_written_by_sequence",
    "test_what_was_written_once_woocommerce_writes_no_more",
    "test_a_bad_value_is_said_and_protects_nobody_less",
    "test_the_end_of_the_plugin_leaves_nothing_on_any_site_of_a_network",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process runs them all: two would open two shops."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.alone)
            if not os.environ.get("WOO_TESTS") and getattr(item, "originalname", "") not in SHORT:
                item.add_marker(pytest.mark.skip(reason="make woo-test plays it"))


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
