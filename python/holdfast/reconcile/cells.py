"""The rule of levels: what a cell of the ERP and of holdfast that differ means.

In: the cell in both, before and after a wait; what the connection stated of it last; whether the connection has looked
since. Out: agrees, moving, or a type with its evidence. Always: pure.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from holdfast.reconcile.findings import Found

AsOf = int | str | None


@dataclass(frozen=True, slots=True)
class ErpCell:
    """What the ERP has; `on_hand` may have parts of a unit. `allocated` None: it says nothing of it."""

    on_hand: float
    allocated: int | None
    as_of: AsOf


@dataclass(frozen=True, slots=True)
class HeldCell:
    """The level that holdfast holds, without what moved since. `as_of` None: no level was ever stated."""

    on_hand: int
    allocated: int
    as_of: AsOf


@dataclass(frozen=True, slots=True)
class LastStated:
    """What the connection stated last. `on_hand` None: in another unit. `refused`: why the gateway did not take it."""

    on_hand: int | None
    allocated: int | None
    as_of: AsOf
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """Whether the connection has taken a whole turn between two readings; if not, `why`.

    `clock`: the connection has stated nothing under a later time.
    """

    passed: bool
    why: str = ""
    clock: AsOf = None


def same(erp: ErpCell | None, held: HeldCell | None, *, is_whole: bool) -> bool:
    """Whether both say the same, parts of units aside."""
    if held is None or held.as_of is None:
        held = None
    if erp is None:
        return held is None or not is_whole or (held.on_hand == 0 and held.allocated == 0)
    if held is None:
        return math.floor(erp.on_hand) == 0 and not erp.allocated
    return math.floor(erp.on_hand) == held.on_hand and (erp.allocated is None or erp.allocated == held.allocated)


def rounded(erp: ErpCell | None) -> Found | None:
    """Of a cell that agrees: what of it is not counted."""
    if erp is None or erp.on_hand == math.floor(erp.on_hand):
        return None
    return Found("rounding", (f"the ERP has {erp.on_hand:g}; a part of a unit cannot be sold",))


def judge_cell(
    erp: tuple[ErpCell | None, ErpCell | None],
    held: tuple[HeldCell | None, HeldCell | None],
    last: LastStated | None,
    watch: Watch,
    *,
    is_whole: bool,
) -> Found | Literal["agrees", "moving"]:
    """`erp` and `held`: before and after the wait."""
    there, here = erp[1], held[1]
    if same(there, here, is_whole=is_whole):
        return "agrees"
    if _figures(erp[0]) != _figures(erp[1]) or held[0] != held[1]:
        return "moving"
    if not watch.passed:
        return _while_waiting(here, last, watch)
    if there is None:
        return Found("deleted-sku", ("the ERP has no such SKU any more; holdfast has a level of it",))
    return _after_a_turn(here, last)


def _while_waiting(here: HeldCell | None, last: LastStated | None, watch: Watch) -> Found:
    """The connection has not looked. Only a level dated after everything that it stated is not its own."""
    if here is not None and watch.clock is not None and later(here.as_of, watch.clock):
        return Found(
            "manual-edit", (f"holdfast's level is of {here.as_of}, and the connection stated nothing so late",)
        )
    if last is not None and last.refused:
        return Found("missing-event", (f"the level of {last.as_of} was refused: {last.refused}",))
    return Found("late", (watch.why,))


def _after_a_turn(here: HeldCell | None, last: LastStated | None) -> Found:
    """The connection has looked, and all that it stated is in holdfast."""
    newest = None if here is None else here.as_of
    if last is None:
        if newest is None:
            return Found("missing-event", ("the connection has read the ERP, and never stated this SKU there",))
        return Found("unknown", (f"holdfast has a level of {newest}, and the connection never stated one",))
    if last.refused:
        return Found("missing-event", (f"the level of {last.as_of} was refused: {last.refused}",))
    if here is None or newest is None or later(last.as_of, newest):
        return Found("missing-event", (f"a level was stated as of {last.as_of}; holdfast has {newest or 'none'}",))
    return _stated_since(here, last)


def _stated_since(here: HeldCell, last: LastStated) -> Found:
    if later(here.as_of, last.as_of):
        why = f"holdfast's level is of {here.as_of}; the connection's newest statement is of {last.as_of}"
        return Found("manual-edit", (why,))
    if last.on_hand is None or (last.on_hand == here.on_hand and last.allocated in {None, here.allocated}):
        why = f"the connection read again and did not notice the change; it stated {last.on_hand} as of {last.as_of}"
        return Found("missing-event", (why,))
    return Found("manual-edit", (f"another level was stated under the connection's {last.as_of}",))


def _figures(cell: ErpCell | None) -> tuple[float, int | None] | None:
    return None if cell is None else (cell.on_hand, cell.allocated)


def moment_of(as_of: AsOf) -> float | None:
    """As a number that grows: seconds of a time, or the running number itself."""
    if isinstance(as_of, str):
        return datetime.fromisoformat(as_of).timestamp()
    return as_of


def later(one: AsOf, other: AsOf) -> bool:
    """Of the same clock."""
    first, second = moment_of(one), moment_of(other)
    return first is not None and second is not None and first > second
