"""`holdfast handover`: give the levels of a location to another source.

In: a location and the source that is to own its levels. Out: what is open there, and the hand-over itself.
Always: nothing is changed without --yes or a yes on a terminal; exit status 1 where nothing was handed over.
"""

import asyncio
import sys
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from holdfast.cli.connection import Gateway, GatewayData, Key, could_not_run, key_of, url_of
from holdfast.cli.console import DONE, FOUND_WRONG, CouldNotRunError, Json, number, print_whole, remarks, write_json
from holdfast.cli.get_view import table_of
from holdfast.client import Client
from holdfast.contracts.answers import Reservation
from holdfast.contracts.facts import Ownership
from holdfast.contracts.listings import SupplyEntry

OPEN = ("committed", "in_erp")


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order with units at the location: it needs an `order.ack` of the new owner, else they stay deducted."""

    order_ref: str | None
    reservation: str
    state: str
    units: int


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """What is open at a location, and whether its levels were handed over."""

    location: str
    owner: str | None
    to: str
    orders: list[OpenOrder]
    supplies: list[SupplyEntry]
    done: bool


def handover(
    location: Annotated[str, Parameter(help="The location, byte by byte.")],
    /,
    *,
    to: Annotated[str, Parameter(help="The source that is to own the levels there.")],
    yes: Annotated[bool, Parameter(negative="", help="Do it without asking.")] = False,
    gateway: Gateway = None,
    data: GatewayData = None,
    key: Key = None,
    json: Json = False,
) -> int:
    """Show what is open at a location, and hand its levels over to another source.

    From then on what the old owner reports of stock there is rejected. Units that left before are in the new owner's
    levels; orders that are open need an acknowledgement of the new owner, else they stay deducted beside its levels.

    ```
    holdfast handover PAR --to wms          # shows what is open, and asks
    holdfast handover PAR --to wms --yes
    ```
    """
    with could_not_run():
        url, secret = url_of(gateway, data), key_of(key)
        found = asyncio.run(_found(location, to, url, secret))
        if not json:
            _show(found)
        if _consents(found, yes, json):
            asyncio.run(_do(found, url, secret))
            found = msgspec.structs.replace(found, done=True)
    if json:
        write_json(msgspec.to_builtins(found))
    elif found.done:
        remarks.print(f"The levels of {location} come from {to} now.", markup=False)
    return DONE if found.done or found.owner == to else FOUND_WRONG


async def _found(location: str, to: str, url: str, key: str | None) -> Handover:
    async with Client(url, key) as client:
        known = [entry async for entry in client.locations() if entry.location == location]
        if not known:
            raise CouldNotRunError(
                f"no location {location}", "`holdfast get locations` lists them; a name is compared byte by byte."
            )
        owner = known[0].owner
        orders: list[OpenOrder] = []
        for state in OPEN:
            async for reservation in client.reservations(state=state):
                units = _units_at(reservation, location)
                if units:
                    orders.append(
                        OpenOrder(
                            order_ref=reservation.order_ref,
                            reservation=reservation.id,
                            state=reservation.state,
                            units=units,
                        )
                    )
        supplies = [
            line
            async for line in client.supplies(location=location, status="open")
            if line.source == owner and line.quantity > 0
        ]
    return Handover(location=location, owner=owner, to=to, orders=orders, supplies=supplies, done=False)


def _units_at(reservation: Reservation, location: str) -> int:
    lines = reservation.lines
    return sum(part.quantity for line in lines for part in line.allocations if part.location == location)


def _show(found: Handover) -> None:
    owner = "nobody yet" if found.owner is None else found.owner
    remarks.print(f"Levels of {found.location} come from {owner}.", markup=False)
    if found.orders:
        columns: list[Any] = [
            (name.replace("_", " "), _of(name)) for name in ("order_ref", "reservation", "state", "units")
        ]
        print_whole(table_of(columns, found.orders, f"Orders that need an order.ack of {found.to}"))
    if found.supplies:
        columns = [(name, _of(name)) for name in ("ref", "line", "sku", "quantity", "due")]
        print_whole(table_of(columns, found.supplies, f"Open supply of {owner}: close it, and let {found.to} state it"))
    units = number(sum(order.units for order in found.orders))
    remarks.print(f"{number(len(found.orders))} open orders with {units} units, {len(found.supplies)} supply lines.")


def _of(name: str) -> Any:
    return lambda entry: getattr(entry, name)


def _consents(found: Handover, yes: bool, json: bool) -> bool:
    if found.owner == found.to:
        remarks.print(f"Nothing to do: {found.to} owns them.", markup=False)
        return False
    if yes:
        return True
    if not sys.stdin.isatty() or json:
        remarks.print("Nothing was changed: --yes does it.")
        return False
    return input("Hand them over? [y/N] ").strip().lower() in {"y", "yes"}


async def _do(found: Handover, url: str, key: str | None) -> None:
    async with Client(url, key) as client:
        await client.policies([Ownership(location=found.location, source=found.to)])
