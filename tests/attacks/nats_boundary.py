"""Attacks on the order itself: what one who is no gateway may write into LOG, and what a stolen user gives.

In: an arena. Out: what was seen. Always: judged by what a retailer has afterwards: the same stock, the same leader,
and checkouts that are answered at once.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from holdfast.storage.chain import chain_hash
from tests.attacks.attack import Arena, Seen, attack
from tests.attacks.stage import LOCATION, SKU, Stage, cart, level, stage

LOG, IN, LOG_SUBJECT = "HF_main_LOG", "HF_main_IN", "hf.main.log"
ADAPTER_SUBJECT = "hf.main.in.erp.erp"
FORGED_UNITS = 77_777_777
# An idle gateway answers within milliseconds, and a lease that was lost costs seconds. A machine that does other things
# too is slower, and no attack is to be seen in that.
ANSWERED_S, PATIENCE_S = 2.5, 15.0


@dataclass
class Standing:
    """What must be the same afterwards."""

    found: Stage
    sellable: int = 0
    epoch: int = 0
    sold: int = 0
    worst_s: float = 0.0
    refused: list[str] = field(default_factory=list)

    @classmethod
    async def of(cls, found: Stage) -> "Standing":
        """Before the attack, once the gateway answers."""
        until = time.monotonic() + PATIENCE_S
        while (sellable := await found.sellable()) is None and time.monotonic() < until:  # noqa: ASYNC110 - another process gets ready
            await asyncio.sleep(0.05)
        return cls(found, sellable or 0, (await found.state())["epoch"])

    async def shop(self, count: int = 5) -> None:
        """Checkouts, one after the other."""
        for _ in range(count):
            began = time.monotonic()
            name = f"/v1/reservations/after-{time.monotonic_ns()}"
            answer = await self.found.ask("PUT", name, cart())
            while answer.status == 503 and time.monotonic() - began < PATIENCE_S:  # the same again, as clients do
                await asyncio.sleep(0.1)
                answer = await self.found.ask("PUT", name, cart())
            self.worst_s = max(self.worst_s, time.monotonic() - began)
            if answer.status in {200, 201}:
                self.sold += 1
            else:
                self.refused.append(f"a checkout was answered {answer.status} {answer.problem}")

    async def judged(self, terms_max: int = 0) -> Seen:
        """After it. `terms_max`: new terms that it may have cost."""
        broke = list(dict.fromkeys(self.refused))
        state = await self.found.state()
        until = time.monotonic() + PATIENCE_S
        # The process that answers may be one that follows, and some batches behind.
        while (now := await self.found.sellable()) != self.sellable - self.sold and time.monotonic() < until:  # noqa: ASYNC110 - another process applies it
            await asyncio.sleep(0.1)
        if now is None:
            broke.append("nobody answers how many can be sold")
        elif now != self.sellable - self.sold:
            broke.append(f"{now:,} can be sold, not {self.sellable - self.sold:,}")
        if not self.epoch <= (state.get("epoch") or 0) <= self.epoch + terms_max:
            broke.append(f"term {self.epoch} became {state.get('epoch')}")
        if state.get("quarantine"):
            broke.append(f"quarantine: {sorted(state['quarantine'])}")
        if self.worst_s > ANSWERED_S:
            broke.append(f"a checkout took {self.worst_s:.1f} s")
        figure = f"checkout at most {self.worst_s * 1000:.0f} ms"
        return Seen(not broke, "; ".join(broke) or "the same stock, the same leader", figure)


async def newest_batch(found: Stage) -> bytes:
    """LOG's newest message, as one who may read it sees it."""
    reader = await found.client("operator")
    try:
        message = await reader.jetstream().get_last_msg(LOG, LOG_SUBJECT)
        return message.data or b""
    finally:
        await reader.close()


def forged(newest: bytes, **changes: Any) -> bytes:
    """The batch that would follow, with stock that nobody counted: what a reader of LOG can compute."""
    batch: dict[str, Any] = orjson.loads(newest)
    kept = ("version", "scope", "kind", "epoch", "node", "batch", "previous", "in_upto", "now_ms", "lead_ms")
    body = {name: batch[name] for name in kept}  # in the order in which a leader writes them
    body |= {"kind": "facts", "batch": batch["batch"] + 1, "previous": chain_hash(newest)}
    fact = level(SKU, FORGED_UNITS, as_of=1_000_000)
    body["facts"] = [{"kind": fact.pop("kind"), "source": "acme", **fact}]
    return orjson.dumps(body | changes)


async def try_request(client: Client, subject: str, body: bytes, timeout_s: float = 1.0) -> bytes:
    """An answer, or nothing: a server that forbids it does not answer."""
    with contextlib.suppress(NatsError, TimeoutError):
        return (await client.request(subject, body, timeout=timeout_s)).data
    return b""


@attack(
    done="a batch forged in IN, delivered to LOG's subject by a consumer on IN",
    right="nobody but a gateway appends to LOG; a batch without its MAC is void",
    on_cluster=True,
)
async def forged_batch_by_a_consumer(arena: Arena) -> Seen:
    async with stage(arena) as found:
        standing = await Standing.of(found)
        adapter, maker = await found.client("erp"), await found.client("operator")
        consumer = {"name": "evil", "deliver_subject": LOG_SUBJECT, "deliver_policy": "new", "ack_policy": "none"}
        wanted = orjson.dumps({"stream_name": IN, "config": consumer})
        await try_request(maker, f"$JS.API.CONSUMER.CREATE.{IN}.evil", wanted)
        # The server delivers the message to LOG before the leader, which gets it too, has appended anything.
        for _ in range(arena.size(20, 3)):
            await try_request(adapter, ADAPTER_SUBJECT, forged(await newest_batch(found)))
            await asyncio.sleep(0.2)
        await standing.shop()
        await adapter.close()
        await maker.close()
        return await standing.judged()


