"""A reservation that was cancelled while it was held may be confirmed late; one that was an order may not."""

from __future__ import annotations

import pytest

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]


def shop(told: Beside) -> None:
    told.locations("paris")
    told.level("A", "paris", 5)


def test_what_was_cancelled_while_held_is_taken_again(story: Beside) -> None:
    shop(story)
    story.hold("r", ("A", 3))
    story.command("cancel", "r")
    assert story.command("confirm", "r", order_ref="o").status == 200
    assert (story.state("r"), story.sellable("A")) == ("committed", 2)


def test_what_does_not_fit_any_more_is_oversold(story: Beside) -> None:
    shop(story)
    story.hold("r", ("A", 3))
    story.command("cancel", "r")
    story.buy("other", ("A", 3))
    answer = story.command("confirm", "r")
    assert (answer.status, answer.problem, story.state("r")) == (409, "oversold", "oversold")


@pytest.mark.parametrize("again", [False, True])
def test_a_cancelled_order_stays_cancelled(story: Beside, again: bool) -> None:
    shop(story)
    story.buy("r", ("A", 3), order_ref="o")
    story.command("cancel", "r")
    if again:
        story.command("cancel", "r")
    assert story.command("confirm", "r").problem == "reservation-closed"


def test_what_was_cancelled_while_held_is_no_order(story: Beside) -> None:
    shop(story)
    story.hold("r", ("A", 3))
    story.command("cancel", "r")
    story.accept(
        "shipment", ref="s", reservation="r", lines=[{"sku": "A", "quantity": 1, "location": "paris"}], as_of=3
    )
    assert story.sellable("A") == 4
