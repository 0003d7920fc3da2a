"""`holdfast trace`: the life of one order, across the systems that know of it, with times.

In: an order's reference, a reservation's id, or the id of a trace; a gateway, or the data directory of one, on which
connections to ERPs run.
Out: what happened, the oldest first: published events, the reservation as it is now, the order's place in each queue.
Always: it only reads; a system that cannot be asked is named, not passed over.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.table import Table

from holdfast.cli.connection import Gateway, GatewayData, Key, could_not_run, key_of, url_of
from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, Json, print_whole, remarks, write_json
from holdfast.client import Client
from holdfast.client.errors import NotFoundError, ProblemError
from holdfast.contracts.answers import Reservation
from holdfast.contracts.events import RESERVATION_KINDS, ReservationEvent
from holdfast.erp.store import directory_of, opened
from holdfast.traces import id_of, is_trace

_CHARS_MAX = 128
_RESERVATIONS_MAX = 100


class Step(msgspec.Struct, frozen=True):
    """One thing that happened. `at` is empty where it is not known; `system`: who knows of it."""

    at: str
    system: str
    what: str
    reservation: str
    detail: str
    trace: str = ""


def trace(
    order: Annotated[str, Parameter(help="The order's reference, its reservation's id, or its trace's.")],
    /,
    *,
    gateway: Gateway = None,
    data: GatewayData = None,
    key: Key = None,
    json: Json = False,
) -> int:
    """Show the life of one order across systems, with times: hold, confirmation, ERP, shipment.

    Events come from what a publisher wrote and OUT still has. With --data, the gateway is the one that runs there, and
    what its connections to ERPs have of the order is shown, too. The key needs the operations `read` and `events`.
    The id of a trace (32 hexadecimal digits, in the shop's `traceparent` and in the ERP's document) finds its orders.

    ```
    holdfast trace A-1001
    holdfast trace A-1001 --data DIR
    ```
    """
    if not 1 <= len(order) <= _CHARS_MAX or not order.isprintable():
        raise CouldNotRunError("an order's reference has 1 to 128 printable characters")
    url, token = url_of(gateway, data), key_of(key)
    with could_not_run():
        reservations, steps, missing = asyncio.run(_asked(url, token, order))
    if data is not None:
        steps += list(_queued(data, {one.id for one in reservations} | {order}))
    steps.sort(key=lambda step: (step.at == "", step.at))
    if json:
        write_json({"order": order, "steps": msgspec.to_builtins(steps), "missing": missing})
    else:
        _show(steps)
    for why in missing:
        remarks.print(why, markup=False)
    if not steps:
        remarks.print(f"Nothing is known of {order!r}: closed reservations are forgotten after two days.", markup=False)
    return DONE if steps else FOUND_WRONG


async def _asked(url: str, token: str | None, order: str) -> tuple[list[Reservation], list[Step], list[str]]:
    """What the gateway knows: reservations, steps, and which part could not be had."""
    async with Client(url, token) as client:
        found = [one async for one in client.reservations(order_ref=order)][:_RESERVATIONS_MAX]
        is_id = is_trace(order) and order == id_of(order)
        if not found and not is_id:
            found = await _known(client, {order})
        try:
            if not found and is_id:
                named = {event.reservation.id async for event in _events(client) if event.trace == order}
                found = await _known(client, set(sorted(named)[:_RESERVATIONS_MAX]))
            else:
                named = {one.id for one in found} or {order}
            steps = [_happened(event) async for event in _events(client) if event.reservation.id in named]
        except ProblemError as error:
            return found, [_now(one) for one in found], [f"No events: {error}"]
    return found, [*steps, *(_now(one) for one in found)], []


async def _known(client: Client, names: set[str]) -> list[Reservation]:
    """Those that are not forgotten yet."""
    found = []
    for name in sorted(names):
        with contextlib.suppress(NotFoundError):
            found.append(await client.reservation(name))
    return found


async def _events(client: Client) -> AsyncIterator[ReservationEvent]:
    """All that OUT still has of reservations. Raises ProblemError."""
    listening = client.events(kinds=RESERVATION_KINDS, after="0", follow=False)
    async with contextlib.aclosing(listening):
        async for event in listening:
            if isinstance(event, ReservationEvent):
                yield event


def _happened(event: ReservationEvent) -> Step:
    one = event.reservation
    said = [f"sequence {event.sequence}"]
    if event.before is not None:
        said.append(f"was {event.before}")
    if one.order_ref is not None:
        said.append(f"order {one.order_ref}")
    if event.unsourced:
        said.append(f"{event.unsourced} units beyond any stock")
    trace = event.trace if isinstance(event.trace, str) else ""
    said += [f"trace {trace}"] if trace else []
    return Step(_text(event.at), "holdfast", event.kind, one.id, ", ".join(said), trace)


def _now(one: Reservation) -> Step:
    lines = ", ".join(f"{line.quantity} {line.sku}" for line in one.lines[:10])
    more = f" and {len(one.lines) - 10} more lines" if len(one.lines) > 10 else ""
    said = f"channel {one.channel}, order {one.order_ref or 'none'}, version {one.version}: {lines}{more}"
    return Step("", "holdfast", f"is {one.state} now", one.id, said)


def _queued(data: Path, keys: set[str]) -> Iterator[Step]:
    """What each connection to an ERP on this machine has of the order."""
    for place in sorted((data / "erp").glob("*")):
        try:
            with opened(directory_of(data, place.name), reads=True) as store:
                rows = list({row["key"]: row for key in sorted(keys) for row in store.traced(key)}.values())
        except (OSError, sqlite3.Error) as error:
            yield Step("", f"erp {place.name}", "cannot be read", "", str(error))
            continue
        for row in rows:
            at = _text(datetime.fromtimestamp(row["changed_ms"] / 1000, UTC))
            said = [f"wanted: {row['wish']}", f"{row['tries']} tries"]
            said += [f"document {row['document']}"] if row["document"] else []
            said += [row["why"]] if row["why"] else []
            said += [f"trace {row['trace']}"] if row["trace"] else []
            yield Step(at, f"erp {place.name}", row["state"], row["key"], ", ".join(said), row["trace"])


def _text(moment: datetime) -> str:
    """In UTC, with milliseconds: as text in the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _show(steps: list[Step]) -> None:
    table = Table("at", "system", "what", "reservation", "detail")
    for step in steps:
        cells: list[Any] = [step.at, step.system, step.what, step.reservation, step.detail]
        table.add_row(*cells)
    print_whole(table)
