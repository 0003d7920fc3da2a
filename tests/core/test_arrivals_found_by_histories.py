"""Where the core and the oracle once disagreed on what arrives: the shortest history that showed it, one story each.

Every test runs for the oracle alone and for both side by side.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]

DUE = "2026-01-20"


def shop(told: Beside) -> None:
    told.locations("paris", "lyon")
    told.channel("web", supply_horizon_days=30)


def line(told: Beside, quantity: int, status: str = "open", **fields: Any) -> None:
    named: dict[str, Any] = {"ref": "P", "line": "1", "sku": "A", "location": "paris", "due": DUE}
    told.accept("supply", quantity=quantity, status=status, **named | fields)


def transfer(told: Beside, status: str, as_of: int, **fields: Any) -> None:
    named: dict[str, Any] = {"ref": "T", "sku": "A", "from": "paris", "to": "lyon", "quantity": 4}
    told.accept("transfer", status=status, as_of=as_of, **named | fields)


def ignored(told: Beside) -> list[tuple[int, str]]:
    return told.oracle.outcomes[-1].ignored


# --- hand-overs and resets --------------------------------------------------------------------------------------------


def begin_anew(told: Beside, how: str) -> None:
    if how == "hand-over":
        told.policy("ownership", location="paris", source="wms")
    else:
        told.policy("source.reset", source="erp", **({"location": "paris"} if how == "cell" else {}))


@pytest.mark.parametrize("how", ["hand-over", "cell", "source"])
def test_what_is_presumed_stays_received_until_its_line_is_stated_again(story: Beside, how: str) -> None:
    shop(story)
    line(story, 100, as_of=1)
    story.level("A", "paris", 30, as_of=20)
    assert story.sellable("A") == 100
    begin_anew(story, how)
    assert story.sellable("A") == 100
    line(story, 70, as_of=30)
    assert story.sellable("A") == 100


def test_the_first_level_counts_after_a_hand_over_there_and_back(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 9, as_of=15)
    begin_anew(story, "hand-over")
    story.policy("ownership", location="paris", source="erp")
    story.level("A", "paris", 2, as_of=14)
    assert story.sellable("A") == 2


@pytest.mark.parametrize("again", [{"as_of": 10}, {}])
def test_a_line_stated_as_before_its_source_was_reset_is_a_new_statement(story: Beside, again: dict[str, Any]) -> None:
    shop(story)
    line(story, 5, as_of=10)
    begin_anew(story, "source")
    line(story, 5, **again)
    assert ignored(story) == ([] if again else [(0, "repeat")])


def test_receipts_before_a_reset_are_in_what_is_stated_after_it(story: Beside) -> None:
    shop(story)
    line(story, 10, as_of=10)
    story.accept("receipt", ref="P", line="1", sku="A", location="paris", quantity=4, as_of=20)
    assert story.sellable("A") == 10
    begin_anew(story, "source")
    line(story, 6, as_of=1)
    assert story.sellable("A") == 10


def test_a_transfer_goes_on_after_its_source_was_reset(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 10, as_of=40)
    transfer(story, "shipped", 50, due=DUE)
    begin_anew(story, "source")
    transfer(story, "received", 2)
    story.level("A", "paris", 6, as_of=3)
    story.level("A", "lyon", 4, as_of=3)
    assert story.sellable("A") == 10


@pytest.mark.parametrize("kind", ["stock.delta", "return"])
def test_nothing_is_covered_by_a_level_whose_moment_is_forgotten(story: Beside, kind: str) -> None:
    shop(story)
    story.level("A", "paris", 5, as_of=17)
    begin_anew(story, "source")
    more = {"reason": ""} if kind == "stock.delta" else {"condition": "sellable"}
    story.accept(kind, sku="A", location="paris", quantity=2, ref="d", as_of=17, **more)
    assert (ignored(story), story.sellable("A")) == ([], 7)


def test_movements_between_two_resets_are_in_the_next_level(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 0, as_of=30)
    begin_anew(story, "source")
    story.accept("stock.delta", sku="A", location="paris", quantity=2, ref="d", reason="", as_of=30)
    assert story.sellable("A") == 2
    begin_anew(story, "source")
    story.level("A", "paris", 5, as_of=12)
    assert story.sellable("A") == 5


def test_units_that_left_stand_as_they_were_after_a_hand_over_there_and_back(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 8, as_of=7)
    story.buy("r", ("A", 4), order_ref="o")
    sent = [{"sku": "A", "location": "paris", "quantity": 1}]
    story.accept("shipment", ref="s", order_ref="o", lines=sent, as_of=12)
    begin_anew(story, "hand-over")
    story.policy("ownership", location="paris", source="erp")
    assert story.sellable("A") == 4
    story.accept("order.ack", order_ref="o", as_of=6)  # looks at the order again
    assert story.sellable("A") == 4
    story.level("A", "paris", 7, as_of=2)
    assert story.sellable("A") == 4


@settings(max_examples=60, deadline=None)
@given(
    arrived=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    bought=st.integers(0, 12),
    line_first=st.lists(st.booleans(), min_size=4, max_size=4),
    anew=st.sampled_from(["hand-over", "cell", "source"]),
    moment=st.integers(0, 8),
)
@pytest.mark.parametrize("core", [False, True])
def test_supply_counts_once_whenever_the_levels_begin_anew(
    core: bool, arrived: list[int], bought: int, line_first: list[bool], anew: str, moment: int
) -> None:
    """20 on order arrive bit by bit, each stated by a level and by the line, whichever comes first."""
    told, total, owner = Beside(core=core), 0, "erp"
    shop(told)
    told.level("A", "paris", 0, as_of=1)
    line(told, 20, as_of=1)
    if bought:
        told.buy("r", ("A", bought), order_ref="o")
    steps = 0
    for number, quantity in enumerate(arrived):
        total, as_of = total + quantity, 10 * (number + 1)
        for what in ("line", "level") if line_first[number] else ("level", "line"):
            if steps == moment:
                begin_anew(told, anew)
                owner = "wms" if anew == "hand-over" else owner
            steps += 1
            if what == "line":
                line(told, 20 - total, as_of=as_of)
            else:
                told.level("A", "paris", total, as_of=as_of, source=owner)
            assert told.sellable("A") <= 20 - bought or owner == "wms"
    line(told, 20 - total, as_of=100)
    told.level("A", "paris", total, as_of=100, source=owner)
    assert told.sellable("A") == 20 - bought


# --- lines, receipts, transfers ---------------------------------------------------------------------------------------


def test_a_transfer_without_a_due_day_is_repeated_on_any_day(story: Beside) -> None:
    shop(story)
    transfer(story, "shipped", 16)
    story.wait(days=2)
    transfer(story, "shipped", 16)
    assert ignored(story) == [(0, "repeat")]
    transfer(story, "shipped", 17)
    assert ignored(story) == []


def test_an_older_statement_of_a_transfer_between_other_places_is_stale(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 10, as_of=1)
    transfer(story, "received", 8)
    transfer(story, "shipped", 5, **{"from": "lyon", "to": "paris"})
    assert (ignored(story), story.sellable("A")) == ([(0, "stale")], 10)
    transfer(story, "shipped", 5)
    assert (ignored(story), story.sellable("A")) == ([], 10)


def test_bound_units_go_with_a_receipt_that_their_line_counts_already(story: Beside) -> None:
    shop(story)
    line(story, 5, as_of=23)
    story.buy("r", ("A", 4), order_ref="o")
    story.accept("receipt", ref="P", line="1", sku="A", location="paris", quantity=3, as_of=22)
    assert story.allocations("r") == {("paris",): 3, ("paris", DUE): 1}
    assert story.sellable("A") == 4


@pytest.mark.parametrize("order_ref", [None, "o"])
def test_what_a_return_brought_is_not_what_a_line_is_lowered_for(story: Beside, order_ref: str | None) -> None:
    shop(story)
    story.level("A", "paris", 10, as_of=1)
    story.buy("r", ("A", 2), order_ref="o")
    sent = [{"sku": "A", "location": "paris", "quantity": 2}]
    story.accept("shipment", ref="s", order_ref="o", lines=sent, as_of=2)
    line(story, 20)
    named = {"order_ref": order_ref} if order_ref else {}
    back = {"ref": "b", "sku": "A", "location": "paris", "quantity": 2, "condition": "sellable", "as_of": 3}
    story.accept("return", **back, **named)
    line(story, 18)  # the 2 that came back were booked as if received
    assert story.sellable("A") == 28
    story.level("A", "paris", 14, as_of=4)  # 10 less 2, and 2, and 4 of the line
    assert story.sellable("A") == 14 + 14


@pytest.mark.parametrize("on_hand", [5, 8, 10, 12])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_a_level_a_shipment_and_a_line_in_any_order_come_to_the_same(
    story: Beside, on_hand: int, order: tuple[int, ...]
) -> None:
    """10 less 5 that left, and what came of 100 on order: also where the level shows nothing of it by itself."""
    shop(story)
    story.level("A", "paris", 10, as_of=1)
    story.buy("r", ("A", 5), order_ref="o")
    sent = [{"sku": "A", "location": "paris", "quantity": 5}]
    facts: list[Any] = [
        lambda: story.level("A", "paris", on_hand, as_of=4),
        lambda: story.accept("shipment", ref="s", order_ref="o", lines=sent, as_of=3),
        lambda: line(story, 100, as_of=2),
    ]
    for number in order:
        facts[number]()
        assert story.sellable("A") <= 105
    assert story.sellable("A") == 105


# --- orders -----------------------------------------------------------------------------------------------------------


def test_an_update_that_waits_is_replaced_by_a_newer_version_about_another_order(story: Beside) -> None:
    shop(story)
    story.level("A", "paris", 9)
    story.hold("r", ("A", 3))
    update: dict[str, Any] = {"ref": "u", "status": "cancelled"}
    story.accept("order.update", reservation="r", lines=[{"sku": "A", "quantity": 3}], as_of=34, **update)
    story.accept("order.update", order_ref="other", lines=[], version=2, as_of=43, **update)
    story.command("confirm", "r", order_ref="o")
    assert (story.state("r"), story.sellable("A")) == ("committed", 6)


def test_units_that_a_return_took_off_come_back_the_last_first(story: Beside) -> None:
    shop(story)
    story.accept("oversell", channel="web", policy="unlimited")
    story.hold("r", ("A", 2), ("B", 1), ("A", 1))
    back = {"ref": "b", "sku": "A", "location": "paris", "quantity": 3, "condition": "sellable", "as_of": 2}
    story.accept("return", order_ref="o", **back)
    story.command("confirm", "r", order_ref="o")
    sent = [{"sku": "A", "location": place, "quantity": count} for place, count in (("paris", 1), ("lyon", 2))]
    story.accept("shipment", ref="s", order_ref="o", lines=sent, as_of=3)
    story.same_reservation("r")


def test_an_order_that_a_level_counts_was_in_it_though_a_return_ends_it_at_once(story: Beside) -> None:
    shop(story)
    line(story, 6, as_of=7)
    story.hold("r", ("A", 3))
    story.accept("order.ack", order_ref="o", as_of=19)
    story.level("A", "paris", 2, as_of=20, basis="net")
    back = {"ref": "b", "sku": "A", "location": "paris", "quantity": 3, "condition": "sellable", "as_of": 23}
    story.accept("return", order_ref="o", **back)
    story.command("confirm", "r", order_ref="o")
    story.same_everywhere()


def test_a_unit_that_nobody_declared_refuses_a_partial_hold_for_whatever_else_its_line_is_refused(
    story: Beside,
) -> None:
    shop(story)
    story.level("A", "paris", 9)
    story.level("B", "paris", 9)
    story.accept("restriction", sku="B", channel="web", reason="recall", blocked=True)
    lines = [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 1, "unit": "pair"}]
    assert story.command("put", "r", channel="web", ttl_ms=1_000, partial=True, lines=lines).status == 409
    lines[1].pop("unit")
    assert story.command("put", "r", channel="web", ttl_ms=1_000, partial=True, lines=lines).status == 201


def test_a_return_of_a_kit_that_names_no_order_means_what_the_kit_was_then(story: Beside) -> None:
    shop(story)
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 1}])
    story.accept("return", ref="b", sku="K", location="paris", quantity=3, condition="sellable", as_of=1)
    story.accept("item", sku="K", base_unit="each", kit=[{"sku": "A", "quantity": 2}])
    assert (story.sellable("A"), story.sellable("B")) == (3, 3)


def test_units_that_are_bound_to_a_transfer_are_where_it_was_received(story: Beside) -> None:
    """Seed 480: received elsewhere, it left its units without a place, and a demand took theirs."""
    told = story
    told.locations("paris", "lyon", "nice")
    told.channel("web", supply_horizon_days=30)
    told.accept("demand", ref="so", line="1", sku="A", **{"class": "b2b"}, quantity=2, due=DUE, as_of=1)
    told.level("A", "nice", 0)
    transfer(told, "shipped", 6, to="nice", due=DUE)
    told.hold("r", ("A", 2))
    told.command("confirm", "r", order_ref="o")
    transfer(told, "received", 26, to="lyon", quantity=2, due=DUE)
    told.same_everywhere()


def test_a_shipment_of_one_channel_is_not_looked_at_again_because_another_takes_the_order_number(story: Beside) -> None:
    """Seed 1664."""
    told = story
    told.locations("paris", "lyon")
    told.channel("web")
    told.channel("market")
    told.accept("oversell", policy="unlimited")
    told.hold("r", ("A", 2))
    told.command("confirm", "r", order_ref="o")
    lines = [{"sku": "A", "quantity": 3}]
    told.accept("shipment", ref="s", order_ref="o", channel="web", lines=lines, version=1, as_of=18)
    told.accept("order.ack", order_ref="o", channel="web", lines=[{"sku": "A", "location": "lyon"}], as_of=19)
    body = {"channel": "market", "ttl_ms": 60_000, "lines": [{"sku": "A", "quantity": 1}]}
    assert told.command("put", "other", **body).status == 201
    told.command("confirm", "other", order_ref="o")
    told.same_everywhere()


MOVED = st.sampled_from(["return", "shipment", "confirm"])


@pytest.mark.parametrize("core", [False, True])
@settings(max_examples=40, deadline=None)
@given(moves=st.lists(MOVED, max_size=4), at=st.integers(0, 4))
def test_the_same_level_again_changes_nothing(core: bool, moves: list[str], at: int) -> None:
    """Seed 1873: a movement of another source's clock was taken in by a level that came twice."""
    told = Beside(core=core)
    told.locations("paris")
    told.accept("oversell", policy="unlimited")
    level = {"source": "pos", "as_of": "2026-01-01T12:00:21+00:00", "basis": "net"}
    told.hold("r", ("A", 2))
    for number, move in enumerate([*moves[:at], "level", *moves[at:]]):
        named: dict[str, Any] = {"ref": f"d{number}", "as_of": 3 + number}
        if move == "level":
            told.level("A", "paris", 9, **level)
        elif move == "return":
            told.fact(move, sku="A", location="paris", quantity=1, condition="sellable", order_ref="o", **named)
        elif move == "shipment":
            told.fact(move, order_ref="o", lines=[{"sku": "A", "quantity": 1, "location": "paris"}], **named)
        else:
            told.command("confirm", "r", order_ref="o")
    before = told.sellable("A")
    told.level("A", "paris", 9, **level)
    assert ignored(told) == [(0, "repeat")]
    assert told.sellable("A") == before
    told.same_everywhere()


def test_a_reset_also_forgets_when_units_of_a_line_came_that_nobody_stated(story: Beside) -> None:
    """Seed 1978: the line's first statement after the reset counts what arrived before it."""
    shop(story)
    story.accept("receipt", ref="P", line="1", sku="A", location="lyon", quantity=3, as_of=20)
    story.policy("source.reset", source="erp")
    line(story, 5, as_of=2)
    assert story.sellable("A") == 8


def test_a_level_under_the_same_moment_shows_units_of_a_line_that_came_between(story: Beside) -> None:
    """Seed 2405: levels of one day all say midnight; the second one has what arrived by then."""
    shop(story)
    story.level("A", "paris", 0, as_of=9)
    line(story, 6)
    story.level("A", "paris", 5, as_of=9)
    assert story.sellable("A") == 6
    line(story, 1, version=2)
    assert story.sellable("A") == 6
