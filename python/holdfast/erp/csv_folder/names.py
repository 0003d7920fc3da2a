"""What a file is called, and what its manifest says.

In: names and bytes. Out: their parts, or UnusableError. Always: `<source>_<kind>_<yyyymmddThhmmssZ>_<number>.csv`; a
manifest is beside its file, with `.manifest.json` in the place of `.csv`.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import msgspec

from holdfast.adapters.csv_documents import DOCUMENTS
from holdfast.adapters.csv_kinds import KINDS, Kind
from holdfast.erp.interface import UnusableError
from holdfast.master.maps import Maps

MANIFEST = ".manifest.json"
ALL_KINDS: dict[str, Kind] = {name: kind for name, kind in (KINDS | DOCUMENTS).items() if not kind.policy}
"""What a source may state. Rules of sale are not among them: those who set them use `holdfast import`."""
_NAME = re.compile(rf"(.{{1,64}})_({'|'.join(ALL_KINDS)})_(\d{{8}}T\d{{6}}Z)_(\d{{1,16}})\.csv", re.ASCII)


def translated(maps: Maps) -> dict[str, Kind]:
    """The kinds, with the ERP's own statuses and conditions in their cells."""
    found = dict(ALL_KINDS)
    for kind, of in (("updates", "update"), ("supply", "supply"), ("transfers", "transfer")):
        found[kind] = _reading(found[kind], "status", partial(maps.status, of))
    found["returns"] = _reading(found["returns"], "condition", maps.condition)
    return found


def _reading(kind: Kind, column: str, parse: Callable[[str], Any]) -> Kind:
    return replace(kind, columns=kind.columns | {column: parse})


class FileName(NamedTuple):
    """A name in its parts. `as_of`: the moment in it, as facts have it."""

    name: str
    source: str
    kind: str
    as_of: str
    number: int

    @property
    def manifest(self) -> str:
        """The name of its manifest."""
        return self.name.removesuffix(".csv") + MANIFEST


def parsed(name: str) -> FileName:
    """Raises UnusableError."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise UnusableError(
            name, f"a file is named <source>_<kind>_<yyyymmddThhmmssZ>_<number>.csv, kind one of {', '.join(ALL_KINDS)}"
        )
    try:
        moment = datetime.strptime(found[3], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as fault:
        raise UnusableError(name, f"{found[3]} is no time") from fault
    return FileName(name, found[1], found[2], moment.strftime("%Y-%m-%dT%H:%M:%SZ"), int(found[4]))


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file must be. `full`: it names every SKU that is at `locations`; what it leaves out has none there."""

    rows: int
    sha256: str
    full: bool = False
    locations: list[str] = msgspec.field(default_factory=list)

    def differs(self, content: bytes, rows: int) -> str:
        """How the file is not what the manifest says; "": it is."""
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256.lower():
            return f"its SHA-256 is {found}, the manifest says {self.sha256}"
        if rows != self.rows:
            return f"it has {rows} rows, the manifest says {self.rows}"
        return ""


def manifest_of(name: str, content: bytes) -> Manifest:
    """Raises UnusableError."""
    try:
        found = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise UnusableError(name, f"not a manifest: {fault}") from fault
    if found.full and not found.locations:
        raise UnusableError(name, "a full snapshot names its locations")
    return found
