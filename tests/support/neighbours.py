"""The lease's key, the peers and the streams' ends, as they answer the protocol: at once, and as a test says.

Role: stand in for NATS where a test is about something else, or wants to say exactly what the others do. Always: a put
goes through only on the expected revision; what is held ends after its time.
"""

from collections.abc import Callable

from holdfast.protocol import messages as e
from holdfast.protocol.log_types import Lease

MEMBERSHIP = (e.ReadLease, e.PutLease, e.ReleaseLease, e.AskPeers, e.ReadEnds)


class LeaseStore:
    """A bucket with one key."""

    def __init__(self, ttl_ms: int = 3_000) -> None:
        self.ttl_ms = ttl_ms
        self.revision = 0  # of the newest put
        self._value: Lease | None = None
        self._put_ms = 0

    def value(self, mono_ms: int) -> Lease | None:
        if self._value is None or mono_ms >= self._put_ms + self.ttl_ms:
            return None
        return self._value

    def put(self, node: str | None, boot: str, expected: int, mono_ms: int) -> bool:
        present = self.value(mono_ms)
        if expected != (present.revision if present is not None else 0):
            return False
        self.force(node, boot, mono_ms)
        return True

    def force(self, node: str | None, boot: str, mono_ms: int, *, void: bool = False) -> None:
        """Whatever is there now."""
        self.revision += 1
        self._value, self._put_ms = Lease(node, boot, self.revision, void), mono_ms

    def vanish(self) -> None:
        self._value = None


class Neighbours:
    """Answers what one process asks."""

    def __init__(self, key: LeaseStore, node: str, boot: str, log_end: Callable[[], int]) -> None:
        self.key = key
        self.peers: list[e.PeerState] = []
        self.log_end: Callable[[], int | None] = log_end
        self.in_end: int | None = 1 << 40
        self._node = node
        self._boot = boot

    def answer(self, effect: e.Effect, mono_ms: int) -> e.Event:
        match effect:
            case e.ReadLease(call_id):
                return e.LeaseRead(call_id, self.key.value(mono_ms))
            case e.PutLease(call_id, expected) | e.ReleaseLease(call_id, expected):
                held = isinstance(effect, e.PutLease)
                node, boot = (self._node, self._boot) if held else (None, "")
                if self.key.put(node, boot, expected, mono_ms):
                    return e.LeasePut(call_id, self.key.revision)
                return e.LeaseFailed(call_id, conflict=True, detail="wrong last sequence")
            case e.AskPeers(call_id):
                return e.PeersAnswered(call_id, self.peers)
            case e.ReadEnds(call_id):
                return e.EndsRead(call_id, self.log_end(), self.in_end)
            case _:
                raise AssertionError(f"not about the others: {effect}")
