"""Protocols that are wrong on purpose, each in one way: what the simulation is worth is how fast it finds them.

Role: the table of them. In: `wrong_appends`, `wrong_roles`. Out: `MUTANTS` and `HARMLESS`, by name. Always: a mutant
must be found; a harmless one breaks what the fence makes harmless, and must not be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from holdfast.protocol.core import Core
from holdfast.protocol.leader import Protocol
from tests.simulation import wrong_appends as appends
from tests.simulation import wrong_roles as roles
from tests.simulation.weather import Plan, plan
from tests.simulation.world import Cast


def _with(part: str, kind: Callable[..., Any]) -> Callable[..., Protocol]:
    """The real protocol with one part exchanged."""

    def make(node: str, rules: bytes, settings: Any, **life: Any) -> Protocol:
        protocol = Protocol(node, rules, settings, **life)
        setattr(protocol, part, kind(settings))
        return protocol

    return make


def _hearing_no_peers(node: str, rules: bytes, settings: Any, **life: Any) -> Protocol:
    protocol = Protocol(node, rules, settings, **life)
    protocol._evidence = roles.HearsNoPeers(protocol.boot, settings)
    return protocol


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong protocol."""

    what: str
    cast: Cast


def _mutant(protocol: Callable[..., Protocol], core: Callable[[], Core] | None = None, what: str = "") -> Mutant:
    said = what or (protocol.__doc__ or "").strip()
    return Mutant(said, Cast(protocol=protocol, core=core) if core is not None else Cast(protocol=protocol))


def _cutting(random: Random) -> Plan:
    """Histories in which LOG loses its tail: in the others these mutants do nothing wrong."""
    while "cut" not in (drawn := plan(random)).faults:
        pass
    return drawn


def _cut(protocol: Callable[..., Protocol], what: str) -> Mutant:
    return Mutant(f"{what} (In histories in which LOG loses its tail.)", Cast(protocol=protocol, plan=_cutting))


def _but_for_stale_answers(protocol: type[Protocol]) -> Mutant:
    return Mutant(f"{protocol.__doc__} (Stale refusals apart.)", Cast(protocol=protocol, fresh=False))


MUTANTS = {
    "two-in-flight": _mutant(appends.TwoInFlight),
    "undo-and-go-on": _mutant(appends.Undoes, appends.CoreAround),
    "trust-last-sequence": _mutant(appends.TrustsLastSequence),
    "no-chain-check": _mutant(Protocol, roles.NoChainCheck, roles.NoChainCheck.__doc__ or ""),
    "answer-before-ack": _mutant(appends.AnswersBeforeAck),
    "wrong-sequence-is-not-done": _mutant(appends.WrongSequenceIsNotDone),
    "absence-is-proof": _mutant(appends.AbsenceIsProof),
    "any-success-is-ours": _mutant(appends.AnySuccessIsOurs),
    "re-decide-at-the-same-end": _mutant(appends.Redecides, appends.CoreAround),
    "late-is-not-done": _mutant(appends.LateIsNotDone),
    "go-on-after-fence": _mutant(roles.GoesOnAfterFence),
    "lead-without-lead-batch": _mutant(roles.LeadsWithoutLeadBatch),
    "ignore-gaps": _mutant(roles.IgnoresGaps),
    "keep-speculation": _mutant(appends.KeepsSpeculation),
    "lead-time-always-runs": _mutant(_with("clocks", roles.AlwaysRunning), what=roles.AlwaysRunning.__doc__ or ""),
    "lead-time-by-the-wall": _mutant(_with("clocks", roles.ByTheWall), what=roles.ByTheWall.__doc__ or ""),
    "take-in-again": _mutant(_with("queues", roles.TakesInAgain), what=roles.TakesInAgain.__doc__ or ""),
    "ignore-its-lease": _mutant(roles.IgnoresItsLease),
    "take-the-lease-from-others": _mutant(roles.TakesTheLease),
    "hear-no-peers": _cut(_hearing_no_peers, roles.HearsNoPeers.__doc__ or ""),
    "ignore-its-journal": _cut(roles.IgnoresItsJournal, roles.IgnoresItsJournal.__doc__ or ""),
    "forget-in": _mutant(_with("queues", roles.ForgetsIn), what=roles.ForgetsIn.__doc__ or ""),
}

HARMLESS = {
    "lease-ignored-but-for-refusals": _but_for_stale_answers(roles.IgnoresItsLease),
    "claim-without-having-caught-up": _mutant(roles.ClaimsAnywhere),
}
