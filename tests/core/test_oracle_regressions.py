"""Where the core and the oracle once disagreed: each story is the shortest history that showed it, and who was right.

The first lines of each test say which sentence decides. Every test runs for the oracle alone and for both side by side.
"""

from __future__ import annotations

from typing import Any

from tests.support.oracle.beside import Beside


def put(story: Beside, *lines: dict[str, Any], name: str = "r", **fields: Any) -> Any:
    return story.command("put", name, **({"channel": "web", "ttl_ms": 60_000, "lines": list(lines)} | fields))


def test_two_lines_with_a_location_oversell_nothing_together(story: Beside) -> None:
    """Each location could serve its line, but a demand must stay reachable from one of the two: 6 of 9 are sellable."""
    story.locations("nice")
    for name in ("lyon", "nice", "paris"):
        story.level("A", name, 3)
    demand = {"ref": "d", "line": "1", "sku": "A", "locations": ["lyon", "paris"], "quantity": 3, "class": "b2b"}
    story.accept("demand", as_of=1, **demand)
    assert story.sellable("A") == 6
    lines = [{"sku": "A", "quantity": 3, "location": name} for name in ("lyon", "paris")]
    assert put(story, *lines).status == 409


def test_what_the_erp_cancels_never_takes_units_that_were_handed_over(story: Beside) -> None:
    """docs/rules.md: never neither. A unit that has left stays deducted until the ERP knows that it has."""
    story.level("A", "paris", 5)
    story.buy("r", ("A", 3), order_ref="o")
    story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 2}])
    lines = [{"sku": "A", "quantity": 3}]
    story.accept("order.update", ref="u", order_ref="o", status="cancelled", lines=lines, as_of=2)
    assert (story.sellable("A"), story.state("r")) == (3, "fulfilled")


def test_a_body_without_revision_does_not_forget_the_revision(story: Beside) -> None:
    """docs/rules.md: a lower one than stored is refused, so a late duplicate undoes nothing."""
    story.level("A", "paris", 9)
    put(story, {"sku": "A", "quantity": 1}, revision=3)
    put(story, {"sku": "A", "quantity": 2})
    assert put(story, {"sku": "A", "quantity": 5}, revision=1).problem == "stale-revision"


def test_a_region_is_another_one_by_its_name_though_no_location_serves_either(story: Beside) -> None:
    """docs/rules.md: for another channel or region everything is taken again."""
    story.level("A", "paris", 3)
    put(story, {"sku": "A", "quantity": 1}, region="CH")
    story.level("A", "lyon", 9)
    put(story, {"sku": "A", "quantity": 3}, region="FR")
    assert story.allocations("r") == {("lyon",): 3}


def test_a_region_stays_the_same_when_a_location_begins_to_serve_it(story: Beside) -> None:
    """docs/rules.md: a replacement keeps as many of its old units as it needs."""
    story.level("A", "paris", 3)
    put(story, {"sku": "A", "quantity": 1}, region="CH")
    story.level("A", "lyon", 9)
    story.locations("lyon", regions=["CH"])
    put(story, {"sku": "A", "quantity": 3}, region="CH")
    assert story.allocations("r") == {("paris",): 1, ("lyon",): 2}


def test_short_units_that_had_no_shelf_free_the_oversell_limit_with_the_next_level(story: Beside) -> None:
    """docs/rules.md: sellable stays as it is until a level says otherwise; then a level must be able to say so."""
    story.accept("oversell", channel="web", policy="limit", limit=5)
    story.level("A", "paris", 0)
    story.buy("r", ("A", 5), order_ref="o")
    lines = [{"sku": "A", "quantity": 5}]
    story.accept("order.update", ref="u", order_ref="o", status="short", lines=lines, as_of=2)
    assert story.sellable("A") == 0
    story.level("A", "paris", 14, as_of=3)
    assert story.sellable("A") == 19


