"""A return brings back what its order shipped; what it names beyond that leaves the open units instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]


def shop(told: Beside, sold: int = 1) -> None:
    """100 on hand, some of which are sold as order o."""
    told.locations("paris", "lyon")
    told.level("A", "paris", 100)
    if sold:
        told.buy("r", ("A", sold), order_ref="o")


def back(told: Beside, quantity: int, ref: str = "b", **fields: Any) -> None:
    named: dict[str, Any] = {"order_ref": "o", "sku": "A", "location": "paris", "condition": "sellable", "as_of": 6}
    told.accept("return", ref=ref, quantity=quantity, **named | fields)


def ship(told: Beside, quantity: int, ref: str = "s", location: str | None = "paris", **fields: Any) -> None:
    line = {"sku": "A", "quantity": quantity} | ({"location": location} if location else {})
    told.accept("shipment", ref=ref, order_ref="o", lines=[line], **{"as_of": 5} | fields)


def test_a_return_of_what_never_left_is_open_no_more_and_on_hand_once(story: Beside) -> None:
    told = story
    told.locations("paris")
    told.level("A", "paris", 100)
    assert told.sellable("A") == 100
    told.buy("r", ("A", 1), order_ref="o")
    assert told.sellable("A") == 99
    back(told, 1)
    assert told.sellable("A") == 100
    assert told.command("cancel", "r").status == 200
    assert told.sellable("A") == 100


def test_a_return_brings_back_what_was_shipped(story: Beside) -> None:
    shop(story, 3)
    ship(story, 2)
    back(story, 2)
    assert (story.sellable("A"), story.state("r")) == (99, "committed")


def test_what_is_returned_beyond_the_shipped_and_the_open_units_counts_nothing(story: Beside) -> None:
    shop(story, 3)
    ship(story, 2)
    back(story, 9)
    assert (story.sellable("A"), story.state("r")) == (100, "fulfilled")


def test_one_unit_does_not_come_back_twice(story: Beside) -> None:
    shop(story, 3)
    ship(story, 1)
    back(story, 1)
    back(story, 1, ref="b2")
    assert (story.sellable("A"), story.state("r")) == (98 + 1 - 1 + 1, "committed")


@pytest.mark.parametrize("location", ["paris", None])
def test_what_ships_after_its_return_came_leaves_and_is_back(story: Beside, location: str | None) -> None:
    shop(story, 1)
    back(story, 1)
    assert (story.sellable("A"), story.state("r")) == (100, "cancelled")
    ship(story, 1, location=location)
    assert (story.sellable("A"), story.state("r")) == (100, "fulfilled")
    story.level("A", "paris", 100, as_of=6)
    assert story.sellable("A") == 100


def test_a_return_may_name_the_reservation_and_a_kit(story: Beside) -> None:
    shop(story, 0)
    story.level("B", "paris", 10)
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}])
    story.buy("r", ("K", 2))
    story.accept("shipment", ref="s", reservation="r", lines=[{"sku": "K", "quantity": 1}], as_of=5)
    back(story, 2, order_ref=None, reservation="r", sku="K")
    assert (story.state("r"), story.sellable("A"), story.sellable("B")) == ("fulfilled", 100, 10)


def test_a_return_of_an_order_that_is_not_known_counts_as_it_says(story: Beside) -> None:
    shop(story, 0)
    back(story, 2, order_ref="long ago")
    assert story.sellable("A") == 102


def test_a_return_before_its_order_is_bounded_once_that_is_confirmed(story: Beside) -> None:
    shop(story, 0)
    back(story, 2)
    assert story.sellable("A") == 102
    story.buy("r", ("A", 3), order_ref="o")
    assert (story.sellable("A"), story.state("r")) == (99, "committed")


def test_what_the_shop_handed_over_and_what_shipped_beyond_the_order_can_come_back(story: Beside) -> None:
    shop(story, 1)
    story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 1}])
    back(story, 1)
    assert (story.sellable("A"), story.state("r")) == (100, "fulfilled")
    ship(story, 3)
    assert story.sellable("A") == 98
    back(story, 2, ref="b2")
    assert story.sellable("A") == 100


def test_a_return_is_withdrawn_and_its_unit_is_open_again(story: Beside) -> None:
    shop(story, 2)
    back(story, 1, version=1)
    assert story.sellable("A") == 99
    back(story, 0, version=2)
    assert (story.sellable("A"), story.state("r")) == (98, "committed")


def test_damaged_goods_come_back_unsellable(story: Beside) -> None:
    shop(story, 2)
    ship(story, 1)
    back(story, 2, condition="damaged")
    assert (story.sellable("A"), story.state("r")) == (99, "fulfilled")


SHIPPED = st.tuples(st.just("ship"), st.integers(1, 3))
RETURNED = st.tuples(st.just("return"), st.integers(1, 3))


@pytest.mark.parametrize("core", [False, True])
@settings(max_examples=80, deadline=None)
@given(
    sold=st.integers(1, 5),
    said=st.lists(st.one_of(SHIPPED, RETURNED), min_size=1, max_size=5),
    shuffled=st.randoms(use_true_random=False),
)
def test_totals_alone_decide_in_any_order_of_arrival(
    core: bool, sold: int, said: list[tuple[str, int]], shuffled: Any
) -> None:
    """Shipped, returned, and what is left open, whatever came first; the order itself may come last but one."""
    documents = [(*one, number) for number, one in enumerate(said)]
    documents += [one for one in documents if shuffled.random() < 0.3]  # repeats
    shuffled.shuffle(documents)
    shipped = sum(n for kind, n in said if kind == "ship")
    returned = sum(n for kind, n in said if kind == "return")
    brought, beyond = min(shipped, returned), max(0, returned - shipped)
    told = Beside(core=core)
    shop(told, sold)
    for kind, quantity, number in documents:
        if kind == "ship":
            ship(told, quantity, ref=f"s{number}", location="paris")
        else:
            back(told, quantity, ref=f"b{number}")
    still_open = max(0, sold - shipped - beyond)
    assert sum(unit.open for unit in told.oracle.world.reservations["r"].units) == still_open
    assert told.sellable("A") == 100 - shipped + brought - still_open
    told.same_everywhere()
