"""Sending corrections.

In: differences, the types that may be corrected. Out: facts in the name of each connection, requests to a shop's
connector; what became of each. Always: a fact goes under the key of its connection, and bears the run as its `trace`,
so LOG says where it came from; each is in the audit, whatever became of it.
"""

import contextlib
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast.client import Client
from holdfast.client.errors import ClientError, InvalidError
from holdfast.contracts.answers import FactsAnswer
from holdfast.errors import LogError
from holdfast.nats.connection import Connection
from holdfast.reconcile.findings import Applied, Correction, Difference
from holdfast.woo.connectors import Asked

_ANSWER_MS = 5_000


@dataclass(frozen=True, slots=True)
class Speaker:
    """In whose name facts of a connection are sent. `key` None: without one."""

    source: str
    gateway: str
    key: str | None


class Corrections:
    """Of one run. `speakers` by connection."""

    def __init__(
        self,
        run: int,
        scope: str,
        speakers: dict[str, Speaker],
        connection: Connection,
        note: Callable[[Applied], None],
    ) -> None:
        self._run = run
        self._scope = scope
        self._speakers = speakers
        self._connection = connection
        self._note = note
        self._asked: dict[tuple[str, str], str] = {}

    async def apply(self, differences: Collection[Difference], types: Collection[str]) -> None:
        """Those of these types that have a correction."""
        for one in differences:
            if one.correction is not None and one.type in types:
                result = await self._send(one.id, one.correction)
                self._note(Applied(one.id, one.type, one.correction, result, self._run))

    async def _send(self, name: str, correction: Correction) -> str:
        try:
            if correction.facts:
                return await self._facts(name, correction)
            asked = Asked("push-all") if correction.push else Asked("backfill", correction.read_since_s)
            return await self._ask(correction.connection, asked)
        except (ClientError, LogError) as fault:
            return f"not sent: {fault}"

    async def _facts(self, name: str, correction: Correction) -> str:
        speaker = self._speakers[correction.connection]
        facts = [fact | {"trace": f"reconcile-{self._run}"} for fact in correction.facts]
        async with Client(speaker.gateway, speaker.key) as client:
            try:
                answer = await client.facts(
                    speaker.source, facts, idempotency_key=f"reconcile-{self._run}-{hash_of(name)}"
                )
            except InvalidError as refused:
                rejected = refused.problem.rejected
                why = rejected[0].reason if isinstance(rejected, list) else str(refused)
                return f"refused: {why}"
        return _said(answer)

    async def _ask(self, store: str, asked: Asked) -> str:
        """Once a run for all differences that want it."""
        key = (store, msgspec.json.encode(asked).decode())
        if key not in self._asked:
            subject = f"hf.{self._scope}.woo.do.{store}"
            answer: dict[str, Any] = {}
            message = await self._connection.request(subject, msgspec.json.encode(asked), _ANSWER_MS)
            with contextlib.suppress(msgspec.DecodeError):
                answer = msgspec.json.decode(message.data, type=dict[str, Any])
            self._asked[key] = str(answer.get("error") or "the connector was asked")
        return self._asked[key]


def hash_of(name: str) -> str:
    """Short, and the same for the same name."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _said(answer: FactsAnswer) -> str:
    if answer.rejected:
        return f"refused: {answer.rejected[0].reason}"
    ignored = answer.ignored if isinstance(answer.ignored, list) else []
    return f"came to nothing: {ignored[0].reason}" if ignored else f"taken, sequence {answer.sequence}"
