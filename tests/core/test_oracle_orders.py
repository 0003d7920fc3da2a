"""docs/rules.md, section 2, sentence by sentence."""

import pytest

from tests.support.oracle.beside import Beside


@pytest.fixture(params=["oracle", "core"])
def story(request: pytest.FixtureRequest) -> Beside:
    told = Beside(core=request.param == "core")
    told.locations("paris", "lyon")
    told.channel("web")
    return told


def supply(story: Beside, quantity: int = 6, **fields: object) -> None:
    base = {"ref": "po", "line": "1", "sku": "A", "location": "paris", "due": "2026-01-04", "status": "open"}
    story.accept("supply", **(base | {"quantity": quantity} | fields))


# --- the life of a reservation ----------------------------------------------------------------------------------------


def test_a_hold_becomes_an_order_and_ships(story: Beside) -> None:
    story.level("A", "paris", 5)
    assert story.hold("r", ("A", 2)).status == 201
    assert story.state("r") == "held"
    story.command("confirm", "r", order_ref="o1")
    assert story.state("r") == "committed"
    assert story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 1}]).status == 200
    assert story.state("r") == "committed"
    story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 1}])
    assert story.state("r") == "fulfilled"
    assert story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 1}]).status == 422
    assert story.command("cancel", "r").status == 409
    assert story.sellable("A") == 3


def test_the_same_body_answers_the_same_whatever_the_state_and_renews_nothing(story: Beside) -> None:
    story.level("A", "paris", 5)
    first = story.hold("r", ("A", 2))
    story.wait(lead_ms=1_000)
    again = story.hold("r", ("A", 2))
    assert (again.status, again.body) == (200, first.body | {"expires_at": again.body["expires_at"]})
    assert again.body["expires_at"] == first.body["expires_at"]
    story.command("release", "r")
    assert story.hold("r", ("A", 2)).problem == "reservation-closed"
    assert story.hold("r", ("A", 3)).problem == "reservation-closed"


def test_another_body_replaces_the_held_lines_and_keeps_the_old_units_that_it_needs(story: Beside) -> None:
    story.level("A", "paris", 3)
    story.level("A", "lyon", 5)
    story.hold("r", ("A", 2))
    story.hold("s", ("A", 3))  # 3 in lyon by name
    assert story.allocations("r") == {("lyon",): 2}
    assert story.hold("r", ("A", 5)).status == 200
    assert story.allocations("r") == {("lyon",): 2, ("paris",): 3}
    assert story.hold("r", ("A", 6)).problem == "insufficient-stock"
    assert story.allocations("r") == {("lyon",): 2, ("paris",): 3}
    story.hold("r", ("A", 1))
    assert story.allocations("r") == {("lyon",): 1}


