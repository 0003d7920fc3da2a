"""Who sends in whose name: a key has sources, perhaps locations, and sets rules only where it may."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.gateway.incoming import check_rights
from holdfast.gateway.keyring import Key, Keyring, KeyStore, Operation
from holdfast.gateway.refusals import Refusal
from tests.support.gateway import Response
from tests.support.served import Api, level, places, serving

RULES: dict[str, dict[str, Any]] = {
    "channel": {"channel": "web", "locations": "*"},
    "allocation": {"channel": "web", "sku": "S", "quantity": 1},
    "cap": {"channel": "web", "sku": "S", "quantity": 1},
    "safety": {"sku": "S", "absolute": 1},
    "oversell": {"policy": "unlimited"},
    "freshness": {"source": "acme", "stale_after_ms": 1, "action": "serve"},
    "restriction": {"sku": "S", "blocked": True, "reason": "x"},
    "source.reset": {"source": "acme"},
    "ownership": {"location": "W1", "source": "intruder"},
}


@dataclass
class Keys:
    store: KeyStore
    port: int

    def api(self, name: str, *operations: Operation, **bounds: Any) -> Api:
        return Api(self.port, self.store.add(name, list(operations), **bounds)[1])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    directory = tmp_path_factory.mktemp("speaks")
    (directory / "store").mkdir(mode=0o700)
    store = KeyStore(directory / "store")
    store.add("first", [Operation.READ])
    with serving(directory, auth="on") as served:
        yield Keys(store, served.port)


async def send(api: Api, *facts: dict[str, Any], source: str = "acme", **fields: Any) -> Response:
    return await api("POST", "/v1/facts", {"source": source, "facts": facts, **fields})


async def test_a_key_speaks_for_its_sources_alone(keys: Keys) -> None:
    admin = keys.api("admin", *Operation)
    await admin.policies(*places("W1"))
    acme = keys.api("acme", Operation.FACTS, sources=["acme", "acme-eu"])
    for source in ("acme", "acme-eu"):
        answer = await send(acme, {**level("S", 5), "location": "W1"}, source=source)
        assert answer.status in {202, 422}, "202 from the owner of the location, 422 `foreign-clock` from the other"
    seized = await send(acme, level("S", 0), source="wms")
    assert (seized.status, seized.problem, seized.json["source"]) == (403, "forbidden", "wms")
    assert "`" in seized.json["detail"]
    tried = await acme("POST", "/v1/facts?dry_run=true", {"source": "wms", "facts": [level("S", 0)]})
    assert tried.status == 403


@pytest.mark.parametrize("kind", sorted(RULES))
async def test_a_key_without_policies_sets_no_rule(keys: Keys, kind: str) -> None:
    name = f"plain-{kind}"
    plain = keys.api(name, Operation.FACTS, sources=["acme"])
    for facts in ([{"kind": kind, **RULES[kind]}], [level("S", 1), {**RULES[kind], "kind": kind}]):
        answer = await send(plain, *facts)
        assert (answer.status, answer.problem, answer.json["operation"]) == (403, "forbidden", "policies")
        assert f"facts[{len(facts) - 1}]" in answer.json["detail"]


async def test_master_data_are_an_erps_own(keys: Keys) -> None:
    erp = keys.api("master", Operation.FACTS, sources=["acme"])
    await erp.facts(*places("W9"), {"kind": "item", "sku": "S", "base_unit": "each"})


async def test_a_key_of_a_store_speaks_of_that_store_alone(keys: Keys) -> None:
    admin = keys.api("admin-of-stores", *Operation)
    await admin.policies(*places("store-7", "store-8"))
    store = keys.api("store-7", Operation.FACTS, sources=["pos"], locations=["store-7"])
    assert (await send(store, level("S", 3, "store-7"), source="pos")).status == 202
    other = await send(store, level("S", 3, "store-7"), level("S", 3, "store-8"), source="pos")
    assert (other.status, other.json["location"]) == (403, "store-8")
    whole = await send(store, {"kind": "order.ack", "order_ref": "o", "as_of": 1}, source="pos")
    assert whole.status == 403
    item = await send(store, {"kind": "item", "sku": "S", "base_unit": "each"}, source="pos")
    assert item.status == 403


async def test_what_a_key_may_changes_without_a_new_secret(keys: Keys) -> None:
    old = keys.api("old-erp", Operation.FACTS)
    assert (await send(old, {"kind": "location", "location": "W1"}, source="any")).status == 202
    keys.store.change("old-erp", {"sources": ["acme"]})
    deadline = time.monotonic() + 2
    while (await send(old, {"kind": "location", "location": "W1"}, source="any")).status != 403:
        assert time.monotonic() < deadline
    assert (await send(old, {"kind": "location", "location": "W1"})).status == 202


async def test_a_body_does_not_say_who_sent_it(keys: Keys) -> None:
    erp = keys.api("by", Operation.FACTS, sources=["acme"])
    around = await send(erp, {"kind": "location", "location": "W1"}, by="admin")
    assert around.status == 422
    within = await send(erp, {"kind": "location", "location": "W1", "by": "admin"})
    assert (within.status, within.json["errors"][0]["path"]) == (422, "facts[0]")


@given(
    own=st.sets(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=3),
    source=st.sampled_from(["a", "b", "c", "d"]),
    facts=st.lists(st.sampled_from([*RULES, "item", "stock.level"]), min_size=1, max_size=4),
    policies=st.booleans(),
)
def test_a_body_passes_only_where_all_of_it_is_within_the_rights(
    own: set[str], source: str, facts: list[str], policies: bool
) -> None:
    operations = frozenset({Operation.FACTS, Operation.POLICIES} if policies else {Operation.FACTS})
    key = Key("k", operations, None, sources=frozenset(own))
    message = orjson.dumps({"facts": [{"kind": kind, **RULES.get(kind, {})} for kind in facts]})
    within = source in own and (policies or not set(facts) & set(RULES))
    if within:
        check_rights(source, [message], key, policies=policies)
    else:
        with pytest.raises(Refusal, match="forbidden"):
            check_rights(source, [message], key, policies=policies)


def test_a_key_file_of_before_is_read_as_it_was(tmp_path: Path) -> None:
    _, token = KeyStore(tmp_path).add("erp", [Operation.FACTS])
    assert b"sources" not in (tmp_path / "keys.json").read_bytes(), "what is not bound is not written"
    keyring = Keyring(tmp_path)
    keyring.reload()
    found = keyring.find(token)
    assert found is not None
    assert found.sources is None
    assert keyring.of_any_source() == [found.id]
