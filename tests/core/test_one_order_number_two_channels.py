"""One order number borne by orders of two channels: no fact takes anything from the wrong shop in silence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]

LINES = [{"sku": "A", "quantity": 2}]
FACTS: dict[str, dict[str, Any]] = {
    "order.ack": {},
    "order.update": {"ref": "u", "status": "cancelled", "lines": LINES},
    "shipment": {"ref": "s", "lines": LINES},
    "return": {"ref": "b", "sku": "A", "location": "paris", "quantity": 2, "condition": "sellable"},
    "demand": {"ref": "so", "line": "1", "sku": "A", "quantity": 2, "class": "marketplace", "location": "paris"},
}


def shop(told: Beside) -> None:
    """10 on hand; 4 sold on de and 2 on fr, both as order 1001."""
    told.locations("paris")
    told.channel("de")
    told.channel("fr")
    told.level("A", "paris", 10)
    told.buy("german", ("A", 4), channel="de", order_ref="1001")
    told.buy("french", ("A", 2), channel="fr", order_ref="1001")


def report(told: Beside, kind: str, **fields: Any) -> str | None:
    named: dict[str, Any] = {"order_ref": "1001", "as_of": 2}
    return told.fact(kind, **named | FACTS[kind] | fields)


@pytest.mark.parametrize("kind", FACTS)
def test_a_fact_that_names_only_the_number_is_rejected_and_one_that_names_the_channel_is_not(
    story: Beside, kind: str
) -> None:
    shop(story)
    if kind == "return":
        story.accept("shipment", ref="s", reservation="french", lines=LINES, as_of=2)
    assert report(story, kind) == "ambiguous-order"
    assert report(story, kind, channel="fr") is None


def test_what_the_erp_cancels_closes_the_order_of_the_channel_that_it_names(story: Beside) -> None:
    shop(story)
    report(story, "order.update", channel="fr")
    assert (story.state("french"), story.state("german")) == ("cancelled", "committed")
    assert story.sellable("A", "de") == 6


def test_acks_and_shipments_speak_of_the_named_channels_order_alone(story: Beside) -> None:
    shop(story)
    report(story, "order.ack", channel="fr")
    story.level("A", "paris", 8, as_of=3, basis="net")
    assert (story.state("french"), story.state("german"), story.sellable("A", "de")) == ("in_erp", "committed", 4)
    report(story, "shipment", channel="de", as_of=4)
    assert (story.state("french"), story.state("german")) == ("in_erp", "committed")
    assert report(story, "shipment", channel="de", ref="s2", as_of=4) is None
    assert (story.state("french"), story.state("german")) == ("in_erp", "fulfilled")


def test_demand_of_a_channel_adds_what_that_channels_order_does_not_cover(story: Beside) -> None:
    shop(story)
    report(story, "demand", channel="fr", quantity=3)
    assert story.sellable("A", "de") == 4 - 1
    report(story, "demand", ref="other", channel="es", quantity=1)
    assert story.sellable("A", "de") == 4 - 1 - 1


def test_what_is_said_of_a_channels_order_before_it_is_known_waits_for_that_one(story: Beside) -> None:
    shop(story)
    story.accept("order.update", order_ref="7", channel="fr", as_of=2, **FACTS["order.update"])
    story.buy("de7", ("A", 2), channel="de", order_ref="7")
    assert story.state("de7") == "committed"
    story.buy("fr7", ("A", 2), channel="fr", order_ref="7")
    assert (story.state("de7"), story.state("fr7")) == ("committed", "cancelled")


def test_two_orders_of_one_channel_under_one_number_are_no_two_shops(story: Beside) -> None:
    shop(story)
    story.buy("more", ("A", 1), channel="fr", order_ref="8")
    story.buy("again", ("A", 1), channel="fr", order_ref="8")
    story.accept("order.update", order_ref="8", as_of=2, **FACTS["order.update"])
    assert (story.state("more"), story.state("again")) == ("cancelled", "cancelled")
    assert report(story, "order.ack") == "ambiguous-order"


def test_a_shipment_that_names_the_reservation_is_not_ambiguous(story: Beside) -> None:
    shop(story)
    story.accept("shipment", ref="s", reservation="french", lines=LINES, as_of=2)
    assert (story.state("french"), story.state("german")) == ("fulfilled", "committed")
