"""The leader's two clocks.

Role: turn readings of the host's clocks into the lead time and the wall time that go into batches. In: observations of
the monotonic and the wall clock. Out: `lead_ms`, `now_ms`, and how far the wall clock jumped.
Always: neither goes back. Lead time moves only while this process leads, by the monotonic clock, by at most
`lead_step_ms_max` for one observation (a frozen leader does not expire anyone's hold), and by at most as much again
while one append is unanswered (nor does a log that cannot be reached); the time before the first observation as leader
is not counted, because perhaps no process led then.
"""

from holdfast.settings import NodeSettings

_DOUBLINGS_MAX = 16


def doubling_ms(first_ms: int, ms_max: int, failures: int) -> int:
    """How long to wait after so many failures in a row, from 1: `first_ms`, then twice as long each time."""
    return min(first_ms << min(max(failures - 1, 0), _DOUBLINGS_MAX), ms_max)


class Clocks:
    """Lead time and wall time."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._observed = False
        self._led = False  # whether the last observation was made as leader
        self.mono_ms = 0
        self.wall_ms = 0
        self.now_ms = 0
        self.lead_ms = 0

    def observe(self, mono_ms: int, wall_ms: int, lead_upto_ms: int | None) -> int:
        """Take one reading of both clocks; lead time moves, up to `lead_upto_ms`, unless that is None.

        Returns by how much the wall clock jumped against the monotonic one, 0 when within `wall_jump_ms`.
        """
        step_ms = mono_ms - self.mono_ms if self._observed else 0
        jump_ms = wall_ms - self.wall_ms - step_ms if self._observed else 0
        self._observed = True
        self.mono_ms = mono_ms
        self.wall_ms = wall_ms
        if lead_upto_ms is not None:
            if self._led and step_ms > 0:
                moved = self.lead_ms + min(step_ms, self._settings.lead_step_ms_max)
                self.lead_ms = max(self.lead_ms, min(moved, lead_upto_ms))
            self._led = True
        self.now_ms = max(self.now_ms, wall_ms)
        return jump_ms if abs(jump_ms) > self._settings.wall_jump_ms else 0

    def lead_from(self, lead_ms: int, now_ms: int) -> None:
        """Continue from both clocks of the newest batch."""
        self._led = False
        self.lead_ms = lead_ms
        self.now_ms = max(now_ms, self.wall_ms)
