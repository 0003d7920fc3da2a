"""A connection to an ERP, as the supervisor starts it: `python -m holdfast.erp.process DIR`.

In: an assignment, on the control pipe that is its stdin; its node is `erp-NAME`. Out: exit status 0 when asked to stop,
2 when it could not go on, with the reason on the pipe; then the supervisor starts it again. Always: it serves no
requests and has low priority (nice); it ends when the supervisor ends.
"""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from holdfast.logs import configure_logs
from holdfast.supervisor.child import COULD_NOT_RUN, DONE, assigned, end_with_supervisor
from holdfast.supervisor.control_pipe import Assignment, ControlPipe, Failed
from holdfast.supervisor.run import ERP_PREFIX, url_of


def main() -> int:
    """The process, from start to end."""
    assignment, pipe = assigned()
    configure_logs(assignment.log_level, node=assignment.node)
    return asyncio.run(_life(assignment, pipe))


async def _life(assignment: Assignment, pipe: ControlPipe) -> int:
    # Only now: loading keeps a processor core busy for a while, and a gateway starts at the same time.
    from holdfast.client.errors import ClientError
    from holdfast.erp.interface import ErpError
    from holdfast.erp.made import Place, reading, run
    from holdfast.errors import LogError
    from holdfast.nats.connection import endpoint_of

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await pipe.open()
    why = assignment.disagreement()
    if not why:
        name, data, log = assignment.node.removeprefix(ERP_PREFIX), Path(assignment.directory), assignment.settings.log
        endpoint = endpoint_of(assignment.nats, log)
        if assignment.own_nats:
            endpoint = reading(endpoint, data)
        place = Place(data, url_of(assignment.host, assignment.port), assignment.scope, endpoint)
        tasks = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(run(name, assignment.settings.erp[name], place, log)),
            asyncio.create_task(end_with_supervisor(pipe)),
        ]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            try:
                task.result()
            except (LogError, ClientError, ErpError, OSError, ValueError) as fault:
                why = str(fault)
        for task in waiting:
            task.cancel()
    if why:
        pipe.send(Failed(why))
    with contextlib.suppress(OSError):
        await pipe.close()
    sys.stderr.flush()
    os._exit(COULD_NOT_RUN if why else DONE)


if __name__ == "__main__":
    sys.exit(main())
