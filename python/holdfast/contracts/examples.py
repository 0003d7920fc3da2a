"""Examples of every call and of every kind of fact: one story, which a test plays on a real gateway.

In: nothing. Out: requests, in the order in which they can be played on an empty gateway, and the answers that came
(examples.json, written by tools/examples.py). The OpenAPI document takes both from here.
Always: each route has an example of each status below 400, and each kind of fact has one; tests/documents/
test_examples.py fails when a route or a kind has none, or when the answers are no longer these.
"""

from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

DAY, DUE = "2026-01-05", "2026-01-19"
"""The day of the story, and one two weeks later; the player puts today and two weeks from now there."""
_AS_OF = "2026-01-04T09:00:00Z"
_LATER = "2026-01-04T17:30:00Z"


class Example(NamedTuple):
    """One request of the story. `name` is unique within its route; of a fact it is the kind."""

    route: str
    name: str
    summary: str
    method: str
    target: str
    body: Any = None

    @property
    def key(self) -> str:
        """Under which its answer is stored."""
        return f"{self.route}/{self.name}"


class Recorded(msgspec.Struct, frozen=True):
    """The answer that an example got: JSON, or text."""

    status: int
    body: Any


def _fact(summary: str, route: str = "facts", name: str = "", **fact: Any) -> Example:
    body = {"facts": [fact]} if route == "policies" else {"source": "erp", "facts": [fact]}
    return Example(route, name or fact["kind"], summary, "POST", f"/v1/{route}", body)


def _cart(number: int, summary: str, name: str, quantity: int = 2, **fields: Any) -> Example:
    lines = [{"sku": "MUG-BLUE", "quantity": quantity}]
    body = {"channel": "web", "ttl_ms": 600_000, "lines": lines, **fields}
    return Example("reserve", name, summary, "PUT", f"/v1/reservations/cart-{number}", body)


def _verb(verb: str, number: int, summary: str, name: str = "", body: Any = None) -> Example:
    target = f"/v1/reservations/cart-{number}/{verb}"
    return Example(verb, name or verb, summary, "POST", target, {} if body is None else body)


def _get(route: str, target: str, summary: str, name: str = "") -> Example:
    return Example(route, name or route, summary, "GET", target)


