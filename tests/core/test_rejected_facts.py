"""Facts that would do harm, or nothing at all: times ahead of the clock, and rules that can never apply."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.oracle.beside import Beside
from tests.support.stories import story

__all__ = ["story"]

IN_A_YEAR, IN_TIME, TOO_LATE = "2027-01-01T12:00:00Z", "2026-01-01T12:05:00Z", "2026-01-01T12:05:00.001Z"

LINES = [{"sku": "A", "quantity": 1, "location": "paris"}]
FACTS: dict[str, dict[str, Any]] = {
    "stock.level": {"sku": "A", "location": "paris", "on_hand": 5, "basis": "net"},
    "stock.delta": {"sku": "A", "location": "paris", "quantity": 1, "reason": "count", "ref": "d"},
    "demand": {"ref": "so", "line": "1", "sku": "A", "quantity": 1, "class": "b2b", "location": "paris"},
    "return": {"ref": "b", "sku": "A", "location": "paris", "quantity": 1, "condition": "sellable"},
    "shipment": {"ref": "s", "order_ref": "o", "lines": LINES},
    "order.ack": {"order_ref": "o"},
    "order.update": {"ref": "u", "order_ref": "o", "status": "cancelled", "lines": LINES},
}


def shop(told: Beside) -> None:
    told.locations("paris")
    told.channel("web")
    told.accept("item", sku="A", base_unit="each", aliases=["alpha"])
    told.accept("item", sku="K", base_unit="each", kit=[{"sku": "A", "quantity": 2}], aliases=["kappa"])


# --- times ahead ------------------------------------------------------------------------------------------------------


def test_a_level_of_next_year_does_not_freeze_the_cell(story: Beside) -> None:
    shop(story)
    level = FACTS["stock.level"]
    assert story.fact("stock.level", as_of=IN_A_YEAR, **level | {"on_hand": 50}) == "from-the-future"
    for on_hand, minute in ((3, 1), (2, 2)):
        story.accept("stock.level", as_of=f"2026-01-01T12:0{minute}:00Z", **level | {"on_hand": on_hand})
        assert story.sellable("A") == on_hand


@pytest.mark.parametrize("kind", FACTS)
def test_a_time_ahead_is_rejected_on_every_kind_that_has_one(story: Beside, kind: str) -> None:
    shop(story)
    assert story.fact(kind, as_of=TOO_LATE, **FACTS[kind]) == "from-the-future"
    assert story.fact(kind, as_of=IN_TIME, **FACTS[kind]) is None


def test_a_time_ahead_says_nothing_of_its_sources_clock_and_may_come_again_when_it_has_come(story: Beside) -> None:
    shop(story)
    delta = FACTS["stock.delta"]
    assert story.fact("stock.delta", as_of="2026-01-02T12:00:00Z", **delta) == "from-the-future"
    story.wait(days=1)
    assert story.fact("stock.delta", as_of="2026-01-02T12:00:00Z", **delta) is None
    assert story.fact("stock.delta", source="other", as_of=IN_A_YEAR, **delta) == "from-the-future"
    assert story.fact("stock.delta", source="other", as_of=1, **delta) is None


def test_a_running_number_is_never_ahead(story: Beside) -> None:
    shop(story)
    story.accept("stock.level", as_of=10**15, **FACTS["stock.level"])
    assert story.sellable("A") == 5


# --- rules without effect ---------------------------------------------------------------------------------------------

RULES: dict[str, dict[str, Any]] = {
    "safety": {"absolute": 3},
    "allocation": {"channel": "web", "quantity": 3},
    "oversell": {"channel": "web", "policy": "limit", "limit": 3},
}


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("sku", ["K", "kappa"])
def test_a_rule_of_stock_is_rejected_on_a_kit_which_has_none(story: Beside, kind: str, sku: str) -> None:
    shop(story)
    assert story.fact(kind, sku=sku, **RULES[kind]) == "no-effect"


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("sku", ["A", "alpha", "not yet known"])
def test_a_rule_of_stock_is_taken_on_what_has_some(story: Beside, kind: str, sku: str) -> None:
    shop(story)
    assert story.fact(kind, sku=sku, **RULES[kind]) is None


@pytest.mark.parametrize("kind", ["allocation", "oversell"])
def test_a_rule_of_a_channel_is_rejected_where_others_are_declared_and_it_is_not(story: Beside, kind: str) -> None:
    story.locations("paris")
    rule = RULES[kind] | {"sku": "A", "channel": "wbe"}
    assert story.fact(kind, **rule) is None  # while none is declared
    story.channel("web")
    assert story.fact(kind, **rule | {"sku": "B"}) == "no-effect"
    story.channel("wbe")
    assert story.fact(kind, **rule | {"sku": "B"}) is None


def test_a_rule_that_names_no_sku_and_no_channel_is_taken(story: Beside) -> None:
    shop(story)
    assert story.fact("safety", absolute=1) is None
    assert story.fact("safety", absolute=1, location="paris") is None
    assert story.fact("oversell", policy="limit", limit=1) is None
    assert story.fact("oversell", channel="web", policy="none") is None


def test_a_rule_can_be_ended_after_its_item_became_a_kit(story: Beside) -> None:
    shop(story)
    for kind, rule in RULES.items():
        story.accept(kind, sku="B", **rule)
    story.accept("item", sku="B", base_unit="each", kit=[{"sku": "A", "quantity": 1}])
    story.accept("safety", sku="B")
    story.accept("allocation", sku="B", channel="web", quantity=0)
    story.accept("oversell", sku="B", channel="web")
    story.accept("item", sku="B", base_unit="each")
    assert (story.sellable("B"), story.sellable("A")) == (0, 0)
