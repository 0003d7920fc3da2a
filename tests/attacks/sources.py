"""Attacks by one source, or one key for facts, that states what another one owns.

In: an arena. Out: what was seen. Always: the attacker has an honest adapter's key or NATS user, no more.
"""

import asyncio
import hashlib
import subprocess
import sys
from typing import Any

import orjson
from nats.aio.client import Client

from tests.attacks.attack import Arena, Seen, attack
from tests.attacks.nats_boundary import ADAPTER_SUBJECT, try_request
from tests.attacks.stage import LOCATION, SKU, UNITS, Stage, level, stage


def key_of_source(found: Stage, name: str, source: str, operation: str = "facts") -> str:
    """A key as an adapter has it, made with the command line: for one source where keys can be bound to one."""
    command = [sys.executable, "-m", "holdfast", "keys", "add", name, "--data", str(found.store), "--json"]
    command += ["--operations", operation]
    written = b""
    for bound in (["--source", source], []):
        made = subprocess.run([*command, *bound], capture_output=True, check=False, timeout=30)
        if made.returncode == 0:
            return str(orjson.loads(made.stdout)["key"])
        written = made.stderr
    raise AssertionError(written.decode())


async def _taken(found: Stage, key: str, source: str, fact: dict[str, Any]) -> bool:
    answer = await found.facts(fact, source=source, key=key)
    return answer.status == 202 and answer.json["accepted"] > 0


@attack(
    done="a key for facts states levels of another source, takes a new location, and fixes another's kind of clock",
    right="a key is bound to its sources; others are 403",
)
async def key_for_another_source(arena: Arena) -> Seen:
    async with stage(arena) as found:
        key = await asyncio.to_thread(key_of_source, found, "erp", "erp")
        await found.until_works(key)
        broke = []
        if await _taken(found, key, "acme", level(SKU, 7, as_of=2)):
            broke.append("it stated a level of `acme`")
        places = {"kind": "location", "location": "new-store", "type": "store"}
        await found.ask("POST", "/v1/policies", {"facts": [places]})
        if await _taken(found, key, "shop", level(SKU, 7, "new-store")):
            broke.append("it took `new-store` as `shop`, and fixed its clock")
        if not await _taken(found, key, "erp", level("OWN", 7, "new-store")):
            broke.append("its own source was refused")
        return Seen(not broke, "; ".join(broke) or "403 for other sources, its own was taken")


@attack(
    done="a key for facts lifts oversell, caps and safety stock, and hands a location over",
    right="policies are a right of their own; a key for facts gets 403 that names it",
)
async def policies_with_a_key_for_facts(arena: Arena) -> Seen:
    async with stage(arena) as found:
        key = await asyncio.to_thread(key_of_source, found, "erp", "erp")
        await found.until_works(key)
        policies: list[dict[str, Any]] = [
            {"kind": "oversell", "policy": "unlimited"},
            {"kind": "restriction", "sku": SKU, "blocked": True, "reason": "x"},
            {"kind": "safety", "absolute": 1_000_000_000},
            {"kind": "cap", "channel": "web", "sku": SKU, "quantity": 0},
            {"kind": "ownership", "location": LOCATION, "source": "erp"},
            {"kind": "source.reset", "source": "acme"},
            {"kind": "channel", "channel": "web", "locations": []},
        ]
        broke = [fact["kind"] for fact in policies if await _taken(found, key, "erp", fact)]
        return Seen(not broke, f"taken: {', '.join(broke)}" if broke else "none was taken")


@attack(
    done="an adapter's NATS user sends policies on its own subject",
    right="policies come by the subject of policies alone, or through a gateway that checked the right",
    on_cluster=True,
)
async def policies_on_the_subject_of_a_source(arena: Arena) -> Seen:
    async with stage(arena) as found:
        adapter = await found.client("erp")
        facts = [
            {"kind": "oversell", "policy": "unlimited"},
            {"kind": "restriction", "sku": SKU, "blocked": True, "reason": "x"},
        ]
        await try_request(adapter, ADAPTER_SUBJECT, orjson.dumps({"facts": facts}))
        await asyncio.sleep(0.5)
        await adapter.close()
        now = (await found.ask("GET", f"/v1/availability/{SKU}?channel=web")).json
        held = now["sellable"] == UNITS and not now["unlimited"]
        return Seen(held, "none was taken" if held else f"taken: {now['sellable']:,} can be sold")


@attack(
    done="a message in IN, and a body over HTTP, that name an administrator in `by`",
    right="`by` is who was authenticated, nothing else",
    on_cluster=True,
)
async def another_name_in_by(arena: Arena) -> Seen:
    async with stage(arena) as found:
        adapter = await found.client("erp")
        plain: list[dict[str, Any]] = [{"kind": "location", "location": "evil", "type": "warehouse"}]
        plain.append(level("BY", 1, "evil"))
        named_in_facts = [fact | {"by": "admin"} for fact in plain]
        for body in ({"by": "admin", "facts": plain}, {"facts": plain, "by": "admin"}, {"facts": named_in_facts}):
            await try_request(adapter, ADAPTER_SUBJECT, orjson.dumps(body))
            await try_request(adapter, "hf.main.in.policy", orjson.dumps(body), 0.3)
            await found.ask("POST", "/v1/facts", {"source": "acme"} | body)
            await found.ask("POST", "/v1/policies", body)
        await asyncio.sleep(0.5)
        reader = await found.client("operator")
        last = (await found.state())["sequence"]
        named = 0
        for sequence in range(1, last + 1):
            message = await reader.jetstream().get_msg("HF_main_LOG", sequence)
            batch = orjson.loads(message.data or b"{}")
            named += sum(fact.get("by") == "admin" for fact in batch.get("facts", ()))
        await adapter.close()
        await reader.close()
        return Seen(named == 0, f"{named} facts in LOG name `admin`", f"{last} batches")


