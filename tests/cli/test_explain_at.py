"""`holdfast explain --at`: what explain said then, from the files, with the gateway running or stopped."""

import asyncio
import json
from pathlib import Path

from holdfast.client import Client
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.demonstration import catalogue
from tests.support.serving import holdfast, running_gateway

CART = ReservationRequest(channel="web", ttl_ms=600_000, lines=[ReservationLine(sku="MUG-BLUE", quantity=1)])


async def traded(url: str) -> list[tuple[int, int]]:
    """(sequence, sellable) as the gateway itself explained it at the time."""
    said = []
    async with Client(url) as client:
        await client.policies(catalogue.policies())
        await client.facts(catalogue.SOURCE, catalogue.stock())
        for number in range(3):
            await client.reserve(f"cart-{number}", CART)
            found = await client.explain("MUG-BLUE", "web")
            said.append((found.as_of.sequence, found.sellable))
        await asyncio.sleep(1.5)  # the journal is at most a second behind
    return said


def test_a_past_moment_is_explained_as_it_was(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        said = asyncio.run(traded(gateway.url))
        place = ("explain", "MUG-BLUE", "--channel", "web", "--data", str(tmp_path), "--json")
        for sequence, sellable in said:
            done = holdfast(*place, "--at", str(sequence))
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["sellable"] == sellable
        assert len({sellable for _, sellable in said}) == 3
    latest = holdfast(*place, "--at", "2100-01-01T00:00:00Z")
    assert json.loads(latest.stdout)["sellable"] == said[-1][1]
    for wrong, why in (
        ("yesterday", "cannot be"),
        ("2026-11-27T09:30:00", "has no zone"),
        ("999999", "is not kept here"),
    ):
        done = holdfast(*place, "--at", wrong)
        assert done.returncode == 2
        assert why in done.stderr
