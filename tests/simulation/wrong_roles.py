"""Processes that are wrong on purpose about LOG, the lead, time, IN and each other.

Role: small subclasses of the real code, and a wrapper around the real core, that break one rule each
(`tests.simulation.mutants` has the table). In: what the real ones receive. Out: what they should not do. Always: a
mutant breaks what its sentence says and nothing else; nothing of it is in the product.
"""

from __future__ import annotations

import orjson

from holdfast.macs import without_code
from holdfast.protocol import messages as e
from holdfast.protocol.clocks import Clocks
from holdfast.protocol.core import Incoming
from holdfast.protocol.follower import Follower
from holdfast.protocol.forwarding import Admission, NotTaken
from holdfast.protocol.leader import Leader
from holdfast.protocol.log_types import Lease
from holdfast.protocol.machine import Protocol
from holdfast.protocol.pending_append import PendingAppend, Verdict
from holdfast.protocol.quarantine import Quarantine
from holdfast.protocol.queues import Queues
from tests.simulation.cores import KEYS, lacks_code, new_core
from tests.simulation.wrong_appends import CoreAround


class GoesOnAfterFence(Leader):
    """Fenced, it takes in what the other one wrote and continues as leader of its epoch."""

    fenced = False

    def step_down(self, pending: PendingAppend, verdict: Verdict, effects: list[e.Effect]) -> None:
        super().step_down(pending, verdict, effects)
        self.fenced = verdict is Verdict.FENCED


class LeadsAgain(Follower):
    """The follower beside that leader: once it has LOG's end, it leads."""

    def on_caught_up(self, event: e.CaughtUp, effects: list[e.Effect]) -> bool:
        leader, state = self.leader, self.state
        assert isinstance(leader, GoesOnAfterFence)
        if leader.fenced and state.role is e.Role.FOLLOWING and state.core is not None:
            leader.fenced = False
            leader.lead(state.core, effects)
            return False
        return super().on_caught_up(event, effects)


class LeadsWithoutLeadBatch(Leader):
    """Takes the lead because it has caught up, without a batch that says so."""

    def claim_if_due(self, effects: list[e.Effect]) -> None:
        state = self.state
        if state.role is e.Role.FOLLOWING and state.core is not None and state.core.epoch > 0:
            if state.election.may_claim(state.clocks.mono_ms):
                self.lead(state.core, effects)
        else:
            super().claim_if_due(effects)


class IgnoresGaps(Follower):
    """Applies what comes as what comes next."""

    def on_followed(self, event: e.Followed, effects: list[e.Effect]) -> None:
        core = self.state.core
        if core is not None and event.first_sequence > core.sequence + 1:
            event = e.Followed(core.sequence + 1, event.messages)
        super().on_followed(event, effects)


class IgnoresItsLease(Leader):
    """Decides without asking whether its lease is still good."""

    @property
    def may_decide(self) -> bool:
        return self.state.role is e.Role.LEADING and not self.state.quarantined


class IgnoresPeers(Quarantine):
    """Takes no notice of what other processes hold."""

    def on_peers(self, event: e.PeersAnswered) -> None:
        super().on_peers(e.PeersAnswered(event.call_id, ()))


class IgnoresItsJournal(Protocol):
    """Ignores its journal, and reports it to no process."""

    def _on_quarantined(self, event: e.Quarantined, effects: list[e.Effect]) -> None:
        pass

    def _on_rebuilt(self, event: e.Rebuilt, effects: list[e.Effect]) -> None:
        self.state.stored_upto = 0
        super()._on_rebuilt(e.Rebuilt(event.core), effects)


class TakesTheLease(Protocol):
    """Takes the lease as if it were free, even while another holds it."""

    def _review(self, effects: list[e.Effect]) -> None:
        seen = self.state.election._seen
        if seen is not None:
            self.state.election._seen = Lease(None, "", seen.revision)
        super()._review(effects)


