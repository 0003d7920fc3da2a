"""A channel that nobody declared sells while none is declared; once one is, a name that is not known sells nothing."""

import json
from typing import Any

import pytest

from holdfast._core import Engine

NOW_MS = 1_790_000_000_000
CART: dict[str, Any] = {"channel": "wbe", "ttl_ms": 60_000, "lines": [{"sku": "MUG", "quantity": 1}]}
STOCK: list[dict[str, Any]] = [
    {"kind": "location", "location": "paris", "type": "warehouse"},
    {"kind": "stock.level", "sku": "MUG", "location": "paris", "on_hand": 5, "basis": "net", "as_of": 1},
]
WEB = {"kind": "channel", "channel": "web", "locations": "*"}
POS = {"kind": "channel", "channel": "pos", "locations": ["paris"]}


class Shop:
    """An engine that leads, with stock of one SKU."""

    def __init__(self, **rules: Any) -> None:
        self.engine = Engine("main")
        self.engine.apply(1, self.engine.lead_batch("n1", NOW_MS, json.dumps(rules).encode()))
        self.messages = 0
        self.tell(*STOCK)

    def tell(self, *facts: dict[str, Any]) -> list[tuple[int, str]]:
        """(index, reason) of each fact that is rejected."""
        self.messages += 1
        body = json.dumps({"facts": facts}).encode()
        decision = self.engine.decide(NOW_MS, 0, [], [(self.messages, "hf.main.in.erp.acme", body)])
        self.engine.commit(self.engine.sequence + 1)
        return [(index, reason.partition(":")[0]) for index, reason in decision.received[0][2]]

    def put(self, body: dict[str, Any], reservation: str = "r") -> tuple[int, dict[str, Any]]:
        command = ("put", reservation, json.dumps(body).encode(), None, None)
        decision = self.engine.decide(NOW_MS, 0, [command], [])
        if decision.message is not None:
            self.engine.commit(self.engine.sequence + 1)
        status, answer = decision.answers[0]
        return status, json.loads(answer)


def questions(shop: Shop, channel: str) -> list[tuple[int, bytes]]:
    """Every way to ask what a channel can sell."""
    many = json.dumps({"channel": channel, "skus": ["MUG"]}).encode()
    cart = json.dumps({"channel": channel, "lines": [{"sku": "MUG", "quantity": 1}]}).encode()
    return [
        shop.engine.availability("MUG", channel, None, None, b""),
        shop.engine.explain("MUG", channel, None, b""),
        shop.engine.availabilities(many, None, b""),
        shop.engine.validate(cart, None, b""),
    ]


def test_any_channel_sells_while_none_is_declared() -> None:
    shop = Shop()
    assert {status for status, _ in questions(shop, "wbe")} == {200}
    assert shop.put(CART)[0] == 201


def test_a_mistyped_channel_is_refused_once_one_is_declared() -> None:
    shop = Shop()
    shop.tell(WEB, POS)
    for status, answer in [*questions(shop, "wbe"), (shop.put(CART)[0], json.dumps(shop.put(CART)[1]).encode())]:
        found = json.loads(answer)
        assert (status, found["type"], found["channel"]) == (404, "urn:holdfast:problem:unknown-channel", "wbe")
    assert {status for status, _ in questions(shop, "web")} == {200}
    assert shop.put(CART | {"channel": "pos"})[0] == 201


def test_a_channel_that_was_only_named_before_is_not_declared_by_that() -> None:
    shop = Shop()
    assert shop.put(CART)[0] == 201
    shop.tell(WEB)
    assert {status for status, _ in questions(shop, "wbe")} == {404}
    decision = shop.engine.decide(NOW_MS, 0, [("confirm", "r", b"{}", None, None)], [])
    assert decision.answers[0][0] == 200, "what was held before is an order all the same"


def test_a_setting_turns_it_round() -> None:
    shop = Shop(undeclared_channels="serve")
    shop.tell(WEB)
    assert {status for status, _ in questions(shop, "wbe")} == {200}
    assert shop.put(CART)[0] == 201


def test_it_is_the_same_after_a_restart_from_a_snapshot(tmp_path: Any) -> None:
    shop = Shop()
    shop.tell(WEB)
    shop.engine.snapshot(str(tmp_path / "s"))
    shop.engine = Engine.restore("main", None, str(tmp_path / "s"))
    assert {status for status, _ in questions(shop, "wbe")} == {404}


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "allocation", "channel": "wbe", "sku": "MUG", "quantity": 1},
        {"kind": "oversell", "channel": "wbe", "policy": "unlimited"},
    ],
)
def test_a_rule_of_an_undeclared_channel_has_no_effect_and_is_rejected(rule: dict[str, Any]) -> None:
    shop = Shop()
    assert shop.tell(rule) == [], "while no channel is declared, it may be about to be"
    shop.tell(WEB)
    assert shop.tell(rule) == [(0, "no-effect")]
    assert shop.tell(rule | {"channel": "web"}) == []


@pytest.mark.parametrize(
    ("quantity", "unit", "multiple", "held"), [(24, 4, 1, 92), (24, 4, 6, 84), (95, 1, 1, 95), (9, 12, 1, 84)]
)
def test_partial_holds_whole_units_and_whole_multiples(quantity: int, unit: int, multiple: int, held: int) -> None:
    shop = Shop()
    item = {"kind": "item", "sku": "MUG", "base_unit": "piece", "units": {"box": unit}, "sell_multiple": multiple}
    level = STOCK[1] | {"on_hand": 95, "as_of": 2}
    shop.tell(item if unit > 1 else item | {"units": {}}, level)
    line = {"sku": "MUG", "quantity": quantity} | ({"unit": "box"} if unit > 1 else {})
    status, answer = shop.put(CART | {"lines": [line], "partial": True})
    assert (status, answer["lines"][0]["quantity"]) == (201, held)
