"""How a process that the supervisor started begins, and how it ends with the supervisor.

In: the control pipe that is its stdin. Out: its assignment; or the end of the process. Always: a process whose
supervisor has ended says so on stderr, for it has no log yet, or ends at once.
"""

import os
import sys

from holdfast.settings import SupervisorSettings
from holdfast.supervisor.control_pipe import Assignment, ControlPipe, ParentGoneError, inherited

DONE, COULD_NOT_RUN, GONE = 0, 2, 3
"""Exit statuses."""


def assigned() -> tuple[Assignment, ControlPipe]:
    """What the supervisor wants done, and the pipe to it. Raises SystemExit where it has ended."""
    try:
        return inherited(SupervisorSettings().message_bytes_max)
    except ParentGoneError as gone:
        print(f"holdfast: {gone}", file=sys.stderr)  # noqa: T201 - there is no log yet
        sys.exit(GONE)


async def end_with_supervisor(pipe: ControlPipe) -> None:
    """End the process at once when the supervisor ends. The health of the log concerns only the serving processes."""
    async for _ in pipe.received():
        pass
    os._exit(GONE)