@attack(
    done="a publisher of facts names LOG's subject as where to acknowledge",
    right="acknowledgements cannot reach LOG; what lies there without a MAC costs one hash, never a rebuild",
    on_cluster=True,
)
async def acknowledgement_into_log(arena: Arena) -> Seen:
    async with stage(arena) as found:
        standing = await Standing.of(found)
        adapter = await found.client("erp")
        for _ in range(arena.size(1_000, 20)):
            with contextlib.suppress(NatsError):
                await adapter.publish(ADAPTER_SUBJECT, b'{"facts":[]}', reply=LOG_SUBJECT)
                await adapter.flush()
            await standing.shop(1)
        await adapter.close()
        return await standing.judged()


@attack(
    done="a publisher of facts names a call of the JetStream API as where to acknowledge",
    right="acknowledgements cannot reach the API: nothing of LOG or IN is purged or deleted",
    on_cluster=True,
)
async def acknowledgement_into_the_api(arena: Arena) -> Seen:
    async with stage(arena) as found:
        standing = await Standing.of(found)
        adapter = await found.client("erp")
        before = await _messages(found)
        for call in ("STREAM.PURGE", "STREAM.DELETE", "STREAM.MSG.DELETE", "STREAM.UPDATE", "STREAM.PEER.REMOVE"):
            for stream in (LOG, IN, "KV_HF_main_LEASE"):
                with contextlib.suppress(NatsError):
                    await adapter.publish(ADAPTER_SUBJECT, b'{"facts":[]}', reply=f"$JS.API.{call}.{stream}")
                    await adapter.flush()
        await asyncio.sleep(0.5)
        await standing.shop()
        seen = await standing.judged()
        after = await _messages(found)
        await adapter.close()
        if any(after[name] < count for name, count in before.items()):
            return Seen(False, f"messages were removed: {before} became {after}", seen.figure)
        return seen


async def _messages(found: Stage) -> dict[str, int]:
    reader = await found.client("operator")
    try:
        counts = {}
        for name in (LOG, IN):
            state = (await reader.jetstream().stream_info(name)).state
            counts[name] = state.messages
        return counts
    finally:
        await reader.close()


@attack(
    done="an adapter and an operator append, purge, delete, and rewrite the streams of the gateways directly",
    right="refused by the server: nobody but gateways appends, purges, or makes a consumer deliver elsewhere",
    on_cluster=True,
)
async def direct_calls(arena: Arena) -> Seen:
    async with stage(arena) as found:
        standing = await Standing.of(found)
        before = await _messages(found)
        batch = forged(await newest_batch(found))
        for role in ("erp", "operator"):
            client = await found.client(role)
            for subject, body in (
                (LOG_SUBJECT, batch),
                ("$KV.HF_main_LEASE.leader", b'{"node":"evil","boot":"evil"}'),
                (f"$JS.API.STREAM.UPDATE.{LOG}", orjson.dumps({"name": LOG, "subjects": ["hf.main.other"]})),
                (f"$JS.API.STREAM.PURGE.{IN}", b""),
                (f"$JS.API.STREAM.MSG.DELETE.{LOG}", b'{"seq":1}'),
                (f"$JS.API.STREAM.PURGE.{LOG}", b'{"keep":1}'),
            ):
                await try_request(client, subject, body, 0.3)
            await client.close()
        await standing.shop()
        seen = await standing.judged()
        after = await _messages(found)
        if any(after[name] < count for name, count in before.items()):
            return Seen(False, f"messages were removed: {before} became {after}", seen.figure)
        return seen


@attack(
    done="the NATS user of a gateway is stolen, without the key of the scope: batches forged, repeated, rubbish",
    right="no stock, no reservation changes, nobody else leads, checkouts go on; a batch of before, put into LOG once "
    "more, costs the leader a new term at most (ADR 10: this user can delete LOG)",
    on_cluster=True,
)
async def stolen_user_of_a_gateway(arena: Arena) -> Seen:
    async with stage(arena) as found:
        standing = await Standing.of(found)
        thief = await found.client("node")
        rounds = arena.size(100, 3)
        for _ in range(rounds):
            newest = await newest_batch(found)
            lead = orjson.loads(newest)["epoch"] + 1
            await standing.shop(1)
            for body in (
                forged(await newest_batch(found)),
                newest,
                b"rubbish",
                forged(await newest_batch(found), kind="lead", facts=[], epoch=lead, node="evil", rules={}),
            ):
                with contextlib.suppress(NatsError):
                    await thief.publish(LOG_SUBJECT, body)
                    await thief.flush()
                await standing.shop(1)
        await thief.close()
        return await standing.judged(terms_max=rounds)


@attack(
    done="facts for a location, from the stolen NATS user of one adapter, on the subjects of others",
    right="refused by the server: a NATS user reaches the subject of its own source",
    on_cluster=True,
)
async def facts_on_the_subject_of_another(arena: Arena) -> Seen:
    async with stage(arena) as found:
        standing = await Standing.of(found)
        adapter = await found.client("erp")
        places = [{"kind": "location", "location": "evil", "type": "warehouse"}]
        restriction = [{"kind": "restriction", "sku": SKU, "blocked": True, "reason": "x"}]
        for subject, facts in (
            ("hf.main.in.erp.acme", [level(SKU, 1, LOCATION, 2)]),
            ("hf.main.in.policy", restriction),
            ("hf.main.in.policy", places),
        ):
            await try_request(adapter, subject, orjson.dumps({"facts": facts}), 0.5)
        await asyncio.sleep(0.3)
        await standing.shop(1)
        await adapter.close()
        return await standing.judged()
