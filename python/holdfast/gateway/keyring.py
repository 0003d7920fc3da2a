"""API keys: what is stored of them, and how a key is made, found, renewed and revoked.

In: DIR/keys.json (mode 0600). Out: Key values, and on making one the token, once.
Always: a secret is never stored, only the SHA-256 of its 256 random bits, compared in constant time; the file is
replaced whole, under a lock, so that a reader sees the keys before or after a change and nothing between, and
only by bytes from which the parser that reads it gets the same keys.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.contracts.fields import Name

KEYS_FILE = "keys.json"
KEYS_MAX = 10_000
CHANNELS_MAX = 1_000
RATE_PER_S_MIN, RATE_PER_S_MAX = 0.001, 1_000_000.0
DURATION_S_MAX = 36_525 * 86_400  # a hundred years
TOKEN_PREFIX = "hf"  # noqa: S105 - what every token begins with
ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
ID_LENGTH = 10


class KeyringError(Exception):
    """A key cannot be made or found, or the file cannot be used; the message says what to do."""


class Operation(StrEnum):
    """What a key may be allowed to do."""

    READ = "read"
    RESERVE = "reserve"
    ORDER = "order"
    FACTS = "facts"
    POLICIES = "policies"
    STATE = "state"
    METRICS = "metrics"


SCOPE_WIDE = frozenset({Operation.FACTS, Operation.POLICIES, Operation.STATE, Operation.METRICS})
"""Operations that reach over all channels; a key limited to some channels has none of them."""

OPERATION_MEANINGS = {
    Operation.READ: "availability, explain, cart validation, reading reservations, and the lists of what is stored",
    Operation.RESERVE: "making, replacing, extending and releasing reservations",
    Operation.ORDER: "confirming, cancelling and fulfilling reservations",
    Operation.FACTS: "sending facts of every kind",
    Operation.POLICIES: "sending policy facts",
    Operation.STATE: "reading the state of the process",
    Operation.METRICS: "reading the metrics",
}


class StoredKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key as keys.json has it. Times are RFC 3339 in UTC; `channels` is "*" or names."""

    id: Annotated[str, Meta(pattern=f"^[{ID_ALPHABET}]{{{ID_LENGTH}}}$")]
    name: Name
    secret_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    operations: Annotated[list[Operation], Meta(min_length=1)]
    channels: Literal["*"] | Annotated[list[Name], Meta(min_length=1, max_length=CHANNELS_MAX)] = "*"
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    rate_per_s: Annotated[float, Meta(ge=RATE_PER_S_MIN, le=RATE_PER_S_MAX)] | None = None
    replaced_by: str | None = None

    def state(self, now: datetime) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked is not None and self.revoked <= now:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


