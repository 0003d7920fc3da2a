"""`holdfast demo`: a small shop, a flash sale, kill -9 of the gateway in the middle of it, and the sums.

In: nothing. Out: a summary on stdout; then the gateway stays up, with requests to try, until Ctrl-C.
Always: exit status 1 if a unit was oversold, an acknowledged reservation is missing, or the log gives another state.
"""

import asyncio
import contextlib
import signal
import socket
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import Parameter, validators

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, FOUND_WRONG, PATH, CouldNotRunError, Json, remarks, usable_directory, write_json
from holdfast.cli.demo_view import SaleScreen, curl_lines, document, show_story
from holdfast.cli.stopping import stop_on_sigterm
from holdfast.demonstration.checkpoints import checkpoints
from holdfast.demonstration.show import Story, play
from holdfast.rehearsal.own_gateway import OwnGateway

PORT_WANTED = 8080


def demo(
    *,
    data: Annotated[
        Path | None, PATH, Parameter(help="An empty directory for the log; default: a temporary one.")
    ] = None,
    port: Annotated[
        int | None,
        Parameter(
            validator=validators.Number(gte=1, lte=65_535), help="Where to listen; without it 8080, or a free one."
        ),
    ] = None,
    seconds: Annotated[
        float, Parameter(validator=validators.Number(gte=2, lte=600), help="How long the sale lasts.")
    ] = 20.0,
    carts: Annotated[float, Parameter(validator=validators.Number(gte=1, lte=2_000), help="Carts per second.")] = 130.0,
    leave: Annotated[
        bool,
        Parameter(name="--exit", negative="", show_default=False, help="Stop the gateway at the end, for scripts."),
    ] = False,
    json: Json = False,
) -> int:
    """See it work: a flash sale on three channels, a kill -9 in the middle, and every unit accounted for.

    Starts a gateway with its own log, fills a small shop, simulates shoppers, kills the gateway halfway and
    starts it again. It rebuilds itself from the log; then everything is counted. The gateway stays up until Ctrl-C.

    ```
    holdfast demo
    holdfast demo --exit --json
    ```
    """
    if data is not None:
        usable_directory(data)
        data.mkdir(parents=True, exist_ok=True)
        if any(data.iterdir()):
            raise CouldNotRunError(f"{data} is not empty", "Name a new one; the demonstration starts from nothing.")
    with could_not_run(), stop_on_sigterm():
        return uvloop.run(_run(data, port, seconds, carts, leave=leave or json, as_json=json))


async def _run(data: Path | None, port: int | None, seconds: float, carts: float, *, leave: bool, as_json: bool) -> int:
    async with AsyncExitStack() as stack:
        directory = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-demo-")))
        remarks.print(f"Starting a gateway with its own log in {directory} ...", markup=False)
        gateway = await stack.enter_async_context(OwnGateway(directory, port or _free(PORT_WANTED)))
        remarks.print(f"The gateway is up on {gateway.url}. A flash sale of {seconds:g} s begins.", markup=False)
        with SaleScreen(round(seconds * carts)) as screen:
            story = await play(gateway, seconds, carts, screen.report, screen.remark)
        remarks.print("Rebuilding the state from the log, in a fresh core, to compare ...")
        rebuilt = await checkpoints(directory, {story.before_kill.sequence, story.end.sequence})
        if as_json:
            write_json(document(story, rebuilt))
        else:
            show_story(story, rebuilt)
        if not leave:
            await _until_stopped(gateway)
        return DONE if _is_well(story, rebuilt) else FOUND_WRONG


def _is_well(story: Story, rebuilt: dict[int, str]) -> bool:
    equal = all(rebuilt.get(moment.sequence) == moment.digest for moment in (story.before_kill, story.end))
    return equal and not story.missing and not story.sale.oversold()


async def _until_stopped(gateway: OwnGateway) -> None:
    remarks.print(curl_lines(gateway), markup=False)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    died = loop.create_task(gateway.died())
    waits = loop.create_task(stopped.wait())
    await asyncio.wait({died, waits}, return_when=asyncio.FIRST_COMPLETED)
    if died.done():
        remarks.print(f"The gateway stopped by itself:\n{gateway.log_tail()}", markup=False)
    for task in (died, waits):
        task.cancel()
    remarks.print("Stopping the gateway ...")


def _free(wanted: int) -> int | None:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", wanted))
        return wanted
    return None
