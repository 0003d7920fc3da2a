"""One value of one setting: parsed, checked against its definition, and shown.

In: a TOML value, or text of a variable or an option. Out: a valid value, or a ValueError whose message says
what would be valid. Always: a secret is never shown.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from holdfast.settings.definition import Definition, Value
from holdfast.settings.units import readable

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}
_SHOWN_CHARS_MAX = 60


def from_toml(definition: Definition, value: Any) -> Value:
    """A value as TOML has it. Raises ValueError."""
    kind = definition.kind
    right = {
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
    }.get(kind, isinstance(value, str))
    if not right:
        raise ValueError(_wrong(definition, value))
    return _checked(definition, value)


def from_text(definition: Definition, text: str) -> Value:
    """A value as a variable or an option has it. Raises ValueError."""
    text = text.strip()
    if definition.kind == "integer":
        # As TOML writes whole numbers: 64_000 too.
        if not re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)*", text, re.ASCII) or len(text) > _SHOWN_CHARS_MAX:
            raise ValueError(_wrong(definition, text))
        return _checked(definition, int(text))
    if definition.kind == "boolean":
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(_wrong(definition, text))
        return text.lower() in _TRUE
    return _checked(definition, text)


def _checked(definition: Definition, value: Value) -> Value:
    if isinstance(value, int) and not isinstance(value, bool):
        low, high = definition.lowest, definition.highest
        wrong = (low is not None and value < low) or (high is not None and value > high)
    elif isinstance(value, str) and value != definition.default:
        wrong = bool(definition.choices) and value not in definition.choices
        wrong = wrong or bool(definition.pattern and not re.fullmatch(definition.pattern, value))
        wrong = wrong or "\0" in value or "\n" in value
    else:
        wrong = False
    if wrong:
        raise ValueError(_wrong(definition, value))
    return value


def _wrong(definition: Definition, value: Any) -> str:
    given = "this value" if definition.secret else _shortened(value)
    return f"{definition.key} cannot be {given}: it is {allowed(definition)}"


def _shortened(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[:_SHOWN_CHARS_MAX] + "..."


def allowed(definition: Definition) -> str:
    """What it may be, as text, such as `a whole number (ms) from 100 to 3600000 (1 h)`."""
    if definition.kind == "boolean":
        return "true or false"
    if definition.choices:
        return one_of(definition.choices)
    if definition.kind == "path":
        return "the path of a directory" if definition.name == "data" else "the path of a file"
    if definition.kind == "text":
        return definition.form or "a text"
    unit = f" ({definition.unit})" if definition.unit else ""
    return f"a whole number{unit} {bounds(definition)}".rstrip()


def one_of(choices: tuple[str, ...]) -> str:
    """`a`, `b` or `c`."""
    quoted = [f"`{choice}`" for choice in choices]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def bounds(definition: Definition) -> str:
    """`from 100 to 3600000 (1 h)`; "" where there are none."""
    low, high, unit = definition.lowest, definition.highest, definition.unit
    if low is None or high is None:
        return ""
    return f"from {with_unit(low, unit)} to {with_unit(high, unit)}"


def with_unit(value: int, unit: str) -> str:
    """`15000 (15 s)`; the number alone where its unit has no larger one."""
    text = readable(value, unit)
    return f"{value} ({text})" if text else str(value)


def shown(definition: Definition, value: Value) -> Value:
    """The value as it may be shown: without the passwords of a secret."""
    if not definition.secret or not isinstance(value, str):
        return value
    if definition.is_named:  # a key or a token, all of it
        return "***" if value else value
    return ",".join(_masked(part) for part in value.split(","))


def _masked(url: str) -> str:
    if "@" not in url:
        return url
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        user = parts.username or ""
    except ValueError:
        return "***"
    if parts.password is None:  # the seed of an nkey, or a token
        return f"{parts.scheme + '://' if parts.scheme else ''}***@{url.rpartition('@')[2]}"
    return f"{parts.scheme + '://' if parts.scheme else ''}{user}:***@{url.rpartition('@')[2]}"


def as_text(definition: Definition, value: Value) -> str:
    """For a person, with the larger unit where one fits."""
    value = shown(definition, value)
    if value is None or value == "":
        return definition.unset or '""'
    if isinstance(value, bool):
        return str(value).lower()
    return with_unit(value, definition.unit) if isinstance(value, int) else value