class _KeysFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keys: Annotated[list[StoredKey], Meta(max_length=KEYS_MAX)]
    version: Literal[1] = 1

    def __post_init__(self) -> None:
        if len({key.id for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have the same id")


class Key:
    """A key in force, ready for use on the hot path.

    `channels` is None for all; `ends_at` is seconds since 1970; `spacing_s` is the time between requests that its rate
    allows, 0 for no bound; `due_at` is the rate limiter's whole state (a leaky bucket of one second).
    """

    __slots__ = ("channels", "due_at", "ends_at", "id", "operations", "spacing_s")

    def __init__(
        self,
        id: str | None,  # noqa: A002 - as everywhere else
        operations: frozenset[Operation],
        channels: tuple[str, ...] | None,
        ends_at: float = float("inf"),
        rate_per_s: float | None = None,
    ) -> None:
        self.id = id
        self.operations = operations
        self.channels = channels
        self.ends_at = ends_at
        self.spacing_s = 1.0 / rate_per_s if rate_per_s else 0.0
        self.due_at = 0.0


EVERYTHING = Key(None, frozenset(Operation), None)
"""The key of every request while authentication is off."""


def _ready(stored: StoredKey) -> Key:
    ends = [moment.timestamp() for moment in (stored.expires, stored.revoked) if moment is not None]
    channels = None if stored.channels == "*" else tuple(stored.channels)
    operations = frozenset(stored.operations)
    return Key(
        stored.id,
        operations if channels is None else operations - SCOPE_WIDE,
        channels,
        min(ends, default=float("inf")),
        stored.rate_per_s,
    )


class Keyring:
    """The keys of one data directory, for reading. `reload` is cheap when the file did not change."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / KEYS_FILE
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
        known = {id_: key for id_, (_, key) in self._keys.items()}
        keys = {}
        for stored in _load(self.path):
            key = _ready(stored)
            if (before := known.get(stored.id)) is not None and before.spacing_s == key.spacing_s:
                key.due_at = before.due_at
            keys[stored.id] = (bytes.fromhex(stored.secret_sha256), key)
        self._keys, self._seen = keys, seen
        return True

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


class KeyStore:
    """The keys of one data directory, for changing (`holdfast keys`)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / KEYS_FILE

    def stored(self) -> list[StoredKey]:
        """All keys in the order they were made, ended ones too."""
        try:
            return _load(self.path)
        except FileNotFoundError:
            return []

    def add(
        self,
        name: str,
        operations: list[Operation],
        channels: str | list[str] = "*",
        *,
        expires: datetime | None = None,
        rate_per_s: float | None = None,
    ) -> tuple[StoredKey, str]:
        """A new key and its token, shown only this once. Raises KeyringError for a name in use or a bad choice."""
        chosen = checked_choice(name, operations, channels, expires, rate_per_s)
        with self._changing() as keys:
            now = _now()
            if any(key.name == name and key.state(now) == "active" for key in keys):
                raise KeyringError(f"an active key is named {name!r}; choose another name, or rotate it")
            if any(key.id == name for key in keys):
                raise KeyringError(f"{name!r} is the id of a key; choose another name")
            if len(keys) >= KEYS_MAX:
                raise KeyringError(f"{KEYS_MAX} keys are stored; remove ended ones from {self.path}")
            secret = secrets.token_urlsafe(32)
            key = StoredKey(
                id=_new_id({key.id for key in keys}),
                name=name,
                secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
                operations=sorted(set(operations)),
                channels=chosen,
                created=now,
                expires=expires,
                rate_per_s=rate_per_s,
            )
            keys.append(key)
        return key, f"{TOKEN_PREFIX}_{key.id}_{secret}"

    def revoke(self, which: str, *, after_s: float = 0.0) -> list[StoredKey]:
        """End the key with this id, or the active ones of this name, now or `after_s` from now."""
        moment = datetime.fromtimestamp(time.time() + after_s, UTC)
        with self._changing() as keys:
            ended = []
            for index, key in enumerate(keys):
                if which in {key.id, key.name} and key.state(_now()) == "active":
                    keys[index] = msgspec.structs.replace(key, revoked=min(key.revoked or moment, moment))
                    ended.append(keys[index])
            if not ended:
                raise KeyringError(f"no active key has the id or name {which!r}; `holdfast keys list` shows them")
        return ended

    def rotate(self, which: str, *, overlap_s: float) -> tuple[StoredKey, str]:
        """A new secret for the key: a new id, the same name and rights. The old one works `overlap_s` longer."""
        now = _now()
        with self._changing() as keys:
            olds = [key for key in keys if which in {key.id, key.name} and key.state(now) == "active"]
            olds = [key for key in olds if key.replaced_by is None] or olds
            if len(olds) != 1:
                raise KeyringError(f"{len(olds)} active keys have the id or name {which!r}; name one by its id")
            old = olds[0]
            secret = secrets.token_urlsafe(32)
            new = msgspec.structs.replace(
                old,
                id=_new_id({key.id for key in keys}),
                secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
                created=now,
                revoked=None,
                replaced_by=None,
            )
            ends = datetime.fromtimestamp(time.time() + overlap_s, UTC)
            keys[keys.index(old)] = msgspec.structs.replace(
                old, revoked=min(old.revoked or ends, ends), replaced_by=new.id
            )
            keys.append(new)
        return new, f"{TOKEN_PREFIX}_{new.id}_{secret}"

    @contextmanager
    def _changing(self) -> Iterator[list[StoredKey]]:
        """The keys under an exclusive lock; the list is stored afterwards."""
        if not self.directory.is_dir():
            raise KeyringError(f"{self.directory} does not exist; `holdfast serve --data` makes it, or mkdir it first")
        lock = os.open(self.directory / "keys.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = self.stored()
            yield keys
            _store(self.path, keys)
        finally:
            os.close(lock)


def checked_choice(
    name: str,
    operations: list[Operation],
    channels: str | list[str] = "*",
    expires: datetime | None = None,
    rate_per_s: float | None = None,
) -> Literal["*"] | list[str]:
    """The channels, each once. Raises KeyringError for what no key can have, so that nothing need be made for it."""
    if not _is_name(name):
        raise KeyringError("a key's name is 1 to 128 printable characters")
    if not operations:
        raise KeyringError("a key without operations can do nothing; name some with --operations")
    if rate_per_s is not None and not RATE_PER_S_MIN <= rate_per_s <= RATE_PER_S_MAX:  # false for nan too
        raise KeyringError(
            f"{rate_per_s} requests a second: choose a number from {RATE_PER_S_MIN} to {RATE_PER_S_MAX:,.0f}, "
            "or leave --rate-per-s out for no limit"
        )
    if expires is not None and expires <= _now():
        raise KeyringError("that time has passed; choose a time in the future")
    if channels == "*":
        return "*"
    if isinstance(channels, str):
        raise KeyringError("channels are '*' or a list of names")
    if not 1 <= len(channels) <= CHANNELS_MAX or not all(map(_is_name, channels)):
        raise KeyringError(f"name 1 to {CHANNELS_MAX} channels, each of 1 to 128 printable characters, or '*' for all")
    if wide := sorted(SCOPE_WIDE & set(operations)):
        raise KeyringError(f"{', '.join(wide)} reach over all channels; give that key --channels '*'")
    return list(dict.fromkeys(channels))


def _is_name(text: str) -> bool:
    return 1 <= len(text) <= 128 and text.isprintable() and not text.isspace()


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id(taken: set[str]) -> str:
    while True:
        candidate = "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
        if candidate not in taken:
            return candidate


def _load(path: Path) -> list[StoredKey]:
    """Raises FileNotFoundError where there is no file, KeyringError for one that cannot be used."""
    try:
        return _keys_of(path.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, msgspec.DecodeError) as error:
        raise KeyringError(f"{path} cannot be read as keys ({error}); correct it, or restore it from a copy") from error


def _keys_of(content: bytes) -> list[StoredKey]:
    return msgspec.json.decode(content, type=_KeysFile).keys


def _store(path: Path, keys: list[StoredKey]) -> None:
    try:
        content = msgspec.json.format(msgspec.json.encode(_KeysFile(keys=keys)), indent=2) + b"\n"
        read_back = _keys_of(content)
    except (msgspec.MsgspecError, ValueError) as error:
        raise KeyringError(f"the keys could not be read again ({error}); {path} stays as it is") from error
    if read_back != keys:
        raise KeyringError(f"the keys would be read as others; {path} stays as it is")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
