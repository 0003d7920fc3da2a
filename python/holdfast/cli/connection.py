"""The gateway that a verb calls, and what a failure to reach it means to a person.

Always: every failure that can be expected becomes a CouldNotRunError with what to do next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from holdfast.cli.console import CouldNotRunError
from holdfast.client import ClientError, ProblemError, UnreachableError
from holdfast.client.errors import ForbiddenError, UnauthenticatedError, UnknownSkuError
from holdfast.errors import LogError
from holdfast.rehearsal.orders import UnreadableError
from holdfast.rehearsal.own_gateway import GatewayStartError
from holdfast.rehearsal.stage import RejectedError
from holdfast.supervisor.record import gateway_of

DEFAULT_URL = "http://127.0.0.1:8080"
EXPECTED = (ClientError, LogError, UnreadableError, GatewayStartError, RejectedError)

Gateway = Annotated[
    str | None,
    Parameter(
        env_var="HOLDFAST_GATEWAY",
        help=f"The gateway's address; without it the one running on --data, else {DEFAULT_URL}.",
    ),
]
GatewayData = Annotated[
    Path | None, Parameter(name="--data", env_var="HOLDFAST_DATA", help="The directory that `serve` was given.")
]
Key = Annotated[
    str | None,
    Parameter(env_var="HOLDFAST_KEY", show_env_var=True, help="An API key, where the gateway asks for one."),
]


def url_of(gateway: str | None, directory: Path | None) -> str:
    """The gateway to call: the one that was named, or that runs on a data directory, or the default."""
    if gateway is not None:
        return gateway
    found = gateway_of(directory) if directory is not None else None
    return found.url if found is not None else DEFAULT_URL


@contextmanager
def could_not_run() -> Iterator[None]:
    """Turns what may go wrong in a call of the gateway into a CouldNotRunError."""
    try:
        yield
    except EXPECTED as error:
        raise _said(error) from error
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if isinstance(first, EXPECTED):
            raise _said(first) from group
        raise


def _said(error: Exception) -> CouldNotRunError:
    match error:
        case UnreachableError():
            advice = f"`holdfast serve --data DIR --auth off` starts one on {DEFAULT_URL}; --gateway names another."
        case UnauthenticatedError() | ForbiddenError():
            advice = "Give a key with --key or HOLDFAST_KEY; `holdfast keys --help` shows how to make one."
        case UnknownSkuError():
            advice = "SKUs are compared byte by byte. `holdfast import --template` shows how to declare one."
        case ProblemError() if error.problem.errors:
            lines = [f"  {one.path}: {one.reason}" for one in error.problem.errors] if error.problem.errors else []
            advice = "\n".join(lines)
        case _:
            advice = ""
    return CouldNotRunError(str(error), advice)
