"""Whether this process should try to lead now.

Role: everything about liveness, nothing about safety (the fence decides who leads; this only keeps processes from
fighting over it). In: what was seen of other leaders, failures, time. Out: yes or no. Always: a process that was
caught up and saw nobody else lead after it is a candidate; one that did waits until the other has been quiet for
`foreign_quiet_ms`. A lease, once there is one, is asked here.
"""

from holdfast.settings import NodeSettings


class Candidacy:
    """One process's claim to lead."""

    def __init__(self, node: str, settings: NodeSettings) -> None:
        self._node = node
        self._settings = settings
        self._has_led = False
        self._foreign = False
        self._at_ms = 0
        self._failures = 0
        self.caught_up = False

    @property
    def returns_soon(self) -> bool:
        """We led a moment ago and are about to again: commands may wait for that, up to their deadline."""
        return self._has_led and not self._foreign

    def may_claim(self, mono_ms: int) -> bool:
        """Whether to append a lead batch now."""
        return self.caught_up and mono_ms >= self._at_ms

    def leads(self) -> None:
        """Our lead batch is stored."""
        self._has_led = True
        self._foreign = False

    def proven(self) -> None:
        """A batch of ours is stored: failures before it are forgotten."""
        self._failures = 0

    def saw_lead(self, node: str, mono_ms: int) -> None:
        """The newest lead batch is by `node`."""
        self._foreign = self._has_led and node != self._node
        self.saw_batch(mono_ms)

    def saw_batch(self, mono_ms: int) -> None:
        """Somebody appended."""
        if self._foreign:
            self._at_ms = mono_ms + self._settings.foreign_quiet_ms

    def back_off(self, mono_ms: int) -> None:
        """We were fenced, or the log did not answer: wait longer each time."""
        wait_ms = self._settings.lead_retry_first_ms << min(self._failures, 16)
        self._failures += 1
        self._at_ms = mono_ms + min(wait_ms, self._settings.lead_retry_ms_max)
