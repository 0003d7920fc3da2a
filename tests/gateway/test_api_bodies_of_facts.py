"""A body of facts as a whole: all of it or nothing, judged in order, and an answer that says what came of it."""

from typing import Any

import orjson
import pytest

from tests.support.served import Api, fresh, level, places


def delta(sku: str, quantity: int, ref: str, **fields: Any) -> dict[str, Any]:
    given = {"kind": "stock.delta", "sku": sku, "location": "W1", "quantity": quantity, "reason": "count", "ref": ref}
    return {**given, "as_of": 2, **fields}


def item(sku: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "item", "sku": sku, "base_unit": "each", **fields}


def reasons(answer: dict[str, Any]) -> list[tuple[int, str]]:
    return [(one["index"], one["reason"].split(":")[0]) for one in answer["rejected"]]


async def test_two_lines_of_one_document_count_apart_and_without_lines_the_second_is_refused(api: Api) -> None:
    sku, ref = await api.stocked(10), fresh("ref")
    await api.facts(delta(sku, 5, ref, line="1"), delta(sku, -4, ref, line="2"))
    assert await api.sellable(sku) == 11
    ref = fresh("ref")
    answer = await api("POST", "/v1/facts", {"source": "acme", "facts": [delta(sku, 5, ref), delta(sku, -4, ref)]})
    assert (answer.status, answer.json["accepted"], reasons(answer.json)) == (202, 1, [(1, "same-identity")])
    assert "facts[0]" in answer.json["rejected"][0]["reason"]
    assert await api.sellable(sku) == 16


async def test_half_a_transfer_is_none(api: Api) -> None:
    sku = await api.stocked(40)
    halves = [delta(sku, 40, fresh("ref"), location="W2"), delta(sku, -40, fresh("ref"), location="Wl")]
    await api.policies(*places("W2"))
    answer = await api("POST", "/v1/facts", {"source": "acme", "atomic": True, "facts": halves})
    assert (answer.status, answer.problem) == (422, "invalid")
    assert (answer.json["accepted"], reasons(answer.json)) == (0, [(0, "atomic"), (1, "unknown-location")])
    assert await api.sellable(sku) == 40
    halves[1]["location"] = "W1"
    answer = await api("POST", "/v1/facts", {"source": "acme", "atomic": True, "facts": halves})
    assert (answer.status, answer.json["accepted"]) == (202, 2)
    assert await api.sellable(sku) == 40


@pytest.mark.parametrize("target", ["/v1/facts", "/v1/policies"])
async def test_a_trial_judges_in_order_and_takes_nothing(api: Api, target: str) -> None:
    sku, alias = fresh("sku"), fresh("alias")
    body: dict[str, Any] = {"facts": [item(sku, aliases=[alias]), item(fresh("sku"), aliases=[alias])]}
    if target == "/v1/facts":
        body |= {"source": "acme"}
        body["facts"] += [level(alias, 3, as_of=7, unit="each"), level(alias, 3, as_of=7, unit="box")]
    before = (await api("GET", "/v1/state")).json["digest"]
    answer = await api("POST", target + "?dry_run=true", body)
    expected = [(1, "alias-taken")] + [(3, "unknown-unit")] * (target == "/v1/facts")
    assert (answer.status, reasons(answer.json)) == (200, expected)
    assert answer.json["rejected"][0]["reason"] == f"alias-taken: facts[0] makes {alias} an alias of {sku}"
    assert answer.json["created"] == [{"sku": sku}]
    assert (await api("GET", "/v1/state")).json["digest"] == before


async def test_a_trial_of_a_large_body_sees_all_of_it_in_order(api: Api) -> None:
    sku = fresh("sku")
    facts = [item(sku, units={"box": 2})] + [level(fresh("bulk"), 1, as_of=7) for _ in range(5_000)]
    facts += [level(sku, 3, as_of=7, unit="box"), item(fresh("sku"), aliases=[sku])]
    body = {"source": "acme", "facts": facts}
    assert len(orjson.dumps(body)) > 256 * 1024
    answer = await api("POST", "/v1/facts?dry_run=true", body)
    assert reasons(answer.json) == [(len(facts) - 1, "alias-taken")]
    assert (answer.json["created_count"], len(answer.json["created"])) == (5_001, 100)


async def test_the_answer_says_what_came_to_nothing_and_what_is_new(api: Api) -> None:
    sku, ref = fresh("sku"), fresh("ref")
    first = await api.facts(level(sku, 10, as_of=5), delta(sku, 1, ref, as_of=6))
    assert (first["created"], first["created_count"]) == ([{"sku": sku}], 1)
    assert (first["ignored"], first["ignored_count"]) == ([], 0)
    first = await api.facts(
        level(sku, 9, as_of=4),
        level(sku, 10, as_of=5),
        delta(sku, 1, ref, as_of=6),
        delta(sku, 2, fresh("ref"), as_of=3),
        delta(sku, 5, fresh("ref"), as_of=7),
    )
    assert first["accepted"] == 5
    assert [(one["index"], one["reason"]) for one in first["ignored"]] == [
        (0, "stale"),
        (1, "repeat"),
        (2, "repeat"),
        (3, "covered"),
    ]
    assert (first["ignored_count"], first["created_count"]) == (4, 0)
    assert await api.sellable(sku) == 16


