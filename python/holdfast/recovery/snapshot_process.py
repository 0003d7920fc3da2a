"""The snapshot process, as the supervisor starts it: `python -m holdfast.recovery.snapshot_process DIR`.

In: an assignment, on the control pipe that is its stdin. Out: each attempt's outcome on that pipe; exit status 0 when
asked to stop, 2 when it could not go on, with the reason on the pipe. Always: it serves no requests and has low
priority (nice); it begins only when a gateway has had time to start; it ends when the supervisor ends.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.logs import configure_logs
from holdfast.supervisor.child import COULD_NOT_RUN, DONE, assigned, end_with_supervisor
from holdfast.supervisor.control_pipe import (
    Assignment,
    ControlPipe,
    Failed,
    Outcome,
    Retained,
    SnapshotTried,
)

if TYPE_CHECKING:
    from holdfast.recovery.retention import Kept


def main() -> int:
    """The process, from start to end."""
    assignment, pipe = assigned()
    configure_logs(assignment.log_level, node=assignment.node)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(DONE))
    time.sleep(assignment.settings.snapshots.start_ms / 1000)
    return asyncio.run(_life(assignment, pipe))


async def _life(assignment: Assignment, pipe: ControlPipe) -> int:
    # Only now: loading keeps a processor core busy for a while, and a gateway starts at the same time.
    from holdfast.errors import LogError
    from holdfast.nats.connection import endpoint_of
    from holdfast.recovery.snapshot_schedule import Schedule
    from holdfast.recovery.snapshotter import Snapshotter

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await pipe.open()
    if disagreement := assignment.disagreement():
        pipe.send(Failed(disagreement))
        await pipe.close()
        return COULD_NOT_RUN
    settings = assignment.settings
    snapshotter = Snapshotter(
        Path(assignment.directory),
        assignment.scope,
        endpoint_of(assignment.nats, settings.log),
        settings,
        shared=assignment.shares_snapshots,
        own_log=assignment.own_nats,
    )

    def tried(outcome: Outcome) -> None:
        pipe.send(SnapshotTried(outcome))

    def kept(found: "Kept") -> None:
        pipe.send(_retained(found))

    why = ""
    try:
        await snapshotter.open()
        tasks = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(Schedule(snapshotter, settings, tried, kept).run()),
            asyncio.create_task(end_with_supervisor(pipe)),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        why = next((str(task.exception()) for task in done if task.exception() is not None), "")
    except (LogError, OSError, ValueError) as fault:
        why = str(fault)
    await snapshotter.close()
    if why:
        pipe.send(Failed(why))
    with contextlib.suppress(OSError):
        await pipe.close()
    # A thread may still be writing or restoring: what it leaves is a partial file that the next one removes.
    sys.stderr.flush()
    os._exit(COULD_NOT_RUN if why else DONE)


def _retained(found: "Kept") -> Retained:
    return Retained(
        found.bytes_by_part,
        found.budget_bytes,
        found.free_bytes,
        found.since_ms,
        found.days_left,
        found.dead_letters,
        found.dead_since_ms,
    )


if __name__ == "__main__":
    sys.exit(main())
