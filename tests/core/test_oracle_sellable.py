"""docs/rules.md, section 1, sentence by sentence, on numbers worked out by hand; the oracle, the core beside it."""

import pytest

from tests.support.oracle.beside import Beside


@pytest.fixture(params=["oracle", "core"])
def story(request: pytest.FixtureRequest) -> Beside:
    told = Beside(core=request.param == "core")
    told.locations("paris", "lyon")
    told.channel("web")
    told.channel("shop", ["lyon"])
    return told


# --- one location -----------------------------------------------------------------------------------------------------


def test_what_is_on_hand_everywhere_is_sellable(story: Beside) -> None:
    story.level("A", "paris", 7)
    story.level("A", "lyon", 5)
    assert (story.sellable("A", "web"), story.sellable("A", "shop")) == (12, 5)


def test_all_four_kinds_of_unsellable_stock_are_taken_off(story: Beside) -> None:
    kinds = {"quality_control": 1, "damaged": 2, "quarantined": 3, "in_transfer": 4}
    story.level("A", "paris", 20, unsellable=kinds)
    assert story.sellable("A") == 10


def test_what_a_gross_level_says_the_erp_owes_is_taken_off(story: Beside) -> None:
    story.level("A", "paris", 10, allocated=4)
    assert story.sellable("A") == 6


def test_what_a_net_level_says_it_owes_is_not_taken_off_again(story: Beside) -> None:
    story.level("A", "paris", 10, allocated=4, basis="net")
    assert story.sellable("A") == 10


def test_held_and_committed_units_are_owed(story: Beside) -> None:
    story.level("A", "paris", 10)
    story.hold("held", ("A", 2))
    story.buy("bought", ("A", 3))
    assert story.sellable("A") == 5


def test_undated_demand_at_a_location_is_owed_there(story: Beside) -> None:
    story.level("A", "paris", 10)
    story.accept("demand", ref="d", line="1", sku="A", location="paris", quantity=4, **{"class": "b2b"}, as_of=2)
    assert (story.sellable("A", "web"), story.sellable("A", "shop")) == (6, 0)


def test_safety_is_the_larger_of_absolute_and_percent_rounded_up(story: Beside) -> None:
    story.level("A", "paris", 15, unsellable={"damaged": 4})
    story.accept("safety", sku="A", absolute=1, percent=10)
    assert story.sellable("A") == 9  # 10 % of 11 is 1.1: 2
    story.accept("safety", sku="A", absolute=3, percent=10)
    assert story.sellable("A") == 8


def test_the_most_specific_safety_rule_wins(story: Beside) -> None:
    story.level("A", "paris", 10)
    for fields, left in (
        ({}, 9),
        ({"location": "paris"}, 8),
        ({"sku": "A"}, 7),
        ({"sku": "A", "location": "paris"}, 6),
    ):
        story.accept("safety", absolute=10 - left, **fields)
        assert story.sellable("A") == left
    story.accept("safety", sku="A", location="paris")  # both absent ends the rule
    assert story.sellable("A") == 7


def test_one_location_in_the_red_takes_nothing_from_another(story: Beside) -> None:
    story.level("A", "paris", -5)
    story.level("A", "lyon", 5)
    assert story.sellable("A") == 5