@attack(
    done="the message ids and idempotency keys that others will use, taken first: a source's, a gateway's, a letter's",
    right="nothing that is sent as docs/nats.md says, or by holdfast, is dropped, and none of it counts twice",
    on_cluster=True,
)
async def message_id_of_another(arena: Arena) -> Seen:
    async with stage(arena) as found:
        await found.facts({"kind": "location", "location": "shop", "type": "store"}, source="shop")
        evil, honest = await found.client("erp"), await found.client("shop")
        broke = [*await _source_beside(found, evil, honest), *await _gateway_beside(found, evil)]
        broke += await _letter_beside(found, evil)
        await evil.close()
        await honest.close()
        return Seen(not broke, "; ".join(broke) or "all were taken, once")


async def _take(evil: Client, name: str, body: bytes = b'{"facts":[]}') -> None:
    """What is sent under this id within two minutes is a duplicate for the stream."""
    answer = await evil.request(ADAPTER_SUBJECT, body, headers={"Nats-Msg-Id": name}, timeout=5)
    assert b'"seq"' in answer.data, answer.data


async def _reaches(found: Stage, sku: str, units: int) -> bool:
    for _ in range(50):
        if await found.sellable(sku) == units:
            return True
        await asyncio.sleep(0.1)
    return False


async def _source_beside(found: Stage, evil: Client, honest: Client) -> list[str]:
    """A source sends as docs/nats.md says: without a message id, its own key in the body, and once more."""
    place = {"location": "shop", "sku": "SHOP-1"}
    delta = {"kind": "stock.delta", **place, "quantity": 3, "reason": "found", "ref": "A", "as_of": 2}
    facts = [level("SHOP-1", 5, "shop"), delta]
    key = {"root": "47" * 16, "key": "47" * 16, "request": "11" * 16}
    body = orjson.dumps({"idempotency": key, "facts": facts})
    await _take(evil, "47" * 16, orjson.dumps({"idempotency": key, "facts": []}))
    for _ in range(2):
        await honest.request("hf.main.in.woo.shop", body, timeout=5)
    if not await _reaches(found, "SHOP-1", 8):
        return [f"a source: {await found.sellable('SHOP-1')} can be sold, not 8"]
    return []


async def _gateway_beside(found: Stage, evil: Client) -> list[str]:
    """A gateway sends what came over HTTP, under keys that the attacker knows."""
    for at in range(1, 6):
        for name in (f"order-{at}", f"{at:032x}"):
            await _take(evil, name)
        body = {"source": "acme", "facts": [level("HTTP", at, as_of=at)]}
        answer = await found.ask("POST", "/v1/facts", body, idempotency_key=f"order-{at}")
        if answer.status != 202 or await found.sellable("HTTP") != at:
            return [f"a gateway: {answer.status}, {await found.sellable('HTTP')} can be sold, not {at}"]
    return []


async def _letter_beside(found: Stage, evil: Client) -> list[str]:
    """A letter that is sent again has an id that follows from the letter: the attacker knows it."""
    late = level("LATE", 5, "late")
    await found.facts(late, level("LATE-2", 1), source="shop")
    letters: list[dict[str, Any]] = []
    for _ in range(50):
        letters = (await found.ask("GET", "/v1/dead-letters?reason=unknown-location")).json["items"]
        if letters:
            break
        await asyncio.sleep(0.1)
    [letter] = letters
    await found.facts({"kind": "location", "location": "late", "type": "store"}, source="shop")
    sent = b'{"facts":[' + letter["raw"].encode() + b'],"atomic":false}'
    name = f"{letter['in_sequence']}:{letter['index']}:{hashlib.sha256(sent).hexdigest()[:32]}"
    await _take(evil, f"letter:{name}")
    answer = await found.ask("POST", f"/v1/dead-letters/{letter['letter']}/retry")
    if answer.status not in {200, 503} or not await _reaches(found, "LATE", 5):  # 503: not known yet
        return [f"a letter: {answer.status} {answer.body!r}, {await found.sellable('LATE')} can be sold, not 5"]
    return []


@attack(
    done="one adapter fills IN",
    right="a quota for each source: the others' facts and every checkout go on",
)
async def incoming_filled_by_one(arena: Arena) -> Seen:
    mebibytes = arena.size(64, 16)
    async with stage(arena, changes=[f"log.in_bytes_max={mebibytes << 20}"]) as found:
        adapter = await found.client("erp")
        sent, size = 0, 500_000
        while size > 50:
            filler = orjson.dumps({"facts": [], "x": "x" * size})
            if b"error" in (await try_request(adapter, ADAPTER_SUBJECT, filler, 5.0) or b"error"):
                size //= 2
            sent += 1
        await adapter.close()
        answer = await found.facts(level("AFTER", 5))
        held = answer.status == 202
        what = "another source's facts are taken" if held else f"another source gets {answer.status} {answer.problem}"
        return Seen(held, what, f"{sent} messages, until none was taken any more")
