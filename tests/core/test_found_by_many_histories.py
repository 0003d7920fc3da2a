"""Where ten thousand histories had the core and the oracle disagree: the shortest story of each, and who was right.

The first lines of each test say which sentence decides. Every test runs for the oracle alone and for both side by side.
"""

from __future__ import annotations

import itertools

import pytest

from tests.support.many_histories import play
from tests.support.oracle.beside import Beside


def test_what_a_net_level_says_is_allocated_makes_no_other_level(story: Beside) -> None:
    """docs/facts.md: it counts for nothing, so the same level with another one is a repeat, and no contradiction."""
    level = {"sku": "A", "location": "paris", "on_hand": 8, "basis": "net", "as_of": 6}
    story.accept("stock.level", **level, allocated=3)
    story.accept("stock.level", **level, allocated=2)
    assert [reason for _, reason in story.oracle.outcomes[0].ignored] == ["repeat"]
    assert story.sellable("A") == 8


def test_a_transfer_under_the_numbers_of_another_source_is_not_presumed_to_have_arrived(story: Beside) -> None:
    """docs/rules.md: numbers of two sources say nothing of which is older. 1 is free in the level."""
    story.channel("web", supply_horizon_days=9)
    transfer = {"ref": "t", "sku": "A", "from": "lyon", "to": "paris", "quantity": 2, "due": "2026-01-01"}
    story.accept("transfer", source="wms", **transfer, status="shipped", as_of=17)
    story.accept("stock.level", sku="A", location="paris", on_hand=3, basis="gross", allocated=2, as_of=19)
    assert story.sellable("A") == 3


@pytest.mark.parametrize("order", list(itertools.permutations(("cancelled", "short", "shipment", "return"))))
def test_what_waits_for_an_order_counts_alike_whatever_came_first(story: Beside, order: tuple[str, ...]) -> None:
    """docs/rules.md: at the confirmation the updates that waited, then what shipments named, then what returns did."""
    story.level("A", "lyon", 100)
    story.hold("r", ("A", 9))
    lines = {"cancelled": 2, "short": 3, "shipment": 1}
    for kind in order:
        if kind == "return":
            fields = {"sku": "A", "location": "lyon", "quantity": 4, "condition": "sellable", "ref": kind}
            story.accept("return", order_ref="o", as_of=5, **fields)
        else:
            named = {"ref": kind, "lines": [{"sku": "A", "quantity": lines[kind]}], "order_ref": "o", "as_of": 5}
            if kind == "shipment":
                story.accept("shipment", **named)
            else:
                story.accept("order.update", status=kind, **named)
    story.command("confirm", "r", order_ref="o")
    assert (story.state("r"), len(story.oracle.world.reservations["r"].units)) == ("committed", 7)
    shipped = [unit for unit in story.oracle.world.reservations["r"].units if not unit.open]
    assert (len(shipped), story.sellable("A")) == (4, 97)


def test_an_update_that_names_nothing_has_no_shipment_go_first(story: Beside) -> None:
    """docs/rules.md: shipments follow all that waited. What was refused has left: nothing is open for the shipment."""
    story.level("A", "lyon", 12)
    story.accept("order.update", ref="u", status="cancelled", lines=[], version=1, order_ref="o", as_of=1)
    lines = [{"sku": "A", "quantity": 4}]
    story.accept("order.update", ref="u1", status="refused", lines=lines, order_ref="o", as_of=2)
    story.accept("shipment", ref="s", lines=[{"sku": "A", "quantity": 2}], order_ref="o", as_of=3)
    story.hold("r", ("A", 4))
    story.command("confirm", "r", order_ref="o")
    assert story.state("r") == "cancelled"


def test_an_update_that_names_nothing_has_no_unit_leave(story: Beside) -> None:
    """docs/rules.md: a document counts what it names. The shipment's other units have no shelf to leave."""
    story.channel("web", supply_horizon_days=9)
    story.accept("item", sku="A", base_unit="each")
    story.accept("oversell", channel="web", policy="unlimited")
    story.hold("r", ("A", 6))
    story.command("confirm", "r", order_ref="o")
    lines = [{"sku": "A", "quantity": 2}, {"sku": "A", "quantity": 3, "location": "paris"}]
    story.accept("shipment", source="wms", ref="s", lines=lines, reservation="r", as_of=1)
    left = sum(story.allocations("r").values())
    story.accept("order.update", ref="u", status="refused", lines=[], version=1, reservation="r", as_of=2)
    assert sum(story.allocations("r").values()) == left