def test_a_disabled_location_sells_nothing(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.locations("paris", enabled=False)
    assert story.sellable("A") == 0


# --- supply -----------------------------------------------------------------------------------------------------------


def supply(story: Beside, quantity: int, due: str = "2026-01-04", location: str = "paris", **fields: object) -> None:
    base = {"ref": "po", "line": "1", "sku": "A", "location": location, "quantity": quantity, "due": due}
    story.accept("supply", **(base | {"status": "open"} | fields))


@pytest.mark.parametrize(("horizon", "sellable"), [(0, 0), (2, 0), (3, 6)])
def test_supply_counts_within_the_horizon_of_the_channel(story: Beside, horizon: int, sellable: int) -> None:
    supply(story, 6)
    story.channel("web", supply_horizon_days=horizon)
    assert story.sellable("A") == sellable


def test_supply_that_is_not_confident_enough_does_not_count(story: Beside) -> None:
    story.channel("web", supply_horizon_days=9)
    supply(story, 6, confidence=49)
    assert story.sellable("A") == 0
    supply(story, 6, confidence=50)
    assert story.sellable("A") == 6


def test_supply_fills_the_hole_of_its_own_location_first_and_safety_is_no_hole(story: Beside) -> None:
    story.channel("web", supply_horizon_days=9)
    story.level("A", "paris", 1, allocated=3)
    story.accept("safety", sku="A", absolute=50)
    supply(story, 6)
    assert story.sellable("A") == 4


def test_the_supply_due_first_fills_the_hole(story: Beside) -> None:
    story.channel("web", supply_horizon_days=2)  # reaches the first only
    story.level("A", "paris", 0, allocated=3)
    supply(story, 4, due="2026-01-02")
    supply(story, 5, due="2026-01-09", ref="later")
    assert story.sellable("A") == 1


def test_overdue_supply_slips_for_the_days_of_grace_and_then_does_not_count(story: Beside) -> None:
    story.channel("web", supply_horizon_days=1)
    supply(story, 6, due="2025-12-29")  # three days late: the last day of grace; slips to tomorrow
    assert story.sellable("A") == 6
    story.wait(days=1)
    story.level("B", "paris", 1)
    assert story.sellable("A") == 0


def test_a_promise_is_the_first_day_that_has_enough(story: Beside) -> None:
    story.level("A", "paris", 2)
    supply(story, 3, due="2026-01-10")
    supply(story, 3, due="2026-01-20", ref="later")
    assert story.same_promise("A", "web", None, 2) == "2026-01-01"
    assert story.same_promise("A", "web", None, 5) == "2026-01-10"
    assert story.same_promise("A", "web", None, 6) == "2026-01-20"
    assert story.same_promise("A", "web", None, 9) is None


def test_dated_demand_looks_ahead_to_supply_that_comes_in_time(story: Beside) -> None:
    story.level("A", "paris", 5)
    demand = {"ref": "d", "line": "1", "sku": "A", "location": "paris", "quantity": 4, "class": "b2b", "as_of": 2}
    story.accept("demand", due="2026-01-10", **demand)
    assert story.sellable("A") == 1
    supply(story, 3, due="2026-01-10")
    assert story.sellable("A") == 4  # 3 of the 4 can wait for it
    supply(story, 3, due="2026-01-11")
    assert story.sellable("A") == 1  # it comes too late


def test_demand_without_one_location_may_be_served_from_any_that_it_names(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.level("A", "lyon", 3)
    demand = {"ref": "d", "line": "1", "sku": "A", "quantity": 4, "class": "b2b", "as_of": 2}
    story.accept("demand", locations=["paris", "lyon"], **demand)
    assert (story.sellable("A", "web"), story.sellable("A", "shop")) == (4, 3)  # lyon can be spared: paris has 5
    story.buy("r", ("A", 3), channel="shop")
    assert (story.sellable("A", "web"), story.sellable("A", "shop")) == (1, 0)


# --- channels ---------------------------------------------------------------------------------------------------------


def test_an_allocation_is_kept_from_the_other_channels(story: Beside) -> None:
    story.level("A", "paris", 10)
    story.channel("market")
    story.accept("allocation", channel="market", sku="A", quantity=4)
    assert (story.sellable("A", "web"), story.sellable("A", "market")) == (6, 10)
    story.channel("market", draws_shared=False)
    assert (story.sellable("A", "web"), story.sellable("A", "market")) == (6, 4)


def test_an_allocation_may_lean_on_stock_that_the_other_channel_cannot_reach(story: Beside) -> None:
    story.level("A", "paris", 4)
    story.level("A", "lyon", 4)
    story.accept("allocation", channel="web", sku="A", quantity=4)
    assert story.sellable("A", "shop") == 4  # paris alone serves the allocation
    story.accept("allocation", channel="web", sku="A", quantity=6)
    assert story.sellable("A", "shop") == 2


def test_a_sale_takes_its_own_allocation_first_and_gives_it_back(story: Beside) -> None:
    story.level("A", "paris", 10)
    story.channel("market")
    story.accept("allocation", channel="market", sku="A", quantity=4, period="may")
    story.hold("r", ("A", 3), channel="market")
    assert (story.sellable("A", "web"), story.sellable("A", "market")) == (6, 7)
    story.command("release", "r")
    assert (story.sellable("A", "web"), story.sellable("A", "market")) == (6, 10)


def test_what_goes_back_in_another_period_is_not_given_to_it(story: Beside) -> None:
    story.level("A", "paris", 10)
    story.channel("market")
    story.accept("allocation", channel="market", sku="A", quantity=4, period="may")
    story.hold("r", ("A", 3), channel="market")
    story.accept("allocation", channel="market", sku="A", quantity=4, period="june")
    assert story.sellable("A", "web") == 3
    story.hold("s", ("A", 4), channel="market")
    story.command("release", "r")
    assert story.sellable("A", "web") == 6  # 10 - 4 sold - 0 left of june


def test_when_allocations_exceed_the_stock_the_first_to_come_is_the_first_served(story: Beside) -> None:
    story.level("A", "paris", 5)
    for name in ("one", "two"):
        story.channel(name, draws_shared=False)
        story.accept("allocation", channel=name, sku="A", quantity=4)
    assert (story.sellable("A", "one"), story.sellable("A", "two"), story.sellable("A", "web")) == (4, 4, 0)
    story.buy("r", ("A", 4), channel="two")
    assert (story.sellable("A", "one"), story.sellable("A", "two")) == (1, 0)


def test_a_cap_bounds_what_is_sold_in_its_period(story: Beside) -> None:
    story.level("A", "paris", 10)
    story.accept("cap", channel="web", sku="A", quantity=4, period="may")
    story.buy("r", ("A", 3))
    assert story.sellable("A") == 1
    story.accept("cap", channel="web", sku="A", quantity=5, period="may")
    assert story.sellable("A") == 2
    story.accept("cap", channel="web", sku="A", quantity=5, period="june")
    assert story.sellable("A") == 5
    story.accept("cap", channel="web", sku="A", quantity=9, period="may")  # once left, it does not come back
    assert story.sellable("A") == 5
    story.accept("cap", channel="web", sku="A", quantity=None)  # null: no bound
    assert story.sellable("A") == 7


def test_a_limited_oversell_is_shared_by_the_channels_under_its_rule(story: Beside) -> None:
    story.level("A", "paris", 2)
    story.accept("oversell", sku="A", policy="limit", limit=3)
    assert (story.sellable("A", "web"), story.sellable("A", "shop")) == (5, 3)
    story.buy("r", ("A", 4), channel="web")
    assert (story.sellable("A", "web"), story.sellable("A", "shop")) == (1, 1)


def test_unlimited_oversell_shows_what_stock_alone_allows_and_zero_is_not_unlimited(story: Beside) -> None:
    story.level("A", "paris", 2)
    story.accept("oversell", sku="A", policy="unlimited")
    assert story.both_say("A", "web") == (2, True, None)
    story.accept("cap", channel="web", sku="A", quantity=9)
    assert story.both_say("A", "web") == (9, False, None)
    story.accept("oversell", sku="A", policy="limit", limit=0)
    assert story.both_say("A", "web") == (2, False, None)


def test_the_most_specific_oversell_rule_wins_and_an_undeclared_channel_has_none(story: Beside) -> None:
    story.level("A", "paris", 0)
    steps: list[tuple[dict[str, str], int]] = [({}, 1), ({"channel": "web"}, 2), ({"sku": "A"}, 3)]
    for fields, limit in [*steps, ({"sku": "A", "channel": "web"}, 4)]:
        story.accept("oversell", policy="limit", limit=limit, **fields)
        assert (story.sellable("A", "web"), story.sellable("A", "nobody")) == (limit, 0)
    story.accept("oversell", sku="A", channel="web")  # policy absent ends the rule
    assert story.sellable("A", "web") == 3


def test_the_oversell_comes_within_the_cap_and_is_floored_to_the_multiple(story: Beside) -> None:
    story.accept("item", sku="A", base_unit="each", sell_multiple=4)
    story.level("A", "paris", 5)
    assert story.sellable("A") == 4
    story.accept("oversell", sku="A", policy="limit", limit=6)
    assert story.sellable("A") == 8
    story.accept("cap", channel="web", sku="A", quantity=7)
    assert story.sellable("A") == 4


def test_restricted_and_discontinued_items_sell_nothing(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.accept("restriction", channel="web", blocked=True, reason="recall")
    assert story.both_say("A", "web") == (0, False, "restricted")
    story.accept("restriction", channel="web", sku="A", blocked=False, reason="not this one")
    assert story.both_say("A", "web") == (5, False, None)
    story.accept("item", sku="A", base_unit="each", status="discontinued")
    assert story.both_say("A", "web") == (0, False, "inactive")


def test_a_region_that_is_required_counts_only_the_locations_that_serve_it(story: Beside) -> None:
    story.locations("paris", regions=["FR"])
    story.locations("lyon", regions=["FR", "CH"])
    story.channel("web", regional="require")
    story.level("A", "paris", 7)
    story.level("A", "lyon", 5)
    assert (story.sellable("A", "web", "FR"), story.sellable("A", "web", "CH")) == (12, 5)
    assert story.both_say("A", "web")[2] == "region-needed"
    assert story.hold("r", ("A", 1)).status == 422


# --- kits -------------------------------------------------------------------------------------------------------------


def kits(story: Beside) -> None:
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 2}])
    story.accept("item", sku="KK", base_unit="each", kit=[{"sku": "K", "quantity": 2}, {"sku": "A", "quantity": 1}])
    story.level("A", "paris", 10)
    story.level("B", "lyon", 9)


