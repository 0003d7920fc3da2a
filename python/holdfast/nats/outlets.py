"""The streams that the publisher writes: OUT and AVAILABLE.

Role: make them, name their subjects, read where they end; for the publisher, and for what reads them. In: a scope and
settings. Out: streams, subjects, positions. Always: file storage, and what is lost with a server is made good from LOG;
OUT drops the oldest, AVAILABLE holds the last message of each subject and never drops one for another; a subject has
one token for whatever a channel or SKU is called.
"""

import base64
from enum import Enum
from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from holdfast.errors import ApiError, StreamMismatchError
from holdfast.nats.appender import get_message
from holdfast.nats.connection import Connection
from holdfast.nats.streams import stream_state, written_later
from holdfast.settings import LogSettings, PublisherSettings

log = structlog.get_logger(__name__)

_MS_IN_NS = 1_000_000
_SHORTEST_WINDOW_MS = 100  # that a nats-server takes
STREAM_NOT_FOUND = 10059
MESSAGE_NOT_FOUND = 10037
GAP_INDEX = 1 << 30
"""The index of a gap: behind every event of its batch."""
_MUST_AGREE = ("subjects", "storage", "retention", "discard", "max_msgs_per_subject")


class Way(Enum):
    """How a stream takes many messages at once."""

    CHAINED = "each behind the one before it; the server answers the last one"
    TOGETHER = "all of them or none (`allow_atomic`)"
    ONE_BY_ONE = "an answer for each"


class Outlets:
    """Streams and subjects of a scope's publisher."""

    def __init__(self, scope: str) -> None:
        self.out = f"HF_{scope}_OUT"
        self.available = f"HF_{scope}_AVAILABLE"
        self.checkpoint = f"hf.{scope}.published"
        self.pushed_of_all = f"hf.{scope}.pushed.*"
        self._scope = scope

    def pushed(self, channel: str) -> str:
        """`hf.main.pushed.web`, where a connector says how late its shop learns of a figure. No stream stores it."""
        return f"hf.{self._scope}.pushed.{token(channel)}"

    def event(self, kind: str, channel: str) -> str:
        """`hf.main.out.held.web`."""
        return f"hf.{self._scope}.out.{kind}.{token(channel)}"

    def figure(self, channel: str, sku: str) -> str:
        """`hf.main.available.web.MUG-BLUE`."""
        return f"hf.{self._scope}.available.{token(channel)}.{token(sku)}"

    def configurations(self, settings: PublisherSettings, log_settings: LogSettings) -> list[dict[str, Any]]:
        """The two streams, as the JetStream API wants them."""
        common = {
            "storage": "file",
            "retention": "limits",
            "num_replicas": log_settings.replicas,
            "max_msg_size": settings.message_bytes_max,
            "compression": "none",
            "deny_delete": True,
            "deny_purge": False,
            "allow_direct": False,
            # Ids link a message to the one before it. As a memory of what came before they would cost 100 bytes each.
            "duplicate_window": _SHORTEST_WINDOW_MS * _MS_IN_NS,
        }
        # What a server loses with its life is derived from LOG again.
        common |= written_later(log_settings) or {"allow_atomic": True}
        return [
            common
            | {
                "name": self.out,
                "subjects": [f"hf.{self._scope}.out.>"],
                "discard": "old",
                "max_msgs_per_subject": -1,
                "max_age": settings.out_age_ms_max * _MS_IN_NS,
                "max_bytes": settings.out_bytes_max,
            },
            common
            | {
                "name": self.available,
                "subjects": [f"hf.{self._scope}.available.>", self.checkpoint],
                "discard": "new",
                "max_msgs_per_subject": 1,
                "max_bytes": settings.available_bytes_max,
            },
        ]


def token(name: str) -> str:
    """One token of a subject: letters, digits, `-` and `_` as they are, every other byte as `%` and two digits."""
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E")


def is_wanted(subject: str, channels: frozenset[str] | None, kinds: frozenset[str] | None) -> bool:
    """Whether an event is of these channels (as tokens) and kinds; None: of all. A gap always is."""
    *_, kind, channel = subject.split(".")
    return kind == "gap" or ((kinds is None or kind in kinds) and (channels is None or channel in channels))


