"""Asking a connection to look for news now, and not when it would.

In: the directory of a connection. Out: its next turn. Always: a file says it, so another process may ask; asking twice
before the turn is asking once.
"""

import asyncio
from pathlib import Path

from holdfast.guarded import write_private

_TURN_FILE = "turn"
_ASKED_POLL_S = 0.2


def turn_mark(directory: Path) -> int:
    """Changes when a turn is asked for."""
    try:
        return (directory / _TURN_FILE).stat().st_mtime_ns
    except OSError:
        return 0


def ask_for_turn(directory: Path) -> None:
    """Have the connection that runs on this directory look for news now. Raises OSError."""
    write_private(directory / _TURN_FILE, "")


async def asked_for_turn(directory: Path, mark: int) -> None:
    """Return when a turn was asked for since the mark."""
    while turn_mark(directory) == mark:  # noqa: ASYNC110 - another process asks
        await asyncio.sleep(_ASKED_POLL_S)
