"""The demonstration from start to end: open the shop, run the sale, kill the gateway in the middle, add everything up.

In: a gateway started for it. Out: a Story. Always: every claim at the end was read from the gateway or counted
here.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from holdfast.client import Client, Retry
from holdfast.client.errors import UnknownReservationError
from holdfast.contracts.answers import StateAnswer
from holdfast.demonstration import catalogue
from holdfast.demonstration.shoppers import Sale, Shoppers
from holdfast.rehearsal.own_gateway import OwnGateway
from holdfast.rehearsal.stage import RejectedError

PATIENCE = Retry(tries_max=1_000_000, total_s=60.0, first_wait_s=0.05, wait_s_max=0.5)
LOOKS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Moment:
    """A sequence of the log, and the digest of the state there."""

    sequence: int
    digest: str


@dataclass(slots=True)
class Story:
    """What happened."""

    sale: Sale
    seconds: float
    before_kill: Moment
    away_s: float
    end: Moment
    missing: list[str]
    repeated: int


async def play(
    gateway: OwnGateway,
    seconds: float,
    carts_per_s: float,
    report: Callable[[Sale], None],
    remark: Callable[[str], None],
) -> Story:
    """Plays it. Raises ClientError, GatewayStartError, RejectedError."""
    async with Client(gateway.url, retry=PATIENCE, connections_max=512) as client:
        await _open_shop(client)
        shoppers = Shoppers(client, seconds, carts_per_s)
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            blow = group.create_task(_kill_in_the_middle(gateway, client, seconds / 2, remark))
            group.create_task(shoppers.run(report))
        before, away_s = blow.result()
        took = perf_counter() - began
        end = _moment(await client.state())
        missing = await _missing(client, shoppers.sale)
        return Story(shoppers.sale, took, before, away_s, end, missing, client.transport.repeated)


async def _open_shop(client: Client) -> None:
    for answer in (
        await client.policies(catalogue.policies()),
        await client.facts(catalogue.SOURCE, catalogue.stock()),
    ):
        if answer.rejected:
            raise RejectedError(f"the demonstration's catalogue: {answer.rejected[0].reason}")


async def _kill_in_the_middle(
    gateway: OwnGateway, client: Client, after_s: float, remark: Callable[[str], None]
) -> tuple[Moment, float]:
    await asyncio.sleep(after_s)
    before = _moment(await client.state())
    began = perf_counter()
    await gateway.kill()
    remark(
        f"kill -9 of the gateway, in the middle of the sale (at sequence {before.sequence:,}); rebuilding from the log"
    )
    await gateway.start()
    away_s = perf_counter() - began
    remark(f"The gateway is back after {away_s:.1f} s; the shoppers' requests are sent again unchanged")
    return before, away_s


def _moment(state: StateAnswer) -> Moment:
    return Moment(state.sequence, state.digest)


async def _missing(client: Client, sale: Sale) -> list[str]:
    """Acknowledged reservations that are missing, or in another state than the acknowledged one."""
    wrong = []
    left = iter(sale.states.items())

    async def look() -> None:
        for reservation, state in left:
            try:
                found = await client.reservation(reservation)
            except UnknownReservationError:
                wrong.append(reservation)
            else:
                if found.state != state:
                    wrong.append(reservation)

    async with asyncio.TaskGroup() as group:
        for _ in range(LOOKS_AT_ONCE):
            group.create_task(look())
    return sorted(wrong)
