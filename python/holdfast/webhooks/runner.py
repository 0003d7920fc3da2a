"""All webhooks of one gateway, in one process.

In: a data directory, NATS, the settings. Out: requests, until it is cancelled. Always: of one data directory one
process sends; one endpoint's faults do not affect another.
"""

import asyncio
import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import structlog

from holdfast.errors import LogError
from holdfast.events.feed import Feed
from holdfast.nats.connection import Connection
from holdfast.nats.connection import Endpoint as NatsEndpoint
from holdfast.settings import Settings, WebhookSettings
from holdfast.systems import end, say
from holdfast.tasks import cancel_and_wait
from holdfast.webhooks.endpoint import Endpoint
from holdfast.webhooks.places import HookStream
from holdfast.webhooks.sender import Sender

log = structlog.get_logger(__name__)

LOCK_FILE = "webhooks.lock"
PROCESS = "webhooks"
_REPORT_S = 1.0


class WebhooksInUseError(LogError):
    """Another process sends for this directory."""


def enabled(settings: Settings) -> dict[str, WebhookSettings]:
    """By name: the webhooks that are to be sent."""
    return {name: one for name, one in settings.webhook.items() if one.enabled}


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WebhooksInUseError(f"another process sends the webhooks of {directory}") from error
        yield
    finally:
        os.close(descriptor)


async def run(
    directory: Path, scope: str, nats: NatsEndpoint, settings: Settings, webhooks: Mapping[str, WebhookSettings]
) -> None:
    """Send, until cancelled.

    Raises WebhooksInUseError, UnreachableError; ValueError where none of them can be sent as its settings are.
    """
    owner = f"{socket.gethostname()}:{os.path.realpath(directory)}"  # noqa: ASYNC240 - once, at the start
    with _only_one(directory):
        async with AsyncExitStack() as stack:
            connection = Connection(nats, settings.log, f"holdfast {scope} webhooks")
            await connection.open()
            stack.push_async_callback(connection.close)
            feed = Feed(nats, scope, settings.events, settings.log)
            stack.push_async_callback(feed.close)
            endpoints, faults = [], []
            for name, one in webhooks.items():
                try:
                    sender = await stack.enter_async_context(Sender(scope, name, one))
                except (OSError, ValueError) as fault:
                    faults.append(f"webhook {name} cannot be sent: {fault}")
                    log.error("alarm", alarm="webhook-unusable", detail=faults[-1])
                    continue
                stream = HookStream(connection, scope, settings.log, one.bytes_max)
                endpoints.append(Endpoint(name, one, feed, stream, sender, owner))
            if not endpoints:
                raise ValueError("; ".join(faults))
            tasks = [asyncio.create_task(one.run()) for one in endpoints]
            reporting = asyncio.create_task(_report(directory, endpoints))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
            finally:
                await cancel_and_wait(reporting, *tasks)
                end(directory, PROCESS)
                await asyncio.gather(*(one.release() for one in endpoints))


async def _report(directory: Path, endpoints: list[Endpoint]) -> None:
    """What the gateways show of them, once a second."""
    while True:
        await asyncio.to_thread(say, directory, PROCESS, [one.system() for one in endpoints])
        await asyncio.sleep(_REPORT_S)
