"""docs/rules.md, section 3, sentence by sentence; the oracle, the core beside it."""

import itertools
from functools import partial
from typing import Any

import pytest

from tests.support.oracle.beside import Beside


@pytest.fixture(params=["oracle", "core"])
def story(request: pytest.FixtureRequest) -> Beside:
    return ordered(core=request.param == "core")


def ordered(core: bool) -> Beside:
    """10 on hand in paris at 1, and an order o of 3."""
    told = Beside(core=core)
    told.locations("paris", "lyon")
    told.channel("web")
    told.level("A", "paris", 10, as_of=1, allocated=0)
    told.buy("r", ("A", 3), order_ref="o")
    return told


def ship(
    story: Beside, quantity: int, as_of: int, location: str | None = "paris", ref: str = "s1", **more: Any
) -> None:
    line = {"sku": "A", "quantity": quantity} | ({"location": location} if location else {})
    story.accept("shipment", **({"ref": ref, "order_ref": "o", "lines": [line], "as_of": as_of} | more))


def ack(story: Beside, as_of: int, location: str | None = None, **more: Any) -> None:
    lines = [{"sku": "A", "location": location}] if location else None
    story.accept("order.ack", order_ref="o", as_of=as_of, lines=lines, **more)


def update(story: Beside, status: str, quantity: int, as_of: int = 5, **more: Any) -> None:
    story.accept(
        "order.update",
        **(
            {
                "ref": "u1",
                "order_ref": "o",
                "status": status,
                "as_of": as_of,
                "lines": [{"sku": "A", "quantity": quantity}],
            }
            | more
        ),
    )


# --- who counts -------------------------------------------------------------------------------------------------------


def test_one_source_owns_the_levels_of_a_location(story: Beside) -> None:
    level: dict[str, Any] = {"sku": "A", "location": "paris", "on_hand": 99, "as_of": 9, "basis": "net"}
    assert story.fact("stock.level", source="wms", **level) == "foreign-clock"
    assert story.fact("stock.level", source="wms", **(level | {"location": "lyon"})) is None
    assert (
        story.fact("order.ack", source="wms", order_ref="o", as_of=9, lines=[{"sku": "A", "location": "paris"}])
        == "foreign-clock"
    )


def test_a_movement_of_another_source_counts_only_if_both_tell_wall_time(story: Beside) -> None:
    delta: dict[str, Any] = {"sku": "A", "location": "paris", "quantity": 1, "reason": "found", "ref": "x"}
    assert story.fact("stock.delta", source="wms", as_of=9, **delta) == "foreign-clock"
    assert story.fact("stock.delta", source="pos", as_of="2026-01-01T08:00:00Z", **delta) == "foreign-clock"
    assert story.fact("stock.delta", source="pos", as_of=3, **delta) == "foreign-clock"
    story.level("A", "lyon", 1, as_of="2026-01-01T09:00:00Z", source="erp2")
    assert (
        story.fact("stock.delta", source="pos", as_of="2026-01-01T10:00:00Z", **(delta | {"location": "lyon"})) is None
    )
    assert story.sellable("A") == 9
    story.level("A", "lyon", 2, as_of="2026-01-01T10:00:00Z", source="erp2")  # absorbs it
    assert story.sellable("A") == 9


def test_a_source_mixes_no_integers_with_times(story: Beside) -> None:
    level: dict[str, Any] = {"sku": "A", "location": "paris", "on_hand": 99, "basis": "net"}
    assert story.fact("stock.level", as_of="2026-01-01T10:00:00Z", **level) == "mixed-clock"


# --- inside a level ---------------------------------------------------------------------------------------------------


def test_an_order_is_deducted_here_until_an_acknowledged_level_counts_it(story: Beside) -> None:
    assert (story.sellable("A"), story.state("r")) == (7, "committed")
    ack(story, 5)
    assert (story.sellable("A"), story.state("r")) == (7, "committed")
    story.level("A", "paris", 10, as_of=4, allocated=0)
    assert (story.sellable("A"), story.state("r")) == (7, "committed")
    story.level("A", "paris", 10, as_of=5, allocated=3)
    assert (story.sellable("A"), story.state("r")) == (7, "in_erp")


