"""A name that a mistake has made a SKU becomes an alias of the true one."""

from __future__ import annotations

import pytest

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]


def shop(told: Beside) -> None:
    """00017 is the true SKU; a spreadsheet made 17 of it."""
    told.locations("paris")
    told.accept("item", sku="00017", base_unit="each")
    told.level("00017", "paris", 5)
    told.level("17", "paris", 7)


def put_right(told: Beside) -> str | None:
    return told.fact("item", sku="00017", base_unit="each", aliases=["17"])


def test_its_levels_are_dropped_and_its_name_means_the_true_sku(story: Beside) -> None:
    shop(story)
    story.accept("stock.delta", sku="17", location="paris", quantity=1, reason="", ref="d", as_of=2)
    assert put_right(story) is None
    assert (story.sellable("00017"), story.sellable("17")) == (5, 5)
    story.level("17", "paris", 4, as_of=3)
    assert (story.sellable("00017"), story.sellable("17")) == (4, 4)
    story.buy("r", ("17", 2))
    assert story.sellable("00017") == 2


@pytest.mark.parametrize("use", ["held", "demand", "supply", "component", "rule"])
def test_a_name_that_is_in_use_stays_a_sku(story: Beside, use: str) -> None:
    shop(story)
    line = {"ref": "p", "line": "1", "sku": "17", "location": "paris", "quantity": 1}
    if use == "held":
        story.hold("r", ("17", 1))
    elif use == "demand":
        story.accept("demand", as_of=3, **line | {"class": "b2b"})
    elif use == "supply":
        story.accept("supply", **line, due="2026-02-01", status="open")
    elif use == "component":
        story.accept("item", sku="K", base_unit="each", kit=[{"sku": "17", "quantity": 1}])
    else:
        story.accept("safety", sku="17", absolute=1)
    assert put_right(story) == "alias-taken"
    assert story.sellable("00017") == 5
