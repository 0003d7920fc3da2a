"""docs/http.md, case by case: availability, explain, cart validation, on the whole product."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.served import Api, cart, fresh, level


def line(sku: str, quantity: int, **fields: Any) -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity, **fields}


async def validated(api: Api, *lines: dict[str, Any], **fields: Any) -> Any:
    answer = await api("POST", "/v1/carts/validate", {"channel": "web", "lines": lines, **fields})
    assert answer.status == 200, answer.body
    assert answer.json["as_of"]["mode"] == "live"
    return answer.json


async def test_availability_says_how_many_and_how_fresh(api: Api) -> None:
    sku = await api.stocked(12)
    answer = await api("GET", f"/v1/availability/{sku}?channel=web")
    assert answer.status == 200
    found = answer.json
    as_of = found.pop("as_of")
    assert found == {"sku": sku, "channel": "web", "sellable": 12, "unlimited": False}
    assert as_of.keys() == {"sequence", "age_ms", "mode"}
    assert as_of["mode"] == "live"
    assert as_of["sequence"] <= int(answer.headers["holdfast-sequence"])


async def test_an_unknown_sku_is_404(api: Api) -> None:
    for suffix in ("", "/explain"):
        answer = await api("GET", f"/v1/availability/{fresh('unknown')}{suffix}?channel=web")
        assert (answer.status, answer.problem) == (404, "unknown-sku")


@pytest.mark.parametrize("sku", ["x" * 129, "a%00b", "%C2%85"])
async def test_a_sku_has_bounds(api: Api, sku: str) -> None:
    answer = await api("GET", f"/v1/availability/{sku}?channel=web")
    assert (answer.status, answer.problem) == (422, "invalid")
    assert answer.json["errors"][0]["path"] == "sku"


async def test_skus_are_percent_decoded_and_compared_byte_by_byte(api: Api) -> None:
    await api.stocked(1, sku="slash/ü b+c")
    assert await api.sellable("slash%2F%C3%BC%20b+c") == 1
    assert (await api("GET", "/v1/availability/slash%2F%C3%BC%20B+c?channel=web")).status == 404
    assert (await api("GET", "/v1/availability/slash%2F%C3%BC%20b%20c?channel=web")).status == 404


async def test_a_quantity_asks_for_the_day(api: Api) -> None:
    sku = await api.stocked(2)
    today = datetime.now(UTC).date()
    due = (today + timedelta(days=9)).isoformat()
    supply = {"kind": "supply", "ref": fresh("po"), "line": 1, "sku": sku, "location": "W1", "quantity": 10, "due": due}
    await api.facts(supply)
    ask = f"/v1/availability/{sku}?channel=web"
    assert (await api("GET", f"{ask}&quantity=2")).json["promise"] == today.isoformat()
    assert (await api("GET", f"{ask}&quantity=5")).json["promise"] == due
    assert (await api("GET", f"{ask}&quantity=50")).json["promise"] is None
    assert "promise" not in (await api("GET", ask)).json


async def test_a_regional_channel_needs_a_region(api: Api) -> None:
    sku, channel = await api.stocked(4), fresh("regional")
    await api.policies(
        {"kind": "location", "location": "W1", "regions": ["FR"]},
        {"kind": "channel", "channel": channel, "locations": ["W1", "W2"], "regional": "require"},
    )
    without = await api("GET", f"/v1/availability/{sku}?channel={channel}")
    assert (without.status, without.problem) == (422, "invalid")
    assert without.json["errors"][0]["path"] == "region"
    assert (await api("GET", f"/v1/availability/{sku}?channel={channel}&region=FR")).json["sellable"] == 4
    assert (await api("GET", f"/v1/availability/{sku}?channel={channel}&region=DE")).json["sellable"] == 0
    held = await api("PUT", f"/v1/reservations/{fresh('cart')}", {**cart((sku, 1)), "channel": channel})
    assert (held.status, held.problem) == (422, "invalid")


async def test_unlimited_is_said_beside_what_stock_allows(api: Api) -> None:
    sku, channel = await api.stocked(3), fresh("preorder")
    await api.policies(
        {"kind": "channel", "channel": channel, "locations": "*"},
        {"kind": "oversell", "channel": channel, "sku": sku, "policy": "unlimited"},
    )
    found = (await api("GET", f"/v1/availability/{sku}?channel={channel}")).json
    assert (found["sellable"], found["unlimited"]) == (3, True)
    await api.policies({"kind": "cap", "channel": channel, "sku": sku, "quantity": 7})
    found = (await api("GET", f"/v1/availability/{sku}?channel={channel}")).json
    assert (found["sellable"], found["unlimited"]) == (7, False)


async def test_many_skus_are_answered_in_the_order_asked(api: Api) -> None:
    first, second, unknown = await api.stocked(1), await api.stocked(2), fresh("unknown")
    body = {"channel": "web", "skus": [second, unknown, first, second]}
    answer = await api("POST", "/v1/availability", body)
    assert answer.status == 200
    assert answer.json["items"] == [
        {"sku": second, "sellable": 2, "unlimited": False},
        {"sku": unknown, "error": "unknown-sku"},
        {"sku": first, "sellable": 1, "unlimited": False},
        {"sku": second, "sellable": 2, "unlimited": False},
    ]
    assert answer.json["as_of"]["mode"] == "live"


@pytest.mark.parametrize("skus", [[], ["A"] * 1_001, "A", [""], [7]])
async def test_many_skus_have_bounds(api: Api, skus: object) -> None:
    answer = await api("POST", "/v1/availability", {"channel": "web", "skus": skus})
    assert (answer.status, answer.problem) == (422, "invalid")


async def test_explain_adds_up(api: Api) -> None:
    sku = await api.stocked(20)
    await api.facts(level(sku, 20, as_of=2, unsellable={"damaged": 3}))
    await api.policies(
        {"kind": "safety", "sku": sku, "absolute": 4},
        {"kind": "cap", "channel": "web", "sku": sku, "quantity": 9},
    )
    await api.held((sku, 2))
    found = (await api("GET", f"/v1/availability/{sku}/explain?channel=web")).json
    assert found["sellable"] == await api.sellable(sku)
    assert sum(term["quantity"] for term in found["terms"]) == found["sellable"]
    assert len(found["terms"]) > 2
    assert {"name", "quantity"} <= found["terms"][0].keys()
    assert found["as_of"]["mode"] == "live"


async def test_before_it_was_named_a_sku_is_not_known(api: Api) -> None:
    sku = await api.stocked(1)
    answer = await api("GET", f"/v1/availability/{sku}/explain?channel=web&at=2")
    assert (answer.status, answer.problem) == (404, "unknown-sku")


async def test_a_cart_is_judged_line_by_line_and_holds_nothing(api: Api) -> None:
    sku, unknown = await api.stocked(5), fresh("unknown")
    found = await validated(api, line(sku, 3), line(sku, 3), line(sku, 2), line(unknown, 1))
    assert found["ok"] is False
    assert found["lines"] == [
        {"sku": sku, "requested": 3, "sellable": 5, "ok": True},
        {"sku": sku, "requested": 3, "sellable": 2, "ok": False, "reason": "insufficient-stock"},
        {"sku": sku, "requested": 2, "sellable": 2, "ok": True},
        {"sku": unknown, "requested": 1, "sellable": 0, "ok": False, "reason": "unknown-sku"},
    ]
    assert (await validated(api, line(sku, 5)))["ok"] is True
    assert await api.sellable(sku) == 5


async def test_an_owners_own_holds_do_not_count_against_it(api: Api) -> None:
    sku = await api.stocked(3)
    await api.held((sku, 3), owner="ben")
    assert (await validated(api, line(sku, 3)))["ok"] is False
    assert (await validated(api, line(sku, 3), owner="ben"))["ok"] is True
    assert (await validated(api, line(sku, 3), owner="eve"))["ok"] is False


async def test_every_reason(api: Api) -> None:
    plain, blocked, old, boxed = [await api.stocked(50) for _ in range(4)]
    await api.policies(
        {"kind": "restriction", "sku": blocked, "blocked": True, "reason": "recall"},
        {"kind": "item", "sku": old, "base_unit": "each", "status": "discontinued"},
        {"kind": "item", "sku": boxed, "base_unit": "each", "units": {"case": 12}, "sell_multiple": 6},
    )
    found = await validated(
        api,
        line(plain, 51),
        line(blocked, 1),
        line(old, 1),
        line(boxed, 5),
        line(boxed, 1, unit="pallet"),
        line(boxed, 2, unit="case"),
        line(fresh("unknown"), 1),
    )
    assert [one.get("reason") for one in found["lines"]] == [
        "insufficient-stock",
        "restricted",
        "inactive",
        "not-a-multiple",
        "unknown-unit",
        None,
        "unknown-sku",
    ]
    assert found["lines"][5]["requested"] == 24, "answers are in base units"
    held = await api("PUT", f"/v1/reservations/{fresh('cart')}", cart((blocked, 1)))
    assert (held.status, held.json["lines"][0]["reason"]) == (409, "restricted")


async def test_a_kit_needs_its_components_once(api: Api) -> None:
    arm, leg, kit = await api.stocked(5), await api.stocked(8), fresh("robot")
    await api.policies(
        {
            "kind": "item",
            "sku": kit,
            "base_unit": "each",
            "kit": [{"sku": arm, "quantity": 2}, {"sku": leg, "quantity": 2}],
        }
    )
    assert await api.sellable(kit) == 2
    found = await validated(api, line(arm, 2), line(kit, 2))
    assert [one["ok"] for one in found["lines"]] == [True, False]
    answer = await api.reserve((kit, 2))
    allocations = answer.json["lines"][0]["allocations"]
    assert {one["sku"]: one["quantity"] for one in allocations} == {arm: 4, leg: 4}
    assert await api.sellable(arm) == 1


@pytest.mark.parametrize("body", [b"", b"[", b"\x00"])
async def test_what_is_no_json_is_400(api: Api, body: bytes) -> None:
    for target in ("/v1/carts/validate", "/v1/availability"):
        assert (await api("POST", target, body)).problem == "malformed-json"


async def test_pick_up_asks_what_one_place_alone_can_give(api: Api) -> None:
    sku = await api.stocked(4)
    await api.facts(level(sku, 3, "W2"))
    ask = f"/v1/availability/{sku}?channel=web"
    assert (await api("GET", ask)).json["sellable"] == 7
    at_w2 = (await api("GET", f"{ask}&location=W2")).json
    assert (at_w2["sellable"], at_w2["location"]) == (3, "W2")
    everywhere = (await api("GET", f"{ask}&by=location")).json
    assert everywhere["sellable"] == 7
    assert everywhere["locations"] == [
        {"location": "W1", "sellable": 4, "unlimited": False},
        {"location": "W2", "sellable": 3, "unlimited": False},
    ]
    assert everywhere["more_locations"] is False
    for location, sellable in (("W1", 4), ("W2", 3)):
        items = (await api("POST", "/v1/availability", {"channel": "web", "skus": [sku], "location": location})).json
        assert items["items"][0]["sellable"] == sellable
        fits = await validated(api, line(sku, sellable), location=location)
        assert fits["ok"] is True
        over = await validated(api, line(sku, sellable + 1), location=location)
        assert over["lines"][0]["sellable"] == sellable
        held = await api(
            "PUT", f"/v1/reservations/{fresh('pickup')}", cart((sku, 1)) | {"lines": [line(sku, 1, location=location)]}
        )
        assert held.status == 201
    by_line = await validated(api, line(sku, 3, location="W1"), line(sku, 2, location="W2"))
    assert by_line["ok"] is True
    assert (await validated(api, line(sku, 3, location="W2")))["lines"][0]["sellable"] == 2
    for query in ("location=nowhere", "by=day", "location="):
        refused = await api("GET", f"{ask}&{query}")
        assert (refused.status, refused.problem) == (422, "invalid")
    lost = await api("POST", "/v1/carts/validate", {"channel": "web", "lines": [line(sku, 1, location="nowhere")]})
    assert lost.json["errors"][0]["path"] == "lines[0].location"


async def test_published_figures_are_less_the_buffer(api: Api) -> None:
    sku, channel = await api.stocked(10), fresh("market")
    await api.policies({"kind": "channel", "channel": channel, "locations": "*", "buffer": 4})
    ask = f"/v1/availability/{sku}?channel={channel}"
    assert (await api("GET", ask)).json["sellable"] == 10
    shown = (await api("GET", f"{ask}&published=true&by=location")).json
    assert (shown["sellable"], shown["published"]) == (6, True)
    assert shown["locations"][0]["sellable"] == 6
    body = {"channel": channel, "skus": [sku], "published": True}
    assert (await api("POST", "/v1/availability", body)).json["items"][0]["sellable"] == 6
    await api.facts(level(sku, 3, as_of=2))
    assert (await api("GET", f"{ask}&published=true")).json["sellable"] == 0
