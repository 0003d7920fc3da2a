"""The shops of a data directory: one file of settings for each, and its secrets beside it.

Role: DIR/woo/STORE.toml (what to connect and how), STORE.rest (the shop's REST key), STORE.key (the gateway's API key),
STORE.secrets (of the webhooks, the newest first). In: a data directory. Out: stores. Always: files with secrets are for
their owner alone; a name that is no setting is an error, never ignored; a map of DIR/master owns a store's statuses.
"""

import os
import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from holdfast.guarded import SECRET, require_guarded
from holdfast.master import FOLDER as MASTER
from holdfast.master.maps import ORDER
from holdfast.master.tables import Master, read_master
from holdfast.master.used import note_used

FOLDER = "woo"
STORE = re.compile(r"[A-Za-z0-9_-]{1,64}")
SECRETS_MAX = 8
_FILE_BYTES_MAX = 64 * 1024


class StoreError(ValueError):
    """The settings of a store cannot be used; the text says why and what to do."""


class Role(StrEnum):
    """What an order of a status means for stock."""

    NONE = "none"
    """Not an order, or one no more: nothing is owed."""
    HOLD = "hold"
    """Not paid yet: a hold of the plugin stays until it ends by itself."""
    OPEN = "open"
    """Owed, and not shipped."""
    SHIPPED = "shipped"
    """It has left."""
    ENDED = "ended"
    """As `shipped` where it had been completed, for what has left does not come back by that; else as `none`."""


STATUSES: dict[str, Role] = {
    "auto-draft": Role.NONE,
    "checkout-draft": Role.NONE,
    "draft": Role.NONE,
    "pending": Role.HOLD,
    "failed": Role.HOLD,
    "on-hold": Role.OPEN,
    "processing": Role.OPEN,
    "completed": Role.SHIPPED,
    "cancelled": Role.NONE,
    "refunded": Role.ENDED,
    "trash": Role.ENDED,
}
"""Those of WooCommerce. A status that is in no table counts as `open`, and is listed."""
UNKNOWN_STATUS = Role.OPEN

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]


class Pacing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How hard the shop may be worked."""

    items_max: Annotated[int, Meta(ge=1, le=500)] = 500
    """SKUs in one write, at most; without the plugin no more than 100, which is what WooCommerce takes."""
    answer_ms: Annotated[int, Meta(ge=50, le=60_000)] = 2_000
    """Writes become smaller while an answer takes longer."""
    busy_percent: Annotated[int, Meta(ge=1, le=100)] = 50
    """Share of the time in which a write is under way; what comes to zero or leaves it does not wait for that."""
    timeout_ms: Annotated[int, Meta(ge=500, le=300_000)] = 30_000
    backfill_minutes: Annotated[int, Meta(ge=1, le=1_440)] = 10
    overlap_minutes: Annotated[int, Meta(ge=1, le=1_440)] = 5
    sweep_hours: Annotated[int, Meta(ge=1, le=720)] = 24


class Store(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is connected. `gateway`: where holdfast answers; "": the one that runs on this data directory."""

    url: Url
    channel: Name
    delivery_url: str = ""
    """Where the shop reaches this gateway, such as https://stock.example.com; "": not yet."""
    gateway: str = ""
    locations: list[Name] = []
    """Where orders without a reservation are owed from; empty: from any location."""
    ships_from: str = ""
    """The location that a completed order leaves, where no ERP reports shipments; "": the ERP does."""
    backorders: Literal["leave", "no", "notify", "yes"] = "leave"
    """What is written as WooCommerce's backorders for SKUs that are sold without limit; the others get `no`."""
    statuses: dict[Name, Role] = {}
    push: bool = True
    paused: bool = False
    pace: Pacing = Pacing()

    def role(self, status: str) -> Role:
        """What an order of this status means."""
        plain = status.removeprefix("wc-")
        return self.statuses.get(plain) or STATUSES.get(plain, UNKNOWN_STATUS)

    def knows(self, status: str) -> bool:
        """Whether a table has it."""
        plain = status.removeprefix("wc-")
        return plain in self.statuses or plain in STATUSES


