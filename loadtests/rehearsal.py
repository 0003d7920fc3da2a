"""Plays a rehearsal: opens stock, lets locust's shoppers at it, kills the leader if asked to, and adds everything up.

In: the address of a gateway, or nothing; what to play. Out: a Played.
Always: opening stock, arithmetic and names are those of `holdfast rehearse`; what the gateway has at the end is
compared with accounts that do not depend on it; the log of a gateway that it started is rebuilt in a
fresh core, too.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from holdfast.cli.verify import rebuilt
from holdfast.client import Client, ProblemError, Retry
from holdfast.client.errors import UnknownReservationError
from holdfast.contracts.fields import SKUS_MAX
from holdfast.rehearsal.books import Books, Misfit
from holdfast.rehearsal.own_gateway import OwnGateway
from holdfast.rehearsal.replay import SOLD_STATES
from holdfast.rehearsal.stage import Stage
from loadtests.accounts import Accounts
from loadtests.names import PLACES, hot_skus, plain_skus

ROOT = Path(__file__).parent.parent
PATIENCE = Retry(tries_max=1_000_000, total_s=120.0, first_wait_s=0.05, wait_s_max=0.5)
LOOKS_AT_ONCE = 64
POLL_S = 0.1
STOP_S = 60
KILL_AT = 0.6  # of the time: in the middle of the flash


class LocustError(Exception):
    """The shoppers did not come, or did not account for what they did."""


@dataclass(frozen=True)
class Choice:
    """What to play."""

    shape: str = "flash"
    seconds: float = 60.0
    peak: int = 64
    think_s: float = 0.5
    skus: int = 200
    hot: int = 3
    units: int = 100_000
    hot_units: int = 1_000
    erp_per_s: int = 2_000
    workers: int = 1  # processes of locust besides the one that leads; 1: all in one
    kill_leader: bool = False


@dataclass
class Played:
    """What happened."""

    run: str
    gateway: str
    choice: Choice
    accounts: Accounts
    books: Books
    misfits: list[Misfit]
    missing: list[str]
    killed_at: float | None = None
    away_s: float | None = None
    log: str = ""  # what rebuilding LOG showed
    log_ok: bool = True
    settled: dict[str, int] = field(default_factory=dict)  # what became of the carts that nobody finished

    @property
    def counted(self) -> dict[str, float]:
        """The figures of [at_most] in slo.toml."""
        return {
            "away_s": longest_gap_s(self.accounts),
            "gave_up": sum(self.accounts.gave_up.values()),
            "unexpected": sum(self.accounts.unexpected.values()),
            "facts_rejected": self.accounts.facts_rejected,
            "oversold_units": sum(self.books.oversold().values()),
            "not_conserved_skus": len(self.misfits),
            "missing_reservations": len(self.missing),
        }


def longest_gap_s(accounts: Accounts) -> int:
    """Whole seconds in a row in which no reservation was answered."""
    seconds = sorted(accounts.waited.get("reserve", {}))
    return max((later - earlier - 1 for earlier, later in pairwise(seconds)), default=0)


async def play(choice: Choice, host: str, key: str | None) -> Played:
    """Does all of it. Raises ClientError, GatewayStartError, RejectedError, LocustError."""
    run = f"r{int(time.time())}"
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-rehearsal-")))
        own = None
        if not host:
            own = await stack.enter_async_context(OwnGateway(directory / "gateway", more=("--workers", "2")))
            host = own.url
        client = await stack.enter_async_context(Client(host, key, retry=PATIENCE, connections_max=LOOKS_AT_ONCE + 4))
        stage = Stage(run, PLACES)
        books = Books(opening(choice, run))
        await stage.declare(client)
        await stage.stock(client, books.opening, lambda _: None)
        file = directory / "accounts.json"
        locust = await asyncio.create_subprocess_exec(*command(choice, run, host, file), cwd=ROOT, env=environment(key))
        killed_at = away_s = None
        try:
            while not file.exists() and locust.returncode is None:  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(POLL_S)
            if choice.kill_leader:
                killed_at, away_s = await _kill(client, host, stage, choice)
            await locust.wait()
        finally:
            if locust.returncode is None:
                locust.terminate()
                await asyncio.wait_for(locust.wait(), STOP_S)
        if locust.returncode or not file.stat().st_size:
            raise LocustError(f"locust ended with {locust.returncode}; what it wrote is above")
        accounts = Accounts()
        accounts.add(file.read_bytes())
        settled = await settle(client, accounts)
        book(books, accounts)
        misfits = books.misfits(await closing(client, stage, list(books.opening)))
        missing = await not_there(client, accounts.ended("confirmed"))
        played = Played(run, host, choice, accounts, books, misfits, missing, killed_at, away_s, settled=settled)
        if own is not None:
            proof = await rebuilt(own.directory, own.url, None)
            played.log_ok = proof.ok
            played.log = f"rebuilt from its first message, digest {proof.digest}: " + (
                "the same as the gateway's" if proof.ok else "; ".join(map(str, proof.differences))
            )
        return played


def opening(choice: Choice, run: str) -> dict[str, int]:
    """Units to begin with, by SKU."""
    return {
        **dict.fromkeys(plain_skus(run, choice.skus), choice.units),
        **dict.fromkeys(hot_skus(run, choice.hot), choice.hot_units),
    }


def command(choice: Choice, run: str, host: str, accounts: Path) -> list[str]:
    """Locust's."""
    files = ["loadtests/locustfile.py", "loadtests/shapes.py", *(["loadtests/erp.py"] if choice.erp_per_s else [])]
    given = {
        "host": host,
        "run": run,
        "shape": choice.shape,
        "seconds": choice.seconds,
        "peak": choice.peak,
        "think": choice.think_s,
        "skus": choice.skus,
        "hot": choice.hot,
        "erp": choice.erp_per_s,
        "accounts": accounts,
        "stop-timeout": STOP_S,
        "exit-code-on-error": 0,
    }
    options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    if choice.workers > 1:
        port = str(free_port())
        options += ["--processes", str(choice.workers), "--master-bind-host", "127.0.0.1"]
        options += ["--master-bind-port", port, "--master-port", port]
    return [sys.executable, "-m", "locust", "-f", ",".join(files), "--headless", "--only-summary", *options]