def test_a_shipment_takes_the_whole_orders_units_at_its_location_first(story: Beside) -> None:
    """docs/rules.md: a shipment takes the order's open units, first at the location it names, else elsewhere."""
    story.level("A", "paris", 5)
    story.level("A", "lyon", 5)
    for name, place in (("old", "paris"), ("new", "lyon")):
        put(story, {"sku": "A", "quantity": 1, "location": place}, name=name)
        story.command("confirm", name, order_ref="o")
    line = {"sku": "A", "location": "lyon", "quantity": 1}
    story.accept("shipment", ref="s", order_ref="o", lines=[line], as_of=2)
    assert (story.state("old"), story.state("new")) == ("committed", "fulfilled")
    assert story.allocations("old") == {("paris",): 1}


def test_a_shipment_takes_the_whole_orders_fulfilled_units_first(story: Beside) -> None:
    """What the shop said it handed over is what the shipment is about, in whichever reservation of the order."""
    story.level("A", "paris", 9)
    story.buy("old", ("A", 1), order_ref="o")
    story.buy("new", ("A", 1), order_ref="o")
    story.command("fulfil", "new", lines=[{"sku": "A", "quantity": 1}])
    story.accept("shipment", ref="s", order_ref="o", lines=[{"sku": "A", "quantity": 1}], as_of=2)
    assert (story.state("old"), story.state("new")) == ("committed", "fulfilled")


def test_a_fulfilled_unit_that_waited_for_supply_came_off_the_orders_shelf(story: Beside) -> None:
    """Fulfilment moves units like a shipment: what was handed over was on a shelf, so that shelf must deduct it."""
    story.channel("web", supply_horizon_days=9)
    story.level("A", "paris", 1)
    supply = {"ref": "po", "line": "1", "sku": "A", "location": "lyon", "quantity": 5, "status": "open"}
    story.accept("supply", due="2026-01-05", **supply)
    story.buy("r", ("A", 2), order_ref="o")
    story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 2}])
    # It leaves from the shelf to which its supply comes.
    assert story.allocations("r") == {("lyon",): 1, ("paris",): 1}


def test_a_promise_leaves_the_supply_to_those_who_bought_before(story: Beside) -> None:
    """N(c) with the horizon reaching to the day is also the N(c) of c's own unsourced units."""
    story.accept("oversell", sku="A", policy="limit", limit=4)
    story.buy("r", ("A", 2))
    supply = {"ref": "po", "line": "1", "sku": "A", "location": "lyon", "quantity": 4, "status": "open"}
    story.accept("supply", due="2026-01-05", **supply)
    assert story.sellable("A") == 2
    assert story.same_promise("A", "web", None, 4) == "2026-01-05"
    assert story.same_promise("A", "web", None, 5) is None


def test_a_cancelled_order_keeps_its_books_straight_when_its_fulfilled_units_find_stock(story: Beside) -> None:
    """The thorough check once counted them as held."""
    story.accept("oversell", sku="A", policy="limit", limit=4)
    story.buy("r", ("A", 4))
    story.command("fulfil", "r", lines=[{"sku": "A", "quantity": 3}])
    story.command("cancel", "r")
    story.level("A", "paris", 9, as_of=2)
    assert (story.sellable("A"), story.allocations("r")) == (6 + 4, {("paris",): 3})
    story.replay()


def test_a_unit_is_inside_a_level_only_by_what_that_level_counts(story: Beside) -> None:
    """docs/rules.md: recomputed from (L, ack, shipment) when one changes; also after it was inside another level."""
    story.level("A", "paris", 9, as_of=1, basis="net")
    story.buy("r", ("A", 4), order_ref="o")
    story.accept("order.ack", order_ref="o", as_of=2)
    story.accept("shipment", source="wms", ref="s", order_ref="o", lines=[{"sku": "A", "quantity": 4}], as_of=2)
    story.level("A", "paris", 5, as_of=3, basis="net")
    assert story.sellable("A") == 5
    story.level("A", "paris", 9, as_of=4)  # gross, and does not say what it owes; wms' clock says nothing about it
    assert story.sellable("A") == 5


