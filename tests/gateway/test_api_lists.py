"""docs/http.md, "Reading back", on the whole product: every list, its pages, its filters, what a key sees."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.gateway.keyring import KeyStore, Operation
from tests.support.served import Api, Served, fresh, level, places, serving

LISTS = ("skus", "locations", "channels", "policies", "supplies", "demands", "reservations", "anomalies", "sources")


async def everything(api: Api, name: str, limit: int = 1_000, **filters: str) -> list[Any]:
    """All pages of a list, one after the other."""
    found: list[Any] = []
    after = None
    while True:
        given = {"limit": str(limit), **filters, **({} if after is None else {"after": after})}
        query = "&".join(f"{key}={value}" for key, value in given.items())
        answer = await api("GET", f"/v1/{name}?{query}")
        assert answer.status == 200, answer.body
        assert answer.json["as_of"].keys() == {"sequence", "age_ms", "mode"}
        assert len(answer.json["items"]) <= limit
        found += answer.json["items"]
        after = answer.json["next"]
        if after is None:
            return found


async def furnished(api: Api) -> str:
    """A SKU with something in every list; its name."""
    sku = await api.stocked(20)
    await api.facts(
        {"kind": "supply", "ref": sku, "line": 1, "sku": sku, "location": "W2", "quantity": 5, "due": "2031-01-01"},
        {"kind": "demand", "ref": sku, "line": 1, "sku": sku, "quantity": 2, "class": "b2b", "as_of": 1},
        level(sku, 20),
    )
    await api.policies(
        {"kind": "item", "sku": sku, "base_unit": "each", "units": {"case": 6}, "aliases": [f"{sku}-ean"]},
        {"kind": "safety", "sku": sku, "absolute": 3},
        {"kind": "cap", "channel": "web", "sku": sku, "quantity": 9},
        {"kind": "restriction", "channel": "pos", "sku": sku, "blocked": True, "reason": "new"},
    )
    return sku


@pytest.mark.parametrize("name", LISTS)
async def test_any_limit_gives_the_same_list(api: Api, name: str) -> None:
    sku = await furnished(api)
    for _ in range(3):
        await api.held((sku, 1))
    whole = await everything(api, name)
    assert whole
    for limit in (1, 2, 5):
        assert await everything(api, name, limit) == whole


async def test_the_lists_show_what_was_stated(api: Api) -> None:
    sku = await furnished(api)
    entry = next(one for one in await everything(api, "skus") if one["sku"] == sku)
    assert (entry["declared"], entry["kit"], entry["aliases"]) == (True, False, [f"{sku}-ean"])
    assert (entry["on_hand"], entry["at_hand"]) == (20, 17)
    [supply] = await everything(api, "supplies", sku=sku)
    assert (supply["ref"], supply["quantity"], supply["due"], supply["status"]) == (sku, 5, "2031-01-01", "open")
    assert await everything(api, "supplies", sku=sku, status="received") == []
    assert await everything(api, "supplies", sku=sku, location="W1") == []
    [demand] = await everything(api, "demands", sku=sku)
    assert (demand["class"], demand["quantity"], demand["open"]) == ("b2b", 2, 2)
    rules = await everything(api, "policies", sku=sku)
    assert [rule["kind"] for rule in rules if rule["sku"] == sku] == ["cap", "restriction", "safety"]
    assert [rule["quantity"] for rule in await everything(api, "policies", sku=sku, kind="cap")] == [9]
    locations = {one["location"]: one for one in await everything(api, "locations")}
    assert locations["W1"]["owner"] == "acme"
    sources = {one["source"]: one for one in await everything(api, "sources")}
    assert "W1" in sources["acme"]["locations"]


async def test_a_source_shows_how_old_its_newest_fact_is(api: Api) -> None:
    sku, source, place = fresh("sku"), fresh("wms"), fresh("place")
    await api.policies(*places(place))
    moment = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    await api.facts(level(sku, 1, place, as_of=moment), source=source)
    found = {one["source"]: one for one in await everything(api, "sources")}[source]
    assert (found["clock"], found["locations"]) == ("time", [place])
    assert datetime.fromisoformat(found["last_as_of"]) == datetime.fromisoformat(moment)
    assert 600_000 <= found["age_ms"] < 660_000


async def test_a_reservation_moves_with_the_day_of_its_supply(api: Api) -> None:
    sku, channel, ref = await api.stocked(0), fresh("preorder"), fresh("po")
    await api.policies({"kind": "channel", "channel": channel, "locations": "*", "supply_horizon_days": 300})
    today = datetime.now(UTC).date()

    async def due(days: int) -> None:
        day = (today + timedelta(days=days)).isoformat()
        fields = {"sku": sku, "location": "W1", "quantity": 2, "due": day}
        await api.facts({"kind": "supply", "ref": ref, "line": 1, **fields})

    await due(20)
    held = await api.held((sku, 2), channel=channel)
    before = (await api("GET", f"/v1/reservations/{held}")).json
    await due(56)
    after = (await api("GET", f"/v1/reservations/{held}")).json
    assert after["lines"][0]["allocations"][0]["due"] != before["lines"][0]["allocations"][0]["due"]
    assert after["version"] == before["version"] + 1
    assert after["sequence"] > before["sequence"]


async def test_a_sku_is_read_by_its_alias_with_its_levels_and_rules(api: Api) -> None:
    sku = await furnished(api)
    await api.held((sku, 2))
    answer = await api("GET", f"/v1/skus/{sku}-ean")
    assert answer.status == 200, answer.body
    found = answer.json
    assert found["sku"] == sku
    assert found["item"]["units"] == {"case": 6}
    [cell] = [one for one in found["levels"] if one["location"] == "W1"]
    assert (cell["owner"], cell["source"], cell["as_of"], cell["basis"]) == ("acme", "acme", 1, "net")
    assert (cell["on_hand"], cell["held"], cell["safety"], cell["at_hand"]) == (20, 2, 3, 15)
    assert cell["sequence"] <= cell["owed_sequence"] <= found["as_of"]["sequence"]
    assert [rule["kind"] for rule in found["rules"] if rule["sku"] == sku] == ["cap", "restriction", "safety"]
    assert found["more_rules"] is False
    unknown = await api("GET", f"/v1/skus/{fresh('unknown')}")
    assert (unknown.status, unknown.problem) == (404, "unknown-sku")


async def test_a_listed_reservation_is_the_one_that_get_answers(api: Api) -> None:
    sku = await api.stocked(20)
    held = await api.held((sku, 2), owner="ben of lists")
    order = await api.held((sku, 1))
    await api("POST", f"/v1/reservations/{order}/confirm", {"order_ref": f"order-{order}"})
    listed = await everything(api, "reservations", sku=sku)
    assert {one["id"] for one in listed} == {held, order}
    for one in listed:
        single = (await api("GET", f"/v1/reservations/{one['id']}")).json
        for each in (one, single):
            each.pop("as_of", None)
            each.pop("expires_at")  # it goes on with the lead clock
        assert one == single
    assert [one["id"] for one in await everything(api, "reservations", order_ref=f"order-{order}")] == [order]
    assert [one["id"] for one in await everything(api, "reservations", owner="ben+of+lists")] == [held]
    assert [one["id"] for one in await everything(api, "reservations", sku=sku, state="held")] == [held]
    assert await everything(api, "reservations", sku=sku, channel="pos") == []


async def test_what_a_list_is_not_asked_is_refused(api: Api) -> None:
    for query in (
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=",
        "after=x",
        "colour=red",
        "limit=1&limit=2",
    ):
        answer = await api("GET", f"/v1/skus?{query}")
        assert (answer.status, answer.problem) == (422, "invalid"), query
    for query, problem in (
        ("sku=nothing-of-that-name", "unknown-sku"),
        ("channel=nothing-of-that-name", "unknown-channel"),
        ("state=open", "invalid"),
    ):
        assert (await api("GET", f"/v1/reservations?{query}")).problem == problem
    assert (await api("GET", "/v1/policies?kind=tax")).problem == "invalid"


async def test_pages_over_changing_data_miss_none_that_stood_all_the_time(api: Api) -> None:
    sku = await api.stocked(100)
    stays = [await api.held((sku, 1)) for _ in range(6)]
    goes = [await api.held((sku, 1)) for _ in range(6)]
    seen: list[str] = []
    after = ""
    while after is not None:
        query = f"sku={sku}&state=held&limit=2" + (f"&after={after}" if after else "")
        page = (await api("GET", f"/v1/reservations?{query}")).json
        seen += [one["id"] for one in page["items"]]
        after = page["next"]
        if goes:
            await api("POST", f"/v1/reservations/{goes.pop()}/release")
        await api.held((sku, 1))
        if len(seen) > 60:
            break
    assert set(stays) <= set(seen)
    assert len(seen) == len(set(seen))


async def test_deficits_are_listed_on_the_reservation_and_in_explain(api: Api) -> None:
    sku = await api.stocked(8)
    order = await api.held((sku, 5))
    await api("POST", f"/v1/reservations/{order}/confirm", {"order_ref": f"order-{order}"})
    held = await api.held((sku, 2))
    await api.facts(level(sku, 3, as_of=2))
    listed = await everything(api, "deficits", sku=sku)
    assert [(one["reservation"], one["state"]) for one in listed] == [(order, "committed"), (held, "held")]
    assert [one["units"] for one in listed] == [
        [{"sku": sku, "line": sku, "location": "W1", "quantity": units}] for units in (2, 2)
    ]
    for reservation in (order, held):
        [line] = (await api("GET", f"/v1/reservations/{reservation}")).json["lines"]
        assert (line["deficit"], line["open"]) == (2, line["quantity"])
    [explained] = (await api("GET", f"/v1/availability/{sku}/explain?channel=web")).json["deficits"]
    assert (explained["reservation"], explained["quantity"], explained["location"]) == (order, 2, "W1")
    await api.facts(level(sku, 7, as_of=3))
    assert await everything(api, "deficits", sku=sku) == []


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory: Path = tmp_path_factory.mktemp("locked")
    (directory / "store").mkdir()
    store = KeyStore(directory / "store")
    _, all_of_it = store.add("all", [Operation.READ, Operation.RESERVE, Operation.FACTS, Operation.POLICIES])
    _, pos_only = store.add("pos", [Operation.READ], ["pos"])
    _, no_reading = store.add("none", [Operation.RESERVE])
    with serving(directory, auth="on") as served:
        yield served, all_of_it, pos_only, no_reading


async def test_a_key_sees_its_own_channels(locked: tuple[Served, str, str, str]) -> None:
    served, all_of_it, pos_only, no_reading = locked
    api, pos, none = (Api(served.port, key) for key in (all_of_it, pos_only, no_reading))
    channels = [{"kind": "channel", "channel": name, "locations": "*"} for name in ("web", "pos")]
    await api.policies(*places("W1", "W2"), *channels)
    sku = await furnished(api)
    await api.policies({"kind": "restriction", "channel": "pos", "sku": sku, "blocked": False})
    await api.facts(level(sku, 50, as_of=2))
    await api.held((sku, 1))
    mine = await api.held((sku, 1), channel="pos")
    assert [one["id"] for one in await everything(pos, "reservations")] == [mine]
    assert [one["channel"] for one in await everything(pos, "channels")] == ["pos"]
    assert {one.get("channel") for one in await everything(pos, "policies")} <= {None, "pos"}
    assert await everything(pos, "demands") == []
    assert [one["sku"] for one in await everything(pos, "skus")] == [sku]
    rules = (await pos("GET", f"/v1/skus/{sku}")).json["rules"]
    assert rules
    assert all(rule.get("channel") in {None, "pos"} for rule in rules)
    taken = {"kind": "allocation", "channel": "web", "sku": sku, "quantity": 4}
    await api.policies(taken)
    for who, names in ((api, True), (pos, False)):
        terms = (await who("GET", f"/v1/availability/{sku}/explain?channel=pos")).json["terms"]
        claims = [term for term in terms if term["name"] == "kept_for_others"]
        assert claims
        assert any(term.get("channel") == "web" for term in claims) is names
        assert any("document" in term for term in claims) is names
    other = await pos("GET", "/v1/reservations?channel=web")
    assert (other.status, other.problem) == (403, "forbidden")
    for name in (*LISTS, f"skus/{sku}"):
        refused = await none("GET", f"/v1/{name}")
        assert (refused.status, refused.problem) == (403, "forbidden")
