"""What must hold when the faults are long over.

Role: judge a whole history. In: LOG, IN and the processes as they are then, and what was promised. Out: `World.wrong`.
Always: everything is replayed from LOG alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tests.simulation.cores import new_core

if TYPE_CHECKING:
    from tests.simulation.invariants import Invariants


def at_the_end(invariants: Invariants) -> None:
    """Everything is replayed from LOG alone."""
    world = invariants.world
    if invariants.history.forked:
        _all_who_know_are_quarantined(invariants)
        return
    missing = {fact: at for fact, at in invariants.promised.items() if fact not in invariants.ledger.where}
    if missing:
        world.wrong("I1 acknowledged", f"LOG does not have what was acknowledged: {missing}")
    again = new_core()
    again.apply_many(1, world.server.log)
    if again.digest() != invariants.reference.digest() or again.chain != invariants.reference.chain:
        world.wrong("I5 replay", "the same LOG gives another state")
    if world.server.in_cut:
        _nothing_of_in_is_lost_silently(invariants)
        return
    bad = {at for at, (_, payload) in enumerate(world.server.incoming, 1) if b'"sku"' not in payload and at > 1}
    good = [at for at in range(2, len(world.server.incoming) + 1) if at not in bad]
    if invariants.ledger.in_numbers != good:
        world.wrong("IN once", f"IN has {good}, LOG {invariants.ledger.in_numbers}")
    if invariants.dead != bad:
        world.wrong(
            "dead letters", f"IN has {sorted(bad)} that are no facts, dead letters are {sorted(invariants.dead)}"
        )


def _nothing_of_in_is_lost_silently(invariants: Invariants) -> None:
    """What IN has where LOG had taken in what is lost is never taken in: there must be an alarm."""
    world, upto = invariants.world, invariants.reference.in_upto
    there = [
        (at, orjson.loads(payload)) for at, (_, payload) in enumerate(world.server.incoming, 1) if b'"sku"' in payload
    ]
    missing = [at for at, told in there if told["facts"][0]["as_of"] not in invariants.ledger.in_numbers]
    if any(at > upto for at in missing):
        world.wrong("IN once", f"IN is taken in up to {upto}, and LOG does not have {missing}")
    if missing:
        world.met["IN shadowed"] += 1
        settings = world.plan.settings
        soon_ms = settings.evidence_patience_ms + 3 * settings.evidence_call_ms
        if not invariants.in_told and world.server.in_short_ms > soon_ms:
            world.wrong("IN silent", f"LOG does not have {missing} of IN, and no process raised an alarm")


def _all_who_know_are_quarantined(invariants: Invariants) -> None:
    """LOG has another history: a process that holds the old one does not lead, and reports why."""
    for process in invariants.world.processes:
        protocol = process.protocol
        core: Any = protocol and protocol.core
        if protocol is None or core is None or core.sequence >= len(invariants.chains) or protocol.quarantine:
            continue
        if core.chain != invariants.chains[core.sequence]:
            invariants.world.wrong("I6 new history", f"{process.name} knows another LOG, and is {process.story()}")
