"""One try to send one event.

In: an item and an endpoint's settings. Out: nothing where the endpoint took it, else an exception that says why not.
Always: only the endpoint's own address is called: redirects are not followed, no proxy is used, and each connection
goes to an address that was checked; of an answer only the beginning is read; a try ends within its time.
"""

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from holdfast.settings import WebhookSettings
from holdfast.spans import spans
from holdfast.traces import TRACEPARENT, header_of
from holdfast.webhooks.addresses import CheckedResolver, networks_of
from holdfast.webhooks.messages import Item, Secrets, SecretsError, headers_of, identity_of

GONE = 410
_RETRY_AFTER_S_MAX = 86_400


class NotTakenError(Exception):
    """The endpoint did not take it. `wait_s`: how long it asks to be left alone."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class EndpointGoneError(Exception):
    """The endpoint says that it wants nothing any more (410)."""


class Sender:
    """Sends to one endpoint: `async with Sender(...) as sender`. Raises ValueError for settings that make no sense."""

    def __init__(self, scope: str, name: str, settings: WebhookSettings) -> None:
        if not settings.url or not settings.secrets:
            raise ValueError(f"[webhook.{name}] needs `url` and `secrets`")
        self._scope, self._name = scope, name
        self._settings = settings
        self._url = URL(settings.url)
        self._secrets = Secrets(Path(settings.secrets))
        self._resolver = CheckedResolver(networks_of(settings.allow), plain=self._url.scheme == "http")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        settings = self._settings
        context = await asyncio.to_thread(ssl.create_default_context, cafile=settings.ca or None)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver, ssl=context, limit=settings.at_once, use_dns_cache=False, ttl_dns_cache=0
            ),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_ms / 1000),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, item: Item) -> None:
        """Raises NotTakenError, EndpointGoneError; SecretsError where nothing can be signed."""
        recording = spans()
        span = recording.begin("webhook", item.trace) if recording is not None and item.trace else None
        if span is None:
            await self._send(item, item.trace)
            return
        fault = "it was cut short"
        try:
            await self._send(item, span.trace)
            fault = ""
        except (NotTakenError, EndpointGoneError, SecretsError) as failure:
            fault = str(failure)
            raise
        finally:
            span.end(f"webhook {self._name}", fault)

    async def _send(self, item: Item, trace: str) -> None:
        assert self._session is not None, "Invariant: used within `async with`"
        signers = await asyncio.to_thread(self._secrets.load)
        try:
            self._check_literal()
            headers = headers_of(identity_of(self._scope, item.place), item.body, signers)
            if parent := header_of(trace):
                headers[TRACEPARENT] = parent
            async with self._session.post(
                self._url, data=item.body, headers=headers, allow_redirects=False
            ) as response:
                status = response.status
                await response.content.read(self._settings.answer_bytes_max)
                wait = response.headers.get("Retry-After", "")
                if not response.content.at_eof():
                    response.close()  # more than an answer needs: not read, and the connection is not used again
        except TimeoutError as error:
            raise NotTakenError(f"no answer within {self._settings.timeout_ms} ms") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotTakenError(f"{type(error).__name__}: {error}"[:300]) from error
        if status == GONE:
            raise EndpointGoneError("the endpoint answered 410: it wants nothing any more")
        if not 200 <= status < 300:
            wait_s = min(int(wait), _RETRY_AFTER_S_MAX) if wait.isascii() and wait.isdigit() else 0
            followed = ", a redirect, which is not followed" if 300 <= status < 400 else ""
            raise NotTakenError(f"it answered {status}{followed}", wait_s)

    def _check_literal(self) -> None:
        """An address in place of a name is never resolved."""
        host = self._url.host or ""
        if ":" in host or host.replace(".", "").isdigit():
            self._resolver.check(host)
