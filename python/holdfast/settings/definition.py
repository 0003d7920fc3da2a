"""What a setting is: one field of a frozen dataclass, and with its default what a user must know to set it.

In: fields made with `public(...)`, in a class that `section(...)` marks. Out: their definitions. Always: a field with a
plain default is internal: tests may change it, a user cannot, and no document names it; a definition's text stands
nowhere else. A *named* section may be there many times, as `[section.NAME]`; its definitions are templates.
"""

import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Kind = Literal["integer", "boolean", "text", "path"]
Value = int | bool | str | None

PREFIX = "HOLDFAST_"
_KEY = "holdfast"
_KINDS: dict[object, Kind] = {int: "integer", bool: "boolean", str: "text"}


@dataclass(frozen=True, slots=True)
class Definition:
    """A setting that a user can set. `lowest` and `highest` are both allowed; `unset` describes what None or "" stands
    for.

    `also`: a second environment variable, kept for its shorter name. `flag`: the option of `serve`, where it has one.
    `pattern`: what a text must match as a whole, and `form`: that as text.
    """

    section: str
    name: str
    kind: Kind
    default: Value
    doc: str
    unit: str = ""
    lowest: int | None = None
    highest: int | None = None
    choices: tuple[str, ...] = ()
    unset: str = ""
    also: str = ""
    flag: str = ""
    secret: bool = False
    pattern: str = ""
    form: str = ""

    @property
    def is_named(self) -> bool:
        """Whether it is of a section that may be there many times."""
        return "." in self.section

    @property
    def key(self) -> str:
        """As messages and `--set` name it: `section.name`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"{PREFIX}{self.section}_{self.name}".upper()

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable that sets it; none sets one of a named table, whose name it could not show."""
        if self.is_named:
            return ()
        return (self.variable, self.also) if self.also else (self.variable,)


@dataclass(frozen=True, slots=True)
class _Public:
    doc: str
    rest: dict[str, Any]


def public(
    default: T,
    doc: str,
    *,
    lowest: int | None = None,
    highest: int | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
    unset: str = "",
    also: str = "",
    flag: str = "",
    path: bool = False,
    secret: bool = False,
    pattern: str = "",
    form: str = "",
) -> T:
    """A field that a user can set."""
    rest = {
        "lowest": lowest,
        "highest": highest,
        "unit": unit,
        "choices": choices,
        "unset": unset,
        "also": also,
        "flag": flag,
        "secret": secret,
        "pattern": pattern,
        "form": form,
    }
    if path:
        rest["kind"] = "path"
    made: T = field(default=default, metadata={_KEY: _Public(doc, rest)})
    return made


def section(name: str, summary: str) -> Callable[[type[T]], type[T]]:
    """Marks a dataclass as the section `[name]` of the file."""

    def mark(cls: type[T]) -> type[T]:
        _sections[cls] = (name, summary)
        return cls

    return mark


_sections: dict[type, tuple[str, str]] = {}


def section_name(cls: type) -> str:
    """As the file has it in brackets."""
    return _sections[cls][0]


def section_summary(cls: type) -> str:
    """What the section is about, in one sentence."""
    return _sections[cls][1]


def definitions_of(cls: type) -> Iterator[Definition]:
    """Of the fields of one section that a user can set, in the order in which they are written."""
    hints = get_type_hints(cls)
    for one in fields(cls):
        written = one.metadata.get(_KEY)
        if written is None:
            continue
        rest = dict(written.rest)
        kind = rest.pop("kind", None) or _KINDS[_plain(hints[one.name])]
        unit = rest.pop("unit") or _unit_of(one.name, kind)
        default = cast("Value", one.default)
        yield Definition(section_name(cls), one.name, kind, default, written.doc, unit=unit, **rest)


def _plain(hint: object) -> object:
    """int of `int | None`."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not types.NoneType)
    return hint


def _unit_of(name: str, kind: Kind) -> str:
    """A name ends with its unit, or with `_max` or `_min` after it."""
    if kind != "integer":
        return ""
    parts = [part for part in name.split("_") if part not in {"max", "min"}]
    return parts[-1] if parts[-1] in {"ms", "bytes", "days", "batches"} else ""
