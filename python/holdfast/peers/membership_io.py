"""What the protocol wants done about the lease, the peers and the streams' ends.

Role: carry out the effects of `holdfast.protocol.membership`; answer peers that ask. In: effects, the state of this
process. Out: the events that belong to them. Always: each effect is answered by one event, or by none when the process
ends; a first question is sent before this process listens itself, so that one that is alone learns it at once from the
server ("no responders") instead of waiting for answers.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import structlog
from nats.aio.msg import Msg

from holdfast.errors import ConflictError, LogError, UnreachableError
from holdfast.macs import Macs
from holdfast.nats.connection import Connection
from holdfast.nats.lease_store import LeaseStore
from holdfast.nats.streams import Names, stream_state
from holdfast.peers.wire import decode_peer_state
from holdfast.protocol import messages as e
from holdfast.protocol.machine import Protocol
from holdfast.protocol.membership import PeerState
from holdfast.settings import Settings

log = structlog.get_logger(__name__)

_PEER_STATE_BYTES_MAX = 4_096


class MembershipIo:
    """One process among the others of its scope."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        settings: Settings,
        protocol: Protocol,
        peer_state: Callable[[], bytes],
        drive: Callable[[e.Event], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        macs: Macs,
    ) -> None:
        self._macs = macs
        self._connection = connection
        self._names = names
        self._settings = settings.node
        self._protocol = protocol
        self._peer_state = peer_state
        self._drive = drive
        node = settings.node
        self._key = LeaseStore(
            connection, names, protocol.node, protocol.boot, settings.log, node.lease_ttl_ms, node.lease_call_ms, macs
        )
        self._inbox = ""
        self._listens = False
        self._call_id = 0
        self._answers: list[PeerState] = []
        self._alone = asyncio.Event()
        self.performers: dict[type[Any], Callable[[Any], None]] = {
            e.ReadLease: lambda effect: spawn(self._read(effect.call_id)),
            e.PutLease: lambda effect: spawn(self._put(effect)),
            e.ReleaseLease: lambda effect: spawn(self._put(effect)),
            e.AskPeers: lambda effect: spawn(self._ask(effect.call_id)),
            e.ReadEnds: lambda effect: spawn(self._read_ends(effect.call_id)),
        }

    async def open(self) -> None:
        """Make the lease's bucket where it is missing, and be ready to ask. Raises StreamMismatchError, ApiError."""
        try:
            await self._key.ensure()
        except UnreachableError as fault:  # it is made at the first put
            log.warning("lease-bucket-unreachable", why=str(fault))
        self._inbox = self._connection.new_inbox()
        await self._connection.listen(f"{self._inbox}.*", self._on_answer)

    async def until_left(self) -> None:
        """Wait until the lease is given back, or must end by itself."""
        deadline_s = time.monotonic() + self._settings.lease_call_ms / 1000
        while not self._protocol.left and self._connection.connected and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    async def _read(self, call_id: int) -> None:
        try:
            lease = await self._key.read()
        except LogError as fault:
            self._drive(e.LeaseFailed(call_id, conflict=False, detail=str(fault)))
        else:
            self._drive(e.LeaseRead(call_id, lease))

    async def _put(self, effect: e.PutLease | e.ReleaseLease) -> None:
        put = self._key.put if isinstance(effect, e.PutLease) else self._key.release
        try:
            revision = await put(effect.expected)
        except LogError as fault:
            log.info("lease-not-put", expected=effect.expected, why=str(fault))
            self._drive(e.LeaseFailed(effect.call_id, isinstance(fault, ConflictError), str(fault)))
        else:
            self._drive(e.LeasePut(effect.call_id, revision))

    async def _ask(self, call_id: int) -> None:
        self._call_id, self._answers = call_id, []
        self._alone.clear()
        try:
            await self._connection.publish(self._names.peers_subject, b"", f"{self._inbox}.{call_id}")
            async with asyncio.timeout(self._settings.peers_gather_ms / 1000):
                await self._alone.wait()
        except TimeoutError:
            pass
        except UnreachableError:
            return  # asked again when due
        finally:
            await self._listen()
        if call_id == self._call_id:
            self._drive(e.PeersAnswered(call_id, self._answers))

    async def _listen(self) -> None:
        if not self._listens:
            self._listens = True
            await self._connection.listen(self._names.peers_subject, self._on_question)

    async def _on_question(self, message: Msg) -> None:
        if not message.reply:
            return
        try:
            await self._connection.publish(message.reply, self._peer_state())
        except UnreachableError as fault:
            log.info("peer-not-answered", why=str(fault))

    async def _on_answer(self, message: Msg) -> None:
        if message.subject.rpartition(".")[2] != str(self._call_id):
            return
        if message.headers and message.headers.get("Status") == "503":
            self._alone.set()
        elif (
            len(message.data) <= _PEER_STATE_BYTES_MAX
            and len(self._answers) < self._settings.peers_max
            and self._macs.proves_json("peer", self._names.scope.encode(), message.data)
        ):
            try:
                self._answers.append(decode_peer_state(message.data))
            except msgspec.DecodeError as fault:
                log.warning("peer-not-understood", why=str(fault))

    async def _read_ends(self, call_id: int) -> None:
        log_end, in_end = await asyncio.gather(self._end(self._names.log), self._end(self._names.incoming))
        self._drive(e.EndsRead(call_id, log_end, in_end))

    async def _end(self, stream: str) -> int | None:
        try:
            return (await stream_state(self._connection, stream)).last_sequence
        except LogError as fault:
            log.info("end-not-read", stream=stream, why=str(fault))
            return None
