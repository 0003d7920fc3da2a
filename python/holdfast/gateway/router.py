"""Which handler takes a request.

In: the method and the request target as received. Out: a route, the path's parameter percent-decoded, the raw query.
Always: one step for the paths that checkout uses; a parameter may contain anything but a bare slash (`%2F` is one).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol, TypeAlias
from urllib.parse import unquote_to_bytes

from aiohttp import web

from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.refusals import Refusal
from holdfast.gateway.replies import Reply
from holdfast.gateway.specification import Specification

Handled: TypeAlias = tuple[int, bytes, int] | Reply
"""(status, JSON body, LOG sequence that it reflects), or a whole reply for what is not JSON."""
Handler: TypeAlias = Callable[[str, str, bytes, Key], Awaitable[Handled]]
"""(parameter, raw query, body, key) -> the answer."""
KeyedHandler: TypeAlias = Callable[[str, str, bytes, Key, str], Awaitable[Handled]]
"""The same for a request under an idempotency key, which is the last argument."""
SignedHandler: TypeAlias = Callable[[str, str, bytes, Mapping[str, str]], Awaitable[Handled]]
"""(parameter, raw query, body, headers) -> the answer, where headers prove who sent the body."""


StreamedHandler: TypeAlias = Callable[[web.BaseRequest, str, Key], Awaitable[Reply]]
"""For an answer that goes on and on: (request, raw query, key) -> a reply that writes itself."""


class CommandHandler(Protocol):
    """Both in one: a handler that takes an idempotency key or none."""

    async def __call__(
        self, parameter: str, query: str, body: bytes, key: Key, idempotency_key: str | None = None, /
    ) -> tuple[int, bytes, int]:
        """See Handler and KeyedHandler."""


@dataclass(frozen=True, slots=True)
class Deprecation:
    """That clients should stop using a call: since when, until when it is served, and what to read about it."""

    since: datetime
    sunset: datetime
    link: str

    def lines(self) -> bytes:
        """`Deprecation` (RFC 9745), `Sunset` (RFC 8594), and where it is explained."""
        sunset = format_datetime(self.sunset.astimezone(UTC), usegmt=True)
        return (
            f"Deprecation: @{int(self.since.timestamp())}\r\nSunset: {sunset}\r\n"
            f'Link: <{self.link}>; rel="deprecation"; type="text/html"\r\n'
        ).encode()


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One call of the contract.

    `rank` is how critical it is (1 checkout, 2 order flow, 3 background; 0 is never shed).
    `operation`: what a key must allow; None is open to all. `body_bytes_max` 0: the call takes no body. `keyed`: who
    handles it under an Idempotency-Key; None where that header means nothing. `signed`: who handles it in place of
    `handler` where there is no key, and headers sign the body; `streamed`: where the answer has no end;
    `deprecation`: where it is to be removed (docs/versions.md).
    """

    name: str
    method: str
    path: str
    handler: Handler
    operation: Operation | None
    rank: int
    specification: Specification
    body_bytes_max: int = 0
    body_timeout_s: float = 5.0
    keyed: KeyedHandler | None = None
    signed: SignedHandler | None = None
    streamed: StreamedHandler | None = None
    deprecation: Deprecation | None = None

    @property
    def waits(self) -> bool:
        """Whether `?min_sequence=n` makes it wait: each GET that needs a key and has an end."""
        return self.method == "GET" and self.operation is not None and self.streamed is None


class Router:
    """All routes. Paths are literal, or `/a/b/{parameter}`, `/a/b/{parameter}/c` or `/a/b/c/{parameter}`."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._literal: dict[str, dict[str, Route]] = {}
        self._patterns: dict[tuple[str, str, str], dict[str, Route]] = {}
        self._last: dict[tuple[str, str, str], dict[str, Route]] = {}
        for route in self.routes:
            methods = self._place(route.path)
            assert route.method not in methods, route.path
            methods[route.method] = route

    def _place(self, path: str) -> dict[str, Route]:
        if "{" not in path:
            return self._literal.setdefault(path, {})
        parts = path.split("/")
        assert len(parts) in {4, 5}, path
        if parts[-1].startswith("{") and len(parts) == 5:
            return self._last.setdefault((parts[1], parts[2], parts[3]), {})
        assert parts[3].startswith("{"), path
        return self._patterns.setdefault((parts[1], parts[2], parts[4] if len(parts) == 5 else ""), {})

    def resolve(self, method: str, target: str) -> tuple[Route, str, str]:
        """The route, the decoded parameter ("" where there is none), the raw query.

        Raises Refusal: 404 not-found, 405 method-not-allowed with Allow, 400 malformed-request for bad UTF-8.
        """
        if not target.startswith("/"):
            target = _origin_form(target)
        path, _, query = target.partition("?")
        parameter = ""
        methods = self._literal.get(path)
        if methods is None:
            parts = path.split("/", 5)
            if len(parts) == 4:
                methods = self._patterns.get((parts[1], parts[2], ""))
                parameter = parts[3]
            elif len(parts) == 5:
                methods = self._patterns.get((parts[1], parts[2], parts[4])) if parts[4] else None
                parameter = parts[3]
                if methods is None:
                    methods, parameter = self._last.get((parts[1], parts[2], parts[3])), parts[4]
            elif "%" in path:
                methods = self._literal.get(path.replace("%3A", ":").replace("%3a", ":"))
            if methods is None or (not parameter and len(parts) > 3):
                raise Refusal("not-found")
            if "%" in parameter or not parameter.isascii():
                parameter = decode(parameter)
        route = methods.get(method)
        if route is None:
            route = methods.get("GET") if method == "HEAD" else None
            if route is None:
                raise Refusal("method-not-allowed", headers=_allow(methods))
        return route, parameter, query


def decode(text: str) -> str:
    """Percent-decoded UTF-8. Raises Refusal 400 where the bytes are not UTF-8."""
    try:
        return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("malformed-request", "Percent-encode the path and the query as UTF-8.") from None


def _origin_form(target: str) -> str:
    """`http://host/path` as a proxy sends it -> `/path`; anything else matches no route."""
    _, separator, rest = target.partition("://")
    slash = rest.find("/")
    return rest[slash:] if separator and slash >= 0 else ""


def _allow(methods: Iterable[str]) -> bytes:
    names = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})
    return f"Allow: {', '.join(names)}\r\n".encode()
