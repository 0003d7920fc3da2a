"""Which value is in force, and where it comes from.

In: a file, an environment, options. Out: the settings, or every fault at once. Always: an option wins over a variable,
a variable over the file, the file over the default; what is overridden is checked all the same; values that contradict
each other are a fault.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.settings import ServeSettings, Settings
from holdfast.settings.catalogue import CONFIG_VARIABLE, DEFINITIONS, NAMED, SECTIONS, TEMPLATES, find, made
from holdfast.settings.definition import Definition, Value
from holdfast.settings.sources import (
    DEFAULT,
    Fault,
    Origin,
    Source,
    read_file,
    read_options,
    read_variables,
)
from holdfast.settings.values import with_unit

REPLICAS_OF_A_CLUSTER = 3


class InvalidSettingsError(Exception):
    """Settings with which nothing may start; `faults` has one line each."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is in force: `values` and `origins` by key, of every setting that a user can set.

    A named section has keys for each table that somebody wrote.
    """

    values: dict[str, Value]
    origins: dict[str, Origin]
    file: Path | None = None
    ignored: tuple[str, ...] = ()
    serve: ServeSettings = field(default_factory=ServeSettings)
    settings: Settings = field(default_factory=Settings)

    def changed(self) -> dict[str, str]:
        """What is not the default, and where it comes from."""
        return {key: str(origin) for key, origin in self.origins.items() if origin.kind != "default"}

    @property
    def definitions(self) -> dict[str, Definition]:
        """Of every key of `values`."""
        found = {key: find(key) for key in self.values}
        return {key: one for key, one in found.items() if isinstance(one, Definition)}

    def for_serve(self) -> "Resolved":
        """Complete, as `serve` uses them. Raises InvalidSettingsError for what only `serve` needs."""
        faults = []
        if not self.serve.data:
            faults.append(Fault("", "no data directory: give --data DIR, HOLDFAST_DATA, or `data` in section [serve]"))
        if self.settings.log.replicas > 1 and not self.serve.nats:
            what = "log.replicas is for a NATS cluster: without serve.nats, `serve` starts a nats-server with one copy"
            faults.append(Fault(self.origins["log.replicas"].where, what))
        if faults:
            raise InvalidSettingsError(faults)
        return self.with_derived()

    def with_derived(self) -> "Resolved":
        """With what `serve` derives from other settings where nobody set it."""
        values, origins = dict(self.values), dict(self.origins)
        derived = Origin("derived", "derived from serve.nats")
        nats = self.serve.nats
        if origins["log.replicas"] is DEFAULT and "," in nats:
            values["log.replicas"], origins["log.replicas"] = REPLICAS_OF_A_CLUSTER, derived
        if values["snapshots.shared"] is None:
            values["snapshots.shared"], origins["snapshots.shared"] = bool(nats), derived
        return _made(values, origins, self.file, self.ignored)


def resolve(
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Value] | None = None,
    assignments: Iterable[str] = (),
) -> Resolved:
    """Read all sources and decide. Raises InvalidSettingsError, UnreadableError.

    `config` is the option; without it HOLDFAST_CONFIG names the file, and without both there is none.
    """
    environment = os.environ if environment is None else environment
    named = environment.get(CONFIG_VARIABLE, "")
    path = config if config is not None else (Path(named) if named else None)
    sources = [
        read_file(path) if path is not None else Source(),
        read_variables(environment),
        read_options(options or {}, assignments),
    ]
    values = {key: one.default for key, one in DEFINITIONS.items()}
    origins = dict.fromkeys(DEFINITIONS, DEFAULT)
    faults = [fault for source in sources for fault in source.faults]
    for table in dict.fromkeys(key.rpartition(".")[0] for one in sources for key in one.values if key not in values):
        for template in TEMPLATES.values():
            if template.section.partition(".")[0] == table.partition(".")[0]:
                key = f"{table}.{template.name}"
                values[key], origins[key] = template.default, DEFAULT
    for source in sources:
        for key, (value, origin) in source.values.items():
            values[key], origins[key] = value, origin
    if not faults:
        faults = _contradictions(values, origins)
    if faults:
        raise InvalidSettingsError(faults)
    return _made(values, origins, path, tuple(sources[1].ignored))


def _made(
    values: dict[str, Value], origins: dict[str, Origin], file: Path | None, ignored: tuple[str, ...]
) -> Resolved:
    sections = {
        name: made(name, {one.name: values[one.key] for one in DEFINITIONS.values() if one.section == name})
        for name in SECTIONS
    }
    serve = sections.pop("serve")
    for section in NAMED:
        tables: dict[str, dict[str, Value]] = {}
        for key, value in values.items():
            if key.startswith(f"{section}.") and key not in DEFINITIONS:
                _, table, name = key.split(".")
                tables.setdefault(table, {})[name] = value
        sections[section] = {table: made(f"{section}.{table}", given) for table, given in tables.items()}
    return Resolved(values, origins, file, ignored, serve, replace(Settings(), **sections))


def _contradictions(values: dict[str, Value], origins: dict[str, Origin]) -> list[Fault]:
    found: list[Fault] = []

    def number(key: str) -> int:
        value = values[key]
        return value if isinstance(value, int) else 0

    def named(key: str) -> str:
        definition: Definition = DEFINITIONS[key]
        value = values[key]
        shown = with_unit(value, definition.unit) if isinstance(value, int) else repr(value)
        return f"{key} ({shown}, {origins[key]})"

    def wrong(what: str, *keys: str) -> None:
        where = next((origins[key].where for key in keys if origins[key].where), "")
        found.append(Fault(where, what))

    for check in (_sizes, _times, _files, _tokens):
        check(values, number, named, wrong)
    return found


Number = Callable[[str], int]
Named = Callable[[str], str]
Wrong = Callable[..., None]


def _sizes(_: dict[str, Value], number: Number, named: Named, wrong: Wrong) -> None:
    for inner in ("gateway.body_bytes_max", "gateway.facts_body_bytes_max"):
        outer = "gateway.bodies_bytes_max"
        if number(inner) > number(outer):
            wrong(f"{named(inner)} is more than {named(outer)}: no such body could arrive", inner, outer)
    segment, whole = "journal.segment_bytes_max", "journal.bytes_max"
    if number(whole) < 2 * number(segment):
        wrong(f"{named(whole)} is less than twice {named(segment)}: nothing could be removed", whole, segment)
    trim, retained, every = "snapshots.trim_batches_min", "snapshots.retained", "snapshots.every_batches"
    if number(trim) == DEFINITIONS[trim].default:
        return  # where LOG cannot be cut, it is not
    if number(trim) > 0 and number(every) == 0:
        wrong(f"{named(trim)} cuts the log below snapshots, and {named(every)} takes none", trim, every)
    if number(trim) > 0 and number(retained) < 2:
        wrong(f"{named(trim)} cuts the log below the second newest snapshot: {named(retained)} is less", trim, retained)


def _times(_: dict[str, Value], number: Number, named: Named, wrong: Wrong) -> None:
    stop, parts = "supervisor.stop_ms", ("gateway.shutdown_ms", "node.drain_ms")
    if number(stop) <= sum(number(part) for part in parts):
        wrong(
            f"{named(stop)} is not more than {' and '.join(named(part) for part in parts)} together: workers would be "
            "killed while they finish",
            stop,
            *parts,
        )


def _tokens(values: dict[str, Value], _: Number, named: Named, wrong: Wrong) -> None:
    issuer = "tokens.issuer"
    for needed in ("tokens.audience", "tokens.keys"):
        if values[issuer] and not values[needed]:
            wrong(f"{named(issuer)} needs {needed}, which is not set", issuer)
        if values[needed] and not values[issuer]:
            wrong(f"{named(needed)} needs {issuer}, which is not set", needed)


def _files(values: dict[str, Value], _: Number, named: Named, wrong: Wrong) -> None:
    certificate, key, ca = "log.tls_certificate", "log.tls_key", "log.tls_ca"
    for one, other in ((certificate, key), (key, certificate), (certificate, ca)):
        if values[one] and not values[other]:
            wrong(f"{named(one)} needs {other}, which is not set", one)
    for name in (ca, certificate, key, "log.credentials"):
        path = values[name]
        if isinstance(path, str) and path and not Path(path).is_file():
            wrong(f"{name}: there is no file {path}", name)
