"""Events, as they are published: a stream of server-sent events that a client can resume."""

from collections.abc import Callable
from typing import Final

from aiohttp import web
from multidict import istr

from holdfast.contracts.events import KINDS
from holdfast.errors import BeyondEndError, LogError, NotPublishedError
from holdfast.events.places import Place, place_of
from holdfast.gateway.event_streams import Admit, EventStream, EventStreams, Wanted
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.queries import check_name, fields
from holdfast.gateway.refusals import Refusal, invalid
from holdfast.gateway.replies import Reply
from holdfast.gateway.router import Handled, Route, StreamedHandler
from holdfast.gateway.specification import NAME, Query, Specification
from holdfast.protocol.errors import Unavailable

LAST_EVENT_ID: Final = istr("Last-Event-ID")
_PARAMETERS: Final = frozenset({"channel", "kinds", "after", "follow"})
_CHANNEL = Query("channel", NAME, "Events of this channel alone. Without it: of every channel that the key may see.")
_KINDS = Query(
    "kinds",
    {"type": "string", "minLength": 1, "maxLength": 512},
    f"Events of these kinds alone, with commas between them: {' '.join(KINDS)}. A `gap` comes in any case.",
)
_AFTER = Query(
    "after",
    {"type": "string", "pattern": "^[0-9]{1,18}(:[0-9]{1,10})?$"},
    "The id of the last event that the client has, or a sequence of LOG; 0: everything that is still kept. Without it, "
    "and without the header Last-Event-ID, which says the same and counts more: what is published from now on.",
)
_FOLLOW = Query(
    "follow",
    {"type": "string", "enum": ["true", "false"]},
    "`false`: end when everything that is published now was sent.",
)


def routes(streams: EventStreams | None, admit: Admit, sequence: Callable[[], int]) -> list[Route]:
    """GET /v1/events."""
    return [
        Route(
            name="events",
            method="GET",
            path="/v1/events",
            handler=_never,
            operation=Operation.EVENTS,
            rank=3,
            specification=Specification(
                summary="Events as they are published, as a stream that can be resumed",
                tag="events",
                answers={200: "text/event-stream"},
                query=(_CHANNEL, _KINDS, _AFTER, _FOLLOW),
                problems=("not-found", "invalid", "overloaded"),
            ),
            streamed=_streamed(streams, admit, sequence),
        )
    ]


async def _never(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001 - a handler's shape
    raise AssertionError("Invariant: the route is streamed")


def _streamed(streams: EventStreams | None, admit: Admit, sequence: Callable[[], int]) -> StreamedHandler:
    async def events(request: web.BaseRequest, query: str, key: Key) -> Reply:
        given = fields(query, _PARAMETERS)
        wanted = Wanted(_channels(given.get("channel"), key), _kinds(given.get("kinds")))
        after = _place(request, given.get("after"))
        follow = given.get("follow", "true")
        if follow not in {"true", "false"}:
            raise invalid("follow", "must be one of true false")
        if streams is None:
            raise Refusal("not-found", "This process publishes no events.")
        streams.check_room(key)
        try:
            start = await streams.feed.start(after)
        except NotPublishedError:
            raise Refusal(
                "not-found", "Nothing is published here: the operator has to run a publisher (publisher.enabled)."
            ) from None
        except BeyondEndError as error:
            raise invalid("after", f"is not published yet: {error}") from None
        except LogError as fault:
            raise Unavailable("log-unavailable", "not-done", 1, f"Events cannot be read just now: {fault}") from fault
        streams.check_room(key)
        return EventStream(streams, start, wanted, key, admit, follow=follow == "true", sequence=sequence())

    return events


def _channels(channel: str | None, key: Key) -> tuple[str, ...] | None:
    if channel is None:
        return key.channels
    check_name("channel", channel)
    if key.channels is not None and channel not in key.channels:
        raise Refusal("forbidden", channel=channel)
    return (channel,)


def _kinds(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    kinds = frozenset(text.split(","))
    if kinds - set(KINDS):
        raise invalid("kinds", f"must be some of {' '.join(KINDS)}, with commas between them")
    return kinds


def _place(request: web.BaseRequest, text: str | None) -> Place | None:
    """Where the client is. A browser that reconnects repeats the URL, and states in the header where it is by now."""
    headers = request.headers.getall(LAST_EVENT_ID, ())
    given, name = (headers[-1].strip(), "Last-Event-ID") if headers and headers[-1].strip() else (text, "after")
    if given is None:
        return None
    found = place_of(given)
    if found is None:
        raise invalid(name, "must be the id of an event, such as 1207:0, or a sequence")
    return found
