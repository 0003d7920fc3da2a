"""One worker, as the supervisor starts it: `python -m holdfast.gateway.worker NAME DIR`, with a control pipe as its
stdin.

In: an assignment. Out: exit status 0 when asked to stop, 2 when it could not go on, with the reason on the pipe.
Always: the program is loaded before the assignment is waited for, so that it loads while the log starts; NAME and DIR
are there for people who read a list of processes: the assignment alone is used.
"""

import asyncio
import contextlib
import sys

import uvloop

from holdfast.errors import LogError
from holdfast.gateway.keyring import KeyringError
from holdfast.gateway.run import work
from holdfast.logs import configure_logs
from holdfast.spans import record, stop
from holdfast.supervisor.child import COULD_NOT_RUN, DONE, assigned
from holdfast.supervisor.control_pipe import Assignment, ControlPipe, Failed


def main() -> int:
    """One life."""
    assignment, pipe = assigned()
    configure_logs(assignment.log_level, node=assignment.node)
    factory = uvloop.new_event_loop if assignment.loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_life(assignment, pipe))


async def _life(assignment: Assignment, pipe: ControlPipe) -> int:
    try:
        record(assignment.settings.traces, assignment.node)
        why = await work(assignment, pipe)
    except LogError as fault:
        why = f"the log cannot be used: {fault}"
    except (OSError, ValueError, KeyringError) as fault:
        why = str(fault)
    finally:
        await stop()
    if why:
        pipe.send(Failed(why))
    with contextlib.suppress(OSError):
        await pipe.close()
    return COULD_NOT_RUN if why else DONE


if __name__ == "__main__":
    sys.exit(main())
