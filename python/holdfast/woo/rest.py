"""The REST API of a shop.

Role: one request and its answer. In: a store's address and REST key. Out: parsed JSON with its headers and how long it
took, or why there is none. Always: the key goes by Basic authentication over HTTPS, and is never sent over plain HTTP:
there each request is signed (OAuth 1.0a); redirects are not followed, for they would take the key elsewhere; a request
without an answer may have been done.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

BYTES_MAX = 64 * 1024 * 1024
_WC = "/wp-json/wc/v3/"
PLUGIN = "/wp-json/holdfast/v1/"


class ShopError(Exception):
    """The shop did not do what was asked. `status` 0: no answer, and what became of the request is not known."""

    def __init__(self, why: str, *, status: int = 0, code: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in {0, 408, 425, 429} or self.status >= 500


@dataclass(frozen=True, slots=True)
class Answer:
    """`asked_s`: the shop's clock when the request was sent, in seconds since 1970."""

    value: Any
    headers: Mapping[str, str]
    took_s: float
    asked_s: float


class Shop:
    """A shop's REST API. Use within `async with`."""

    def __init__(self, url: str, key: tuple[str, str], timeout_ms: int) -> None:
        self.url = url.rstrip("/")
        self._key = key
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
        self._session: aiohttp.ClientSession | None = None
        self.requests_total = 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "holdfast", "Accept": "application/json"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, **query: Any) -> Answer:
        """`path` below the API of WooCommerce, or below the site where it begins with a slash. Raises ShopError."""
        return await self.send("GET", path, query)

    async def send(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Answer:
        """Raises ShopError."""
        url = self.url + (path if path.startswith("/") else _WC + path)
        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        headers = {}
        content = None
        if body is not None:
            content, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        if url.startswith("https://"):
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self._key).encode()).decode()
        else:
            given = signed(method, url, given, self._key, int(time.time()), secrets.token_hex(16))
        whole = URL(f"{url}?{urlencode(given, quote_via=quote)}" if given else url, encoded=True)
        assert self._session is not None, "Invariant: opened"
        self.requests_total += 1
        began = time.monotonic()
        try:
            async with self._session.request(
                method, whole, data=content, headers=headers, allow_redirects=False
            ) as response:
                raw = await response.content.read(BYTES_MAX + 1)
                while len(raw) <= BYTES_MAX and (more := await response.content.read(BYTES_MAX)):
                    raw += more
                status, answered = response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise ShopError(f"{self.url} did not answer ({str(fault) or type(fault).__name__})") from fault
        took_s = time.monotonic() - began
        return Answer(self._read(method, path, status, raw, answered), answered, took_s, _clock(answered) - took_s)

    def _read(self, method: str, path: str, status: int, raw: bytes, headers: Mapping[str, str]) -> Any:
        what = f"{method} {path}"
        if 300 <= status < 400:
            where = headers.get("Location", "elsewhere").partition("?")[0]
            raise ShopError(f"{what}: the shop redirects to {where}; give its address as it is there", status=status)
        if len(raw) > BYTES_MAX:
            raise ShopError(f"{what}: the answer is larger than {BYTES_MAX} bytes", status=502)
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            said = " ".join(raw[:300].decode("utf-8", "replace").split())[:120]
            raise ShopError(
                f"{what}: no JSON (HTTP status {status}: {said!r})",
                status=status if status >= 400 else 502,
                retry_after_s=_wait(headers),
            ) from None
        if status >= 400:
            code = value.get("code", "") if isinstance(value, dict) else ""
            message = value.get("message", "") if isinstance(value, dict) else ""
            raise ShopError(
                f"{what}: {status} {code}: {message}"[:400],
                status=status,
                code=str(code),
                retry_after_s=_wait(headers),
            )
        return value


def signed(
    method: str, url: str, query: Mapping[str, str], key: tuple[str, str], now_s: int, nonce: str
) -> dict[str, str]:
    """The query with the signature of OAuth 1.0a, one-legged, by HMAC-SHA256."""
    given = {
        **query,
        "oauth_consumer_key": key[0],
        "oauth_nonce": nonce,
        "oauth_signature_method": "HMAC-SHA256",
        "oauth_timestamp": str(now_s),
    }
    pairs = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in given.items())
    text = "&".join(f"{name}={value}" for name, value in pairs)
    base = "&".join(quote(part, safe="~") for part in (method.upper(), url, text))
    digest = hmac.new(f"{key[1]}&".encode(), base.encode(), hashlib.sha256).digest()
    return {**given, "oauth_signature": base64.b64encode(digest).decode()}


def _clock(headers: Mapping[str, str]) -> float:
    """The shop's clock; ours where it says none."""
    try:
        return parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return time.time()


def _wait(headers: Mapping[str, str]) -> float | None:
    """Retry-After, as seconds or as a date; WooCommerce's Store API has another header for it."""
    given = headers.get("Retry-After") or headers.get("RateLimit-Retry-After")
    if not given:
        return None
    try:
        return max(0.0, float(given))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - _clock(headers))
    except (ValueError, TypeError):
        return None
