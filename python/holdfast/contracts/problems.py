"""Every way a request can be refused (docs/http.md, "Problems"; RFC 9457): one name, one status, one title each.

In: nothing. Out: the table of problems, the Struct that they are answered as, and `problem()`, which renders one.
Always: names, statuses, titles and details are those of the Rust core (rust/core/src/wire/errors.rs), which renders
most of them; the gateway renders only what is HTTP.
"""

from typing import Any, Literal, NamedTuple

import msgspec
import orjson
from msgspec import UNSET, UnsetType

from holdfast.contracts.fields import Answer

URN = "urn:holdfast:problem:"
Outcome = Literal["not-done", "unknown"]


class ProblemKind(NamedTuple):
    """What is the same for every occurrence of a problem."""

    name: str
    status: int
    title: str
    detail: str


_SAME_AGAIN = "Wait as long as Retry-After says, then send the same request again unchanged."
_KINDS = (
    ProblemKind("malformed-json", 400, "The body is not JSON", "Send a body that is JSON in UTF-8."),
    ProblemKind(
        "malformed-request",
        400,
        "This is not a request in HTTP/1.1",
        "Check the request line, the headers (at most 64, 4 KiB each) and the percent-encoding of the path.",
    ),
    ProblemKind(
        "unauthenticated",
        401,
        "No valid key",
        "Send 'Authorization: Bearer <key>' with a key that is in force.",
    ),
    ProblemKind("forbidden", 403, "The key does not allow this", "Use a key that has this operation and this channel."),
    ProblemKind("not-found", 404, "Nothing here", "Check the path against /openapi.json."),
    ProblemKind(
        "unknown-sku",
        404,
        "Unknown SKU",
        "Check the SKU; they are compared byte by byte. A stock or item fact makes it known.",
    ),
    ProblemKind(
        "unknown-channel",
        404,
        "Unknown channel",
        "Check the channel's name, or declare it with a channel fact; once any channel is declared, "
        "others are refused.",
    ),
    ProblemKind("unknown-reservation", 404, "Unknown reservation", "Check the id, or make the reservation with PUT."),
    ProblemKind("method-not-allowed", 405, "Method not allowed", "Use a method that the Allow header names."),
    ProblemKind(
        "request-timeout", 408, "The request did not arrive in time", "Send the whole request at once, then try again."
    ),
    ProblemKind(
        "idempotency-conflict",
        409,
        "The idempotency key was used for another request",
        "Use a new idempotency key for another body.",
    ),
    ProblemKind(
        "insufficient-stock",
        409,
        "Not enough can be sold",
        "Lower the quantities to what `lines` says is sellable, or set partial.",
    ),
    ProblemKind(
        "reservation-closed",
        409,
        "The reservation is closed to this",
        "Read the reservation's state; use another id for a new reservation.",
    ),
    ProblemKind(
        "stale-revision",
        409,
        "A newer revision is stored",
        "Read the reservation; send a higher revision to replace it.",
    ),
    ProblemKind(
        "owner-limit",
        409,
        "The owner holds too much",
        "Confirm or release other reservations of this owner, or hold fewer units.",
    ),
    ProblemKind(
        "renewals-exhausted",
        409,
        "Renewed too often",
        "Confirm or release the reservation; it cannot be renewed again.",
    ),
    ProblemKind(
        "oversold",
        409,
        "The stock has gone since the hold ended",
        "Tell the shopper what `lines` says is left; confirming may be tried again.",
    ),
    ProblemKind(
        "deficit",
        409,
        "Nothing covers some of the held units any more",
        "Replace the hold with what `lines` says is covered, or confirm it again once stock or supply has come.",
    ),
    ProblemKind("too-large", 413, "Too large", "Send less at once: split the body."),
    ProblemKind(
        "unsupported-encoding", 415, "Unsupported content encoding", "Send the body without a content encoding."
    ),
    ProblemKind("invalid", 422, "The request is not valid", "Correct what `errors` lists and send the request again."),
    ProblemKind("rate-limited", 429, "Too many requests", "Wait as long as Retry-After says."),
    ProblemKind("internal", 500, "A fault in holdfast", "Report the `incident` with the log around it."),
    ProblemKind("overloaded", 503, "Too much to do", _SAME_AGAIN),
    ProblemKind("no-leader", 503, "Nobody leads at the moment", _SAME_AGAIN),
    ProblemKind("log-unavailable", 503, "The log cannot be written at the moment", _SAME_AGAIN),
)
PROBLEMS: dict[str, ProblemKind] = {kind.name: kind for kind in _KINDS}


class FieldError(Answer, frozen=True, kw_only=True):
    """One field that is not as the contract wants it; `path` is like `lines[0].quantity`."""

    path: str
    reason: str


class ProblemLine(Answer, frozen=True, kw_only=True):
    """A line of a cart that did not fit, as in a validation."""

    sku: str
    requested: int
    sellable: int
    ok: bool
    reason: str | UnsetType = UNSET


class RejectedFact(Answer, frozen=True, kw_only=True):
    """A fact that was refused, by its index in the body."""

    index: int
    reason: str


class Problem(Answer, frozen=True, kw_only=True):
    """A refusal: `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | UnsetType = UNSET
    lines: list[ProblemLine] | UnsetType = UNSET
    outcome: Outcome | UnsetType = UNSET
    state: str | UnsetType = UNSET
    order_ref: str | UnsetType = UNSET
    operation: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    location: str | UnsetType = UNSET
    sku: str | UnsetType = UNSET
    incident: str | UnsetType = UNSET
    trace: str | UnsetType = UNSET
    accepted: int | UnsetType = UNSET
    rejected: list[RejectedFact] | UnsetType = UNSET

    @property
    def name(self) -> str:
        """The last part of `type`."""
        return self.type.removeprefix(URN)


def render_problem(name: str, detail: str | None = None, **members: Any) -> tuple[int, bytes]:
    """The status and JSON body of the problem `name`; `detail` replaces its usual one, `members` follow it."""
    kind = PROBLEMS[name]
    body = {"type": URN + name, "title": kind.title, "status": kind.status, "detail": detail or kind.detail}
    return kind.status, orjson.dumps(body | members)


decode_problem = msgspec.json.Decoder(Problem).decode
