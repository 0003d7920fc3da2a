"""What happened to a SKU between two moments: the facts that touch it, and its figures before and after.

In: what is kept of a scope, a SKU, a range. Out: figures, and facts page by page. Always: facts about its components
and the kits that it is in are among them, and rules for all SKUs; the work is bounded by the batches of the range.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from holdfast._core import Engine
from holdfast.hindsight.batches import OF_COMMANDS, RULES, Batch, batches, position_of
from holdfast.hindsight.replaying import Moment, messages, reached, start
from holdfast.hindsight.what_if import components
from holdfast.recovery.past import NotKeptError, Past

CHANNELS_SHOWN = 50
_AS_OF = b"{}"
_OK = 200
_CHUNK = 256


class TooWideError(NotKeptError):
    """The range has more batches than one question may go through."""


@dataclass(slots=True)
class Changes:
    """What was found. `before`, `after`: figures of the SKU. `more`: facts follow after the last one."""

    sku: str
    began: int
    sequence: int = 0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    facts: list[dict[str, Any]] = field(default_factory=list)
    more: bool = False


def changes(
    past: Past, sku: str, begin: Moment, upto: Moment, *, after: tuple[int, int], limit: int, batches_max: int | None
) -> Changes:
    """The facts after a place, at most `limit`. Raises NotKeptError, ArchiveError, JournalDamagedError."""
    core = start(past, begin)
    found = Changes(sku, core.sequence)
    found.before = figures(core, sku)
    names = _together(core, sku)
    sequence, position = core.sequence, position_of(core)
    raw = messages(past, core.sequence, upto)
    while chunk := list(itertools.islice(raw, _CHUNK)):
        read = list(batches(chunk, position, past.scope, past.keys))
        core.apply_many(core.sequence + 1, [message for _, message in chunk])
        position, sequence = position_of(core), chunk[-1][0]
        names |= _together(core, sku)
        for batch in read:
            _take(found, batch, core, names, after, limit)
        if batches_max is not None and sequence - found.began > batches_max:
            raise TooWideError(f"there are more than {batches_max:,} batches between the two: ask for a shorter time")
    reached(sequence, upto)
    found.sequence = sequence
    found.after = figures(core, sku)
    return found


def figures(core: Engine, sku: str) -> dict[str, Any]:
    """What a SKU has at each location, and what each channel can sell of it; empty where it is not known."""
    status, body = core.sku(sku, None, _AS_OF)
    if status != _OK:
        return {}
    listed = orjson.loads(core.listing("channels", None, CHANNELS_SHOWN, [], None, _AS_OF)[1])["items"]
    return {
        "sequence": core.sequence,
        "at_ms": core.now_ms,
        "levels": [
            {name: level[name] for name in ("location", "on_hand", "at_hand", "held", "committed")}
            for level in orjson.loads(body)["levels"]
        ],
        "sellable": {one["channel"]: core.sellable(sku, one["channel"]) for one in listed},
    }


def _together(core: Engine, sku: str) -> set[str]:
    """The SKU, what it is made of, and what it is in."""
    status, body = core.sku(sku, None, _AS_OF)
    found = {sku}
    if status == _OK:
        found |= set(orjson.loads(body)["used_in"])
    waiting = [sku]
    while waiting:
        parts = [part for part in components(core, waiting.pop()) if part not in found]
        found |= set(parts)
        waiting += parts
    return found


def _take(found: Changes, batch: Batch, core: Engine, names: set[str], after: tuple[int, int], limit: int) -> None:
    for index, (kind, raw) in enumerate(batch.facts):
        if found.more or (batch.sequence, index) <= after:
            continue
        fact = orjson.loads(bytes(raw))
        if not _touches(kind, fact, core, names):
            continue
        if len(found.facts) == limit:
            found.more = True
            return
        if isinstance(fact.get("lines"), list):  # of a cart, what this is about
            fact["lines"] = [line for line in fact["lines"] if names & set(_skus(line))]
        found.facts.append({"sequence": batch.sequence, "index": index, "at_ms": batch.now_ms, "fact": fact})


def _touches(kind: str, fact: dict[str, Any], core: Engine, names: set[str]) -> bool:
    named = set(_skus(fact))
    if named & names:
        return True
    if kind in RULES:
        return "sku" not in fact and kind != "item"
    if kind in OF_COMMANDS and not named:
        status, body = core.reservation(fact["id"], None, _AS_OF)
        return status == _OK and bool(names & set(_skus(orjson.loads(body))))
    return False


def _skus(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "sku" and isinstance(value, str):
                yield value
            else:
                yield from _skus(value)
    elif isinstance(part, list):
        for value in part:
            yield from _skus(value)
