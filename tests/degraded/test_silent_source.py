"""Each action of a `freshness` rule, tried by taking a connection down; the log and the shop likewise."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.client import Client
from holdfast.client.errors import ClientError
from holdfast.contracts.listings import SourceEntry
from holdfast.degraded.silence import Silence
from holdfast.erp.store import directory_of
from holdfast.settings import ErpSettings
from tests.erp.test_csv_folder import levels, name_of, put
from tests.reconcile.test_planted import status_of
from tests.support.erp import Served, serving

WITHIN_S = 60
FOR_EVER_MS = 3_600_000
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("folder"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Served]:
    config = f"""
[degraded]
enabled = true
every_ms = 200
key = "@degraded.key"
[erp.depot]
kind = "csv"
directory = "{folder}"
orders = false
every_ms = 300
key = "@depot.key"
"""
    keys = ["degraded --operations read policies", "depot --operations facts --source depot"]
    with serving(Path(tmp_path_factory.mktemp("silent")) / "d", config, keys) as found:
        yield found


async def holds(wanted: Callable[[], Awaitable[Any]], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while True:
        with contextlib.suppress(ClientError):
            if await wanted():
                return
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


async def settled(client: Client, folder: Path, served: Served) -> None:
    await client.policies([{"kind": "location", "location": "depot", "type": "warehouse", "priority": 7}])
    if not any((folder / "processed").glob("*.csv")) and not any((folder / "in").glob("*.csv")):
        await holds(lambda: there(folder / "in"), "the connection did not begin")
        put(folder, name_of("depot", "levels", 1), levels("depot", ("MUG", 10), ("CUP", 2)))
    await holds(lambda: sells(client, 10, 2), "the levels did not come")


async def there(path: Path) -> bool:
    return await asyncio.to_thread(path.is_dir)


async def sells(client: Client, mug: int, cup: int) -> bool:
    found = [(await client.availability(sku, "web")).sellable for sku in ("MUG", "CUP")]
    return found == [mug, cup]


async def declared(client: Client) -> tuple[Any, Any]:
    """What a rule must leave as it was."""
    rules = [(one.sku, one.location, one.absolute) async for one in client.rules(kind="safety")]
    return rules, [one async for one in client.locations()]


async def rule(client: Client, action: str, amount: int | None, stale_after_ms: int) -> None:
    fact = {"kind": "freshness", "source": "depot", "stale_after_ms": stale_after_ms, "action": action}
    await client.policies([fact if amount is None else fact | {"amount": amount}])


@pytest.mark.parametrize(
    ("action", "amount", "mug", "cup"),
    [("serve", None, 10, 2), ("widen", 3, 7, 0), ("cap", 4, 4, 2), ("restrict", None, 0, 0)],
)
async def test_a_connection_that_stops_is_treated_as_its_rule_says_until_it_works_again(
    served: Served, folder: Path, action: str, amount: int | None, mug: int, cup: int
) -> None:
    async with served.client() as client:
        await settled(client, folder, served)
        before = await declared(client)
        await rule(client, action, amount, 3_000)
        pid = status_of(served, "depot")["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:

            async def is_said() -> bool:
                found = (await client.availability("MUG", "web")).as_of
                return found.mode == "degraded" and found.silent == ["depot"] and await sells(client, mug, cup)

            await holds(is_said, f"{action} had no effect")
            explained = await client.explain("MUG", "web")
            assert sum(one.quantity for one in explained.terms) == explained.sellable == mug
            assert 'holdfast_source_silent_seconds{node="n1",source="depot"}' in await client.metrics()
        finally:
            os.kill(pid, signal.SIGCONT)

        async def is_back() -> bool:
            found = (await client.availability("MUG", "web")).as_of
            return found.mode == "live" and await sells(client, 10, 2)

        await holds(is_back, f"{action} did not end")
        await rule(client, action, amount, FOR_EVER_MS)

        async def is_as_before() -> bool:
            return await declared(client) == before and await is_back()

        await holds(is_as_before, f"{action} left something")


def test_an_erp_that_is_read_without_a_fault_is_not_silent_though_nothing_changes(tmp_path: Path) -> None:
    directory = directory_of(tmp_path, "acme")
    directory.mkdir(parents=True)

    def turn(number: int, at_ms: int, **faults: str) -> None:
        status = {"pid": os.getpid(), "at_ms": at_ms, "turns": number, "faults": faults}
        (directory / "status.json").write_text(json.dumps(status))

    def source(name: str, last: int | None, age_ms: int | None) -> SourceEntry:
        return SourceEntry(source=name, clock="number", locations=[], last_as_of=last, age_ms=age_ms)

    silence = Silence(tmp_path, {"acme": ErpSettings()})
    listed = [source("acme", 7, 5_000), source("other", 7, 5_000)]
    assert silence.of(listed, 100_000) == {"acme": 5_000, "other": 5_000}
    turn(1, 103_000)
    assert silence.of(listed, 104_000) == {"acme": 1_000, "other": 9_000}
    turn(2, 106_000, levels="Tryton does not answer")
    assert silence.of(listed, 109_000) == {"acme": 6_000, "other": 14_000}
    assert silence.of([source("acme", 8, None), listed[1]], 110_000) == {"acme": 0, "other": 15_000}
    again = Silence(tmp_path, {})
    again.recall("other", "7", 95_000)
    assert again.of(listed, 111_000)["other"] == 16_000, "what an earlier process knew counts"
