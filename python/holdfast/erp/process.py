"""A connection to an ERP, as the supervisor starts it: `python -m holdfast.erp.process DIR`.

In: an assignment, on the control pipe that is its stdin; its node is `erp-NAME`. Out: exit status 0 when asked to stop,
2 when it could not go on, with the reason on the pipe; then the supervisor starts it again. Always: it serves no
requests and has low priority (nice); it ends when the supervisor ends.
"""

from functools import partial
from pathlib import Path

from holdfast.supervisor.child import Work, be_child
from holdfast.supervisor.control_pipe import Assignment
from holdfast.supervisor.run import ERP_PREFIX, url_of


def main() -> None:
    """The process, from start to end."""
    be_child(_connecting)


def _connecting(assignment: Assignment) -> Work:
    from holdfast.client.errors import ClientError
    from holdfast.erp.interface import ErpError
    from holdfast.erp.made import Place, reading, run
    from holdfast.errors import LogError
    from holdfast.nats.connection import endpoint_of

    name, data, log = assignment.node.removeprefix(ERP_PREFIX), Path(assignment.directory), assignment.settings.log
    endpoint = endpoint_of(assignment.nats, log)
    if assignment.own_nats:
        endpoint = reading(endpoint, data)
    place = Place(data, url_of(assignment.host, assignment.port), assignment.scope, endpoint)
    work = partial(run, name, assignment.settings.erp[name], place, log)
    return work, (LogError, ClientError, ErpError, OSError, ValueError)


if __name__ == "__main__":
    main()
