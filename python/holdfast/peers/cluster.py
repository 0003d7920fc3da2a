"""One process among the others of its scope.

Role: the services of a cluster member beside the log: commands and questions forwarded to the leader, the leader's
server for them, heartbeats, and by them how far and how fresh this process is. In: what happens to the node. Out:
answers, `as_of`, reasons not to send requests here. Always: everything on one event loop; a process that leads never
asks another; a settled core is read only between batches.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from nats.aio.msg import Msg

from holdfast.errors import UnreachableError
from holdfast.macs import Macs
from holdfast.nats.connection import Connection
from holdfast.nats.fact_publisher import FactPublisher
from holdfast.nats.streams import Names
from holdfast.peers.command_server import CommandServer
from holdfast.peers.fact_submitter import FactSubmitter
from holdfast.peers.forwarding import Forwarder
from holdfast.peers.freshness import AppliedIndex, Freshness
from holdfast.peers.heartbeat import Heartbeats, Peer
from holdfast.peers.receipts import Receipts
from holdfast.peers.rpc import Rpc
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.machine import Protocol
from holdfast.protocol.messages import Alarm, Command, Event, Lifted, Outcome, Problem, Quarantined, Role
from holdfast.settings import Settings

log = structlog.get_logger(__name__)

_CLOSE_S = 1.0


class ClusterMember:
    """Everything beside the log."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        protocol: Protocol,
        settings: Settings,
        wake: Callable[[], None],
        drive: Callable[[Event], None],
        alarm: Callable[[Alarm], None],
        journal_end: Callable[[], tuple[int, str] | None],
        macs: Macs,
        directory: Path | None = None,
    ) -> None:
        """`directory`: the data directory, where processes of one machine have sockets for each other."""
        node = settings.node
        self._connection = connection
        self._names = names
        self._protocol = protocol
        self._settings = node
        self._drive = drive
        self._journal_end = journal_end
        self.applied_index = AppliedIndex(node)
        self.freshness = Freshness(node)
        self.receipts = Receipts(node)
        self._macs = macs
        self._rpc = Rpc(connection, node, macs)
        self.forwarder = Forwarder(
            *(connection, names, self._rpc, self.applied_index, self._leader, self._leader_clock, protocol.boot, node),
            directory,
        )
        self._command_server = CommandServer(
            *(connection, names, self._rpc, protocol, self.receipts, wake, node), directory
        )
        publisher = FactPublisher(connection, names.incoming, settings.log, macs)
        self.facts = FactSubmitter(
            publisher, self.receipts, self._rpc, self.applied_index, self._leads, self._leader_subject, node
        )
        self.heartbeats = Heartbeats(
            protocol.node, protocol.boot, node, lambda *raised: alarm(Alarm(*raised)), self._judge
        )
        self._stopping = False
        self._beating: asyncio.Task[None] | None = None

    # ---- life

    async def open(self) -> None:
        """Listen for answers and for other processes."""
        await self._rpc.open()
        await self._command_server.open()
        await self._connection.listen(self._names.heartbeat_subject, self._on_heartbeat)

    def stop(self) -> None:
        """Accept nothing more from other processes; work under way may finish."""
        self._stopping = True
        self._command_server.end()

    async def close(self, *, drain: bool) -> None:
        """Answer everything that still waits with what is known."""
        self.facts.stopping = True
        self.receipts.refuse_all()
        await self.forwarder.close()
        await self._command_server.close(_CLOSE_S if drain else 0)
        self._rpc.close()
        if self._beating is not None:
            await asyncio.wait([self._beating])
        if drain:
            await self._beat()  # halted: the others need not wait until it is missed

    # ---- what happens to the node

    def tick(self) -> None:
        """Time passed."""
        loop = asyncio.get_running_loop()
        self.forwarder.sweep(int(loop.time() * 1000))
        self.heartbeats.sweep(loop.time())
        if loop.time() >= self.heartbeats.next_s and (self._beating is None or self._beating.done()):
            self.heartbeats.next_s = loop.time() + self._settings.heartbeat_ms / 1000
            self._beating = loop.create_task(self._beat())

    def role_changed(self, role: Role) -> None:
        """The protocol has another role."""
        core = self._protocol.core
        self.heartbeats.next_s = 0.0  # the others should know at once
        if role is Role.LEADING and core is not None:
            self.receipts.lead(core.in_upto)
            self._command_server.begin(core.epoch)
            self.forwarder.lead(self._protocol.submit)
        else:
            self._command_server.end()
            self.receipts.refuse_all()

    def settled(self) -> None:
        """The core may be at a new sequence."""
        core = self._protocol.core
        if core is not None:
            self.applied_index.reached(core.sequence)
            self.forwarder.reached(core.sequence)
            if not self._protocol.speculating:
                self.heartbeats.reached(core)

    def caught_up(self, sequence: int) -> None:
        """The log has reported that it ends at `sequence`."""
        core = self._protocol.core
        if core is not None and core.sequence >= sequence:
            self.freshness.complete(asyncio.get_running_loop().time())

    def rebuilt(self) -> None:
        """There is a new core."""
        self.heartbeats.rebuilt()
        self.settled()

    # ---- calls of the gateway

    def take(self, command: Command, refused: tuple[Problem, Outcome]) -> None:
        """A command that this process cannot decide: forward it. Raises Unavailable."""
        if refused[0] is not Problem.NO_LEADER or self._stopping:
            raise Unavailable.of(*refused, self._settings.retry_after_s)
        self.forwarder.take(command)

    def as_of(self, sequence: int) -> bytes:
        """The `as_of` of an answer that reflects `sequence`."""
        sound = not self._protocol.quarantine
        return self.freshness.as_of(
            sequence, asyncio.get_running_loop().time(), leading=self._protocol.may_decide, sound=sound
        )

    async def reach(self, sequence: int) -> None:
        """Wait until this process holds LOG up to `sequence`. Raises Unavailable after `read_deadline_ms`."""
        if await self.applied_index.wait(sequence, self._settings.read_deadline_ms / 1000):
            return
        problem = "overloaded" if self._connection.connected else "log-unavailable"
        detail = (
            f"The request waits for min_sequence={sequence}; this process holds LOG up to "
            f"{self.applied_index.sequence}. Send it again after Retry-After, or to another process."
        )
        raise Unavailable(problem, "not-done", self._settings.retry_after_s, detail)

    def not_ready(self) -> list[str]:
        """Reasons not to send requests to a process that follows."""
        reasons = []
        if self._protocol.role is Role.FOLLOWING and not self._protocol.quarantine:
            loop = asyncio.get_running_loop()
            if self._leader() is None or self.leading_peer() is None:
                reasons.append("following, but no heartbeat comes from the leader that the log names")
            elif not self.freshness.live(loop.time()):
                reasons.append(f"following, {self.freshness.age_ms(loop.time())} ms behind the leader")
        return reasons

    def leading_peer(self) -> Peer | None:
        """The process that LOG names as leader, when its newest heartbeat is recent and confirms it."""
        core = self._protocol.core
        if core is None:
            return None
        oldest_s = asyncio.get_running_loop().time() - self._settings.live_age_ms_max / 1000
        for peer in self.heartbeats.peers.values():
            state = peer.state
            if state.role == Role.LEADING.value and (state.node, state.epoch) == (core.node, core.epoch):
                return peer if peer.received_s >= oldest_s else None
        return None

    def lag(self, log_end: int) -> int:
        """How many LOG messages this process is known to be behind."""
        core = self._protocol.core
        if core is None or self._leads():
            return 0
        peer = self.leading_peer()
        return max(0, log_end - core.sequence, peer.state.sequence - core.sequence if peer is not None else 0)

    def state(self) -> dict[str, Any]:
        """The state of this process, the leader, and the others by their last heartbeats."""
        core = self._protocol.core
        return {
            "node": self._protocol.node,
            "leader": core.node if core is not None and core.node else None,
            "peers": self.heartbeats.seen(asyncio.get_running_loop().time()),
        }

    def figures(self, log_end: int) -> Mapping[str, float]:
        """By name; those that only grow end in `_total`."""
        return {
            "commands_forwarded_total": self.forwarder.forwarded_total,
            "commands_forwarded_locally_total": self.forwarder.local_total,
            "commands_forwarded_unknown_total": self.forwarder.unknown_total,
            "commands_taken_from_others_total": self._command_server.commands_total,
            "commands_too_late_total": self._command_server.late_total,
            "questions_again_total": self._command_server.again_total,
            "forwards_in_flight": self.forwarder.in_flight,
            "forwards_waiting": self.forwarder.waiting,
            "facts_waiting": len(self.facts),
            "facts_awaited_by_others": len(self.receipts),
            "sequence_waits": len(self.applied_index),
            "lag": self.lag(log_end),
            "age_ms": self._age_ms(),
            "peers": len(self.heartbeats.peers),
            "heartbeats_received_total": self.heartbeats.received_total,
            "digest_comparisons_total": self.heartbeats.comparisons_total,
            "digest_differences_total": self.heartbeats.differences_total,
            "digest_differs": bool(self.heartbeats.differs),
        }

    # ---- inside

    def _leads(self) -> bool:
        return self._protocol.role is Role.LEADING

    def _age_ms(self) -> int:
        """For how long this process has not been known to hold all of LOG. A leader does while its lease is good."""
        now_s = asyncio.get_running_loop().time()
        if self._leads() and self._protocol.lease_good:
            self.freshness.complete(now_s)
        return self.freshness.age_ms(now_s)

    def _leader(self) -> tuple[str, int] | None:
        """The leader that LOG names, and its epoch."""
        protocol = self._protocol
        core = protocol.core
        if core is None or self._leads():
            return None
        node = core.node
        return None if node in {"", protocol.node} else (node, core.epoch)

    def _leader_subject(self) -> str | None:
        leader = self._leader()
        return None if leader is None else self._names.lead_subject(*leader)

    def _leader_clock(self) -> int:
        """The leader's own clock now, or a little earlier; 0 where that is not known. Milliseconds."""
        core = self._protocol.core
        if core is None:
            return 0
        return self.heartbeats.clock_of(core.node, core.epoch, asyncio.get_running_loop().time())

    def peer_state(self) -> bytes:
        """The state of this process, for a heartbeat and when it is asked."""
        protocol = self._protocol
        now_s = asyncio.get_running_loop().time()
        state = protocol.peer_state(self._journal_end())
        encoded = self.heartbeats.encode(state, protocol.core, now_s, settled=not protocol.speculating)
        return self._macs.sign_json("peer", self._names.scope.encode(), encoded)

    async def _beat(self) -> None:
        try:
            await self._connection.publish(self._names.heartbeat_subject, self.peer_state())
        except UnreachableError as fault:
            log.debug("heartbeat-not-sent", why=str(fault))

    async def _on_heartbeat(self, message: Msg) -> None:
        if not self._macs.proves_json("peer", self._names.scope.encode(), message.data):
            return
        protocol = self._protocol
        core = protocol.core
        now_s = asyncio.get_running_loop().time()
        state = self.heartbeats.receive(message.data, now_s, core, settled=not protocol.speculating)
        if state is None or core is None or state.role != Role.LEADING.value:
            return
        if (state.node, state.epoch) == (core.node, core.epoch) and state.sequence <= core.sequence:
            self.freshness.complete(now_s)

    def _judge(self, event: Quarantined | Lifted) -> None:
        asyncio.get_running_loop().call_soon(self._drive, event)  # not while another event's effects are carried out
