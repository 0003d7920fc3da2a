"""The digest that an engine maintains, beside what it must be: the recounted one, and that of a restored engine.

In: an engine between two batches. Out: an AssertionError where they differ. Always: the engine stays as it is, and
nothing is left on the disk. `Forgetful` is an engine that is given a history under tight bounds, so that what the
others remember for days is forgotten on the way.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast._core import Engine

if TYPE_CHECKING:
    from tests.support.oracle.beside import Told

# A snapshot is written durably: in memory that costs nothing.
_MEMORY = Path("/dev/shm")
_PLACE = tempfile.TemporaryDirectory(prefix="holdfast-digests-", dir=_MEMORY if _MEMORY.is_dir() else None)

FORGETFUL = {
    "undeclared_channels": "serve",
    "remember_closed_ms": 20_000,
    "closed_max": 3,
    "identities_max": 6,
    "answers_max": 3,
    "answers_kept_ms": 40_000,
    "expire_batch_max": 2,
    "renewals_max": 2,
}


def assert_counted(engine: Engine) -> str:
    """Maintained and recounted: the same. Cheap enough for every engine after every step."""
    digest, counted = engine.digest(), engine.recount()
    assert digest == counted, f"the digest kept up is {digest}, counted anew {counted}"
    return digest


def assert_digest(engine: Engine) -> None:
    """Maintained, recounted, and of an engine restored from a snapshot: all the same."""
    digest = assert_counted(engine)
    path = Path(_PLACE.name) / str(os.getpid())
    path.unlink(missing_ok=True)
    engine.snapshot(str(path))
    restored = Engine.restore(engine.scope, None, str(path))
    assert restored.digest() == digest, "a restored engine has another digest than the one that was written"
    assert restored.recount() == digest, "a restored engine has another digest, counted anew"


class Forgetful:
    """An engine under tight bounds. Answers are not compared: where it has forgotten, they are others."""

    def __init__(self, now_ms: int) -> None:
        self.engine = Engine("main")
        self.engine.apply(1, self.engine.lead_batch("n1", now_ms, json.dumps(FORGETFUL).encode()))

    def tell(self, told: Told) -> None:
        """One batch, or as many as it takes: what is due to expire may fill the first ones, and a turn takes few
        messages with facts that look at everything.
        """
        now_ms, lead_ms, commands, incoming = told
        decision = self.engine.decide(now_ms, lead_ms, commands, incoming)
        assert decision.commands_taken == len(commands)
        assert decision.incoming_taken > 0 or not incoming
        if decision.message is not None:
            self.engine.commit(self.engine.sequence + 1)
        if rest := incoming[decision.incoming_taken :]:
            self.tell((now_ms, lead_ms, [], rest))
        assert_digest(self.engine)
        assert self.engine.check_thoroughly() == []
