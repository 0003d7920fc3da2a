"""Documentation: the OpenAPI document and a page that shows it, both without a network."""

from collections.abc import Callable, Mapping

from holdfast.gateway import static_files
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
PAGES: Mapping[str, str] = {
    "/docs": "docs.html",
    "/docs/docs.js": "docs.js",
    "/docs/swagger-ui.css": "swagger-ui.css",
    "/docs/swagger-ui-bundle.js": "swagger-ui-bundle.js",
}


def routes(document: Callable[[], bytes], sequence: Callable[[], int]) -> list[Route]:
    """GET /openapi.json, /docs and the page's parts, and /, which leads to the page."""
    return [
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
        *static_files.routes("docs", PAGES, _POLICY, "A page that shows this document", sequence),
    ]


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