def test_a_gross_level_that_does_not_say_what_it_owes_counts_no_acknowledged_order(story: Beside) -> None:
    ack(story, 5)
    story.level("A", "paris", 10, as_of=6)
    assert (story.sellable("A"), story.state("r")) == (7, "committed")
    story.level("A", "paris", 7, as_of=7, basis="net")
    assert (story.sellable("A"), story.state("r")) == (7, "in_erp")


def test_a_unit_that_was_shipped_before_the_level_is_inside_any_level(story: Beside) -> None:
    ship(story, 2, as_of=5)
    assert (story.sellable("A"), story.state("r")) == (7, "committed")
    story.level("A", "paris", 8, as_of=5)
    assert story.sellable("A") == 7
    ship(story, 1, as_of=6, ref="s2")
    assert (story.sellable("A"), story.state("r")) == (7, "fulfilled")
    story.level("A", "paris", 7, as_of=6)
    assert story.sellable("A") == 7


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("basis", ["gross", "allocated", "net"])
def test_the_order_in_which_level_ack_and_shipment_arrive_does_not_matter(order: tuple[int, ...], basis: str) -> None:
    all_fields: dict[str, dict[str, Any]] = {"gross": {}, "allocated": {"allocated": 1}, "net": {"basis": "net"}}
    fields = all_fields[basis]
    for core in (False, True):
        story = ordered(core)
        steps = [
            partial(story.level, "A", "paris", 8, as_of=6, **fields),
            partial(ack, story, 4),
            partial(ship, story, 2, 5),
        ]
        for step in order:
            steps[step]()
        # Two units have left the level's 8; the third is in it only as an acknowledged open order.
        assert story.sellable("A") == {"gross": 7, "allocated": 7, "net": 8}[basis]
        assert story.state("r") == {"gross": "committed", "allocated": "in_erp", "net": "in_erp"}[basis]


def test_a_shipment_alone_never_changes_sellable(story: Beside) -> None:
    ship(story, 3, as_of=5)
    assert story.sellable("A") == 7


def test_a_shipment_takes_units_at_the_location_that_it_names_else_elsewhere(story: Beside) -> None:
    story.level("A", "lyon", 5, as_of=1)
    ship(story, 2, as_of=5, location="lyon")
    assert story.allocations("r") == {("lyon",): 2, ("paris",): 1}
    assert story.sellable("A") == 12


def test_what_the_whole_order_has_not_open_is_a_movement_until_a_newer_level_absorbs_it(story: Beside) -> None:
    ship(story, 5, as_of=5)
    assert story.sellable("A") == 5
    story.level("A", "paris", 10, as_of=4)
    assert story.sellable("A") == 5
    story.level("A", "paris", 5, as_of=5)
    assert story.sellable("A") == 5


def test_a_movement_that_a_level_covers_is_in_that_level(story: Beside) -> None:
    delta: dict[str, Any] = {"sku": "A", "location": "paris", "reason": "found"}
    story.accept("stock.delta", ref="x", quantity=4, as_of=1, **delta)
    assert story.sellable("A") == 7
    story.accept("stock.delta", ref="y", quantity=4, as_of=2, **delta)
    assert story.sellable("A") == 11


def test_before_any_level_a_movement_counts_on_top_of_0(story: Beside) -> None:
    story.accept("stock.delta", sku="A", location="lyon", quantity=4, as_of=9, ref="x", reason="found")
    assert story.sellable("A") == 11


def test_a_return_comes_back_by_its_condition(story: Beside) -> None:
    for ref, condition, sellable in (("x", "sellable", 8), ("y", "damaged", 8), ("z", "quality_control", 8)):
        story.accept("return", ref=ref, sku="A", location="paris", quantity=1, condition=condition, as_of=5)
        assert story.sellable("A") == sellable


def test_units_fulfilled_over_http_stay_deducted_until_a_shipment_covers_them(story: Beside) -> None:
    story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 3}])
    story.level("A", "paris", 7, as_of=6)
    assert story.sellable("A") == 4  # too few at worst, until the shipment comes
    ship(story, 3, as_of=5)
    assert story.sellable("A") == 7