def test_units_sold_beyond_an_ended_period_take_the_new_allocation_when_they_bind(story: Beside) -> None:
    """A unit that took nothing takes from the allocation when it binds, as a sale does, next to units of an old one."""
    story.accept("allocation", channel="web", sku="A", quantity=1, period="may")
    story.accept("oversell", sku="A", policy="limit", limit=9)
    story.hold("r", ("A", 3))
    story.accept("allocation", channel="web", sku="A", quantity=3, period="june")
    story.level("A", "paris", 5)
    assert story.sellable("A", "undeclared") == 5 - 3 - (3 - 2)


def test_an_ack_is_not_lost_for_a_line_that_is_no_stock_of_ours(story: Beside) -> None:
    """Shipping costs are a line of the ERP's order, too; without the whole ack the order is counted twice for ever."""
    story.level("A", "paris", 9)
    story.buy("r", ("A", 4), order_ref="o")
    lines = [{"sku": "A", "location": "paris"}, {"sku": "SHIPPING", "location": "paris"}]
    assert story.fact("order.ack", order_ref="o", as_of=2, lines=lines) is None
    story.level("A", "paris", 5, as_of=3, basis="net")
    assert (story.sellable("A"), story.state("r")) == (5, "in_erp")


def test_a_delta_can_be_taken_back_by_a_later_version_of_0(story: Beside) -> None:
    """The contract: a higher version replaces. A document that was wrong becomes one of nothing."""
    delta = {"sku": "A", "location": "paris", "reason": "count", "ref": "d"}
    story.accept("stock.delta", quantity=5, as_of=2, version=1, **delta)
    assert story.sellable("A") == 5
    story.accept("stock.delta", quantity=0, as_of=3, version=2, **delta)
    assert story.sellable("A") == 0


def test_a_shipment_that_is_corrected_to_another_location_moves_the_units_there(story: Beside) -> None:
    """A later version first takes back what it names no more; then its other lines find those units open."""
    story.level("A", "lyon", 9)
    story.level("A", "paris", 9)
    story.buy("r", ("A", 3), order_ref="o")
    for version, name in ((1, "lyon"), (2, "paris")):
        line = {"sku": "A", "location": name, "quantity": 3}
        story.accept("shipment", ref="s", order_ref="o", lines=[line], as_of=version + 1, version=version)
    assert (story.allocations("r"), story.state("r")) == ({("paris",): 3}, "fulfilled")
    assert story.sellable("A") == 15


def test_an_ack_is_remembered_of_shipped_units_too(story: Beside) -> None:
    """The order of arrival does not matter: acknowledged and then un-shipped is un-shipped and then acknowledged."""
    story.level("A", "paris", 9)
    story.buy("r", ("A", 3), order_ref="o")
    line = {"sku": "A", "location": "paris", "quantity": 3}
    story.accept("shipment", ref="s", order_ref="o", lines=[line], as_of=2, version=1)
    story.accept("order.ack", order_ref="o", as_of=3)
    story.accept("shipment", ref="s", order_ref="o", lines=[line | {"quantity": 1}], as_of=4, version=2)
    story.level("A", "paris", 6, as_of=5, basis="net")
    assert (story.sellable("A"), story.state("r")) == (6, "in_erp")


def test_what_stands_at_a_location_is_free_for_the_new_lines_there(story: Beside) -> None:
    """The contract: the old lines are free for the new ones, whether or not they named the place."""
    story.level("A", "paris", 3)
    put(story, {"sku": "A", "quantity": 3})
    assert put(story, {"sku": "A", "quantity": 3, "location": "paris"}).status == 200
    assert story.allocations("r") == {("paris",): 3}


def test_a_cap_bounds_a_cart_and_not_each_location_of_it(story: Beside) -> None:
    """The old units use the cap up, but it is free again for the new ones, at another place too."""
    story.level("A", "paris", 3)
    story.level("A", "lyon", 3)
    story.accept("cap", channel="web", sku="A", quantity=3)
    put(story, {"sku": "A", "quantity": 3, "location": "paris"})
    assert put(story, {"sku": "A", "quantity": 3, "location": "lyon"}).status == 200
    assert story.allocations("r") == {("lyon",): 3}


