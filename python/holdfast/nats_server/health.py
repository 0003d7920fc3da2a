"""The health of the embedded server.

Role: find a server that runs but can no longer write (a full disk or an fsync error is sticky until it is restarted).
In: the system account's endpoint. Out: the fault as text, empty when there is none.
Always: no answer is a fault too; nothing is read over an open port, only with the secret.
"""

import contextlib

import msgspec

from holdfast.errors import LogError
from holdfast.nats.connection import Connection, Endpoint
from holdfast.settings import LogSettings


class _Server(msgspec.Struct):
    id: str = ""


class _Health(msgspec.Struct):
    status: str = ""
    error: str = ""


class _Answer(msgspec.Struct):
    server: _Server = msgspec.field(default_factory=_Server)
    data: _Health = msgspec.field(default_factory=_Health)


class HealthProbe:
    """One connection to the system account, opened when first asked."""

    def __init__(self, endpoint: Endpoint, settings: LogSettings, name: str, *, alone: bool) -> None:
        self._endpoint = endpoint
        self._settings = settings
        # In a cluster every server would answer, so ask for one by name. And there a server that lacks a leader, or is
        # catching up, is not faulty: to restart it would only prolong that.
        question: dict[str, object] = {"server_name": name, "exact_match": True}
        self._question = msgspec.json.encode(question if alone else question | {"js-enabled-only": True})
        self._connection: Connection | None = None

    async def ask(self) -> tuple[str, str]:
        """(server id, fault). Raises UnreachableError."""
        if self._connection is None:
            connection = Connection(self._endpoint, self._settings, "holdfast health")
            await connection.open()
            self._connection = connection
        reply = await self._connection.request(
            "$SYS.REQ.SERVER.PING.HEALTHZ", self._question, self._settings.request_timeout_ms
        )
        answer = msgspec.json.decode(reply.data, type=_Answer)
        fault = "" if answer.data.status == "ok" else answer.data.error or answer.data.status
        return answer.server.id, fault

    async def fault(self) -> str:
        """Like `ask`, with no answer as a fault."""
        try:
            return (await self.ask())[1]
        except LogError as fault:
            return str(fault)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(LogError):
                await self._connection.close()