# --- demand -----------------------------------------------------------------------------------------------------------


def test_demand_is_inside_a_level_of_its_own_source_that_counts_open_orders(story: Beside) -> None:
    demand = {"ref": "d", "line": "1", "sku": "A", "location": "paris", "quantity": 2, "class": "b2b"}
    story.accept("demand", as_of=5, **demand)
    assert story.sellable("A") == 5
    story.level("A", "paris", 10, as_of=4, allocated=2)
    assert story.sellable("A") == 3  # counted twice while the level is older: too few at worst
    story.level("A", "paris", 10, as_of=5, allocated=2)
    assert story.sellable("A") == 5
    story.level("A", "paris", 10, as_of=6)
    assert story.sellable("A") == 5


def test_demand_under_the_order_ref_of_a_reservation_adds_only_what_that_does_not_cover(story: Beside) -> None:
    demand = {"ref": "d", "line": "1", "sku": "A", "location": "paris", "class": "b2b", "order_ref": "o"}
    story.accept("demand", as_of=5, quantity=5, **demand)
    assert story.sellable("A") == 5
    story.accept("demand", as_of=6, quantity=2, **demand)
    assert story.sellable("A") == 7


# --- levels -----------------------------------------------------------------------------------------------------------


def test_a_level_older_than_the_one_held_is_dropped_and_an_equal_one_replaces(story: Beside) -> None:
    story.level("A", "paris", 20, as_of=5)
    story.level("A", "paris", 30, as_of=4)
    assert (story.sellable("A"), story.oracle.world.counts["stale_levels"]) == (17, 1)
    story.level("A", "paris", 30, as_of=5)
    assert story.sellable("A") == 27


# --- what the ERP does to an order ------------------------------------------------------------------------------------


def test_an_ack_that_names_another_location_moves_the_units_there(story: Beside) -> None:
    ack(story, 5, location="lyon")
    assert (story.allocations("r"), story.sellable("A")) == ({("lyon",): 3}, 10)


def test_an_ack_moves_unsourced_and_supply_bound_units_too(story: Beside) -> None:
    story.channel("web", supply_horizon_days=9)
    story.accept("oversell", sku="A", policy="limit", limit=1)
    story.accept("supply", ref="po", line="1", sku="A", location="lyon", quantity=2, due="2026-01-04", status="open")
    story.buy("q", ("A", 10), order_ref="o2")
    assert story.allocations("q") == {("paris",): 7, ("lyon", "2026-01-04"): 2}
    story.accept("order.ack", order_ref="o2", as_of=5, lines=[{"sku": "A", "location": "paris"}])
    assert story.allocations("q") == {("paris",): 10}
    assert story.sellable("A") == 2 + 1  # paris is 3 short; lyon's supply is free again, and one may be oversold
    story.level("A", "paris", 20, as_of=6, allocated=10)
    assert (story.sellable("A"), story.state("q")) == (7 + 2 + 1, "in_erp")


def test_an_ack_without_a_line_for_an_unsourced_unit_leaves_it_unacknowledged(story: Beside) -> None:
    story.accept("oversell", sku="A", policy="limit", limit=2)
    story.buy("q", ("A", 9), order_ref="o2")
    story.accept("order.ack", order_ref="o2", as_of=5)
    story.level("A", "paris", 12, as_of=6, allocated=7)
    assert (story.allocations("q"), story.state("q")) == ({("paris",): 9}, "committed")
    assert story.sellable("A") == (12 - 7 - 2 - 3) + 2  # two of q are still deducted here; two more may be oversold


def test_a_cancelled_order_gives_back_only_what_is_deducted_here(story: Beside) -> None:
    ack(story, 5)
    story.level("A", "paris", 10, as_of=5, allocated=3)
    story.command("cancel", "r")
    assert story.sellable("A") == 7
    story.level("A", "paris", 10, as_of=6, allocated=0)
    assert story.sellable("A") == 10


def test_what_the_erp_cancels_or_refuses_leaves_the_order(story: Beside) -> None:
    update(story, "cancelled", 1)
    assert (story.sellable("A"), story.state("r")) == (8, "committed")
    update(story, "refused", 2, ref="u2")
    assert (story.sellable("A"), story.state("r")) == (10, "cancelled")


