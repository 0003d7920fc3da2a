"""Who may come in: the key of a request, or, where authentication is off, that it comes from this machine.

In: a request's headers. Out: the key in force, or a refusal.
Always: a verified token is remembered, so that the usual request costs one dictionary look-up; a change of the key file
forgets them all; with authentication off no request through a proxy, to another host name or from another site's page
is served.
"""

import asyncio
import re
from collections.abc import Awaitable
from time import monotonic, time
from typing import TYPE_CHECKING, Protocol

import structlog
from aiohttp import web
from multidict import istr

from holdfast.gateway.key_use import EVERY_S, KeyUse
from holdfast.gateway.keyring import EVERYTHING, Key, Keyring, KeyringError
from holdfast.gateway.refusals import Refusal

if TYPE_CHECKING:
    from holdfast.gateway.tokens import Tokens

AUTHORIZATION = istr("Authorization")
HOST = istr("Host")
ORIGIN = istr("Origin")
FORWARDED = (b"forwarded", b"x-forwarded", b"x-real-ip", b"via")
CHALLENGE = b'WWW-Authenticate: Bearer realm="holdfast"\r\n'
WRONG_TOKEN = b'WWW-Authenticate: Bearer realm="holdfast", error="invalid_token"\r\n'
TOKENS_REMEMBERED_MAX = 4_096
HOSTS_REMEMBERED_MAX = 64
RELOAD_S = 0.5
RELOAD_AT_ONCE_S = 0.1

log = structlog.get_logger()


class Gate(Protocol):
    """Finds the key of a request."""

    def admit(self, request: web.BaseRequest) -> Key | Awaitable[Key]:
        """The key of the request, perhaps after reading the file again. Raises Refusal: 401, 403."""

    def screen(self, request: web.BaseRequest) -> None:
        """Check a request that needs no key. Raises Refusal 403."""

    async def run(self) -> None:
        """Work beside the requests, until cancelled."""


class KeyGate:
    """Authentication by API key."""

    def __init__(self, keyring: Keyring, *, tokens: "Tokens | None" = None, use: KeyUse | None = None) -> None:
        self.keyring = keyring
        self.tokens = tokens
        self._use = use
        self._use_written = monotonic()
        self._verified: dict[str, Key] = {}
        self._looked_at = -RELOAD_AT_ONCE_S
        self._looking: asyncio.Task[None] | None = None

    def admit(self, request: web.BaseRequest) -> Key | Awaitable[Key]:
        """See Gate. A token that is not known yet may be new: the file is read again before it is refused."""
        given = request.headers.getall(AUTHORIZATION, ())
        if len(given) != 1:
            raise _not_one(len(given))
        header = given[0]
        key = self._verified.get(header)
        if key is None:
            if self.tokens is None or header.count(".") != 2:
                return self._verify(header)
            key = self.tokens.known(header)
            if key is None:
                return self._verify_token(self.tokens, header)
        if time() >= key.ends_at:
            raise _ended()
        key.used = True
        return key

    def screen(self, request: web.BaseRequest) -> None:
        """Calls that need no key are served to everybody."""

    async def _verify(self, header: str) -> Key:
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Refusal("unauthenticated", headers=CHALLENGE)
        key = self.keyring.find(token)
        if key is None:
            # Perhaps it was just made. Concurrent requests share one reading, so guessing costs the guesser time.
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look_again())
            await asyncio.shield(self._looking)
            key = self.keyring.find(token)
        if key is None:
            raise Refusal("unauthenticated", headers=CHALLENGE)
        if time() >= key.ends_at:
            raise _ended()
        if len(self._verified) >= TOKENS_REMEMBERED_MAX:
            self._verified.clear()
        self._verified[header] = key
        key.used = True
        return key

    async def _verify_token(self, tokens: "Tokens", header: str) -> Key:
        """A token that is not remembered. A wrong one waits for its answer, so that guessing costs the guesser time."""
        from holdfast.gateway.tokens import WrongTokenError

        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Refusal("unauthenticated", headers=CHALLENGE)
        try:
            return tokens.verified(header, token.strip())
        except WrongTokenError as wrong:
            log.debug("token_refused", why=wrong.why)
            await asyncio.sleep(tokens.settings.wrong_wait_ms / 1000)
            raise Refusal("unauthenticated", str(wrong), headers=WRONG_TOKEN) from None

    async def _look_again(self) -> None:
        await asyncio.sleep(self._looked_at + RELOAD_AT_ONCE_S - monotonic())
        await self.reload()

    async def open(self) -> None:
        """Read the keys for the first time. Raises KeyringError: a gateway that cannot read its keys must not start."""
        try:
            await asyncio.to_thread(self.keyring.reload)
        except OSError as error:
            raise KeyringError(f"{self.keyring.path} cannot be read: {error.strerror}") from error
        if self.tokens is not None:
            await self.tokens.jwks.open()

    async def reload(self) -> None:
        """Apply changes of the key file; an unreadable one is logged, and the previous keys stay in force."""
        self._looked_at = monotonic()
        try:
            changed = await asyncio.to_thread(self.keyring.reload)
        except (KeyringError, OSError) as error:
            log.error("keys_unreadable", error=str(error))
            return
        if changed:
            self._verified.clear()
            log.info("keys_loaded", keys=len(self.keyring))

    async def run(self) -> None:
        """Read the key file every RELOAD_S seconds, and the provider's keys when it is time."""
        async with asyncio.TaskGroup() as group:
            if self.tokens is not None:
                group.create_task(self.tokens.jwks.run(), name="token-keys")
            try:
                while True:
                    await asyncio.sleep(RELOAD_S)
                    if self._use is not None:
                        await self._note_use(self._use)
                    await self.reload()
            finally:
                if self._use is not None:
                    self._use.note(self.keyring.keys())
                    self._use.write()

    async def _note_use(self, use: KeyUse) -> None:
        """A slow disk is waited for beside the event loop."""
        use.note(self.keyring.keys())
        if monotonic() - self._use_written > EVERY_S:
            self._use_written = monotonic()
            await asyncio.to_thread(use.write)


