"""What is on its way and what of it arrived, whichever is stated first: lines in order, receipts, transfers, levels."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]

DUE = "2026-01-20"


def shop(told: Beside) -> None:
    """Nothing yet; the channel sells what comes within 30 days."""
    told.locations("paris", "lyon")
    told.channel("web", supply_horizon_days=30)


def line(told: Beside, quantity: int, status: str = "open", **fields: Any) -> None:
    named: dict[str, Any] = {"ref": "P", "line": "1", "sku": "A", "location": "paris", "due": DUE}
    told.accept("supply", quantity=quantity, status=status, **named | fields)


def receipt(told: Beside, quantity: int, as_of: int, **fields: Any) -> None:
    named: dict[str, Any] = {"ref": "P", "line": "1", "sku": "A", "location": "paris"}
    told.accept("receipt", quantity=quantity, as_of=as_of, **named | fields)


def transfer(told: Beside, quantity: int, status: str, as_of: int, **fields: Any) -> None:
    named: dict[str, Any] = {"ref": "T", "sku": "A", "from": "paris", "to": "lyon", "due": DUE}
    told.accept("transfer", quantity=quantity, status=status, as_of=as_of, **named | fields)


# --- point 8: lines in order ------------------------------------------------------------------------------------------


def test_an_older_statement_of_a_line_changes_nothing(story: Beside) -> None:
    shop(story)
    line(story, 5, as_of=10)
    line(story, 9, as_of=8)
    assert story.sellable("A") == 5
    line(story, 4, as_of=11)
    assert story.sellable("A") == 4


@pytest.mark.parametrize("closed", ["received", "cancelled"])
def test_a_closed_line_is_opened_again_only_by_what_is_newer(story: Beside, closed: str) -> None:
    shop(story)
    line(story, 5, as_of=10)
    line(story, 5, closed, as_of=12)
    line(story, 6)
    line(story, 6, as_of=12)
    assert story.sellable("A") == 0
    line(story, 6, as_of=13)
    assert story.sellable("A") == 6


def test_a_closed_line_without_versions_or_times_stays_closed(story: Beside) -> None:
    shop(story)
    line(story, 5)
    line(story, 5, "received")
    line(story, 5)
    assert story.sellable("A") == 0
    line(story, 6, version=1)
    assert story.sellable("A") == 6


# --- point 10: presumed receipts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [{}, {"as_of": 20}, {"version": 2}])
def test_a_level_that_rose_is_presumed_to_have_received_open_supply(story: Beside, again: dict[str, Any]) -> None:
    shop(story)
    first: dict[str, Any] = {"as_of": 1} if "as_of" in again else {"version": 1} if again else {}
    line(story, 100, **first)
    assert story.sellable("A") == 100
    story.level("A", "paris", 30, as_of=20)
    assert story.sellable("A") == 100
    line(story, 70, **again)
    assert story.sellable("A") == 100


def test_what_movements_explain_was_not_received(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 10, as_of=5)
    line(story, 100)
    story.accept("stock.delta", sku="A", location="paris", quantity=20, reason="", ref="d", as_of=7)
    assert story.sellable("A") == 130
    story.level("A", "paris", 35, as_of=9)
    assert story.sellable("A") == 35 + 95


def test_what_orders_took_meanwhile_arrived_too(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 10, as_of=5)
    story.buy("r", ("A", 4), order_ref="o")
    line(story, 100)
    story.accept("shipment", ref="s", order_ref="o", lines=[{"sku": "A", "quantity": 4}], as_of=7)
    story.level("A", "paris", 36, as_of=9)  # 10 less 4 and 30
    assert story.sellable("A") == 36 + 70


def test_the_earliest_line_of_the_owner_at_that_location_is_presumed_received_first(story: Beside) -> None:
    shop(story)
    line(story, 20, ref="late", due="2026-01-25")
    line(story, 10, ref="early", due="2026-01-05")
    line(story, 10, ref="there", location="lyon")
    line(story, 7, ref="other", source="wms")
    story.level("A", "paris", 15, as_of=9)
    assert story.sellable("A") == 15 + 15 + 10 + 7
    line(story, 20, ref="late", due="2026-01-25", as_of=9)
    assert story.sellable("A") == 15 + 20 + 10 + 7


def test_what_is_bound_to_a_line_follows_the_goods(story: Beside) -> None:
    shop(story)
    line(story, 10)
    story.buy("r", ("A", 6), order_ref="o")
    story.level("A", "paris", 4, as_of=9)
    assert (story.allocations("r"), story.sellable("A")) == ({("paris",): 4, ("paris", DUE): 2}, 4)
    line(story, 6, as_of=9)
    assert (story.allocations("r"), story.sellable("A")) == ({("paris",): 4, ("paris", DUE): 2}, 4)


def test_an_older_statement_of_a_line_after_the_level_does_not_count_what_arrived_again(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 0, as_of=1)
    story.level("A", "paris", 30, as_of=20)
    line(story, 100, as_of=5)
    assert story.sellable("A") == 100
    line(story, 70, as_of=20)
    assert story.sellable("A") == 100


# --- point 9: receipts ------------------------------------------------------------------------------------------------


def test_a_receipt_is_on_the_shelf_and_off_the_line(story: Beside) -> None:
    shop(story)
    line(story, 100, as_of=1)
    story.buy("r", ("A", 50), order_ref="o")
    receipt(story, 30, 5)
    assert story.sellable("A") == 50
    assert story.allocations("r") == {("paris",): 30, ("paris", DUE): 20}
    story.level("A", "paris", 30, as_of=6)
    assert story.sellable("A") == 50
    line(story, 70, as_of=7)
    assert story.sellable("A") == 50


def test_a_receipt_counts_once_is_corrected_by_version_and_withdrawn_by_nothing(story: Beside) -> None:
    shop(story)
    line(story, 100)
    for _ in range(2):
        receipt(story, 30, 5, version=1)
    story.channel("shelf")
    assert (story.sellable("A"), story.sellable("A", "shelf")) == (100, 30)
    receipt(story, 40, 6, version=2)
    assert (story.sellable("A"), story.sellable("A", "shelf")) == (100, 40)
    receipt(story, 0, 7, version=3)
    assert (story.sellable("A"), story.sellable("A", "shelf")) == (100, 0)


def test_a_receipt_of_a_line_that_is_not_known_yet_is_off_it_once_it_is(story: Beside) -> None:
    shop(story)
    receipt(story, 30, 5)
    line(story, 100, as_of=4)
    assert story.sellable("A") == 100
    line(story, 70, as_of=5)
    assert story.sellable("A") == 100


# --- transfers --------------------------------------------------------------------------------------------------------


def both(told: Beside) -> tuple[int, int]:
    """Sellable on a channel of what is at hand, and with what is on its way."""
    told.channel("shelf")
    return told.sellable("A", "shelf"), told.sellable("A")


def test_what_is_transferred_is_on_its_way_and_then_at_hand(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 10, as_of=1)
    transfer(story, 4, "shipped", 5)
    assert both(story) == (6, 10)
    story.level("A", "paris", 6, as_of=6)
    transfer(story, 4, "received", 8)
    assert both(story) == (10, 10)
    story.level("A", "lyon", 4, as_of=9)
    assert both(story) == (10, 10)


def test_a_transfer_that_is_cancelled_is_back_where_it_came_from(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 10, as_of=1)
    transfer(story, 4, "shipped", 5)
    story.level("A", "paris", 6, as_of=6)
    transfer(story, 4, "cancelled", 8)
    assert both(story) == (10, 10)
    transfer(story, 4, "shipped", 5)  # late
    assert both(story) == (10, 10)


def test_a_level_that_counts_a_transfer_before_it_is_said_to_be_received_counts_it_once(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 10, as_of=1)
    transfer(story, 4, "shipped", 5)
    story.level("A", "lyon", 4, as_of=9)
    assert both(story) == (10, 10)
    transfer(story, 4, "received", 8)
    assert both(story) == (10, 10)


@pytest.mark.parametrize("core", [False, True])
def test_a_transfer_is_never_in_two_places_in_any_order_of_arrival(core: bool) -> None:
    """10 in all: never more once the transfer is known, 10 at the end."""
    steps: list[Any] = [
        lambda told: transfer(told, 4, "shipped", 5),
        lambda told: transfer(told, 4, "received", 8),
        lambda told: told.level("A", "paris", 6, as_of=6),
        lambda told: told.level("A", "lyon", 4, as_of=9),
        lambda told: told.level("A", "paris", 6, as_of=10),
    ]
    for order in permutations(steps):
        told = Beside(core=core)
        shop(told)
        told.level("A", "paris", 10, as_of=1)
        told.level("A", "lyon", 0, as_of=1)
        for number, step in enumerate(order):
            step(told)
            known = any(one in order[: number + 1] for one in steps[:2])
            assert told.says("A") <= (10 if known else 14)
        assert both(told) == (10, 10)


@pytest.mark.parametrize("core", [False, True])
@settings(max_examples=100, deadline=None)
@given(
    arrived=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    bought=st.integers(0, 12),
    receipts=st.booleans(),
    shuffled=st.randoms(use_true_random=False),
)
def test_levels_and_lines_in_any_order_never_show_more_than_there_is(
    core: bool, arrived: list[int], bought: int, receipts: bool, shuffled: Any
) -> None:
    """20 on order arrive bit by bit; each bit shows in a level and in the line, the first perhaps in a receipt."""
    steps: list[Any] = []
    total = 0
    for number, quantity in enumerate(arrived):
        total += quantity
        as_of = 10 + 10 * number
        steps.append(lambda told, n=total, at=as_of + 5: told.level("A", "paris", n, as_of=at))
        steps.append(lambda told, n=20 - total, at=as_of + 5: line(told, n, as_of=at))
        if receipts and quantity and total == quantity:
            steps.append(lambda told, n=total, at=as_of: receipt(told, n, at))
    steps += [step for step in steps if shuffled.random() < 0.2]
    shuffled.shuffle(steps)
    told = Beside(core=core)
    shop(told)
    line(told, 20, as_of=1)
    if bought:
        told.buy("r", ("A", bought), order_ref="o")
    assert told.says("A") == 20 - bought
    for step in steps:
        step(told)
        assert told.says("A") <= 20 - bought
    assert told.says("A") == 20 - bought
