"""The publisher, as the supervisor starts it: `python -m holdfast.publisher.process DIR`.

In: an assignment, on the control pipe that is its stdin. Out: exit status 0 when asked to stop, 2 when it could not go
on, with the reason on the pipe; then the supervisor starts it again. Always: it serves no requests and has low priority
(nice); it ends when the supervisor ends.
"""

from pathlib import Path

from holdfast.supervisor.child import Work, be_child
from holdfast.supervisor.control_pipe import Assignment


def main() -> None:
    """The process, from start to end."""
    be_child(_publishing)


def _publishing(assignment: Assignment) -> Work:
    from holdfast._core import SnapshotError
    from holdfast.errors import LogError
    from holdfast.nats.connection import endpoint_of
    from holdfast.publisher.publisher import Publisher

    settings = assignment.settings
    publisher = Publisher(
        Path(assignment.directory),
        assignment.scope,
        endpoint_of(assignment.nats, settings.log),
        settings,
        shared=assignment.shares_snapshots,
    )
    return publisher.run, (LogError, SnapshotError, OSError, ValueError)


if __name__ == "__main__":
    main()