_FOUND: dict[str, Any] = {
    "kind": "stock.delta",
    "sku": "MUG-BLUE",
    "location": "paris",
    "quantity": 5,
    "reason": "found at the count",
    "ref": "ADJ-77",
    "line": 1,
    "as_of": _LATER,
}
_CATALOGUE = (
    _fact("A warehouse", kind="location", location="paris", type="warehouse", regions=["FR", "BE"], priority=10),
    _fact("A store", "policies", kind="location", location="lyon", type="store", regions=["FR"]),
    _fact("The web shop sells from everywhere", kind="channel", channel="web", locations="*", supply_horizon_days=30),
    _fact("The store sells what it has", "policies", kind="channel", channel="store", locations=["lyon"]),
    _fact(
        "A SKU with a box of twelve and its bar code",
        kind="item",
        sku="MUG-BLUE",
        base_unit="each",
        units={"case": 12},
        aliases=["4006381333931"],
    ),
    _fact("A SKU without more", "policies", kind="item", sku="SAUCER", base_unit="each"),
    _fact(
        "A kit of other SKUs",
        name="item of a kit",
        kind="item",
        sku="TEA-SET",
        base_unit="each",
        kit=[{"sku": "MUG-BLUE", "quantity": 2}, {"sku": "SAUCER", "quantity": 2}],
    ),
)
_STOCK = (
    _fact(
        "What lies at a location, as the ERP counts it",
        kind="stock.level",
        sku="MUG-BLUE",
        location="paris",
        on_hand=120,
        unsellable={"damaged": 2},
        allocated=3,
        basis="gross",
        as_of=_AS_OF,
    ),
    Example(
        "facts",
        "several",
        "Several facts in one body, each judged by itself",
        "POST",
        "/v1/facts",
        {
            "source": "erp",
            "facts": [
                {
                    "kind": "stock.level",
                    "sku": "SAUCER",
                    "location": "paris",
                    "on_hand": 40,
                    "basis": "net",
                    "as_of": _AS_OF,
                },
                {
                    "kind": "stock.level",
                    "sku": "MUG-BLUE",
                    "location": "lyno",
                    "on_hand": 6,
                    "basis": "net",
                    "as_of": _AS_OF,
                },
            ],
        },
    ),
    _fact("A movement: five were found", **_FOUND),
    _fact(
        "Stock on its way",
        kind="supply",
        ref="PO-500",
        line=1,
        sku="MUG-BLUE",
        location="paris",
        quantity=48,
        due=DUE,
        status="open",
    ),
    _fact(
        "What is owed to others",
        kind="demand",
        ref="MKT-9",
        line=1,
        sku="MUG-BLUE",
        quantity=4,
        location="paris",
        **{"class": "marketplace"},
        as_of=_LATER,
    ),
)
_RULES = (
    _fact("Eight are never sold", kind="safety", sku="MUG-BLUE", location="paris", absolute=8),
    _fact("Two and a half percent of everything are never sold", "policies", kind="safety", percent=2.5),
    _fact("Ten are ring-fenced for the store", kind="allocation", channel="store", sku="MUG-BLUE", quantity=10),
    _fact("At most 60 on the web this week", kind="cap", channel="web", sku="MUG-BLUE", quantity=60, period="2026-W02"),
    _fact("Up to five beyond the stock", kind="oversell", channel="web", sku="SAUCER", policy="limit", limit=5),
    _fact("A silent source", kind="freshness", source="erp", stale_after_ms=3_600_000, action="serve"),
    _fact("Sold nowhere: a recall", kind="restriction", sku="RECALLED", blocked=True, reason="recall 2026-01"),
)
_ASKING = (
    _get("availability", "/v1/availability/MUG-BLUE?channel=web", "How many now"),
    _get("availability", "/v1/availability/MUG-BLUE?channel=web&quantity=10", "And when 10", "promise"),
    _get("availability", "/v1/availability/MUG-BLEU?channel=web", "A name that nobody knows", "unknown-sku"),
    Example(
        "availabilities",
        "availabilities",
        "Many SKUs at once",
        "POST",
        "/v1/availability",
        {"channel": "web", "skus": ["MUG-BLUE", "TEA-SET", "MUG-BLEU"]},
    ),
    _get("explain", "/v1/availability/MUG-BLUE/explain?channel=web", "Why that many"),
    Example(
        "validate",
        "validate",
        "Would this cart fit?",
        "POST",
        "/v1/carts/validate",
        {
            "channel": "web",
            "lines": [{"sku": "MUG-BLUE", "quantity": 1, "unit": "case"}, {"sku": "TEA-SET", "quantity": 400}],
        },
    ),
)
_HOLDING = (
    _cart(1, "Hold two for ten minutes", "hold"),
    _cart(1, "The same again: the same answer", "again"),
    _cart(2, "More than there is", "insufficient-stock", 400),
    _cart(2, "What there is of it", "partial", 400, partial=True),
    _verb("release", 2, "The shopper left"),
    _cart(3, "With the shopper's name, so that one shopper's holds are known", "owner", owner="shopper-17", revision=1),
    _cart(3, "A late duplicate", "stale-revision", 5, owner="shopper-17", revision=0),
    _cart(4, "A wrong body", "invalid", 0),
    _get("reservation", "/v1/reservations/cart-1", "As it is now"),
    _get("reservation", "/v1/reservations/cart-9", "One that was never made", "unknown-reservation"),
    Example(
        "reserve_batch",
        "batch",
        "Two at once, each decided separately",
        "POST",
        "/v1/reservations:batch",
        {
            "requests": [
                {"id": "cart-5", "channel": "store", "ttl_ms": 60_000, "lines": [{"sku": "SAUCER", "quantity": 90}]},
                {"id": "cart-6", "channel": "web", "ttl_ms": 60_000, "lines": [{"sku": "TEA-SET", "quantity": 1}]},
            ]
        },
    ),
    _verb("extend", 1, "Ten minutes from now", body={"ttl_ms": 600_000}),
    _verb("confirm", 1, "The order was placed", body={"order_ref": "1001"}),
    _verb("confirm", 1, "Under another number", "reservation-closed", {"order_ref": "1002"}),
    _verb("confirm", 3, "Another order", "another", {"order_ref": "1003"}),
    _verb("fulfil", 3, "One was handed over", body={"lines": [{"sku": "MUG-BLUE", "quantity": 1}]}),
    _verb("cancel", 3, "The rest is not wanted"),
    _verb("release", 3, "It is no hold any more", "reservation-closed"),
)
_ORDERS = (
    _fact(
        "The ERP has the order, and ships it from Paris",
        kind="order.ack",
        order_ref="1001",
        lines=[{"sku": "MUG-BLUE", "location": "paris"}],
        as_of=_LATER,
    ),
    _fact(
        "The ERP took a unit off the order",
        kind="order.update",
        order_ref="1001",
        ref="UPD-3",
        status="cancelled",
        lines=[{"sku": "MUG-BLUE", "quantity": 1}],
        as_of=_LATER,
    ),
    _fact(
        "A unit left",
        kind="shipment",
        order_ref="1001",
        ref="DN-8",
        lines=[{"sku": "MUG-BLUE", "quantity": 1, "location": "paris"}],
        as_of=_LATER,
    ),
    _fact(
        "It came back",
        kind="return",
        order_ref="1001",
        ref="RET-2",
        sku="MUG-BLUE",
        location="paris",
        quantity=1,
        condition="sellable",
        as_of=_LATER,
    ),
    Example(
        "facts",
        "repeat",
        "Sent again: it counts once, and the answer says so",
        "POST",
        "/v1/facts",
        {"source": "erp", "facts": [_FOUND]},
    ),
    Example(
        "facts",
        "atomic",
        "All or none: half of a transfer names a place that is not there",
        "POST",
        "/v1/facts",
        {
            "source": "erp",
            "atomic": True,
            "facts": [
                {**_FOUND, "location": "lyon", "quantity": 40, "reason": "transfer", "ref": "TR-1"},
                {**_FOUND, "location": "pairs", "quantity": -40, "reason": "transfer", "ref": "TR-1"},
            ],
        },
    ),
    Example(
        "facts",
        "dry run",
        "What would be rejected, with `?dry_run=true`",
        "POST",
        "/v1/facts?dry_run=true",
        {"source": "erp", "facts": [{"kind": "location", "location": "nantes", "type": "store"}]},
    ),
    Example(
        "policies",
        "dry run",
        "What would be rejected, with `?dry_run=true`",
        "POST",
        "/v1/policies?dry_run=true",
        {"facts": [{"kind": "cap", "channel": "web", "sku": "SAUCER", "quantity": 20}]},
    ),
)
_SPOON: dict[str, Any] = {"kind": "stock.level", "sku": "SPOON", "location": "paris", "basis": "net"}
_SHORT = (
    _fact("Two spoons", name="stock.level of a spoon", **_SPOON, on_hand=2, as_of=_AS_OF),
    Example(
        "reserve",
        "spoons",
        "Both are held",
        "PUT",
        "/v1/reservations/cart-7",
        {"channel": "web", "ttl_ms": 600_000, "lines": [{"sku": "SPOON", "quantity": 2}]},
    ),
    _fact("One was lost: a held unit is covered no more", name="stock.level lower", **_SPOON, on_hand=1, as_of=_LATER),
    _get("list_deficits", "/v1/deficits", "Which units nothing covers"),
)
_READING_BACK = (
    _get("list_skus", "/v1/skus?limit=2", "The first two"),
    _get("sku", "/v1/skus/MUG-BLUE", "One of them"),
    _get("list_locations", "/v1/locations", "All"),
    _get("list_channels", "/v1/channels", "All"),
    _get("list_policies", "/v1/policies?sku=MUG-BLUE", "Those that touch one SKU"),
    _get("list_supplies", "/v1/supplies?status=open", "What is on its way"),
    _get("list_demands", "/v1/demands", "All"),
    _get("list_reservations", "/v1/reservations?order_ref=1001", "Those of one order"),
    _get("list_anomalies", "/v1/anomalies", "What facts came to, beside being counted"),
    _get("list_sources", "/v1/sources", "Who reports, and how old it is"),
    _get("state", "/v1/state", "This process"),
    _get("overview", "/v1/overview", "Its figures, for a dashboard"),
    _get("livez", "/livez", "It answers"),
    _get("readyz", "/readyz", "Send requests here"),
    _get("metrics", "/metrics", "The first of many lines"),
)
_ARRIVING = (
    _fact(
        "Twelve of a supply line arrived",
        kind="receipt",
        ref="PO-500",
        line=1,
        sku="MUG-BLUE",
        location="paris",
        quantity=12,
        as_of=_LATER,
    ),
    _fact(
        "Six are on their way to the store",
        kind="transfer",
        ref="TR-4",
        sku="MUG-BLUE",
        **{"from": "paris"},
        to="lyon",
        quantity=6,
        status="shipped",
        due=DUE,
        as_of=_LATER,
    ),
    _fact("The next level counts, whatever its time", kind="source.reset", source="erp", location="paris"),
    _fact("Levels of the store come from its tills now", kind="ownership", location="lyon", source="pos"),
)
_LETTERS = "/v1/dead-letters"
_PAST = (
    _get("explain", "/v1/availability/MUG-BLUE/explain?channel=web&at=12", "As it was after message 12", "at"),
    _get("list_changes", "/v1/skus/SPOON/changes", "What happened to one SKU"),
    _get("list_audit", "/v1/audit?kind=cap", "Who set which cap"),
    _get("list_refusals", "/v1/refusals?sku=MUG-BLUE", "Carts that wanted one SKU"),
    _get("report", "/v1/report?from=2026-01-01T00:00:00Z&upto=2036-01-01T00:00:00Z", "What ten years came to"),
    _get("list_dead_letters", f"{_LETTERS}?reason=unknown-location", "Those with one reason"),
    _get("dead_letter", f"{_LETTERS}/1", "One of them"),
    Example(
        "correct_dead_letter",
        "correction",
        "With a place that is known",
        "PUT",
        f"{_LETTERS}/1/correction",
        {
            "raw": '{"kind":"stock.level","sku":"MUG-BLUE","location":"lyon","on_hand":6,"basis":"net","as_of":"'
            + _AS_OF
            + '"}'
        },
    ),
    Example("retry_dead_letter", "retry", "The correction", "POST", f"{_LETTERS}/4/retry"),
    Example("discard_dead_letter", "discard", "One that nobody needs", "DELETE", f"{_LETTERS}/2"),
)
STORY: tuple[Example, ...] = (
    *(*_CATALOGUE, *_STOCK, *_RULES, *_ASKING, *_HOLDING),
    *(*_ORDERS, *_SHORT, *_READING_BACK, *_ARRIVING, *_PAST),
)


@cache
def answers() -> dict[str, Recorded]:
    """The answers that the story got, by the key of their example."""
    text = files("holdfast.contracts").joinpath("examples.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Recorded])
