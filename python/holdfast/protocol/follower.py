"""What a follower does: take a new core, apply what others append, and know when it has all of LOG.

Role: everything about a core that comes from LOG and not from deciding. In: rebuilt cores, LOG messages, LOG's end.
Out: effects. Always: a message is applied once and in order, a gap is read again; a LOG that ends before what was
acknowledged is not believed.
"""

from holdfast.protocol import messages as e
from holdfast.protocol.core import Core
from holdfast.protocol.leader import Leader
from holdfast.protocol.messages import Effect, Role
from holdfast.protocol.pending_append import Verdict
from holdfast.protocol.state import ProcessState


class Follower:
    """Follows LOG, for one process. `leader`: resolves an append under way by what LOG holds."""

    def __init__(self, state: ProcessState, leader: Leader) -> None:
        self.state = state
        self.leader = leader
        self._rebuild_at_ms: int | None = None
        self._regressed_ms: int | None = None

    def on_rebuilt(self, event: e.Rebuilt, effects: list[Effect]) -> bool:
        """A new core; returns whether it was accepted."""
        state, core = self.state, event.core
        if self._is_regressed(core):
            reason = f"LOG ends at {core.sequence}, but {state.stored_upto} was acknowledged: not leading on that"
            effects.append(e.Alarm("log-regressed", reason))
            self._retry_rebuild()
            return False
        state.core = core
        state.tail_check.clear()
        state.quarantine.restart(core, event.journal_end, state.stored_upto)
        if core.node not in {"", state.node}:
            state.quarantine.forget_peers()  # others may have led meanwhile: an answer from before is not enough
        state.election.caught_up = False
        state.election.saw_lead(core.node)
        state.become(Role.FOLLOWING, f"LOG is replayed up to {core.sequence}", effects)
        effects.append(e.Follow(core.sequence))
        return True

    def _is_regressed(self, core: Core) -> bool:
        """Whether to replay again: a server may be behind. After a while the core is accepted as it is, quarantined."""
        state = self.state
        if core.sequence >= state.stored_upto:
            self._regressed_ms = None
            return False
        if self._regressed_ms is None:
            self._regressed_ms = state.clocks.mono_ms
        return state.clocks.mono_ms < self._regressed_ms + state.settings.evidence_patience_ms

    def on_rebuild_failed(self, event: e.RebuildFailed, effects: list[Effect]) -> None:
        """LOG could not be replayed."""
        effects.append(e.Alarm("rebuild-failed", event.reason))
        self._retry_rebuild()

    def _retry_rebuild(self) -> None:
        self.state.core = None
        self._rebuild_at_ms = self.state.clocks.mono_ms + self.state.settings.rebuild_retry_ms

    def rebuild_if_due(self, effects: list[Effect]) -> None:
        """Try again, when it is due."""
        if self._rebuild_at_ms is not None and self.state.clocks.mono_ms >= self._rebuild_at_ms:
            self._rebuild_at_ms = None
            effects.append(e.Rebuild("again"))

    def on_followed(self, event: e.Followed, effects: list[Effect]) -> None:
        """LOG messages came."""
        state = self.state
        core = state.core
        if core is None or state.role is Role.LEADING:
            return
        skip = core.sequence + 1 - event.first_sequence
        if skip < 0:
            effects.append(e.Follow(core.sequence))  # a gap: read again
            return
        messages = event.messages[skip:]
        if not messages:
            return
        if state.pending is not None:
            verdict = state.pending.on_bytes(messages[0], core.chain)
            self.leader.judge(state.pending, verdict, effects)
            if verdict is Verdict.STORED:
                return
        state.log_refusal = None  # some append was stored
        epoch = core.epoch
        effects.append(e.Keep(core.sequence + 1, messages))
        for message in messages:
            fits = core.apply(core.sequence + 1, message)
            if not fits:
                effects.append(e.Alarm("void-batch", f"LOG message {core.sequence} does not fit and is skipped"))
            state.quarantine.took(core)
            state.tail_check.record(core.sequence, message, fits=fits)
        if core.epoch != epoch:
            state.election.saw_lead(core.node)

    def on_caught_up(self, event: e.CaughtUp, _effects: list[Effect]) -> bool:
        """LOG's end as reported; returns whether this process has all up to there."""
        state = self.state
        if state.role is Role.FOLLOWING and state.core is not None and event.sequence <= state.core.sequence:
            state.election.caught_up = True
            return True
        return False
