"""`holdfast publish`: events and figures of one scope, from where the last publisher stopped.

In: a data directory, or NATS and a data directory with the scope key. Out: the streams OUT and AVAILABLE; exit status 0
when asked to stop, or, with `--once`, when everything that LOG holds is published. Always: it only reads LOG.
"""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import Parameter

from holdfast._core import SnapshotError
from holdfast.cli.console import DONE, CouldNotRunError, remarks
from holdfast.cli.settings_options import Config, Data, Nats, Scope, settings_of_data, text_of
from holdfast.errors import LogError
from holdfast.nats.connection import Endpoint, endpoint_of
from holdfast.publisher.publisher import Publisher
from holdfast.recovery.verify import endpoint_at
from holdfast.settings import Settings
from holdfast.tasks import cancel_and_wait


def publish(
    *,
    data: Data = None,
    nats: Nats = None,
    scope: Scope = None,
    config: Config = None,
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
    directory, loaded = settings_of_data(
        config, {"serve.data": text_of(data), "serve.nats": nats, "serve.scope": scope}
    )
    settings = loaded.settings
    source = endpoint_of(loaded.serve.nats, settings.log) if loaded.serve.nats else directory
    try:
        events = uvloop.run(_publish(directory, source, loaded.serve.scope, settings, rebuild=rebuild, once=once))
    except (LogError, SnapshotError) as fault:
        raise CouldNotRunError(str(fault), "docs/events.md says what a publisher needs.") from fault
    remarks.print(f"{events:,} events were published.")
    return DONE


async def _publish(
    directory: Path, source: Path | Endpoint, scope: str, settings: Settings, *, rebuild: bool, once: bool
) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with endpoint_at(source, settings) as endpoint:
        shared = bool(settings.snapshots.shared)
        publisher = Publisher(directory, scope, endpoint, settings, shared=shared, rebuild=rebuild)
        running = asyncio.create_task(publisher.run(lambda: once))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        await cancel_and_wait(running, stopping)
        return publisher.events_total
