"""The connector, as the supervisor starts it: `python -m holdfast.woo.process DIR`.

In: an assignment, on the control pipe that is its stdin. Out: exit status 0 when asked to stop, 2 when it could not go
on, with the reason on the pipe; then the supervisor starts it again. Always: it serves no shopper and has low priority
(nice); it ends when the supervisor ends.
"""

from pathlib import Path

from holdfast.supervisor.child import Work, be_child
from holdfast.supervisor.control_pipe import Assignment


def main() -> None:
    """The process, from start to end."""
    be_child(_connecting)


def _connecting(assignment: Assignment) -> Work:
    from holdfast.errors import LogError
    from holdfast.nats.connection import endpoint_of
    from holdfast.woo.connectors import Connectors

    endpoint = endpoint_of(assignment.nats, assignment.settings.log)
    connectors = Connectors(Path(assignment.directory), assignment.scope, endpoint, assignment.settings)
    return connectors.run, (LogError, OSError, ValueError)


if __name__ == "__main__":
    main()
