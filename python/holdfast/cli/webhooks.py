"""`holdfast webhooks`: events sent to endpoints: run them, see where each is and what is parked, send again.

In: a data directory, or the NATS that its gateway uses; the tables `[webhook.NAME]`. Out: a table or JSON; exit status
1 where something is parked or an endpoint rests. Always: a runner that sends meanwhile takes up what is asked here.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import uvloop
from cyclopts import App, Parameter
from rich.table import Table

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, Json, print_whole, remarks, write_json
from holdfast.cli.place import HERE, Place, source_of, with_log
from holdfast.cli.stopping import until_stopped
from holdfast.errors import ConflictError
from holdfast.events.places import place_of
from holdfast.nats.connection import Connection
from holdfast.recovery.verify import endpoint_at
from holdfast.settings import WebhookSettings
from holdfast.settings.resolve import Resolved
from holdfast.webhooks.places import EndpointState, HookStream
from holdfast.webhooks.runner import enabled
from holdfast.webhooks.runner import run as run_all

Found = TypeVar("Found")
Name = Annotated[str, Parameter(help="The webhook, as in `[webhook.NAME]`.")]

_TRIES = 20
_NAME = re.compile(r"[A-Za-z0-9_-]{1,48}")

app = App(name="webhooks", help="Events sent to endpoints: run, list, see what is parked, send again.")


@app.command
def run(*, place: Place = HERE) -> int:
    """Send events to every endpoint that is enabled, until it is stopped. `serve` does the same.

    ```
    holdfast webhooks run --data DIR --config holdfast.toml
    ```
    """
    directory, found = place.settings()
    webhooks = enabled(found.settings)
    if not webhooks:
        raise CouldNotRunError("no webhook is enabled", "Write a table [webhook.NAME] into the file of --config.")

    async def work() -> None:
        async with endpoint_at(source_of(directory, found), found.settings) as endpoint:
            await until_stopped(run_all(directory, found.serve.scope, endpoint, found.settings, webhooks))

    with could_not_run():
        try:
            uvloop.run(work())
        except ValueError as error:
            raise CouldNotRunError(str(error), "docs/events.md has what a webhook needs.") from error
    return DONE


@app.command(name="list")
def list_webhooks(*, place: Place = HERE, json: Json = False) -> int:
    """List the endpoints: up to which event each is, failures, what is parked.

    ```
    holdfast webhooks list --data DIR --config holdfast.toml
    ```
    """

    async def rows(stream: HookStream, found: Resolved) -> list[dict[str, Any]]:
        return [await _row(stream, name, one) for name, one in found.settings.webhook.items()]

    listed = _with(place, rows)
    if json:
        write_json(listed)
    else:
        table = Table("webhook", "url", "up to", "sent", "parked", "failures", "why")
        for row in listed:
            why = row["halted"] or row["why"]
            table.add_row(
                *(str(row[name]) for name in ("name", "url", "upto", "sent_total", "parked", "failures")), why
            )
        print_whole(table)
    return FOUND_WRONG if any(row["parked"] or row["halted"] for row in listed) else DONE


async def _row(stream: HookStream, name: str, settings: WebhookSettings) -> dict[str, Any]:
    loaded = await stream.load(name)
    state = loaded[1] if loaded is not None else EndpointState(upto="")
    return {
        "name": name,
        "url": settings.url,
        "enabled": settings.enabled,
        "upto": state.upto,
        "sent_total": state.sent_total,
        "parked": state.parked,
        "failures": state.failures,
        "why": state.why,
        "halted": state.halted,
        "at_ms": state.at_ms,
    }


@app.command
def parked(
    name: Name,
    /,
    *,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """List the events that an endpoint did not take, in the order in which they were parked.

    ```
    holdfast webhooks parked shop --data DIR --config holdfast.toml
    ```
    """

    async def listed(stream: HookStream, found: Resolved) -> list[dict[str, Any]]:
        return [
            {
                "id": one.id,
                "about": one.key,
                "why": one.why,
                "tries": one.tries,
                "parked": datetime.fromtimestamp(one.at_ms / 1000, UTC).isoformat(timespec="seconds"),
                "event": orjson.loads(bytes(one.event)),
            }
            async for one in stream.parked(await _named(stream, found, name))
        ]

    found = _with(place, listed)
    if json:
        write_json(found)
    else:
        table = Table("event", "about", "parked", "tries", "why")
        for row in found:
            table.add_row(row["id"], row["about"], row["parked"], str(row["tries"]), row["why"])
        print_whole(table)
    return FOUND_WRONG if found else DONE


@app.command
def replay(
    name: Name,
    /,
    *,
    after: Annotated[str, Parameter(help="Send what is behind this event, by its id, or behind a sequence of LOG.")],
    place: Place = HERE,
) -> int:
    """Send events again, from a place on that OUT still keeps. They have the ids that they had.

    ```
    holdfast webhooks replay shop --after 1207:0 --data DIR --config holdfast.toml
    ```
    """
    behind = place_of(after)
    if behind is None:
        raise CouldNotRunError(f"--after {after[:40]!r} is no id of an event", "It is like 1207:0, or a sequence.")

    def again(state: EndpointState) -> None:
        state.upto, state.done = str(behind), []

    _with(place, lambda stream, found: _changed(stream, found, name, again))
    remarks.print(f"{name} goes on behind {behind}.", markup=False)
    return DONE


@app.command
def resume(name: Name, /, *, place: Place = HERE) -> int:
    """Send parked events again, and let an endpoint that rests go on.

    ```
    holdfast webhooks resume shop --data DIR --config holdfast.toml
    ```
    """

    def on(state: EndpointState) -> None:
        state.resume, state.halted = True, ""

    _with(place, lambda stream, found: _changed(stream, found, name, on))
    remarks.print(f"{name} sends what is parked.", markup=False)
    return DONE


async def _changed(stream: HookStream, found: Resolved, named: str, change: Callable[[EndpointState], None]) -> None:
    """Change a state that its runner may change at the same time."""
    name = await _named(stream, found, named)
    for _ in range(_TRIES):
        loaded = await stream.load(name)
        if loaded is None:
            raise CouldNotRunError(f"webhook {name[:48]!r} has sent nothing yet", "`holdfast webhooks list` has them.")
        at, state = loaded
        change(state)
        try:
            await stream.save(name, state, at)
        except ConflictError:
            continue
        return
    raise CouldNotRunError(f"webhook {name} changes all the time", "Try again.")


async def _named(stream: HookStream, found: Resolved, name: str) -> str:
    """One of the settings, or one that has sent before. Raises CouldNotRunError."""
    if name in found.settings.webhook or (_NAME.fullmatch(name) and await stream.load(name) is not None):
        return name
    known = ", ".join(found.settings.webhook) or "none"
    raise CouldNotRunError(f"there is no webhook {name[:80]!r}", f"In the settings are: {known}.")


def _with(place: Place, work: Callable[[HookStream, Resolved], Awaitable[Found]]) -> Found:
    async def opened(connection: Connection, found: Resolved, _: Path) -> Found:
        stream = HookStream(connection, found.serve.scope, found.settings.log, WebhookSettings().bytes_max)
        await stream.ensure()
        return await work(stream, found)

    return with_log(place, "webhooks", opened)
