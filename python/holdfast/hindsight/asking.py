"""Questions about the past, as a gateway's clients ask them.

In: where the past is, and what a question needs (already checked by the gateway). Out: bodies of answers, and the
sequence of LOG that each reflects. Always: each answer's work has a bound: batches, entries, seconds; what would take
longer is refused with what to do, and the reading that was done is kept for the next time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import orjson

from holdfast.errors import LogError
from holdfast.hindsight.audit import Audit, Wanted
from holdfast.hindsight.business.figures import RangeError, range_of, report
from holdfast.hindsight.business.reading import MESSAGES_MAX, Counting, Refusals
from holdfast.hindsight.changes import changes
from holdfast.hindsight.key_changes import KIND, key_changes
from holdfast.hindsight.replaying import Moment
from holdfast.nats.asked import Asked, following, newest
from holdfast.nats.connection import Connection, endpoint_of
from holdfast.nats.streams import Names
from holdfast.peers.freshness import as_of
from holdfast.recovery.past import Past
from holdfast.settings import Settings

Needs = dict[str, msgspec.Raw]
Answered = tuple[Any, int]
Found = TypeVar("Found")

BATCHES_MAX = 200_000
AUDIT_S = 10.0
COUNT_S = 8.0
JOURNAL_LAG_S = 1.2
_OK = 200


class WrongError(LogError):
    """The question cannot be answered as it is: a problem, and what to say of it."""

    def __init__(self, status: int, problem: str, detail: str, path: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem
        self.path = path


class Looker:
    """Where the past is, and what was read of it for the audit."""

    def __init__(self, directory: Path, scope: str, nats: str, settings: Settings) -> None:
        self.directory = directory
        self.scope = scope
        self.settings = settings
        self.audit = Audit()
        self._nats = nats
        self._past: Past | None = None
        self._counting: Counting | None = None

    def counting(self) -> Counting:
        """The business figures, as far as they are counted."""
        if self._counting is None:
            self._counting = Counting(self.directory, self.scope)
        return self._counting

    def reach(self, sequence: int) -> None:
        """Have the files up to a sequence, which they have at most a second after the gateway."""
        self._past = Past(self.directory, self.scope, self.settings)
        if self._past.last < sequence:
            time.sleep(JOURNAL_LAG_S)
            self._past = Past(self.directory, self.scope, self.settings)

    @property
    def past(self) -> Past:
        """As it was when the question came."""
        assert self._past is not None, "Invariant: reached first"
        return self._past

    def connected(self, work: Callable[[Connection, Names], Awaitable[Found]]) -> Found:
        """Work that needs the streams."""

        async def run() -> Found:
            log = self.settings.log
            connection = Connection(endpoint_of(self._nats, log), log, f"holdfast {self.scope} past")
            await connection.open()
            try:
                return await work(connection, Names(self.scope))
            finally:
                await connection.close()

        return asyncio.run(run())


def given(needs: Needs, name: str) -> Any:
    """One need as a plain value; None where it is not given."""
    return msgspec.json.decode(needs[name]) if name in needs else None


def moment(needs: Needs, name: str) -> Moment:
    """A need that is a sequence, or a time in milliseconds."""
    found = given(needs, name) or {}
    return Moment(found.get("sequence"), found.get("before_ms"))


def place(needs: Needs) -> tuple[int, int]:
    """The cursor: after which sequence and index."""
    sequence, index = given(needs, "after") or (0, -1)
    return int(sequence), int(index)


def time_of(at_ms: int) -> str:
    """As every answer has times."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat().replace("+00:00", "Z")


def explain(looker: Looker, needs: Needs) -> Answered:
    """The waterfall as it was."""
    at = moment(needs, "at")
    channels = given(needs, "channels")
    core = looker.past.core(at.sequence, before_ms=at.before_ms)
    status, body = core.explain(
        given(needs, "sku"),
        given(needs, "channel"),
        given(needs, "region"),
        as_of(core.sequence, 0, "stale"),
        None if channels is None else tuple(channels),
    )
    read = orjson.loads(body)
    if status != _OK:
        raise WrongError(status, str(read["type"]).rpartition(":")[2], read["detail"])
    return read | {"at": time_of(core.now_ms)}, core.sequence


