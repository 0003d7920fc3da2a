"""docs/http.md, case by case: facts and policies over HTTP, on the whole product."""

from typing import Any

import orjson
import pytest

from tests.support.gateway import ask
from tests.support.served import Api, Served, fresh, level, places


def delta(sku: str, quantity: int, ref: str, as_of: int, **fields: Any) -> dict[str, Any]:
    given = {"kind": "stock.delta", "sku": sku, "location": "W1", "quantity": quantity, "reason": "count"}
    return {**given, "ref": ref, "as_of": as_of, **fields}


async def test_each_fact_is_judged_on_its_own(api: Api) -> None:
    sku = fresh("sku")
    facts = [
        level(sku, 5),
        level(sku, 5, location="nowhere"),
        {"kind": "stock.level"},
        {"kind": "gossip"},
        {**level(sku, 5), "colour": "red"},
        "not even an object",
        level(sku, 7, as_of=2),
    ]
    answer = await api("POST", "/v1/facts", {"source": "acme", "facts": facts})
    assert answer.status == 202
    assert answer.json["accepted"] == 2
    assert [one["index"] for one in answer.json["rejected"]] == [1, 2, 3, 4, 5]
    assert answer.json["rejected"][0]["reason"].startswith("unknown-location")
    assert all(one["reason"] for one in answer.json["rejected"])
    assert answer.json["sequence"] <= int(answer.headers["holdfast-sequence"])
    assert await api.sellable(sku) == 7, "once it answers, it is visible"


async def test_sent_again_unchanged_it_counts_once(api: Api) -> None:
    sku = await api.stocked(5)
    moved = delta(sku, -2, fresh("ref"), 2)
    for _ in range(3):
        await api.facts(moved)
    assert await api.sellable(sku) == 3
    await api.facts({**moved, "quantity": -1})
    assert await api.sellable(sku) == 3, "another body of the same movement is an anomaly: counted, ignored"


async def test_facts_of_one_body_take_effect_in_their_order(api: Api) -> None:
    sku = fresh("sku")
    await api.facts(level(sku, 10, as_of=1), delta(sku, -1, fresh("ref"), 2), level(sku, 20, as_of=3))
    assert await api.sellable(sku) == 20


async def test_a_large_body_is_taken_whole_and_in_order(api: Api) -> None:
    skus = [fresh("bulk") for _ in range(9_000)]
    facts = [level(sku, number % 7) for number, sku in enumerate(skus)]
    facts += [level(sku, number % 7 + 1, as_of=2) for number, sku in enumerate(skus)]
    facts[4_321] = {**facts[4_321], "location": "nowhere"}
    body = {"source": "acme", "facts": facts}
    assert len(orjson.dumps(body)) > 1_048_576, "beyond what one message or one ordinary body may have"
    answer = await api("POST", "/v1/facts", body)
    assert answer.status == 202
    assert answer.json["accepted"] == len(facts) - 1
    assert [one["index"] for one in answer.json["rejected"]] == [4_321]
    found = await api("POST", "/v1/availability", {"channel": "web", "skus": skus[4_000:5_000]})
    assert [one["sellable"] for one in found.json["items"]] == [number % 7 + 1 for number in range(4_000, 5_000)]


async def test_received_means_in_has_them(api: Api) -> None:
    sku = fresh("sku")
    body = {"source": "acme", "facts": [level(sku, 5), {"kind": "gossip"}, level(sku, 6, location="nowhere", as_of=2)]}
    answer = await api("POST", "/v1/facts?wait=received", body)
    assert answer.status == 202
    assert answer.json["accepted"] == 2, "the well-formed ones; what they mean is not known yet"
    assert [one["index"] for one in answer.json["rejected"]] == [1]
    await api.facts(level(fresh("sku"), 1))
    assert await api.sellable(sku) == 5


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"facts": [{"kind": "item", "sku": "a", "base_unit": "each"}]}, "source"),
        ({"source": "", "facts": []}, "source"),
        ({"source": "a.b", "facts": [{}]}, "source"),
        ({"source": "policy", "facts": [{}]}, "source"),
        ({"source": "acme"}, "facts"),
        ({"source": "acme", "facts": {}}, "facts"),
        ({"source": "acme", "facts": []}, "facts"),
        ({"source": "acme", "facts": [{}], "extra": 1}, "extra"),
    ],
)
async def test_a_body_of_facts_has_a_shape(api: Api, body: dict[str, Any], path: str) -> None:
    answer = await api("POST", "/v1/facts", body)
    assert (answer.status, answer.problem) == (422, "invalid")
    assert path in [error["path"] for error in answer.json["errors"]]