def test_a_return_of_an_order_brings_back_what_was_shipped_under_another_reservations_name(story: Beside) -> None:
    """docs/rules.md: from the totals of the order. A second reservation of it changes nothing of what came back."""
    story.channel("web", supply_horizon_days=9)
    story.channel("shop")
    for channel in ("web", "shop"):
        story.accept("oversell", channel=channel, policy="unlimited")
    story.accept("return", ref="b", sku="A", location="lyon", quantity=2, order_ref="o", condition="sellable", as_of=1)
    story.hold("r1", ("A", 5))
    story.command("confirm", "r1", order_ref="o")
    story.accept("shipment", ref="s", lines=[{"sku": "A", "quantity": 4}], order_ref="o", reservation="r1", as_of=2)
    before = story.state("r1"), story.allocations("r1")
    story.hold("r2", ("A", 1), channel="shop")
    story.command("confirm", "r2", order_ref="o")
    assert (story.state("r1"), story.allocations("r1")) == before


def test_a_line_keeps_its_moment_when_it_is_stated_again_without_one(story: Beside) -> None:
    """docs/rules.md: another statement leaves that as it was; a level that comes again then is not newer."""
    story.channel("web", supply_horizon_days=9)
    line = {"ref": "po", "line": "1", "sku": "A", "location": "lyon", "due": "2025-12-30", "status": "open"}
    story.level("A", "lyon", 3, as_of=20, basis="net")
    story.accept("supply", **line, quantity=3, as_of=20)
    story.accept("supply", **line, quantity=2)
    story.level("A", "lyon", 4, as_of=20, basis="net")
    assert story.sellable("A") == 6


def test_a_level_after_a_reset_is_newer_than_a_line_without_a_moment(story: Beside) -> None:
    """docs/rules.md: the line was stated before that level came, though that has the `as_of` of the one before it."""
    story.channel("web", supply_horizon_days=9)
    story.level("A", "lyon", 2, as_of=14, basis="net")
    story.policy("source.reset", source="erp")
    line = {"ref": "po", "line": "1", "sku": "A", "location": "lyon", "due": "2025-12-30", "status": "open"}
    story.accept("supply", **line, quantity=1)
    story.level("A", "lyon", 8, as_of=14, basis="net")
    assert story.sellable("A") == 8


def test_a_line_that_moves_is_first_stated_there(story: Beside) -> None:
    """docs/rules.md: the level there came before the line did, the one of the place that it left says nothing."""
    story.channel("web", supply_horizon_days=9)
    line = {"ref": "po", "line": "1", "sku": "A", "due": "2025-12-30", "status": "open", "quantity": 3}
    story.level("A", "lyon", 0, as_of=14, basis="net")
    story.accept("supply", location="lyon", **line)
    story.level("A", "paris", 5, as_of=18, basis="net")
    story.accept("supply", location="paris", **line)
    assert story.sellable("A") == 8
    story.level("A", "paris", 7, as_of=19, basis="net")
    assert story.sellable("A") == 8


def test_what_is_at_hand_says_nothing_of_which_supply_serves_first(story: Beside) -> None:
    """docs/rules.md: supply goes by its day, then by region and (priority, name), whatever the channel's sourcing."""
    story.channel("web", supply_horizon_days=9, sourcing="fewest_splits")
    story.level("A", "paris", 4)
    story.level("A", "lyon", 1)
    line = {"line": "1", "sku": "A", "due": "2025-12-30", "status": "open", "quantity": 2}
    for location in ("paris", "lyon"):
        story.accept("supply", ref=location, location=location, **line)
    story.hold("r", ("A", 6))
    assert story.allocations("r") == {("paris",): 4, ("lyon",): 1, ("lyon", "2025-12-30"): 1}


def test_what_left_earlier_was_not_there_at_any_moment_in_between(story: Beside) -> None:
    """docs/rules.md: 4 left at 38, and the level of then knows it: what statements took off later was never there."""
    transfer = {"ref": "t", "sku": "A", "from": "lyon", "to": "paris"}
    story.accept("transfer", **transfer, quantity=1, status="received", as_of=30)
    story.level("A", "lyon", 9, as_of=38, basis="net")
    story.accept("transfer", **transfer, quantity=2, status="received", as_of=40)
    story.accept("transfer", **transfer, quantity=4, status="shipped", due="2025-12-30", as_of=38)
    assert story.sellable("A") == 9 + 2


def test_what_was_reported_of_units_counts_when_a_shipment_is_taken_back(story: Beside) -> None:
    """docs/rules.md: what was acknowledged since counts again, also where it moved units that had no place."""
    story.accept("item", sku="A", base_unit="each")
    story.accept("oversell", channel="web", policy="unlimited")
    story.buy("r", ("A", 3), order_ref="o")
    lines = [{"sku": "A", "quantity": 3, "location": "lyon"}]
    story.accept("shipment", ref="s", order_ref="o", version=1, as_of=45, lines=lines)
    story.accept("order.ack", order_ref="o", as_of=44, lines=[{"sku": "A", "location": "lyon"}])
    story.level("A", "lyon", 5, as_of=52, basis="net")
    story.accept("shipment", ref="s", order_ref="o", version=2, as_of=50, lines=[])
    assert (story.sellable("A"), story.state("r")) == (5, "in_erp")


