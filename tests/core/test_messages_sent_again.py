"""A message that names its idempotency key counts once, whatever kinds it has: what docs/nats.md says to senders.

In: a fact of every kind, as a source or an operator sends it over NATS. Out: none. Always: no gateway signed it.
"""

import hashlib
import json
import re
from itertools import count
from typing import Any, get_args

from holdfast._core import Engine
from holdfast.contracts import facts
from tests.support.oracle.beside import AS_OF, NOON

SOURCE, POLICY = "hf.main.in.erp.erp", "hf.main.in.policy"
PARIS, ORDER = {"sku": "A", "location": "paris"}, {"order_ref": "o", "as_of": 5}
LINES = {"lines": [{"sku": "A", "quantity": 1, "location": "paris"}]}
PLACES: list[dict[str, Any]] = [
    {"kind": "location", "location": "paris", "type": "warehouse"},
    {"kind": "location", "location": "lyon", "type": "warehouse"},
    {"kind": "channel", "channel": "web", "locations": "*"},
]
OLDER_AND_NEWER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"kind": "stock.level", **PARIS, "on_hand": 9, "basis": "net", "as_of": 1}, {"on_hand": 20, "as_of": 2}),
    ({"kind": "item", "sku": "A", "base_unit": "each"}, {"status": "discontinued"}),
    ({"kind": "location", "location": "lyon", "type": "store", "enabled": False}, {"enabled": True}),
    ({"kind": "channel", "channel": "web", "locations": ["lyon"]}, {"locations": "*"}),
    ({"kind": "stock.delta", **PARIS, "quantity": 2, "reason": "", "ref": "d", "as_of": 3}, {"ref": "d2"}),
    (
        {"kind": "supply", "ref": "p", "line": "1", **PARIS, "quantity": 3, "due": "2026-02-01", "status": "open"},
        {"quantity": 5},
    ),
    ({"kind": "receipt", "ref": "p", "line": "1", **PARIS, "quantity": 1, "as_of": 3}, {"quantity": 2, "version": 2}),
    (
        {"kind": "transfer", "ref": "t", "sku": "A", "from": "paris", "to": "lyon", "quantity": 1}
        | {"status": "shipped", "as_of": 4},
        {"status": "received", "as_of": 5},
    ),
    (
        {"kind": "demand", "ref": "n", "line": "1", **PARIS, "quantity": 1, "class": "b2b", "as_of": 3},
        {"quantity": 0},
    ),
    ({"kind": "order.ack", **ORDER}, {"as_of": 6}),
    ({"kind": "order.update", **ORDER, **LINES, "ref": "u", "status": "short"}, {"lines": [], "version": 2}),
    ({"kind": "shipment", **ORDER, **LINES, "ref": "s"}, {"lines": [], "version": 2}),
    ({"kind": "return", **PARIS, "ref": "r", "quantity": 1, "condition": "sellable", "as_of": 7}, {"ref": "r2"}),
    ({"kind": "allocation", "channel": "web", "sku": "A", "quantity": 2}, {"quantity": 0}),
    ({"kind": "cap", "channel": "web", "sku": "A", "quantity": 1}, {"quantity": None}),
    ({"kind": "safety", "sku": "A", "absolute": 3}, {"absolute": 1}),
    ({"kind": "oversell", "sku": "A", "policy": "unlimited"}, {"policy": "none"}),
    ({"kind": "freshness", "source": "erp", "stale_after_ms": 1, "action": "restrict"}, {"action": "serve"}),
    ({"kind": "restriction", "sku": "A", "blocked": True, "reason": "x"}, {"blocked": False}),
    ({"kind": "source.reset", "source": "erp"}, {"location": "paris"}),
    ({"kind": "ownership", "location": "paris", "source": "other"}, {"source": "erp"}),
]
ON_POLICY = {"channel", "allocation", "cap", "safety", "oversell", "freshness", "restriction", "source.reset"}
ON_POLICY |= {"ownership"}


class Shop:
    """A core that takes messages of NATS."""

    def __init__(self, **rules: int) -> None:
        self.engine = Engine("main")
        self.engine.apply(1, self.engine.lead_batch("n1", NOON, json.dumps(rules).encode()))
        self.numbers = count(1)
        for place in PLACES:
            self.take(place)
        self.take({"kind": "stock.level", **PARIS, "on_hand": 9, "basis": "net", "as_of": 0})
        body = json.dumps({"channel": "web", "ttl_ms": 60_000, "lines": [{"sku": "A", "quantity": 1}]}).encode()
        confirm = b'{"order_ref":"o"}'
        for verb, asked in (("put", body), ("confirm", confirm)):
            self.decided([(verb, "cart", asked, None, None)], [])

    def decided(self, commands: list[Any], incoming: list[Any]) -> Any:
        decision = self.engine.decide(NOON, 0, commands, incoming)
        if decision.message is not None:
            self.engine.commit(self.engine.sequence + 1)
        return decision

    def take(self, fact: dict[str, Any], key: str = "", subject: str = SOURCE) -> dict[str, Any]:
        """One message that no gateway signed; what became of it."""
        body: dict[str, Any] = {"facts": [fact]}
        if key:
            named, request = (hashlib.sha256(text.encode()).hexdigest()[:32] for text in (key, json.dumps(fact)))
            body["idempotency"] = {"root": named, "key": named, "request": request}
        subject = POLICY if fact["kind"] in ON_POLICY else subject
        message = (next(self.numbers), subject, json.dumps(body).encode(), False)
        [(_, accepted, rejected, report)] = self.decided([], [message]).received
        assert (accepted, rejected) == (1, []), fact
        found: dict[str, Any] = json.loads(report)
        return found

    def figures(self) -> list[Any]:
        """Everything that shoppers could notice, but not when it was stated."""
        read = [self.engine.explain("A", "web", None, AS_OF), self.engine.reservation("cart", None, AS_OF)]
        texts = [re.sub(rb'"(sequence|version)":[0-9]+', b"", body) for _, body in read]
        return [self.engine.sellable("A", "web"), *texts]


def test_every_kind_is_tried() -> None:
    kinds = {one.__struct_config__.tag for one in get_args(facts.Fact)}
    assert {older["kind"] for older, _ in OLDER_AND_NEWER} == kinds


def test_a_late_duplicate_under_its_key_changes_nothing_of_any_kind() -> None:
    changed_without = set()
    for older, newer in OLDER_AND_NEWER:
        shop = Shop()
        first = shop.take(older, "document-1")
        shop.take(older | newer)
        before = shop.figures()
        assert shop.take(older, "document-1") == first, older
        assert shop.figures() == before, older
        shop.take(older)
        if shop.figures() != before:
            changed_without.add(older["kind"])
    assert changed_without >= {"cap", "restriction", "oversell", "safety"}, "so the keys are what keeps them"


def test_a_fact_that_is_sent_again_at_once_changes_nothing_of_any_kind() -> None:
    for older, _ in OLDER_AND_NEWER:
        shop = Shop()
        shop.take(older)
        before = shop.figures()
        shop.take(older)
        assert shop.figures() == before, older


def test_another_source_that_sends_under_many_keys_takes_nobodys_memory() -> None:
    shop = Shop(answers_max=20)
    item = {"kind": "item", "sku": "A", "base_unit": "each", "status": "discontinued"}
    first = shop.take(item, "document-1")
    shop.take(item | {"status": "active"})
    for number in range(50):
        shop.take({"kind": "location", "location": "lyon", "type": "store"}, f"flood-{number}", "hf.main.in.erp.flood")
    assert shop.take(item, "document-1") == first
    assert shop.engine.sellable("A", "web") == 8
