"""A whole rehearsal: read the orders, choose the stock, replay, and ask the gateway whether it all adds up.

In: a file, a gateway, options. Out: a Report. Always: the file is streamed twice and never held; every answer of
the gateway afterwards is compared with accounts that do not depend on it.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Protocol

from holdfast.client import Client, Retry
from holdfast.contracts.fields import SKUS_MAX
from holdfast.rehearsal.books import Books
from holdfast.rehearsal.chaos import Chaos
from holdfast.rehearsal.openings import Demand
from holdfast.rehearsal.orders import Cart, GoodsBack, OrderFile, Reading, UnreadableError
from holdfast.rehearsal.own_gateway import OwnGateway
from holdfast.rehearsal.replay import MISSING_SHOWN, Pace, Replay
from holdfast.rehearsal.report import (
    Conservation,
    FileRead,
    Kept,
    Killed,
    Orders,
    Report,
    Speed,
    milliseconds,
    misfits,
)
from holdfast.rehearsal.stage import Stage


class Watcher(Protocol):
    """Receives the progress."""

    def phase(self, title: str, total: int | None) -> Callable[[int], None]:
        """A part begins; returns the function to call with the amount done."""
        ...

    def remark(self, text: str) -> None:
        """An event that matters to a person."""
        ...


@dataclass(slots=True)
class Options:
    """What to rehearse, and how."""

    orders: OrderFile
    url: str
    run: str
    key: str | None = None
    own: OwnGateway | None = None
    short_percent: float = 5.0
    places: int = 3
    pace: Pace = field(default_factory=Pace)
    patience_s: float = 60.0
    chaos: bool = False


async def rehearse(options: Options, watcher: Watcher) -> Report:
    """Does all of it. Raises ClientError, RejectedError, UnreadableError or GatewayStartError."""
    survey = Reading()
    report = watcher.phase("reading the orders", None)
    demand = Demand().take(_counted(options.orders, survey, report))
    if not demand.courses:
        raise UnreadableError(
            f"{options.orders.path} has no order lines that can be replayed ({survey.rows} rows read)."
        )
    opening = demand.openings(options.short_percent)
    retry = Retry(tries_max=1_000_000, total_s=options.patience_s, wait_s_max=1.0)
    connections = options.pace.connections
    async with Client(options.url, options.key, retry=retry, connections_max=connections + 4) as client:
        stage = Stage(options.run, options.places)
        report = watcher.phase("sending the opening stock", stage.levels_count(opening))
        await stage.declare(client)
        await stage.stock(client, opening, report)
        replay = Replay(client, stage, Books(opening), options.pace)
        orders = survey.carts + survey.returns
        report = watcher.phase("replaying the orders", orders)
        chaos = (
            Chaos(options.own, orders, stage.declare, watcher.remark)
            if options.chaos and options.own is not None
            else None
        )
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            strikes = group.create_task(chaos.strike(lambda: replay.done)) if chaos is not None else None
            await replay.run(options.orders.read(Reading()), report)
            if strikes is not None:
                await strikes
        seconds = perf_counter() - began
        closing = await _closing(client, stage, list(opening), watcher)
        missing = await replay.missing(watcher.phase("looking for what was acknowledged", len(replay.acknowledged)))
        state = await client.state()
        return Report(
            file=str(options.orders.path),
            run=options.run,
            gateway=options.url,
            short_percent=options.short_percent,
            partial=options.pace.partial,
            read=_read(survey, demand),
            orders=_orders(replay.books),
            oversold=replay.books.oversold(),
            conservation=_conservation(replay.books, closing),
            kept=Kept(len(replay.acknowledged), len(missing), missing[:MISSING_SHOWN]),
            facts_rejected=dict(replay.books.facts_rejected),
            speed=_speed(replay, seconds, connections, client.transport.repeated),
            killed=[Killed(*strike) for strike in chaos.strikes] if chaos is not None else [],
            digest=state.digest,
            sequence=state.sequence,
            totals=state.totals,
        )


def _counted(orders: OrderFile, survey: Reading, report: Callable[[int], None]) -> Iterator[Cart | GoodsBack]:
    for order in orders.read(survey):
        report(survey.rows)
        yield order


async def _closing(client: Client, stage: Stage, skus: list[str], watcher: Watcher) -> dict[str, int | None]:
    """What the gateway can still sell of each SKU; None where it does not know the SKU."""
    report = watcher.phase("asking what is left", len(skus))
    closing: dict[str, int | None] = {}
    left = iter(skus)
    while some := list(islice(left, SKUS_MAX)):
        for item in await client.availabilities(stage.channel, some):
            closing[item.sku] = item.sellable if isinstance(item.sellable, int) else None
        report(len(closing))
    return closing


def _read(survey: Reading, demand: Demand) -> FileRead:
    return FileRead(
        rows=survey.rows,
        carts=survey.carts,
        cart_lines=survey.cart_lines,
        returns=survey.returns,
        return_lines=survey.return_lines,
        skus=len(demand.courses),
        units_asked=demand.units,
        no_goods=dict(survey.no_goods.most_common()),
        zero_quantity=survey.zero_quantity,
        bad_rows=survey.bad_rows,
        bad_rows_first=survey.bad_rows_first,
    )


def _orders(books: Books) -> Orders:
    return Orders(
        offered=books.carts_offered,
        lines_offered=books.lines_offered,
        units_offered=books.units_offered,
        held=books.carts_held,
        lines_held=books.lines_held,
        units_held=books.units_held,
        sold=books.carts_sold,
        units_sold=books.sold.total(),
        refused=dict(books.refused_carts),
        lines_refused=dict(books.refused_lines),
        units_refused=books.units_refused,
        confirmed_too_late=books.carts_late,
        returned=books.returns,
        units_returned=books.returned.total(),
    )


def _conservation(books: Books, closing: dict[str, int | None]) -> Conservation:
    wrong = books.misfits(closing)
    return Conservation(
        skus=len(books.opening),
        conserved=len(books.opening) - len(wrong),
        units_opening=sum(books.opening.values()),
        units_closing=sum(left or 0 for left in closing.values()),
        misfits=misfits(wrong),
    )


def _speed(replay: Replay, seconds: float, connections: int, repeated: int) -> Speed:
    timings = replay.timings
    return Speed(
        connections=connections,
        seconds=round(seconds, 3),
        carts_per_s=round(replay.books.carts_offered / seconds, 1),
        lines_per_s=round(replay.books.lines_offered / seconds, 1),
        requests_repeated=repeated,
        milliseconds=milliseconds(
            {
                "reserve": timings.reserve.percentiles(),
                "confirm": timings.confirm.percentiles(),
                "returns": timings.returns.percentiles(),
            }
        ),
    )
