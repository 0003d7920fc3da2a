"""`holdfast publish`: events and figures of one scope, from where the last publisher stopped.

In: a data directory, or NATS and a data directory with the scope key. Out: the streams OUT and AVAILABLE; exit status 0
when asked to stop, or, with `--once`, when everything that LOG holds is published. Always: it only reads LOG.
"""

from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import Parameter

from holdfast._core import SnapshotError
from holdfast.cli.console import DONE, CouldNotRunError, remarks
from holdfast.cli.place import HERE, Place, source_of
from holdfast.cli.stopping import until_stopped
from holdfast.errors import LogError
from holdfast.nats.connection import Endpoint
from holdfast.publisher.publisher import Publisher
from holdfast.recovery.verify import endpoint_at
from holdfast.settings import Settings


def publish(
    *,
    place: Place = HERE,
    rebuild: Annotated[bool, Parameter(negative="", help="Write every figure again, whatever is published.")] = False,
    once: Annotated[bool, Parameter(negative="", help="End when all that the log holds is published.")] = False,
) -> int:
    """Publish events and figures, from where the last publisher stopped.

    `serve` does the same where the setting `publisher.enabled` is true; a second publisher waits and takes over.

    ```
    holdfast publish --data DIR
    holdfast publish --data DIR --rebuild --once
    ```
    """
    directory, loaded = place.settings()
    settings = loaded.settings
    source = source_of(directory, loaded)
    try:
        events = uvloop.run(_publish(directory, source, loaded.serve.scope, settings, rebuild=rebuild, once=once))
    except (LogError, SnapshotError) as fault:
        raise CouldNotRunError(str(fault), "docs/events.md says what a publisher needs.") from fault
    remarks.print(f"{events:,} events were published.")
    return DONE


async def _publish(
    directory: Path, source: Path | Endpoint, scope: str, settings: Settings, *, rebuild: bool, once: bool
) -> int:
    async with endpoint_at(source, settings) as endpoint:
        shared = bool(settings.snapshots.shared)
        publisher = Publisher(directory, scope, endpoint, settings, shared=shared, rebuild=rebuild)
        await until_stopped(publisher.run(lambda: once))
        return publisher.events_total
