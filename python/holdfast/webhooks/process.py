"""Webhooks, as the supervisor starts them: `python -m holdfast.webhooks.process DIR`.

In: an assignment, on the control pipe that is its stdin. Out: exit status 0 when asked to stop, 2 when it could not go
on, with the reason on the pipe; then the supervisor starts it again. Always: it serves no requests and has low priority
(nice); it ends when the supervisor ends.
"""

from functools import partial
from pathlib import Path

from holdfast.supervisor.child import Work, be_child
from holdfast.supervisor.control_pipe import Assignment


def main() -> None:
    """The process, from start to end."""
    be_child(_sending)


def _sending(assignment: Assignment) -> Work:
    from holdfast.errors import LogError
    from holdfast.nats.connection import endpoint_of
    from holdfast.webhooks.runner import enabled, run

    settings = assignment.settings
    nats = endpoint_of(assignment.nats, settings.log)
    work = partial(run, Path(assignment.directory), assignment.scope, nats, settings, enabled(settings))
    return work, (LogError, OSError, ValueError)


if __name__ == "__main__":
    main()
