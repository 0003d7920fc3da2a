"""`holdfast get`: what a running gateway has stored, list by list.

In: a list, its filters, how many entries. Out: a table, or one JSON document with the entries and where they go on.
Always: what was left out is mentioned; exit status 0 also for an empty list, 2 for what cannot be asked.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter, validators

from holdfast.cli.connection import Gateway, GatewayData, Key, could_not_run, key_of, url_of
from holdfast.cli.console import DONE, CouldNotRunError, print_whole, remarks, write_json
from holdfast.cli.get_view import VIEWS, sku_view, table_of
from holdfast.client import Client
from holdfast.client.lists import LIMIT, Entries

SHOWN = 100

HELP = """List what a running gateway has stored.

```
holdfast get skus                               # the first 100
holdfast get sku MUG-BLUE                       # its item, levels and rules
holdfast get policies --sku MUG-BLUE            # the rules that apply to it
holdfast get reservations --state held --all    # every hold
holdfast get reservations --order-ref 7 --json  # for machines
holdfast get deficits                           # sold, and covered by nothing
holdfast get sources                            # who owns which location
holdfast get anomalies --sku MUG-BLUE           # facts about it that came to nothing
```
"""

app = App(name="get", help=HELP)

Sku = Annotated[str | None, Parameter(help="Only what names this SKU.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which gateway, how many entries, in which form."""

    limit: Annotated[
        int | None, Parameter(validator=validators.Number(gte=1), help=f"Entries at the most; {SHOWN} without it.")
    ] = None
    all: Annotated[bool, Parameter(negative="", show_default=False, help="Every entry.")] = False
    after: Annotated[str | None, Parameter(help="Go on where an earlier call ended: its `next`.")] = None
    gateway: Gateway = None
    data: GatewayData = None
    key: Key = None
    json: Annotated[bool, Parameter(negative="", show_default=False, help="Write the result as one JSON document.")] = (
        False
    )

    def client(self) -> Client:
        """Of the gateway that is meant. Raises CouldNotRunError."""
        return Client(url_of(self.gateway, self.data), key_of(self.key))


PLAIN = Asked()


@app.command
def skus(*, asked: Asked = PLAIN) -> int:
    """SKUs, in the order in which they were first named.

    `on hand` and `at hand` are over all locations: before and after what is owed and kept back for safety.
    """
    return _list("skus", lambda client: client.skus(), asked)


@app.command
def sku(
    sku: Annotated[str, Parameter(help="The SKU or an alias of it, byte by byte.")],
    /,
    *,
    gateway: Gateway = None,
    data: GatewayData = None,
    key: Key = None,
    json: Annotated[
        bool, Parameter(negative="", show_default=False, help="Write the result as one JSON document.")
    ] = False,
) -> int:
    """One SKU: its item, what each location has of it and who stated that, the rules that apply to it.

    ```
    holdfast get sku MUG-BLUE
    holdfast get sku 4006381333931 --json
    ```
    """

    async def ask() -> Any:
        async with Client(url_of(gateway, data), key_of(key)) as client:
            return await client.sku(sku)

    with could_not_run():
        found = asyncio.run(ask())
    if json:
        write_json(msgspec.to_builtins(found))
    else:
        for part in sku_view(found):
            print_whole(part)
    return DONE


@app.command
def locations(*, asked: Asked = PLAIN) -> int:
    """Locations, and the source that owns the levels of each."""
    return _list("locations", lambda client: client.locations(), asked)


@app.command
def channels(*, asked: Asked = PLAIN) -> int:
    """Channels that the key may see."""
    return _list("channels", lambda client: client.channels(), asked)


@app.command
def policies(
    *,
    kind: Annotated[str | None, Parameter(help="allocation, cap, freshness, oversell, restriction or safety.")] = None,
    sku: Annotated[str | None, Parameter(help="Only rules that apply to this SKU; those for all do, too.")] = None,
    channel: Annotated[str | None, Parameter(help="Only rules that apply to this channel, likewise.")] = None,
    asked: Asked = PLAIN,
) -> int:
    """Rules in force. `*` stands for all."""
    return _list("policies", lambda client: client.rules(kind=kind, sku=sku, channel=channel), asked)


