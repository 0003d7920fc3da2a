"""`holdfast events`: events of a running gateway, as they are published.

In: its address, a filter, the last id. Out: JSON lines; on a terminal a line of text for each. Always: a lost
connection is made again, and nothing comes twice.
"""

import asyncio
import contextlib
import re
import sys
from typing import Annotated, Any

import orjson
from cyclopts import Parameter

from holdfast.cli.connection import Gateway, GatewayData, Key, could_not_run, key_of, url_of
from holdfast.cli.console import DONE, CouldNotRunError, remarks, results
from holdfast.cli.stopping import stop_on_sigterm
from holdfast.client import Client
from holdfast.contracts.events import KINDS
from holdfast.visible import visible

_ID = re.compile(r"[0-9]{1,18}(:[0-9]{1,10})?")


def events(
    *,
    channel: Annotated[str | None, Parameter(help="Events of this channel alone.")] = None,
    kinds: Annotated[str | None, Parameter(help="Events of these kinds alone, with commas between them.")] = None,
    after: Annotated[
        str | None, Parameter(help="The id of the last event that you have; 0: everything that is kept.")
    ] = None,
    once: Annotated[bool, Parameter(negative="", help="End when all that is published now was shown.")] = False,
    most: Annotated[int | None, Parameter(help="End after so many events.")] = None,
    gateway: Gateway = None,
    data: GatewayData = None,
    key: Key = None,
    json: Annotated[bool, Parameter(negative="", help="Write JSON lines on a terminal, too.")] = False,
) -> int:
    """Show what happens, as it is published: until Ctrl-C, or as `--once` and `--most` say.

    A publisher has to run (`publisher.enabled`). Without `--after` it begins with what is published from now on.

    ```
    holdfast events
    holdfast events --after 0 --once --kinds confirmed,oversold
    holdfast events --after 1207:0 --channel web >> events.jsonl
    ```
    """
    wanted = tuple(kinds.split(",")) if kinds is not None else ()
    if unknown := sorted(set(wanted) - set(KINDS)):
        raise CouldNotRunError(f"{unknown[0]!r} is no kind of event", f"The kinds are: {', '.join(KINDS)}.")
    if most is not None and most <= 0:
        raise CouldNotRunError("--most is above 0", "")
    if after is not None and _ID.fullmatch(after) is None:
        raise CouldNotRunError(f"--after {after[:40]!r} is no id of an event", "It is like 1207:0.")
    url, token = url_of(gateway, data), key_of(key)
    plain = json or not sys.stdout.isatty()

    async def show() -> None:
        left = most
        async with Client(url, token) as client:
            listening = client.events_as_json(channel=channel, kinds=wanted, after=after, follow=not once)
            async with contextlib.aclosing(listening):
                async for text in listening:
                    _show(text, plain=plain)
                    left = None if left is None else left - 1
                    if left == 0:
                        return

    with could_not_run(), stop_on_sigterm():
        try:
            asyncio.run(show())
        except KeyboardInterrupt:
            remarks.print("Stopped.")
    return DONE


def _show(text: bytes, *, plain: bool) -> None:
    if plain:
        sys.stdout.write(visible(text.decode()) + "\n")
        sys.stdout.flush()
        return
    event = orjson.loads(text)
    moment = event.get("at", "")
    results.print(f"{event['id']:>14}  {moment:24} {event['kind']:12} {event.get('channel', ''):12} {_about(event)}")


def _about(event: dict[str, Any]) -> str:
    if (reservation := event.get("reservation")) is not None:
        lines = ", ".join(f"{line['quantity']} x {line['sku']}" for line in reservation["lines"])
        ref = f" order {reservation['order_ref']}" if reservation.get("order_ref") else ""
        return f"{reservation['id']}{ref}: {lines}"
    if event["kind"] == "availability":
        return f"{event['sku']}: {event['before']} -> {event['published']}"
    return f"sequences {event.get('from')} to {event.get('upto')}: {event.get('reason')}" if "upto" in event else ""
