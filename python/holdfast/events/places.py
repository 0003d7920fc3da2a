"""Where a reader is in OUT: from the id of an event to a place in the stream.

In: an id such as `1207:0`, and OUT. Out: the sequence of OUT after which to read on, and what is lost before it.
Always: ids grow along OUT, so a place is found by halving; an id that OUT no longer reaches back to is a gap, never
silence.
"""

import re
from typing import NamedTuple

import msgspec

from holdfast.errors import ApiError, BeyondEndError, NotPublishedError
from holdfast.nats.connection import Connection
from holdfast.nats.outlets import GAP_INDEX, STREAM_NOT_FOUND, Outlets, checkpoint_of, next_from
from holdfast.nats.streams import StreamState, stream_state

_FORM = re.compile(r"([0-9]{1,18})(?::([0-9]{1,10}))?")


class Place(NamedTuple):
    """An event's: its sequence in LOG, and its number within the batch. As text: its id."""

    sequence: int
    number: int

    def __str__(self) -> str:
        return f"{self.sequence}:{self.number}"


class _Identified(msgspec.Struct):
    """The part of an event that places it."""

    sequence: int
    index: int


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Events that this reader missed, in the shape of the publisher's own `gap` event."""

    id: str
    kind: str = "gap"
    sequence: int
    index: int
    first: int = msgspec.field(name="from")
    upto: int
    reason: str = "out-cut"


class Start(NamedTuple):
    """Read OUT after `cursor`; `place` is the newest event up to there; `gap`: what OUT has dropped before it."""

    cursor: int
    place: Place
    gap: Gap | None = None


def place_of(text: str) -> Place | None:
    """`1207:0`, or `1207`: behind all events of that sequence. None for what is neither."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    return Place(int(found[1]), int(found[2]) if found[2] else GAP_INDEX)


def place_in(payload: bytes) -> Place:
    """An event's place."""
    found = msgspec.json.decode(payload, type=_Identified)
    return Place(found.sequence, found.index)


def gap_between(before: Place, following: Place) -> Gap:
    """What OUT dropped behind `before`; `following` is what it has next."""
    just_before = Place(following.sequence, following.number - 1)
    if following.number == 0:
        just_before = Place(following.sequence - 1, GAP_INDEX)
    return Gap(
        id=str(just_before),
        sequence=just_before.sequence,
        index=just_before.number,
        first=before.sequence,
        upto=following.sequence,
    )


def gap_as_json(gap: Gap) -> dict[str, object]:
    """In the shape of the publisher's own."""
    found: dict[str, object] = msgspec.to_builtins(gap)
    return found


async def state_of(connection: Connection, outlets: Outlets) -> StreamState:
    """OUT's size. Raises NotPublishedError, UnreachableError, ApiError."""
    try:
        return await stream_state(connection, outlets.out)
    except ApiError as error:
        if error.code == STREAM_NOT_FOUND:
            raise NotPublishedError(
                f"there is no stream {outlets.out}: set publisher.enabled, or run `holdfast publish`"
            ) from error
        raise


async def start_after(connection: Connection, outlets: Outlets, after: Place | None) -> Start:
    """Where to read on after `after`; None: after everything that is published now.

    Raises NotPublishedError, BeyondEndError, UnreachableError, ApiError.
    """
    state = await state_of(connection, outlets)
    tail = await next_from(connection, outlets.out, state.last_sequence)
    checkpoint = await checkpoint_of(connection, outlets)
    published = Place(checkpoint[1].sequence, GAP_INDEX) if checkpoint is not None else Place(0, 0)
    newest = place_in(tail[1]) if tail is not None else published
    if after is None:
        return Start(state.last_sequence, newest)
    if after > max(newest, published) and after.sequence > 0:
        raise BeyondEndError(f"the newest event is {newest}: nothing is known of {after}")
    cursor = await _last_upto(connection, outlets, state.last_sequence, after)
    if cursor > 0:
        return Start(cursor, after)
    oldest = await next_from(connection, outlets.out, 1)
    if oldest is None:
        lost = state.last_sequence > 0 and after.sequence < published.sequence
        gap = gap_between(after, Place(published.sequence + 1, 0)) if lost else None
        return Start(state.last_sequence, after, gap)
    # Where OUT has dropped something, it may have been behind `after`.
    first, payload = oldest
    return Start(first - 1, after, gap_between(after, place_in(payload)) if first > 1 else None)


async def _last_upto(connection: Connection, outlets: Outlets, last: int, after: Place) -> int:
    """The last sequence of OUT whose event is not behind `after`; 0 where none is."""
    below, above = 0, last + 1
    while above - below > 1:
        middle = (below + above) // 2
        found = await next_from(connection, outlets.out, middle)
        if found is not None and found[0] < above and place_in(found[1]) <= after:
            below = found[0]
        else:  # there is nothing from `middle` on that is not behind
            above = middle
    return below
