"""Calls of an Odoo: JSON-2 where it has that (19 and later), else XML-RPC.

In: a model, a method, named arguments. Out: what it returns, or an exception of the interface. Always: a call is one
transaction there; what Odoo refuses is a RefusedError, an answer that did not come an ErpDownError; which of the two
interfaces there is gets asked once.
"""

import xmlrpc.client
from collections.abc import Sequence
from typing import Any

import aiohttp
import orjson

from holdfast.erp.interface import ErpDownError, RefusedError, UnusableError

PAGE = 500
_BODY_MAX = 64 * 1024 * 1024
_WARNING, _DENIED = 2, (3, 4)
_REFUSES = ("UserError", "ValidationError", "RedirectWarning")
Record = dict[str, Any]


class Calls:
    """One database. `user`: whose key it is; XML-RPC asks for it."""

    def __init__(self, url: str, database: str, user: str, token: str, timeout_ms: int) -> None:
        self._base = url.rstrip("/")
        self._database, self._user, self._token = database, user, token
        self._timeout = aiohttp.ClientTimeout(total=timeout_ms / 1000)
        self._session: aiohttp.ClientSession | None = None
        self._account: int | None = None
        self.interface = ""
        self.context: dict[str, Any] = {}

    async def open(self) -> None:
        """Be ready to call."""
        self._session = aiohttp.ClientSession(timeout=self._timeout)

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
        size: int | None = None,
        context: dict[str, Any] | None = None,
    ) -> list[Record]:
        """Records that match, by their ids; all of them without `size`, page by page. A relation is the other's id."""
        found: list[Record] = []
        while True:
            after = [["id", ">", found[-1]["id"]]] if found else []
            page: list[Record] = await self.call(
                model,
                "search_read",
                domain=[*domain, *after],
                fields=list(fields),
                limit=size or PAGE,
                order="id",
                context=context,
            )
            found += [{name: _id_of(value) for name, value in one.items()} for one in page]
            if size is not None or len(page) < PAGE:
                return found

    async def create(self, model: str, values: Record) -> int:
        """Make a record."""
        made = await self.call(model, "create", vals_list=[values])
        return int(made[0] if isinstance(made, list) else made)

    async def act(self, model: str, records: Sequence[int], method: str, **context: Any) -> None:
        """Call a method of records."""
        await self.call(model, method, ids=list(records), context=context or None)

    async def call(self, model: str, method: str, *, context: dict[str, Any] | None = None, **named: Any) -> Any:
        """By the interface that there is."""
        named["context"] = self.context | (context or {})
        if not self.interface:
            await self._choose()
        if self.interface == "JSON-2":
            return await self._json(model, method, named)
        return await self._xml_call(model, method, named)

    async def _choose(self) -> None:
        """Odoo before 19 does not know the address of JSON-2."""
        named = {"domain": [], "fields": ["id"], "limit": 1}
        status, _ = await self._post("/json/2/res.company/search_read", orjson.dumps(named), self._json_headers())
        self.interface = "XML-RPC" if status == 404 else "JSON-2"

    # ---- JSON-2

    def _json_headers(self) -> dict[str, str]:
        return {
            "Authorization": f"bearer {self._token}",
            "X-Odoo-Database": self._database,
            "Content-Type": "application/json",
        }

    async def _json(self, model: str, method: str, named: dict[str, Any]) -> Any:
        path = f"/json/2/{model}/{method}"
        status, answer = await self._post(path, orjson.dumps(named), self._json_headers())
        try:
            found = orjson.loads(answer)
        except orjson.JSONDecodeError as fault:
            if status in {401, 403, 404}:
                raise UnusableError(
                    path, f"Odoo answers {status}: look at address, database, key and rights"
                ) from fault
            raise ErpDownError(f"what answers with {status} is not Odoo ({fault})") from fault
        if status < 300:
            return found
        name, message = str(found.get("name", "")), " ".join(str(found.get("message", "")).split())
        if name.rpartition(".")[2] in _REFUSES:
            raise RefusedError(message)
        if status in {401, 403, 404}:
            raise UnusableError(path, f"Odoo answers {status}: {message}")
        raise ErpDownError(f"Odoo answers {status}: {message}")

    # ---- XML-RPC

    async def _xml_call(self, model: str, method: str, named: dict[str, Any]) -> Any:
        if self._account is None:
            account = await self._xml("common", "authenticate", (self._database, self._user, self._token, {}))
            if not account:
                raise UnusableError("user", "Odoo does not know this user with this key in this database")
            self._account = int(account)
        ids, values = named.pop("ids", None), named.pop("vals_list", None)
        first = [one for one in (ids, values) if one is not None]
        call = (self._database, self._account, self._token, model, method, first, named)
        return await self._xml("object", "execute_kw", call)

    async def _xml(self, service: str, method: str, values: tuple[Any, ...]) -> Any:
        path = f"/xmlrpc/2/{service}"
        body = xmlrpc.client.dumps(values, method, allow_none=True).encode()
        status, answer = await self._post(path, body, {"Content-Type": "text/xml"})
        if status in {401, 403, 404}:
            raise UnusableError(path, f"Odoo answers {status}: look at its address")
        if status >= 300:
            raise ErpDownError(f"Odoo answers {status}")
        try:
            (found,), _ = xmlrpc.client.loads(answer.decode(), use_builtin_types=True)
        except xmlrpc.client.Fault as fault:
            raise _fault(path, fault) from fault
        except Exception as fault:
            raise ErpDownError(f"what answers is not Odoo ({fault})") from fault
        return found

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        assert self._session is not None, "Invariant: opened"
        try:
            async with self._session.post(
                self._base + path, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status, await response.content.read(_BODY_MAX)
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise ErpDownError(f"Odoo did not answer ({str(fault) or type(fault).__name__})") from fault


def _fault(path: str, fault: xmlrpc.client.Fault) -> Exception:
    text = " ".join(str(fault.faultString).split())
    if fault.faultCode == _WARNING:
        return RefusedError(text)
    if fault.faultCode in _DENIED:
        return UnusableError(path, text)
    return ErpDownError(f"Odoo failed: {text[-300:]}")


def _id_of(value: Any) -> Any:
    """Of a relation `[7, "WH/Stock"]`, its id."""
    pair = isinstance(value, list) and len(value) == 2 and isinstance(value[0], int) and isinstance(value[1], str)
    return value[0] if pair else value
