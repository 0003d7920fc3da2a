"""A gateway to try: on a node that answers as the test says, listening on a free port; and raw HTTP to call it.

In: what the node should answer. Out: the port, and replies split into status, headers and body.
Always: the HTTP side is the real one; only what lies behind `gateway.ports.Node` is replaced.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import orjson

from holdfast._core import Engine
from holdfast.gateway.app import Gateway
from holdfast.gateway.event_streams import EventStreams
from holdfast.gateway.gate import Gate, LoopbackGate
from holdfast.gateway.ports import Answer, Channels, Deliveries, Family, ReadCall
from holdfast.protocol.core import Request, Together
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.facts_outcome import FactsOutcome
from holdfast.settings import GatewaySettings

AS_OF = b'{"sequence":7,"age_ms":0,"mode":"live"}'


@dataclass
class Submitted:
    verb: str
    reservation: str
    body: bytes
    channels: Channels
    by: str | None
    key: str | None = None


@dataclass
class StubNode:
    """Answers every command with `answer(command)`, after `delay_s`; a read with what `engine` gives."""

    answer: Callable[[Submitted], Answer | Exception] = lambda _: (201, b'{"id":"x"}', 8)
    engine: Any = None
    delay_s: float = 0.0
    sequence: int = 7
    ails: bool = False
    reasons: list[str] = field(default_factory=list)
    outcome: FactsOutcome = field(default_factory=lambda: FactsOutcome(1, [], 9))
    submitted: list[Submitted] = field(default_factory=list)
    received: list[tuple[str, str, list[bytes], str]] = field(default_factory=list)
    busy: bool = False

    def submit(
        self, verb: str, reservation: str, body: bytes, channels: Channels, by: str | None, key: str | None = None
    ) -> asyncio.Future[Answer]:
        command = Submitted(verb, reservation, body, channels, by, key)
        self.submitted.append(command)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Answer] = loop.create_future()
        loop.call_later(self.delay_s, self._resolve, waiter, command)
        return waiter

    def submit_together(self, carts: Together) -> asyncio.Future[Answer] | None:  # noqa: ARG002
        """Ask one by one."""
        return None

    def submit_many(self, requests: Sequence[Request]) -> asyncio.Future[list[Answer | Unavailable]]:
        waiting = [self.submit(*request) for request in requests]

        async def outcomes() -> list[Answer | Unavailable]:
            found: list[Any] = await asyncio.gather(*waiting, return_exceptions=True)
            return found

        return asyncio.ensure_future(outcomes())

    def _resolve(self, waiter: asyncio.Future[Answer], command: Submitted) -> None:
        outcome = self.answer(command)
        if waiter.done():
            return
        if isinstance(outcome, Exception):
            waiter.set_exception(outcome)
        else:
            waiter.set_result(outcome)

    async def reach(self, sequence: int) -> None:
        if sequence > self.sequence:
            raise Unavailable("overloaded", "not-done", 1, f"up to {self.sequence}, not yet {sequence}")

    def read_now(self, call: ReadCall) -> Answer | None:
        return None if self.busy else self._read(call)

    async def read(self, call: ReadCall, *, degradable: bool = True) -> Answer:  # noqa: ARG002
        await asyncio.sleep(0)
        return self._read(call)

    def _read(self, call: ReadCall) -> Answer:
        status, body = call(cast("Engine", self.engine), AS_OF)
        return status, body, self.sequence

    async def facts(
        self, family: Family, source: str, messages: list[bytes], wait: Literal["log", "received"]
    ) -> FactsOutcome:
        self.received.append((family, source, messages, wait))
        return self.outcome

    def state(self) -> Mapping[str, Any]:
        standing = {"sequence": self.sequence, "role": "leader", "lag_facts": 0, "node": "n1", "leader": "n1"}
        return standing | {"epoch": 1, "quarantine": {}, "peers": []}

    def log_unwritable(self) -> bool:
        return self.ails

    def ready(self) -> list[str]:
        return self.reasons

    def counters(self) -> Mapping[str, float]:
        return {"batches_total": 3, "commands_waiting": 0}

    def tallies(self) -> Mapping[str, Mapping[str, float]]:
        return {"reservations": {"held": 2}}


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def problem(self) -> str:
        """The problem's name; the answer must be one."""
        assert self.headers["content-type"] == "application/problem+json"
        found = self.json
        assert found["status"] == self.status
        assert {"type", "title", "detail"} <= found.keys()
        return str(found["type"]).removeprefix("urn:holdfast:problem:")


@asynccontextmanager
async def listening(
    node: Any = None,
    *,
    gate: Gate | None = None,
    settings: GatewaySettings | None = None,
    deliveries: Deliveries | None = None,
    streams: EventStreams | None = None,
    port: int = 0,
) -> AsyncIterator[tuple[Gateway, int]]:
    """A gateway and its port."""
    gateway = Gateway(
        node or StubNode(),
        settings or GatewaySettings(),
        gate or LoopbackGate(),
        deliveries=deliveries,
        streams=streams,
    )
    _, port = await gateway.start("127.0.0.1", port)
    try:
        yield gateway, port
    finally:
        await gateway.stop()


class Connection:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def receive(self, *, head: bool = False) -> Response:
        """The next answer. Raises IncompleteReadError when the connection ends first."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {
            name.lower(): value.strip() for line in lines[1:] if line for name, _, value in [line.partition(":")]
        }
        if status == 100:
            return Response(status, headers, b"")
        length = 0 if head else int(headers["content-length"])
        return Response(status, headers, await self.reader.readexactly(length))

    async def ended(self) -> bool:
        """Whether the other side has closed."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def raw(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as bytes. Header names are written with underscores."""
    lines = [f"{method} {target} HTTP/1.1"]
    given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    given.setdefault("host", "127.0.0.1")
    if body and "transfer-encoding" not in given:
        given.setdefault("content-length", str(len(body)))
    lines += [f"{name}: {value}" for name, value in given.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def ask(port: int, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
    """One request on a new connection."""
    async with connected(port) as connection:
        await connection.send(raw(method, target, body, **headers))
        return await connection.receive(head=method == "HEAD")
