"""Sending a request until there is an answer, or until its time and tries are used up.

In: a method, a path, a body. Out: status and body of an answer below 300, or an exception of client.errors.
Always: only the gateway that was named is called: redirects are not followed; what is sent again is the same request,
byte by byte; the number of tries and the time they take are bounded.
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Self

import aiohttp
import msgspec
from yarl import URL

from holdfast.client.errors import (
    InvalidAddressError,
    ProblemError,
    UnavailableError,
    UnreachableError,
    error_for,
    unreadable,
)
from holdfast.contracts.problems import decode_problem
from holdfast.traces import CURRENT, TRACEPARENT, header_of

SEQUENCE = "Holdfast-Sequence"
IDEMPOTENCY_KEY = "Idempotency-Key"
EXAMPLE = "write it like http://127.0.0.1:8080"
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and for how long a request is sent again after a 503 or a lost connection.

    The wait is Retry-After where one is given, else it doubles from `first_wait_s`; each is drawn from its upper half,
    so that many clients do not return at the same time.
    """

    tries_max: int = 5
    total_s: float = 15.0
    first_wait_s: float = 0.1
    wait_s_max: float = 5.0


NO_RETRY = Retry(tries_max=1)


def address_of(url: str) -> str:
    """A gateway's address, such as http://127.0.0.1:8080, without a slash at its end. Raises InvalidAddressError."""
    try:
        parts = URL(url)
        host, port = parts.raw_host or "", parts.explicit_port
    except ValueError as error:
        raise InvalidAddressError(f"{url!r} is not a gateway's address ({error}); {EXAMPLE}") from error
    if parts.scheme not in {"http", "https"} or port == 0 or not (_HOST.fullmatch(host) or ":" in host):
        raise InvalidAddressError(f"{url!r} is not a gateway's address; {EXAMPLE}")
    if parts.raw_query_string or parts.raw_fragment or not parts.path.isprintable():
        raise InvalidAddressError(f"{url!r} is more than a gateway's address; {EXAMPLE}")
    return str(parts).rstrip("/")


class Transport:
    """A pool of connections to one gateway. `sequence` is the highest LOG sequence that an answer named."""

    def __init__(self, url: str, key: str | None, *, timeout_s: float, connections_max: int, retry: Retry) -> None:
        self._base = address_of(url)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._connections_max = connections_max
        self._retry = retry
        self._session: aiohttp.ClientSession | None = None
        self.sequence = 0
        self.repeated = 0

    async def open(self) -> Self:
        """Be ready to send."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections_max),
                timeout=self._timeout,
                headers=self._headers,
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept"),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self, method: str, path: str, body: bytes | None = None, *, key: str | None = None, once: bool = False
    ) -> tuple[int, bytes]:
        """The answer's status and body. `path` is percent-encoded already.

        `key`: the idempotency key, the same on each try. `once`: it is never sent again.
        Raises the exception of the problem that it ends in, or UnreachableError.
        """
        retry = self._retry
        headers = {IDEMPOTENCY_KEY: key} if key is not None else {}
        if parent := header_of(CURRENT.get()):
            headers[TRACEPARENT] = parent
        loop = asyncio.get_running_loop()
        deadline = loop.time() + retry.total_s
        wait_s = retry.first_wait_s
        for tries_left in range(0 if once else retry.tries_max - 1, -1, -1):
            failure: UnavailableError | UnreachableError
            try:
                return await self._once(method, path, body, headers)
            except UnavailableError as error:
                failure = error
                pause_s = error.retry_after_s or wait_s
            except UnreachableError as error:
                failure, pause_s = error, wait_s
            pause_s = min(pause_s, retry.wait_s_max) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads the load
            if not tries_left or loop.time() + pause_s > deadline:
                raise failure
            self.repeated += 1
            wait_s *= 2
            await asyncio.sleep(pause_s)
        raise AssertionError("a Retry has at least one try")

    async def stream(self, path: str, headers: dict[str, str], silence_s: float) -> AsyncGenerator[bytes, None]:
        """An answer that goes on, piece by piece. Raises as `send` does, and UnreachableError after `silence_s` without
        any byte.
        """
        if self._session is None:
            raise RuntimeError("use the client within `async with`, or open it first")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout.total, sock_read=silence_s)
        url = URL(self._base + path, encoded=True)
        try:
            async with self._session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
                if response.status >= 300:
                    raise _failure(response.status, await response.read(), response.headers.get("Retry-After", ""))
                async for piece in response.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(f"{self._base} did not go on ({str(error) or type(error).__name__})") from error

    def pauses(self) -> Iterator[float]:
        """How long to wait before each further try, in seconds, without end."""
        wait_s = self._retry.first_wait_s
        while True:
            yield min(wait_s, self._retry.wait_s_max) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads the load
            wait_s = min(wait_s * 2, self._retry.wait_s_max)

    @property
    def patience_s(self) -> float:
        """How long to try."""
        return self._retry.total_s

    async def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("use the client within `async with`, or open it first")
        try:
            async with self._session.request(
                method, URL(self._base + path, encoded=True), data=body, headers=headers, allow_redirects=False
            ) as response:
                answer = await response.read()
                status = response.status
                response_headers = response.headers
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(f"{self._base} did not answer ({str(error) or type(error).__name__})") from error
        sequence = response_headers.get(SEQUENCE, "")
        if sequence.isdigit():
            self.sequence = max(self.sequence, int(sequence))
        if status >= 300:
            raise _failure(status, answer, response_headers.get("Retry-After", ""))
        return status, answer


def _failure(status: int, body: bytes, retry_after: str) -> ProblemError:
    try:
        problem = decode_problem(body)
    except msgspec.DecodeError:
        return unreadable(status, body)
    return error_for(problem, float(retry_after) if retry_after.isdigit() else None)
