"""Which version of its tables a connection works with, and what changed in them.

In: the tables of a connection (names, statuses, returns), when it starts. Out: DIR/master/used/CONNECTION.json, and a
line of the audit for each change, from and to. Always: a version is used with one content, and a lower one is refused,
so that a version says what was in force.
"""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from holdfast.guarded import write_private
from holdfast.master.tables import Master

AUDIT = "applied.jsonl"
_USED = "used"


class VersionError(ValueError):
    """A version that must not be applied or used; the text says why."""


def entries_of(master: Master, connection: str) -> dict[str, str]:
    """Every entry of the tables of a connection, and what it says."""
    named = {f"names {one.name}": f"{one.sku} x {one.factor}" for one in master.names.get(connection, ())}
    maps = master.maps.get(connection)
    return named | ({} if maps is None else maps.entries())


def note_used(directory: Path, connection: str, master: Master) -> None:
    """The connection starts with these. Raises VersionError, OSError."""
    entries = entries_of(master, connection)
    file = directory / _USED / f"{connection}.json"
    before = _read(file)
    if before is None and not entries:
        return
    was: dict[str, str] = {} if before is None else before["entries"]
    version = 0 if before is None else int(before["version"])
    if entries and not master.version:
        raise VersionError("it states no `version`: a number that rises with each change of a table")
    if was == entries and master.version == version:
        return
    if entries and (master.version < version or (master.version == version and was != entries)):
        raise VersionError(
            f"{connection} used version {version} with another content: give this one a higher `version`"
        )
    changed = {
        name: (was.get(name), entries.get(name))
        for name in sorted({*was, *entries})
        if was.get(name) != entries.get(name)
    }
    # The audit first: a crash in between has the same line twice, and never a change without one.
    note(directory, {"version": master.version, "connection": connection, "changed": changed})
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(file, json.dumps({"version": master.version, "entries": entries}))


def note(directory: Path, entry: dict[str, Any]) -> None:
    """A line of the audit, whole, though other processes write theirs. Raises OSError."""
    line = json.dumps({"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **entry}) + "\n"
    with (directory / AUDIT).open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def history(directory: Path) -> list[dict[str, Any]]:
    """What was applied and used, the oldest first. Raises OSError."""
    try:
        lines = (directory / AUDIT).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line]


def _read(file: Path) -> dict[str, Any] | None:
    """Raises OSError."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found
