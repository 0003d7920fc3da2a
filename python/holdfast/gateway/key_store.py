"""Making, renewing, changing and ending API keys (`holdfast keys`).

In: a data directory, what a key may do. Out: DIR/keys.json changed, and on making a key the token, once.
Always: a secret is never stored, only the SHA-256 of its 256 random bits; changes stand under a lock, so that a reader
sees the keys before or after a change and nothing between.
"""

import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from holdfast.gateway.key_file import (
    CHANNELS_MAX,
    ID_ALPHABET,
    ID_LENGTH,
    KEYS_FILE,
    KEYS_MAX,
    LOCATIONS_MAX,
    RATE_PER_S_MAX,
    RATE_PER_S_MIN,
    SCOPE_WIDE,
    SOURCE_FORM,
    SOURCES_MAX,
    TOKEN_PREFIX,
    KeyringError,
    Operation,
    StoredKey,
    load,
    store,
)
from holdfast.gateway.key_merging import all_merged

Names: TypeAlias = str | list[str]
"""Names, or "*" for all."""


class KeyStore:
    """The keys of one data directory, for changing (`holdfast keys`)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / KEYS_FILE

    def stored(self) -> list[StoredKey]:
        """All keys in the order they were made, ended ones too."""
        try:
            return load(self.path)
        except FileNotFoundError:
            return []

    def add(
        self,
        name: str,
        operations: list[Operation],
        channels: Names = "*",
        *,
        sources: Names = "*",
        locations: Names = "*",
        expires: datetime | None = None,
        rate_per_s: float | None = None,
        rates: Mapping[Operation, float] | None = None,
    ) -> tuple[StoredKey, str]:
        """A new key and its token, shown only this once. Raises KeyringError for a name in use or a bad choice."""
        check_name(name)
        rights = Rights(operations, channels, sources, locations, expires, rate_per_s, rates or {}).checked()
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
                created=now,
                **rights.stored(),
            )
            keys.append(key)
        return key, f"{TOKEN_PREFIX}_{key.id}_{secret}"

    def change(self, which: str, changes: Mapping[str, Any]) -> StoredKey:
        """Give an active key other rights: fields of Rights. Its secret stays."""
        with self._changing(which) as keys:
            old = _only(keys, which)
            now = {name: getattr(old, name) for name in Rights.__dataclass_fields__}
            rights = Rights(**{**now, **changes})
            if "operations" in changes and Operation.FACTS not in rights.operations:
                sources, locations = changes.get("sources", "*"), changes.get("locations", "*")
                rights = replace(rights, sources=sources, locations=locations)
            keys[keys.index(old)] = new = msgspec.structs.replace(old, changed=_now(), **rights.checked().stored())
        return new

    def revoke(self, which: str, *, after_s: float = 0.0) -> list[StoredKey]:
        """End the key with this id, or the active ones of this name, now or `after_s` from now."""
        moment = datetime.fromtimestamp(time.time() + after_s, UTC)
        with self._changing(which) as keys:
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
        with self._changing(which) as keys:
            old = _only(keys, which)
            secret = secrets.token_urlsafe(32)
            new = msgspec.structs.replace(
                old,
                id=_new_id({key.id for key in keys}),
                secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
                created=now,
                revoked=None,
                replaced_by=None,
                changed=None,
            )
            ends = datetime.fromtimestamp(time.time() + overlap_s, UTC)
            keys[keys.index(old)] = msgspec.structs.replace(
                old, revoked=min(old.revoked or ends, ends), replaced_by=new.id
            )
            keys.append(new)
        return new, f"{TOKEN_PREFIX}_{new.id}_{secret}"

    def mark(self) -> tuple[int, int, int] | None:
        """Of the file as it is now; another one after a change. None: there is no file."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def take(self, others: Iterable[StoredKey]) -> tuple[bool, list[StoredKey]]:
        """Join what other machines know. Whether the file changed, and all keys. Raises KeyringError, OSError."""
        given = list(others)
        before = self.stored()
        if all_merged(before, given, _now()) == before:
            return False, before
        with self._changing() as keys:
            keys[:] = all_merged(keys, given, _now())
        return True, keys

    @contextmanager
    def _changing(self, which: str | None = None) -> Iterator[list[StoredKey]]:
        """The keys under an exclusive lock; the list is stored afterwards. `which`: the one that must be there."""
        if not self.directory.is_dir():
            raise KeyringError(f"{self.directory} does not exist; `holdfast serve --data` makes it, or mkdir it first")
        if which is not None and not self.path.exists():
            raise KeyringError(f"no active key has the id or name {which!r}: {self.directory} has no keys")
        lock = os.open(self.directory / "keys.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = self.stored()
            yield keys
            store(self.path, keys)
        finally:
            os.close(lock)


def _only(keys: list[StoredKey], which: str) -> StoredKey:
    """The active key with this id or name that was not renewed. Raises KeyringError where that is not one."""
    now = _now()
    found = [key for key in keys if which in {key.id, key.name} and key.state(now) == "active"]
    found = [key for key in found if key.replaced_by is None] or found
    if len(found) != 1:
        raise KeyringError(f"{len(found)} active keys have the id or name {which!r}; name one by its id")
    return found[0]


def check_name(name: str) -> None:
    """Raises KeyringError for what no key can be named."""
    if not _is_name(name):
        raise KeyringError("a key's name is 1 to 128 printable characters")


@dataclass(frozen=True, slots=True)
class Rights:
    """What a key may do, until when, how fast; "*" stands for all."""

    operations: list[Operation]
    channels: Names = "*"
    sources: Names = "*"
    locations: Names = "*"
    expires: datetime | None = None
    rate_per_s: float | None = None
    rates: Mapping[Operation, float] = field(default_factory=dict)

    def stored(self) -> dict[str, Any]:
        """As the fields of a StoredKey."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def checked(self) -> "Rights":
        """Each operation and name once. Raises KeyringError for what no key can have."""
        if not self.operations:
            raise KeyringError("a key without operations can do nothing; name some with --operations")
        self._check_rates()
        if self.expires is not None and self.expires <= _now():
            raise KeyringError("that time has passed; choose a time in the future")
        channels = _names(self.channels, "channels", CHANNELS_MAX)
        if channels != "*" and (wide := sorted(SCOPE_WIDE & set(self.operations))):
            raise KeyringError(f"{', '.join(wide)} reach over all channels; give that key --channels '*'")
        sources = _names(self.sources, "sources", SOURCES_MAX)
        if sources != "*":
            self._only_with_facts("--source")
            if not all(re.fullmatch(SOURCE_FORM, source) for source in sources):
                raise KeyringError("a source is 1 to 64 letters, digits, '_' and '-', or '*' for all")
        locations = _names(self.locations, "locations", LOCATIONS_MAX)
        if locations != "*":
            self._only_with_facts("--location")
            if Operation.POLICIES in self.operations:
                raise KeyringError("policies reach over all locations; give that key --location '*'")
        return replace(
            self, operations=sorted(set(self.operations)), channels=channels, sources=sources, locations=locations
        )

    def _check_rates(self) -> None:
        for rate in (self.rate_per_s, *self.rates.values()):
            if rate is not None and not RATE_PER_S_MIN <= rate <= RATE_PER_S_MAX:  # false for nan too
                raise KeyringError(
                    f"{rate} requests a second: choose a number from {RATE_PER_S_MIN} to {RATE_PER_S_MAX:,.0f}, "
                    "or leave the rate out for no limit"
                )
        if strange := sorted(set(self.rates) - set(self.operations)):
            raise KeyringError(
                f"the key has no operation `{strange[0]}` that a rate could bound; add it, or leave it out"
            )

    def _only_with_facts(self, option: str) -> None:
        if Operation.FACTS not in self.operations:
            raise KeyringError(f"{option} is for keys that send facts; add the operation `facts`, or leave it out")


def _names(given: Names, what: str, most: int) -> Literal["*"] | list[str]:
    if given == "*":
        return "*"
    if isinstance(given, str):
        raise KeyringError(f"{what} are '*' or a list of names")
    if not 1 <= len(given) <= most or not all(map(_is_name, given)):
        raise KeyringError(f"name 1 to {most} {what}, each of 1 to 128 printable characters, or '*' for all")
    return list(dict.fromkeys(given))


def _is_name(text: str) -> bool:
    return 1 <= len(text) <= 128 and text.isprintable() and not text.isspace()


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id(taken: set[str]) -> str:
    while True:
        candidate = "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH))
        if candidate not in taken:
            return candidate
