"""Whether this process should try to lead now: the lease, as one process sees it.

Role: everything about liveness, nothing about safety (the fence decides who leads; this only keeps processes from
competing, and lets a leader know that another may have replaced it). In: what the lease's key was seen
to hold, the outcomes of puts, failures, time. Out: reads and puts of the key; whether it is held, and until when for
certain. Always: one call of the key at a time; a put names the revision that it replaces; the lease counts from
before the put was sent; a lease whose revision has not changed for its whole time has ended by our own clock, however
late the server ends it; a void value (one that no process of the scope put there now) moves nobody: who holds the
lease puts it again over that value, and the others count the holder's time on.
"""

from dataclasses import replace
from random import Random

from holdfast.protocol.clocks import doubling_ms
from holdfast.protocol.log_types import Lease
from holdfast.protocol.messages import Effect, LeaseFailed, LeasePut, LeaseRead, PutLease, ReadLease, ReleaseLease
from holdfast.settings import NodeSettings

_NOBODY = Lease(None, "", 0)


class Election:
    """One process's claim to lead."""

    def __init__(self, node: str, boot: str, settings: NodeSettings, random: Random) -> None:
        self._node = node
        self._boot = boot
        self._settings = settings
        self._random = random
        self.caught_up = False
        self.held = False  # by this life of this process, as far as is known
        self._revision = 0
        self._good_until_ms = 0
        self._since_ms = 0  # held since, or leading until
        self.tenure = 0  # counts how often it was taken: within one, nobody else held it
        self._seen: Lease | None = None  # while not held: what the key holds
        self._seen_ms = 0
        self._dead: str | None = None  # a process that has ended; its hold on the key is read next
        self._over: Lease | None = None  # what the key holds, by a process that has ended
        self._others = False  # another process was seen to hold it
        self._call_id = 0
        self._call: Effect | None = None
        self._called_ms = 0
        self._read_ms = 0  # the earliest times
        self._put_ms = 0
        self._doubt = False  # held, but a put met another revision
        self._take_ms: int | None = None
        self._has_led = False
        self._foreign = False
        self._at_ms = 0
        self._failures = 0

    # ---- queries

    @property
    def holder(self) -> str | None:
        """The other process that holds the lease, as last read."""
        if self.held or self._seen is None or self._seen.node == self._node:
            return None
        return self._seen.node

    @property
    def returns_soon(self) -> bool:
        """We will soon lead (again): commands may wait for that, up to their deadline."""
        return self.held or (self._has_led and not self._foreign and self.holder is None)

    def good(self, mono_ms: int) -> bool:
        """Whether the lease is certainly still held by us."""
        return self.held and mono_ms < self._good_until_ms

    def open(self, mono_ms: int) -> bool:
        """Whether the lease is ours, or may be taken now."""
        seen = self._seen
        if self.held or seen is None:
            return self.held
        return (
            (seen.node in {None, self._node} and not seen.void)
            or seen == self._over
            or mono_ms >= self._seen_ms + self._settings.lease_ttl_ms
        )

    @property
    def settled(self) -> bool:
        """Not held, and nothing under way."""
        return not self.held and self._call is None

    def unused(self, mono_ms: int) -> bool:
        """Held for long without leading: another process may do better."""
        return self.held and mono_ms >= self._since_ms + self._settings.lease_unused_ms

    def may_claim(self, mono_ms: int) -> bool:
        """Whether to try to lead: we know LOG's end, and did not just fail."""
        return self.caught_up and mono_ms >= self._at_ms

    # ---- what happened

    def leads(self) -> None:
        """Our lead batch is stored."""
        self._has_led = True
        self._foreign = False

    def proven(self, mono_ms: int) -> None:
        """Our batch is stored: failures before it are forgotten."""
        self._failures = 0
        self._since_ms = mono_ms

    def saw_lead(self, node: str) -> None:
        """The newest lead batch is by `node`."""
        self._foreign = self._has_led and node != self._node

    def back_off(self, mono_ms: int) -> None:
        """We were fenced, or the log did not answer: wait longer each time."""
        self._failures += 1
        settings = self._settings
        self._at_ms = mono_ms + doubling_ms(settings.lead_retry_first_ms, settings.lead_retry_ms_max, self._failures)

    def died(self, node: str, mono_ms: int) -> None:
        """The process of that name has ended, and its hold on the lease with it, but not that of a successor."""
        if not self.held:
            self._dead = node
            self._read_ms = mono_ms

    def connected(self, mono_ms: int) -> None:
        """NATS can be reached again."""
        self._read_ms = min(self._read_ms, mono_ms)
        self._put_ms = min(self._put_ms, mono_ms)

    # ---- the key

    def pursue(self, mono_ms: int, wanted: bool, effects: list[Effect]) -> None:
        """Read the key, take it, renew it or give it back, as is due."""
        if self._call is not None:
            if mono_ms < self._called_ms + self._settings.lease_call_ms:
                return
            self._failed(mono_ms, conflict=False)
        if self.held:
            if not wanted:
                self.release(mono_ms, effects)
            elif self._doubt:
                self._read_if_due(mono_ms, effects)
            elif mono_ms >= self._put_ms:
                self._send(PutLease(self._next_id(), self._revision), mono_ms, effects)
        elif wanted and self._may_take(mono_ms):
            assert self._seen is not None, "Invariant: what is open was seen"
            self._send(PutLease(self._next_id(), self._seen.revision), mono_ms, effects)
        else:
            self._read_if_due(mono_ms, effects)

    def release(self, mono_ms: int, effects: list[Effect]) -> None:
        """Give the lease back, when it is ours."""
        if self.held:
            self.held = False
            self._seen = None
            self._send(ReleaseLease(self._next_id(), self._revision), mono_ms, effects)

    def on_read(self, event: LeaseRead, mono_ms: int) -> None:
        """What the key holds."""
        if self._call is None or event.call_id != self._call_id:
            return
        self._call = None
        lease = event.lease or _NOBODY
        if lease.node == self._node and lease.boot == self._boot:
            self._adopt(lease.revision, mono_ms)
            return
        if self._is_overwritten(lease, mono_ms):
            self._adopt(lease.revision, mono_ms)
            self.tenure += 1  # in the meantime another may have had it
            return
        self.held = self._doubt = False
        if self._dead is not None:
            self._over = lease if lease.node == self._dead else None
            self._dead = None
        if lease.void and self._seen is not None:
            self._seen = replace(self._seen, revision=lease.revision, void=True)
        elif lease != self._seen:
            self._seen, self._seen_ms = lease, mono_ms
        if lease.node not in {None, self._node}:
            self._others = True
        self._read_ms = mono_ms + self._settings.lease_poll_ms
        if self._others and lease.node is not None:
            self._watch_closely(mono_ms)

    def on_put(self, event: LeasePut, mono_ms: int) -> None:
        """Our put was stored."""
        call, sent_ms = self._call, self._called_ms
        if call is None or event.call_id != self._call_id:
            return
        self._call = None
        self._revision = event.revision
        self._doubt = False
        if isinstance(call, ReleaseLease):
            self._seen, self._seen_ms = Lease(None, "", event.revision), mono_ms
            return
        settings = self._settings
        if not self.held:
            self._since_ms = mono_ms
            self.tenure += 1
        self.held = True
        self._seen = None
        self._take_ms = None
        self._good_until_ms = sent_ms + settings.lease_ttl_ms - settings.lease_margin_ms
        self._put_ms = sent_ms + settings.lease_ttl_ms // 3

    def on_failed(self, event: LeaseFailed, mono_ms: int) -> None:
        """A read or a put failed."""
        if self._call is not None and event.call_id == self._call_id:
            self._failed(mono_ms, conflict=event.conflict)

    def _failed(self, mono_ms: int, *, conflict: bool) -> None:
        call, self._call = self._call, None
        retry_ms = mono_ms + self._settings.lease_retry_ms
        if isinstance(call, ReadLease):
            self._read_ms = retry_ms
            return
        self._put_ms = retry_ms
        if conflict or not self.held:  # whether it was stored is not known: read
            self._doubt = self.held
            self._seen = None
            self._read_ms = mono_ms if conflict else retry_ms

    def _is_overwritten(self, lease: Lease, mono_ms: int) -> bool:
        """Whether a lease that is still ours was overwritten by nobody who may have it.

        One that is missing may be lost, and another may have it already (docs/adr/0007).
        """
        return lease.void and self.good(mono_ms)

    def _adopt(self, revision: int, mono_ms: int) -> None:
        """Our put was stored, and its answer lost. The time is not known: renew at once."""
        if not self.held:
            self._since_ms = mono_ms
            self.tenure += 1
        self.held = True
        self._doubt = False
        self._revision = revision
        self._seen = None
        self._put_ms = mono_ms

    def _may_take(self, mono_ms: int) -> bool:
        if not self.open(mono_ms):
            self._take_ms = None
            return False
        if self._take_ms is None:
            seen = self._seen
            # Few processes survive one, and a put names the revision: two at once do no harm.
            own = seen is not None and (seen.node == self._node or seen == self._over)
            alone = own or not self._others  # no other candidate, as far as was seen
            self._take_ms = mono_ms + (0 if alone else self._random.randint(0, self._settings.lease_jitter_ms_max))
        return mono_ms >= self._take_ms

    def _watch_closely(self, mono_ms: int) -> None:
        """Read again when its time is over; often, once it has missed a renewal."""
        settings = self._settings
        still_ms = mono_ms - self._seen_ms
        if still_ms >= settings.lease_ttl_ms // 2:
            self._read_ms = mono_ms + settings.lease_poll_late_ms
        self._read_ms = min(self._read_ms, max(mono_ms + 1, self._seen_ms + settings.lease_ttl_ms))

    def _read_if_due(self, mono_ms: int, effects: list[Effect]) -> None:
        if mono_ms >= self._read_ms:
            self._send(ReadLease(self._next_id()), mono_ms, effects)

    def _next_id(self) -> int:
        self._call_id += 1
        return self._call_id

    def _send(self, call: Effect, mono_ms: int, effects: list[Effect]) -> None:
        self._call, self._called_ms = call, mono_ms
        effects.append(call)
