"""The rounds: which fault, how often, on what.

In: how many. Out: one result for each round. Always: load runs from before the first fault until after the last; a
fault begins only when the one before is healed (somebody got a clear answer after it, and every process is there), so
that each is counted; a round ends with a read of the whole log and a comparison of all processes.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.nats_server.cluster import LocalCluster
from holdfast.settings import LogSettings
from tests.faults import damage, nemeses
from tests.faults.checker import Verdict, judge, read_log
from tests.faults.nemeses import Nemesis
from tests.faults.partitions import run_partitions
from tests.faults.service import Service
from tests.faults.shoppers import Crowd

SHOPPERS = 24
HEALED_S = 60.0


@dataclass(frozen=True, slots=True)
class Round:
    """One kind of fault, `count` times."""

    name: str
    what: str
    count: int
    nemesis: Nemesis | None = None
    workers: int = 3
    cluster: bool = False
    kill: bool = True  # of a cluster's server; else it is paused
    pause_s: tuple[float, float] = (0.2, 1.0)  # between two faults
    hosts: bool = False  # on three hosts, each with its network, instead of this one
    clock: bool = False  # whether the processes' wall clock can be made to jump
    lack: Callable[[], str] | None = None  # why it cannot be run here


@dataclass(slots=True)
class Result:
    """What came of a round."""

    round: Round
    verdict: Verdict
    done: int = 0
    gaps_s: list[float] = field(default_factory=list)  # for each fault, the longest time without any clear answer
    orders_s: float = 0.0  # how long there was load
    repeats: int = 0
    skipped: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return not self.verdict.complaints and not self.verdict.lost and not self.verdict.oversold


def rounds(scale: float) -> list[Round]:
    """All of them; `scale` 1 is the full run of about an hour."""

    def times(count: int) -> int:
        return max(1, round(count * scale))

    return [
        Round("kill-leader", "kill -9 of the leading process", times(50), nemeses.kill_leader),
        Round("pause-leader", "SIGSTOP of the leader past the TTL, SIGCONT", times(50), nemeses.pause_leader),
        Round("take-over", "the lease given to another while the leader lives", times(100), nemeses.force_takeover),
        Round("kill-workers", "kill -9 of all processes that serve, at once", times(10), nemeses.kill_workers, 2),
        Round("kill-supervisor", "kill -9 of the supervisor (all processes go)", times(10), nemeses.kill_supervisor, 2),
        Round("kill-nats", "kill -9 of the only nats-server", times(20), nemeses.kill_nats, 2),
        Round("pause-nats", "SIGSTOP of the only nats-server, 1 to 6 s", times(10), nemeses.pause_nats, 2),
        Round("kill-nats-r3", "kill -9 of one of three nats-servers", times(20), workers=2, cluster=True),
        Round("pause-nats-r3", "SIGSTOP of one of three, 1 to 11 s", times(10), workers=2, cluster=True, kill=False),
        Round("slow-fsync", "fsync 300 ms slower, for 5 s", times(5), nemeses.slow_fsync, 2, lack=nemeses.can_trace),
        Round(
            "broken-fsync", "fsync fails with EIO, for 3 s", times(5), nemeses.broken_fsync, 2, lack=nemeses.can_trace
        ),
        Round("full-disk", "no file of the log can grow, for 4 s", times(5), nemeses.full_disk, 2),
        Round("flip-log", "a flipped bit in LOG's last block; `repair`", times(5), damage.flip_log, 2),
        Round("flip-journal", "a flipped bit in a journal; `repair`", times(5), damage.flip_journal, 2),
        Round("flip-snapshot", "a flipped bit in the newest snapshot", times(5), damage.flip_snapshot, 2),
        Round("clock", "the wall clock jumps by up to 3 h either way", times(20), damage.jump_clock, 2, clock=True),
        Round("partition", "three hosts: one cut off, cut one way, losing packets, slow", times(30), hosts=True),
        Round("second-owner", "a second `serve` on the same store", times(5), nemeses.second_owner, 2),
    ]


async def run_round(one: Round, directory: Path, seed: int, tell: Callable[[str], None]) -> Result:
    """One round on a new directory."""
    lack = one.lack() if one.lack is not None else ""
    if lack:
        return Result(one, Verdict(), skipped=lack)
    if one.hosts:
        result = Result(one, Verdict())
        await run_partitions(one, result, directory, seed, tell)
        return result
    chance = random.Random(f"{one.name}/{seed}")
    async with _service(one, directory) as (service, nemesis):
        crowd = Crowd(lambda: [service.url], SHOPPERS, seed)
        await crowd.open_shop()
        crowd.start()
        began_s = time.monotonic()
        result = Result(one, Verdict())
        await asyncio.sleep(1)
        for at in range(one.count):
            struck_s = time.monotonic()
            await nemesis(service, chance)
            await _healed(service, crowd, time.monotonic())
            gap_s = crowd.history.longest_gap_s(struck_s, time.monotonic())
            result.gaps_s.append(gap_s)
            result.done += 1
            tell(f"{at + 1} of {one.count}, without an answer for {gap_s:.1f} s")
            await asyncio.sleep(chance.uniform(*one.pause_s))
        await crowd.stop()
        result.orders_s = time.monotonic() - began_s
        result.repeats = sum(operation.repeats for operation in crowd.history.operations)
        states = await _settled(service)
        async with service.log() as connection:
            messages = await read_log(connection)
    result.verdict = await asyncio.to_thread(judge, messages, crowd.history, states, service.directory)
    if len(states) != one.workers:
        result.verdict.complain("I5", f"only {sorted(states)} answered at the end")
    return result


@asynccontextmanager
async def _service(one: Round, directory: Path) -> AsyncIterator[tuple[Service, Nemesis]]:
    async with AsyncExitStack() as stack:
        if not one.cluster:
            assert one.nemesis is not None, "a round without a cluster says what it does"
            environment = damage.jumping_clock(directory) if one.clock else None
            service = Service(directory, one.workers, environment=environment)
            yield await stack.enter_async_context(service), one.nemesis
            return
        cluster = LocalCluster(directory / "cluster", LogSettings(replicas=3))
        await cluster.start()
        stack.push_async_callback(cluster.stop)
        service = Service(directory / "gateway", one.workers, nats=cluster.endpoint, url=cluster.url)
        yield await stack.enter_async_context(service), nemeses.on_cluster(cluster, kill=one.kill)


async def _healed(service: Service, crowd: Crowd, since_s: float) -> None:
    """Until somebody got a clear answer to something new, and every process is ready."""
    deadline_s = since_s + HEALED_S
    while not crowd.history.clear_s or crowd.history.clear_s[-1] <= since_s:
        crowd.look()
        assert time.monotonic() < deadline_s, "nobody got an answer any more"
        await asyncio.sleep(0.02)
    await service.until_ready(deadline_s)


async def _settled(service: Service) -> dict[str, dict[str, object]]:
    """The processes' states once all have come to the same sequence (or the patience is over)."""
    states: dict[str, dict[str, object]] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while True:
                states = await service.states()
                sequences = {state["sequence"] for state in states.values()}
                if len(states) == service.workers_wanted and len(sequences) == 1:
                    break
                await asyncio.sleep(0.1)
    return states
