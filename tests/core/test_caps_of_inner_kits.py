"""Each component of a kit stays within its cap, kits among them, at every depth."""

from __future__ import annotations

import json
from typing import Any

from tests.support.oracle.beside import AS_OF, Beside
from tests.support.stories import story

__all__ = ["story"]


def kit(told: Beside, sku: str, **parts: int) -> None:
    told.accept("item", sku=sku, base_unit="each", kit=[{"sku": part, "quantity": n} for part, n in parts.items()])


def shop(told: Beside, on_hand: int = 20) -> None:
    told.locations("paris")
    told.channel("web")
    told.level("S", "paris", on_hand)
    kit(told, "K", S=1)
    kit(told, "L", K=1)


def explained(told: Beside, sku: str) -> None:
    """The terms add up to what is sellable, and the cap that bounds it is one of them."""
    if told.engine is not None:
        status, answer = told.engine.explain(sku, "web", None, AS_OF)
        said: dict[str, Any] = json.loads(answer)
        assert status == 200
        assert said["sellable"] == sum(term["quantity"] for term in said["terms"]) == told.sellable(sku)
        assert any(term["name"] in ("cap", "kit_cap") for term in said["terms"]), said


def test_a_kit_stays_within_the_cap_of_a_kit_inside_it(story: Beside) -> None:
    shop(story, on_hand=0)
    story.accept("cap", channel="web", sku="K", quantity=1)
    story.accept("oversell", sku="S", policy="limit", limit=2)
    assert (story.sellable("L"), story.sellable("K")) == (1, 1)
    explained(story, "L")
    assert not story.validate(("L", 2))["ok"]
    assert story.hold("r", ("L", 2)).problem == "insufficient-stock"
    assert story.hold("r", ("L", 1)).status == 201
    assert (story.sellable("L"), story.sellable("K")) == (0, 0)


def test_the_cap_of_a_kit_is_used_per_kit_inside_at_every_depth_and_repeated_ones_are_summed(story: Beside) -> None:
    shop(story)
    kit(story, "M", L=2, K=1)  # 3 K
    kit(story, "N", M=1, L=1)  # 4 K
    story.accept("cap", channel="web", sku="K", quantity=11)
    assert [story.sellable(sku) for sku in ("K", "L", "M", "N")] == [11, 11, 3, 2]
    explained(story, "N")
    story.buy("r", ("N", 1))
    assert [story.sellable(sku) for sku in ("K", "L", "M", "N")] == [7, 7, 2, 1]
    story.accept("cap", channel="web", sku="L", quantity=3)  # of which the one sold before used none
    assert [story.sellable(sku) for sku in ("K", "L", "M", "N")] == [7, 3, 1, 1]


def test_the_lines_of_a_cart_share_the_cap_of_a_kit_that_is_inside_several(story: Beside) -> None:
    shop(story)
    kit(story, "M", K=2, S=1)
    story.accept("cap", channel="web", sku="K", quantity=5)
    checked = story.validate(("L", 2), ("M", 2), ("K", 1), ("M", 1))
    assert [(line["ok"], line["sellable"]) for line in checked["lines"]] == [
        (True, 5),
        (False, 1),
        (True, 3),
        (True, 1),
    ]
    assert story.hold("r", ("L", 2), ("M", 2), partial=True).status == 201
    assert [line["quantity"] for line in story.oracle.reservation("r")["lines"]] == [2, 1]
    assert story.sellable("K") == 1


def test_a_sale_on_another_channel_uses_nothing_and_what_goes_back_gives_the_caps_back(story: Beside) -> None:
    shop(story)
    story.channel("shop")
    story.accept("cap", channel="web", sku="K", quantity=4, period="may")
    story.buy("other", ("L", 3), channel="shop")
    story.buy("r", ("L", 3), order_ref="o")
    assert story.sellable("L") == 1
    lines = [{"sku": "L", "quantity": 1}]
    story.accept("order.update", ref="u", order_ref="o", status="cancelled", lines=lines, as_of=2)
    assert story.sellable("K") == 2
    story.command("cancel", "r")
    assert story.sellable("K") == 4


def test_a_kit_whose_recipe_changed_gives_back_the_caps_that_it_used(story: Beside) -> None:
    shop(story)
    story.accept("cap", channel="web", sku="K", quantity=4)
    story.buy("r", ("L", 2))
    kit(story, "L", K=2)
    assert (story.sellable("K"), story.sellable("L")) == (2, 1)
    story.command("cancel", "r")
    assert (story.sellable("K"), story.sellable("L")) == (4, 2)


def test_replacing_a_hold_needs_only_what_it_adds_of_a_cap_of_a_kit_inside(story: Beside) -> None:
    shop(story)
    story.accept("cap", channel="web", sku="K", quantity=4)
    story.hold("r", ("L", 3))
    assert story.hold("r", ("L", 4)).status == 200
    assert story.hold("r", ("K", 4)).status == 200
    assert story.hold("r", ("L", 5)).problem == "insufficient-stock"
    assert story.sellable("L") == 0


def test_a_new_period_of_a_cap_counts_kits_inside_from_zero(story: Beside) -> None:
    shop(story)
    story.accept("cap", channel="web", sku="K", quantity=4, period="may")
    story.buy("r", ("L", 3))
    story.accept("cap", channel="web", sku="K", quantity=4, period="june")
    assert story.sellable("L") == 4
    story.command("cancel", "r")
    assert story.sellable("L") == 4


def test_a_kit_whose_inner_kit_is_capped_is_not_unlimited(story: Beside) -> None:
    shop(story)
    story.accept("oversell", channel="web", policy="unlimited")
    assert story.both_say("L", "web")[:2] == (20, True)
    story.accept("cap", channel="web", sku="K", quantity=30)
    assert story.both_say("L", "web")[:2] == (30, False)
