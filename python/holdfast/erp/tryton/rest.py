"""Calls of Tryton's REST interface.

In: models, domains, fields. Out: records as dictionaries, or an exception of the interface. Always: every call is one
transaction there; what Tryton refuses (a 400 with its message) is a RefusedError, an answer that did not come an
ErpDownError.
"""

import base64
from collections.abc import Sequence
from typing import Any

import aiohttp
import orjson

from holdfast.erp.interface import ErpDownError, RefusedError, UnusableError

PAGE = 500
_BODY_MAX = 64 * 1024 * 1024
Record = dict[str, Any]


class Rest:
    """One database. `url` is the server's address."""

    def __init__(self, url: str, database: str, token: str, timeout_ms: int) -> None:
        self._base = f"{url.rstrip('/')}/{database}/rest/model/"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
        self._session: aiohttp.ClientSession | None = None
        self.context: dict[str, Any] = {}

    async def open(self) -> None:
        """Be ready to call."""
        self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def search(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        *,
        order: Sequence[Any] = (("id", "ASC"),),
        size: int | None = None,
        context: dict[str, Any] | None = None,
    ) -> list[Record]:
        """Records that match; all of them without `size`, page by page in the order of their ids."""
        if size is not None:
            return await self._page(model, domain, fields, order, size, context)
        found: list[Record] = []
        while True:
            after = [("id", ">", found[-1]["id"])] if found else []
            page = await self._page(model, [*domain, *after], fields, (("id", "ASC"),), PAGE, context)
            found += page
            if len(page) < PAGE:
                return found

    async def _page(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        order: Sequence[Any],
        size: int,
        context: dict[str, Any] | None,
    ) -> list[Record]:
        query = [("d", _packed(domain)), ("o", _packed(order)), ("s", str(size)), *(("f", name) for name in fields)]
        answer: list[Record] = await self._call("GET", model, query=query, context=context)
        return answer

    async def create(self, model: str, values: Record, fields: Sequence[str] = ("id",)) -> Record:
        """Make a record."""
        answer: Record = await self._call("POST", model, values, query=[("f", name) for name in fields])
        return answer

    async def write(self, model: str, record: int, values: Record) -> None:
        """Change a record."""
        await self._call("PUT", f"{model}/{record}", values, query=[("f", "id")])

    async def create_all(self, model: str, values: Sequence[Record]) -> None:
        """Make records, all or none, in their order."""
        await self._call("POST", f"{model}/create", {"vlist": list(values)})

    async def act(self, model: str, record: int, action: str, fields: Sequence[str] = ("id",)) -> Record:
        """Press a button of a record; what it is then."""
        answer: Record = await self._call(
            "POST", f"{model}/{record}/{action}", {}, query=[("f", name) for name in fields]
        )
        return answer

    async def _call(
        self,
        method: str,
        path: str,
        body: Record | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        context: dict[str, Any] | None = None,
    ) -> Any:
        assert self._session is not None, "Invariant: opened"
        headers = {"X-Tryton-Context": _packed(self.context | (context or {}))}
        content = None if body is None else orjson.dumps(body)
        try:
            async with self._session.request(
                method, self._base + path, params=list(query), data=content, headers=headers, allow_redirects=False
            ) as response:
                answer = await response.content.read(_BODY_MAX)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise ErpDownError(f"Tryton did not answer ({str(fault) or type(fault).__name__})") from fault
        if status == 400:
            raise RefusedError(_message(answer))
        if status in {401, 403, 404}:
            raise UnusableError(path, f"Tryton answers {status}: look at its address, database, key and rights")
        if status >= 300:
            raise ErpDownError(f"Tryton answers {status}")
        try:
            return orjson.loads(answer) if answer else None
        except orjson.JSONDecodeError as fault:
            raise ErpDownError(f"what answers is not Tryton ({fault})") from fault


def _packed(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode()


def _message(answer: bytes) -> str:
    try:
        found = orjson.loads(answer)
        return " ".join(f"{found['message']} {found.get('description') or ''}".split())
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return " ".join(answer[:200].decode(errors="replace").split())


def moment(value: Any) -> str | None:
    """A date or time as Tryton writes it, as text that sorts."""
    if not isinstance(value, dict):
        return None
    day = f"{value['year']:04}-{value['month']:02}-{value['day']:02}"
    if value.get("__class__") == "date":
        return day
    return f"{day}T{value['hour']:02}:{value['minute']:02}:{value['second']:02}.{value['microsecond']:06}"


def as_time(text: str) -> dict[str, Any]:
    """The other way."""
    day, _, rest = text.partition("T")
    year, month, date = (int(part) for part in day.split("-"))
    hour, minute, seconds = rest.split(":")
    whole, _, micro = seconds.partition(".")
    return {
        "__class__": "datetime",
        "year": year,
        "month": month,
        "day": date,
        "hour": int(hour),
        "minute": int(minute),
        "second": int(whole),
        "microsecond": int(micro or 0),
    }


def changed_since(since: str | None) -> list[Any]:
    """The domain of records that were made or changed since."""
    if since is None:
        return []
    at = as_time(since)
    return [["OR", ["write_date", ">=", at], ["create_date", ">=", at]]]
