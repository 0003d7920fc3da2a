"""Comparisons on schedule, as the supervisor starts them: `python -m holdfast.reconcile.process DIR`.

In: an assignment, on the control pipe that is its stdin. Out: DIR/reconcile/report.json and report.html, renewed with
each run; alarms; corrections where the settings name types. Always: it serves nobody and has low priority (nice); it
ends when the supervisor ends.
"""

from functools import partial
from pathlib import Path

from holdfast.supervisor.child import Work, be_child
from holdfast.supervisor.control_pipe import Assignment


def main() -> None:
    """The process, from start to end."""
    be_child(_comparing)


def _comparing(assignment: Assignment) -> Work:
    import sqlite3

    from holdfast.nats.connection import endpoint_of
    from holdfast.reconcile.run import EXPECTED
    from holdfast.reconcile.schedule import compare_on_schedule
    from holdfast.supervisor.run import url_of

    endpoint = endpoint_of(assignment.nats, assignment.settings.log)
    data, gateway = Path(assignment.directory), url_of(assignment.host, assignment.port)
    work = partial(compare_on_schedule, data, gateway, assignment.scope, assignment.settings, endpoint)
    return work, (*EXPECTED, sqlite3.Error)


if __name__ == "__main__":
    main()
