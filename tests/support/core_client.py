"""The Python client on a core in this process: what it sends is decided at once, without a log and without HTTP.

In: calls of `holdfast.client.Client`. Out: what a gateway would answer, as far as connectors use it. Always: the client
and the core are the real ones; only what lies between is left out, so that thousands of histories can be played.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from holdfast._core import Engine, split_facts
from holdfast.client import Client
from holdfast.client.errors import error_for
from holdfast.contracts.problems import decode_problem

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
AS_OF = b'{"sequence":0,"age_ms":0,"mode":"live"}'
_RESERVATION = re.compile(r"/v1/reservations/([^/]+)(?:/(\w+))?")


class Core:
    """One core that leads."""

    def __init__(self, **rules: Any) -> None:
        self.engine = Engine("main")
        self.now_ms = NOON
        self._sequence = 0
        self._incoming = 0
        self._store(self.engine.lead_batch("n1", NOON, json.dumps({"undeclared_channels": "serve", **rules}).encode()))

    def _store(self, message: bytes, *, decided: bool = False) -> None:
        self._sequence += 1
        if decided:
            self.engine.commit(self._sequence)
        else:
            assert self.engine.apply(self._sequence, message)

    def command(self, verb: str, name: str, body: bytes) -> tuple[int, bytes]:
        decision = self.engine.decide(self.now_ms, 0, [(verb, name, body, None, None)], [])
        if decision.message is not None:
            self._store(decision.message, decided=True)
        status, answer = decision.answers[0][:2]
        return status, answer

    def facts(self, body: bytes, family: str = "erp") -> tuple[int, bytes]:
        source, messages = split_facts(body, 1 << 20, None, None, 20_000)
        subject = f"hf.main.in.{family}" + (f".{source}" if family != "policy" else "")
        assert len(messages) == 1, "a body of several messages has several answers"
        self._incoming += 1
        decision = self.engine.decide(self.now_ms, 0, [], [(self._incoming, subject, messages[0])])
        if decision.message is not None:
            self._store(decision.message, decided=True)
        ((_, accepted, rejected, report),) = decision.received
        found = [{"index": index, "reason": reason} for index, reason in rejected]
        answer = {"accepted": accepted, "rejected": found, **orjson.loads(report), "sequence": self._sequence}
        if rejected and not accepted:
            problem = {"type": "urn:holdfast:problem:invalid", "title": "", "status": 422, "detail": "", **answer}
            return 422, orjson.dumps(problem)
        return 202, orjson.dumps(answer)

    def state(self, *facts: Mapping[str, Any], source: str = "acme") -> None:
        status, answer = self.facts(orjson.dumps({"source": source, "facts": facts}))
        assert status == 202, answer
        assert orjson.loads(answer)["rejected"] == [], answer

    def sellable(self, sku: str, channel: str = "web") -> int:
        status, answer = self.engine.availability(sku, channel, None, None, AS_OF)
        assert status == 200, answer
        return int(orjson.loads(answer)["sellable"])


class CoreTransport:
    """As client.transport.Transport, onto a core."""

    sequence = 0

    def __init__(self, core: Core) -> None:
        self.core = core
        self.calls = 0

    async def send(self, method: str, path: str, body: bytes | None = None, **_: Any) -> tuple[int, bytes]:
        self.calls += 1
        target = urlsplit(path).path
        found = _RESERVATION.fullmatch(target)
        if target == "/v1/facts":
            status, answer = self.core.facts(body or b"")
        elif target == "/v1/availability":
            status, answer = self.core.engine.availabilities(body or b"", None, AS_OF)
        elif target.startswith("/v1/skus/"):
            status, answer = self.core.engine.sku(unquote(target.removeprefix("/v1/skus/")), None, AS_OF)
        elif target == "/v1/demands":
            status, answer = self.core.engine.listing("demands", None, 1_000, [], None, AS_OF, None)
        elif found is not None and method == "GET":
            status, answer = self.core.engine.reservation(unquote(found[1]), None, AS_OF)
        elif found is not None:
            verb = found[2] or "put"
            status, answer = self.core.command(verb, unquote(found[1]), body or b"")
        else:
            raise AssertionError(path)
        if status >= 300:
            raise error_for(decode_problem(answer))
        return status, answer


class CoreClient(Client):
    """A client of a core."""

    def __init__(self, core: Core) -> None:
        super().__init__()
        self.transport = CoreTransport(core)  # type: ignore[assignment]
        self._send = self.transport.send
