"""Dead letters: facts that were rejected, to be looked at, corrected, sent again, removed.

In: a letter's number, filters, a correction. Out: letters, and what became of them. Always: the process beside the
gateway does the work (looking_back.py); asked again, nothing is sent or removed twice.
"""

import msgspec

from holdfast.contracts.past import (
    CorrectionRequest,
    CorrectionStored,
    DeadLetter,
    DeadLetterRemoved,
    DeadLetterSent,
    DeadLettersPage,
)
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.moments import MOMENT, named, time_ms
from holdfast.gateway.ports import Answer, Past
from holdfast.gateway.queries import SEQUENCE_MAX, fields, limit_of, reject_query
from holdfast.gateway.refusals import Refusal, invalid
from holdfast.gateway.router import Handler, Route
from holdfast.gateway.specification import AFTER, LIMIT, NAME, Query, Specification
from holdfast.settings import GatewaySettings

_FILTERS = (
    Query("reason", NAME, "Only those with this reason, such as `unknown-location`."),
    Query("source", NAME, "Only those of this source."),
    Query("since", MOMENT, "Only those stored at or after this time, with its zone."),
    Query("until", MOMENT, "Only those stored at or before this time."),
    AFTER,
    LIMIT,
)
_DIGITS_MAX = 19


def routes(past: Past, settings: GatewaySettings) -> list[Route]:
    """GET /v1/dead-letters, GET and DELETE /v1/dead-letters/{letter}, PUT .../correction, POST .../retry."""
    one = "/v1/dead-letters/{letter}"
    return [
        _route(
            "list_dead_letters", "GET", "/v1/dead-letters", _listed(past), "Letters, the oldest first", DeadLettersPage
        ),
        _route(
            "dead_letter", "GET", one, _simple(past, "letter"), "One letter: why, from where, and its text", DeadLetter
        ),
        Route(
            name="correct_dead_letter",
            method="PUT",
            path=f"{one}/correction",
            handler=_corrected(past),
            operation=Operation.DEAD_LETTERS,
            rank=3,
            body_bytes_max=settings.facts_body_bytes_max,
            body_timeout_s=settings.facts_body_timeout_ms / 1000,
            specification=Specification(
                summary="Store a correction beside a letter, to be sent in its place",
                tag="dead letters",
                request=CorrectionRequest,
                answers={200: CorrectionStored},
                problems=("not-found", "invalid"),
            ),
        ),
        _route(
            "retry_dead_letter",
            "POST",
            f"{one}/retry",
            _simple(past, "retry"),
            "Send a letter to IN again, and remove it once IN has it",
            DeadLetterSent,
        ),
        _route(
            "discard_dead_letter",
            "DELETE",
            one,
            _simple(past, "discard"),
            "Remove a letter for good, with what it corrects",
            DeadLetterRemoved,
        ),
    ]


def _route(name: str, method: str, path: str, handler: Handler, summary: str, shape: type) -> Route:
    return Route(
        name=name,
        method=method,
        path=path,
        handler=handler,
        operation=Operation.DEAD_LETTERS,
        rank=3,
        specification=Specification(
            summary=summary,
            tag="dead letters",
            answers={200: shape},
            query=_FILTERS if name == "list_dead_letters" else (),
            problems=("invalid",) if name == "list_dead_letters" else ("not-found", "invalid"),
        ),
    )


def _listed(past: Past) -> Handler:
    allowed = frozenset(query.name for query in _FILTERS)

    async def listed(parameter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001 - a handler's shape
        found = fields(query, allowed)
        for name in ("since", "until"):
            if name in found:
                time_ms(name, found[name])
        after = found.get("after")
        return await past.ask(
            "letters",
            0,
            filters=named(found, "reason", "source", "since", "until"),
            after=None if after is None else _number("after", after),
            limit=limit_of(found),
        )

    return listed


def _simple(past: Past, what: str) -> Handler:
    async def simple(letter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        reject_query(query)
        return await past.ask(what, 0, letter=_number("letter", letter))

    return simple


def _corrected(past: Past) -> Handler:
    decoder = msgspec.json.Decoder(CorrectionRequest)

    async def corrected(letter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        reject_query(query)
        try:
            given = decoder.decode(body)
        except msgspec.ValidationError as error:
            raise invalid("raw", str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refusal("malformed-json") from None
        return await past.ask("correct", 0, letter=_number("letter", letter), raw=given.raw)

    return corrected


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and 1 <= int(text) <= SEQUENCE_MAX):
        raise invalid(name, "must be the number of a letter")
    return int(text)
