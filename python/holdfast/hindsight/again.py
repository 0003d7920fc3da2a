"""A core that lives through a past again: its facts as they were or changed, its commands decided again.

In: a core, batches of LOG. Out: the state after them; answers to commands. Always: facts are applied as LOG has them,
never judged again; what a core here writes stays here: its own batches have another chain, and the state and its digest
are the same.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast._core import Engine, ScopeKeys
from holdfast.errors import LogError
from holdfast.hindsight.batches import Batch

Command = tuple[str, str, bytes, tuple[str, ...] | None, str | None]
"""Verb, reservation, body, channels that the key may see, key."""


class AgainError(LogError):
    """The core did not take what LOG has taken."""


class Again:
    """One core, and what it is given."""

    def __init__(self, core: Engine, scope: str, keys: ScopeKeys | None, *, signs: bool = False) -> None:
        """`signs`: its batches declare the keys, though the core's history did not until now."""
        self.core = core
        self._signs = signs
        self._scope = scope
        self._keys = keys

    def lead(self, batch: Batch) -> bytes:
        """A process took the lead, with its rules."""
        assert batch.rules is not None, "Invariant: a lead batch"
        rules = {name: value for name, value in batch.rules.items() if name != "mac_keys"}
        if (self.core.signed or self._signs) and self._keys is not None:
            rules["mac_keys"] = sorted(self._keys.ids())
        core = self.core
        return self.write("lead", batch, core.epoch + 1, batch.node, {"rules": rules})

    def facts(self, batch: Batch, facts: Sequence[msgspec.Raw]) -> bytes:
        """Apply facts at the time of a batch; none at all is a batch that only moves the clocks."""
        return self.write("facts", batch, self.core.epoch, self.core.node, {"facts": facts})

    def decide(self, batch: Batch, commands: Sequence[Command]) -> list[tuple[int, bytes]]:
        """Decide commands at the time of a batch; an answer for each."""
        answers: list[tuple[int, bytes]] = []
        while len(answers) < len(commands):
            decision = self.core.decide(batch.now_ms, batch.lead_ms, commands[len(answers) :], [])
            if decision.message is not None:
                self.core.commit(self.core.sequence + 1)
            if not decision.commands_taken:
                raise AgainError(f"nothing was decided at message {batch.sequence}")
            answers += decision.answers
        return answers

    def take(self, batch: Batch, subject: str, message: bytes) -> str:
        """Take in a message of facts as if it came now; why not, or ""."""
        core = self.core
        decision = core.decide(batch.now_ms, batch.lead_ms, [], [(core.in_upto + 1, subject, message)])
        if decision.message is not None:
            core.commit(core.sequence + 1)
        return decision.dead[0][2] if decision.dead else ""

    def write(self, kind: str, batch: Batch, epoch: int, node: str, content: dict[str, Any]) -> bytes:
        """Apply a batch that this core writes itself; returns its bytes."""
        core = self.core
        message = msgspec.json.encode(
            {
                "version": 1,
                "scope": self._scope,
                "kind": kind,
                "epoch": epoch,
                "node": node,
                "batch": core.batch + 1,
                "previous": core.chain,
                "in_upto": core.in_upto,
                "now_ms": batch.now_ms,
                "lead_ms": batch.lead_ms,
                **content,
            }
        )
        if self._keys is not None and (core.signed or content.get("rules", {}).get("mac_keys")):
            message = self._keys.sign_json("batch", b"", message)
        if not core.apply(core.sequence + 1, message):
            raise AgainError(
                f"message {batch.sequence} cannot be applied again: it was signed before the scope key was replaced; "
                "begin after that"
            )
        return message
