"""The streams of one scope: their names, their exact configuration, and the check that an existing one agrees.

Role: make IN, LOG, DLQ and ASK where they are missing; refuse to run on anything else. In: a scope and settings. Out:
streams that are safe to append to. Always: file storage, discard new (ASK: old), no max age (DLQ: 30 days, ASK: 7), no
compression, no rollup, no per-message expiry; LOG and IN deny deletes; LOG is never read from a replica that may be
behind.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import structlog

from holdfast.errors import ApiError, ServerUnfitError, StreamMismatchError, UnreachableError
from holdfast.nats.connection import Connection
from holdfast.settings import LogSettings

log = structlog.get_logger(__name__)

_Found = TypeVar("_Found")

FAMILIES = ("erp", "woo", "policy")
"""Of sources: what stands after `hf.<scope>.in.`; whatever else comes there goes to the dead letters."""
_UNAVAILABLE = 503  # JetStream's status while leaders are elected, or servers are missing
_NO_PEERS = 10005  # too few servers have found each other yet
_ELECTION_POLL_S = 0.25
_STREAM_NOT_FOUND = 10059
_NO_ROOM = {10023, 10028, 10047}
_MS_IN_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Names:
    """Streams and subjects of a scope."""

    scope: str

    @property
    def incoming(self) -> str:
        """The IN stream: facts as they arrive."""
        return f"HF_{self.scope}_IN"

    @property
    def log(self) -> str:
        """The LOG stream: batches, the order itself."""
        return f"HF_{self.scope}_LOG"

    @property
    def dead(self) -> str:
        """The DLQ stream: what could not be taken, and why."""
        return f"HF_{self.scope}_DLQ"

    @property
    def refused(self) -> str:
        """The ASK stream: commands that were refused, for a while."""
        return f"HF_{self.scope}_ASK"

    @property
    def refused_subject(self) -> str:
        """The only subject of ASK."""
        return f"hf.{self.scope}.ask"

    @property
    def snapshots(self) -> str:
        """The object store of shared snapshots."""
        return f"HF_{self.scope}_SNAP"

    @property
    def keys(self) -> str:
        """The stream of what is stored of API keys, for the scope's other machines."""
        return f"HF_{self.scope}_KEYS"

    def key_subject(self, key_id: str) -> str:
        """Where one key's newest state is."""
        return f"hf.{self.scope}.keys.{key_id}"

    @property
    def log_subject(self) -> str:
        """The only subject of LOG."""
        return f"hf.{self.scope}.log"

    @property
    def heartbeat_subject(self) -> str:
        """The subject of the heartbeats. No stream stores it."""
        return f"hf.{self.scope}.pulse"

    def lead_subject(self, node: str, epoch: int) -> str:
        """Where the leader of `epoch` receives forwarded commands; only it listens there. No stream stores it."""
        return f"hf.{self.scope}.lead.{node}.{epoch}"

    @property
    def lease(self) -> str:
        """The stream behind the KV bucket of the lease."""
        return f"KV_HF_{self.scope}_LEASE"

    @property
    def lease_subject(self) -> str:
        """The lease's key."""
        return f"$KV.HF_{self.scope}_LEASE.leader"

    @property
    def peers_subject(self) -> str:
        """Where every process of the scope answers with its state."""
        return f"hf.{self.scope}.peers"

    def incoming_subject(self, family: str, source: str | None) -> str:
        """`hf.main.in.erp.acme`; the policy family has no source token."""
        tail = family if source is None else f"{family}.{source}"
        return f"hf.{self.scope}.in.{tail}"

    def dead_subject(self, incoming_subject: str) -> str:
        """The dead letters of the family that `incoming_subject` belongs to; `unknown` where it is of none."""
        tokens = incoming_subject.split(".")
        family = tokens[3] if len(tokens) > 3 else ""
        return f"hf.{self.scope}.dlq.{family if family in FAMILIES else 'unknown'}"


def configurations(names: Names, settings: LogSettings) -> list[dict[str, Any]]:
    """The four streams, as the JetStream API wants them."""
    common: dict[str, Any] = {
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "compression": "none",
        "num_replicas": settings.replicas,
        "max_msgs": -1,
        "max_consumers": -1,
        "max_age": 0,
        "allow_rollup_hdrs": False,
        "deny_purge": False,
    }
    return [
        common
        | {
            "name": names.incoming,
            "subjects": [f"hf.{names.scope}.in.>"],
            "max_bytes": settings.in_bytes_max,
            "max_msg_size": settings.in_message_bytes_max,
            "duplicate_window": settings.in_duplicate_window_ms * _MS_IN_NS,
            "deny_delete": True,
            "allow_direct": False,
            # A source that floods fills its own part. Without the second, what is older would be dropped for the new.
            "max_msgs_per_subject": messages_of_one_source(settings),
            "discard_new_per_subject": True,
        },
        common
        | {
            "name": names.log,
            "subjects": [names.log_subject],
            "max_bytes": settings.log_bytes_max,
            "max_msg_size": settings.log_message_bytes_max,
            "deny_delete": True,
            "allow_direct": False,
        },
        common
        | {
            "name": names.dead,
            "subjects": [f"hf.{names.scope}.dlq.*"],
            "max_bytes": settings.dead_bytes_max,
            "max_msg_size": settings.dead_message_bytes_max,
            "max_age": settings.dead_age_ms_max * _MS_IN_NS,
            "duplicate_window": settings.dead_duplicate_window_ms * _MS_IN_NS,
            "deny_delete": False,
            "allow_direct": False,
        },
        common | _refusals(names, settings),
    ]


