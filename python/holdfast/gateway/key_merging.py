"""What two machines know of the same API keys, joined.

In: keys of one data directory, and of others. Out: keys. Always: the same whichever machine joins and in whatever
order; a key that ended anywhere has ended, at the earliest moment that anybody gave; of its rights the newest change
counts, by the clock of the machine that made it.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from holdfast.gateway.key_file import KEYS_MAX, StoredKey


def merged(one: StoredKey, other: StoredKey) -> StoredKey:
    """Two states of the key with one id."""
    if one == other:
        return one
    newest = max(one, other, key=_newness)
    ends = [key.revoked for key in (one, other) if key.revoked is not None]
    successors = [key.replaced_by for key in (one, other) if key.replaced_by is not None]
    return msgspec.structs.replace(newest, revoked=min(ends, default=None), replaced_by=min(successors, default=None))


def _newness(key: StoredKey) -> tuple[datetime, bytes]:
    """When its rights were given. Two changes in one moment: the same one of them everywhere."""
    rights = msgspec.structs.replace(key, revoked=None, replaced_by=None)
    return key.changed or key.created, msgspec.json.encode(rights)


def all_merged(keys: Iterable[StoredKey], others: Iterable[StoredKey], now: datetime) -> list[StoredKey]:
    """In the order they were made. Beyond `KEYS_MAX` those go that ended first; keys in force never go."""
    found: dict[str, StoredKey] = {}
    for key in (*keys, *others):
        known = found.get(key.id)
        found[key.id] = key if known is None else merged(known, key)
    in_order = sorted(found.values(), key=lambda key: (key.created, key.id))
    if (over := len(in_order) - KEYS_MAX) > 0:
        ended = [key for key in in_order if key.state(now) != "active"]
        gone = {key.id for key in sorted(ended, key=_ended)[:over]}
        in_order = [key for key in in_order if key.id not in gone]
    return in_order


def _ended(key: StoredKey) -> tuple[datetime, str]:
    return min(moment for moment in (key.expires, key.revoked) if moment is not None), key.id