async def test_no_json_is_400_and_too_much_is_413(api: Api, served: Served) -> None:
    for target in ("/v1/facts", "/v1/policies"):
        assert (await api("POST", target, b'{"source":"acme",')).problem == "malformed-json"
        large = b'{"source":"acme","facts":["' + b"x" * (8 * 1024 * 1024) + b'"]}'
        answer = await ask(served.port, "POST", target, large)
        assert (answer.status, answer.problem) == (413, "too-large")


async def test_one_fact_that_no_message_can_carry_is_413(api: Api) -> None:
    one = {**level("x", 1), "trace": "y" * 600_000}
    answer = await api("POST", "/v1/facts", {"source": "acme", "facts": [one]})
    assert (answer.status, answer.problem) == (413, "too-large")


async def test_policies_take_the_policy_kinds_alone(api: Api) -> None:
    sku = await api.stocked(10)
    facts = [{"kind": "safety", "sku": sku, "absolute": 3}, level(sku, 99, as_of=9)]
    answer = await api("POST", "/v1/policies", {"facts": facts})
    assert answer.status == 202
    assert (answer.json["accepted"], [one["index"] for one in answer.json["rejected"]]) == (1, [1])
    assert await api.sellable(sku) == 7
    await api.policies({"kind": "safety", "sku": sku})
    assert await api.sellable(sku) == 10, "both absent ends the rule"
    refused = await api("POST", "/v1/policies", {"source": "acme", "facts": facts})
    assert refused.json["errors"] == [{"path": "source", "reason": "is unknown"}]


async def test_policies_may_come_as_facts_of_a_source(api: Api) -> None:
    sku = await api.stocked(10)
    await api.facts({"kind": "safety", "sku": sku, "percent": 12.5})
    assert await api.sellable(sku) == 8


async def test_another_sources_levels_are_foreign(api: Api) -> None:
    await api.policies(*places("W7"))
    sku = await api.stocked(5, location="W7")
    answer = await api("POST", "/v1/facts", {"source": "rival", "facts": [level(sku, 9, location="W7", as_of=5)]})
    assert (answer.status, answer.problem, answer.json["accepted"]) == (422, "invalid", 0)
    assert answer.json["rejected"][0]["reason"] == "foreign-clock: levels of W7 come from source acme"
    assert answer.json["errors"] == [{"path": "facts[0]", "reason": answer.json["rejected"][0]["reason"]}]


async def test_an_order_is_counted_once_from_the_hold_to_the_shelf(api: Api) -> None:
    sku, order = await api.stocked(10), fresh("order")
    cart_id = await api.held((sku, 3))
    await api("POST", f"/v1/reservations/{cart_id}/confirm", {"order_ref": order})
    assert await api.sellable(sku) == 7
    await api.facts({"kind": "order.ack", "order_ref": order, "as_of": 5})
    assert await api.sellable(sku) == 7, "no level includes it yet"
    await api.facts(level(sku, 7, as_of=5))
    assert await api.sellable(sku) == 7, "now the level does: net, and acknowledged before"
    assert (await api("GET", f"/v1/reservations/{cart_id}")).json["state"] == "in_erp"
    shipment = {"kind": "shipment", "ref": fresh("ship"), "order_ref": order, "as_of": 6}
    await api.facts({**shipment, "lines": [{"sku": sku, "location": "W1", "quantity": 3}]})
    assert await api.sellable(sku) == 7, "a shipment alone never changes sellable"
    assert (await api("GET", f"/v1/reservations/{cart_id}")).json["state"] == "fulfilled"


async def test_a_dry_run_says_what_would_be_rejected_and_takes_nothing(api: Api) -> None:
    sku = await api.stocked(5)
    before = (await api("GET", "/v1/state")).json
    facts = [level(sku, 9, as_of=2), level(sku, 9, location="nowhere", as_of=2)]
    answer = await api("POST", "/v1/facts?dry_run=true", {"source": "acme", "facts": facts})
    assert answer.status == 200
    assert (answer.json["accepted"], [one["index"] for one in answer.json["rejected"]]) == (1, [1])
    assert (await api("GET", "/v1/state")).json["digest"] == before["digest"]
    assert await api.sellable(sku) == 5
    assert (await api("POST", "/v1/facts?dry_run=maybe", {"source": "acme", "facts": facts})).problem == "invalid"
