"""Who may come in: keys with operations and channels, renewed without a restart; and loopback alone without keys."""

import asyncio
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from holdfast.gateway.gate import KeyGate, LoopbackGate, is_loopback
from holdfast.gateway.keyring import Keyring, KeyringError, KeyStore, Operation
from tests.support.gateway import Response, StubNode, ask, listening

PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'
FACTS = b'{"source":"acme","facts":[{"kind":"x"}]}'
CALLS = {
    Operation.READ: ("GET", "/v1/availability/A?channel=web", b""),
    Operation.RESERVE: ("PUT", "/v1/reservations/a", PUT),
    Operation.ORDER: ("POST", "/v1/reservations/a/confirm", b""),
    Operation.FACTS: ("POST", "/v1/facts", FACTS),
    Operation.STATE: ("GET", "/v1/state", b""),
    Operation.METRICS: ("GET", "/metrics", b""),
}


def node() -> StubNode:
    def read(*_: object) -> tuple[int, bytes]:
        return 200, b"{}"

    engine = SimpleNamespace(
        availability=read,
        explain=read,
        validate=read,
        reservation=read,
        scope="main",
        sequence=7,
        digest=lambda: "0" * 32,
        totals=lambda: b"{}",
    )
    return StubNode(engine=engine)


def key_gate(directory: Path) -> KeyGate:
    keyring = Keyring(directory)
    keyring.reload()
    return KeyGate(keyring)


async def with_key(port: int, token: str, operation: Operation) -> Response:
    method, target, body = CALLS[operation]
    return await ask(port, method, target, body, authorization=f"Bearer {token}", host="shop.example")


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic aGY6eA==", "Bearer hf_", "Bearer hf_aaaaaaaaaa_x", "Bearer caf\xe9"],
)
async def test_without_a_key_nothing_is_told(tmp_path: Path, authorization: str | None) -> None:
    KeyStore(tmp_path).add("shop", list(Operation))
    async with listening(node(), gate=key_gate(tmp_path)) as (_, port):
        headers = {} if authorization is None else {"authorization": authorization}
        for method, target, body in CALLS.values():
            answer = await ask(port, method, target, body, **headers)
            assert (answer.status, answer.problem) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_what_is_for_everyone_needs_no_key(tmp_path: Path) -> None:
    async with listening(node(), gate=key_gate(tmp_path)) as (_, port):
        for target in ("/livez", "/readyz", "/openapi.json", "/docs"):
            assert (await ask(port, "GET", target)).status == 200


@pytest.mark.parametrize("operation", sorted(CALLS))
async def test_a_key_allows_its_operations_and_no_other(tmp_path: Path, operation: Operation) -> None:
    _, token = KeyStore(tmp_path).add("one", [operation])
    async with listening(node(), gate=key_gate(tmp_path)) as (_, port):
        for other in CALLS:
            answer = await with_key(port, token, other)
            assert answer.status in ({200, 201, 202} if other is operation else {403}), (operation, other)


async def test_the_node_is_told_the_key_and_its_channels(tmp_path: Path) -> None:
    key, token = KeyStore(tmp_path).add("shop", [Operation.RESERVE, Operation.READ], ["web", "app"])
    behind = node()
    async with listening(behind, gate=key_gate(tmp_path)) as (_, port):
        assert (await with_key(port, token, Operation.RESERVE)).status == 201
        assert behind.submitted[0].channels == ("web", "app")
        assert behind.submitted[0].by == key.id
        assert (await with_key(port, token, Operation.READ)).status == 200
        foreign = await ask(port, "GET", "/v1/availability/A?channel=pos", authorization=f"Bearer {token}")
        assert (foreign.status, foreign.problem) == (403, "forbidden")


async def test_a_wrong_secret_of_a_known_key_is_refused(tmp_path: Path) -> None:
    _, token = KeyStore(tmp_path).add("shop", list(Operation))
    async with listening(node(), gate=key_gate(tmp_path)) as (_, port):
        for wrong in (token[:-1], token + "x", token.upper(), token.replace("hf_", "gh_")):
            assert (await with_key(port, wrong, Operation.READ)).status == 401
        assert (await with_key(port, token, Operation.READ)).status == 200


async def test_a_new_key_works_at_once_and_a_revoked_one_soon_does_not(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.add("first", [Operation.READ])
    async with listening(node(), gate=key_gate(tmp_path)) as (_, port):
        _, token = store.add("second", [Operation.READ])
        assert (await with_key(port, token, Operation.READ)).status == 200
        store.revoke("second")
        deadline = time.monotonic() + 2
        while (await with_key(port, token, Operation.READ)).status == 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert (await with_key(port, token, Operation.READ)).problem == "unauthenticated"


async def test_keys_reach_another_machine_with_their_file_while_it_runs(tmp_path: Path) -> None:
    """As docs/deploy.md says: the file is replaced in one step; half of one is not taken."""
    here, there = tmp_path / "here", tmp_path / "there"
    for directory in (here, there):
        directory.mkdir(mode=0o700)
    store = KeyStore(here)
    _, token = store.add("shop", [Operation.READ])
    KeyStore(there).add("other", [Operation.READ])

    def copied() -> None:
        arriving = there / ".keys.json.arriving"
        shutil.copy2(here / "keys.json", arriving)
        arriving.replace(there / "keys.json")

    async with (
        listening(node(), gate=key_gate(here)) as (_, first),
        listening(node(), gate=key_gate(there)) as (_, second),
    ):
        assert (await with_key(first, token, Operation.READ)).status == 200
        assert (await with_key(second, token, Operation.READ)).status == 401
        copied()
        await until(second, token, 200)
        store.revoke("shop")
        await until(first, token, 401)
        assert (await with_key(second, token, Operation.READ)).status == 200, "until the file is copied"
        half = (here / "keys.json").read_bytes()[:-9]
        (there / "keys.json").write_bytes(half)
        await asyncio.sleep(0.6)
        assert (await with_key(second, token, Operation.READ)).status == 200, "the keys before half a file stay"
        copied()
        await until(second, token, 401)


async def until(port: int, token: str, status: int) -> None:
    deadline = time.monotonic() + 5
    while (await with_key(port, token, Operation.READ)).status != status:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_rotation_leaves_no_moment_without_a_working_key(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    _, old = store.add("shop", [Operation.READ])
    async with listening(node(), gate=key_gate(tmp_path)) as (_, port):
        _, new = store.rotate("shop", overlap_s=1.5)
        for _ in range(10):
            assert (await with_key(port, old, Operation.READ)).status == 200
            assert (await with_key(port, new, Operation.READ)).status == 200
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.2)
        assert (await with_key(port, old, Operation.READ)).status == 401
        assert (await with_key(port, new, Operation.READ)).status == 200


async def test_a_key_ends_when_it_expires_even_if_it_was_just_used(tmp_path: Path) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=0.6)
    _, token = KeyStore(tmp_path).add("guest", [Operation.READ], expires=ends)
    async with listening(node(), gate=key_gate(tmp_path)) as (_, port):
        assert (await with_key(port, token, Operation.READ)).status == 200
        await asyncio.sleep(0.7)
        answer = await with_key(port, token, Operation.READ)
        assert answer.status == 401
        assert "expired" in answer.json["detail"]