def _not_one(given: int) -> Refusal:
    if given:
        return Refusal("malformed-request", "Send the header Authorization once.")
    return Refusal("unauthenticated", headers=CHALLENGE)


def _ended() -> Refusal:
    return Refusal("unauthenticated", "This key has expired or was revoked; ask for another one.", headers=CHALLENGE)


class LoopbackGate:
    """`--auth off`: every direct request from this machine is allowed."""

    def __init__(self) -> None:
        self._hosts: dict[str, bool] = {}

    def admit(self, request: web.BaseRequest) -> Key:
        """See Gate."""
        headers = request.headers
        host, *more = headers.getall(HOST, (None,))
        local = self._hosts.get(host) if host is not None and not more else host is None and request.version.minor == 0
        if local is None:
            local = self._remember(host or "")
        if not local or not request.raw_path.startswith("/"):
            raise Refusal("forbidden", "Authentication is off: only a Host that is this machine's loopback is served.")
        for name, _ in request._message.raw_headers:  # noqa: SLF001 - the public map would be built per name
            if name[0] in b"FfXxVv" and name.lower().startswith(FORWARDED):
                raise Refusal(
                    "forbidden", "Authentication is off: requests that came through a proxy are not served; use keys."
                )
        origin = headers.get(ORIGIN)
        if origin is not None and not is_loopback_origin(origin):
            raise Refusal("forbidden", "Authentication is off: pages of other sites are not served; use keys.")
        return EVERYTHING

    def screen(self, request: web.BaseRequest) -> None:
        """As strict as for all other calls."""
        self.admit(request)

    def _remember(self, host: str) -> bool:
        if len(self._hosts) >= HOSTS_REMEMBERED_MAX:
            self._hosts.clear()
        local = self._hosts[host] = is_loopback(host)
        return local

    async def run(self) -> None:
        """Nothing to do."""


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PORT = "(?::(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?"
_LOOPBACK = re.compile(rf"(?:localhost|127(?:\.{_OCTET}){{3}}|\[::1\]){_PORT}", re.IGNORECASE)


def is_loopback(authority: str) -> bool:
    """Whether it is `localhost`, an address of 127.0.0.0/8 with four decimal numbers, or `[::1]`, perhaps with a port.

    Nothing else: no user part, no dot at the end, no name below `localhost`, no other way to write an address.
    """
    return _LOOPBACK.fullmatch(authority) is not None


def is_loopback_origin(origin: str) -> bool:
    """Whether a page of this origin came from this machine."""
    scheme, separator, authority = origin.partition("://")
    return bool(separator) and scheme in {"http", "https"} and is_loopback(authority)
