"""A provider that rotates its keys, is slow, is down, or lies: the last usable keys stay, and no request waits."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from holdfast.gateway.jwks import Jwks
from holdfast.gateway.keyring import KeyringError, KeyStore, Operation
from tests.support.ports import free_port
from tests.support.provider import (
    Provider,
    gateway,
    key_file,
    provider,
    public_jwk,
    put,
    settings,
    token,
    unsigned,
    until,
)


async def test_a_provider_that_rotates_its_keys(tmp_path: Path) -> None:
    """A key that is not known has the keys read again, beside the request; one that was withdrawn ends its tokens."""
    async with (
        provider() as login,
        gateway(tmp_path, settings(login.url, refresh_ms=3_600_000)) as (_, port, tokens),
    ):
        assert (await put(port, token("k1"))).status == 201
        login.keys = [public_jwk("k1"), public_jwk("k2")]
        first = await put(port, token("k2"))
        assert first.status == 401
        await until(lambda: tokens.jwks.version == 2)
        assert (await put(port, token("k2"))).status == 201
        assert (await put(port, token("k1"))).status == 201, "both, while they overlap"
        login.keys = [public_jwk("k2")]
        await tokens.jwks.refresh()
        assert (await put(port, token("k1"))).status == 401
        assert (await put(port, token("k2"))).status == 201


async def test_unknown_keys_do_not_make_it_ask_more_often(tmp_path: Path) -> None:
    async with provider() as login:
        known = settings(login.url, refresh_ms=3_600_000, again_ms=3_600_000)
        async with gateway(tmp_path, known) as (_, port, _tokens):
            for number in range(30):
                assert (await put(port, unsigned({"alg": "RS256", "kid": f"x{number}"}))).status == 401
        assert login.asked == 1


def large() -> web.StreamResponse:
    return web.Response(body=b" " * 1_000_000)


LIES: dict[str, Callable[[Provider], Any]] = {
    "down": lambda login: setattr(login, "answer", lambda: web.Response(status=503)),
    "slow": lambda login: setattr(login, "delay_s", 3_600.0),
    "elsewhere": lambda login: setattr(
        login, "answer", lambda: web.Response(status=302, headers={"Location": login.url})
    ),
    "nonsense": lambda login: setattr(login, "answer", lambda: web.Response(text="<html>")),
    "deep": lambda login: setattr(login, "answer", lambda: web.Response(text="[" * 100_000)),
    "large": lambda login: setattr(login, "answer", large),
    "empty": lambda login: login.keys.clear(),
    "many": lambda login: login.keys.extend(public_jwk("k1", kid=str(n)) for n in range(100)),
    "twice the same": lambda login: login.keys.append(public_jwk("k2", kid="k1")),
    "a shared secret": lambda login: setattr(login, "keys", [{"kty": "oct", "kid": "k1", "k": "AAAA", "alg": "HS256"}]),
    "a small key": lambda login: setattr(login, "keys", [public_jwk("small", bits=1_024)]),
    "a private key": lambda login: setattr(login, "keys", [public_jwk("k1", d="AAAA")]),
    "for encryption": lambda login: setattr(login, "keys", [public_jwk("k1", use="enc")]),
    "without ids": lambda login: setattr(login, "keys", [public_jwk("k1", kid=None)]),
    "half a key": lambda login: setattr(login, "keys", [{"kty": "RSA", "kid": "k1", "n": "AQAB"}]),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_provider_that_is_down_slow_or_lies_leaves_the_last_keys(tmp_path: Path, lie: str) -> None:
    async with provider() as login, gateway(tmp_path, settings(login.url)) as (_, port, tokens):
        assert (await put(port, token())).status == 201
        LIES[lie](login)
        asked, known = login.asked, tokens.jwks._settings
        if lie == "slow":
            tokens.jwks._settings = replace(known, fetch_timeout_ms=100)
        await asyncio.wait_for(tokens.jwks.refresh(), 60)
        tokens.jwks._settings = known
        assert login.asked > asked or lie == "slow"
        assert tokens.jwks.version == 1
        assert (await put(port, token(sub="another"))).status == 201
        login.answer, login.delay_s, login.keys = None, 0.0, [public_jwk("k1"), public_jwk("k2")]
        await tokens.jwks.refresh()
        assert tokens.jwks.version == 2
        assert (await put(port, token("k2"))).status == 201


async def test_a_provider_that_is_down_at_the_start_is_found_later(tmp_path: Path) -> None:
    port_of_login = free_port()
    known = settings(f"http://127.0.0.1:{port_of_login}/jwks")
    _, key = KeyStore(tmp_path).add("shop", [Operation.RESERVE])
    async with gateway(tmp_path, known) as (_, port, tokens):
        assert (await put(port, token())).status == 401
        assert (await put(port, key)).status == 201
        async with provider(port_of_login):
            await until(lambda: tokens.jwks.version == 1)
        assert (await put(port, token())).status == 201


async def test_a_file_that_cannot_be_used_stops_the_start_and_a_changed_one_is_read(tmp_path: Path) -> None:
    for content in ("", "{}", '{"keys":[]}'):
        (tmp_path / "jwks.json").write_text(content)
        with pytest.raises(KeyringError, match=r"jwks\.json"):
            await Jwks(settings(str(tmp_path / "jwks.json"))).open()
    jwks = Jwks(settings(key_file(tmp_path, public_jwk("k1"))))
    await jwks.open()
    key_file(tmp_path, public_jwk("k2"))
    await jwks.refresh()
    assert {name for name, _ in jwks.keys} == {"k2"}
    (tmp_path / "jwks.json").chmod(0o666)
    key_file(tmp_path, public_jwk("k3"))
    await jwks.refresh()
    assert {name for name, _ in jwks.keys} == {"k2"}, "others may change that file"
