"""Moments and places in queries about the past.

In: text of a query. Out: what the process for the past takes. Always: a moment is a LOG sequence, or a time with its
zone; a cursor is what a page gave as `next`.
"""

import re
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote_plus

from holdfast.gateway.queries import SEQUENCE_MAX, check_name
from holdfast.gateway.refusals import invalid

_DIGITS_MAX: Final = 19
_PLACE: Final = re.compile(r"([0-9]{1,18}):([0-9]{1,9})")
MOMENT: Final = {"type": "string", "minLength": 1, "maxLength": 40}


def moment(name: str, text: str | None) -> dict[str, int] | None:
    """`1207`, or `2026-11-27T09:30:00Z`; None where nothing is given. Raises Refusal 422."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and int(text) <= SEQUENCE_MAX:
        return {"sequence": int(text)}
    return {"before_ms": time_ms(name, text)}


def at_moment(query: str) -> tuple[str | None, str]:
    """`at` of a query, and the rest of it unchanged. Raises Refusal 422."""
    rest: list[str] = []
    found: str | None = None
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name != "at":
            rest.append(part)
        elif found is None:
            found = unquote_plus(value)
        else:
            raise invalid("at", "is given twice")
    return found, "&".join(rest)


def time_ms(name: str, text: str) -> int:
    """A time with its zone, in milliseconds. Raises Refusal 422."""
    try:
        found = datetime.fromisoformat(text[:40])
    except ValueError:
        raise invalid(name, "must be a time with its zone, such as 2026-11-27T09:30:00Z, or a sequence") from None
    if found.tzinfo is None:
        raise invalid(name, "must have its zone: Z, or %2B02:00")
    return int(found.timestamp() * 1000)


def place(text: str | None) -> tuple[int, int] | None:
    """A cursor of two numbers. Raises Refusal 422."""
    if text is None:
        return None
    found = _PLACE.fullmatch(text)
    if found is None:
        raise invalid("after", "must be the `next` of the page before")
    return int(found[1]), int(found[2])


def named(found: dict[str, str], *names: str) -> dict[str, Any]:
    """Filters that are names, those that were given. Raises Refusal 422."""
    for name in names:
        if name in found:
            check_name(name, found[name])
    return {name: found[name] for name in names if name in found}