def environment(key: str | None) -> dict[str, str]:
    """The key is not on the command line."""
    return {**os.environ, **({"HOLDFAST_KEY": key} if key else {})}


def free_port() -> int:
    """For locust's own processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _kill(client: Client, host: str, stage: Stage, choice: Choice) -> tuple[float, float]:
    """kill -9 of the process that leads; when, and the seconds until a write was answered again."""
    await asyncio.sleep(choice.seconds * KILL_AT)
    pid = await leader(host)
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    await stage.declare(client)
    return at, time.time() - at


async def leader(host: str) -> int:
    """The process that leads: any that shares the port may answer, so each look is a connection by itself."""
    while True:
        async with Client(host, retry=PATIENCE) as client:
            state = await client.state()
        if state.role == "leader":
            return state.pid
        await asyncio.sleep(POLL_S)


async def settle(client: Client, accounts: Accounts) -> dict[str, int]:
    """What nobody finished: asked for, and released where it is held. Counted by what it was."""
    found: dict[str, int] = {}

    async def one(reservation: str) -> None:
        try:
            state = str((await client.reservation(reservation)).state)
            if state == "held":
                await client.release(reservation)
        except UnknownReservationError:
            state = "never held"
        except ProblemError as error:  # ended in this moment
            state = error.name
        if state in SOLD_STATES:
            accounts.closed[reservation] = "confirmed"
        found[state] = found.get(state, 0) + 1

    await at_once(one, accounts.open)
    return found


def book(books: Books, accounts: Accounts) -> None:
    """The outcomes, in the arithmetic of `holdfast rehearse`."""
    for reservation, lines in accounts.opened.items():
        books.offer(lines.items())
        outcome = accounts.closed.get(reservation)
        if outcome == "confirmed":
            books.sell(lines.items())
        elif outcome == "late":
            books.carts_late += 1
    for sku, units in accounts.returned.items():
        books.take_back([(sku, units)])


async def at_once(one: Callable[[str], Awaitable[None]], reservations: Iterable[str]) -> None:
    """Over many connections."""
    left = iter(list(reservations))

    async def some() -> None:
        for reservation in left:
            await one(reservation)

    async with asyncio.TaskGroup() as group:
        for _ in range(LOOKS_AT_ONCE):
            group.create_task(some())


async def closing(client: Client, stage: Stage, skus: list[str]) -> dict[str, int | None]:
    """What can still be sold of each SKU."""
    left: dict[str, int | None] = {}
    for first in range(0, len(skus), SKUS_MAX):
        for item in await client.availabilities(stage.channel, skus[first : first + SKUS_MAX]):
            left[item.sku] = item.sellable if isinstance(item.sellable, int) else None
    return left


async def not_there(client: Client, reservations: list[str]) -> list[str]:
    """Of those that were confirmed, the ones that are not sold as the gateway has it."""
    wrong: list[str] = []

    async def one(reservation: str) -> None:
        try:
            state = (await client.reservation(reservation)).state
        except UnknownReservationError:
            state = "released"
        if state not in SOLD_STATES:
            wrong.append(reservation)

    await at_once(one, reservations)
    return sorted(wrong)
