"""A sale keeps its recipe and its conversion, whatever is declared later."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]

RECIPE, HELD, UNITS = (
    "a sale keeps its recipe",
    "a hold keeps its conversion",
    "units on lines",
)


def declare(told: Beside, sku: str, **parts: int) -> None:
    kit = [{"sku": part, "quantity": each} for part, each in parts.items()]
    told.accept("item", sku=sku, base_unit="each", kit=kit)


def boxes(told: Beside, each: int, **fields: Any) -> None:
    told.accept("item", sku="A", base_unit="each", units={"box": each}, **fields)


def shop(told: Beside) -> None:
    """20 each of A, B and C; K is A and B."""
    told.locations("paris")
    for sku in "ABC":
        told.level(sku, "paris", 20)
    declare(told, "K", A=1, B=1)


def stock(told: Beside) -> tuple[int, int, int]:
    a, b, c = (told.sellable(sku) for sku in "ABC")
    return a, b, c


def test_a_shipment_of_a_kit_ships_what_was_sold(story: Beside) -> None:
    shop(story)
    story.buy("r", ("K", 3), order_ref="o")
    declare(story, "K", A=1, C=2)
    story.accept("shipment", ref="s", order_ref="o", lines=[{"sku": "K", "quantity": 3}], as_of=5)
    assert (story.state("r"), stock(story)) == ("fulfilled", (17, 17, 20))


def test_acks_updates_handing_over_and_returns_mean_what_was_sold(story: Beside) -> None:
    shop(story)
    story.buy("r", ("K", 4), order_ref="o")
    declare(story, "K", C=2)
    story.accept("order.ack", order_ref="o", lines=[{"sku": "K", "location": "paris"}], as_of=3)
    lines = [{"sku": "K", "quantity": 1}]
    story.accept("order.update", order_ref="o", ref="u", status="cancelled", lines=lines, as_of=3)
    assert story.command("fulfil", "r", lines=lines).status == 200
    assert stock(story) == (17, 17, 20)
    for sku in "AB":
        story.level(sku, "paris", 17, as_of=4, basis="net")
    assert (story.state("r"), stock(story)) == ("in_erp", (17, 17, 20))


def test_what_was_sold_plain_stays_plain_when_it_becomes_a_kit(story: Beside) -> None:
    shop(story)
    story.buy("r", ("A", 3), ("K", 1), order_ref="o")
    declare(story, "A", C=1)
    story.accept("shipment", ref="s", order_ref="o", lines=[{"sku": "A", "quantity": 3}], as_of=5)
    assert story.state("r") == "committed"
    story.accept("shipment", ref="s2", order_ref="o", lines=[{"sku": "A", "quantity": 1}], as_of=5)
    story.accept("shipment", ref="s3", order_ref="o", lines=[{"sku": "B", "quantity": 1}], as_of=5)
    assert (story.state("r"), story.sellable("C")) == ("fulfilled", 20)


def test_a_late_confirm_takes_again_what_was_held(story: Beside) -> None:
    shop(story)
    story.hold("r", ("K", 2))
    story.command("release", "r")
    declare(story, "K", C=1)
    assert story.command("confirm", "r").status == 200
    assert stock(story) == (18, 18, 20)


def test_another_body_of_a_held_reservation_is_sold_as_it_is_declared_now(story: Beside) -> None:
    shop(story)
    story.hold("r", ("K", 2))
    declare(story, "K", C=1)
    assert story.hold("r", ("K", 2)).status == 200
    assert stock(story) == (18, 18, 20)
    assert story.hold("r", ("K", 3)).status == 200
    assert stock(story) == (20, 20, 17)


def test_caps_give_back_what_was_consumed(story: Beside) -> None:
    shop(story)
    story.channel("web")
    story.accept("cap", channel="web", sku="K", quantity=5)
    story.buy("r", ("K", 3), order_ref="o")
    declare(story, "K", C=1)
    assert story.sellable("K") == 2
    story.accept("item", sku="K", base_unit="each")
    story.level("K", "paris", 9)
    assert story.sellable("K") == 2
    story.command("cancel", "r")
    assert story.sellable("K") == 5


def test_two_orders_of_one_number_ship_each_by_its_recipe_the_older_first(story: Beside) -> None:
    shop(story)
    story.buy("r1", ("K", 2), order_ref="o")
    declare(story, "K", A=1, C=2)
    story.buy("r2", ("K", 2), order_ref="o")
    story.accept("shipment", ref="s", order_ref="o", lines=[{"sku": "K", "quantity": 3}], as_of=5)
    assert (story.state("r1"), story.state("r2")) == ("fulfilled", "committed")
    story.accept("shipment", ref="s2", order_ref="o", lines=[{"sku": "K", "quantity": 1}], as_of=5)
    assert (story.state("r2"), stock(story)) == ("fulfilled", (16, 18, 16))


# --- units ------------------------------------------------------------------------------------------------------------


def test_the_same_body_stands_after_its_unit_changed(story: Beside) -> None:
    shop(story)
    boxes(story, 3)
    body = {"channel": "web", "ttl_ms": 60_000, "lines": [{"sku": "A", "quantity": 2, "unit": "box"}]}
    assert story.command("put", "r", **body).status == 201
    boxes(story, 4)
    assert story.command("put", "r", **body).status == 200
    assert story.sellable("A") == 14
    story.command("confirm", "r")
    assert story.command("put", "r", **body).status == 200
    assert story.sellable("A") == 14


def test_lines_name_units_and_mean_the_conversion_of_the_reservation(story: Beside) -> None:
    shop(story)
    boxes(story, 3)
    lines = [{"sku": "A", "quantity": 4, "unit": "box"}]
    story.command("put", "r", channel="web", ttl_ms=60_000, lines=lines)
    story.command("confirm", "r", order_ref="o")
    boxes(story, 4)
    one = [{"sku": "A", "quantity": 1, "unit": "box"}]
    story.accept("order.update", order_ref="o", ref="u", status="cancelled", lines=one, as_of=3)
    assert story.sellable("A") == 20 - 9
    assert story.command("fulfil", "r", lines=one).status == 200
    story.accept("shipment", ref="s", order_ref="o", lines=one, as_of=3)  # the box that was handed over
    story.accept("shipment", ref="s2", order_ref="o", lines=one, as_of=3)
    assert (story.state("r"), sum(story.allocations("r").values())) == ("committed", 9)
    story.accept("shipment", ref="s3", order_ref="o", lines=one, as_of=3)
    assert (story.state("r"), story.sellable("A")) == ("fulfilled", 11)
    back = {"sku": "A", "quantity": 1, "unit": "box", "location": "paris", "condition": "sellable", "as_of": 4}
    story.accept("return", ref="b", order_ref="o", **back)
    story.accept("return", ref="b2", **back)
    assert story.sellable("A") == 11 + 3 + 4


def test_a_unit_that_nobody_knows_is_refused(story: Beside) -> None:
    shop(story)
    boxes(story, 3)
    story.buy("r", ("A", 3), order_ref="o")
    lines = [{"sku": "A", "quantity": 1, "unit": "crate"}]
    assert story.fact("shipment", ref="s", order_ref="o", lines=lines, as_of=3) == "unknown-unit"
    assert story.command("fulfil", "r", lines=lines).status == 422


def test_a_unit_that_is_declared_no_more_is_still_known_to_what_was_held_in_it(story: Beside) -> None:
    shop(story)
    boxes(story, 3)
    lines = [{"sku": "A", "quantity": 2, "unit": "box"}]
    story.command("put", "r", channel="web", ttl_ms=60_000, lines=lines)
    story.command("confirm", "r", order_ref="o")
    story.accept("item", sku="A", base_unit="each")
    story.accept("shipment", ref="s", order_ref="o", lines=lines, as_of=3)
    assert story.state("r") == "fulfilled"


@pytest.mark.parametrize(("box", "multiple", "held"), [(4, 1, 92), (4, 6, 84), (10, 4, 80), (1, 1, 95)])
def test_partial_floors_to_the_unit_and_the_sell_multiple(story: Beside, box: int, multiple: int, held: int) -> None:
    shop(story)
    boxes(story, box, sell_multiple=multiple)
    story.level("A", "paris", 95, as_of=2)
    quantity = -(-96 // box)
    line = {"sku": "A", "quantity": quantity, "unit": "box"}
    answer = story.command("put", "r", channel="web", ttl_ms=60_000, lines=[line], partial=True)
    assert (answer.status, sum(story.allocations("r").values())) == (201, held)


# --- returns of a name that the order does not hold -------------------------------------------------------------------

RETURNED = st.tuples(st.just("return"), st.sampled_from(["K", "A"]), st.sampled_from([None, "box"]), st.integers(1, 3))
DECLARED = st.tuples(st.just("kit"), st.sampled_from(["A", "B", "C"]), st.integers(1, 2))
BOXED = st.tuples(st.just("box"), st.integers(2, 4))
SHIPPED = st.tuples(st.just("ship"), st.integers(1, 4))
SOLD = st.tuples(st.just("confirm"))


@pytest.mark.parametrize("core", [False, True])
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.one_of(RETURNED, DECLARED, BOXED, SHIPPED, SOLD), min_size=3, max_size=9))
def test_declaring_an_item_again_changes_no_base_stock(core: bool, steps: list[tuple[Any, ...]]) -> None:
    """A return means what its SKU and unit were declared to be when it came, before its order or after."""
    told = Beside(core=core)
    shop(told)
    boxes(told, 3)
    told.accept("item", sku="K", base_unit="each", units={"box": 2}, kit=[{"sku": "A", "quantity": 1}])
    told.hold("r", ("A", 6), ("B", 6))
    for number, (step, *rest) in enumerate(steps):
        before = stock(told)
        if step == "return":
            sku, unit, quantity = rest
            named = {"sku": sku, "unit": unit, "quantity": quantity, "location": "paris", "condition": "damaged"}
            told.accept("return", ref=f"b{number}", order_ref="o", as_of=6, **named)
        elif step == "ship":
            told.accept("shipment", ref=f"s{number}", order_ref="o", lines=[{"sku": "A", "quantity": rest[0]}], as_of=5)
        elif step == "confirm":
            told.command("confirm", "r", order_ref="o")
        else:
            if step == "box":
                boxes(told, rest[0])
            else:
                kit = [{"sku": rest[0], "quantity": rest[1]}]
                told.accept("item", sku="K", base_unit="each", units={"box": 2}, kit=kit)
            assert stock(told) == before
    told.same_everywhere()
    told.replay()