class ClaimsAnywhere(Leader):
    """Tries to take the lead without having followed LOG to its end."""

    def claim_if_due(self, effects: list[e.Effect]) -> None:
        self.state.election.caught_up = True
        super().claim_if_due(effects)


class TakesAgain(Admission):
    """Takes a question as often as it comes."""

    def _is_new(self, sender: str, number: int) -> bool:
        super()._is_new(sender, number)
        return True


class TakesLate(Admission):
    """Takes a question however long it was on its way."""

    def deadline_ms(self, sender: str, number: int, left_ms: int, asked_ms: int, now_ms: int) -> int | NotTaken:
        del asked_ms
        return super().deadline_ms(sender, number, left_ms, 0, now_ms)


class AlwaysRunning(Clocks):
    """Lead time runs whether one leads or not."""

    def observe(self, mono_ms: int, wall_ms: int, lead_upto_ms: int | None) -> int:
        del lead_upto_ms
        self._led = True
        return super().observe(mono_ms, wall_ms, 1 << 62)

    def lead_from(self, lead_ms: int, now_ms: int) -> None:
        super().lead_from(max(lead_ms, self.lead_ms), now_ms)


class ByTheWall(Clocks):
    """Lead time follows the wall clock."""

    def observe(self, mono_ms: int, wall_ms: int, lead_upto_ms: int | None) -> int:
        lead_ms, wall_before_ms = self.lead_ms, self.wall_ms
        jumped = super().observe(mono_ms, wall_ms, lead_upto_ms)
        if self.lead_ms > lead_ms:
            self.lead_ms = lead_ms + max(0, wall_ms - wall_before_ms)
        return jumped


class TakesInAgain(Queues):
    """After a take-over it begins a little earlier in IN than it was taken, and counts on from there."""

    _shift = 0

    def restart_incoming(self, in_upto: int) -> None:
        super().restart_incoming(in_upto)
        self._shift = min(2, in_upto - 1) if in_upto > 3 else 0

    def add_incoming(self, messages: list[Incoming]) -> None:
        super().add_incoming([(number + self._shift, subject, payload) for number, subject, payload in messages])

    def fetch(self) -> e.FetchIn | None:
        fetch = super().fetch()
        return fetch and e.FetchIn(fetch.after - self._shift, fetch.messages_max, fetch.bytes_max)


class ForgetsIn(Queues):
    """After a take-over it goes on in IN where it had read to itself, not where LOG says."""

    def restart_incoming(self, in_upto: int) -> None:
        super().restart_incoming(max(in_upto, self._fetched_upto))


class NoChainCheck(CoreAround):
    """A batch that does not fit the chain is made to fit."""

    def apply(self, sequence: int, message: bytes) -> bool:
        if super().apply(sequence, message):
            return True
        try:
            batch = orjson.loads(message)
            lead = batch["kind"] == "lead"
            batch |= {"previous": self.chain, "batch": self.batch + 1, "in_upto": max(batch["in_upto"], self.in_upto)}
            batch |= {"epoch": self.epoch + lead, "node": batch["node"] if lead else self.node}
            if lacks_code(message):
                return False
            del batch["mac"]
        except (ValueError, KeyError):
            return False
        made = KEYS.sign_json("batch", b"", orjson.dumps(batch))
        engine = new_core()
        engine.apply_many(1, self.messages[:-1])
        taken = engine.apply(sequence, made)
        if taken:
            self.engine = engine
            self.messages[-1] = made
        return taken


class NoCodeCheck(CoreAround):
    """A batch that nobody signed counts as one that somebody did."""

    def apply(self, sequence: int, message: bytes) -> bool:
        try:
            made = KEYS.sign_json("batch", b"", without_code(message)) if lacks_code(message) else message
        except ValueError:
            made = message
        return super().apply(sequence, made)

    def lacks_code(self, message: bytes) -> bool:
        del message
        return False
