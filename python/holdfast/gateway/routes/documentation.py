"""Documentation: the OpenAPI document and a page that shows it, both without a network."""

import asyncio
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

from holdfast.gateway.keyring import Key
from holdfast.gateway.queries import reject_query
from holdfast.gateway.replies import Reply
from holdfast.gateway.router import Handled, Handler, Route
from holdfast.gateway.specification import Specification

# The page's own style attributes need 'unsafe-inline'; scripts come from here alone, and nothing from elsewhere.
_POLICY = (
    b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
    b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
)
PAGES: Mapping[str, tuple[str, str]] = {
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui.css": ("swagger-ui.css", "text/css; charset=utf-8"),
    "/docs/swagger-ui-bundle.js": ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
}


def routes(document: Callable[[], bytes], sequence: Callable[[], int]) -> list[Route]:
    """GET /openapi.json, /docs and the page's parts, and /, which leads to the page."""
    found = [
        Route(
            name="root",
            method="GET",
            path="/",
            handler=_to_the_page(sequence),
            operation=None,
            rank=3,
            specification=Specification(
                summary="Leads to the page that shows this document",
                tag="operations",
                answers={307: "text/plain"},
                documented=False,
            ),
        ),
        Route(
            name="openapi",
            method="GET",
            path="/openapi.json",
            handler=_openapi(document),
            operation=None,
            rank=3,
            specification=Specification(
                summary="This document", tag="operations", answers={200: "application/json"}, documented=False
            ),
        ),
    ]
    for path, (file, content_type) in PAGES.items():
        found.append(
            Route(
                name="docs",
                method="GET",
                path=path,
                handler=_page(file, content_type, sequence),
                operation=None,
                rank=3,
                specification=Specification(
                    summary="A page that shows this document" if path == "/docs" else "A part of that page",
                    tag="operations",
                    answers={200: content_type.partition(";")[0]},
                    documented=False,
                ),
            )
        )
    return found


def _openapi(document: Callable[[], bytes]) -> Handler:
    async def openapi(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001
        reject_query(query)
        return 200, document(), 0

    return openapi


def _to_the_page(sequence: Callable[[], int]) -> Handler:
    async def root(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001
        lines = b"Location: /docs\r\n" + _POLICY
        return Reply(307, b"/docs is the page\n", sequence(), content_type=b"text/plain", headers=lines)

    return root


def _page(file: str, content_type: str, sequence: Callable[[], int]) -> Handler:
    kind = content_type.encode()

    async def page(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001
        content = await asyncio.to_thread(_read, file)
        return Reply(200, content, sequence(), content_type=kind, headers=_POLICY)

    return page


@cache
def _read(file: str) -> bytes:
    return files("holdfast.gateway").joinpath("static", file).read_bytes()