def test_a_kit_is_as_many_as_its_scarcest_component_and_a_kit_of_kits_sums_repeated_ones(story: Beside) -> None:
    kits(story)
    assert (story.sellable("K"), story.sellable("KK")) == (4, 2)  # KK: 3 A and 4 B
    story.hold("r", ("KK", 2))
    assert story.allocations("r") == {("A", "paris"): 6, ("B", "lyon"): 8}
    assert (story.sellable("A"), story.sellable("B"), story.sellable("K")) == (4, 1, 0)


def test_a_kit_has_its_own_cap_and_multiple_and_uses_its_components_caps(story: Beside) -> None:
    kits(story)
    story.accept("cap", channel="web", sku="K", quantity=3)
    assert story.sellable("K") == 3
    story.accept("cap", channel="web", sku="B", quantity=5)
    assert story.sellable("K") == 2
    story.hold("r", ("K", 1))
    assert (story.sellable("K"), story.sellable("B")) == (1, 3)


def test_a_restricted_or_inactive_component_makes_the_kit_0(story: Beside) -> None:
    kits(story)
    story.accept("item", sku="B", base_unit="each", status="discontinued")
    assert story.both_say("K", "web") == (0, False, "inactive")
    story.accept("restriction", sku="A", blocked=True, reason="recall")
    assert story.both_say("KK", "web") == (0, False, "restricted")


