"""Query parameters.

In: the raw query of a request. Out: values within their bounds.
Always: an unknown or repeated parameter is 422, as an unknown field of a body is; what was parsed is remembered, since
the same few queries come again and again.
"""

from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from holdfast.contracts.fields import ID_LENGTH_MAX, QUANTITY_MAX
from holdfast.gateway.refusals import Refusal, invalid

PARAMETERS_MAX: Final = 16
REMEMBERED_MAX: Final = 4_096
LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000
MIN_SEQUENCE: Final = "min_sequence"
SEQUENCE_MAX: Final = 2**63 - 1
_DIGITS_MAX: Final = 19


class Selling(NamedTuple):
    """`?channel=web&region=FR&quantity=3&location=lyon&by=location&published=true`."""

    channel: str
    region: str | None
    quantity: int | None
    location: str | None
    by_location: bool
    published: bool


_SELLING: Final = frozenset({"channel", "region", "quantity", "location", "by", "published"})


def fields(query: str, allowed: frozenset[str]) -> dict[str, str]:
    """The parameters by name. Raises Refusal: 422 for unknown and repeated ones, 400 for an invalid query."""
    if not query:
        return {}
    try:
        raw = query if query.isascii() else query.encode("utf-8", "surrogateescape").decode("utf-8")
        pairs = parse_qsl(
            raw, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=PARAMETERS_MAX
        )
    except ValueError:  # UnicodeDecodeError is one
        raise Refusal("malformed-request", "The query is not `name=value&...` in UTF-8.") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            raise invalid(name, "is unknown")
        if name in found:
            raise invalid(name, "is given twice")
        found[name] = value
    return found


@lru_cache(maxsize=REMEMBERED_MAX)
def selling(query: str, in_detail: bool) -> Selling:
    """Who sells, and `in_detail` what else is asked. Raises Refusal (which is not remembered)."""
    found = fields(query, _SELLING if in_detail else frozenset({"channel", "region"}))
    if "channel" not in found:
        raise invalid("channel", "is missing")
    for name in ("channel", "region", "location"):
        if name in found:
            check_name(name, found[name])
    quantity = found.get("quantity")
    return Selling(
        found["channel"],
        found.get("region"),
        None if quantity is None else _bounded("quantity", quantity, QUANTITY_MAX),
        found.get("location"),
        _chosen("by", found.get("by"), {None: False, "location": True}),
        _chosen("published", found.get("published"), {None: False, "false": False, "true": True}),
    )


def _chosen(name: str, text: str | None, choices: dict[str | None, bool]) -> bool:
    if text not in choices:
        raise invalid(name, f"must be one of {' '.join(filter(None, choices))}")
    return choices[text]


@lru_cache(maxsize=REMEMBERED_MAX)
def listing(query: str, filters: frozenset[str]) -> tuple[str | None, int, tuple[tuple[str, str], ...]]:
    """`after`, `limit` and the filters given, of a list. Raises Refusal (which is not remembered)."""
    found = fields(query, filters | {"after", "limit"})
    after, limit = found.pop("after", None), found.pop("limit", None)
    if after is not None:
        check_name("after", after)
    for name, value in found.items():
        check_name(name, value)
    return after, LIMIT_DEFAULT if limit is None else _bounded("limit", limit, LIMIT_MAX), tuple(found.items())


def limit_of(found: dict[str, str]) -> int:
    """`limit` of a query that `fields` read. Raises Refusal 422."""
    limit = found.get("limit")
    return LIMIT_DEFAULT if limit is None else _bounded("limit", limit, LIMIT_MAX)


def check_name(path: str, text: str) -> None:
    """Raises Refusal 422 unless `text` has 1 to 128 characters without control characters."""
    if not 1 <= len(text) <= ID_LENGTH_MAX:
        raise invalid(path, f"must have 1 to {ID_LENGTH_MAX} characters")
    if not text.isprintable() and any(c < " " or "\x7f" <= c <= "\x9f" for c in text):
        raise invalid(path, "must not contain control characters")


def _bounded(name: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= most):
        raise invalid(name, f"must be 1 to {most}")
    return int(text)


def min_sequence(query: str) -> tuple[int, str]:
    """`?min_sequence=n`, 0 without it; and the rest of the query, unchanged. Raises Refusal 422."""
    rest: list[str] = []
    found: str | None = None
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name != MIN_SEQUENCE and not ("%" in name and unquote_plus(name) == MIN_SEQUENCE):
            rest.append(part)
        elif found is None:
            found = unquote_plus(value)
        else:
            raise invalid(MIN_SEQUENCE, "is given twice")
    if found is None:
        return 0, query
    if not (found.isascii() and found.isdigit() and len(found) <= _DIGITS_MAX and int(found) <= SEQUENCE_MAX):
        raise invalid(MIN_SEQUENCE, f"must be 0 to {SEQUENCE_MAX}")
    return int(found), "&".join(rest)


def reject_query(query: str) -> None:
    """For calls without query parameters: raises Refusal 422 if there are any."""
    if query:
        fields(query, frozenset())