def test_what_had_left_before_a_reset_is_in_the_levels_after_it(story: Beside) -> None:
    """docs/rules.md: the source counts by time from then on, with which its running number cannot be compared."""
    story.level("A", "lyon", 14, as_of=38, basis="net")
    story.buy("r", ("A", 4), order_ref="o")
    story.accept("shipment", ref="s", order_ref="o", as_of=38, lines=[{"sku": "A", "quantity": 1}])
    story.policy("source.reset", source="erp")
    story.level("A", "lyon", 17, as_of="2026-01-01T12:00:53+00:00", basis="net")
    assert story.sellable("A") == 17 - 3


@pytest.mark.parametrize("early", [True, False])
def test_units_that_came_from_supply_are_in_no_level_before_that(story: Beside, *, early: bool) -> None:
    """docs/rules.md: what the ERP acknowledged of them is in levels from the arrival on, whenever that is known."""
    story.channel("web", supply_horizon_days=9)
    story.level("A", "lyon", 0, as_of=1, basis="net")
    line = {"ref": "po", "line": "1", "sku": "A", "location": "lyon", "quantity": 5}
    story.accept("supply", **line, due="2025-12-30", status="open", as_of=1)
    story.buy("r", ("A", 1), order_ref="o")
    facts = [("receipt", line | {"as_of": 10}), ("order.ack", {"order_ref": "o", "as_of": 5})]
    for kind, fields in reversed(facts) if early else facts:
        story.accept(kind, **fields)
    story.level("A", "lyon", 0, as_of=7, basis="net")
    assert story.sellable("A") == 5 - 1
    story.level("A", "lyon", 4, as_of=10, basis="net")
    assert story.sellable("A") == 4


@pytest.mark.parametrize("skus", [("A", "B"), ("B", "A")])
def test_what_arrived_of_another_sku_is_not_off_a_line_that_is_stated_later(
    story: Beside, skus: tuple[str, str]
) -> None:
    """docs/rules.md: as many units are off its line, in whatever order the receipts came."""
    story.channel("web", supply_horizon_days=9)
    line = {"ref": "po", "line": "1", "location": "lyon"}
    for sku in skus:
        story.accept("receipt", **line, sku=sku, quantity={"A": 2, "B": 3}[sku], as_of=21)
    story.accept("supply", **line, sku="A", quantity=5, due="2025-12-30", status="open")
    assert (story.sellable("A"), story.sellable("B")) == (2 + 3, 3)


def test_statements_on_another_clock_after_a_reset_count_after_those_before_it(story: Beside) -> None:
    """docs/rules.md: a reset forgets which kind of clock the source has."""
    story.level("A", "lyon", 5, as_of="2026-01-01T12:00:01+00:00")
    story.buy("r", ("A", 1), order_ref="o")
    named = {"order_ref": "o", "lines": [{"sku": "A", "location": "paris"}]}
    story.accept("order.ack", **named, as_of="2026-01-01T12:00:16+00:00")
    story.policy("source.reset", source="erp")
    story.accept("order.ack", order_ref="o", lines=[{"sku": "A", "location": "lyon"}], as_of=19)
    assert story.allocations("r") == {("lyon",): 1}
    story.level("A", "lyon", 4, as_of=19, basis="net")
    assert (story.sellable("A"), story.state("r")) == (4, "in_erp")


SEEDS = [
    202_513,  # a level under its old `as_of` after a reset, and a line without one
    206_089,  # a kit of kits beside half-confident supply, from different places
    300_245,  # a transfer of which it comes late when it left
    301_958,  # a shipment taken back, of units that an acknowledgement had moved
    310_619,  # a return that names no order any more
    311_970,  # the same as 301,958, beside safety stock
    330_025,  # units shipped before a reset, levels by another clock after it
    330_249,  # the same, with lower numbers
    340_817,  # acknowledgements by a time before a reset, by a number after it
    341_085,  # receipts of two SKUs of a line that is stated later
    350_732,  # units that another source's receipt brought, acknowledged by number since
    360_765,  # which supply leaves first, where no place is named
    370_277,  # a transfer from another place than the one that said it left
    370_899,  # which of two lines leaves first, acknowledged or not
    380_266,  # an acknowledgement said again of a unit that came back beyond any node
    401_063,  # what a return brings where nobody states levels yet, of a line that was lowered before
    500_463,  # the same cart in a unit that nobody ever declared is no repetition
]


@pytest.mark.parametrize("seed", SEEDS)
def test_seeds_at_which_core_and_oracle_differed(seed: int) -> None:
    play(seed, 60)
