"""LOG's past, when its tail was lost: what each sequence was, who still knows, and whether a new history has begun.

Role: keep what was cut off; judge each message that takes the place of a lost one. In: cuts, messages stored. Out:
`World.wrong` when a new history begins although a process that could be reached holds more. Always: LOG may be repaired
with the same bytes that it lost, and then nothing was lost at all; an append that was already on its way as LOG was cut
cannot be called back, and is only counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.server import Way
    from tests.simulation.world import World

# (digest, chain, void messages) of the state at one sequence
Mark = tuple[str, str, int]


class History:
    """What LOG was. `longest`: how far it ever reached; `forked`: it went on otherwise than it was."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lost: dict[int, bytes] = {}
        self.past: dict[int, set[bytes]] = {}  # every message that was ever lost at a sequence
        self.marks: dict[int, set[Mark]] = {}
        self.longest = 0
        self.cut_ms = -1
        self.forked = False

    @property
    def shorter(self) -> bool:
        """Whether LOG is still without its tail."""
        return len(self.world.server.log) < self.longest

    def cut(self, kept: int, lost: list[bytes], marks: list[Mark]) -> None:
        """LOG ends at `kept` now."""
        self.world.met["cut"] += 1
        self.cut_ms = self.world.now_ms
        for sequence, (message, mark) in enumerate(zip(lost, marks, strict=True), start=kept + 1):
            self.lost[sequence] = message
            self.past.setdefault(sequence, set()).add(message)
            self.marks.setdefault(sequence, set()).add(mark)

    def stored(self, sequence: int, message: bytes, way: Way | None, decided_ms: int | None) -> None:
        """A message is at this sequence now."""
        self.longest = max(self.longest, sequence)
        was = self.lost.get(sequence)
        if was is None or self.forked:
            return
        if was == message:
            self.world.met["put back"] += 1
            del self.lost[sequence]
            return
        self.forked = True
        if way is not None and way.sent_ms <= self.cut_ms:
            self.world.met["late append after a cut"] += 1
            return
        self.world.met["new history"] += 1
        known = [process.name for process in self.world.processes if self._knew(process, sequence, way, decided_ms)]
        if known:
            self.world.wrong("I6 new history", f"LOG was cut before {sequence} and goes on; {known} knew better")

    def _knew(self, process: Process, sequence: int, way: Way | None, decided_ms: int | None) -> bool:
        """Whether it holds what was lost, and could be asked when another process sent what takes its place.

        What is sent again into a place that is free again must not be sent without asking; unless the lease was lost,
        so that two believed that they held it.
        """
        settings = self.world.plan.settings
        long_ms = settings.evidence_fresh_ms + settings.evidence_call_ms
        again = decided_ms is not None and decided_ms <= self.cut_ms
        if again and way is not None and not way.asked and self.world.lease.lost_ms < 0:
            long_ms = 0
        sent_ms = way.sent_ms if way is not None else 0
        return process.reachable and sent_ms - process.reachable_ms >= long_ms and process.knows_upto >= sequence
