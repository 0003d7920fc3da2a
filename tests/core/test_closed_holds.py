"""A shop must not take a dead hold for a live one: the same body says so once the reservation is closed."""

from __future__ import annotations

import pytest

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]

BODY = ("A", 2)


def shop(told: Beside) -> None:
    told.locations("paris")
    told.channel("web")
    told.level("A", "paris", 2)
    told.hold("r", BODY, ttl_ms=1_000, owner="ann")


def end(told: Beside, state: str) -> None:
    if state == "released":
        told.command("release", "r")
    elif state == "cancelled":
        told.command("cancel", "r")
    elif state == "superseded":
        told.hold("other", BODY, owner="ann", supersede=True)
    else:
        told.wait(lead_ms=1_000)
    if state == "oversold":
        told.hold("other", BODY)
        assert told.command("confirm", "r").problem == "oversold"


@pytest.mark.parametrize("state", ["released", "cancelled", "superseded", "expired", "oversold"])
def test_the_same_body_on_a_closed_hold_is_refused_with_its_state(story: Beside, state: str) -> None:
    shop(story)
    end(story, state)
    answer = story.hold("r", BODY, ttl_ms=1_000, owner="ann")
    assert (answer.status, answer.problem) == (409, "reservation-closed")
    assert answer.body["state"] == ("released" if state == "superseded" else state)


def test_an_order_that_is_cancelled_is_closed_too(story: Beside) -> None:
    shop(story)
    story.command("confirm", "r", order_ref="o")
    lines = [{"sku": "A", "quantity": 2}]
    story.accept("order.update", ref="u", order_ref="o", status="cancelled", lines=lines, as_of=2)
    answer = story.hold("r", BODY, ttl_ms=1_000, owner="ann")
    assert (answer.status, answer.body.get("state")) == (409, "cancelled")


def test_the_same_body_is_answered_while_held_and_through_the_life_of_an_order(story: Beside) -> None:
    shop(story)
    states = []
    for step in ("held", "committed", "in_erp", "fulfilled"):
        if step == "committed":
            story.command("confirm", "r", order_ref="o")
        elif step == "in_erp":
            story.accept("order.ack", order_ref="o", as_of=2)
            story.level("A", "paris", 0, as_of=3, basis="net")
        elif step == "fulfilled":
            story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 2}])
        answer = story.hold("r", BODY, ttl_ms=1_000, owner="ann")
        states.append((answer.status, answer.body["state"]))
    assert states == [(200, "held"), (200, "committed"), (200, "in_erp"), (200, "fulfilled")]


def test_a_hold_that_is_confirmed_late_is_alive_again(story: Beside) -> None:
    shop(story)
    end(story, "expired")
    assert story.hold("r", BODY, ttl_ms=1_000, owner="ann").status == 409
    assert story.command("confirm", "r", order_ref="o").status == 200
    assert story.hold("r", BODY, ttl_ms=1_000, owner="ann").body["state"] == "committed"


def test_a_revision_is_checked_before_the_state(story: Beside) -> None:
    shop(story)
    story.command("release", "r")
    assert story.hold("s", ("A", 1), revision=3).status == 201
    story.command("release", "s")
    assert story.hold("s", ("A", 1), revision=2).problem == "stale-revision"
    assert story.hold("s", ("A", 1), revision=3).problem == "reservation-closed"
