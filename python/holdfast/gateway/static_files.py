"""Pages that the gateway serves from its package: HTML, scripts and styles, without a network and without a key.

In: which path is which file. Out: routes. Always: each page has its policy, which allows no other host; a file is read
once.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

from holdfast.gateway.keyring import Key
from holdfast.gateway.replies import Reply
from holdfast.gateway.router import Handled, Handler, Route
from holdfast.gateway.specification import Specification

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}


def type_of(file: str) -> str:
    """Its content type."""
    return _TYPES[file[file.rindex(".") :]]


def routes(
    name: str, pages: Mapping[str, str], policy: bytes, summary: str, sequence: Callable[[], int]
) -> list[Route]:
    """GET of each path; `pages` has, by path, the file below `static`. `policy`: further header lines."""
    return [
        Route(
            name=name,
            method="GET",
            path=path,
            handler=_page(file, policy, sequence),
            operation=None,
            rank=2,  # the dashboard shows what is going on when reports are refused
            specification=Specification(
                summary=summary if file.endswith(".html") else "A part of that page",
                tag="operations",
                answers={200: type_of(file).partition(";")[0]},
                documented=False,
            ),
        )
        for path, file in pages.items()
    ]


def _page(file: str, policy: bytes, sequence: Callable[[], int]) -> Handler:
    kind = type_of(file).encode()

    async def page(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001
        content = await asyncio.to_thread(_read, file)
        return Reply(200, content, sequence(), content_type=kind, headers=policy)

    return page


@cache
def _read(file: str) -> bytes:
    return files("holdfast.gateway").joinpath("static", *file.split("/")).read_bytes()
