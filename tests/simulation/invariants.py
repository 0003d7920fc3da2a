"""What must hold after every step, whatever went wrong: the issue's I1 to I6, with everything in view.

Role: compare what processes believe and tell with LOG as it is, with a reference core that follows it, and with the
ledger. In: what was stored, answered, refused, decided. Out: `World.wrong` with the invariant's name. Always: it looks
at what can be seen from outside (LOG, answers, digests), never at how the protocol works inside, so that a mutant is
caught by what it does.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import orjson

from holdfast._core import SnapshotError
from holdfast.protocol import messages as e
from tests.simulation.clients import SKUS, Attempt, Operation
from tests.simulation.cores import lacks_code, new_core
from tests.simulation.history import History
from tests.simulation.lead_time import LeadTime
from tests.simulation.ledger import Ledger
from tests.support.digests import assert_digest

if TYPE_CHECKING:
    from tests.simulation.network import Sent
    from tests.simulation.process import Process
    from tests.simulation.server import Way
    from tests.simulation.world import World

# The fact that a command's success leaves in LOG, and that no reservation can have twice.
FACT = {"put": "held", "confirm": "confirmed", "release": "released", "cancel": "cancelled", "extend": "extended"}
ONCE = {"held", "confirmed", "released", "cancelled"}


class Invariants:
    """Everything that is watched."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reference = new_core()
        self.ledger = Ledger()
        self.history = History(world)
        self.changed = True  # LOG or a process, since the last look
        self.foreign = 0  # messages in LOG that no leader sent
        self.own_upto = 0  # the newest one that a leader sent
        self.acknowledged_upto = 0
        self.in_told = False  # an alarm said that IN is shorter than LOG has taken in
        self.dead: set[int] = set()
        self._digests = [self.reference.digest()]  # at each LOG sequence
        self.chains = [self.reference.chain]
        self._voids = [0]
        self._operations: dict[tuple[str, str], Operation] = {}
        self._attempts = 0
        self._last_attempt: dict[tuple[str, str], int] = {}
        self._decided_ms: dict[bytes, int] = {}
        self._lead_times: dict[str, LeadTime] = {}
        self._made: dict[str, Any] = {}  # reservation -> its lines as first answered
        self._told: dict[str, tuple[int, bytes]] = {}  # under an idempotency key
        self.promised: dict[tuple[str, str], int] = {}  # what LOG must have for ever

    def new_attempt(self, operation: Operation, process: Process) -> Attempt:
        """A request is about to be sent."""
        self._attempts += 1
        key = (operation.verb, operation.name)
        self._operations.setdefault(key, operation)
        self._last_attempt[key] = self._attempts
        return Attempt(self.world, self._attempts, operation, process)

    def last_attempt(self, operation: Operation) -> int:
        """The number of its newest attempt."""
        return self._last_attempt[operation.verb, operation.name]

    # ---- LOG grows

    def on_stored(self, sequence: int, message: bytes, way: Way | None) -> None:
        """I3, I4, I6: each prefix of LOG is right in itself. `way`: None when no leader sent it."""
        world, reference = self.world, self.reference
        self.changed = True
        self.history.stored(sequence, message, way, self._decided_ms.get(message))
        epoch, in_upto, chain = reference.epoch, reference.in_upto, reference.chain
        fits = reference.apply(sequence, message)
        self._digests.append(reference.digest())
        self.chains.append(reference.chain)
        self._voids.append(reference.void_total)
        if not fits:
            world.met["void"] += 1
            if reference.void_total > self.foreign and not self.history.forked:
                world.wrong("I6 no void batch", f"message {sequence} does not fit LOG, and a leader of ours sent it")
            return
        self.own_upto = sequence
        batch = orjson.loads(message)
        world.met[f"batch {batch['kind']}"] += 1
        if batch["previous"] != chain:
            world.wrong("I6 chain", f"message {sequence} does not continue the chain")
        if batch["kind"] == "lead":
            if batch["epoch"] != epoch + 1:
                world.wrong("I6 epochs", f"epoch {batch['epoch']} after {epoch} at {sequence}")
            batch["facts"] = []
        if not in_upto <= batch["in_upto"] <= world.server.in_longest:
            world.wrong("IN once", f"in_upto {batch['in_upto']} after {in_upto} of {len(world.server.incoming)}")
        self.ledger.apply(sequence, batch, self._decided_ms.get(message))
        self._check_books(sequence)
        self._check_taken(batch)
        for fact in batch["facts"]:
            if fact["kind"].startswith("reservation."):
                self._check_fact(fact["kind"][12:], fact["id"], sequence)

    def on_cut(self, kept: int, lost: list[bytes]) -> None:
        """LOG lost its tail: what it has now is replayed, without the checks that it has passed."""
        marks = list(zip(self._digests, self.chains, self._voids, strict=True))
        self.history.cut(kept, lost, marks[kept + 1 :])
        for figures in (self._digests, self.chains, self._voids):
            del figures[kept + 1 :]
        self.reference, self.ledger = new_core(), Ledger()
        for sequence, message in enumerate(self.world.server.log, start=1):
            if self.reference.apply(sequence, message):
                batch = orjson.loads(message)
                self.ledger.apply(sequence, {"facts": []} | batch, self._decided_ms.get(message))
        self.own_upto = min(self.own_upto, kept)

    def _check_books(self, sequence: int) -> None:
        world, ledger, reference = self.world, self.ledger, self.reference
        if ledger.complaints:
            name = "I3 oversold" if "are taken" in ledger.complaints[0] else "lead time"
            world.wrong(name, ledger.complaints[0])
        broken = reference.check_thoroughly()
        if broken:
            world.wrong("I4 books", f"at {sequence}: {broken}")
        try:
            assert_digest(reference)
        except (AssertionError, SnapshotError) as fault:
            world.wrong("I5 digest", f"at {sequence}: {fault}")
        told = orjson.loads(reference.totals())["by_state"]
        counted = ledger.by_state()
        if any(counted[state] != count for state, count in told.items()):
            world.wrong("I4 books", f"at {sequence} the core counts {told}, the ledger {dict(counted)}")
        for sku in SKUS:
            sellable = reference.sellable(sku, "web")
            if sellable is not None and sellable != ledger.sellable(sku):
                world.wrong(
                    "I4 books", f"at {sequence} {sellable} {sku} are sellable, the ledger says {ledger.sellable(sku)}"
                )

    def _check_taken(self, batch: dict[str, Any]) -> None:
        numbers = self.ledger.in_numbers
        newest = numbers[-12:]
        if any(second <= first for first, second in itertools.pairwise(newest)):
            self.world.wrong("IN once", f"IN messages were taken as {newest}")
        if numbers and numbers[-1] > batch["in_upto"] and not self.world.server.in_cut:
            self.world.wrong("IN once", f"IN message {numbers[-1]} was taken and in_upto is {batch['in_upto']}")

    def _check_fact(self, fact: str, name: str, sequence: int) -> None:
        if ("put", name) not in self._operations:
            self.world.wrong("forged", f"nobody asked for {name}, and it was {fact} at {sequence}")
        where = self.ledger.where[fact, name]
        keyed = any(f == fact and self._is_keyed(v, name) for v, f in FACT.items())
        if (fact in ONCE or keyed) and len(where) > 1:
            self.world.wrong("I2 at most once", f"{name} was {fact} at {where}")
        for verb in ("confirm",) if fact == "oversold" else [v for v, f in FACT.items() if f == fact]:
            operation = self._operations.get((verb, name))
            if operation is not None and operation.may <= 0:
                self.world.wrong("I1 not done", f"{operation} was answered not-done, and is in LOG at {sequence}")

    def _is_told_again(self, operation: Operation, status: int, body: bytes) -> bool:
        """Under a key the first answer is the answer, byte for byte."""
        first = self._told.setdefault(str(operation), (status, body))
        return self.history.forked or self.history.shorter or self._is_same(first, (status, body))

    def _is_same(self, first: tuple[int, bytes], again: tuple[int, bytes]) -> bool:
        """Byte for byte, but for the place that the batch was decided for: void messages may have taken it."""
        if first == again or first[0] != again[0] or not self.foreign:
            return first == again
        told = [orjson.loads(body) for _, body in (first, again)]
        for one in told:
            one["sequence"] = self._effective(one.get("sequence", 0))
        return bool(told[0] == told[1])

    def _effective(self, sequence: int) -> int:
        """Of the first message from there on that took effect."""
        while 0 < sequence < len(self._voids) - 1 and self._voids[sequence] > self._voids[sequence - 1]:
            sequence += 1
        return sequence

    def _is_keyed(self, verb: str, name: str) -> bool:
        operation = self._operations.get((verb, name))
        return operation is not None and operation.keyed

    # ---- answers to clients

    def on_answer(self, attempt: Attempt, status: int, body: bytes, sequence: int) -> None:
        """I1, I2: what is acknowledged is in LOG up to the answered sequence, and stays what it was."""
        world, operation = self.world, attempt.operation
        world.met[f"{operation.verb} {status}"] += 1
        end = self.history.longest
        if sequence > end:
            world.wrong("I1 acknowledged", f"{operation} was answered at {sequence}, LOG ends at {end}")
        if sequence < attempt.sent_after and world.cast.fresh and not self._lease_was_lost():
            told = f"{operation} is answered {status} as of {sequence}"
            world.wrong("I7 stale answer", f"{told}, {attempt.sent_after} was acknowledged before it was asked")
        self.acknowledged_upto = max(self.acknowledged_upto, sequence)
        if operation.keyed and status in {200, 409} and not self._is_told_again(operation, status, body):
            world.wrong("I2 same answer", f"{operation} has another answer under its key: {status} {body!r}")
        if status >= 300 or self.history.forked or self.history.shorter:
            return
        told = orjson.loads(body)
        hold = self.ledger.holds.get(operation.name)
        if hold is None or hold.history[0][0] > sequence:
            world.wrong(
                "I1 acknowledged", f"{operation} was answered {status} at {sequence}, LOG does not have it by then"
            )
            return
        if told["sequence"] > sequence:
            world.wrong("I1 acknowledged", f"{operation} at {sequence} tells of {told['sequence']}")
        if told["state"] not in hold.states_at(self._effective(told["sequence"]) if operation.keyed else sequence):
            at = sorted(hold.states_at(sequence))
            world.wrong("I1 acknowledged", f"{operation} was told {told['state']} at {sequence}, by LOG it was {at}")
        fact = (FACT[operation.verb], operation.name)
        if self.ledger.where.get(fact, [sequence + 1])[0] <= sequence:
            self.promised.setdefault(fact, sequence)
        lines = [(line["sku"], line["quantity"]) for line in told["lines"]]
        if self._made.setdefault(operation.name, lines) != lines:
            world.wrong("I2 same answer", f"{operation}: {lines} after {self._made[operation.name]}")
        if status == 201 and self.ledger.where.get(("held", operation.name), [0])[0] != self._effective(
            told["sequence"]
        ):
            world.wrong("I1 acknowledged", f"{operation} is said to be made at {told['sequence']}")

    def _lease_was_lost(self) -> bool:
        """Whether two may believe that they hold the lease, or LOG is not what it was."""
        settings = self.world.plan.settings
        noticed_ms = settings.lease_ttl_ms + settings.evidence_every_ms + 3 * settings.evidence_call_ms
        return self.world.now_ms <= self.world.lease.lost_ms + noticed_ms or self.history.cut_ms >= 0

    def on_not_done(self, operation: Operation) -> None:
        """I1: what is answered as not done is not in LOG, unless another attempt of it is."""
        fact = (FACT[operation.verb], operation.name)
        if operation.may <= 0 and fact in self.ledger.where:
            where = self.ledger.where[fact]
            self.world.wrong("I1 not done", f"{operation} is answered not-done, and is in LOG at {where}")

    def on_taken(self, process: Process, sent: Sent) -> None:
        """A leader takes commands of another process: not when that one has given up, and may have asked again."""
        asked = sent.question
        if asked.asked_ms and self.world.now_ms >= sent.sent_ms + asked.left_ms:
            late_ms = self.world.now_ms - sent.sent_ms - asked.left_ms
            self.world.wrong("forwarded late", f"{process.name} takes commands {late_ms} ms after their sender gave up")

    def on_differs(self, process: Process, detail: str) -> None:
        """A process doubts its state, or that of another: only a LOG that has changed gives a reason for that."""
        if self.history.cut_ms < 0:
            self.world.wrong("peers", f"{process.name}: {detail}")

    def on_received(self, process: Process, received: e.Received) -> None:
        """The answer to a sender of facts is true by LOG."""
        del process
        if received.sequence > self.history.longest:
            self.world.wrong("I1 acknowledged", f"facts were acknowledged at {received.sequence}, which LOG has not")

    def on_dead(self, letters: list[Any]) -> None:
        """Dead letters are stored."""
        self.dead.update(letter.in_sequence for letter in letters)

    # ---- what processes do

    def on_begin(self, process: Process) -> None:
        """A new life."""
        self._lead_times.pop(process.name, None)

    def before_clock(self, process: Process) -> None:
        """A process is about to read its clocks."""
        lead_time = self._lead_times.get(process.name)
        if lead_time is not None:
            lead_time.run()

    def on_role(self, process: Process, role: e.Role, reason: str) -> None:
        """It leads, or does not: not because of a message that no process wrote."""
        sequence = int(reason.rpartition(" ")[2]) if reason.startswith("append fenced at ") else 0
        log = self.world.server.log
        if 0 < sequence <= len(log) and self.history.cut_ms < 0 and lacks_code(log[sequence - 1]):
            self.world.wrong("I8 stalled", f"{process.name} gives up the lead for {sequence}, which nobody signed")
        protocol = process.protocol
        if role is e.Role.LEADING and protocol is not None and protocol.core is not None:
            self._lead_times[process.name] = LeadTime(self.world, protocol.core.lead_ms)
        else:
            self._lead_times.pop(process.name, None)

    def on_append(self, process: Process, append: e.Append) -> None:
        """Lead time moves while a process leads, by its monotonic clock, and not for a pause or an outage."""
        if append.message in self._decided_ms:
            return
        self._decided_ms[append.message] = self.world.now_ms
        lead_ms = orjson.loads(append.message)["lead_ms"]
        lead_time = self._lead_times.get(process.name)
        if lead_time is None:
            return
        if lead_ms > lead_time.latest_ms:
            over_ms = lead_ms - lead_time.latest_ms
            self.world.wrong("lead time", f"{process.name} moved lead time {over_ms} ms further than it led")
        lead_time.append()

    def on_committed(self, process: Process, sequence: int) -> None:
        """A process takes its batch for stored."""
        if process.name in self._lead_times:
            self._lead_times[process.name].answered()
        if sequence > self.history.longest:
            self.world.wrong("I1 acknowledged", f"{process.name} committed {sequence}, which LOG has not")

    def on_keep(self, process: Process, keep: e.Keep) -> None:
        """A process puts messages into its journal: they are what LOG has, byte by byte."""
        log, past = self.world.server.log, self.history.past
        for sequence, message in enumerate(keep.messages, start=keep.first_sequence):
            if message not in past.get(sequence, ()) and (sequence > len(log) or log[sequence - 1] != message):
                self.world.wrong("I5 journal", f"{process.name} keeps at {sequence} what LOG never had there")

    def on_alarm(self, process: Process, alarm: e.Alarm) -> None:
        """Some alarms say that something is wrong."""
        self.in_told |= alarm.name == "in-regrown" or "in-shorter" in alarm.detail
        if alarm.name == "invariant":
            self.world.wrong("I4 books", f"{process.name}: {alarm.detail}")

    # ---- after each step, and at the end

    def after_step(self) -> None:
        """I5, I6: every settled state is what LOG gives; at most one process can append."""
        if not self.changed:
            return
        self.changed = False
        for process in self.world.processes:
            protocol = process.protocol
            if protocol is None or protocol.core is None:
                continue
            core: Any = protocol.core
            sequence = core.sequence
            if protocol.speculating:
                continue  # it tells nobody; what it has sent is judged when it is stored
            if self._is_of_the_past(process, sequence):
                continue
            if sequence > len(self._digests) - 1:
                self.world.wrong("I5 digest", f"{process.name} is at {sequence}, LOG ends at {len(self._digests) - 1}")
            if core.recount() != core.digest():
                self.world.wrong("I5 digest", f"{process.name} at {sequence} keeps up another digest than it has")
            if core.digest() != self._digests[sequence]:
                self.world.wrong("I5 digest", f"{process.name} at {sequence} is not what LOG gives")
            if core.chain != self.chains[sequence] or core.void_total != self._voids[sequence]:
                self.world.wrong("I5 chain", f"{process.name} at {sequence} has another chain than LOG")
            if protocol.role is e.Role.LEADING and sequence == len(self._digests) - 1:
                self._check_leader(process, core)

    def _is_of_the_past(self, process: Process, sequence: int) -> bool:
        """Whether its state is one that LOG once gave, before it was cut; or nobody can say what it should be."""
        if self.history.cut_ms < 0:
            return False
        core: Any = process.protocol and process.protocol.core
        mark = (core.digest(), core.chain, core.void_total)
        return self.history.forked or mark in self.history.marks.get(sequence, ())

    def _check_leader(self, process: Process, core: Any) -> None:
        reference = self.reference
        if core.node != process.name or core.epoch != reference.epoch or reference.node != process.name:
            told = f"{process.name} leads in epoch {core.epoch} and can append"
            self.world.wrong("I6 one leader", f"{told}; by LOG {reference.node} leads in {reference.epoch}")
