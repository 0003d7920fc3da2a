"""Protocols that are wrong on purpose, each in one way: what the simulation is worth is how fast it finds them.

Role: the table of them. In: `wrong_appends`, `wrong_roles`. Out: `MUTANTS` and `HARMLESS`, by name. Always: a mutant
must be found; a harmless one breaks what the fence makes harmless, and must not be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from holdfast.protocol.core import Core
from holdfast.protocol.follower import Follower
from holdfast.protocol.forwarding import Admission
from holdfast.protocol.leader import Leader
from holdfast.protocol.machine import Protocol
from tests.simulation import wrong_appends as appends
from tests.simulation import wrong_roles as roles
from tests.simulation.weather import Plan, plan
from tests.simulation.world import Cast


def _with(part: str, kind: Callable[..., Any]) -> Callable[..., Protocol]:
    """The real protocol with one part of its state exchanged."""

    def make(node: str, rules: bytes, settings: Any, **life: Any) -> Protocol:
        protocol = Protocol(node, rules, settings, **life)
        setattr(protocol.state, part, kind(settings))
        return protocol

    return make


def _ignoring_peers(node: str, rules: bytes, settings: Any, **life: Any) -> Protocol:
    protocol = Protocol(node, rules, settings, **life)
    protocol.state.quarantine = roles.IgnoresPeers(protocol.boot, settings)
    return protocol


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong protocol."""

    what: str
    cast: Cast


def _mutant(protocol: Callable[..., Protocol], what: str | None, core: Callable[[], Core] | None = None) -> Mutant:
    said = (what or "").strip()
    return Mutant(
        said, Cast(protocol=protocol, core=core, restore=None) if core is not None else Cast(protocol=protocol)
    )


def _leading(kind: type[Leader], core: Callable[[], Core] | None = None) -> Mutant:
    """The real protocol with this leader."""
    return _mutant(partial(Protocol, leader=kind), kind.__doc__, core)


def _following(kind: type[Follower]) -> Mutant:
    """The real protocol with this follower."""
    return _mutant(partial(Protocol, follower=kind), kind.__doc__)


def _cutting(random: Random) -> Plan:
    """Histories in which LOG loses its tail: in the others these mutants do nothing wrong."""
    while "cut" not in (drawn := plan(random)).faults:
        pass
    return drawn


def _cut(protocol: Callable[..., Protocol], what: str) -> Mutant:
    return Mutant(f"{what} (In histories in which LOG loses its tail.)", Cast(protocol=protocol, plan=_cutting))


def _admitting(kind: type[Admission]) -> Mutant:
    """The real protocol, whose leader takes other questions."""
    return Mutant(" ".join((kind.__doc__ or "").split()), Cast(admission=kind))


def _but_for_stale_answers(kind: type[Leader]) -> Mutant:
    return Mutant(f"{kind.__doc__} (Stale refusals apart.)", Cast(protocol=partial(Protocol, leader=kind), fresh=False))


MUTANTS = {
    "two-in-flight": _mutant(appends.RepeatsBoth, appends.TwoInFlight.__doc__),
    "undo-and-go-on": _leading(appends.Undoes, appends.CoreAround),
    "trust-last-sequence": _leading(appends.TrustsLastSequence),
    "no-chain-check": _mutant(Protocol, roles.NoChainCheck.__doc__, roles.NoChainCheck),
    "no-code-check": _mutant(Protocol, roles.NoCodeCheck.__doc__, roles.NoCodeCheck),
    "answer-before-ack": _leading(appends.AnswersBeforeAck),
    "wrong-sequence-is-not-done": _leading(appends.WrongSequenceIsNotDone),
    "absence-is-proof": _leading(appends.AbsenceIsProof),
    "any-success-is-ours": _leading(appends.AnySuccessIsOurs),
    "re-decide-at-the-same-end": _leading(appends.Redecides, appends.CoreAround),
    "late-is-not-done": _leading(appends.LateIsNotDone),
    "go-on-after-fence": _mutant(
        partial(Protocol, leader=roles.GoesOnAfterFence, follower=roles.LeadsAgain), roles.GoesOnAfterFence.__doc__
    ),
    "lead-without-lead-batch": _leading(roles.LeadsWithoutLeadBatch),
    "ignore-gaps": _following(roles.IgnoresGaps),
    "keep-speculation": _mutant(appends.keeping_speculation, appends.KeepsSpeculation.__doc__),
    "lead-time-always-runs": _mutant(_with("clocks", roles.AlwaysRunning), roles.AlwaysRunning.__doc__),
    "lead-time-by-the-wall": _mutant(_with("clocks", roles.ByTheWall), roles.ByTheWall.__doc__),
    "take-in-again": _mutant(_with("queues", roles.TakesInAgain), roles.TakesInAgain.__doc__),
    "ignore-its-lease": _leading(roles.IgnoresItsLease),
    "take-the-lease-from-others": _mutant(roles.TakesTheLease, roles.TakesTheLease.__doc__),
    "ignore-peers": _cut(_ignoring_peers, roles.IgnoresPeers.__doc__ or ""),
    "ignore-its-journal": _cut(roles.IgnoresItsJournal, roles.IgnoresItsJournal.__doc__ or ""),
    "take-questions-again": _admitting(roles.TakesAgain),
    "take-late-questions": _admitting(roles.TakesLate),
    "believe-any-peer": Mutant("Believes what no gateway has sealed, of peers and of leaders.", Cast(credulous=True)),
    "take-any-snapshot": Mutant(
        "Begins with any snapshot, of this LOG or of another. (In histories in which LOG loses its tail.)",
        Cast(any_snapshot=True, plan=_cutting),
    ),
    "fill-a-freed-slot": _cut(partial(Protocol, leader=appends.FillsFreedSlots), appends.FillsFreedSlots.__doc__ or ""),
    "forget-in": _mutant(_with("queues", roles.ForgetsIn), roles.ForgetsIn.__doc__),
}

HARMLESS = {
    "lease-ignored-but-for-refusals": _but_for_stale_answers(roles.IgnoresItsLease),
    "claim-without-having-caught-up": _leading(roles.ClaimsAnywhere),
}
