"""Messages of LOG that no leader sent: an attacker who may publish there, or an operator by mistake.

Role: make them, and store them at any moment, also in the very place of a leader's append. In: LOG, what was appended
or tried. Out: messages stored. Always: an attacker has everything that was ever sent, and no key: what is
signed is a copy.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import orjson

from tests.simulation.cores import KEYS

if TYPE_CHECKING:
    from tests.simulation.world import World

GARBAGE = b'{"version":1,"scope":"main","kind":"facts","facts":[]}'
HEARD_MAX = 64


class Attacker:
    """One who publishes to LOG's subject, without an expectation."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._heard: deque[bytes] = deque(maxlen=HEARD_MAX)
        self.kinds = {
            "foreign_garbage": lambda: GARBAGE,
            "foreign_replay": self._replay,
            "foreign_batch": self._batch,
            "foreign_lead": self._lead,
            "foreign_code": self._code,
        }

    def hear(self, message: bytes) -> None:
        """An append is on its way."""
        self._heard.append(message)

    def strike(self, kind: str) -> None:
        """One message of that kind."""
        message = self.kinds[kind]()
        server = self.world.server
        begun = self.world.invariants.reference.epoch > 0  # the first lead batch declares which keys count
        if message and begun and server.up and not server.stuck:
            self.world.say("nats pub", "a message that no leader sent: {}", message)
            self.world.invariants.foreign += 1
            server.store(message)

    def race(self) -> None:
        """An append is about to be stored: be quicker."""
        kinds = [kind for kind in self.world.plan.faults if kind in self.kinds]
        if kinds and self.world.chance(self.world.weather.append_raced):
            self.world.met["append raced"] += 1
            self.strike(self.world.random.choice(kinds))

    def _replay(self) -> bytes:
        """An older batch again, or one that is under way: well formed, and signed."""
        known = [*self.world.server.log[-8:], *self._heard]
        return self.world.random.choice(known) if known else b""

    def _header(self) -> dict[str, object]:
        """Everything that the next batch has to be, by LOG."""
        reference = self.world.invariants.reference
        return {
            "version": 1,
            "scope": "main",
            "kind": "facts",
            "epoch": reference.epoch,
            "node": reference.node,
            "batch": reference.batch + 1,
            "previous": reference.chain,
            "in_upto": reference.in_upto,
            "now_ms": reference.now_ms,
            "lead_ms": reference.lead_ms,
        }

    def _batch(self) -> bytes:
        """Stock at will, in a batch that fits LOG."""
        level = {"kind": "stock.level", "sku": "A", "location": "L", "on_hand": 1_000, "basis": "net", "as_of": 1 << 40}
        return self._perhaps_signed(orjson.dumps({**self._header(), "facts": [{"source": "acme", **level}]}))

    def _lead(self) -> bytes:
        """The lead for itself, and no keys from then on."""
        header = {**self._header(), "kind": "lead", "node": "n9"}
        header["epoch"] = self.world.invariants.reference.epoch + 1
        return self._perhaps_signed(orjson.dumps({**header, "rules": {"edition": 2}}))

    def _code(self) -> bytes:
        """A batch that a leader sent, with one bit of it another one."""
        message = self._replay()
        at = self.world.random.randrange(len(message)) if message else 0
        return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :] if message else b""

    def _perhaps_signed(self, message: bytes) -> bytes:
        """With the name of the right key, and a code of nothing."""
        if self.world.random.random() < 0.5:
            return message
        code = f"{KEYS.ids()[0]}{self.world.random.getrandbits(256):064x}"
        return message[:-1] + b',"mac":"' + code.encode() + b'"}'
