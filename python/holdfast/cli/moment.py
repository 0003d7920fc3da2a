"""A moment of the past, as options give it, a LOG sequence or a time, and as tables show it.

In: text. Out: a Moment, and text. Always: a time has its zone; what is neither is refused with what to write.
"""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from holdfast.cli.console import CouldNotRunError
from holdfast.hindsight.replaying import END, Moment

DIGITS_MAX = 19

From = Annotated[
    str | None,
    Parameter(
        name="--from", help="From this LOG sequence on, or from this time on (with its zone); else all that is kept."
    ),
]
Upto = Annotated[
    str | None,
    Parameter(name="--upto", help="Up to this LOG sequence, or this time (with its zone); else to the end."),
]


def moment_of(option: str, text: str | None) -> Moment:
    """The moment that an option gives. Raises CouldNotRunError."""
    if text is None:
        return END
    if text.isascii() and text.isdigit() and len(text) < DIGITS_MAX:
        return Moment(sequence=int(text))
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CouldNotRunError(
            f"{option} cannot be {text[:80]!r}",
            "Give a LOG sequence, or a time with its zone, such as 2026-11-27T09:30:00Z.",
        ) from error
    if found.tzinfo is None:
        raise CouldNotRunError(f"{option} {text[:80]} has no zone", "Add Z, or +02:00.")
    return Moment(before_ms=int(found.timestamp() * 1000))


def shown(at_ms: int) -> str:
    """A time as tables have it, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
