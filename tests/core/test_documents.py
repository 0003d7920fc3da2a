"""Lines of one document, two bodies in one request, and documents that are withdrawn or corrected."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]

PARIS = {"sku": "A", "location": "paris"}


def shop(told: Beside, sold: int = 4) -> None:
    """10 on hand, of which some are sold as order o."""
    told.locations("paris", "lyon")
    told.level("A", "paris", 10, allocated=0)
    if sold:
        told.buy("r", ("A", sold), order_ref="o")


def delta(ref: str, quantity: int, as_of: int = 2, **fields: Any) -> dict[str, Any]:
    return {"kind": "stock.delta", **PARIS, "quantity": quantity, "reason": "", "ref": ref, "as_of": as_of, **fields}


def shipment(quantity: int, version: int | None = None, ref: str = "DN1", **fields: Any) -> dict[str, Any]:
    lines = [{"sku": "A", "quantity": quantity, "location": "paris"}] if quantity else []
    body = {"kind": "shipment", "ref": ref, "order_ref": "o", "lines": lines, "as_of": 5, **fields}
    return body | ({"version": version} if version is not None else {})


def request(told: Beside, *facts: dict[str, Any]) -> list[tuple[int, str]]:
    """Several facts in one message; which are rejected, and why."""
    told.in_sequence += 1
    payload = json.dumps({"source": "erp", "facts": facts}).encode()
    _, [(_, _, rejected)] = told.tell([], [(told.in_sequence, "hf.main.in.erp.erp", payload)])
    return rejected


# --- lines, and one body a request ------------------------------------------------------------------------------------


def test_two_lines_of_one_document_both_count(story: Beside) -> None:
    shop(story, sold=0)
    assert request(story, delta("d", 5, line="1"), delta("d", -4, line="2")) == []
    assert story.sellable("A") == 11


def test_a_line_that_comes_again_is_a_repeat_of_that_line(story: Beside) -> None:
    shop(story, sold=0)
    for _ in range(2):
        request(story, delta("d", 5, line="1"))
        request(story, delta("d", 5))
    assert story.sellable("A") == 20


def test_lines_of_shipments_updates_and_returns_are_documents_too(story: Beside) -> None:
    shop(story)
    request(story, shipment(1, line="1"), shipment(1, line="2"))
    update = {"kind": "order.update", "order_ref": "o", "ref": "u", "status": "cancelled", "as_of": 6}
    request(story, *(update | {"line": n, "lines": [{"sku": "A", "quantity": 1}]} for n in ("1", "2")))
    assert (story.state("r"), story.sellable("A")) == ("fulfilled", 8)
    back = {"kind": "return", "ref": "b", **PARIS, "quantity": 1, "condition": "sellable", "as_of": 7}
    request(story, *(back | {"line": n} for n in ("1", "2")))
    assert story.sellable("A") == 10


def test_the_second_body_of_one_identity_in_a_request_is_rejected(story: Beside) -> None:
    shop(story, sold=0)
    assert request(story, delta("d", 5), delta("d", -4)) == [(1, "same-identity")]
    assert story.sellable("A") == 15


def test_the_same_body_twice_in_a_request_is_a_repeat_and_a_newer_version_is_news(story: Beside) -> None:
    shop(story, sold=0)
    facts = [delta("d", 5, version=1), delta("d", 5, version=1), delta("d", 3, version=2)]
    assert request(story, *facts) == []
    assert story.sellable("A") == 13


def test_two_supply_lines_of_one_identity_are_no_replacement_within_a_request(story: Beside) -> None:
    shop(story, sold=0)
    line = {"kind": "supply", "ref": "P", "line": "1", **PARIS, "due": "2026-02-01", "status": "open"}
    assert request(story, line | {"quantity": 3}, line | {"quantity": 4}) == [(1, "same-identity")]
    assert request(story, line | {"quantity": 4}) == []


def test_two_names_of_one_sku_with_different_figures_are_refused_and_with_the_same_are_not(story: Beside) -> None:
    shop(story, sold=0)
    story.accept("item", sku="A", base_unit="each", aliases=["a1", "a2"])
    level = {"kind": "stock.level", "location": "paris", "basis": "gross", "as_of": 3}
    counts = [level | {"sku": "a1", "on_hand": 3}, level | {"sku": "a2", "on_hand": 4}]
    assert request(story, *counts) == [(1, "same-identity")]
    assert request(story, counts[0], counts[1] | {"on_hand": 3}) == []
    assert request(story, counts[0], counts[1] | {"location": "lyon"}) == []
    assert request(story, counts[0], counts[0] | {"on_hand": 4}) == []


# --- withdrawn --------------------------------------------------------------------------------------------------------


def test_a_shipment_that_is_withdrawn_leaves_its_order_open(story: Beside) -> None:
    shop(story)
    request(story, shipment(4, 1))
    assert story.state("r") == "fulfilled"
    request(story, shipment(0, 2))
    story.level("A", "paris", 10, as_of=9, allocated=0)
    assert (story.state("r"), story.sellable("A")) == ("committed", 6)


@pytest.mark.parametrize(
    ("fact", "most"), [(delta("d", 5), 15), ({"kind": "return", "ref": "b", **PARIS, "condition": "sellable"}, 15)]
)
def test_a_movement_of_nothing_takes_it_off_the_stock_again(story: Beside, fact: dict[str, Any], most: int) -> None:
    shop(story, sold=0)
    fact = fact | {"quantity": 5, "as_of": 3}
    request(story, fact | {"version": 1})
    assert story.sellable("A") == most
    request(story, fact | {"version": 2, "quantity": 0, "as_of": 4})
    assert story.sellable("A") == 10
    request(story, fact | {"version": 1})
    assert story.sellable("A") == 10


@pytest.mark.parametrize("status", ["cancelled", "refused", "short"])
def test_an_update_that_is_withdrawn_opens_the_units_again(story: Beside, status: str) -> None:
    shop(story)
    update = {"kind": "order.update", "order_ref": "o", "ref": "u", "status": status, "as_of": 5}
    request(story, update | {"version": 1, "lines": [{"sku": "A", "quantity": 4}]})
    assert story.state("r") == ("fulfilled" if status == "short" else "cancelled")
    request(story, update | {"version": 2, "lines": [], "as_of": 6})
    assert (story.state("r"), story.sellable("A"), story.allocations("r")) == ("committed", 6, {("paris",): 4})


def test_a_lower_figure_takes_back_what_the_order_had_not_open_first(story: Beside) -> None:
    shop(story)
    request(story, shipment(5, 1))
    assert story.sellable("A") == 5
    request(story, shipment(4, 2))
    assert (story.state("r"), story.sellable("A")) == ("fulfilled", 6)


def test_what_another_shipment_named_beyond_the_open_units_takes_those_that_are_open_again(story: Beside) -> None:
    shop(story)
    request(story, shipment(4, 1))
    request(story, shipment(4, ref="DN2", as_of=6))
    assert story.sellable("A") == 2
    request(story, shipment(0, 2))
    assert (story.state("r"), story.sellable("A")) == ("fulfilled", 6)


def test_units_go_back_to_where_they_stood_before_they_were_shipped(story: Beside) -> None:
    shop(story)
    request(story, shipment(2, 1) | {"lines": [{"sku": "A", "quantity": 2, "location": "lyon"}]})
    assert story.allocations("r") == {("paris",): 2, ("lyon",): 2}
    request(story, shipment(0, 2))
    assert story.allocations("r") == {("paris",): 4}


def test_what_was_cancelled_over_http_stays_so_when_an_update_is_withdrawn(story: Beside) -> None:
    shop(story)
    update = {"kind": "order.update", "order_ref": "o", "ref": "u", "status": "cancelled", "as_of": 5}
    request(story, update | {"version": 1, "lines": [{"sku": "A", "quantity": 2}]})
    story.command("cancel", "r")
    request(story, update | {"version": 2, "lines": []})
    assert (story.state("r"), story.sellable("A")) == ("cancelled", 10)


def arrivals(kind: str) -> tuple[list[dict[str, Any]], int]:
    """Three versions of one document, the last of which withdraws it, and a level; which version says how many."""
    bodies = {
        "shipment": [shipment(1, 1), shipment(3, 2), shipment(0, 3)],
        "delta": [delta("d", 5, version=1), delta("d", -3, version=2), delta("d", 0, version=3)],
    }
    update = {"kind": "order.update", "order_ref": "o", "ref": "u", "as_of": 5}
    for status in ("cancelled", "short"):
        bodies[status] = [
            update | {"status": status, "version": number, "lines": [{"sku": "A", "quantity": n}] if n else []}
            for number, n in enumerate((2, 4, 0), start=1)
        ]
    return [*bodies[kind], {"kind": "stock.level", **PARIS, "on_hand": 12, "basis": "gross", "as_of": 9}], 3


@pytest.mark.parametrize(
    ("core", "kind"),
    [(core, kind) for core in (False, True) for kind in ("shipment", "delta", "cancelled", "short")],
)
def test_a_withdrawn_document_is_as_if_it_had_never_come_in_any_order_of_arrival(core: bool, kind: str) -> None:
    facts, _ = arrivals(kind)
    for order in permutations(facts):
        told = Beside(core=core)
        shop(told)
        for fact in [*order, *order[:2]]:  # some come twice
            request(told, fact)
        end = (told.state("r"), told.sellable("A"), told.allocations("r"))
        assert end == ("committed", 8, {("paris",): 4}), [fact.get("version", "level") for fact in order]


VERSIONS = st.lists(st.integers(0, 6), min_size=1, max_size=4)


@pytest.mark.parametrize("core", [False, True])
@settings(max_examples=60, deadline=None)
@given(one=VERSIONS, other=VERSIONS, sold=st.integers(1, 5), shuffled=st.randoms(use_true_random=False))
def test_documents_count_what_their_newest_versions_name_in_any_order_of_arrival(
    core: bool, one: list[int], other: list[int], sold: int, shuffled: Any
) -> None:
    """Two shipments of one order: so many of its units have left as both name in the end, the rest are a movement."""
    facts = [shipment(n, version, ref="DN1") for version, n in enumerate(one)]
    facts += [shipment(n, version, ref="DN2", as_of=6) for version, n in enumerate(other)]
    shuffled.shuffle(facts)
    told = Beside(core=core)
    shop(told, sold)
    for fact in facts:
        request(told, fact)
    gone = one[-1] + other[-1]
    open_units = [unit for unit in told.oracle.world.reservations["r"].units if unit.open]
    assert len(open_units) == max(0, sold - gone)
    assert told.sellable("A") == max(0, 10 - max(sold, gone))
    told.same_everywhere()
