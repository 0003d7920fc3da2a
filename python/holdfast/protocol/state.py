"""The present state of one process, as the parts of the protocol share it.

Role: the role, the core, the queues, the clocks and the append under way, and the few changes that concern all of them:
another role, a new core, the end. In: calls of `leader`, `follower` and `machine`. Out: effects. Always: a core whose
speculation may be wrong is never used again; a change of role is always an effect too.
"""

from random import Random

from holdfast.protocol import messages as e
from holdfast.protocol.clocks import Clocks
from holdfast.protocol.core import Core
from holdfast.protocol.election import Election
from holdfast.protocol.log_types import Refusal
from holdfast.protocol.messages import Effect, Outcome, Problem, Role
from holdfast.protocol.pending_append import PendingAppend
from holdfast.protocol.quarantine import Quarantine
from holdfast.protocol.queues import Queues
from holdfast.protocol.tail_check import TailCheck
from holdfast.settings import NodeSettings


class ProcessState:
    """One process's part in one scope, as plain values and parts."""

    def __init__(self, node: str, rules: bytes, settings: NodeSettings, boot: str, random: Random) -> None:
        self.node = node
        self.boot = boot
        self.rules = rules
        self.settings = settings
        self.role = Role.REBUILDING
        self.core: Core | None = None
        self.pending: PendingAppend | None = None
        self.stored_upto = 0  # the highest sequence that an answer of this process was ever based on
        self.log_refusal: Refusal | None = None  # of this process's last append; nothing is known to be stored since
        self.quarantined: dict[str, str] = {}  # cause: detail; while there is one, this process does not lead
        self.stopping = False
        self.leaving = False
        self.queues = Queues(settings)
        self.clocks = Clocks(settings)
        self.election = Election(node, boot, settings, random)
        self.tail_check = TailCheck(settings)
        self.quarantine = Quarantine(boot, settings)

    @property
    def lease_good(self) -> bool:
        """Whether no other process can have been given the lead, as of the last reading of the clock."""
        return self.election.good(self.clocks.mono_ms)

    def become(self, role: Role, reason: str, effects: list[Effect]) -> None:
        """Another role, from now on."""
        self.role = role
        effects.append(e.RoleChanged(role, reason))

    def note_quarantine(self, effects: list[Effect]) -> None:
        """Set the causes of the quarantine; waiting commands cannot be decided while there is one."""
        self.quarantined = self.quarantine.causes
        if self.quarantined and self.queues.commands:
            effects.append(e.Reject(self.queues.drop_commands(), Problem.LOG_UNAVAILABLE, Outcome.NOT_DONE))

    def start_anew(self, reason: str, why: str, effects: list[Effect]) -> None:
        """Throw the core away and replay."""
        self.core = None
        self.election.back_off(self.clocks.mono_ms)
        self.become(Role.REBUILDING, reason, effects)
        effects.append(e.StopFollowing())
        effects.append(e.Rebuild(why))

    def abandon(self) -> list[e.Command]:
        """The process ends: every command that still has no answer."""
        pending, self.pending = self.pending, None
        waiting = list(pending.waiting) if pending is not None else []
        return waiting + self.queues.drop_commands()

    def halt(self, reason: str, effects: list[Effect]) -> None:
        """Stop for good: it is not safe to go on."""
        pending, self.pending = self.pending, None
        if pending is not None:
            effects.append(e.Reject(pending.waiting, Problem.LOG_UNAVAILABLE, Outcome.UNKNOWN))
        effects.append(e.Reject(self.queues.drop_commands(), Problem.NO_LEADER, Outcome.NOT_DONE))
        self.core = None
        self.election.release(self.clocks.mono_ms, effects)
        self.become(Role.HALTED, reason, effects)
        effects.append(e.Halt(reason))
