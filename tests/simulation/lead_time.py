"""How far one process's lead time may have moved.

Role: allow what its monotonic clock shows while it leads, and no more. In: its readings of the clocks, its appends and
their ends. Out: the latest lead time that it can know. Always: a pause or an outage adds one step at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World


class LeadTime:
    """How far one process's lead time may have moved since it leads, by what happened to it."""

    def __init__(self, world: World, began_lead_ms: int) -> None:
        self._world = world
        self._began_lead_ms = began_lead_ms
        self._allowed_ms = 0
        self._seen_ms = world.now_ms
        self._upto_ms: int | None = None  # while an append is unanswered

    def run(self) -> None:
        """The process reads its clocks: it notices the time that has passed, but not all of a pause."""
        step_ms = min(self._world.now_ms - self._seen_ms, self._world.plan.settings.lead_step_ms_max)
        self._seen_ms = self._world.now_ms
        self._allowed_ms += step_ms
        if self._upto_ms is not None:
            self._allowed_ms = min(self._allowed_ms, self._upto_ms)

    def append(self) -> None:
        """An append begins: until it is answered, lead time moves by one step at most."""
        self._upto_ms = self._allowed_ms + self._world.plan.settings.lead_step_ms_max

    def answered(self) -> None:
        """It is answered."""
        self._upto_ms = None

    @property
    def latest_ms(self) -> int:
        """The latest lead time that the process can know."""
        return self._began_lead_ms + self._allowed_ms
