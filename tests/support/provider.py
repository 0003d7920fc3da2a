"""An identity provider to try: it has keys, publishes them over HTTP as a JWK set, and issues tokens.

In: which keys, and how it behaves (slow, down, lying). Out: tokens, and what it was asked.
Always: keys and signatures are real; only the person who would log in is missing.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from time import time
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from holdfast.gateway.gate import KeyGate
from holdfast.gateway.keyring import Keyring
from holdfast.gateway.tokens import Tokens
from holdfast.settings import GatewaySettings, TokenSettings
from tests.support.gateway import Response, StubNode, ask, listening

PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'
ISSUER, AUDIENCE = "https://login.example/realms/shop", "holdfast"


def private_key(name: str, kind: str = "RSA", bits: int = 2_048) -> Any:
    """One for each name, made once."""
    return _made(name, kind, bits)


@cache
def _made(name: str, kind: str, bits: int) -> Any:
    del name
    if kind == "RSA":
        return rsa.generate_private_key(65_537, bits)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "EC" else ed25519.Ed25519PrivateKey.generate()


def public_jwk(name: str, kind: str = "RSA", *, bits: int = 2_048, **more: Any) -> dict[str, Any]:
    """As a JWK set has it."""
    public = private_key(name, kind, bits).public_key()
    to_jwk = {"RSA": RSAAlgorithm.to_jwk, "EC": ECAlgorithm.to_jwk, "OKP": OKPAlgorithm.to_jwk}[kind]
    return {**json.loads(to_jwk(public)), "kid": name, "use": "sig", **more}  # type: ignore[operator]


def claims(**others: Any) -> dict[str, Any]:
    """Those of a token that is right, with others in their place; None leaves one out."""
    now = time()
    right = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "shop-1",
        "iat": int(now),
        "exp": int(now) + 600,
        "scope": "openid read reserve",
        "channels": ["web"],
    }
    return {name: value for name, value in (right | others).items() if value is not None}


def token(name: str = "k1", kind: str = "RSA", *, algorithm: str = "RS256", head: Any = None, **others: Any) -> str:
    """Signed by the key of this name."""
    headers = {"kid": name, **(head or {})}
    return jwt.encode(claims(**others), private_key(name, kind), algorithm=algorithm, headers=headers)


@dataclass
class Provider:
    """What it answers; `asked` counts."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [public_jwk("k1")])
    answer: Callable[[], web.StreamResponse] | None = None
    delay_s: float = 0.0
    asked: int = 0
    url: str = ""

    async def handle(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        await asyncio.sleep(self.delay_s)
        return self.answer() if self.answer is not None else web.json_response({"keys": self.keys})


@asynccontextmanager
async def provider(port: int = 0) -> AsyncIterator[Provider]:
    """One that listens on loopback."""
    made = Provider()
    app = web.Application()
    app.router.add_get("/jwks", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    try:
        yield made
    finally:
        await runner.cleanup()


def settings(keys: str, **others: Any) -> TokenSettings:
    made = TokenSettings(
        issuer=ISSUER, audience=AUDIENCE, keys=keys, wrong_wait_ms=1, again_ms=50, fetch_timeout_ms=300
    )
    return replace(made, **others)


def key_file(directory: Path, *keys: dict[str, Any]) -> str:
    path = directory / "jwks.json"
    path.write_text(json.dumps({"keys": list(keys)}))
    return str(path)


def part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def unsigned(head: dict[str, Any], body: Any = None, signature: str = "") -> str:
    return f"{part(head)}.{part(claims() if body is None else body)}.{signature}"


@asynccontextmanager
async def gateway(directory: Path, known: TokenSettings) -> AsyncIterator[tuple[StubNode, int, Tokens]]:
    node, tokens = StubNode(), Tokens(known)
    gate = KeyGate(Keyring(directory), tokens=tokens)
    await gate.open()
    async with listening(node, gate=gate, settings=GatewaySettings(shutdown_ms=100)) as (_, port):
        yield node, port, tokens


async def put(port: int, given: str) -> Response:
    return await ask(port, "PUT", "/v1/reservations/a", PUT, authorization=f"Bearer {given}", host="shop.example")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)
