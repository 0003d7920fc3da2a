"""API keys, ready for use: how the key of a request is found.

In: DIR/keys.json. Out: Key values.
Always: secrets are compared in constant time; a key that was renewed keeps its rate.
"""

import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from holdfast.gateway.key_file import (
    KEYS_FILE,
    OPERATION_MEANINGS,
    SCOPE_WIDE,
    TOKEN_PREFIX,
    KeyringError,
    Operation,
    StoredKey,
    load,
)
from holdfast.gateway.key_store import KeyStore
from holdfast.gateway.paces import Cell, Pace, Quota, SharedPaces

__all__ = ["EVERYTHING", "OPERATION_MEANINGS", "Key", "KeyStore", "Keyring", "KeyringError", "Operation", "StoredKey"]


class Key:
    """A key in force, ready for use on the hot path.

    `channels`, `sources` and `locations` are None for all; `ends_at` is seconds since 1970; `quotas` has the
    operations that have a rate, None where none has; `requests` are those under way; `used`: a request came since
    somebody looked.
    """

    __slots__ = ("channels", "ends_at", "id", "locations", "operations", "quotas", "requests", "sources", "used")

    def __init__(
        self,
        id: str | None,  # noqa: A002 - as everywhere else
        operations: frozenset[Operation],
        channels: tuple[str, ...] | None,
        ends_at: float = float("inf"),
        quotas: Mapping[Operation, Quota] | None = None,
        *,
        sources: frozenset[str] | None = None,
        locations: frozenset[str] | None = None,
    ) -> None:
        self.id = id
        self.operations = operations
        self.channels = channels
        self.sources = sources
        self.locations = locations
        self.ends_at = ends_at
        self.quotas = quotas or None
        self.requests = 0
        self.used = False

    def quota(self, operation: Operation) -> Quota | None:
        """What bounds how fast it may ask for this; None where nothing does."""
        return None if self.quotas is None else self.quotas.get(operation)


EVERYTHING = Key(None, frozenset(Operation), None)
"""The key of every request while authentication is off."""


def _ready(stored: StoredKey, quotas: Mapping[Operation, Quota]) -> Key:
    ends = [moment.timestamp() for moment in (stored.expires, stored.revoked) if moment is not None]
    channels = None if stored.channels == "*" else tuple(stored.channels)
    operations = frozenset(stored.operations)
    return Key(
        stored.id,
        operations if channels is None else operations - SCOPE_WIDE,
        channels,
        min(ends, default=float("inf")),
        quotas,
        sources=None if stored.sources == "*" else frozenset(stored.sources),
        locations=None if stored.locations == "*" else frozenset(stored.locations),
    )


class Keyring:
    """The keys of one data directory, for reading. `reload` is cheap when the file did not change.

    `paces`: the buckets that the workers of this machine share; without it each process has its own.
    """

    def __init__(self, directory: Path, paces: SharedPaces | None = None) -> None:
        self.path = directory / KEYS_FILE
        self._paces = paces
        self._cells: dict[str, Cell] = {}
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, tuple[bytes, Key]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def in_force(self) -> int:
        """How many keys have not ended."""
        now = time.time()
        return sum(key.ends_at > now for _, key in self._keys.values())

    def reload(self) -> bool:
        """Read the file if it changed; True when it did. Raises KeyringError when it cannot be read (old keys stay)."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            changed, self._seen, self._keys = bool(self._keys), None, {}
            return changed
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen == self._seen:
            return False
        stored = load(self.path)
        renewed = {key.replaced_by: key.id for key in stored if key.replaced_by is not None}
        keys = {}
        for one in stored:
            ready = _ready(one, self._quotas(one, _family(one.id, renewed)))
            keys[one.id] = (bytes.fromhex(one.secret_sha256), ready)
        self._keys, self._seen = keys, seen
        return True

    def keys(self) -> Iterator[Key]:
        """All of them."""
        return (key for _, key in self._keys.values())

    def of_any_source(self) -> list[str]:
        """Ids of keys in force that may send facts in the name of every source."""
        now = time.time()
        keys = [key for _, key in self._keys.values() if key.ends_at > now]
        return [key.id or "" for key in keys if key.sources is None and Operation.FACTS in key.operations]

    def _quotas(self, stored: StoredKey, family: str) -> dict[Operation, Quota]:
        """By operation. A bucket is the family's, so that a renewed key goes on with those of the old one."""
        of_key = {"key": Pace(stored.rate_per_s, self._cell(family))} if stored.rate_per_s else {}
        found = {}
        for operation in stored.operations:
            rate = stored.rates.get(operation)
            paces = of_key if rate is None else of_key | {operation: Pace(rate, self._cell(f"{family}.{operation}"))}
            if paces:
                found[operation] = Quota(paces)
        return found

    def _cell(self, family: str) -> Cell:
        if family not in self._cells:
            self._cells[family] = self._paces.cell(family) if self._paces is not None else Cell()
        return self._cells[family]

    def find(self, token: str) -> Key | None:
        """The key that `token` is the secret of, in force or not; None when there is none."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        stored = self._keys.get(key_id)
        digest = hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
        # An unknown id costs the same as a wrong secret.
        expected, key = stored if stored is not None else (bytes(32), None)
        matches = hmac.compare_digest(digest, expected)
        return key if matches and prefix == TOKEN_PREFIX else None


def _family(id_: str, renewed: dict[str, str]) -> str:
    """The first of the keys that this one renews."""
    seen = set()
    while id_ in renewed and id_ not in seen:
        seen.add(id_)
        id_ = renewed[id_]
    return id_
