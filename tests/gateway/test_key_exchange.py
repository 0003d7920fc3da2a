"""API keys of several machines: what is made, changed or ended on one counts on all, and nobody else can make one."""

import asyncio
import base64
import os
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast._core import ScopeKeys
from holdfast.errors import LogError
from holdfast.gateway import key_merging
from holdfast.gateway.key_exchange import KeyExchange
from holdfast.gateway.key_file import Operation, StoredKey
from holdfast.gateway.key_merging import all_merged, merged
from holdfast.gateway.key_store import KeyStore
from holdfast.macs import Macs
from holdfast.nats.connection import Connection
from holdfast.nats_server.server import EmbeddedServer
from holdfast.settings import LogSettings
from holdfast.tasks import cancel_and_wait
from tests.support.gateway import ask
from tests.support.served import serving
from tests.support.servers import connected, embedded, until

SCOPE_SECRET = b"s" * 32
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
PATIENCE_S = 20.0


# ---- joining what two machines know


def moments() -> st.SearchStrategy[datetime]:
    return st.integers(0, 5).map(lambda hours: NOW + timedelta(hours=hours))


@st.composite
def states(draw: st.DrawFn, key_id: str = "k" * 10) -> StoredKey:
    """A state of one key, as some machine may have it."""
    return StoredKey(
        id=key_id,
        name="shop",
        secret_sha256="0" * 64,
        operations=draw(st.lists(st.sampled_from(Operation), min_size=1, max_size=2, unique=True)),
        created=NOW,
        changed=draw(st.none() | moments()),
        expires=draw(st.none() | moments()),
        revoked=draw(st.none() | moments()),
        replaced_by=draw(st.none() | st.sampled_from(["a" * 10, "b" * 10])),
    )


@given(states(), states(), states())
def test_it_does_not_matter_who_joins_what_first(one: StoredKey, two: StoredKey, three: StoredKey) -> None:
    assert merged(one, two) == merged(two, one)
    assert merged(one, merged(two, three)) == merged(merged(one, two), three)
    assert merged(one, one) == one
    assert merged(merged(one, two), two) == merged(one, two)


@given(states(), states())
def test_what_ended_anywhere_has_ended_and_the_newest_rights_count(one: StoredKey, two: StoredKey) -> None:
    found = merged(one, two)
    ends = [key.revoked for key in (one, two) if key.revoked is not None]
    assert found.revoked == (min(ends) if ends else None)
    changed = [key.changed or key.created for key in (one, two)]
    assert (found.changed or found.created) == max(changed)
    if changed[0] != changed[1]:
        assert found.operations == (one, two)[changed[1] > changed[0]].operations


def test_beyond_the_bound_those_that_ended_first_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_merging, "KEYS_MAX", 3)
    keys = [
        StoredKey(
            id=letter * 10,
            name=letter,
            secret_sha256="0" * 64,
            operations=[Operation.READ],
            created=NOW + timedelta(seconds=at),
            revoked=revoked,
        )
        for at, (letter, revoked) in enumerate(
            [("a", None), ("b", NOW + timedelta(hours=2)), ("c", NOW + timedelta(hours=1)), ("d", None), ("e", None)]
        )
    ]
    left = all_merged(keys[:2], keys[1:], NOW + timedelta(hours=3))
    assert [key.name for key in left] == ["a", "d", "e"]
    left = all_merged(keys[:4], [], NOW + timedelta(hours=3))
    assert [key.name for key in left] == ["a", "b", "d"]


# ---- machines on one NATS


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with embedded(tmp_path / "nats-of-all") as running:
        yield running


def macs() -> Macs:
    return Macs(ScopeKeys([SCOPE_SECRET]))


@dataclass
class Machine:
    keys: KeyStore
    exchange: KeyExchange
    macs: Macs

    def known(self) -> list[StoredKey]:
        return self.keys.stored()


@asynccontextmanager
async def machines(server: EmbeddedServer, tmp_path: Path, names: str = "ab") -> AsyncIterator[list[Machine]]:
    found = []
    for name in names:
        directory = tmp_path / name
        directory.mkdir()
        codes = macs()
        exchange = KeyExchange(directory, "main", server.endpoint, LogSettings(), codes)
        found.append(Machine(KeyStore(directory), exchange, codes))
    try:
        yield found
    finally:
        for one in found:
            await one.exchange.close()


async def settled(all_machines: list[Machine]) -> None:
    """Each has exchanged after each other one's last change."""
    for _ in range(2):
        for one in all_machines:
            await one.exchange.exchange()
            await one.exchange.exchange()  # where another one was first, the second time has both


async def stored_in(connection: Connection, key_id: str) -> dict[str, Any]:
    asked = {"last_by_subj": f"hf.main.keys.{key_id}"}
    message = (await connection.api("STREAM.MSG.GET.HF_main_KEYS", asked))["message"]
    found: dict[str, Any] = msgspec.json.decode(base64.b64decode(message["data"]))
    return found