def test_a_line_that_names_a_location_is_served_before_those_that_came_first(story: Beside) -> None:
    """A cart fits if all of it can be placed: the open line finds its units in paris."""
    story.level("A", "lyon", 3)
    story.level("A", "paris", 3)
    assert put(story, {"sku": "A", "quantity": 3}, {"sku": "A", "quantity": 3, "location": "lyon"}).status == 201
    assert story.allocations("r") == {("lyon",): 3, ("paris",): 3}


def test_a_cap_without_a_quantity_counts_nothing(story: Beside) -> None:
    """Nothing is bounded, so nothing is taken; a quantity given later in the period counts from then on."""
    story.level("A", "paris", 9)
    story.accept("cap", channel="web", sku="A", quantity=None, period="may")
    story.hold("r", ("A", 2))
    story.accept("cap", channel="web", sku="A", quantity=3, period="may")
    assert story.sellable("A") == 3


def test_kits_that_the_erp_takes_off_an_order_go_back_to_their_cap(story: Beside) -> None:
    """The rules: what goes back gives exactly that back, and what has left gives nothing back."""
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "A", "quantity": 2}])
    story.level("A", "paris", 20)
    story.accept("cap", channel="web", sku="K", quantity=5)
    story.buy("r", ("K", 4), order_ref="o")
    lines = [{"sku": "K", "quantity": 1}]
    story.accept("order.update", ref="u", order_ref="o", status="cancelled", lines=lines, as_of=2)
    assert story.sellable("K") == 2
    story.command("fulfil", "r", lines=lines)
    story.command("cancel", "r")
    assert story.sellable("K") == 4


def test_the_cap_of_a_kit_counts_all_lines_of_a_hold_that_is_replaced(story: Beside) -> None:
    """Only further units must fit, in whichever lines the old ones were."""
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "A", "quantity": 1}])
    story.level("A", "paris", 9)
    story.accept("cap", channel="web", sku="K", quantity=4)
    put(story, {"sku": "K", "quantity": 2}, {"sku": "K", "quantity": 2})
    assert put(story, {"sku": "K", "quantity": 4}).status == 200
    assert story.sellable("K") == 0


def test_units_go_on_binding_while_a_level_counts_them_at_once(story: Beside) -> None:
    """docs/rules.md: after every change is complete, unsourced units bind; one that the level counts takes no stock."""
    story.level("A", "paris", 0)
    story.accept("oversell", channel="web", policy="limit", limit=9)
    story.buy("r", ("A", 1), ("A", 4), order_ref="o")
    lines = [{"sku": "A", "quantity": 5}]
    story.accept("order.update", ref="u", order_ref="o", status="short", lines=lines, as_of=2)
    story.level("A", "paris", 2, as_of=3, basis="net")
    assert (story.allocations("r"), story.sellable("A")) == ({("paris",): 5}, 2 + 9)
    story.replay()


def test_units_of_one_hold_are_no_claims_on_each_other(story: Beside) -> None:
    """What a replacement keeps beyond any node does not bar what it adds; the first line keeps its units."""
    story.accept("oversell", channel="web", policy="limit", limit=5)
    story.level("A", "paris", 2)
    put(story, {"sku": "A", "quantity": 2, "location": "lyon"})
    put(story, {"sku": "A", "quantity": 2}, {"sku": "A", "quantity": 2})
    story.same_reservation("r")
    assert [line["allocations"] for line in story.oracle.reservation("r")["lines"]] == [
        [],
        [{"location": "paris", "quantity": 2}],
    ]


def test_units_without_a_shelf_leave_from_the_orders_first_cell(story: Beside) -> None:
    """First by (priority, name), whatever became of the order in the meantime."""
    story.accept("oversell", channel="web", policy="limit", limit=9)
    story.level("A", "lyon", 1)
    story.level("A", "paris", 1)
    story.buy("r", ("A", 4), order_ref="o")
    for number, place in enumerate(("paris", "lyon")):
        line = {"sku": "A", "location": place, "quantity": 1}
        story.accept("shipment", ref=f"s{number}", order_ref="o", lines=[line], as_of=2)
    story.accept("shipment", ref="rest", order_ref="o", lines=[{"sku": "A", "quantity": 2}], as_of=3)
    assert story.allocations("r") == {("lyon",): 3, ("paris",): 1}


