"""docs/http.md, case by case: reservations, on the whole product."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.served import Api, cart, fresh

FIELDS = {"id", "state", "channel", "owner", "order_ref", "expires_at", "lines", "version", "sequence"}


async def test_made_is_201_with_the_reservation(api: Api) -> None:
    sku = await api.stocked(5)
    answer = await api.reserve((sku, 2), reservation="cart-made")
    assert answer.status == 201
    found = answer.json
    assert found.keys() >= FIELDS
    assert (found["id"], found["state"], found["channel"]) == ("cart-made", "held", "web")
    assert (found["owner"], found["order_ref"], found["version"]) == (None, None, 1)
    units = {"open": 2, "fulfilled": 0, "cancelled": 0, "returned": 0, "unsourced": 0, "deficit": 0}
    allocations = [{"location": "W1", "quantity": 2}]
    assert found["lines"] == [{"sku": sku, "quantity": 2, **units, "allocations": allocations}]
    ends = datetime.fromisoformat(found["expires_at"])
    assert timedelta(seconds=590) < ends - datetime.now(UTC) < timedelta(seconds=610)
    assert int(answer.headers["holdfast-sequence"]) >= found["sequence"]
    assert await api.sellable(sku) == 3


async def test_the_same_body_answers_the_same(api: Api) -> None:
    sku = await api.stocked(5)
    made = await api.reserve((sku, 2), reservation="cart-same")
    again = await api("PUT", "/v1/reservations/cart-same", {**cart((sku, 2)), "partial": False, "owner": None})
    assert again.status == 200
    assert again.json["version"] == made.json["version"], "equal once defaults are filled in: nothing is renewed"
    assert await api.sellable(sku) == 3


async def test_another_body_replaces_a_held_one(api: Api) -> None:
    sku, other = await api.stocked(5), await api.stocked(5)
    cart_id = await api.held((sku, 5))
    answer = await api.reserve((sku, 3), (other, 1), reservation=cart_id)
    assert answer.status == 200
    assert [line["quantity"] for line in answer.json["lines"]] == [3, 1]
    assert (await api.sellable(sku), await api.sellable(other)) == (2, 4)
    back = await api.reserve((sku, 5), reservation=cart_id)
    assert back.status == 200, "the old lines are free for the new ones"


async def test_too_much_is_409_with_what_each_line_could_have(api: Api) -> None:
    sku, other = await api.stocked(3), await api.stocked(9)
    answer = await api.reserve((other, 1), (sku, 5))
    assert (answer.status, answer.problem) == (409, "insufficient-stock")
    assert answer.json["lines"] == [
        {"sku": other, "requested": 1, "sellable": 9, "ok": True},
        {"sku": sku, "requested": 5, "sellable": 3, "ok": False, "reason": "insufficient-stock"},
    ]
    assert await api.sellable(other) == 9, "all or nothing"


async def test_partial_holds_what_there_is(api: Api) -> None:
    sku, gone = await api.stocked(3), await api.stocked(0)
    answer = await api.reserve((sku, 5), partial=True)
    assert answer.status == 201
    assert [line["quantity"] for line in answer.json["lines"]] == [3]
    assert (await api.reserve((gone, 1), partial=True)).problem == "insufficient-stock"


async def test_an_unknown_sku_is_404(api: Api) -> None:
    answer = await api.reserve((fresh("unknown"), 1))
    assert (answer.status, answer.problem) == (404, "unknown-sku")


async def test_a_revision_orders_the_bodies(api: Api) -> None:
    sku = await api.stocked(9)
    cart_id = await api.held((sku, 1), revision=5)
    assert (await api.reserve((sku, 2), reservation=cart_id, revision=4)).problem == "stale-revision"
    assert (await api.reserve((sku, 2), reservation=cart_id, revision=5)).problem == "stale-revision"
    assert (await api.reserve((sku, 1), reservation=cart_id, revision=5)).status == 200
    assert (await api.reserve((sku, 2), reservation=cart_id, revision=6)).status == 200


async def test_superseding_releases_the_owners_other_holds(api: Api) -> None:
    sku = await api.stocked(5)
    old = await api.held((sku, 5), owner="anna@example.org")
    assert (await api.reserve((sku, 5), owner="anna@example.org")).problem == "insufficient-stock"
    new = await api.held((sku, 5), owner="anna@example.org", supersede=True)
    found = (await api("GET", f"/v1/reservations/{old}")).json
    assert (found["state"], found["superseded_by"]) == ("released", new)
    assert "anna" not in str(found), "an owner is told as a keyed hash"
    assert found["owner"]
    refused = await api.reserve((sku, 1), supersede=True)
    assert (refused.status, refused.problem) == (422, "invalid")


async def test_reading_names_what_it_reflects(api: Api) -> None:
    sku = await api.stocked(5)
    cart_id = await api.held((sku, 2))
    answer = await api("GET", f"/v1/reservations/{cart_id}")
    assert answer.status == 200
    assert answer.json.keys() >= FIELDS
    assert answer.json["as_of"]["mode"] == "live"
    assert answer.json["as_of"]["sequence"] >= answer.json["sequence"]
    lost = await api("GET", f"/v1/reservations/{fresh('nobody')}")
    assert (lost.status, lost.problem) == (404, "unknown-reservation")


async def test_ids_are_compared_byte_by_byte(api: Api) -> None:
    sku = await api.stocked(5)
    for cart_id in ("Byte", "byte", "b%2Fyte", "byte%20", "%C3%A9", "e%CC%81"):
        assert (await api("PUT", f"/v1/reservations/{cart_id}", cart((sku, 1)))).status in {201, 409}
    assert await api.sellable(sku) == 0
    assert (await api("GET", "/v1/reservations/b%2Fyte")).json["id"] == "b/yte"


async def test_confirming_twice_is_once(api: Api) -> None:
    sku = await api.stocked(5)
    cart_id = await api.held((sku, 2))
    confirm = f"/v1/reservations/{cart_id}/confirm"
    assert (await api("POST", confirm)).json["order_ref"] is None
    named = await api("POST", confirm, {"order_ref": "order-1"})
    assert (named.status, named.json["order_ref"], named.json["state"]) == (200, "order-1", "committed")
    assert (await api("POST", confirm, {"order_ref": "order-1"})).status == 200
    assert (await api("POST", confirm)).status == 200
    other = await api("POST", confirm, {"order_ref": "order-2"})
    assert (other.status, other.problem) == (409, "reservation-closed")
    assert await api.sellable(sku) == 3


async def test_a_late_confirm_takes_the_stock_again_or_says_oversold(api: Api) -> None:
    sku = await api.stocked(2)
    late = await api.held((sku, 2))
    assert (await api("POST", f"/v1/reservations/{late}/release")).json["state"] == "released"
    other = await api.held((sku, 2))
    answer = await api("POST", f"/v1/reservations/{late}/confirm", {"order_ref": fresh("order")})
    assert (answer.status, answer.problem) == (409, "oversold")
    assert answer.json["lines"][0]["sellable"] == 0
    assert (await api("GET", f"/v1/reservations/{late}")).json["state"] == "oversold"
    await api("POST", f"/v1/reservations/{other}/release")
    again = await api("POST", f"/v1/reservations/{late}/confirm")
    assert (again.status, again.json["state"]) == (200, "committed"), "it may be tried again"


async def test_a_hold_expires_and_may_still_be_confirmed(api: Api) -> None:
    sku = await api.stocked(2)
    cart_id = await api.held((sku, 2), ttl_ms=200)
    assert await api.sellable(sku) == 0
    for _ in range(60):
        await asyncio.sleep(0.05)
        if (await api("GET", f"/v1/reservations/{cart_id}")).json["state"] == "expired":
            break
    assert await api.sellable(sku) == 2
    assert (await api("POST", f"/v1/reservations/{cart_id}/release")).status == 200
    assert (await api("POST", f"/v1/reservations/{cart_id}/confirm")).json["state"] == "committed"


async def test_release_cancel_and_who_is_closed_to_them(api: Api) -> None:
    sku = await api.stocked(6)
    cart_id = await api.held((sku, 2))
    for _ in range(2):
        assert (await api("POST", f"/v1/reservations/{cart_id}/release")).status == 200
    closed = await api.reserve((sku, 1), reservation=cart_id)
    assert (closed.status, closed.problem) == (409, "reservation-closed")
    confirmed = await api.held((sku, 2))
    await api("POST", f"/v1/reservations/{confirmed}/confirm")
    assert (await api("POST", f"/v1/reservations/{confirmed}/release")).problem == "reservation-closed"
    for _ in range(2):
        answer = await api("POST", f"/v1/reservations/{confirmed}/cancel")
        assert (answer.status, answer.json["state"]) == (200, "cancelled")
    assert (await api("POST", f"/v1/reservations/{confirmed}/confirm")).problem == "reservation-closed"
    assert await api.sellable(sku) == 6


async def test_extending_is_bounded(api: Api) -> None:
    sku = await api.stocked(2)
    cart_id = await api.held((sku, 1), ttl_ms=60_000)
    extend = f"/v1/reservations/{cart_id}/extend"
    first = await api("POST", extend, {"ttl_ms": 3_600_000})
    assert first.status == 200
    assert datetime.fromisoformat(first.json["expires_at"]) - datetime.now(UTC) > timedelta(minutes=59)
    statuses = [(await api("POST", extend, {"ttl_ms": 60_000})).status for _ in range(6)]
    assert statuses == [200, 200, 200, 200, 409, 409], "five renewals"
    assert (await api("POST", extend, {"ttl_ms": 60_000})).problem == "renewals-exhausted"
    assert (await api.reserve((sku, 2), reservation=cart_id)).problem == "renewals-exhausted"
    assert (await api("POST", f"/v1/reservations/{cart_id}/release")).status == 200
    assert (await api("POST", extend, {"ttl_ms": 60_000})).problem == "reservation-closed"


async def test_fulfilling_in_parts(api: Api) -> None:
    sku = await api.stocked(5)
    cart_id = await api.held((sku, 3))
    fulfil = f"/v1/reservations/{cart_id}/fulfil"
    part = {"lines": [{"sku": sku, "quantity": 2}]}
    assert (await api("POST", fulfil, part)).problem == "reservation-closed", "only what is confirmed"
    await api("POST", f"/v1/reservations/{cart_id}/confirm")
    assert (await api("POST", fulfil, part)).json["state"] == "committed"
    assert (await api("POST", fulfil, part)).problem == "invalid", "more than is left"
    rest = {"lines": [{"sku": sku, "quantity": 1, "location": "W1"}]}
    assert (await api("POST", fulfil, rest)).json["state"] == "fulfilled"
    assert await api.sellable(sku) == 2


async def test_a_named_location_is_where_it_is_held(api: Api) -> None:
    sku = await api.stocked(5)
    await api.stocked(1, location="W2", sku=sku)
    line = {"sku": sku, "quantity": 1, "location": "W2"}
    answer = await api("PUT", f"/v1/reservations/{fresh('cart')}", {**cart(), "lines": [line]})
    assert answer.json["lines"][0]["allocations"] == [{"location": "W2", "quantity": 1}]
    unknown = await api("PUT", f"/v1/reservations/{fresh('cart')}", {**cart(), "lines": [{**line, "location": "W9"}]})
    assert (unknown.status, unknown.problem) == (422, "invalid")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"lines": []}, "lines"),
        ({"ttl_ms": 0}, "ttl_ms"),
        ({"ttl_ms": 14_400_001}, "ttl_ms"),
        ({"ttl_ms": 3.0}, "ttl_ms"),
        ({"channel": ""}, "channel"),
        ({"channel": "x" * 129}, "channel"),
        ({"channel": "a\nb"}, "channel"),
        ({"colour": "red"}, "colour"),
        ({"lines": [{"sku": "A", "quantity": 0}]}, "lines[0].quantity"),
        ({"lines": [{"sku": "A", "quantity": 10**9 + 1}]}, "lines[0].quantity"),
        ({"lines": [{"sku": "A", "quantity": "1"}]}, "lines[0].quantity"),
        ({"lines": [{"sku": "A", "quantity": 1, "size": 3}]}, "lines[0].size"),
        ({"lines": [{"sku": "A"}]}, "lines[0].quantity"),
        ({"lines": [{"sku": "A", "quantity": 1}] * 2_001}, "lines"),
    ],
)
async def test_what_is_out_of_bounds_is_422_by_field(api: Api, change: dict[str, object], path: str) -> None:
    answer = await api("PUT", f"/v1/reservations/{fresh('cart')}", {**cart(("A", 1)), **change})
    assert (answer.status, answer.problem) == (422, "invalid")
    assert path in [error["path"] for error in answer.json["errors"]]
    assert all(error["reason"] for error in answer.json["errors"])


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"channel":"web",}'])
async def test_what_is_no_json_is_400(api: Api, body: bytes) -> None:
    answer = await api("PUT", f"/v1/reservations/{fresh('cart')}", body)
    assert (answer.status, answer.problem) == (400, "malformed-json")


@pytest.mark.parametrize("reservation", ["x" * 129, "a%0Ab", "%7F"])
async def test_an_id_has_bounds_too(api: Api, reservation: str) -> None:
    for method, suffix, body in (("PUT", "", cart(("A", 1))), ("GET", "", None), ("POST", "/confirm", None)):
        answer = await api(method, f"/v1/reservations/{reservation}{suffix}", body)
        assert (answer.status, answer.problem) == (422, "invalid"), (method, answer.body)


@pytest.mark.parametrize("verb", ["confirm", "release", "cancel", "extend", "fulfil"])
async def test_a_verb_on_nothing_is_404(api: Api, verb: str) -> None:
    bodies = {"extend": {"ttl_ms": 1_000}, "fulfil": {"lines": [{"sku": "A", "quantity": 1}]}}
    answer = await api("POST", f"/v1/reservations/{fresh('nobody')}/{verb}", bodies.get(verb))
    assert (answer.status, answer.problem) == (404, "unknown-reservation")


async def test_a_batch_is_answered_in_order_and_later_ones_see_earlier_ones(api: Api) -> None:
    sku = await api.stocked(3)
    ids = [fresh("batched") for _ in range(4)]
    requests = [{"id": name, **cart((sku, 2 if number < 2 else 1))} for number, name in enumerate(ids)]
    requests.append({"id": ids[0], **cart((sku, 2))})
    requests.append({"id": fresh("bad"), "channel": "web", "ttl_ms": 0, "lines": []})
    answer = await api("POST", "/v1/reservations:batch", {"requests": requests})
    assert answer.status == 200
    results = answer.json["results"]
    assert [result["status"] for result in results] == [201, 409, 201, 409, 200, 422]
    assert [result["id"] for result in results[:4]] == ids
    assert results[0]["reservation"]["state"] == "held"
    assert results[1]["problem"]["type"] == "urn:holdfast:problem:insufficient-stock"
    assert await api.sellable(sku) == 0


@pytest.mark.parametrize("requests", [[], [{"id": "x"}] * 501, "none"])
async def test_a_batch_has_bounds(api: Api, requests: object) -> None:
    answer = await api("POST", "/v1/reservations:batch", {"requests": requests})
    assert (answer.status, answer.problem) == (422, "invalid")


async def test_five_hundred_at_once(api: Api) -> None:
    sku = await api.stocked(400)
    requests = [{"id": fresh("many"), **cart((sku, 1))} for _ in range(500)]
    results = (await api("POST", "/v1/reservations:batch", {"requests": requests})).json["results"]
    assert [result["status"] for result in results] == [201] * 400 + [409] * 100
