"""Calls of an ERPNext's REST interface.

In: doctypes, filters, documents. Out: rows and documents as dictionaries, or an exception of the interface. Always:
lists are read by name, page by page, so that a row that changes meanwhile is neither skipped nor there twice.
"""

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from holdfast.erp.interface import ErpDownError, RefusedError, UnusableError

PAGE = 500
_BODY_MAX = 64 * 1024 * 1024
_REFUSED = (409, 417)
Record = dict[str, Any]
Filters = Sequence[Sequence[Any]]


class Calls:
    """One site. `token` is `KEY:SECRET` of a user."""

    def __init__(self, url: str, token: str, timeout_ms: int) -> None:
        self._base = url.rstrip("/")
        self._headers = {"Authorization": f"token {token}", "Accept": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Be ready to call."""
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def rows(self, doctype: str, filters: Filters, fields: Sequence[str]) -> list[Record]:
        """All that match, by name."""
        found: list[Record] = []
        while True:
            after = [["name", ">", found[-1]["name"]]] if found else []
            query = {
                "fields": orjson.dumps(["name", *fields]).decode(),
                "filters": orjson.dumps([*filters, *after]).decode(),
                "order_by": "name asc",
                "limit_page_length": str(PAGE),
            }
            page: list[Record] = (await self._call("GET", _path(doctype), query=query))["data"]
            fresh = [one for one in page if not found or one["name"] != found[-1]["name"]]  # a row for each child
            found += [one for at, one in enumerate(fresh) if at == 0 or one["name"] != fresh[at - 1]["name"]]
            if len(page) < PAGE:
                return found

    async def document(self, doctype: str, name: str) -> Record:
        """With its rows."""
        found: Record = (await self._call("GET", _path(doctype, name)))["data"]
        return found

    async def make(self, doctype: str, values: Record) -> Record:
        """A new one."""
        made: Record = (await self._call("POST", _path(doctype), body=values))["data"]
        return made

    async def change(self, doctype: str, name: str, values: Record) -> Record:
        """Some fields; `docstatus` 1 submits it, 2 cancels it."""
        changed: Record = (await self._call("PUT", _path(doctype, name), body=values))["data"]
        return changed

    async def remove(self, doctype: str, name: str) -> None:
        """A draft."""
        await self._call("DELETE", _path(doctype, name))

    async def method(self, name: str, values: Record | None = None) -> Any:
        """A function of the server."""
        return (await self._call("POST", f"/api/method/{name}", body=values or {})).get("message")

    async def _call(
        self, method: str, path: str, *, query: dict[str, str] | None = None, body: Record | None = None
    ) -> Any:
        assert self._session is not None, "Invariant: opened"
        try:
            async with self._session.request(
                method, self._base + path, params=query, json=body, allow_redirects=False
            ) as response:
                status, answer = response.status, await response.content.read(_BODY_MAX)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise ErpDownError(f"ERPNext did not answer ({str(fault) or type(fault).__name__})") from fault
        if status in _REFUSED:
            raise RefusedError(_message(answer))
        if status in {401, 403, 404}:
            raise UnusableError(path, f"ERPNext answers {status}: look at its address, key and rights")
        if status >= 300:
            raise ErpDownError(f"ERPNext answers {status}")
        try:
            return orjson.loads(answer) if answer else {}
        except orjson.JSONDecodeError as fault:
            raise ErpDownError(f"what answers is not ERPNext ({fault})") from fault


def _path(doctype: str, name: str = "") -> str:
    return f"/api/resource/{quote(doctype)}" + (f"/{quote(name, safe='')}" if name else "")


def _message(answer: bytes) -> str:
    """The first of what it would show to a person, without its markup."""
    with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        found = orjson.loads(answer)
        if "_server_messages" in found:
            return str(orjson.loads(orjson.loads(found["_server_messages"])[0])["message"])
        return str(found["exception"])
    return " ".join(answer[:200].decode(errors="replace").split())


class Changes:
    """Rows of a doctype that changed since a position, each once, though every question reaches back."""

    def __init__(self, calls: Calls, doctype: str, overlap_ms: int) -> None:
        self._calls, self._doctype, self._overlap_ms = calls, doctype, overlap_ms
        self._seen: dict[str, str] = {}

    async def since(self, position: str | None, filters: Filters, fields: Sequence[str]) -> tuple[list[Record], str]:
        """What is new, and the next position."""
        later = [] if position is None else [["modified", ">=", _earlier(position, self._overlap_ms)]]
        found = await self._calls.rows(self._doctype, [*filters, *later], ["modified", *fields])
        fresh = [one for one in found if self._seen.get(one["name"]) != one["modified"]]
        self._seen = {one["name"]: one["modified"] for one in found}
        return fresh, max([*self._seen.values(), position or "1970-01-01 00:00:00.000000"])


def _earlier(position: str, by_ms: int) -> str:
    return str(datetime.fromisoformat(position) - timedelta(milliseconds=by_ms))