async def ensure(
    connection: Connection, outlets: Outlets, settings: PublisherSettings, logs: LogSettings
) -> dict[str, Way]:
    """Make what is missing, check what is there, and say how each of the streams is written.

    Raises StreamMismatchError, ApiError, UnreachableError.
    """
    ways = {}
    for wanted in outlets.configurations(settings, logs):
        name = wanted["name"]
        try:
            found = (await connection.api(f"STREAM.INFO.{name}"))["config"]
        except ApiError as error:
            if error.code != STREAM_NOT_FOUND:
                raise
            found = (await connection.api(f"STREAM.CREATE.{name}", wanted))["config"]
            log.info("stream-made", stream=name)
        wrong = [
            f"{one} is {found.get(one)!r}, must be {wanted[one]!r}"
            for one in _MUST_AGREE
            if found.get(one) != wanted[one]
        ]
        if wrong:
            raise StreamMismatchError(
                f"stream {name} exists and is not what a publisher writes: {'; '.join(wrong)}. "
                "Change it with `nats stream edit`, or delete it: it is made again from LOG."
            )
        ways[name] = _way(found)
        if ways[name] is Way.ONE_BY_ONE:
            log.warning(
                "written-one-by-one", stream=name, help=f"`nats stream edit {name} --allow-batch` makes it faster"
            )
    return ways


def _way(configuration: dict[str, Any]) -> Way:
    if configuration.get("persist_mode") == "async":
        return Way.CHAINED
    return Way.TOGETHER if configuration.get("allow_atomic") else Way.ONE_BY_ONE


class Tail(msgspec.Struct):
    """The newest event of OUT, and where OUT ends."""

    sequence: int = 0
    index: int = 0
    out_sequence: int = 0


class Checkpoint(msgspec.Struct):
    """Everything of LOG up to `sequence` is published, and OUT ended at `out_sequence` then.

    `thresholds` count in batches behind `since`, and `thresholds_before` up to there.
    """

    sequence: int
    out_sequence: int
    thresholds: list[int] = []
    thresholds_before: list[int] = []
    since: int = 0


async def tail_of(connection: Connection, outlets: Outlets) -> Tail:
    """Where OUT ends; sequence 0 where its newest event was removed. Raises UnreachableError, ApiError."""
    state = await stream_state(connection, outlets.out)
    message = None
    if state.messages:
        message = await get_message(connection, outlets.out, state.last_sequence)
    if message is None:
        return Tail(out_sequence=state.last_sequence)
    tail = msgspec.json.decode(message, type=Tail)
    tail.out_sequence = state.last_sequence
    return tail


async def last_of(connection: Connection, stream: str, subject: str) -> tuple[int, bytes] | None:
    """The sequence and the bytes of a subject's last message. Raises UnreachableError, ApiError."""
    return await _one(connection, stream, {"last_by_subj": subject})


async def next_from(connection: Connection, stream: str, sequence: int) -> tuple[int, bytes] | None:
    """The first message at or behind `sequence`; None where there is none. Raises UnreachableError, ApiError."""
    return await _one(connection, stream, {"seq": max(1, sequence), "next_by_subj": ">"})


async def _one(connection: Connection, stream: str, asked: dict[str, Any]) -> tuple[int, bytes] | None:
    try:
        answer = await connection.api(f"STREAM.MSG.GET.{stream}", asked)
    except ApiError as error:
        if error.code == MESSAGE_NOT_FOUND:
            return None
        raise
    message = answer["message"]
    return message["seq"], base64.b64decode(message.get("data", ""))


async def checkpoint_of(connection: Connection, outlets: Outlets) -> tuple[int, Checkpoint] | None:
    """With the sequence of its message. Raises UnreachableError, ApiError."""
    found = await last_of(connection, outlets.available, outlets.checkpoint)
    return None if found is None else (found[0], msgspec.json.decode(found[1], type=Checkpoint))
