"""The cores of one history, and the keys of its scope.

Role: one place that makes them. In: nothing, or a snapshot. Out: the real core, with the scope's keys. Always: all
processes hold the same key; an attacker holds none.
"""

from __future__ import annotations

from holdfast._core import Engine, ScopeKeys

SCOPE = "main"
KEYS = ScopeKeys([b"the simulation's own secret, 32+"])


def new_core() -> Engine:
    """An empty one."""
    return Engine(SCOPE, None, KEYS)


def restored(path: str) -> Engine:
    """From a snapshot. Raises SnapshotError."""
    return Engine.restore(SCOPE, None, path, KEYS)


def lacks_code(message: bytes) -> bool:
    """Whether no process of the scope wrote this message of LOG."""
    return KEYS.key_of_json("batch", b"", message) is None