async def put(connection: Connection, key_id: str, message: bytes) -> None:
    await connection.request(f"hf.main.keys.{key_id}", message, 5_000)


async def test_what_is_done_on_one_machine_counts_on_the_other(server: EmbeddedServer, tmp_path: Path) -> None:
    async with machines(server, tmp_path) as (one, other):
        shop, _ = one.keys.add("shop", [Operation.READ])
        await settled([one, other])
        assert other.known() == [shop]
        changed = other.keys.change("shop", {"operations": [Operation.READ, Operation.RESERVE]})
        await settled([one, other])
        assert one.known() == [changed]
        renewed, _ = one.keys.rotate("shop", overlap_s=60)
        await settled([one, other])
        assert [key.id for key in other.known()] == [shop.id, renewed.id]
        other.keys.revoke(renewed.id)
        await settled([one, other])
        assert one.known() == other.known()
        assert one.known()[1].state(datetime.now(UTC)) == "revoked"


@pytest.mark.parametrize("seed", range(4))
async def test_machines_agree_whatever_was_done_where(server: EmbeddedServer, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with machines(server, tmp_path, "abc") as all_machines:
        revoked: set[str] = set()
        for step in range(40):
            one = chance.choice(all_machines)
            active = [key for key in one.known() if key.state(datetime.now(UTC)) == "active"]
            match chance.randrange(6):
                case 0:
                    one.keys.add(f"key {step}", [Operation.READ])
                case 1 if active:
                    revoked.add(one.keys.revoke(chance.choice(active).id)[0].id)
                case 2 if active:
                    one.keys.rotate(chance.choice(active).id, overlap_s=chance.choice([0, 60]))
                case 3 if active:
                    rights = chance.sample(list(Operation), 2)
                    one.keys.change(chance.choice(active).id, {"operations": rights})
                case _:
                    await one.exchange.exchange()
        await settled(all_machines)
        assert all_machines[0].known() == all_machines[1].known() == all_machines[2].known()
        now = datetime.now(UTC)
        assert revoked <= {key.id for key in all_machines[0].known() if key.state(now) == "revoked"}


async def test_what_nobody_of_the_scope_wrote_makes_no_key(server: EmbeddedServer, tmp_path: Path) -> None:
    async with machines(server, tmp_path) as (one, other), connected(server.endpoint) as connection:
        shop, _ = one.keys.add("shop", [Operation.READ])
        await settled([one, other])
        forged = msgspec.structs.replace(shop, id="f" * 10, name="forged", operations=list(Operation))
        text = msgspec.json.encode(forged)
        strange = Macs(ScopeKeys([b"x" * 32]))
        right = macs()
        for message in (
            b"",
            b"{}",
            text,
            strange.sign_json("key", f"hf.main.keys.{forged.id}".encode(), text),
            right.sign_json("key", f"hf.main.keys.{shop.id}".encode(), text),  # of another key
            right.sign_json("peer", f"hf.main.keys.{forged.id}".encode(), text),  # for another purpose
            right.sign_json("key", f"hf.main.keys.{forged.id}".encode(), text)[:-1],
        ):
            await put(connection, forged.id, message)
            await settled([one, other])
            assert one.known() == other.known() == [shop], message
        assert one.macs.refused["key"] >= 5
        assert other.macs.refused["key"] >= 5
        await put(connection, shop.id, text)
        await settled([one, other])
        assert (await stored_in(connection, shop.id))["name"] == "shop", "what is known is put there again"


async def test_what_a_later_version_wrote_is_left_alone(server: EmbeddedServer, tmp_path: Path) -> None:
    async with machines(server, tmp_path) as (one, other), connected(server.endpoint) as connection:
        shop, _ = one.keys.add("shop", [Operation.READ])
        await settled([one, other])
        for key_id in (shop.id, "n" * 10):
            newer = msgspec.json.encode(msgspec.to_builtins(shop) | {"id": key_id, "of_a_later_version": 1})
            await put(connection, key_id, macs().sign_json("key", f"hf.main.keys.{key_id}".encode(), newer))
            await settled([one, other])
            assert one.known() == other.known() == [shop]
            assert (await stored_in(connection, key_id))["of_a_later_version"] == 1


async def test_an_old_message_revives_nothing(server: EmbeddedServer, tmp_path: Path) -> None:
    async with machines(server, tmp_path) as (one, other), connected(server.endpoint) as connection:
        shop, _ = one.keys.add("shop", [Operation.READ])
        await settled([one, other])
        asked = {"last_by_subj": f"hf.main.keys.{shop.id}"}
        recorded = (await connection.api("STREAM.MSG.GET.HF_main_KEYS", asked))["message"]["data"]
        one.keys.revoke("shop")
        await settled([one, other])
        await put(connection, shop.id, base64.b64decode(recorded))
        await settled([one, other])
        assert {key.state(datetime.now(UTC)) for key in (*one.known(), *other.known())} == {"revoked"}
        assert "revoked" in await stored_in(connection, shop.id)


async def test_a_lost_stream_is_filled_again(server: EmbeddedServer, tmp_path: Path) -> None:
    async with machines(server, tmp_path) as (one, other), connected(server.endpoint) as connection:
        one.keys.add("shop", [Operation.READ])
        other.keys.add("erp", [Operation.FACTS])
        await settled([one, other])
        await connection.api("STREAM.DELETE.HF_main_KEYS")
        one.keys.add("later", [Operation.READ])
        await settled([one, other])
        assert [key.name for key in other.known()] == ["shop", "erp", "later"]
        state = (await connection.api("STREAM.INFO.HF_main_KEYS"))["state"]
        assert state["messages"] == 3


async def test_a_broken_file_is_not_replaced_and_is_said(server: EmbeddedServer, tmp_path: Path) -> None:
    async with machines(server, tmp_path) as (one, other):
        shop, _ = one.keys.add("shop", [Operation.READ])
        await settled([one, other])
        one.keys.path.write_text("{half")
        other.keys.revoke("shop")
        with pytest.raises(Exception, match=r"keys\.json cannot be read"):
            await settled([one, other])
        assert one.keys.path.read_text() == "{half"
        await other.exchange.exchange()
        one.keys.path.unlink()
        await settled([one, other])
        assert [key.id for key in one.known()] == [shop.id]
        assert one.known() == other.known()


async def test_without_nats_the_file_stays_and_the_change_travels_afterwards(tmp_path: Path) -> None:
    place = tmp_path / "nats-of-all"
    async with embedded(place) as server, machines(server, tmp_path) as (one, other):
        shop, _ = one.keys.add("shop", [Operation.READ])
        await settled([one, other])
        await server.stop()
        other.keys.revoke("shop")
        with pytest.raises(LogError):
            await other.exchange.exchange()
        assert one.known() == [shop]
        await server.start()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await settled([one, other])
                    break
                except LogError:
                    await asyncio.sleep(0.2)
        assert one.known() == other.known()
        assert one.known()[0].revoked is not None


async def test_one_process_of_a_machine_does_it_at_a_time(server: EmbeddedServer, tmp_path: Path) -> None:
    async with machines(server, tmp_path) as (one, _):
        again = KeyExchange(one.keys.directory, "main", server.endpoint, LogSettings(), macs())
        first = asyncio.create_task(one.exchange.run())
        one.keys.add("shop", [Operation.READ])
        await asyncio.sleep(0.5)
        second = asyncio.create_task(again.run())
        await asyncio.sleep(0.5)
        assert not again._opened
        await cancel_and_wait(first)
        await until(lambda: again._opened)
        await cancel_and_wait(second)


# ---- whole gateways


async def status_of(port: int, token: str) -> int:
    return (await ask(port, "GET", "/v1/state", Authorization=f"Bearer {token}")).status


async def becomes(port: int, token: str, status: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (found := await status_of(port, token)) != status:
            assert found in {200, 401}
            await asyncio.sleep(0.1)


async def test_a_key_of_one_gateway_opens_the_other_and_is_ended_there(tmp_path: Path) -> None:
    """Two machines with one scope key: separate directories and processes, one NATS."""
    async with embedded(tmp_path / "nats-of-all") as server:
        address = tmp_path / "address"
        address.write_text(server.url)
        address.chmod(0o600)
        served = []
        for name in ("paris", "lyon"):
            directory = tmp_path / name
            (directory / "store").mkdir(parents=True, mode=0o700)
            for secret in ("scope.key", "owner.key"):
                file = directory / "store" / secret
                descriptor = os.open(file, os.O_CREAT | os.O_WRONLY, 0o600)
                os.write(descriptor, SCOPE_SECRET.hex().encode())
                os.close(descriptor)
            served.append(directory)
        options = ("--nats", f"@{address}")
        with (
            serving(served[0], *options, "--node", "paris", "--workers", "2", auth="on") as paris,
            serving(served[1], *options, "--node", "lyon", auth="on") as lyon,
        ):
            made, token = await asyncio.to_thread(KeyStore(served[0] / "store").add, "shop", [Operation.STATE])
            await becomes(paris.port, token, 200)
            await becomes(lyon.port, token, 200)
            metrics = [Operation.METRICS]
            _, reader = await asyncio.to_thread(KeyStore(served[1] / "store").add, "prometheus", metrics)
            await asyncio.to_thread(KeyStore(served[1] / "store").revoke, made.id)
            await becomes(paris.port, token, 401)
            text = (await ask(lyon.port, "GET", "/metrics", Authorization=f"Bearer {reader}")).body.decode()
            assert re.search(r"^holdfast_keys_exchanged_age_seconds{.*} [0-9.]+$", text, re.MULTILINE)
