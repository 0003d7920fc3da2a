"""Under other rules: what differs, by whom, and what is only uncertain."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast._core import Engine
from holdfast.hindsight.again import Again
from holdfast.hindsight.batches import batches, position_of
from holdfast.hindsight.differences import document
from holdfast.hindsight.other_rules import OtherRules
from holdfast.hindsight.what_if import Then, WhatIf
from holdfast.nats.refusals import REFUSED, refusal_of
from holdfast.protocol.core import Incoming, Request
from tests.support.histories import PickBySeed
from tests.support.playing import History

SCOPE = "main"
NOON = 1_767_268_800_000
WEB = {"kind": "channel", "channel": "web", "locations": "*"}


class Shop:
    """A core that decides, its LOG, and what ASK keeps."""

    def __init__(self) -> None:
        self.core = Engine(SCOPE, b"k" * 32)
        self.log: list[tuple[int, bytes]] = []
        self.asked: list[dict[str, Any]] = []
        self.taken = 0
        lead = self.core.lead_batch("n1", NOON, b'{"undeclared_channels":"serve"}')
        self.core.apply(1, lead)
        self.log.append((1, lead))

    def tell(
        self, commands: list[Request], incoming: list[Incoming], now_ms: int | None = None, lead_ms: int | None = None
    ) -> list[tuple[int, bytes]]:
        core = self.core
        now_ms = core.now_ms + 1_000 if now_ms is None else now_ms
        decision = core.decide(now_ms, core.lead_ms + 1_000 if lead_ms is None else lead_ms, commands, incoming)
        if decision.message is not None:
            core.commit(core.sequence + 1)
            self.log.append((core.sequence, decision.message))
        for command, (status, body) in zip(commands, decision.answers, strict=True):
            if status == REFUSED:
                self.asked.append(refusal_of(now_ms, core.sequence, command, body))
        return decision.answers

    def facts(self, *facts: dict[str, Any], subject: str = "erp.acme", passed_ms: int = 1_000) -> None:
        self.taken += 1
        message = (self.taken, f"hf.main.in.{subject}", json.dumps({"facts": list(facts)}).encode())
        self.tell([], [message], lead_ms=self.core.lead_ms + passed_ms)

    def put(self, name: str, *lines: tuple[str, int], **more: Any) -> int:
        body = {"channel": "web", "ttl_ms": 600_000} | more
        body["lines"] = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
        return self.tell([("put", name, json.dumps(body).encode(), None, "key")], [])[0][0]

    def confirm(self, name: str) -> int:
        return self.tell([("confirm", name, b"{}", None, "key")], [])[0][0]

    def what_if(self, *facts: dict[str, Any], then: Then = Then.BUYS) -> WhatIf:
        placed: dict[int, list[dict[str, Any]]] = {}
        for one in self.asked:
            placed.setdefault(one["sequence"], []).append(one)
        was, would = Engine(SCOPE), Engine(SCOPE)
        asking = WhatIf(Again(was, SCOPE, None), Again(would, SCOPE, None), OtherRules(list(facts)), placed, then)
        for batch in batches(self.log, position_of(was), SCOPE, None):
            asking.take(batch)
        assert was.digest() == self.core.digest()
        return asking


def level(sku: str, units: int, as_of: int = 1) -> dict[str, Any]:
    return {
        "kind": "stock.level", "sku": sku, "location": "PAR", "on_hand": units, "basis": "net", "as_of": as_of
    }  # fmt: skip


def stocked(**units: int) -> Shop:
    shop = Shop()
    shop.facts({"kind": "location", "location": "PAR"}, WEB, subject="policy")
    shop.facts(*(level(sku, quantity) for sku, quantity in units.items()))
    return shop


LIMIT = {"kind": "oversell", "channel": "web", "policy": "limit", "limit": 5}


def test_an_oversell_limit_gains_what_was_refused_up_to_the_limit() -> None:
    shop = stocked(MUG=3)
    assert [shop.put(f"c{n}", ("MUG", 2)) for n in range(6)] == [201, 409, 409, 409, 409, 409]
    found = document(shop.what_if(LIMIT).found, None)
    # 3 on hand and 5 beyond: four carts of two instead of one.
    assert (found["gained"]["units"], found["lost"]["units"]) == (6, 0)
    assert [(one["reservation"], one["certain"]) for one in found["list"]] == [
        ("c1", True),
        ("c2", False),
        ("c3", False),
    ]


def test_a_stricter_rule_loses_orders_and_says_what_they_were() -> None:
    shop = stocked(MUG=5)
    assert shop.put("c0", ("MUG", 4)) == 201
    assert shop.confirm("c0") == 200
    assert shop.put("c1", ("MUG", 1)) == 201
    found = document(shop.what_if({"kind": "safety", "absolute": 2}).found, None)
    assert (found["lost"]["units"], found["held_only"]["units"], found["gained"]["units"]) == (4, 0, 0)
    (one,) = found["list"]
    assert (one["reservation"], one["became"], one["reason"], one["certain"]) == (
        "c0",
        "confirmed",
        "insufficient-stock",
        True,
    )


def test_a_rule_of_the_log_is_replaced_and_not_set_again_later() -> None:
    shop = stocked(MUG=1)
    shop.facts(LIMIT | {"limit": 1}, subject="policy")
    shop.put("c0", ("MUG", 2))
    shop.facts(LIMIT | {"limit": 2}, subject="policy")
    shop.put("c1", ("MUG", 1))
    asking = shop.what_if({"kind": "oversell", "channel": "web", "policy": "none"})
    assert asking.rules.replaced_total == 2
    # c0 no longer fits; so the one mug is there for c1.
    assert [(one.reservation, one.was, one.would) for one in asking.found.listed()] == [("c0", {"MUG": 2}, {})]


def test_a_cart_that_asked_again_counts_once() -> None:
    shop = stocked(MUG=3)
    assert shop.put("c0", ("MUG", 5)) == 409
    assert shop.put("c0", ("MUG", 4)) == 409
    assert shop.put("c0", ("MUG", 3)) == 201
    assert shop.confirm("c0") == 200
    found = document(shop.what_if(LIMIT).found, None)
    assert found["gained"]["units"] == 2
    assert found["followed"] == 3
    assert len(found["list"]) == 1


def test_who_leaves_gives_the_units_back_when_the_hold_ends() -> None:
    shop = stocked(MUG=1)
    assert shop.put("c0", ("MUG", 6)) == 409
    shop.facts(level("CUP", 1), passed_ms=700_000)
    assert shop.put("c1", ("MUG", 6)) == 409
    assert len(shop.what_if(LIMIT, then=Then.BUYS).found.listed()) == 1
    assert len(shop.what_if(LIMIT, then=Then.LEAVES).found.listed()) == 2


def test_a_kit_and_its_parts_depend_on_each_other() -> None:
    shop = Shop()
    kit = {"kind": "item", "sku": "SET", "base_unit": "each", "kit": [{"sku": "MUG", "quantity": 2}]}
    shop.facts({"kind": "location", "location": "PAR"}, WEB, kit, subject="policy")
    shop.facts(level("MUG", 1), level("CUP", 0))
    for name, sku in (("c0", "SET"), ("c1", "MUG"), ("c2", "CUP")):
        shop.put(name, (sku, 2))
    found = {one.reservation: one.certain for one in shop.what_if(LIMIT | {"sku": "MUG"}).found.listed()}
    assert found == {"c0": True, "c1": False}


def test_a_place_that_is_declared_later_is_waited_for() -> None:
    shop = stocked(MUG=3)
    shop.put("c0", ("MUG", 3))
    asking = shop.what_if({"kind": "safety", "location": "PAR", "absolute": 1}, {"kind": "safety", "location": "NO"})
    assert [(fact["location"], why != "") for fact, why in asking.rules.waiting] == [("NO", True)]
    assert [one.reservation for one in asking.found.listed()] == ["c0"]


def test_stock_may_be_added_from_the_beginning() -> None:
    shop = stocked(MUG=1)
    assert shop.put("c0", ("MUG", 2)) == 409
    found = shop.what_if({"kind": "location", "location": "ATTIC"}, level("MUG", 1) | {"location": "ATTIC"}).found
    assert [(one.reservation, one.would) for one in found.listed()] == [("c0", {"MUG": 2})]


def test_money_is_that_of_the_prices_given() -> None:
    shop = stocked(MUG=1, CUP=1)
    shop.put("c0", ("MUG", 3), ("CUP", 2))
    found = document(shop.what_if(LIMIT).found, {"MUG": Decimal("2.50")})
    assert found["gained"] == {"units": 5, "money": "7.50"}
    assert found["without_price"] == ["CUP"]


@settings(max_examples=25)
@given(st.integers(0, 1 << 32), st.sampled_from(Then))
def test_with_the_rules_as_they_were_nothing_differs(seed: int, then: Then) -> None:
    pick, history = PickBySeed(seed), History(compare=False)
    history.opening(pick)
    for _ in range(40):
        pick.one(history.moves(pick))()
    shop = Shop()
    for now_ms, lead_ms, commands, incoming in history.beside.told:
        shop.tell(list(commands), list(incoming), now_ms, lead_ms)
    asking = shop.what_if(then=then)
    assert asking.found.by_reservation == {}
    assert asking.would.core.totals() == asking.was.core.totals()
