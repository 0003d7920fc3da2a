"""What carries `freshness` rules out, as the supervisor starts it: `python -m holdfast.degraded.process DIR`.

In: an assignment, on the control pipe that is its stdin. Out: exit status 0 when asked to stop, 2 when it could not go
on, with the reason on the pipe; then the supervisor starts it again. Always: it serves nobody and has low priority
(nice); it ends when the supervisor ends.
"""

from functools import partial
from pathlib import Path

from holdfast.supervisor.child import Work, be_child
from holdfast.supervisor.control_pipe import Assignment


def main() -> None:
    """The process, from start to end."""
    be_child(_keeping)


def _keeping(assignment: Assignment) -> Work:
    from holdfast.degraded.keeper import keep
    from holdfast.supervisor.run import url_of

    gateway = url_of(assignment.host, assignment.port)
    return partial(keep, Path(assignment.directory), gateway, assignment.settings), (OSError, ValueError)


if __name__ == "__main__":
    main()