async def test_an_unreadable_key_file_keeps_the_keys_before_it(tmp_path: Path) -> None:
    _, token = KeyStore(tmp_path).add("shop", [Operation.READ])
    gate = key_gate(tmp_path)
    async with listening(node(), gate=gate) as (_, port):
        assert (await with_key(port, token, Operation.READ)).status == 200
        (tmp_path / "keys.json").write_text("{")
        await gate.reload()
        assert (await with_key(port, token, Operation.READ)).status == 200


async def test_a_key_with_a_rate_is_slowed_down(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    _, slow = store.add("slow", [Operation.READ], rate_per_s=5)
    _, free = store.add("free", [Operation.READ])
    async with listening(node(), gate=key_gate(tmp_path)) as (_, port):
        statuses = [(await with_key(port, slow, Operation.READ)) for _ in range(20)]
        refused = [answer for answer in statuses if answer.status == 429]
        assert 10 <= len(refused) <= 15, "a burst of a second's worth passes"
        assert refused[0].problem == "rate-limited"
        assert int(refused[0].headers["retry-after"]) >= 1
        assert (await with_key(port, free, Operation.READ)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "shop.example"},
        {"host": "127.0.0.1.shop.example"},
        {"host": "localhost.shop.example:8080"},
        {"host": "10.0.0.1"},
        {"host": "[::2]"},
        {"host": ""},
        {"host": "demo.localhost"},
        {"host": "127.0.0.1.evil"},
        {"host": "localhost."},
        {"host": "2130706433"},
        {"host": "0x7f.1"},
        {"host": "127.1"},
        {"host": "127.0.0.01"},
        {"host": "shop@127.0.0.1"},
        {"host": "127.0.0.1@evil.example"},
        {"host": "127.0.0.1:8080:80"},
        {"host": "127.0.0.1:0"},
        {"host": "127.0.0.1/"},
        {"host": "[::ffff:127.0.0.1]"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://localhost@evil.example"},
        {"origin": "//127.0.0.1"},
        {"forwarded": "for=1.2.3.4"},
        {"x_forwarded_for": "1.2.3.4"},
        {"x_forwarded_host": "shop.example"},
        {"x_forwarded_proto": "https"},
        {"x_real_ip": "1.2.3.4"},
        {"via": "1.1 proxy"},
        {"origin": "https://shop.example"},
        {"origin": "null"},
    ],
)
async def test_without_keys_only_this_machine_is_served(headers: dict[str, str]) -> None:
    async with listening(node()) as (_, port):
        for method, target, body in (("PUT", "/v1/reservations/a", PUT), ("GET", "/livez", b""), ("GET", "/docs", b"")):
            answer = await ask(port, method, target, body, **headers)
            assert (answer.status, answer.problem) == (403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8080"},
        {"host": "127.0.0.9"},
        {"host": "localhost"},
        {"host": "LOCALHOST:1"},
        {"host": "[::1]:8080"},
        {"origin": "http://127.0.0.1:8080"},
        {"user_agent": "x", "fancy": "f", "x_trace": "t", "vary": "v"},
    ],
)
async def test_this_machine_goes_by_several_names(headers: dict[str, str]) -> None:
    async with listening(node()) as (_, port):
        assert (await ask(port, "PUT", "/v1/reservations/a", PUT, **headers)).status == 201


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(f"[{host}]" if ":" in host else host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "example.org", "", "[", "127.0.0.1@example.org", "[::]"])
def test_what_is_not_loopback_is_not_taken_for_it(host: str) -> None:
    assert not is_loopback(host)


def test_the_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    KeyStore(tmp_path).add("shop", [Operation.READ])
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


def test_a_keyring_without_a_file_is_empty(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path)
    assert not keyring.reload()
    assert len(keyring) == 0
    assert keyring.find("hf_aaaaaaaaaa_secret") is None


def test_a_key_for_some_channels_has_no_operation_over_all(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="all channels"):
        KeyStore(tmp_path).add("shop", [Operation.READ, Operation.POLICIES], ["web"])


def test_the_loopback_gate_remembers_only_so_many_hosts() -> None:
    gate = LoopbackGate()
    for number in range(1_000):
        gate._remember(f"host-{number}")
    assert len(gate._hosts) <= 64