def test_a_newer_version_of_an_update_that_waits_for_its_order_adds_only_the_difference(story: Beside) -> None:
    """The rules: higher replaces. The first version waits for the order already, so only what is more may join it."""
    story.level("A", "paris", 9)
    update = {"ref": "u", "order_ref": "o", "status": "cancelled"}
    for version, quantity in ((1, 2), (2, 3), (3, 3)):
        lines = [{"sku": "A", "quantity": quantity}]
        story.accept("order.update", as_of=version + 1, version=version, lines=lines, **update)
    story.buy("r", ("A", 5), order_ref="o")
    assert (story.allocations("r"), story.sellable("A")) == ({("paris",): 2}, 7)


def test_an_ack_of_another_place_takes_nothing_from_units_that_have_left(story: Beside) -> None:
    """What its owner saw of a shipped unit stands: recomputed from (level, ack, shipment), in any order of arrival."""
    story.locations("nice")
    story.level("A", "paris", 9, as_of=1)
    noon = "2026-01-01T12:00:00Z"
    story.accept("stock.level", source="pos", sku="A", location="nice", on_hand=0, basis="net", as_of=noon)
    story.accept("stock.level", source="pos", sku="B", location="nice", on_hand=5, basis="net", as_of=noon)
    story.buy("r", ("B", 2), order_ref="o")
    story.accept("order.ack", source="pos", order_ref="o", as_of=noon)
    lines = [{"sku": "B", "quantity": 2}]
    story.accept("order.update", ref="u", order_ref="o", status="short", lines=lines, as_of=2)
    story.accept("order.ack", order_ref="o", as_of=3, lines=[{"sku": "B", "location": "paris"}])
    story.wait(days=1)
    story.accept(
        "stock.level", source="pos", sku="B", location="nice", on_hand=5, basis="net", as_of="2026-01-02T12:00:00Z"
    )
    assert story.sellable("B") == 5


def test_what_both_rounds_take_from_one_node_is_one_piece(story: Beside) -> None:
    """Placement: the first line gets both units at hand, though the second was taken after the one on its way."""
    story.channel("web", supply_horizon_days=9)
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "A", "quantity": 1}])
    story.level("A", "paris", 2)
    story.accept("supply", ref="po", line="1", sku="A", location="paris", quantity=1, due="2026-01-06", status="open")
    story.channel("pop-up")
    story.accept("allocation", channel="pop-up", sku="A", quantity=1)
    story.accept("allocation", channel="web", sku="A", quantity=3)
    story.accept("oversell", channel="web", policy="limit", limit=4)
    answer = story.hold("r", ("K", 2), ("A", 2))
    assert answer.status == 201
    first, second = answer.body["lines"]
    assert [(one["quantity"], "due" in one) for one in first["allocations"]] == [(2, False)]
    assert [(one["quantity"], "due" in one) for one in second["allocations"]] == [(1, True)]


def test_a_backorder_of_a_kit_whose_supply_is_cancelled_keeps_its_digest(story: Beside) -> None:
    """The maintained digest is that of the state, in whatever order the units beyond any node are put."""
    story.channel("web", supply_horizon_days=30)
    for sku in ("SAUCER", "CUP"):
        story.accept("item", sku=sku, base_unit="each")
    kit = [{"sku": "CUP", "quantity": 2}, {"sku": "SAUCER", "quantity": 1}]
    story.accept("item", sku="SET", base_unit="each", kit=kit)
    story.accept("oversell", channel="web", policy="unlimited")
    assert story.hold("r", ("SET", 1), ("CUP", 3)).status == 201
    supply = {"ref": "po", "line": "1", "sku": "SAUCER", "location": "paris", "quantity": 6, "due": "2026-01-10"}
    story.accept("supply", **supply, status="open")
    story.command("confirm", "r", order_ref="o")
    story.accept("supply", **supply, status="cancelled")
    story.accept("stock.delta", sku="CUP", location="paris", quantity=1, reason="count", ref="d", as_of=1)
    assert sum(story.allocations("r").values()) == 1
    story.replay()
