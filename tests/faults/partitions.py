"""Partitions of three hosts: cut off, cut one way, packets lost, links slow; and the round that judges them.

In: how many, where. Out: a result, judged as every round is. Always: each fault ends before the next begins, and the
hosts are whole again; the victim is the leader's host half of the time.
"""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.checker import judge, read_log
from tests.faults.hosts import ThreeHosts
from tests.faults.network import HOSTS, Network, can_partition
from tests.faults.shoppers import Crowd

if TYPE_CHECKING:
    from tests.faults.rounds import Result, Round

SHOPPERS = 24
HEALED_S = 90.0


async def _cut_off(hosts: ThreeHosts, victim: str, chance: random.Random) -> str:
    with hosts.network.cut(victim):
        await asyncio.sleep(chance.uniform(2, 12))
    return "cut off"


async def _cannot_send(hosts: ThreeHosts, victim: str, chance: random.Random) -> str:
    others = tuple(host for host in HOSTS if host != victim)
    with hosts.network.cannot_send(victim, others if chance.random() < 0.5 else (chance.choice(others),)):
        await asyncio.sleep(chance.uniform(2, 12))
    return "cut one way"


async def _loses_packets(hosts: ThreeHosts, victim: str, chance: random.Random) -> str:
    others = tuple(host for host in HOSTS if host != victim)
    if hosts.network.netem:
        with hosts.network.slow(victim, loss_percent=25):
            await asyncio.sleep(chance.uniform(3, 8))
        return "packets lost"
    ends = time.monotonic() + chance.uniform(3, 8)
    while time.monotonic() < ends:  # in bursts, where the kernel has no netem
        with hosts.network.cannot_send(victim, others):
            await asyncio.sleep(chance.uniform(0.05, 0.4))
        await asyncio.sleep(chance.uniform(0.1, 0.5))
    return "packets lost in bursts"


async def _slow_link(hosts: ThreeHosts, victim: str, chance: random.Random) -> str:
    with hosts.network.slow(victim):
        await asyncio.sleep(chance.uniform(3, 8))
    return "slow link"


KINDS = (_cut_off, _cannot_send, _loses_packets, _slow_link)


async def run_partitions(
    one: "Round", result: "Result", directory: Path, seed: int, tell: Callable[[str], None]
) -> None:
    """`one.count` partitions, in turn of their kinds."""
    if lack := can_partition():
        result.skipped = lack
        return
    chance = random.Random(f"{one.name}/{seed}")
    with Network() as network:
        async with ThreeHosts(directory, network) as hosts:
            crowd = Crowd(lambda: hosts.urls, SHOPPERS, seed, key=hosts.key)
            await crowd.open_shop()
            crowd.start()
            began_s = time.monotonic()
            await asyncio.sleep(1)
            for at in range(one.count):
                victim = await hosts.leader() if chance.random() < 0.5 else chance.choice(HOSTS)
                struck_s = time.monotonic()
                what = await KINDS[at % len(KINDS)](hosts, victim, chance)
                await _healed(hosts, crowd, time.monotonic())
                result.gaps_s.append(crowd.history.longest_gap_s(struck_s, time.monotonic()))
                result.done += 1
                tell(f"{at + 1} of {one.count}, {what}, without an answer for {result.gaps_s[-1]:.1f} s")
                await asyncio.sleep(chance.uniform(*one.pause_s))
            await crowd.stop()
            result.orders_s = time.monotonic() - began_s
            result.repeats = sum(operation.repeats for operation in crowd.history.operations)
            states = await _settled(hosts)
            async with hosts.log() as connection:
                messages = await read_log(connection)
    result.verdict = await asyncio.to_thread(judge, messages, crowd.history, states, directory / HOSTS[0] / "store")
    if len(states) != len(HOSTS):
        result.verdict.complain("I5", f"only {sorted(states)} answered at the end")


async def _healed(hosts: ThreeHosts, crowd: Crowd, since_s: float) -> None:
    deadline_s = since_s + HEALED_S
    while not crowd.history.clear_s or crowd.history.clear_s[-1] <= since_s:
        crowd.look()
        assert time.monotonic() < deadline_s, "nobody got an answer any more"
        await asyncio.sleep(0.02)
    await hosts.until_ready(deadline_s)
    await hosts.whole()


async def _settled(hosts: ThreeHosts) -> dict[str, dict[str, object]]:
    states: dict[str, dict[str, object]] = {}
    for _ in range(200):
        states = await hosts.states()
        if len(states) == len(HOSTS) and len({state["sequence"] for state in states.values()}) == 1:
            break
        await asyncio.sleep(0.1)
    return states
