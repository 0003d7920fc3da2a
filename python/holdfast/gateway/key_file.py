"""What is stored of API keys, and the file that has them.

In: DIR/keys.json (mode 0600). Out: StoredKey values, and back.
Always: the file is replaced whole, and only by bytes from which the parser that reads it gets the same keys.
"""

import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from holdfast.contracts.fields import Name
from holdfast.guarded import OpenToOthersError, require_guarded

KEYS_FILE = "keys.json"
KEYS_MAX = 10_000
CHANNELS_MAX = SOURCES_MAX = LOCATIONS_MAX = 1_000
RATE_PER_S_MIN, RATE_PER_S_MAX = 0.001, 1_000_000.0
DURATION_S_MAX = 36_525 * 86_400  # a hundred years
SOURCE_FORM = "^[A-Za-z0-9_-]{1,64}$"
TOKEN_PREFIX = "hf"  # noqa: S105 - what every token begins with
ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
ID_LENGTH = 10


_Rate: TypeAlias = Annotated[float, Meta(ge=RATE_PER_S_MIN, le=RATE_PER_S_MAX)]
_Source: TypeAlias = Annotated[str, Meta(pattern=SOURCE_FORM)]


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
    EVENTS = "events"
    AUDIT = "audit"
    REFUSALS = "refusals"
    DEAD_LETTERS = "dead_letters"


SCOPE_WIDE = frozenset(Operation) - {Operation.READ, Operation.RESERVE, Operation.ORDER, Operation.EVENTS}
"""Operations that reach over all channels; a key limited to some channels has none of them."""

OPERATION_MEANINGS = {
    Operation.READ: "availability, explain, cart validation, reading reservations, and the lists of what is stored",
    Operation.RESERVE: "making, replacing, extending and releasing reservations",
    Operation.ORDER: "confirming, cancelling and fulfilling reservations",
    Operation.FACTS: "sending facts in the name of its sources: stock, orders, items, locations",
    Operation.POLICIES: "setting rules: channels, allocations, caps, safety stock, oversell, who owns a location ...",
    Operation.STATE: "reading the state of the process",
    Operation.METRICS: "reading the metrics",
    Operation.EVENTS: "reading events of its channels as they are published",
    Operation.AUDIT: "reading who changed which rule, and what happened to a SKU",
    Operation.REFUSALS: "reading what was asked for and refused",
    Operation.DEAD_LETTERS: "reading rejected facts, correcting them, sending them again, removing them",
}


class StoredKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key as keys.json has it. Times are RFC 3339 in UTC; `channels`, `sources` and `locations` are "*" or names;
    `changed`: when it was given other rights, after it was made.

    `sources`: in whose name it may send facts; `locations`: which of them those facts may be about. `rates`: of single
    operations, within `rate_per_s`.
    """

    id: Annotated[str, Meta(pattern=f"^[{ID_ALPHABET}]{{{ID_LENGTH}}}$")]
    name: Name
    secret_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    operations: Annotated[list[Operation], Meta(min_length=1)]
    channels: Literal["*"] | Annotated[list[Name], Meta(min_length=1, max_length=CHANNELS_MAX)] = "*"
    sources: Literal["*"] | Annotated[list[_Source], Meta(min_length=1, max_length=SOURCES_MAX)] = "*"
    locations: Literal["*"] | Annotated[list[Name], Meta(min_length=1, max_length=LOCATIONS_MAX)] = "*"
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    rate_per_s: _Rate | None = None
    rates: dict[Operation, _Rate] = {}
    replaced_by: str | None = None
    changed: datetime | None = None

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


def load(path: Path) -> list[StoredKey]:
    """Raises FileNotFoundError where there is no file, KeyringError for one that cannot be used."""
    try:
        require_guarded(path)
        return _keys_of(path.read_bytes())
    except FileNotFoundError:
        raise
    except OpenToOthersError as error:
        raise KeyringError(str(error)) from error
    except (OSError, msgspec.DecodeError) as error:
        raise KeyringError(f"{path} cannot be read as keys ({error}); correct it, or restore it from a copy") from error


def _keys_of(content: bytes) -> list[StoredKey]:
    return msgspec.json.decode(content, type=_KeysFile).keys


def store(path: Path, keys: list[StoredKey]) -> None:
    """Replaces the file. Raises KeyringError where it would be read as other keys; then it stays."""
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
