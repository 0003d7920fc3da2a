"""API keys that were made and revoked, as the key file has them.

In: DIR/keys.json. Out: changes, the oldest first, as the audit shows them. Always: no secret is read further than the
file; who made a key is recorded nowhere, so `by` is not said.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from holdfast.errors import LogError

KEYS_FILE = "keys.json"
KIND = "key"


class _Key(msgspec.Struct):
    id: str
    name: str
    operations: list[str]
    created: datetime
    channels: list[str] | str = "*"
    sources: list[str] | str = "*"
    locations: list[str] | str = "*"
    expires: datetime | None = None
    revoked: datetime | None = None
    replaced_by: str | None = None


class _Keys(msgspec.Struct):
    keys: list[_Key]


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One change of one key."""

    at_ms: int
    document: dict[str, Any]


def key_changes(directory: Path) -> list[KeyChange]:
    """All of them. Raises LogError where the file cannot be read."""
    path = directory / KEYS_FILE
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=_Keys).keys
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as fault:
        raise LogError(f"{path} cannot be read as keys ({fault})") from fault
    found = [change for key in keys for change in _of(key)]
    return sorted(found, key=lambda one: one.at_ms)


def _of(key: _Key) -> list[KeyChange]:
    rights = {
        "operations": key.operations,
        "channels": key.channels,
        "sources": key.sources,
        "locations": key.locations,
    }
    named = {"id": key.id, "name": key.name}
    found = [_change(key.created, None, named | rights)]
    if key.revoked is not None:
        found.append(_change(key.revoked, named | rights, named | {"revoked": True, "replaced_by": key.replaced_by}))
    return found


def _change(at: datetime, before: dict[str, Any] | None, after: dict[str, Any]) -> KeyChange:
    document = {
        "kind": KIND,
        "sku": None,
        "channel": None,
        "location": None,
        "by": None,
        "source": None,
        "trace": None,
        "before": before,
        "before_known": True,
        "after": after,
    }
    return KeyChange(int(at.timestamp() * 1000), document)
