"""Where the units of an order stand: what acks and shipments say counts in the order of `as_of`, not of arrival."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]


def shop(told: Beside, **on_hand: int) -> None:
    """Locations A, B and C by priority; net levels as of 0."""
    for number, name in enumerate("ABC"):
        told.accept("location", location=name, type="warehouse", priority=10 + number)
    told.channel("web", supply_horizon_days=30)
    for location, count in on_hand.items():
        told.level("S", location, count, as_of=0, basis="net")


def ack(told: Beside, as_of: int, *locations: str, source: str = "erp") -> None:
    lines = [{"sku": "S", "location": location} for location in locations] or None
    told.accept("order.ack", source=source, order_ref="o", as_of=as_of, lines=lines)


def level(told: Beside, location: str, on_hand: int, as_of: int) -> None:
    told.level("S", location, on_hand, as_of=as_of, basis="net")


def supply(told: Beside, quantity: int, status: str = "open", location: str = "A", ref: str = "P") -> None:
    told.accept(
        "supply", ref=ref, line="1", sku="S", location=location, quantity=quantity, due="2026-01-10", status=status
    )


def ship(told: Beside, quantity: int, location: str | None = None, as_of: int = 10, **fields: Any) -> None:
    line = {"sku": "S", "quantity": quantity} | ({"location": location} if location else {})
    told.accept("shipment", **({"ref": "D", "order_ref": "o", "lines": [line], "as_of": as_of} | fields))


# --- acks that arrive late --------------------------------------------------------------------------------------------


def test_an_older_ack_that_arrives_later_moves_no_unit(story: Beside) -> None:
    shop(story, A=1)
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "S", "quantity": 1}])
    story.buy("r", ("K", 1), order_ref="o")
    ack(story, 15, "B")
    ack(story, 10, "A")
    assert story.allocations("r") == {("S", "B"): 1}
    assert story.sellable("S") == 1


def test_what_an_older_ack_saw_elsewhere_is_no_evidence_at_the_new_place(story: Beside) -> None:
    shop(story, A=1)
    story.buy("r", ("S", 1), order_ref="o")
    ack(story, 15, "B")
    ack(story, 10)
    ack(story, 9, "A")
    level(story, "B", 1, 12)
    assert (story.sellable("S"), story.state("r")) == (1, "committed")
    level(story, "B", 1, 15)
    assert (story.sellable("S"), story.state("r")) == (2, "in_erp")


def test_an_older_ack_says_nothing_of_the_place_that_a_later_shipment_named(story: Beside) -> None:
    shop(story, A=1)
    story.buy("r", ("S", 1), order_ref="o")
    level(story, "B", 1, 20)
    ship(story, 1, "B", as_of=30)
    ack(story, 10)
    assert (story.allocations("r"), story.sellable("S")) == ({("B",): 1}, 1)
    level(story, "B", 0, 30)
    assert story.sellable("S") == 1


def test_the_newest_of_several_acks_decides_and_an_equal_one_replaces(story: Beside) -> None:
    shop(story, A=1)
    story.buy("r", ("S", 1), order_ref="o")
    ack(story, 15, "B")
    ack(story, 15, "C")
    ack(story, 14, "A")
    assert story.allocations("r") == {("C",): 1}
    ack(story, 16, "A", "B")
    assert story.allocations("r") == {("A",): 1}


def test_acks_of_two_sources_are_not_compared(story: Beside) -> None:
    shop(story, A=1)
    story.buy("r", ("S", 1), order_ref="o")
    ack(story, 15, "B")
    ack(story, 10, "C", source="wms")
    assert story.allocations("r") == {("C",): 1}


def test_an_ack_is_no_older_for_having_spoken_before_another_source_moved_the_unit(story: Beside) -> None:
    shop(story, A=1)
    story.buy("r", ("S", 1), order_ref="o")
    ack(story, 15, "B")
    ack(story, 10, "C", source="wms")
    ack(story, 14, "A")  # older than what the ERP said last
    assert story.allocations("r") == {("C",): 1}
    ack(story, 16, "A")
    assert story.allocations("r") == {("A",): 1}


def test_acks_of_one_place_count_from_the_first_of_them_on(story: Beside) -> None:
    """A read-back that is repeated takes nothing from what an earlier one saw, whichever arrives first."""
    shop(story, A=2)
    story.buy("r", ("S", 1), order_ref="o")
    ack(story, 15, "A")
    ack(story, 10, "A")
    level(story, "A", 1, 12)
    assert (story.sellable("S"), story.state("r")) == (1, "in_erp")


def test_an_ack_of_another_place_waits_while_a_unit_counts_as_shipped(story: Beside) -> None:
    shop(story, A=1)
    story.buy("r", ("S", 1), order_ref="o")
    ship(story, 1, "A", as_of=10, version=1)
    ack(story, 15, "B")
    assert story.allocations("r") == {("A",): 1}
    other = [{"sku": "T", "quantity": 1}]
    story.accept("shipment", ref="D", order_ref="o", lines=other, as_of=20, version=2)
    assert story.allocations("r") == {("B",): 1}


SAID = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from(["ack", "ack A", "ack B", "ack C", "ack A B"])),
    min_size=2,
    max_size=5,
    unique_by=lambda one: one[0],
)


@pytest.mark.parametrize("core", [False, True])
@settings(max_examples=60, deadline=None)
@given(said=SAID, seed=st.randoms(use_true_random=False), read=st.lists(st.integers(0, 10), min_size=3, max_size=3))
def test_acks_in_any_order_of_arrival_end_in_the_same_state(
    core: bool, said: list[tuple[int, str]], seed: Any, read: list[int]
) -> None:
    """Places, evidence and sellable; the levels are read whenever they like."""
    shuffled = list(said)
    seed.shuffle(shuffled)
    ends = []
    for order in (sorted(said), shuffled):
        told = Beside(core=core)
        shop(told, A=2, B=2, C=2)
        told.buy("r", ("S", 1), order_ref="o")
        for as_of, what in order:
            ack(told, as_of, *what.split()[1:])
        for location, as_of in zip("ABC", read, strict=True):
            level(told, location, 2, as_of)
        ends.append((told.allocations("r"), told.state("r"), told.sellable("S")))
    assert ends[0] == ends[1]


# --- shipping what is bound to supply ---------------------------------------------------------------------------------


def one_on_its_way_and_four_on_the_shelf(told: Beside) -> None:
    shop(told, B=4)
    supply(told, 1)
    told.buy("r", ("S", 5), order_ref="o")
    assert told.sellable("S") == 0


def test_a_shipment_takes_the_supply_bound_unit_of_the_place_that_it_names(story: Beside) -> None:
    one_on_its_way_and_four_on_the_shelf(story)
    ship(story, 1, "A")
    assert story.allocations("r") == {("A",): 1, ("B",): 4}
    assert story.sellable("S") == 0
    supply(story, 1, "received")
    level(story, "A", 0, 20)
    assert story.sellable("S") == 0


def test_a_shipment_takes_shelf_and_supply_of_the_named_place_before_any_other_shelf(story: Beside) -> None:
    shop(story, A=1, B=4)
    supply(story, 1)
    story.buy("r", ("S", 6), order_ref="o")
    ship(story, 2, "A")
    assert story.allocations("r") == {("A",): 2, ("B",): 4}
    assert story.sellable("S") == 0
    ship(story, 1, "A", ref="D2")  # nothing is left there: one of B's moves, and frees B's shelf
    assert story.allocations("r") == {("A",): 3, ("B",): 3}


@pytest.mark.parametrize("quantity", [1, 4])
def test_a_shipment_without_a_place_takes_what_is_at_hand_first(story: Beside, quantity: int) -> None:
    one_on_its_way_and_four_on_the_shelf(story)
    ship(story, quantity)
    assert (story.allocations("r"), story.sellable("S")) == ({("A", "2026-01-10"): 1, ("B",): 4}, 0)


def test_a_shipment_without_a_place_changes_nothing_that_can_be_sold(story: Beside) -> None:
    one_on_its_way_and_four_on_the_shelf(story)
    ship(story, 5)
    assert (story.allocations("r"), story.sellable("S")) == ({("A",): 1, ("B",): 4}, 0)
    assert story.state("r") == "fulfilled"


def test_an_order_that_is_all_bound_to_supply_ships_from_where_that_comes(story: Beside) -> None:
    shop(story)
    supply(story, 1)
    story.buy("r", ("S", 1), order_ref="o")
    ship(story, 1)
    assert (story.allocations("r"), story.state("r"), story.sellable("S")) == ({("A",): 1}, "fulfilled", 0)
    supply(story, 1, "received")
    level(story, "A", 5, 20)
    assert story.sellable("S") == 5


def test_what_the_shop_hands_over_leaves_from_where_its_supply_comes(story: Beside) -> None:
    one_on_its_way_and_four_on_the_shelf(story)
    story.command("fulfil", "r", lines=[{"sku": "S", "quantity": 5}])
    assert (story.allocations("r"), story.sellable("S")) == ({("A",): 1, ("B",): 4}, 0)


def test_a_kits_components_ship_from_the_named_place_too(story: Beside) -> None:
    shop(story, B=4)
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "S", "quantity": 1}])
    supply(story, 1)
    story.buy("r", ("K", 5), order_ref="o")
    line = {"sku": "K", "quantity": 1, "location": "A"}
    story.accept("shipment", ref="D", order_ref="o", lines=[line], as_of=10)
    assert (story.allocations("r"), story.sellable("K")) == ({("S", "A"): 1, ("S", "B"): 4}, 0)


COUNTS = st.integers(0, 3)


@pytest.mark.parametrize("core", [False, True])
@settings(max_examples=60, deadline=None)
@given(shelves=st.tuples(COUNTS, COUNTS), on_the_way=st.tuples(COUNTS, COUNTS, COUNTS), sold=COUNTS, draw=st.data())
def test_a_shipment_from_where_its_units_stand_changes_nothing_that_can_be_sold(
    core: bool, shelves: tuple[int, int], on_the_way: tuple[int, int, int], sold: int, draw: st.DataObject
) -> None:
    """However many documents it comes in; those without a place come first, as they take what is at hand anywhere."""
    told = Beside(core=core)
    shop(told, A=shelves[0], B=shelves[1])
    for number, quantity in enumerate(on_the_way):
        supply(told, quantity, location="AB"[number % 2], ref=f"P{number}")
    there = told.sellable("S")
    if min(sold, there) == 0:
        return
    told.buy("r", ("S", there if sold == 3 else min(sold, there)), order_ref="o")
    left = told.sellable("S")
    for number in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.sampled_from([None, "A", "B"])) if number == 0 else draw.draw(st.sampled_from("AB"))
        units = [unit for unit in told.oracle.world.reservations["r"].units if unit.open]
        standing = [unit for unit in units if unit.node and place in (None, unit.node.location)]
        if standing:
            ship(told, draw.draw(st.integers(1, len(standing))), place, ref=f"D{number}")
        assert told.sellable("S") == left


def test_units_of_a_supply_that_is_lowered_below_what_is_bound_are_unsourced_again(story: Beside) -> None:
    shop(story)
    supply(story, 3)
    story.buy("r", ("S", 3), order_ref="o")
    ack(story, 5)
    supply(story, 1)
    assert story.allocations("r") == {("A", "2026-01-10"): 1}
    level(story, "B", 5, 10)
    assert (story.allocations("r"), story.sellable("S")) == ({("A", "2026-01-10"): 1, ("B",): 2}, 3)


# --- an ack of the own place ------------------------------------------------------------------------------------------


def test_an_ack_of_a_supply_bound_units_own_place_leaves_it_bound(story: Beside) -> None:
    shop(story)
    supply(story, 1)
    story.buy("r", ("S", 1), order_ref="o")
    ack(story, 10, "A")
    level(story, "A", 0, 20)
    assert (story.allocations("r"), story.state("r")) == ({("A", "2026-01-10"): 1}, "committed")
    assert story.sellable("S") == 0
    supply(story, 1, "received")
    assert (story.allocations("r"), story.state("r"), story.sellable("S")) == ({("A",): 1}, "in_erp", 0)


def test_an_ack_that_names_several_places_moves_only_what_is_at_none_of_them(story: Beside) -> None:
    shop(story, C=1)
    supply(story, 1, location="B")
    story.buy("r", ("S", 2), order_ref="o")
    ack(story, 10, "A", "B")
    assert story.allocations("r") == {("A",): 1, ("B", "2026-01-10"): 1}


def test_an_ack_of_another_place_moves_a_supply_bound_unit_there(story: Beside) -> None:
    shop(story)
    supply(story, 1)
    story.buy("r", ("S", 1), order_ref="o")
    ack(story, 10, "B")
    assert story.allocations("r") == {("B",): 1}


@pytest.mark.parametrize("acked_first", [True, False])
def test_a_supply_bound_unit_is_inside_no_level_acknowledged_or_not(story: Beside, acked_first: bool) -> None:
    shop(story)
    supply(story, 1)
    story.buy("r", ("S", 1), order_ref="o")
    for step in ("ack", "level") if acked_first else ("level", "ack"):
        ack(story, 10) if step == "ack" else level(story, "A", 0, 20)
    assert (story.state("r"), story.sellable("S")) == ("committed", 0)