def test_a_shrinking_hold_keeps_its_place_although_its_shelf_is_empty(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.hold("r", ("A", 4))
    story.level("A", "paris", 0, as_of=2)
    assert story.hold("r", ("A", 3)).status == 200
    assert story.hold("r", ("A", 4)).problem == "insufficient-stock"


def test_a_replacement_on_another_channel_starts_anew(story: Beside) -> None:
    story.channel("shop", ["paris"])
    story.level("A", "paris", 4)
    story.level("A", "lyon", 4)
    story.hold("r", ("A", 4))
    assert story.hold("r", ("A", 4), channel="shop").status == 200
    assert story.allocations("r") == {("paris",): 4}


def test_a_lower_revision_is_refused_and_so_is_an_equal_one_with_another_body(story: Beside) -> None:
    story.level("A", "paris", 9)
    story.hold("r", ("A", 2), revision=5)
    assert story.hold("r", ("A", 3), revision=4).problem == "stale-revision"
    assert story.hold("r", ("A", 3), revision=5).problem == "stale-revision"
    assert story.hold("r", ("A", 2), revision=5).status == 200
    assert story.hold("r", ("A", 3), revision=6).status == 200
    story.command("release", "r")
    assert story.hold("r", ("A", 3), revision=4).problem == "stale-revision"
    assert story.hold("r", ("A", 3), revision=7).problem == "reservation-closed"


def test_renewals_are_bounded_over_replacing_and_extending(story: Beside) -> None:
    story.level("A", "paris", 9)
    story.hold("r", ("A", 1))
    for count in (2, 3, 4):
        assert story.hold("r", ("A", count)).status == 200
    assert story.command("extend", "r", ttl_ms=1_000).status == 200
    assert story.command("extend", "r", ttl_ms=1_000).status == 200
    assert story.command("extend", "r", ttl_ms=1_000).problem == "renewals-exhausted"
    assert story.hold("r", ("A", 5)).problem == "renewals-exhausted"


def test_superseding_releases_the_owners_other_holds_and_leaves_orders_alone(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.hold("old", ("A", 3), owner="ann")
    story.buy("order", ("A", 1), owner="ann")
    assert story.hold("r", ("A", 5), owner="ann", supersede=True).problem == "insufficient-stock"
    assert story.state("old") == "held"
    assert story.hold("r", ("A", 4), owner="ann", supersede=True).status == 201
    assert story.oracle.reservation("old")["superseded_by"] == "r"
    assert (story.state("old"), story.state("order")) == ("released", "committed")
    assert story.hold("s", ("A", 1), supersede=True).status == 422


def test_the_units_that_an_owner_may_hold_can_be_bounded() -> None:
    for core in (False, True):
        story = Beside(core=core, owner_units_max=4)
        story.locations("paris")
        story.level("A", "paris", 9)
        assert story.hold("r", ("A", 3), owner="ann").status == 201
        assert story.hold("s", ("A", 2), owner="ann").problem == "owner-limit"
        assert story.hold("s", ("A", 2), owner="bob").status == 201
        assert story.hold("r", ("A", 4), owner="ann").status == 200


def test_a_hold_expires_by_the_leaders_clock_and_not_by_the_wall(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.hold("r", ("A", 5), ttl_ms=1_000)
    story.wait(days=40)
    assert story.state("r") == "held"
    story.wait(lead_ms=999)
    assert story.state("r") == "held"
    story.wait(lead_ms=1)
    assert story.state("r") == "expired"
    assert story.sellable("A") == 5
    assert story.command("release", "r").status == 200


def test_a_late_confirm_takes_the_stock_again_or_says_oversold(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.hold("r", ("A", 3))
    story.command("release", "r")
    assert story.command("confirm", "r", order_ref="o").status == 200
    assert story.sellable("A") == 2
    story.hold("s", ("A", 2), ttl_ms=1_000)
    story.wait(lead_ms=1_000)
    story.hold("t", ("A", 1))
    answer = story.command("confirm", "s")
    assert (answer.problem, answer.body["lines"][0]["sellable"]) == ("oversold", 1)
    assert (story.state("s"), story.allocations("s")) == ("oversold", {})
    story.command("release", "t")
    assert story.command("confirm", "s").status == 200
    assert story.state("s") == "committed"


def test_confirming_again_needs_the_same_order_ref_or_none_so_far(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.buy("r", ("A", 1))
    assert story.command("confirm", "r").status == 200
    assert story.command("confirm", "r", order_ref="o1").status == 200
    assert story.command("confirm", "r").status == 200
    assert story.command("confirm", "r", order_ref="o2").problem == "reservation-closed"


def test_cancelling_gives_back_what_is_not_fulfilled(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.hold("held", ("A", 1))
    story.buy("r", ("A", 4))
    story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 1}])
    assert story.command("cancel", "r").body["state"] == "cancelled"
    assert story.command("cancel", "held").body["state"] == "cancelled"
    assert story.sellable("A") == 4
    assert story.command("cancel", "r").status == 200
    assert story.command("confirm", "r").problem == "reservation-closed"
    assert story.command("release", "r").problem == "reservation-closed"
    assert story.command("extend", "r", ttl_ms=1).problem == "reservation-closed"


def test_what_nobody_has_put_is_unknown(story: Beside) -> None:
    assert story.command("confirm", "r").problem == "unknown-reservation"
    assert story.hold("r", ("A", 1)).problem == "unknown-sku"
    story.level("A", "paris", 5)
    assert (
        story.command(
            "put", "r", channel="web", ttl_ms=1, lines=[{"sku": "A", "quantity": 1, "location": "rome"}]
        ).status
        == 422
    )


# --- placing ----------------------------------------------------------------------------------------------------------


def test_nodes_are_tried_by_priority_then_name_and_all_stock_at_hand_before_supply(story: Beside) -> None:
    story.channel("web", supply_horizon_days=9)
    story.locations("lyon", priority=50)
    story.level("A", "paris", 3)
    story.level("A", "lyon", 2)
    supply(story, 2, location="lyon", due="2026-01-05")
    supply(story, 2, ref="sooner", due="2026-01-03")
    story.hold("r", ("A", 4))
    assert story.allocations("r") == {("lyon",): 2, ("paris",): 2}
    story.hold("s", ("A", 4))
    assert story.allocations("s") == {("paris",): 1, ("paris", "2026-01-03"): 2, ("lyon", "2026-01-05"): 1}


def test_fewest_splits_takes_the_one_that_serves_all_else_the_largest(story: Beside) -> None:
    story.locations("nice")
    story.channel("web", sourcing="fewest_splits")
    for name, units in (("paris", 6), ("lyon", 2), ("nice", 4)):
        story.level("A", name, units)
    story.hold("r", ("A", 3))
    assert story.allocations("r") == {("nice",): 3}  # by name, of those that can
    story.hold("s", ("A", 7))
    assert story.allocations("s") == {("paris",): 6, ("lyon",): 1}


def test_locations_that_serve_the_region_go_first(story: Beside) -> None:
    story.locations("paris", regions=["FR"])
    story.level("A", "paris", 2)
    story.level("A", "lyon", 5)
    story.hold("r", ("A", 3), region="FR")
    assert story.allocations("r") == {("paris",): 2, ("lyon",): 1}


def test_a_line_that_names_a_location_is_served_there(story: Beside) -> None:
    story.level("A", "paris", 3)
    story.level("A", "lyon", 3)
    line = {"sku": "A", "quantity": 4, "location": "paris"}
    refused = story.command("put", "r", channel="web", ttl_ms=9_000, lines=[line])
    assert (refused.status, refused.body["lines"][0]["sellable"]) == (409, 3)
    story.command("put", "r", channel="web", ttl_ms=9_000, lines=[line | {"quantity": 3}])
    assert story.allocations("r") == {("paris",): 3}


def test_the_first_round_spares_the_stock_that_only_others_can_use(story: Beside) -> None:
    story.channel("shop", ["lyon"])
    story.level("A", "paris", 4)
    story.level("A", "lyon", 4)
    story.accept("allocation", channel="shop", sku="A", quantity=3)
    story.hold("r", ("A", 5))
    assert story.allocations("r") == {("lyon",): 1, ("paris",): 4}
    assert story.sellable("A", "shop") == 3


def test_what_is_sold_beyond_any_node_is_in_no_allocation_and_binds_when_stock_comes(story: Beside) -> None:
    story.level("A", "paris", 1)
    story.accept("oversell", sku="A", policy="limit", limit=5)
    story.hold("young", ("A", 1), channel="web")
    story.hold("r", ("A", 2))
    story.hold("s", ("A", 2))
    assert story.allocations("r") == {}
    story.accept("stock.delta", sku="A", location="lyon", quantity=3, reason="found", ref="x", as_of=2)
    assert (story.allocations("r"), story.allocations("s")) == ({("lyon",): 2}, {("lyon",): 1})
    assert story.sellable("A") == 4


def test_units_sold_beyond_the_stock_go_before_new_sales(story: Beside) -> None:
    story.accept("oversell", channel="web", policy="limit", limit=4)
    story.channel("shop")
    story.level("A", "lyon", 0)
    story.buy("r", ("A", 3))
    story.channel("web", ["paris"])  # lyon is no longer for web: r cannot bind there
    story.level("A", "lyon", 5, as_of=2)
    assert (story.sellable("A", "shop"), story.allocations("r")) == (5, {})
    story.channel("web")
    assert (story.sellable("A", "shop"), story.allocations("r")) == (2, {("lyon",): 3})


def test_units_bound_to_supply_move_to_the_shelf_when_it_comes(story: Beside) -> None:
    story.channel("web", supply_horizon_days=9)
    supply(story, 6)
    story.buy("r", ("A", 4))
    supply(story, 0, status="received")
    story.level("A", "paris", 6, as_of=2)
    assert story.allocations("r") == {("paris",): 4}
    assert story.sellable("A") == 2


def test_units_bound_to_cancelled_supply_are_unsourced_again(story: Beside) -> None:
    story.channel("web", supply_horizon_days=9)
    supply(story, 6)
    story.buy("r", ("A", 4))
    supply(story, 0, status="cancelled")
    assert story.allocations("r") == {}
    assert story.oracle.world.counts["deficit"] == 4
    story.level("A", "lyon", 6)
    assert (story.allocations("r"), story.sellable("A")) == ({("lyon",): 4}, 2)


def test_a_channel_that_draws_nothing_shared_binds_only_within_its_allocation(story: Beside) -> None:
    story.channel("market", draws_shared=False)
    story.accept("allocation", channel="market", sku="A", quantity=2, period="may")
    story.accept("oversell", channel="market", policy="limit", limit=5)
    story.level("A", "paris", 0)
    story.buy("r", ("A", 4), channel="market")
    story.level("A", "paris", 9, as_of=2)
    assert story.allocations("r") == {("paris",): 2}
    assert story.sellable("A", "web") == 7  # the other two claim nothing
    story.accept("allocation", channel="market", sku="A", quantity=3, period="may")
    assert story.allocations("r") == {("paris",): 3}
    assert story.sellable("A", "web") == 6
