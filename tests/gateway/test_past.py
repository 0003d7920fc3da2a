"""The past over HTTP: explained, compared, audited, what was refused, and dead letters; beside the checkout's way."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio

from holdfast.client import NO_RETRY, Client, ProblemError
from holdfast.client.errors import ForbiddenError, InvalidError, NotFoundError
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.gateway.key_store import KeyStore
from holdfast.gateway.keyring import Operation
from tests.support.served import Served, serving

UNTIL_S = 20.0
LEVEL = {"kind": "stock.level", "sku": "MUG", "location": "PAR", "basis": "net"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str], dict[str, str]]]:
    """A gateway, tokens by name, and their ids."""
    directory = tmp_path_factory.mktemp("past")
    store = KeyStore(directory / "store")
    store.directory.mkdir(mode=0o700)
    made = {
        "admin": store.add("admin", list(Operation)),
        "shop": store.add("shop", [Operation.READ, Operation.RESERVE, Operation.ORDER]),
        "web": store.add("web", [Operation.READ], ["web"]),
    }
    with serving(directory, auth="on") as served:
        yield served, {name: token for name, (_, token) in made.items()}, {name: k.id for name, (k, _) in made.items()}


@pytest_asyncio.fixture
async def admin(keys: tuple[Served, dict[str, str], dict[str, str]]) -> AsyncIterator[Client]:
    async with Client(f"http://127.0.0.1:{keys[0].port}", keys[1]["admin"], retry=NO_RETRY, timeout_s=40) as client:
        yield client


async def stocked(client: Client) -> None:
    await client.policies(
        [{"kind": "location", "location": "PAR"}, {"kind": "channel", "channel": "web", "locations": "*"}]
    )
    await client.facts("erp", [LEVEL | {"on_hand": 5, "as_of": 1}])


async def hold(client: Client, name: str, units: int) -> int:
    """The sequence of LOG afterwards; a refusal is no fault here."""
    lines = [ReservationLine(sku="MUG", quantity=units)]
    with contextlib.suppress(ProblemError):
        await client.reserve(name, ReservationRequest(channel="web", ttl_ms=600_000, lines=lines))
    return client.sequence


FoundT = TypeVar("FoundT")


async def until(ask: Callable[[], Awaitable[FoundT]], holds: Callable[[FoundT], bool]) -> FoundT:
    """Asked again until it is so: what is written a moment later."""
    last = time.monotonic() + UNTIL_S
    while True:
        found = await ask()
        if holds(found):
            return found
        assert time.monotonic() < last, found
        await asyncio.sleep(0.1)


@pytest.mark.asyncio
async def test_the_past_is_explained_compared_and_audited(
    admin: Client, keys: tuple[Served, dict[str, str], dict[str, str]]
) -> None:
    await stocked(admin)
    said = {}
    for number in range(3):
        await hold(admin, f"cart-{number}", 1)
        now = await admin.explain("MUG", "web")
        said[now.as_of.sequence] = now.sellable
    await asyncio.sleep(1.2)  # explain waits for no sequence: the files have it a second later
    for sequence, sellable in said.items():
        then = await admin.explain("MUG", "web", at=sequence)
        assert (then.sellable, then.as_of.sequence, then.as_of.mode) == (sellable, sequence, "stale")
    assert (await admin.explain("MUG", "web", at=datetime.now(UTC))).sellable == 2

    first, last = min(said), max(said)
    changed = await admin.sku_changes("MUG", begin=first + 1, upto=last, limit=1)
    assert changed.before is not None
    assert changed.after is not None
    assert (changed.before.sellable["web"], changed.after.sellable["web"]) == (said[first], said[last])
    assert [one.fact["id"] for one in changed.items] == ["cart-1"]
    rest = await admin.sku_changes("MUG", begin=first + 1, upto=last, after=changed.next)
    assert [one.fact["id"] for one in rest.items] == ["cart-2"]
    assert rest.next is None

    await admin.policies([{"kind": "safety", "sku": "MUG", "absolute": 1}])
    await admin.policies([{"kind": "safety", "sku": "MUG", "absolute": 1}])  # unchanged
    await admin.policies([{"kind": "safety", "sku": "MUG", "absolute": 2}])
    page = await admin.audit(kind="safety", sku="MUG", limit=1)
    assert [(one.before, one.after["absolute"], one.by) for one in page.items] == [(None, 1, keys[2]["admin"])]
    page = await admin.audit(kind="safety", sku="MUG", after=page.next)
    assert [(one.before, one.after["absolute"]) for one in page.items] == [({"sku": "MUG", "absolute": 1}, 2)]
    assert page.next is None
    assert (await admin.audit(kind="safety", by="nobody")).items == []
    made = (await admin.audit(kind="key")).items
    assert {one.after["name"] for one in made} == {"admin", "shop", "web"}
    assert "secret" not in str(made)


@pytest.mark.asyncio
async def test_what_was_refused_comes_page_by_page(admin: Client) -> None:
    await stocked(admin)
    for number in range(3):
        await hold(admin, f"much-{number}", 50)
    page = await until(lambda: admin.refusals(sku="MUG"), lambda found: len(found.items) == 3)
    names, after = [], None
    for _ in range(10):
        page = await admin.refusals(limit=2, after=after)
        names += [one.reservation for one in page.items]
        after = page.next
        if after is None:
            break
    assert names == ["much-2", "much-1", "much-0"]
    assert page.kept_since is not None
    assert (await admin.refusals(channel="other")).items == []


@pytest.mark.asyncio
async def test_a_dead_letter_is_corrected_sent_again_and_gone(admin: Client) -> None:
    await stocked(admin)
    wrong = LEVEL | {"on_hand": 7, "as_of": 2, "location": "NOWHERE"}
    await admin.facts("erp", [wrong, wrong | {"sku": "CUP"}, LEVEL | {"sku": "SPOON", "on_hand": 1, "as_of": 1}])
    found = await until(lambda: admin.dead_letters(reason="unknown-location"), lambda page: len(page.items) == 2)
    first, second = found.items
    assert (first.source, first.index, first.corrects) == ("erp", 0, None)
    assert (await admin.dead_letters(limit=1)).next == str(first.letter)
    assert (await admin.dead_letter(first.letter)).raw == first.raw
    right = first.raw.replace("NOWHERE", "PAR")
    stored = await admin.correct_dead_letter(first.letter, right)
    assert await admin.correct_dead_letter(first.letter, right) == stored
    assert [one.corrects for one in (await admin.dead_letters(reason="unknown-location")).items] == [None, first.letter]
    sent = await admin.retry_dead_letter(stored.letter)
    assert sent.letters == [stored.letter]
    with pytest.raises(NotFoundError, match="there is no letter"):
        await admin.retry_dead_letter(stored.letter)
    assert (await admin.discard_dead_letter(second.letter)).removed
    assert not (await admin.discard_dead_letter(second.letter)).removed
    assert (await admin.dead_letters(reason="unknown-location")).items == []
    with pytest.raises(InvalidError):
        await admin.correct_dead_letter(first.letter, "x")
    await until(lambda: admin.explain("MUG", "web"), lambda found: found.terms[0].quantity == 7)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/availability/MUG/explain?channel=web&at=yesterday", 422),
        ("/v1/availability/MUG/explain?channel=web&at=2026-01-01T00:00:00", 422),
        ("/v1/availability/MUG/explain?channel=web&at=1&at=2", 422),
        ("/v1/availability/MUG/explain?channel=web&at=999999", 404),
        ("/v1/availability/NO-SUCH/explain?channel=web&at=3", 404),
        ("/v1/skus/MUG/changes?after=x", 422),
        ("/v1/skus/MUG/changes?from=999999", 404),
        ("/v1/skus/NO-SUCH/changes", 404),
        ("/v1/audit?limit=0", 422),
        ("/v1/audit?from=12", 422),
        ("/v1/refusals?upto=2026-01-01T00:00:00Z", 422),
        ("/v1/dead-letters?after=x", 422),
        ("/v1/dead-letters/0", 422),
        ("/v1/dead-letters/999999", 404),
    ],
)
async def test_what_makes_no_sense_is_said(admin: Client, target: str, status: int) -> None:
    with pytest.raises(ProblemError) as raised:
        await admin.transport.send("GET", target)
    assert raised.value.problem.status == status


@pytest.mark.asyncio
async def test_each_needs_its_own_operation(keys: tuple[Served, dict[str, str], dict[str, str]]) -> None:
    for name in ("shop", "web"):
        async with Client(f"http://127.0.0.1:{keys[0].port}", keys[1][name], retry=NO_RETRY) as client:
            for call in (client.audit, client.refusals, client.dead_letters, lambda: client.sku_changes("MUG")):
                with pytest.raises(ForbiddenError):
                    await call()


@pytest.mark.asyncio
async def test_one_question_at_a_time_a_few_wait_and_checkout_does_not(admin: Client) -> None:
    await stocked(admin)
    questions = [asyncio.create_task(admin.sku_changes("MUG")) for _ in range(12)]
    await asyncio.sleep(0)
    began = time.monotonic()
    await admin.availability("MUG", "web")
    checkout_s = time.monotonic() - began
    done: list[Any] = await asyncio.gather(*questions, return_exceptions=True)
    refused = [one for one in done if isinstance(one, ProblemError)]
    assert {one.problem.status for one in refused} == {503}
    assert 4 <= len(done) - len(refused) < 12
    assert checkout_s < 2


@pytest.mark.asyncio
async def test_a_process_that_was_killed_is_started_again(
    admin: Client, keys: tuple[Served, dict[str, str], dict[str, str]]
) -> None:
    await stocked(admin)
    await admin.audit()
    (process,) = processes_of(keys[0].child.pid)
    os.kill(process, signal.SIGKILL)
    with contextlib.suppress(ProblemError):
        await admin.audit()
    assert (await admin.audit()).items
    assert processes_of(keys[0].child.pid) != [process]


def processes_of(supervisor: int) -> list[int]:
    """The processes for the past below one supervisor."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            if b"holdfast.hindsight.process" not in (path / "cmdline").read_bytes():
                continue
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            above = Path("/proc", parent, "stat").read_text().rpartition(")")[2].split()[1]
            if int(above) == supervisor:
                found.append(int(path.name))
    return found
