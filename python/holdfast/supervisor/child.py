"""The life of a process that the supervisor started: how it begins, and how it ends.

In: the control pipe that is its stdin; its work. Out: its assignment; exit status 0 when asked to stop, 2 when it could
not go on, with the reason on the pipe. Always: a process whose supervisor has ended says so on stderr, for it has no
log yet, or ends at once.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from holdfast.logs import configure_logs
from holdfast.settings import SupervisorSettings
from holdfast.spans import SpansError, record
from holdfast.spans import stop as stop_spans
from holdfast.supervisor.control_pipe import Assignment, ControlPipe, Failed, ParentGoneError, inherited
from holdfast.tasks import cancel_and_wait

DONE, COULD_NOT_RUN, GONE = 0, 2, 3
"""Exit statuses."""

AUTOGROUP = Path("/proc/self/autogroup")
_AUTOGROUP_TRIES, _AUTOGROUP_WAIT_S = 20, 0.11

Expected: TypeAlias = tuple[type[BaseException], ...]
Work: TypeAlias = tuple[Callable[[], Coroutine[Any, Any, None]], Expected]
"""What a process does until it is stopped, and the faults that may end it; any other is a mistake in the program."""


def let_niceness_count() -> None:
    """Give the niceness of this process to its session, too.

    Linux divides a processor by sessions first (autogroup), and each child is a session: between two of them the
    niceness of processes alone has no effect. Nothing happens where there are no such groups.
    """
    niceness = os.nice(0)
    for _ in range(_AUTOGROUP_TRIES if niceness > 0 else 0):
        try:
            AUTOGROUP.write_text(str(niceness))
        except BlockingIOError:  # the kernel takes one such change in a tenth of a second, from any process
            time.sleep(_AUTOGROUP_WAIT_S)
        except OSError:
            return
        else:
            return


def assigned() -> tuple[Assignment, ControlPipe]:
    """What the supervisor wants done, and the pipe to it. Raises SystemExit where it has ended."""
    let_niceness_count()
    try:
        return inherited(SupervisorSettings().message_bytes_max)
    except ParentGoneError as gone:
        print(f"holdfast: {gone}", file=sys.stderr)  # noqa: T201 - there is no log yet
        sys.exit(GONE)


def be_child(begin: Callable[[Assignment], Work]) -> None:
    """The whole process: take the assignment, write the log as it says, then work (`live`)."""
    assignment, pipe = assigned()
    configure_logs(assignment.log_level, node=assignment.node)
    asyncio.run(live(assignment, pipe, begin))


async def end_with_supervisor(pipe: ControlPipe) -> None:
    """End the process at once when the supervisor ends. The health of the log concerns only the serving processes."""
    async for _ in pipe.received():
        pass
    os._exit(GONE)


async def live(assignment: Assignment, pipe: ControlPipe, begin: Callable[[Assignment], Work]) -> NoReturn:
    """Work until SIGTERM, or until a fault that is expected; then the process ends. `begin` loads what the work needs.

    It is called only when the assignment is read: loading keeps a processor core busy for a while, and a gateway starts
    at the same time.
    """
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await pipe.open()
    why = assignment.disagreement() or _recorded(assignment)
    if not why:
        work, expected = begin(assignment)
        tasks = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(work()),
            asyncio.create_task(end_with_supervisor(pipe)),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            try:
                task.result()
            except expected as fault:
                why = str(fault)
        await cancel_and_wait(*tasks)
    if why:
        pipe.send(Failed(why))
    with contextlib.suppress(OSError):
        await pipe.close()
    await stop_spans()
    # A thread may still be reading or restoring, and would be waited for: what it had is nowhere but here.
    sys.stderr.flush()
    os._exit(COULD_NOT_RUN if why else DONE)


def _recorded(assignment: Assignment) -> str:
    """Have spans recorded where the settings say so; why that is not possible."""
    try:
        record(assignment.settings.traces, assignment.node)
    except SpansError as fault:
        return str(fault)
    return ""
