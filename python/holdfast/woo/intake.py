"""Deliveries of webhooks: what is signed is stored, and answered.

Role: the part of a gateway that takes WooCommerce's webhooks. In: a store's name, headers, the raw body. Out: a
verdict; what of the body matters for stock, in the stream of deliveries. Always: the signature is computed over the
bytes that came, before anything reads them, and compared in constant time; a ping is unsigned and changes nothing; what
is signed is never refused for what it says; nothing is deduplicated here (a delivery's id is not unique); the answer
comes within `woo.delivery_ms`.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog

from holdfast.errors import UnreachableError
from holdfast.nats.appender import Stored, parse_reply
from holdfast.nats.connection import Connection, Endpoint
from holdfast.settings import LogSettings, WooSettings
from holdfast.tasks import cancel_and_wait
from holdfast.woo.outlets import WooStreams, ensure
from holdfast.woo.snapshots import essence_of, number_of
from holdfast.woo.stores import STORE, Files, StoreError

log = structlog.get_logger(__name__)

SIGNATURE, TOPIC = "X-WC-Webhook-Signature", "X-WC-Webhook-Topic"
_PING = re.compile(rb"webhook_id=[0-9]{1,20}")
_TOPIC = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_STORES_MAX = 1_024
_MARGIN_BYTES = 2_048


class Verdict(StrEnum):
    """What became of a delivery."""

    TAKEN = "taken"
    PING = "ping"
    NO_STORE = "no-store"
    UNSIGNED = "unsigned"
    FORGED = "forged"


def signature_of(body: bytes, secret: str) -> str:
    """As WooCommerce computes it."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def is_signed(body: bytes, given: str, secrets: list[str]) -> bool:
    """Whether one of the secrets made the signature. Each is tried, so the time says nothing of which."""
    found = [
        hmac.compare_digest(signature_of(body, secret).encode(), given.encode(errors="replace")) for secret in secrets
    ]
    return any(found)


class Intake:
    """Takes deliveries. `warm` connects beforehand where there are stores."""

    def __init__(
        self, directory: Path, scope: str, endpoint: Endpoint, settings: WooSettings, logs: LogSettings
    ) -> None:
        self._directory = directory
        self._streams = WooStreams(scope)
        self._connection = Connection(endpoint, logs, "woo-intake")
        self._settings = settings
        self._logs = logs
        self._secrets: dict[str, tuple[float, list[str]]] = {}
        self._opening: asyncio.Task[None] | None = None

    async def warm(self) -> None:
        """Connect now, if there is any store."""
        if await asyncio.to_thread(lambda: any((self._directory / "woo").glob("*.secrets"))):
            _connecting = self._open()

    async def close(self) -> None:
        """Disconnect."""
        await cancel_and_wait(self._opening)
        await self._connection.close()

    async def take(self, store: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Judge and store one delivery. Raises UnreachableError where it cannot be stored in time."""
        secrets = await self._secrets_of(store)
        if not secrets:
            return Verdict.NO_STORE
        given = headers.get(SIGNATURE)
        if given is None:
            return Verdict.PING if _PING.fullmatch(body) else Verdict.UNSIGNED
        if not is_signed(body, given, secrets):
            return Verdict.FORGED
        topic = headers.get(TOPIC, "")
        topic = topic if _TOPIC.fullmatch(topic) else "unknown"
        kept = essence_of(body) if topic.startswith("order.") else b"{}"
        try:
            async with asyncio.timeout(self._settings.delivery_ms / 1000):
                await self._store(self._streams.delivery(store, topic), kept)
        except TimeoutError:
            raise UnreachableError("the stream of deliveries did not answer in time") from None
        return Verdict.TAKEN

    async def _store(self, subject: str, body: bytes) -> None:
        await asyncio.shield(self._open())
        if len(body) > self._connection.payload_bytes_max - _MARGIN_BYTES:
            body = msgspec.json.encode({"id": number_of(body)})  # it is read from the shop
        stream = self._streams.deliveries
        answer = await self._connection.request(
            subject, body, self._settings.delivery_ms, {"Nats-Expected-Stream": stream}
        )
        status = answer.headers.get("Status") if answer.headers else None
        reply = parse_reply(stream, 0, answer.data, status)
        if not isinstance(reply, Stored):
            self._opening = None  # the stream may have been removed: it is looked for again
            raise UnreachableError(f"{stream}: {reply.detail}")

    def _open(self) -> asyncio.Task[None]:
        if self._opening is None or (
            self._opening.done() and (self._opening.cancelled() or self._opening.exception() is not None)
        ):
            self._opening = asyncio.create_task(self._connect())
        return self._opening

    async def _connect(self) -> None:
        if not self._connection.connected:
            await self._connection.open()
        await ensure(self._connection, self._streams, self._settings, self._logs)

    async def _secrets_of(self, store: str) -> list[str]:
        """Read again after `secrets_ms`: a rotation needs no restart."""
        found = self._secrets.get(store)
        now_s = time.monotonic()
        if found is not None and now_s - found[0] < self._settings.secrets_ms / 1000:
            return found[1]
        if STORE.fullmatch(store) is None:
            return []
        try:
            secrets = await asyncio.to_thread(Files(self._directory, store).webhook_secrets)
        except StoreError as fault:
            log.error("woo-secrets-unreadable", store=store, why=str(fault))
            secrets = found[1] if found is not None else []
        if len(self._secrets) >= _STORES_MAX:
            self._secrets.clear()
        self._secrets[store] = (now_s, secrets)
        return secrets