def test_a_kit_is_unlimited_only_if_every_component_is(story: Beside) -> None:
    kits(story)
    story.accept("oversell", sku="B", policy="unlimited")
    assert story.both_say("K", "web") == (10, False, None)
    story.accept("oversell", sku="A", policy="unlimited")
    assert story.both_say("K", "web") == (4, True, None)


# --- a cart -----------------------------------------------------------------------------------------------------------


def test_each_line_alone_within_its_sellable_is_not_enough(story: Beside) -> None:
    kits(story)
    answer = story.validate(("K", 4), ("B", 2))
    assert [(line["ok"], line["sellable"]) for line in answer["lines"]] == [(True, 4), (False, 1)]
    assert story.hold("r", ("K", 4), ("B", 2)).body["lines"] == answer["lines"]
    assert story.hold("r", ("K", 4), ("B", 1)).status == 201


def test_a_failing_line_takes_nothing(story: Beside) -> None:
    story.level("A", "paris", 5)
    answer = story.validate(("A", 9), ("A", 5))
    assert [line["ok"] for line in answer["lines"]] == [False, True]


def test_each_line_says_why_it_fails(story: Beside) -> None:
    story.accept("item", sku="A", base_unit="each", sell_multiple=3, units={"case": 12})
    story.level("A", "paris", 50)
    story.accept("item", sku="B", base_unit="each", status="discontinued")
    lines = [
        {"sku": "A", "quantity": 4},
        {"sku": "A", "quantity": 2, "unit": "case"},
        {"sku": "B", "quantity": 1},
        {"sku": "A", "quantity": 30},
    ]
    answer = story.same_cart_check({"channel": "web", "lines": lines})
    assert [line.get("reason") for line in answer["lines"]] == [
        "not-a-multiple",
        None,
        "inactive",
        "insufficient-stock",
    ]
    assert [line["sellable"] for line in answer["lines"]] == [48, 48, 0, 24]


def test_partial_fills_the_lines_in_order_with_whole_multiples(story: Beside) -> None:
    story.accept("item", sku="A", base_unit="each", sell_multiple=2)
    story.level("A", "paris", 7)
    answer = story.hold("r", ("A", 4), ("A", 4), ("A", 2), partial=True)
    assert [line["quantity"] for line in answer.body["lines"]] == [4, 2, 0]
    assert story.hold("s", ("A", 2), partial=True).status == 409


def test_the_owners_own_holds_do_not_count_against_the_owners_cart(story: Beside) -> None:
    story.level("A", "paris", 5)
    story.hold("r", ("A", 4), owner="ann")
    assert story.validate(("A", 5), owner="ann")["ok"]
    assert not story.validate(("A", 5), owner="bob")["ok"]