async def test_an_answer_that_is_repeated_is_the_first_one(api: Api) -> None:
    sku, key = fresh("sku"), fresh("key")
    body = {"source": "acme", "facts": [level(sku, 10, as_of=5), level(sku, 9, as_of=4), level(sku, 9, "nowhere")]}
    first = await api("POST", "/v1/facts", body, idempotency_key=key)
    await api.facts(level(sku, 3, as_of=6))
    again = await api("POST", "/v1/facts", body, idempotency_key=key)
    assert (again.status, again.body) == (first.status, first.body), "sequence and all"
    assert int(again.headers["holdfast-sequence"]) > first.json["sequence"]
    assert await api.sellable(sku) == 3


async def test_what_was_refused_whole_may_be_corrected_under_its_key(api: Api) -> None:
    sku, key = fresh("sku"), fresh("key")
    wrong = {"source": "acme", "facts": [level(sku, 10, "nowhere")]}
    assert (await api("POST", "/v1/facts", wrong, idempotency_key=key)).status == 422
    right = {"source": "acme", "facts": [level(sku, 10)]}
    assert (await api("POST", "/v1/facts", right, idempotency_key=key)).status == 202


async def test_an_atomic_body_is_bounded(api: Api) -> None:
    many = {"source": "acme", "atomic": True, "facts": [level("x", 1)] * 2_001}
    answer = await api("POST", "/v1/facts", many)
    assert (answer.status, answer.problem, answer.json["errors"][0]["path"]) == (422, "invalid", "facts")
    large = {"source": "acme", "atomic": True, "facts": [{**level("x", 1), "trace": "y" * 100}] * 2_000}
    answer = await api("POST", "/v1/facts", large)
    assert (answer.status, answer.problem) == (413, "too-large")


async def listed(api: Api, query: str) -> list[dict[str, Any]]:
    answer = await api("GET", f"/v1/anomalies?{query}")
    assert answer.status == 200, answer.body
    items: list[dict[str, Any]] = answer.json["items"]
    return items


async def test_what_came_to_nothing_is_listed_by_sku(api: Api) -> None:
    sku, ref = fresh("sku"), fresh("ref")
    await api.facts(level(sku, 10, as_of=5), delta(sku, 1, ref, as_of=6))
    first = await api.facts(level(sku, 9, as_of=4), delta(sku, 2, ref, as_of=6), level(sku, 11, as_of=5))
    found = await listed(api, f"sku={sku}")
    assert [(one["kind"], one["fact"], one["location"], one["ref"]) for one in found] == [
        ("stale", "stock.level", "W1", None),
        ("conflicting-body", "stock.delta", "W1", ref),
        ("level-conflict", "stock.level", "W1", None),
    ]
    assert {(one["source"], one["sku"], one["sequence"]) for one in found} == {("acme", sku, first["sequence"])}
    assert await listed(api, f"sku={sku}&kind=stale") == found[:1]
    assert await listed(api, f"sku={sku}&after={found[0]['place']}") == found[1:]
    await api.facts(level(sku, 8, as_of=3))
    since = await listed(api, f"sku={sku}&after={found[-1]['place']}")
    assert [one["kind"] for one in since] == ["stale"]
    assert (await api("GET", "/v1/anomalies?kind=gossip")).status == 422


async def test_a_phantom_is_put_right_by_an_alias(api: Api) -> None:
    true, phantom = fresh("00"), fresh("phantom")
    first = await api.facts(level(true, 4), level(phantom, 3), level(true.removeprefix("00"), 1))
    assert first["created"][2]["like"] == true
    await api.policies(item(true, aliases=[phantom]))
    assert await api.sellable(phantom) == 4
    await api.facts(level(phantom, 6, as_of=8))
    assert await api.sellable(true) == 6
    answer = await api("GET", f"/v1/skus/{phantom}")
    assert answer.json["sku"] == true


async def test_a_phantom_that_is_sold_keeps_its_name(api: Api) -> None:
    true, phantom = await api.stocked(4), await api.stocked(3)
    await api.held((phantom, 1))
    answer = await api("POST", "/v1/policies", {"facts": [item(true, aliases=[phantom])]})
    assert answer.status == 422
    assert answer.json["rejected"][0]["reason"].startswith(f"alias-taken: {phantom} is a SKU that has reservations")


@pytest.mark.parametrize("hidden", ["\u200b", "\ufeff", "\u202e", "\u00ad", " ", "\u00a0", "\u3000"])
async def test_a_name_that_cannot_be_told_from_another_is_refused_with_its_character(api: Api, hidden: str) -> None:
    sku = await api.stocked(4)
    for wrong in ({"sku": sku + hidden}, {"location": hidden + "W1"}):
        answer = await api("POST", "/v1/facts", {"source": "acme", "facts": [{**level(sku, 1, as_of=9), **wrong}]})
        assert answer.status == 422
        assert f"U+{ord(hidden):04X}" in answer.json["rejected"][0]["reason"]
    assert await api.sellable(sku) == 4


async def test_a_request_names_its_channel_and_its_order_as_facts_do(api: Api) -> None:
    sku = await api.stocked(4)
    cart = {"channel": "web\u200b", "ttl_ms": 60_000, "lines": [{"sku": sku, "quantity": 1}]}
    answer = await api("PUT", f"/v1/reservations/{fresh('cart')}", cart)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "channel")
    held = await api.held((sku, 1))
    answer = await api("POST", f"/v1/reservations/{held}/confirm", {"order_ref": "1001 "})
    reason = "must not end with white space (U+0020 SPACE)"
    assert (answer.status, answer.json["errors"]) == (422, [{"path": "order_ref", "reason": reason}])