def _refusals(names: Names, settings: LogSettings) -> dict[str, Any]:
    return {
        "name": names.refused,
        "subjects": [names.refused_subject],
        "discard": "old",
        "max_bytes": settings.refused_bytes_max,
        "max_msg_size": settings.dead_message_bytes_max,
        "max_age": settings.refused_age_ms_max * _MS_IN_NS,
        "deny_delete": False,
        "allow_direct": False,
    } | written_later(settings)


def written_later(settings: LogSettings) -> dict[str, Any]:
    """For a stream that is no source of truth: one server writes it to its disk a moment after it has answered.

    An fsync for each message would take the disk from LOG. Several servers have copies in its place: there NATS takes
    no such stream.
    """
    return {"persist_mode": "async"} if settings.replicas == 1 else {}


def messages_of_one_source(settings: LogSettings) -> int:
    """So few in IN that the largest ones fill half of it: the rest is for the other sources, however small IN is."""
    half = settings.in_bytes_max // 2 // settings.in_message_bytes_max
    return min(settings.in_messages_per_source_max, max(1, half))


# By the end of a stream's name: the setting that bounds its size.
_SIZE_SETTINGS = {
    "IN": "log.in_bytes_max",
    "LOG": "log.log_bytes_max",
    "DLQ": "log.dead_bytes_max",
    "ASK": "log.refused_bytes_max",
}

# What must be exactly as stated. Sizes, replicas and windows may be changed by an operator.
_MUST_AGREE = ("storage", "retention", "discard", "compression", "max_age", "deny_delete", "allow_direct")
# Features that would rewrite, drop, reorder or renumber messages, and the value that means "off".
_MUST_BE_OFF: dict[str, tuple[Any, ...]] = {
    "allow_rollup_hdrs": (None, False),
    "allow_msg_ttl": (None, False),
    "allow_msg_counter": (None, False),
    "allow_msg_schedules": (None, False),
    "no_ack": (None, False),
    "sealed": (None, False),
    "mirror": (None,),
    "sources": (None, []),
    "republish": (None,),
    "subject_transform": (None,),
    "persist_mode": (None, "", "default"),
    "max_msgs": (None, -1, 0),
}
_NO_QUOTA = (None, -1, 0)


