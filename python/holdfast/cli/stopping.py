"""SIGTERM stops a verb as Ctrl-C does, so that what it started is stopped with it.

In: what a verb does. Out: the same, stopped in order. Always: what had ended by itself with a fault raises it.
"""

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from holdfast.tasks import cancel_and_wait


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Inside, SIGTERM has the effect of Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Work until SIGTERM, Ctrl-C, or until it is done; what it raises is raised."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    await cancel_and_wait(running, stopping)
