"""Tells a recorded history again, and finds the shortest part of it that still fails.

In: the steps that a `Beside` recorded. Out: the error that comes up, or a shorter history with an error of the same
kind. Always holds: batches, facts and commands are only left out, never changed, so that what is left can be kept as a
test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tests.support.oracle.beside import Beside, Told

T = TypeVar("T")
Read = Callable[[Beside], Any]


def retell(
    told: Sequence[Told], read: Read | None = None, rules: dict[str, Any] | None = None
) -> tuple[Beside, Exception | AssertionError | None]:
    """The history once more, everything compared after each batch, and at the end by `read`."""
    beside = Beside(**(rules or {}))
    try:
        for now_ms, lead_ms, commands, incoming in told:
            beside.now_ms, beside.lead_ms = now_ms, lead_ms
            beside.tell(commands, incoming)
            beside.same_everywhere()
        if read is not None:
            read(beside)
        beside.replay()
    except Exception as error:  # noqa: BLE001 - any error is what is looked for
        return beside, error
    return beside, None


def kind_of(error: BaseException | None) -> str:
    """Errors are of one kind if they come from the same line and name the same reasons."""
    if error is None:
        return ""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    reasons = sorted(set(re.findall(r"'([a-z]+(?:-[a-z]+)+)'", str(error)))) if "received" in str(error) else []
    return f"{type(error).__name__} {trace.tb_lineno if trace else 0} {reasons}"


def without(parts: list[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Leave out runs of parts, long ones first, as long as it still fails."""
    size = max(1, len(parts) // 2)
    while size:
        start = 0
        while start < len(parts):
            fewer = parts[:start] + parts[start + size :]
            if fails(fewer):
                parts = fewer
            else:
                start += size
        size //= 2
    return parts


def shorten(
    told: Sequence[Told], error: BaseException, read: Read | None = None, rules: dict[str, Any] | None = None
) -> list[Told]:
    """The shortest history found that fails in the same way."""
    wanted = kind_of(error)

    def fails(candidate: list[Told]) -> bool:
        return kind_of(retell(candidate, read, rules)[1]) == wanted

    kept = without(list(told), fails)
    one_by_one: list[Told] = []  # each fact and each command in a separate batch, where that fails as well
    for now_ms, lead_ms, commands, incoming in kept:
        one_by_one += [(now_ms, lead_ms, [command], []) for command in commands]
        one_by_one += [(now_ms, lead_ms, [], [message]) for message in incoming]
        one_by_one += [(now_ms, lead_ms, [], [])] if not commands and not incoming else []
    return without(one_by_one, fails) if fails(one_by_one) else kept
