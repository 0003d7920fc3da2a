"""The OpenAPI description of one call, beside its path and method.

In: Structs of contracts. Out: a value that each route carries.
Always: a call cannot be served without stating here what it takes and answers.
"""

from dataclasses import dataclass
from typing import Any

from holdfast.contracts.fields import ID_LENGTH_MAX, NO_CONTROL, QUANTITY_MAX
from holdfast.gateway.queries import LIMIT_DEFAULT, LIMIT_MAX, MIN_SEQUENCE, SEQUENCE_MAX


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter."""

    name: str
    schema: dict[str, Any]
    description: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Specification:
    """`answers`: the Struct (or media type) by status below 400; `problems`: names beyond those of every call.

    `documented`: it is a call for clients; the page of the document and its parts are not.
    """

    summary: str
    tag: str
    answers: dict[int, type | str]
    request: type | None = None
    request_required: bool = True
    query: tuple[Query, ...] = ()
    problems: tuple[str, ...] = ()
    documented: bool = True


NAME = {"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX, "pattern": NO_CONTROL}
CHANNEL = Query("channel", NAME, "The channel that sells.", required=True)
REGION = Query("region", NAME, "Where it is delivered; needed where the channel is regional.")
QUANTITY = Query(
    "quantity",
    {"type": "integer", "minimum": 1, "maximum": QUANTITY_MAX},
    "Answer `promise`, too: the first day on which that quantity can be sold.",
)
LOCATION = Query("location", NAME, "What this location alone can give, for pick-up.")
BY = Query(
    "by",
    {"type": "string", "enum": ["location"]},
    "`location`: answer `locations`, too, with what each alone can give; the first 200, in their order of priority.",
)
PUBLISHED = Query(
    "published",
    {"type": "string", "enum": ["true", "false"]},
    "`true`: the figures that the channel publishes: less its `buffer`, and never below 0.",
)
AFTER = Query("after", NAME, "Begin where the page before ended: its `next`.")
LIMIT = Query(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
    "Entries at the most; a page may have fewer, even none, before the end.",
)
WAIT_FOR = Query(
    MIN_SEQUENCE,
    {"type": "integer", "minimum": 0, "maximum": SEQUENCE_MAX},
    "Wait until this process holds LOG up to this sequence, at most 2 s; else 503, which names the sequence reached.",
)
DRY_RUN = Query(
    "dry_run",
    {"type": "string", "enum": ["true", "false"]},
    "`true`: accept nothing; answer 200 with what would be rejected now, each fact judged by itself.",
)
WAIT = Query(
    "wait",
    {"type": "string", "enum": ["log", "received"]},
    "`received`: answer once IN has the facts; without it, once LOG has them.",
)
