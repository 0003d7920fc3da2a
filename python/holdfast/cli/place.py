"""Where a verb works: a data directory, or the NATS that its gateway uses.

In: the four options that say so. Out: the settings in force; a connection to its log. Always: a connection that was
opened is closed, and what cannot be done is a CouldNotRunError.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uvloop
from cyclopts import Parameter

from holdfast.cli.connection import could_not_run
from holdfast.cli.settings_options import Config, Data, Nats, Scope, settings_of_data, text_of
from holdfast.nats.connection import Connection, Endpoint, endpoint_of
from holdfast.recovery.verify import endpoint_at
from holdfast.settings.resolve import Resolved

Found = TypeVar("Found")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Place:
    """The options."""

    data: Data = None
    nats: Nats = None
    scope: Scope = None
    config: Config = None

    def settings(self) -> tuple[Path, Resolved]:
        """The data directory, and the settings in force. Raises CouldNotRunError."""
        named = {"serve.data": text_of(self.data), "serve.nats": self.nats, "serve.scope": self.scope}
        return settings_of_data(self.config, named)


HERE = Place()


def source_of(directory: Path, found: Resolved) -> Path | Endpoint:
    """Where the log is: for `endpoint_at`."""
    return endpoint_of(found.serve.nats, found.settings.log) if found.serve.nats else directory


def with_log(place: Place, verb: str, work: Callable[[Connection, Resolved, Path], Awaitable[Found]]) -> Found:
    """Do something with a connection to the log of a place. Raises CouldNotRunError."""
    directory, found = place.settings()

    async def run() -> Found:
        async with endpoint_at(source_of(directory, found), found.settings) as endpoint:
            connection = Connection(endpoint, found.settings.log, f"holdfast {found.serve.scope} {verb}")
            await connection.open()
            try:
                return await work(connection, found, directory)
            finally:
                await connection.close()

    with could_not_run():
        return uvloop.run(run())
