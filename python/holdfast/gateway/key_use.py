"""When API keys were used last: what `holdfast keys list` shows, and tells which one can be ended.

In: keys that requests came with. Out: DIR/keys.used/NAME.json, one file for each worker, and the newest time of all.
Always: a request costs no more than a mark; times are written once a minute, so that they may be a minute too old.
"""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from holdfast.gateway.keyring import Key

USED_FOLDER = "keys.used"
EVERY_S = 60.0
_BYTES_MAX = 4 << 20
_FILES_MAX = 1_000

log = structlog.get_logger(__name__)


class KeyUse:
    """Those of one worker."""

    def __init__(self, directory: Path, worker: str) -> None:
        self.path = directory / USED_FOLDER / f"{worker}.json"
        self._last = _read(self.path)
        self._changed = False

    def note(self, keys: Iterable[Key]) -> None:
        """The keys that were used since the last look."""
        now = datetime.now(UTC).replace(microsecond=0)
        for key in keys:
            if key.used and key.id is not None:
                key.used = False
                self._last[key.id] = now
                self._changed = True

    def write(self) -> None:
        """If something changed. A directory that cannot be written is logged: nobody is refused for it."""
        if not self._changed:
            return
        temporary = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(self._last))
            temporary.replace(self.path)
            self._changed = False
        except OSError as error:
            log.warning("key-use-unwritable", why=str(error))


def last_used(directory: Path) -> dict[str, datetime]:
    """By the key's id: the newest time of all workers."""
    found: dict[str, datetime] = {}
    for path in sorted((directory / USED_FOLDER).glob("*.json"))[:_FILES_MAX]:
        for key, moment in _read(path).items():
            found[key] = max(moment, found.get(key, moment))
    return found


def _read(path: Path) -> dict[str, datetime]:
    """Nothing where there is no file, or another one."""
    try:
        if path.stat().st_size > _BYTES_MAX:
            return {}
        return msgspec.json.decode(path.read_bytes(), type=dict[str, datetime])
    except (OSError, msgspec.DecodeError):
        return {}
