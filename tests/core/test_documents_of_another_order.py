"""A newer version of a document that names another order, or none: it counts as if the one before had never come.

docs/rules.md, "Documents". Each pair of versions is compared with the newer one alone, for the oracle and for both.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.support.oracle.beside import Beside

ORDERS = ("o", "p", "of nobody")
KINDS: dict[str, list[dict[str, Any]]] = {
    "return": [
        {"sku": "A", "location": "lyon", "quantity": 3, "condition": "sellable"},
        {"sku": "A", "location": "lyon", "quantity": 2, "condition": "damaged"},
    ],
    "shipment": [
        {"lines": [{"sku": "A", "quantity": 3, "location": "paris"}]},
        {"lines": [{"sku": "A", "quantity": 2}]},
    ],
    "order.update": [
        {"lines": [{"sku": "A", "quantity": 3}], "status": "cancelled"},
        {"lines": [{"sku": "A", "quantity": 1}], "status": "short"},
    ],
}


def two_orders(*, core: bool) -> Beside:
    story = Beside(core=core)
    story.locations("lyon", "paris")
    story.channel("web")
    for location in ("lyon", "paris"):
        story.level("A", location, 20)
    story.buy("r", ("A", 4), order_ref="o")
    story.buy("q", ("A", 5), order_ref="p")
    story.accept("shipment", ref="of o", lines=[{"sku": "A", "quantity": 2}], order_ref="o", as_of=2)
    return story


def version(number: int, order: str | None, body: dict[str, Any]) -> dict[str, Any]:
    named = {"order_ref": order} if order is not None else {}
    return {"ref": "b", "as_of": 5 + number, "version": number, **body, **named}


def come_to(story: Beside) -> tuple[Any, ...]:
    reservations = story.oracle.world.reservations
    return story.sellable("A"), {name: (story.state(name), story.oracle.figures(name)) for name in reservations}


@pytest.mark.parametrize("core", [False, True], ids=["oracle", "core"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_version_counts_alone(kind: str, *, core: bool) -> None:
    orders = [*ORDERS, None] if kind == "return" else list(ORDERS)
    for bodies in itertools.product(KINDS[kind], repeat=2):
        for first, second in itertools.permutations(orders, 2):
            both, alone = two_orders(core=core), two_orders(core=core)
            both.accept(kind, **version(1, first, bodies[0]))
            for story in (both, alone):
                story.accept(kind, **version(2, second, bodies[1]))
            assert come_to(both) == come_to(alone), f"{kind} of {first}, then of {second}: {bodies}"


@pytest.mark.parametrize("core", [False, True], ids=["oracle", "core"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_version_that_comes_back_to_an_order_counts_there_once(kind: str, *, core: bool) -> None:
    """By way of another order, of one that nobody has, and for returns by way of none."""
    body = KINDS[kind][0]
    for between in [*ORDERS[1:], None] if kind == "return" else ORDERS[1:]:
        both, alone = two_orders(core=core), two_orders(core=core)
        for number, order in enumerate(("o", between), start=1):
            both.accept(kind, **version(number, order, body))
        for story in (both, alone):
            story.accept(kind, **version(3, "o", body))
        assert come_to(both) == come_to(alone), f"{kind} of o, then of {between}, then of o"


@pytest.mark.parametrize("core", [False, True], ids=["oracle", "core"])
@pytest.mark.parametrize("kind", ["shipment", "order.update", "return"])
def test_an_order_that_is_confirmed_later_has_what_names_it_now(kind: str, *, core: bool) -> None:
    """Two versions before the orders are there: the first names one of them, the second the other."""
    stories = []
    for versions in ((1, 2), (2,)):
        story = Beside(core=core)
        story.locations("lyon", "paris")
        story.channel("web")
        story.level("A", "lyon", 20)
        for number in versions:
            story.accept(kind, **version(number, ORDERS[number - 1], KINDS[kind][number - 1]))
        story.level("A", "paris", 20)
        story.buy("r", ("A", 4), order_ref="o")
        story.buy("q", ("A", 5), order_ref="p")
        stories.append(story)
    assert come_to(stories[0]) == come_to(stories[1])
