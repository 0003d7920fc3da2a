"""The public keys of an identity provider, as it publishes them (a JWK set).

In: an https address or a file. Out: keys, each for one key id and one algorithm.
Always: they are read beside the requests, bounded in size, time and number, never on a checkout's way; where they
cannot be read, or what comes holds no usable key, the last usable ones stay; a key is public, of a size that is safe,
and of an algorithm that the settings allow.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypeAlias

import aiohttp
import msgspec
import structlog
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from holdfast.gateway.key_file import KeyringError
from holdfast.guarded import OpenToOthersError, require_guarded
from holdfast.settings import TokenSettings

Keys: TypeAlias = Mapping[tuple[str, str], PyJWK]
"""By key id and algorithm."""

RSA_BITS_MIN: Final = 2_048
_OF_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA", "Ed448": "EdDSA"}
_ID_CHARS_MAX: Final = 256

log = structlog.get_logger(__name__)


class UnusableKeysError(Exception):
    """What came is no set of usable keys; the message says why."""


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def usable_keys(content: bytes, settings: TokenSettings) -> Keys:
    """Those of a set that may verify tokens; all else is passed over. Raises UnusableKeysError where none may."""
    try:
        given = msgspec.json.decode(content, type=_KeySet).keys
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnusableKeysError(f"no JWK set: {error}") from error
    if len(given) > settings.keys_max:
        raise UnusableKeysError(f"{len(given)} keys, more than {settings.keys_max}")
    found: dict[tuple[str, str], PyJWK] = {}
    for one in given:
        for name, key in _usable(one, settings.algorithms.split(",")):
            if name in found:
                raise UnusableKeysError("two keys have the same `kid`")
            found[name] = key
    if not found:
        raise UnusableKeysError(f"none of {len(given)} keys is public, has a `kid`, and is for {settings.algorithms}")
    return found


def _usable(one: dict[str, Any], allowed: list[str]) -> Iterator[tuple[tuple[str, str], PyJWK]]:
    name, kind = one.get("kid"), one.get("kty")
    if not isinstance(name, str) or not 1 <= len(name) <= _ID_CHARS_MAX or one.get("use", "sig") != "sig":
        return
    if kind not in {"RSA", "EC", "OKP"} or "d" in one:  # a shared secret, or a private key, has no place here
        return
    fits = _OF_RSA if kind == "RSA" else (_OF_CURVE.get(str(one.get("crv")), ""),)
    for algorithm in fits:
        if algorithm not in allowed or one.get("alg", algorithm) != algorithm:
            continue
        try:
            key = PyJWK(one, algorithm)
        except (PyJWTError, ValueError, TypeError, KeyError, OverflowError):
            continue
        if kind != "RSA" or key.key.key_size >= RSA_BITS_MIN:
            yield (name, algorithm), key


class Jwks:
    """The keys of one provider, kept up to date. `version` grows when they change."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._wanted = asyncio.Event()
        self._content: bytes | None = None
        self._read_s = self._tried_s = monotonic()
        self._fault = ""
        self.keys: Keys = {}
        self.version = 0

    def age_s(self) -> float:
        """How long ago they were read."""
        return monotonic() - self._read_s

    def want_again(self) -> None:
        """A key is named that is not known: read them again soon, beside the requests."""
        self._wanted.set()

    async def open(self) -> None:
        """The first time. Raises KeyringError for a file that cannot be used; an address may be reached later."""
        await self.refresh()
        if self._fault and self._settings.keys.startswith("/"):
            raise KeyringError(f"tokens.keys: {self._settings.keys}: {self._fault}")

    async def refresh(self) -> None:
        """Read them. What cannot be used is logged, and those that are known stay."""
        self._tried_s = monotonic()
        self._wanted.clear()
        try:
            content = await self._fetched()
            if content != self._content:
                keys = usable_keys(content, self._settings)
                self._content, self.keys = content, keys
                self.version += 1
                log.info("token-keys-read", keys=sorted({name for name, _ in keys}))
            self._read_s, self._fault = monotonic(), ""
        except (UnusableKeysError, OpenToOthersError, OSError, aiohttp.ClientError, ValueError) as error:
            fault = "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            level = log.error if self.age_s() * 1000 > self._settings.oldest_ms else log.warning
            level("token-keys-unreadable", why=fault, where=self._settings.keys, kept=len(self.keys))
            self._fault = fault

    async def run(self) -> None:
        """Keep them up to date, until cancelled."""
        again_s = self._settings.again_ms / 1000
        while True:
            pause_s = again_s if self._fault else self._settings.refresh_ms / 1000 * random.uniform(0.9, 1.0)  # noqa: S311
            try:
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()
                await asyncio.sleep(self._tried_s + again_s - monotonic())
            except TimeoutError:
                pass
            await self.refresh()

    async def _fetched(self) -> bytes:
        settings = self._settings
        if settings.keys.startswith("/"):
            return await asyncio.to_thread(_file, Path(settings.keys), settings.fetch_bytes_max)
        timeout = aiohttp.ClientTimeout(total=settings.fetch_timeout_ms / 1000)
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.get(settings.keys, allow_redirects=False, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status != 200:
                raise UnusableKeysError(f"status {answer.status}")
            content = bytearray()
            async for part in answer.content.iter_any():
                content += part
                if len(content) > settings.fetch_bytes_max:
                    raise UnusableKeysError(f"more than {settings.fetch_bytes_max} bytes")
            return bytes(content)


def _file(path: Path, bytes_max: int) -> bytes:
    require_guarded(path)
    with path.open("rb") as file:
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise UnusableKeysError(f"more than {bytes_max} bytes")
    return content
