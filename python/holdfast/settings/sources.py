"""Where settings come from: one TOML file, environment variables, options of the command line.

In: a path, an environment, texts. Out: what each gives, with the place where it is written, and what is wrong with it.
Always: every fault is found, not only the first; a fault names the file and line, the variable or the option.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from holdfast.guarded import SECRET, require_guarded
from holdfast.settings.catalogue import (
    DEFINITIONS,
    NAMED,
    OTHER_VARIABLES,
    SECTIONS,
    TABLE_NAME,
    Unknown,
    find,
    find_variable,
    nearest,
)
from holdfast.settings.definition import PREFIX, Definition, Value
from holdfast.settings.values import allowed, bounds, from_text, from_toml

FILE_BYTES_MAX = 1024 * 1024
T = TypeVar("T")
Kind = Literal["default", "derived", "file", "variable", "option"]
_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_\-\"'. ]+?)\s*=")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: `file` and `/etc/holdfast.toml:12`, `variable` and its name, `option` and its name."""

    kind: Kind
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.kind


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where; one line."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


@dataclass(slots=True)
class Source:
    """What one place gives. `ignored`: variables that only look like settings."""

    values: dict[str, tuple[Value, Origin]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def add(self, definition: Definition, value: Value, origin: Origin) -> None:
        """Take a value; the same setting twice in one place must have the same value."""
        before = self.values.get(definition.key)
        if before is not None and before[0] != value:
            self.faults.append(Fault(origin.where, f"{definition.key} has another value from {before[1].where}"))
            return
        self.values[definition.key] = (value, origin)


class UnreadableError(Exception):
    """The file of settings cannot be read at all."""


def read_file(path: Path) -> Source:
    """What a TOML file gives. Raises UnreadableError."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise UnreadableError(f"the file of settings {path} cannot be read: {why}") from fault
    if len(content) > FILE_BYTES_MAX:
        raise UnreadableError(f"the file of settings {path} is larger than {FILE_BYTES_MAX} bytes")
    source = Source()
    try:
        text = content.decode()
        tables = tomllib.loads(text)
    except UnicodeDecodeError as fault:
        source.faults.append(Fault(str(path), f"byte {fault.start} is not UTF-8, which TOML must be"))
        return source
    except tomllib.TOMLDecodeError as fault:
        found = re.search(r"line (\d+)", str(fault))
        source.faults.append(Fault(f"{path}:{found[1]}" if found else str(path), f"not TOML: {fault}"))
        return source
    lines = _lines_of(text)
    for name, table in tables.items():
        _take_table(source, path, lines, name, table)
    return source


def _take_table(source: Source, path: Path, lines: Mapping[str, int], name: str, table: Any) -> None:
    if not isinstance(table, dict):
        where = _place(path, lines, name)
        same = [f"`{one.name}` in [{one.section}]" for one in DEFINITIONS.values() if one.name == name]
        what = f"{name} is a section, written as [{name}]" if name in SECTIONS else f"{name} is in no section"
        source.faults.append(Fault(where, what + _meant(same)))
        return
    if name in NAMED:
        _take_named(source, path, lines, name, table)
        return
    if name not in SECTIONS:
        near = nearest(name, [*SECTIONS, *NAMED])
        meant = [f"[{near}.NAME]" if near in NAMED else f"[{near}]"] if near else []
        others = f"; sections are {', '.join(SECTIONS)}"
        what = f"[{name}] is not a section{_meant(meant) or others}"
        source.faults.append(Fault(_place(path, lines, name), what))
        return
    _take_keys(source, path, lines, name, table)


def _take_named(source: Source, path: Path, lines: Mapping[str, int], section: str, tables: dict[str, Any]) -> None:
    """`[erp.acme]` and its like."""
    for name, table in tables.items():
        where = _place(path, lines, f"{section}.{name}", section)
        if not isinstance(table, dict):
            source.faults.append(Fault(where, f"{section}.{name} is in no table: write it below [{section}.NAME]"))
        elif not TABLE_NAME.fullmatch(name):
            source.faults.append(
                Fault(where, f"[{section}.{name[:60]}] needs a name of 1 to 48 letters, digits, - and _")
            )
        elif not table:
            source.faults.append(Fault(where, f"[{section}.{name}] has no settings"))
        else:
            _take_keys(source, path, lines, f"{section}.{name}", table)


def _take_keys(source: Source, path: Path, lines: Mapping[str, int], name: str, table: dict[str, Any]) -> None:
    for key, value in table.items():
        where = _place(path, lines, f"{name}.{key}", name)
        found = find(f"{name}.{key}")
        if isinstance(found, Unknown):
            source.faults.append(Fault(where, unknown(f"{name}.{key}", found)))
            continue
        try:
            right = from_toml(found, _secret(found, value, path.absolute().parent))
        except ValueError as fault:
            source.faults.append(Fault(where, str(fault)))
            continue
        if found.kind == "path" and right:
            right = str(path.absolute().parent / str(right))  # as it would be read beside the file; absolute ones stay
        source.add(found, right, Origin("file", where))


def read_variables(environment: Mapping[str, str]) -> Source:
    """What environment variables give. An empty one counts as not set."""
    source = Source()
    for name in sorted(name for name in environment if name.startswith(PREFIX)):
        found = find_variable(name)
        if found is None or not environment[name]:
            if found is None and name not in OTHER_VARIABLES:
                source.ignored.append(name)
            continue
        if isinstance(found, Unknown):
            source.faults.append(Fault(name, unknown(name, found, variable=True)))
            continue
        try:
            source.add(found, from_text(found, _secret(found, environment[name])), Origin("variable", name))
        except ValueError as fault:
            source.faults.append(Fault(name, str(fault)))
    return source


def read_options(options: Mapping[str, Value], assignments: Iterable[str] = ()) -> Source:
    """What options give: `options` by key, None where one was not given; `assignments` as `--set` takes them."""
    source = Source()
    for key, value in options.items():
        if value is None:
            continue
        definition = DEFINITIONS[key]
        if value == "":  # as `--nats "$NATS"` has it where nothing is in NATS: not the default
            source.faults.append(
                Fault(definition.flag or "--set", f"{key} cannot be empty: it is {allowed(definition)}")
            )
            continue
        try:
            given = _argument(definition, value)
            right = from_text(definition, given) if isinstance(given, str) else from_toml(definition, given)
        except ValueError as fault:
            source.faults.append(Fault(definition.flag or "--set", str(fault)))
        else:
            source.add(definition, right, Origin("option", definition.flag or "--set"))
    for text in assignments:
        _take_assignment(source, text)
    return source


def _take_assignment(source: Source, text: str) -> None:
    key, sign, value = text.partition("=")
    key, where = key.strip(), f"--set {key.strip()}"
    found = find(key)
    if not sign:
        source.faults.append(Fault(f"--set {text}", "write it as section.name=value"))
    elif isinstance(found, Unknown):
        source.faults.append(Fault(where, unknown(key, found)))
    else:
        try:
            source.add(found, from_text(found, _argument(found, value)), Origin("option", where))
        except ValueError as fault:
            source.faults.append(Fault(where, str(fault)))


def _argument(definition: Definition, value: T) -> T:
    """A value from the command line. Raises ValueError for a secret in it: each user of the machine sees arguments."""
    if definition.secret and definition.is_named and isinstance(value, str) and not value.startswith("@"):
        raise ValueError(
            f"{definition.key} is a secret, and every user of this machine can read arguments; put it into a file "
            "(chmod 600) and name that: @FILE"
        )
    if definition.secret and isinstance(value, str) and "@" in value[1:]:
        raise ValueError(
            f"{definition.key} has a password in it, and every user of this machine can read arguments; "
            f"put the address into a file (chmod 600) and name that: @FILE; or set {definition.variables[-1]}"
        )
    return _secret(definition, value)


def _secret(definition: Definition, value: T, beside: Path | None = None) -> T:
    """What stands in FILE where a secret is `@FILE`. Raises ValueError."""
    if not (definition.secret and isinstance(value, str) and value.startswith("@")):
        return value
    path = (beside or Path()) / value[1:]
    try:
        require_guarded(path, SECRET)
        with path.open("rb") as file:
            return cast("T", file.read(FILE_BYTES_MAX).decode().strip())
    except (OSError, ValueError) as fault:
        why = (isinstance(fault, OSError) and fault.strerror) or str(fault)
        raise ValueError(f"{definition.key} cannot be read from {path}: {why}") from fault


def unknown(name: str, found: Unknown, *, variable: bool = False) -> str:
    """The message for an unknown name: which one was perhaps meant, and its allowed values."""
    name_shown = "this" if variable else name
    if found.nearest is None:
        return f"{name_shown} is not a setting; `holdfast config show` lists all"
    near = found.nearest
    called = nearest(name, near.variables) or near.variable if variable else near.key
    facts = " ".join(part for part in (near.unit, bounds(near)) if part)
    return f"{name_shown} is not a setting; did you mean {called}{f' ({facts})' if facts else ''}?"


def _meant(names: list[str]) -> str:
    return f"; did you mean {' or '.join(names)}?" if names else ""


def _place(path: Path, lines: Mapping[str, int], *keys: str) -> str:
    line = next((lines[key] for key in keys if key in lines), None)
    return f"{path}:{line}" if line is not None else str(path)


def _lines_of(text: str) -> dict[str, int]:
    """The line of each `section` and `section.name`, as they are commonly written; tomllib does not report it."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header is not None:
            table = _bare(header[1])
            found.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key is not None:
            name = _bare(key[1])
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found


def _bare(name: str) -> str:
    """Without quotes and blanks around its parts."""
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
