"""The gateway that a verb calls, and what a failure to reach it means to a person.

Always: every failure that can be expected becomes a CouldNotRunError with what to do next.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from holdfast.cli.console import PATH, CouldNotRunError, existing_directory
from holdfast.client import (
    NO_RETRY,
    Client,
    ClientError,
    InvalidAddressError,
    ProblemError,
    UnreachableError,
    address_of,
)
from holdfast.client.errors import ForbiddenError, UnauthenticatedError, UnknownSkuError
from holdfast.errors import LogError
from holdfast.rehearsal.orders import UnreadableError
from holdfast.rehearsal.own_gateway import GatewayStartError
from holdfast.rehearsal.stage import RejectedError
from holdfast.supervisor.record import RECORD_FILE, gateway_of

DEFAULT_URL = "http://127.0.0.1:8080"
EXPECTED = (ClientError, LogError, UnreadableError, GatewayStartError, RejectedError)

GATEWAY_VARIABLE, DATA_VARIABLE, KEY_VARIABLE = "HOLDFAST_GATEWAY", "HOLDFAST_DATA", "HOLDFAST_KEY"

Gateway = Annotated[
    str | None,
    Parameter(
        help=f"The gateway's address; without it the one running on --data, else {DEFAULT_URL}. "
        f"Variable: {GATEWAY_VARIABLE}."
    ),
]
GatewayData = Annotated[
    Path | None,
    PATH,
    Parameter(
        name="--data",
        help=f"The directory that `serve` was given: the gateway that runs on it. Variable: {DATA_VARIABLE}.",
    ),
]
Key = Annotated[
    str | None,
    Parameter(env_var=KEY_VARIABLE, show_env_var=True, help="An API key, where the gateway asks for one."),
]


def url_of(gateway: str | None, directory: Path | None) -> str:
    """The gateway to call: the one that an option names, else a variable, else the default.

    Raises CouldNotRunError where what names it leads nowhere: another gateway is never called in its place.
    """
    if gateway is not None and directory is not None:
        raise CouldNotRunError("--gateway and --data both name a gateway", "Give one of them.")
    if gateway is None and directory is None:
        gateway = os.environ.get(GATEWAY_VARIABLE) or None
        named = os.environ.get(DATA_VARIABLE)
        directory = Path(named) if named and gateway is None else None
    if gateway is not None:
        return checked_url(gateway)
    return url_on(directory) if directory is not None else DEFAULT_URL


def is_named(gateway: str | None, directory: Path | None) -> bool:
    """Whether an option or a variable names a gateway, or the default stands in."""
    variables = (os.environ.get(GATEWAY_VARIABLE), os.environ.get(DATA_VARIABLE))
    return gateway is not None or directory is not None or any(variables)


def checked_url(gateway: str) -> str:
    """An address that can be called. Raises CouldNotRunError."""
    try:
        return address_of(gateway)
    except InvalidAddressError as error:
        raise CouldNotRunError(str(error)) from error


def url_on(directory: Path) -> str:
    """The gateway that runs on a data directory. Raises CouldNotRunError where none does."""
    record = existing_directory(directory) / RECORD_FILE
    if record.exists() and not os.access(record, os.R_OK, effective_ids=True):
        raise CouldNotRunError(f"{record} cannot be read", "Run this as the user that `serve` runs as.")
    found = gateway_of(directory)
    if found is None:
        raise CouldNotRunError(
            f"no gateway runs on {directory}",
            f"`holdfast serve --data {directory}` starts one; --gateway names another.",
        )
    return found.url


async def reach(url: str) -> None:
    """That a gateway answers there, before longer work begins. Raises ClientError."""
    async with Client(url, retry=NO_RETRY) as client:
        await client.alive()


def key_of(key: str | None) -> str | None:
    """A key that can be sent; an empty variable gives none. Raises CouldNotRunError."""
    if key == "" == os.environ.get(KEY_VARIABLE):
        return None
    if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
        raise CouldNotRunError("--key is no API key", "A key is what `holdfast keys add` printed, hf_...")
    return key


@contextmanager
def could_not_run() -> Iterator[None]:
    """Turns what may go wrong in a call of the gateway into a CouldNotRunError."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise CouldNotRunError(f"{error.object!r} is not UTF-8", "Give text in UTF-8.") from error
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
            advice = "; ".join(f"{one.path}: {one.reason}" for one in error.problem.errors)
        case _:
            advice = ""
    return CouldNotRunError(str(error), advice)