@app.command
def supplies(
    *,
    sku: Sku = None,
    location: Annotated[str | None, Parameter(help="Only supply to this location.")] = None,
    status: Annotated[str | None, Parameter(help="open, received or cancelled.")] = None,
    asked: Asked = PLAIN,
) -> int:
    """Lines of incoming stock; closed ones while they are remembered."""
    return _list("supplies", lambda client: client.supplies(sku=sku, location=location, status=status), asked)


@app.command
def demands(*, sku: Sku = None, asked: Asked = PLAIN) -> int:
    """What is owed outside of reservations."""
    return _list("demands", lambda client: client.demands(sku=sku), asked)


@app.command
def reservations(
    *,
    order_ref: Annotated[str | None, Parameter(help="Only those confirmed under this order number.")] = None,
    owner: Annotated[str | None, Parameter(help="Only those of this owner: its name, or the hash shown.")] = None,
    sku: Sku = None,
    channel: Annotated[str | None, Parameter(help="Only those of this channel.")] = None,
    state: Annotated[
        str | None,
        Parameter(help="held, committed, in_erp, fulfilled, released, expired, cancelled or oversold."),
    ] = None,
    asked: Asked = PLAIN,
) -> int:
    """Reservations; closed ones while they are remembered.

    Filters may be combined. One that matches rarely takes longer: every reservation is looked at, a bounded number at
    a time.
    """
    given = {"order_ref": order_ref, "owner": owner, "sku": sku, "channel": channel, "state": state}
    return _list("reservations", lambda client: client.reservations(**given), asked)


@app.command
def deficits(
    *,
    sku: Sku = None,
    channel: Annotated[str | None, Parameter(help="Only those of this channel.")] = None,
    asked: Asked = PLAIN,
) -> int:
    """Units of live reservations that no stock, supply or policy covers any more.

    An empty table is good news. Where there is one, stock was lost, supply was cancelled or a rule was tightened after
    the sale: get more, or cancel the youngest.
    """
    return _list("deficits", lambda client: client.deficits(sku=sku, channel=channel), asked)


@app.command
def anomalies(
    *,
    sku: Sku = None,
    kind: Annotated[
        str | None,
        Parameter(
            help="repeat, stale, lower-version, conflicting-body, covered, closed-supply, level-conflict or "
            "levels-dropped."
        ),
    ] = None,
    asked: Asked = PLAIN,
) -> int:
    """Facts that came to nothing, or to something unexpected: the newest of each kind, oldest first.

    A gateway lists what it has applied since it started; `--after PLACE` gives what has come since that entry.
    """
    return _list("anomalies", lambda client: client.anomalies(sku=sku, kind=kind), asked)


@app.command
def sources(*, asked: Asked = PLAIN) -> int:
    """Who sends facts, the locations that each owns, and how old its newest fact is."""
    return _list("sources", lambda client: client.sources(), asked)


def _list(name: str, entries: Callable[[Client], Entries[Any]], asked: Asked) -> int:
    if asked.all and asked.limit is not None:
        raise CouldNotRunError("--all and --limit exclude each other", "Give one of them.")
    with could_not_run():
        found, following = asyncio.run(_ask(entries, asked))
    if asked.json:
        write_json({"items": msgspec.to_builtins(found), "next": following})
        return DONE
    print_whole(table_of(VIEWS[name], found))
    if following is not None:
        remarks.print(f"There are more: --all, a higher --limit, or --after {following}.", style="dim")
    elif not found:
        remarks.print("Nothing there.", style="dim")
    return DONE


async def _ask(entries: Callable[[Client], Entries[Any]], asked: Asked) -> tuple[list[Any], str | None]:
    """The entries, and where they go on."""
    found: list[Any] = []
    wanted = None if asked.all else asked.limit or SHOWN
    after = asked.after
    async with asked.client() as client:
        listed = entries(client)
        while True:
            page = await listed.page(after, LIMIT if wanted is None else min(LIMIT, wanted - len(found)))
            found += page.items
            after = page.next
            if after is None or (wanted is not None and len(found) >= wanted):
                return found, after
