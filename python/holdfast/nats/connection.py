"""One connection to NATS, with the settings that a log needs.

Role: connect, request with its own deadline, publish without buffering, listen without dropping.
In: an endpoint and subjects. Out: replies, JetStream API answers, and whether it is connected (for readiness).
Always: nothing is buffered while disconnected (no stale publish after a reconnect); reconnecting never gives up; a
listener never loses a message to a full client-side queue; an API error is an exception, never a value.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import nats
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from holdfast.errors import ApiError, LogError, ServerUnfitError, UnreachableError
from holdfast.nats.secure_client import SecureClient
from holdfast.settings import LogSettings
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

_SEED = re.compile(r"SU[A-Z2-7]{56}")
_NO_JETSTREAM = {10039, 10076}
# JetStream API level by the version that brought it, newest first.
_API_LEVELS = (((2, 14), 4), ((2, 12), 2), ((0, 0), 0))
_UNREACHABLE = (
    nats.errors.TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionDrainingError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.NoServersError,
    nats.errors.UnexpectedEOF,
    OSError,
)
_CLOSE_S = 2.0
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that anybody may have written can raise."""


class _ApiFault(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: the authority of the servers' certificates, and our own certificate, where they ask for one."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """For the connection. Raises OSError (ssl.SSLError is one) when a file is missing or no PEM."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where NATS is, and the user of this process: a name and a password, the seed of an nkey, or a file."""

    urls: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    credentials: Path | None = None
    tls: Tls | None = None
    seed: str | None = field(default=None, repr=False)
    inbox: str = "_INBOX"

    @property
    def tls_required(self) -> bool:
        """One address of `tls://`, or an authority, is enough: then none of them gets a secret in plain text."""
        return self.tls is not None or any(url.startswith("tls://") for url in self.urls)


def endpoint_of(url: str, settings: LogSettings) -> Endpoint:
    """`nats://user:password@host:4222[,...]`; the first one's user is used for all. Raises ValueError.

    A user without a password is the seed of an nkey. `tls://` requires TLS; the authority, and our own certificate or
    credentials, are in the settings.
    """
    urls = tuple(part.strip() for part in url.split(",") if part.strip())
    if not urls:
        raise ValueError("an address of NATS is like nats://127.0.0.1:4222")
    first = urlsplit(urls[0])
    tls: Tls | None = None
    if settings.tls_ca:
        ours, key = settings.tls_certificate, settings.tls_key
        tls = Tls(Path(settings.tls_ca), Path(ours) if ours else None, Path(key) if key else None)
    user = unquote(first.username) if first.username else None
    by_seed = user is not None and first.password is None and _SEED.fullmatch(user) is not None
    return Endpoint(
        tuple(_without_user(part) for part in urls),
        None if by_seed else user,
        unquote(first.password) if first.password else None,
        Path(settings.credentials) if settings.credentials else None,
        tls,
        user if by_seed else None,
    )


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class Connection:
    """A nats-py client behind the few calls that the log uses."""

    def __init__(self, endpoint: Endpoint, settings: LogSettings, name: str) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._name = name
        self._client = SecureClient()
        self._client.tls_required = endpoint.tls_required
        self._watchers: list[Callable[[bool, str], None]] = []
        self._begun = False
        self.connected = False
        self.last_fault = ""

    def watch(self, watcher: Callable[[bool, str], None]) -> None:
        """Have `watcher(connected, why)` called at each change; `why` is "closed" once the client has ended."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[bool, str], None]) -> None:
        """Remove it."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    async def open(self) -> None:
        """Connect within `connect_deadline_ms`, or raise UnreachableError."""
        self._begun = True
        options: dict[str, Any] = {}
        if self._endpoint.seed is not None:
            options["nkeys_seed_str"] = self._endpoint.seed
        if self._endpoint.user is not None:
            options |= {"user": self._endpoint.user, "password": self._endpoint.password}
        if self._endpoint.credentials is not None:
            options["user_credentials"] = str(self._endpoint.credentials)
        if self._endpoint.tls is not None:
            options["tls"] = await asyncio.to_thread(self._endpoint.tls.context)
        try:
            await self._connect(options)
        except (TimeoutError, nats.errors.Error, OSError) as fault:
            await self.close()
            why = self.last_fault or str(fault) or type(fault).__name__
            raise UnreachableError(
                f"no NATS server answers at {', '.join(self._endpoint.urls)} ({why}); does it run, is the secret right?"
            ) from fault
        self._change(connected=True, why="connected")

    async def _connect(self, options: dict[str, Any]) -> None:
        """Raises TimeoutError after `connect_deadline_ms`.

        The client tries again and again, and may swallow a cancellation that meets the end of an attempt
        (`asyncio.wait_for` before Python 3.12): it is cancelled until it has ended.
        """
        settings = self._settings
        connecting = asyncio.create_task(
            self._client.connect(
                servers=list(self._endpoint.urls),
                name=self._name,
                inbox_prefix=self._endpoint.inbox,
                pending_size=0,
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=settings.reconnect_wait_ms / 1000,  # type: ignore[arg-type] # typed int by mistake
                connect_timeout=max(1, settings.connect_timeout_ms // 1000),
                ping_interval=max(1, settings.ping_interval_ms // 1000),
                max_outstanding_pings=settings.pings_outstanding_max,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
                **options,
            )
        )
        try:
            await asyncio.wait((connecting,), timeout=settings.connect_deadline_ms / 1000)
            if not connecting.done():
                raise TimeoutError
            connecting.result()
        finally:
            await cancel_and_wait(connecting)
            if not connecting.cancelled():
                connecting.exception()  # the result of an abandoned attempt does not matter

    async def close(self) -> None:
        """Close for good. Who reads nothing more, or does not answer the end of TLS, is not waited for long."""
        self._watchers.clear()
        if self._begun:  # else there is nothing to close, and the client would raise
            closing = asyncio.create_task(self._client.close())
            try:
                await asyncio.wait((closing,), timeout=_CLOSE_S)
            finally:
                await cancel_and_wait(closing)
                if closing.cancelled() or closing.exception() is not None:
                    self._client.abort()
        self.connected = False

    @property
    def server_version(self) -> tuple[int, int, int]:
        """Of the server that is connected now."""
        version = self._client.connected_server_version
        return version.major, version.minor, version.patch

    async def check_server(self) -> None:
        """Raise ServerUnfitError below 2.12; warn below 2.14.

        Also without JetStream, or when the JetStream API is of another level than its version: a server between two
        versions, or a gateway to another cluster, that would ignore what it does not know.
        """
        version = self.server_version
        found = ".".join(map(str, version))
        if version[:2] < self._settings.server_version_min:
            wanted = ".".join(map(str, self._settings.server_version_min))
            raise ServerUnfitError(
                f"nats-server {found} is too old: use {wanted} or newer on every server. Older ones could lose what "
                "they acknowledged, and let who may publish write elsewhere by a reply subject"
            )
        level = await self._api_level()
        if level < next(level for since, level in _API_LEVELS if version[:2] >= since):
            raise ServerUnfitError(
                f"nats-server {found} answers with JetStream API level {level}, which belongs to an older version; "
                "run the same version on every server of the cluster"
            )
        if version[:2] < self._settings.server_version_wanted:
            log.warning(
                "old-nats-server", version=found, wanted=".".join(map(str, self._settings.server_version_wanted))
            )

    async def _api_level(self) -> int:
        try:
            account = await self.api("INFO")
        except ApiError as error:
            if error.code in _NO_JETSTREAM:
                raise ServerUnfitError(
                    "JetStream is not enabled on this NATS server or account; enable it and start again"
                ) from error
            raise
        level: int = account.get("api", {}).get("level", 0)
        return level

    @property
    def payload_bytes_max(self) -> int:
        """The largest message that the server takes."""
        return self._client.max_payload

    def new_inbox(self) -> str:
        """A subject that only this client listens to."""
        return self._client.new_inbox()

    async def publish(
        self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send and do not wait. Raises UnreachableError when not connected: then it was certainly not sent."""
        try:
            await self._client.publish(subject, payload, reply=reply, headers=headers)
        except _UNREACHABLE as fault:
            raise UnreachableError(f"{subject}: {_name(fault)}") from fault

    async def request(
        self, subject: str, payload: bytes, timeout_ms: int, headers: dict[str, str] | None = None
    ) -> Msg:
        """Send and wait for one answer. UnreachableError does not tell whether it was received."""
        try:
            return await self._client.request(subject, payload, timeout=timeout_ms / 1000, headers=headers)
        except _UNREACHABLE as fault:
            raise UnreachableError(f"{subject}: {_name(fault)}") from fault

    async def api(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A JetStream API call, such as `STREAM.INFO.HF_main_LOG`."""
        payload = msgspec.json.encode(body) if body is not None else b""
        answer = await self.request(f"$JS.API.{call}", payload, self._settings.api_timeout_ms)
        return parse_api(call, answer.data)

    def jetstream(self) -> JetStreamContext:
        """For what the library supports well enough: object stores. Streams of the log go through `api`."""
        return self._client.jetstream(timeout=self._settings.api_timeout_ms / 1000)

    async def listen(
        self, subject: str, callback: Callable[[Msg], Awaitable[None]], *, queue: str = "", waiting_max: int = 0
    ) -> Subscription:
        """Have `callback` called for each message, in order. It must not raise. Nothing is dropped here.

        `queue`: of all listeners of that name one gets a message. `waiting_max`: beyond so many that wait, new ones are
        dropped.
        """
        return await self._client.subscribe(
            subject, queue, cb=callback, pending_msgs_limit=waiting_max, pending_bytes_limit=0
        )

    def _change(self, *, connected: bool, why: str) -> None:
        self.connected = connected
        for watcher in tuple(self._watchers):
            watcher(connected, why)

    async def _on_error(self, fault: Exception) -> None:
        self.last_fault = _name(fault)
        log.debug("nats-fault", connection=self._name, fault=self.last_fault)

    async def _on_disconnected(self) -> None:
        self._change(connected=False, why=self.last_fault or "disconnected")

    async def _on_reconnected(self) -> None:
        self._change(connected=True, why="reconnected")

    async def _on_closed(self) -> None:
        self._change(connected=False, why="closed")


def parse_api(call: str, payload: bytes) -> dict[str, Any]:
    """An answer of the JetStream API. Raises ApiError; LogError for bytes that are not one."""
    try:
        parsed: dict[str, Any] = msgspec.json.decode(payload, type=dict[str, Any])
        error = msgspec.convert(parsed.get("error"), _ApiFault | None)
    except UNREADABLE as fault:
        raise LogError(f"{call}: an answer that is none of JetStream's: {fault}") from fault
    if error is not None:
        raise ApiError(call, error.code, error.err_code, error.description)
    return parsed


def _name(fault: BaseException) -> str:
    return str(fault) or type(fault).__name__