class Files:
    """The files of one store."""

    def __init__(self, directory: Path, name: str) -> None:
        if STORE.fullmatch(name) is None:
            raise StoreError(f"{name!r} is no name of a store: 1 to 64 letters, digits, `_` and `-`")
        self.name = name
        self.folder = directory / FOLDER
        self.settings = self.folder / f"{name}.toml"
        self.rest = self.folder / f"{name}.rest"
        self.key = self.folder / f"{name}.key"
        self.secrets = self.folder / f"{name}.secrets"
        self.master = directory / MASTER
        self.statuses = self.master / f"statuses.{name}.csv"

    def load(self) -> Store:
        """The settings, with the statuses of the master data where it has a map of them. Raises StoreError."""
        store, maps = self.load_own(), self._tables().maps.get(self.name)
        statuses = {} if maps is None else maps.statuses.get(ORDER, {})
        if not statuses:
            return store
        roles = {status.removeprefix("wc-"): Role(means) for status, means in statuses.items()}
        return msgspec.structs.replace(store, statuses=roles)

    def note_used(self) -> None:
        """The store is connected with these statuses. Raises StoreError, OSError."""
        try:
            note_used(self.master, self.name, self._tables())
        except ValueError as fault:
            raise StoreError(f"{self.master / 'master.toml'}: {fault}") from fault

    def _tables(self) -> Master:
        """Raises StoreError."""
        try:
            found = read_master(self.master, only=self.name)
        except OSError as fault:
            raise StoreError(f"{self.master} cannot be read: {fault}") from fault
        if found.wrong:
            raise StoreError(f"{self.master / found.wrong[0].where}: {found.wrong[0].what}")
        return found

    def load_own(self) -> Store:
        """The settings as its own file has them. Raises StoreError."""
        try:
            content = tomllib.loads(_text(self.settings, secret=False))
        except FileNotFoundError:
            raise StoreError(f"there is no store {self.name!r}: {self.settings} is missing") from None
        except tomllib.TOMLDecodeError as fault:
            raise StoreError(f"{self.settings} is not TOML: {fault}") from fault
        try:
            return msgspec.convert(content, Store)
        except msgspec.ValidationError as fault:
            raise StoreError(f"{self.settings}: {fault}") from fault

    def rest_key(self) -> tuple[str, str]:
        """Consumer key and consumer secret. Raises StoreError."""
        try:
            lines = _lines(self.rest)
        except FileNotFoundError:
            raise StoreError(f"{self.rest} is missing: it has the consumer key and the consumer secret") from None
        parts = [part for line in lines for part in line.replace(":", " ").split()]
        if len(parts) != 2 or not parts[0].startswith("ck_") or not parts[1].startswith("cs_"):
            raise StoreError(f"{self.rest} has a line for the consumer key (ck_...) and one for the secret (cs_...)")
        return parts[0], parts[1]

    def api_key(self) -> str | None:
        """The key of the gateway, where there is one. Raises StoreError."""
        try:
            lines = _lines(self.key)
        except FileNotFoundError:
            return None
        if len(lines) != 1:
            raise StoreError(f"{self.key} has one line: an API key of the gateway")
        return lines[0]

    def webhook_secrets(self) -> list[str]:
        """Those in force, the newest first; empty where there are none. Raises StoreError."""
        try:
            return _lines(self.secrets)[:SECRETS_MAX]
        except FileNotFoundError:
            return []

    def write(self, file: Path, text: str) -> None:
        """Write one of them, whole, for its owner alone. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            descriptor = os.open(written, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            written.replace(file)
        finally:
            written.unlink(missing_ok=True)


def names_in(directory: Path) -> list[str]:
    """The stores of a data directory."""
    return sorted(file.stem for file in (directory / FOLDER).glob("*.toml") if STORE.fullmatch(file.stem))


def rendered(store: Store) -> str:
    """As TOML: what differs from the defaults."""
    lines, tables = [], []
    for one in msgspec.structs.fields(Store):
        value = getattr(store, one.name)
        if one.name == "pace":
            given = msgspec.to_builtins(value)
            changed = {key: found for key, found in given.items() if found != getattr(Pacing(), key)}
            tables += ["", "[pace]", *(f"{key} = {found}" for key, found in changed.items())] if changed else []
        elif one.name == "statuses":
            tables += ["", "[statuses]", *(f"{_quoted(k)} = {_quoted(v)}" for k, v in value.items())] if value else []
        elif one.required or value != one.default:
            lines.append(f"{one.name} = {_toml(value)}")
    return "\n".join([*(line for line in lines if not line.endswith(" = []")), *tables, ""])


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_quoted(str(one)) for one in value) + "]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return msgspec.json.encode(str(text)).decode()  # a JSON text is a basic string of TOML


def _lines(file: Path) -> list[str]:
    lines = [line.strip() for line in _text(file, secret=True).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _text(file: Path, *, secret: bool) -> str:
    """Raises FileNotFoundError, StoreError."""
    try:
        if secret:
            require_guarded(file, SECRET)
        else:
            require_guarded(file)
        with file.open("rb") as opened:
            return opened.read(_FILE_BYTES_MAX).decode()
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as fault:
        raise StoreError(f"{file} cannot be read: {fault}") from fault