def test_short_units_count_as_shipped_so_that_sellable_stays_until_a_level_says_otherwise(story: Beside) -> None:
    update(story, "short", 3, as_of=5)
    assert (story.sellable("A"), story.state("r")) == (7, "fulfilled")
    story.level("A", "paris", 8, as_of=5)
    assert story.sellable("A") == 8


def test_an_ack_or_an_update_that_comes_before_its_order_waits_for_it(story: Beside) -> None:
    story.hold("q", ("A", 3))
    story.accept("order.ack", order_ref="o2", as_of=5)
    story.accept(
        "order.update", ref="u", order_ref="o2", status="cancelled", as_of=5, lines=[{"sku": "A", "quantity": 1}]
    )
    story.level("A", "paris", 10, as_of=6, allocated=2)
    story.command("confirm", "q", order_ref="o2")
    assert (story.allocations("q"), story.state("q"), story.sellable("A")) == ({("paris",): 2}, "in_erp", 5)


def test_facts_apply_to_both_reservations_of_one_order_oldest_first(story: Beside) -> None:
    story.buy("q", ("A", 2), order_ref="o")
    ship(story, 4, as_of=5)
    assert (story.state("r"), story.state("q")) == ("fulfilled", "committed")
    ship(story, 1, as_of=5, ref="s2")
    assert (story.state("q"), story.sellable("A")) == ("fulfilled", 5)


# --- identity ---------------------------------------------------------------------------------------------------------


def test_a_repeat_changes_nothing_and_another_body_under_the_same_name_is_ignored(story: Beside) -> None:
    ship(story, 5, as_of=5)
    ship(story, 5, as_of=5)
    ship(story, 6, as_of=5)
    assert story.sellable("A") == 5
    assert (story.oracle.world.counts["repeats"], story.oracle.world.counts["anomalies"]) == (1, 1)


def test_a_higher_version_replaces_a_lower_one_changes_nothing(story: Beside) -> None:
    delta: dict[str, Any] = {"sku": "A", "location": "paris", "reason": "found", "ref": "x"}
    story.accept("stock.delta", quantity=5, as_of=3, version=2, **delta)
    story.accept("stock.delta", quantity=9, as_of=3, version=1, **delta)
    assert story.sellable("A") == 12
    story.accept("stock.delta", quantity=6, as_of=4, version=3, **delta)
    assert story.sellable("A") == 13
    story.level("A", "paris", 15, as_of=3)  # has the 5, not the 1
    assert story.sellable("A") == 13


def test_a_later_version_of_a_shipment_with_fewer_units_puts_them_back_on_the_order(story: Beside) -> None:
    ship(story, 3, as_of=5, version=1)
    assert story.state("r") == "fulfilled"
    ship(story, 1, as_of=6, version=2)
    assert (story.state("r"), story.sellable("A")) == ("committed", 7)
    story.level("A", "paris", 9, as_of=6)
    assert story.sellable("A") == 7


def test_another_body_replaces_supply_and_demand(story: Beside) -> None:
    demand = {"ref": "d", "line": "1", "sku": "A", "location": "paris", "class": "b2b", "as_of": 5}
    for quantity, sellable in ((4, 3), (1, 6), (0, 7)):
        story.accept("demand", quantity=quantity, **demand)
        assert story.sellable("A") == sellable


def test_what_is_unknown_or_a_kit_is_rejected(story: Beside) -> None:
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "A", "quantity": 1}], units={"case": 6}, aliases=["k"])
    level: dict[str, Any] = {"sku": "A", "location": "paris", "on_hand": 1, "as_of": 9, "basis": "gross"}
    assert story.fact("stock.level", **(level | {"location": "rome"})) == "unknown-location"
    assert story.fact("stock.level", **(level | {"unit": "case"})) == "unknown-unit"
    assert story.fact("stock.level", **(level | {"sku": "K"})) == "kit-has-no-stock"
    assert story.fact("item", sku="A", base_unit="each", kit=[{"sku": "K", "quantity": 1}]) == "circular-kit"
    assert story.fact("item", sku="B", base_unit="each", aliases=["k"]) == "alias-taken"