def changed(looker: Looker, needs: Needs) -> Answered:
    """What happened to a SKU."""
    begin, upto, limit = moment(needs, "from"), moment(needs, "upto"), given(needs, "limit")
    found = changes(
        looker.past, given(needs, "sku"), begin, upto, after=place(needs), limit=limit, batches_max=BATCHES_MAX
    )
    if not found.before and not found.after:
        raise WrongError(404, "unknown-sku", "Nothing knew this SKU between the two moments.")
    items = [
        {"sequence": one["sequence"], "at": time_of(one["at_ms"]), "kind": one["fact"]["kind"], "fact": one["fact"]}
        for one in found.facts
    ]
    last = found.facts[-1] if found.more else None
    return {
        "sku": found.sku,
        "before": _figures(found.before),
        "after": _figures(found.after),
        "items": items,
        "next": None if last is None else f"{last['sequence']}:{last['index']}",
    }, found.sequence


def _figures(found: dict[str, Any]) -> dict[str, Any] | None:
    if not found:
        return None
    return {name: value for name, value in found.items() if name != "at_ms"} | {"at": time_of(found["at_ms"])}


def audited(looker: Looker, needs: Needs) -> Answered:
    """Who changed which rule."""
    wanted = msgspec.convert(given(needs, "wanted"), Wanted)
    if wanted.kind == KIND:
        return _keys(looker, wanted, place(needs)[1], given(needs, "limit")), 0
    audit = looker.audit
    if not audit.read(looker.past, AUDIT_S):
        raise WrongError(
            503,
            "overloaded",
            f"The past is being read: up to message {audit.upto:,} of {looker.past.last:,}. Ask again.",
        )
    found, more = audit.page(wanted, place(needs), given(needs, "limit"))
    items = []
    for one in found:
        read = one.document()
        items.append({"sequence": read.pop("sequence"), "at": time_of(read.pop("at_ms")), **read})
        del items[-1]["index"]
    last = found[-1] if more else None
    return {"items": items, "next": None if last is None else f"{last.sequence}:{last.index}"}, audit.upto


def _keys(looker: Looker, wanted: Wanted, after: int, limit: int) -> dict[str, Any]:
    """Keys made and revoked. The cursor counts them."""
    found = list(enumerate(key_changes(looker.directory)))
    rest = [(number, one) for number, one in found if number > after and wanted.at(one.at_ms)]
    items = [{"sequence": 0, "at": time_of(one.at_ms), **one.document} for _, one in rest[:limit]]
    return {"items": items, "next": f"0:{rest[limit - 1][0]}" if len(rest) > limit else None}


def reported(looker: Looker, needs: Needs) -> Answered:
    """The business figures of a range."""
    counting = looker.counting()

    async def read(connection: Connection, names: Names) -> Refusals:
        return await following(connection, names, counting.asked, MESSAGES_MAX)

    if not counting.count(looker.past, looker.connected(read), COUNT_S):
        done = counting.store.place().sequence
        raise WrongError(
            503, "overloaded", f"LOG is being counted: up to message {done:,} of {looker.past.last:,}. Ask again."
        )
    try:
        wanted = range_of(counting.store, given(needs, "from_ms"), given(needs, "upto_ms"))
    except RangeError as fault:
        raise WrongError(422, "invalid", f"The range cannot be answered: {fault}.", "from") from None
    return report(counting.store, looker.scope, wanted), counting.store.place().sequence


def refused(looker: Looker, needs: Needs) -> Answered:
    """What was refused, the newest first."""
    since_ms, limit = given(needs, "since_ms") or 0, given(needs, "limit")
    before, filters = given(needs, "before"), given(needs, "filters") or {}

    async def read(connection: Connection, names: Names) -> Asked:
        return await newest(connection, names, since_ms, limit + 1, None if before is None else before[0] + 1)

    found = looker.connected(read)
    rest = [
        one for one in found.refusals if before is None or one["place"] > tuple(before) or one["place"][0] < before[0]
    ]
    page = rest[:limit]
    more = len(rest) > limit or found.more
    return {
        "items": [_refusal(one) for one in page if _is_meant(one, filters)],
        "next": f"{page[-1]['place'][0]}:{page[-1]['place'][1]}" if more and page else None,
        "left_out": found.left_out,
        "kept_since": None if found.kept_since_ms is None else time_of(found.kept_since_ms),
    }, 0


def _refusal(one: dict[str, Any]) -> dict[str, Any]:
    found = {name: one.get(name) for name in ("verb", "reservation", "channel", "by", "reason", "sequence", "trace")}
    return {"at": time_of(one["at_ms"]), **found, "lines": one["lines"], "more_lines": one.get("more_lines", 0)}


def _is_meant(one: dict[str, Any], filters: dict[str, str]) -> bool:
    skus = {line["sku"] for line in one["lines"]}
    return (
        filters.get("sku") in {None, *skus}
        and filters.get("channel") in {None, one["channel"]}
        and filters.get("reason") in {None, one["reason"]}
    )
