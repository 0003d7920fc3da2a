"""One process's part in a scope, on asyncio.

Role: do what the protocol wants done: appends, reads of streams, timers, answers. In: commands, reads and facts from
the gateway. Out: answers, each with the stored LOG sequence that it reflects, or Unavailable. Always: everything runs
on one event loop; commands of one turn share one decide, without a separate task or timer each; reads that wait
run after a commit and before the next decide.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any, Generic, Literal, cast

import structlog

from holdfast.macs import Macs
from holdfast.nats.appender import Appender, Refused, Stored, get_message
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.dead_letters import DeadLetters
from holdfast.nats.refusals import Refusals
from holdfast.nats.streams import Names, ensure_streams
from holdfast.node.bootstrap import Bootstrap
from holdfast.node.commands import CommandOutcome, Commands
from holdfast.node.feeds import Feeds
from holdfast.node.in_room import InRoom
from holdfast.node.journal_writer import JournalWriter
from holdfast.node.name_room import NameRoom
from holdfast.node.reads import Answer, CoreT, Reads
from holdfast.node.rebuilder import Rebuilder
from holdfast.node.replay import Progress, ReplayProgress
from holdfast.node.report import Counters, not_ready, state_of
from holdfast.peers.cluster import ClusterMember
from holdfast.peers.membership_io import MembershipIo
from holdfast.protocol import messages as e
from holdfast.protocol.core import Request, Together, request_of
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.facts_outcome import FactsOutcome
from holdfast.protocol.machine import Protocol
from holdfast.settings import Settings
from holdfast.tasks import cancel_and_wait
from holdfast.traces import CURRENT

log = structlog.get_logger(__name__)


class Node(Generic[CoreT]):
    """The interface that the gateway uses."""

    def __init__(
        self,
        scope: str,
        endpoint: Endpoint,
        new_core: Callable[[], CoreT],
        settings: Settings | None = None,
        *,
        name: str = "n1",
        rules: bytes = b"{}",
        directory: Path | None = None,
        bootstrap: Bootstrap[CoreT] | None = None,
        on_progress: Progress | None = None,
        macs: Macs | None = None,
    ) -> None:
        self._macs = macs = macs or Macs()
        macs.alarm = lambda detail: self._alarm(e.Alarm("unproven-message", detail))
        self.names = Names(scope)
        self.settings = settings or Settings()
        self.counted = Counters()
        self.reason = "starting"
        self.log_fault = ""  # the fault of the log's server, as its supervisor reports it
        self._protocol = Protocol(name, rules, self.settings.node, boot=secrets.token_hex(8))
        self._connection = Connection(endpoint, self.settings.log, f"holdfast {scope} {name}")
        feed_connection = Connection(endpoint, self.settings.log, f"holdfast {scope} {name} feed")
        self._appender = Appender(self._connection, self.names, self._on_append_reply)
        self._dead = DeadLetters(self._connection, self.names, self.settings.log)
        self._refusals = Refusals(self._connection, self.names, self.settings.log)
        self._feeds = Feeds(feed_connection, self.names, self.settings, self._from_log, self._drive)
        journal = None if directory is None else directory / "journal" / name
        self.journal_writer = JournalWriter(
            journal, feed_connection, self.names, self.settings, self._drive, self._alarm, macs.keys
        )
        self._rebuilder: Rebuilder[CoreT] = Rebuilder(
            feed_connection, self.journal_writer, new_core, bootstrap, on_progress, self._drive, self._alarm
        )
        self._reads: Reads[CoreT] = Reads(self.settings.node)
        self.cluster = ClusterMember(
            *(self._connection, self.names, self._protocol, self.settings, self._wake, self._drive, self._alarm),
            lambda: self.journal_writer.end,
            macs,
            directory,
        )
        self._commands = Commands(self._protocol, self.cluster, self._refusals, self.counted, self.settings.node)
        self._membership_io = MembershipIo(
            *(self._connection, self.names, self.settings, self._protocol, self.cluster.peer_state),
            *(self._drive, self._spawn, macs),
        )
        self._in_room = InRoom(feed_connection, self.names, self.settings.log)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.TimerHandle | None = None
        self._turn_scheduled = False
        self._nobody = copy_context()  # a turn is for all that gathered, and belongs to no single request
        self._halted: asyncio.Future[str] | None = None
        self._performers = self._make_performers()

    def _make_performers(self) -> dict[type[Any], Callable[[Any], None]]:
        return {
            e.Answer: self._commands.answer,
            e.Reject: self._commands.reject,
            e.Committed: self._committed,
            e.Keep: self.journal_writer.keep,
            e.Received: lambda effect: self.cluster.receipts.record(effect.receipts, effect.sequence),
            e.Append: self._append,
            e.PublishDead: lambda effect: self._dead.put(effect.letters),
            e.FetchIn: self._feeds.incoming.fetch,
            e.ReadMessage: lambda effect: self._spawn(self._read_back(effect.sequence)),
            e.Follow: self._feeds.follow,
            e.StopFollowing: self._feeds.stop,
            e.Rebuild: lambda effect: self._spawn(self._rebuild(effect.reason)),
            e.RoleChanged: self._role_changed,
            e.Alarm: self._alarm,
            e.Halt: self._halt,
            **self._membership_io.performers,
        }

    # ---- life

    async def start(self) -> None:
        """Connect, check the streams, and begin to replay LOG in the background.

        Raises UnreachableError, ServerUnfitError or StreamMismatchError. `wait_ready` waits for the rest.
        """
        self._loop = asyncio.get_running_loop()
        self._halted = self._loop.create_future()
        await self._connection.open()
        await self._feeds.connection.open()
        await ensure_streams(self._connection, self.names, self.settings.log)
        await self._appender.open()
        await self._dead.open()
        await self.journal_writer.open()
        await self.cluster.open()
        await self._membership_io.open()
        self._connection.watch(self._on_connection)
        self._feeds.watch()
        self._spawn(self._in_room.run())
        self._spawn(NameRoom(lambda: self._protocol.core, self._alarm).run())
        self._drive(self._clock(e.Tick))
        self._perform(self._protocol.start())
        self._ticker = self._loop.call_later(self.settings.node.tick_ms / 1000, self._tick)

    async def wait_ready(self) -> None:
        """Until requests are answered. Raises RuntimeError when the node halted instead."""
        while self.ready():
            if self._halted is not None and self._halted.done():
                raise RuntimeError(f"the node halted: {self._halted.result()}")
            await asyncio.sleep(0.01)

    async def halted(self) -> str:
        """Wait until it is not safe to go on; returns why. The process should then exit."""
        assert self._halted is not None, "Invariant: started"
        return await asyncio.shield(self._halted)

    async def stop(self, drain: bool = True) -> None:
        """Finish the work under way (at most `drain_ms`), if `drain`; then release the log."""
        self._drive(e.Stop())
        self.cluster.stop()
        deadline_s = time.monotonic() + self.settings.node.drain_ms / 1000
        parts = (self._protocol, self.cluster.forwarder)
        while drain and not all(part.idle for part in parts) and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(self.settings.node.tick_ms / 1000)
        self._perform(self._protocol.leave())
        await self._membership_io.until_left()
        if self._ticker is not None:
            self._ticker.cancel()
        self._protocol.end()
        self._feeds.stop()
        await asyncio.gather(self._feeds.stopped(), cancel_and_wait(*self._tasks))
        self._reads.refuse_all("no-leader")
        self._commands.reject(e.Reject(self._protocol.abandon(), e.Problem.NO_LEADER, e.Outcome.UNKNOWN))
        await self.cluster.close(drain=drain)
        await self._dead.close(self.settings.log.request_timeout_ms / 1000 if drain else 0)
        await self._refusals.close()
        await self.journal_writer.close()
        await self._feeds.connection.close()
        await self._connection.close()

    # ---- what the gateway calls

    def submit(
        self,
        verb: str,
        reservation: str,
        body: bytes,
        channels: tuple[str, ...] | None,
        by: str | None,
        key: str | None = None,
    ) -> asyncio.Future[Answer]:
        """Have one command decided, here or by the leader; resolved when LOG has its result.

        `key`: the idempotency key, or what names one part of a request under it (gateway/idempotency.py). Raises
        Unavailable, or the future does.
        """
        request = request_of(verb, reservation, body, channels, by, key, CURRENT.get())
        future = self._commands.submit(request, self._loop)
        self._wake()
        return future

    def submit_many(self, requests: Sequence[Request]) -> asyncio.Future[list[CommandOutcome]]:
        """Have several decided, in their order, as `submit` does; the outcomes have no exception but Unavailable."""
        future = self._commands.submit_many(requests, self._loop)
        self._wake()
        return future

    def submit_together(self, carts: Together) -> asyncio.Future[Answer] | None:
        """Have carts decided in one batch; answered with the members of their `results`. None: not here, not now."""
        future = self._commands.submit_together(carts, self._loop)
        self._wake()
        return future

    def read_now(self, call: Callable[[CoreT, bytes], tuple[int, bytes]]) -> Answer | None:
        """Run a read at once; None while a batch is under way (then await `read`). Raises Unavailable."""
        protocol = self._protocol
        if protocol.speculating:
            return None
        core = protocol.core
        if core is None:
            raise Unavailable("no-leader", "not-done", self.settings.node.retry_after_s)
        status, body = call(cast("CoreT", core), self.cluster.as_of(core.sequence))
        return status, body, core.sequence

    async def read(self, call: Callable[[CoreT, bytes], tuple[int, bytes]], *, degradable: bool = True) -> Answer:
        """Run a read now, or after the batch under way is stored.

        When that takes longer than `read_wait_ms`: marked degraded, or refused unless `degradable` (a reservation
        that is not stored yet must not be shown).
        """
        answer = self.read_now(call)
        if answer is not None:
            return answer
        return await self._reads.wait(call, int(self._loop.time() * 1000), degradable=degradable)

    async def facts(
        self,
        family: Literal["erp", "woo", "policy"],
        source: str,
        messages: list[bytes],
        wait: Literal["log", "received"],
    ) -> FactsOutcome:
        """Send messages of facts through IN; wait until LOG, or only IN, has them. Raises Unavailable."""
        if self._protocol.quarantine:  # messages to an IN that lost its end would never be taken in
            raise Unavailable.of(e.Problem.LOG_UNAVAILABLE, e.Outcome.NOT_DONE, self.settings.node.retry_after_s)
        subject = self.names.incoming_subject(family, None if family == "policy" else source)
        return await self.cluster.facts.send(subject, messages, await_log=wait == "log")

    @property
    def replay_progress(self) -> ReplayProgress | None:
        """The progress of the newest rebuild."""
        return self._rebuilder.progress

    async def reach(self, sequence: int) -> None:
        """Wait until this process holds LOG up to `sequence`, at most `read_deadline_ms`. Raises Unavailable."""
        if sequence > self.cluster.applied_index.sequence:
            await self.cluster.reach(sequence)

    def state(self) -> dict[str, Any]:
        """Identity and progress. `digest` is None while a batch is under way: read it with `read` then."""
        lag = self.cluster.lag(self._feeds.log.end)
        return state_of(self._protocol, self.names.scope, lag, self._feeds.incoming.end) | self.cluster.state()

    def peer_died(self, node: str) -> None:
        """The process of that name has certainly ended: its lease need not run out first."""
        self._drive(e.HolderDied(node))

    def log_unwritable(self) -> bool:
        """Whether the log is known to accept no append: by a report, its own answer, or a lost connection."""
        return bool(self.log_fault) or self._protocol.log_refuses or not self._connection.connected

    def ready(self) -> list[str]:
        """Reasons not to send requests here; empty when they should be sent."""
        reasons = not_ready(self._protocol, self._connection, self.reason, self.log_fault, self.settings.node)
        return [*reasons, *self.cluster.not_ready()]

    def counters(self) -> Mapping[str, float]:
        """Figures by name; those that only grow end in `_total`."""
        own = self.counted.figures(self._protocol, self._dead, self._refusals, len(self._reads))
        return {**own, **self.cluster.figures(self._feeds.log.end), **self.journal_writer.figures()}

    def tallies(self) -> Mapping[str, Mapping[str, float]]:
        """Figures by state, kind or reason: each set of these is bounded."""
        # A batch is judged by the core, not by the codes of messages that other processes send.
        batches = self.counted.alarms["unproven-batch"]
        unproven = {"unproven_messages": dict(self._macs.refused) | ({"batch": batches} if batches else {})}
        silent = {"source_silent": self.cluster.freshness.silent}
        return {**self.counted.tallies(self._protocol.core, self._dead), **unproven, **silent}

    # ---- driving the protocol

    def _clock(self, kind: type[e.Tick] | type[e.Turn]) -> e.Tick | e.Turn:
        return kind(int(self._loop.time() * 1000), int(time.time() * 1000))

    def _drive(self, event: e.Event) -> None:
        self._perform(self._protocol.handle(event))
        self._wake()

    def _from_log(self, event: e.Event) -> None:
        self._drive(event)
        if isinstance(event, e.CaughtUp):
            self.cluster.caught_up(event.sequence)
        self.cluster.settled()

    def _wake(self) -> None:
        if not self._turn_scheduled and self._protocol.wants_turn:
            self._turn_scheduled = True
            self._loop.call_soon(self._turn, context=self._nobody)

    def _turn(self) -> None:
        self._turn_scheduled = False
        self._perform(self._protocol.handle(self._clock(e.Turn)))

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(self.settings.node.tick_ms / 1000, self._tick)
        self._drive(self._clock(e.Tick))
        if self._reads and self._protocol.core is not None:
            self._reads.run_late(cast("CoreT", self._protocol.core), int(self._loop.time() * 1000))
        self.cluster.tick()

    def _perform(self, effects: list[e.Effect]) -> None:
        for effect in effects:
            self._performers[type(effect)](effect)

    def _on_append_reply(self, reply: Stored | Refused) -> None:
        if isinstance(reply, Stored):
            self._perform(self._protocol.handle(e.AppendStored(reply.append_id, reply.sequence)))
            if self._protocol.wants_turn:  # at once: the queue is sent while the answers are being written
                self._turn()
        else:
            self.counted.appends_refused += 1
            self._drive(e.AppendRefused(reply.append_id, reply.refusal, reply.detail))

    # ---- carrying out effects

    def _append(self, effect: e.Append) -> None:
        self._commands.appending()
        self._appender.send(effect.append_id, effect.message, effect.expected)

    def _committed(self, effect: e.Committed) -> None:
        self.counted.batches += 1
        self.cluster.settled()
        core = self._protocol.core
        if core is not None:
            self._in_room.note(core.in_upto)
            if self._reads:
                self._reads.run_all(cast("CoreT", core), self.cluster.as_of(effect.sequence))

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_back(self, sequence: int) -> None:
        self._drive(e.MessageRead(sequence, await get_message(self._connection, self.names.log, sequence)))

    async def _rebuild(self, reason: str) -> None:
        if await self._rebuilder.rebuild(reason):
            self.cluster.rebuilt()

    def _role_changed(self, effect: e.RoleChanged) -> None:
        self.reason = effect.reason
        self.counted.roles[effect.role] += 1
        log.info("role", role=effect.role.value, why=effect.reason)
        self.cluster.role_changed(effect.role)
        if self._protocol.core is None:
            self._reads.refuse_all("no-leader")

    def _alarm(self, effect: e.Alarm) -> None:
        self.counted.alarms[effect.name] += 1
        log.error("alarm", alarm=effect.name, detail=effect.detail)

    def _halt(self, effect: e.Halt) -> None:
        log.critical("halt", why=effect.reason)
        self.cluster.receipts.refuse_all()
        if self._halted is not None and not self._halted.done():
            self._halted.set_result(effect.reason)

    def _on_connection(self, connected: bool, why: str) -> None:
        log.info("log-connection", connected=connected, why=why)
        self.cluster.freshness.connection(connected, self._loop.time())
        if connected:
            self._drive(e.Connected())
        elif why == "closed":
            self._drive(e.Broken(f"NATS closed the connection for good: {self._connection.last_fault}"))


__all__ = ["Answer", "FactsOutcome", "Node", "Unavailable"]