def contradictions(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What about an existing stream makes it unfit, as text; empty when it is fit."""
    wrong = [
        f"{name} is {found.get(name)!r}, must be {wanted[name]!r}"
        for name in _MUST_AGREE
        if (found.get(name) or None) != (wanted[name] or None)
        and not (name == "compression" and found.get(name) in {None, "", "none"})
    ]
    wrong += [
        f"{name} is {found[name]!r}, must be off"
        for name, off in _MUST_BE_OFF.items()
        if found.get(name) not in (*off, wanted.get(name))
    ]
    if has_quota(found) != bool(found.get("discard_new_per_subject")) or (
        has_quota(found) and "max_msgs_per_subject" not in wanted
    ):
        wrong.append(
            f"max_msgs_per_subject is {found.get('max_msgs_per_subject')!r} and discard_new_per_subject "
            f"{found.get('discard_new_per_subject')!r}: both are for IN, and only together"
        )
    if sorted(found.get("subjects") or []) != sorted(wanted["subjects"]):
        wrong.append(f"subjects are {found.get('subjects')}, must be {wanted['subjects']}")
    size = found.get("max_msg_size", -1)
    if size != -1 and size < wanted["max_msg_size"]:
        wrong.append(f"max_msg_size is {size}, must be at least {wanted['max_msg_size']}")
    if found.get("num_replicas", 1) < wanted["num_replicas"]:
        wrong.append(f"num_replicas is {found.get('num_replicas')}, must be at least {wanted['num_replicas']}")
    return wrong


def has_quota(config: dict[str, Any]) -> bool:
    """Whether a stream bounds the messages of each subject."""
    return config.get("max_msgs_per_subject") not in _NO_QUOTA


async def ensure_streams(connection: Connection, names: Names, settings: LogSettings, *, create: bool = True) -> None:
    """Make what is missing (unless `create` is False) and check what is there.

    Raises StreamMismatchError, ServerUnfitError, ApiError or UnreachableError.
    """
    deadline_s = time.monotonic() + settings.stream_leader_deadline_ms / 1000
    await _once_elected(connection, connection.check_server, deadline_s, "jetstream")
    for wanted in configurations(names, settings):
        name = wanted["name"]
        found = await _once_elected(connection, partial(_configuration, connection, name), deadline_s, name)
        if found is None:
            if not create and wanted["name"] == names.refused:
                continue  # a version that kept none made this store
            if not create:
                raise StreamMismatchError(
                    f"there is no stream {wanted['name']}; nothing was ever stored under this scope here"
                )
            found = await _once_elected(connection, partial(_create, connection, wanted), deadline_s, name)
            log.info("stream-made", stream=name)
        elif sorted(found["subjects"]) == _subjects_before(names):
            found = await _widened(connection, wanted, found) if create else found | {"subjects": wanted["subjects"]}
        if create and "max_msgs_per_subject" in wanted and not has_quota(found):
            found = await _bounded(connection, wanted, found)
        wrong = contradictions(wanted, found)
        if wrong:
            raise StreamMismatchError(
                f"stream {wanted['name']} exists and is not safe to use: {'; '.join(wrong)}. "
                "Change it with `nats stream edit`, or use another scope."
            )


async def _create(connection: Connection, wanted: dict[str, Any]) -> dict[str, Any]:
    try:
        made: dict[str, Any] = (await connection.api(f"STREAM.CREATE.{wanted['name']}", wanted))["config"]
    except ApiError as error:
        if error.code in _NO_ROOM:
            raise ServerUnfitError(
                f"stream {wanted['name']} may grow to {wanted['max_bytes']:,} bytes, more than the NATS server sets "
                "aside: raise `max_file_store` in its jetstream block, or the account's limit; or lower the setting "
                f"`{_SIZE_SETTINGS[wanted['name'].rpartition('_')[2]]}`"
            ) from error
        raise
    return made


def _subjects_before(names: Names) -> list[str]:
    """What IN took until messages that fit no family were taken too."""
    return sorted([f"hf.{names.scope}.in.erp.*", f"hf.{names.scope}.in.woo.*", f"hf.{names.scope}.in.policy"])


async def _widened(connection: Connection, wanted: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """IN as an older version made it, with the subjects of now; all else stays as an operator may have set it."""
    changed: dict[str, Any] = (
        await connection.api(f"STREAM.UPDATE.{wanted['name']}", found | {"subjects": wanted["subjects"]})
    )["config"]
    log.info("stream-widened", stream=wanted["name"], subjects=changed["subjects"])
    return changed


async def _bounded(connection: Connection, wanted: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """IN as an older version made it, with the bound of now for each source.

    JetStream would delete what a subject has beyond the bound: while one has as much as half of it, IN stays as it is.
    """
    quota = wanted["max_msgs_per_subject"]
    most = max((await messages_by_subject(connection, wanted["name"])).values(), default=0)
    if most * 2 > quota:
        log.warning("stream-not-bounded", stream=wanted["name"], most_of_one_source=most, bound=quota)
        return found
    changed: dict[str, Any] = (
        await connection.api(
            f"STREAM.UPDATE.{wanted['name']}",
            found | {"max_msgs_per_subject": quota, "discard_new_per_subject": True},
        )
    )["config"]
    log.info("stream-bounded", stream=wanted["name"], messages_per_source=quota)
    return changed


async def messages_by_subject(connection: Connection, stream: str) -> dict[str, int]:
    """How many messages a stream has of each subject."""
    counts: dict[str, int] = {}
    while True:
        asked = {"subjects_filter": ">", "offset": len(counts)}
        answer = await connection.api(f"STREAM.INFO.{stream}", asked)
        page: dict[str, int] = answer["state"].get("subjects") or {}
        counts |= page
        if not page or len(counts) >= answer.get("total", 0):
            return counts


async def _configuration(connection: Connection, stream: str) -> dict[str, Any] | None:
    """What a stream is like; None when it does not exist."""
    try:
        found: dict[str, Any] = (await connection.api(f"STREAM.INFO.{stream}"))["config"]
    except ApiError as error:
        if error.code == _STREAM_NOT_FOUND:
            return None
        raise
    return found


async def _once_elected(
    connection: Connection, call: Callable[[], Awaitable[_Found]], deadline_s: float, what: str
) -> _Found:
    """The answer to a call of JetStream. A cluster that has just started, or lost servers, elects its leaders first."""
    while True:
        try:
            return await call()
        except (UnreachableError, ApiError) as fault:
            electing = isinstance(fault, ApiError) and (fault.status == _UNAVAILABLE or fault.code == _NO_PEERS)
            waits = electing or (isinstance(fault, UnreachableError) and connection.connected)
            if not waits or time.monotonic() >= deadline_s:
                raise
            log.info("election-awaited", stream=what, why=str(fault))
            await asyncio.sleep(_ELECTION_POLL_S)


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as its leader, or one that believes it is, reports it: a hint, never evidence."""

    first_sequence: int
    last_sequence: int
    messages: int
    bytes: int
    since_ms: int | None = None  # when its oldest message came; None: it has none


async def stream_state(connection: Connection, stream: str) -> StreamState:
    """The size that a stream reports."""
    state = (await connection.api(f"STREAM.INFO.{stream}"))["state"]
    since_ms = int(datetime.fromisoformat(state["first_ts"]).timestamp() * 1000) if state["messages"] else None
    return StreamState(state["first_seq"], state["last_seq"], state["messages"], state["bytes"], since_ms)
