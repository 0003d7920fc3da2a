"""Attacks by forged messages between the processes of one scope: heartbeats, answers, commands, the lease.

In: an arena. Out: what was seen. Always: two workers, so that there is a follower that must not be misled either;
judged when the forger has stopped, and by what shoppers got meanwhile.
"""

import asyncio
import contextlib
from typing import Any

import msgspec
import orjson
from nats.errors import Error as NatsError

from holdfast.peers.wire import Commands, ForwardedCommand, encode
from tests.attacks.attack import Arena, Seen, attack
from tests.attacks.nats_boundary import Standing, try_request
from tests.attacks.stage import Stage, cart, stage

HEARTBEAT, PEERS, LEASE = "hf.main.pulse", "hf.main.peers", "$KV.HF_main_LEASE.leader"
FORGERS = ("erp", "operator", "node")
QUARANTINE_ENDS_S = 12.0  # a doubt that nothing renews has ended by then


async def heartbeats_of(found: Stage, state: dict[str, Any], forger: str) -> dict[str, Any]:
    """A heartbeat that a process of this scope could have sent, with another digest."""
    sequence = int(state["sequence"])
    return {
        "node": "n9",
        "boot": f"evil-{forger}",
        "role": "leading",
        "epoch": state["epoch"] + 1,
        "sequence": sequence,
        "chain": "e" * 64,
        "in_upto": 0,
        "journal_sequence": sequence,
        "journal_chain": "e" * 64,
        "digests": [[at, "e" * 32] for at in range(max(1, sequence - 3), sequence + 20)],
        "clock_ms": 1,
    }


async def _quarantine_has_ended(found: Stage, within_s: float = QUARANTINE_ENDS_S) -> bool:
    for _ in range(int(within_s * 10)):
        states = [await found.state() for _ in range(4)]  # of any of the workers
        if not any(state.get("quarantine") for state in states):
            return True
        await asyncio.sleep(0.1)
    return False


@attack(
    done="one forged heartbeat: it leads, with another digest",
    right="heartbeats carry a MAC; only the node and the term that LOG names are believed to lead; a doubt expires",
    on_cluster=True,
)
async def forged_heartbeat(arena: Arena) -> Seen:
    async with stage(arena, "--workers", "2") as found:
        standing = await Standing.of(found)
        state = await found.state()
        for role in FORGERS:
            forger = await found.client(role)
            for changes in (
                {},
                {"role": "following"},
                {"epoch": state["epoch"], "node": state["leader"]},
                {"sequence": 10**9, "journal_sequence": 10**9},
                {"boot": "evil-two", "role": "following"},
                {"boot": "evil-three", "role": "following"},
            ):
                body = await heartbeats_of(found, state, role) | changes
                for subject in (HEARTBEAT, PEERS):
                    with contextlib.suppress(NatsError):
                        await forger.publish(subject, orjson.dumps(body))
                        await forger.publish(subject, encode(msgspec.to_builtins(body)))
            await forger.flush()
            await forger.close()
        await asyncio.sleep(0.3)
        await standing.shop()
        if not await _quarantine_has_ended(found):
            return Seen(False, f"quarantine: {(await found.state())['quarantine']}")
        await asyncio.sleep(0.2)
        standing.worst_s = 0.0
        await standing.shop()
        return await standing.judged()


@attack(
    done="commands sent to the leader's subject past the gateway's checks of keys",
    right="a question without a MAC is not answered, and nothing is done",
    on_cluster=True,
)
async def forged_command(arena: Arena) -> Seen:
    async with stage(arena, "--workers", "2") as found:
        standing = await Standing.of(found)
        state = await found.state()
        subject = f"hf.main.lead.{state['leader']}.{state['epoch']}"
        hold = ForwardedCommand("put", "evil", orjson.dumps(cart(1_000)), None, "admin")
        for role in FORGERS:
            forger = await found.client(role)
            await try_request(forger, subject, encode(Commands(2_000, [hold])))
            await forger.close()
        if (await found.ask("GET", "/v1/reservations/evil")).status != 404:
            return Seen(False, "a command was done that no key asked for")
        await standing.shop()
        return await standing.judged()


@attack(
    done="the lease given to somebody who does not exist, over and over",
    right="a lease without a MAC is void: the leader goes on",
    on_cluster=True,
)
async def forged_lease(arena: Arena) -> Seen:
    async with stage(arena) as found:
        standing = await Standing.of(found)
        for role in FORGERS:
            forger = await found.client(role)
            for _ in range(arena.size(40, 12)):
                await try_request(forger, LEASE, orjson.dumps({"node": "evil", "boot": "evil"}), 0.3)
                await asyncio.sleep(0.3)
                await standing.shop(1)
            await forger.close()
        return await standing.judged()


@attack(
    done="a shared snapshot replaced by one that was forged",
    right="a snapshot without a MAC is void: a process that starts takes another one, or LOG",
)
async def forged_snapshot(arena: Arena) -> Seen:
    async with stage(arena) as found:
        standing = await Standing.of(found)
        forged = 0
        for role in FORGERS:
            client = await found.client(role)
            with contextlib.suppress(NatsError, TimeoutError, OSError):
                bucket = await client.jetstream().create_object_store("HF_main_SNAP")
                await bucket.put("main-00000000000000000002.hfsnap", b"forged" * 1_000)
                forged += 1
            await client.close()
        await standing.shop()
        seen = await standing.judged()
        return Seen(seen.held, seen.what, f"{forged} stored; {seen.figure}")
