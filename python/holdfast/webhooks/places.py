"""Where each endpoint is, and what is parked: the stream HOOKS.

In: places, parked events. Out: the same, read back. Always: one message a subject; a place expects the one that it
replaces, so that of two runners, or of a runner and `holdfast webhooks replay`, the later one knows; a parked event
stays until it was sent.
"""

import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog

from holdfast.errors import ApiError, ConflictError, UnreachableError
from holdfast.nats.appender import Stored, parse_reply
from holdfast.nats.connection import Connection
from holdfast.nats.outlets import MESSAGE_NOT_FOUND, STREAM_NOT_FOUND, last_of
from holdfast.settings import LogSettings

log = structlog.get_logger(__name__)


class EndpointState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Of one endpoint. `upto`: everything up to there is done; `done`: ids behind it that are done, too.

    `owner`: the process that sends; `halted`: why nobody does; `resume`: parked events are to be sent again.
    """

    upto: str
    done: list[str] = []
    owner: str = ""
    halted: str = ""
    resume: bool = False
    sent_total: int = 0
    parked_total: int = 0
    parked: int = 0  # now
    failures: int = 0  # in a row
    why: str = ""  # of the last failure
    at_ms: int = 0


class Parked(msgspec.Struct, kw_only=True):
    """An event that the endpoint did not take. `event` is JSON, as OUT had it."""

    id: str
    key: str
    why: str
    tries: int
    at_ms: int
    event: msgspec.Raw


class HookStream:
    """HOOKS of a scope."""

    def __init__(self, connection: Connection, scope: str, settings: LogSettings, bytes_max: int) -> None:
        self.name = f"HF_{scope}_HOOKS"
        self._scope = scope
        self._connection = connection
        self._settings = settings
        self._bytes_max = bytes_max

    async def ensure(self) -> None:
        """Make it where it is missing. Raises ApiError, UnreachableError."""
        try:
            await self._connection.api(f"STREAM.INFO.{self.name}")
        except ApiError as error:
            if error.code != STREAM_NOT_FOUND:
                raise
            await self._connection.api(f"STREAM.CREATE.{self.name}", self._configuration())
            log.info("stream-made", stream=self.name)

    def _configuration(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "subjects": [f"hf.{self._scope}.hooks.>"],
            "storage": "file",
            "retention": "limits",
            "discard": "new",
            "max_msgs_per_subject": 1,
            "max_bytes": self._bytes_max,
            "num_replicas": self._settings.replicas,
            "compression": "none",
            "deny_purge": False,
        }

    def _state(self, endpoint: str) -> str:
        return f"hf.{self._scope}.hooks.state.{endpoint}"

    def _parked(self, endpoint: str, event: str) -> str:
        return f"hf.{self._scope}.hooks.parked.{endpoint}.{event}"

    async def load(self, endpoint: str) -> tuple[int, EndpointState] | None:
        """The sequence of its message, and the state; None for an endpoint that is new."""
        found = await last_of(self._connection, self.name, self._state(endpoint))
        return None if found is None else (found[0], msgspec.json.decode(found[1], type=EndpointState))

    async def save(self, endpoint: str, state: EndpointState, expected: int) -> int:
        """Replace what stands at `expected` (0: nothing). Raises ConflictError where something else is there."""
        state.at_ms = int(time.time() * 1000)
        headers = {"Nats-Expected-Stream": self.name, "Nats-Expected-Last-Subject-Sequence": str(expected)}
        body = msgspec.json.encode(state)
        answer = await self._connection.request(self._state(endpoint), body, self._settings.api_timeout_ms, headers)
        reply = parse_reply(self.name, 0, answer.data, answer.headers.get("Status") if answer.headers else None)
        if isinstance(reply, Stored):
            return reply.sequence
        found = await self.load(endpoint)
        if found is not None and found[0] != expected:
            raise ConflictError(f"the state of webhook {endpoint} was changed by another process")
        raise UnreachableError(f"{self.name}: the state of {endpoint} was not stored ({reply})")

    async def park(self, endpoint: str, parked: Parked) -> None:
        """Keep an event. Raises UnreachableError."""
        subject = self._parked(endpoint, parked.id.replace(":", "-"))
        headers = {"Nats-Expected-Stream": self.name}
        body = msgspec.json.encode(parked)
        answer = await self._connection.request(subject, body, self._settings.api_timeout_ms, headers)
        reply = parse_reply(self.name, 0, answer.data, answer.headers.get("Status") if answer.headers else None)
        if not isinstance(reply, Stored):
            raise UnreachableError(f"{self.name}: a parked event was not stored ({reply})")

    async def remove(self, endpoint: str, event: str) -> None:
        """A parked event was sent, or is not wanted."""
        subject = self._parked(endpoint, event.replace(":", "-"))
        await self._connection.api(f"STREAM.PURGE.{self.name}", {"filter": subject})

    async def parked(self, endpoint: str) -> AsyncIterator[Parked]:
        """All parked events of an endpoint, in the order in which they were parked."""
        sequence, subject = 1, self._parked(endpoint, "*")
        while True:
            asked = {"seq": sequence, "next_by_subj": subject}
            try:
                message = (await self._connection.api(f"STREAM.MSG.GET.{self.name}", asked))["message"]
            except ApiError as error:
                if error.code == MESSAGE_NOT_FOUND:
                    return
                raise
            yield msgspec.json.decode(base64.b64decode(message["data"]), type=Parked)
            sequence = message["seq"] + 1
