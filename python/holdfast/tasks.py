"""Ending tasks reliably.

Role: cancel tasks and wait until they have ended. In: tasks. Out: nothing. Always: a cancellation that was swallowed on
its way (`asyncio.wait_for` before Python 3.12 does so when its result comes at the same moment) is repeated.
"""

import asyncio
from typing import Any

_REPEAT_S = 0.1


async def cancel_and_wait(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel, and wait until each is done; what they raise is ignored."""
    while waiting := [task for task in tasks if task is not None and not task.done()]:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=_REPEAT_S)
