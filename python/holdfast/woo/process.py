"""The connector, as the supervisor starts it: `python -m holdfast.woo.process DIR`.

In: an assignment, on the control pipe that is its stdin. Out: exit status 0 when asked to stop, 2 when it could not go
on, with the reason on the pipe; then the supervisor starts it again. Always: it serves no shopper and has low priority
(nice); it ends when the supervisor ends.
"""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from holdfast.logs import configure_logs
from holdfast.supervisor.child import COULD_NOT_RUN, DONE, assigned, end_with_supervisor
from holdfast.supervisor.control_pipe import Assignment, ControlPipe, Failed
from holdfast.tasks import cancel_and_wait


def main() -> int:
    """The process, from start to end."""
    assignment, pipe = assigned()
    configure_logs(assignment.log_level, node=assignment.node)
    return asyncio.run(_life(assignment, pipe))


async def _life(assignment: Assignment, pipe: ControlPipe) -> int:
    # Only now: loading keeps a processor core busy for a while, and a gateway starts at the same time.
    from holdfast.errors import LogError
    from holdfast.nats.connection import endpoint_of
    from holdfast.woo.connectors import Connectors

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await pipe.open()
    why = assignment.disagreement()
    if not why:
        endpoint = endpoint_of(assignment.nats, assignment.settings.log)
        connectors = Connectors(Path(assignment.directory), assignment.scope, endpoint, assignment.settings)
        tasks = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(connectors.run()),
            asyncio.create_task(end_with_supervisor(pipe)),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            try:
                task.result()
            except (LogError, OSError, ValueError) as fault:
                why = str(fault)
        await cancel_and_wait(*tasks)
    if why:
        pipe.send(Failed(why))
    with contextlib.suppress(OSError):
        await pipe.close()
    return COULD_NOT_RUN if why else DONE


if __name__ == "__main__":
    sys.exit(main())
