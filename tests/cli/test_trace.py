"""`holdfast trace`: one order's life, from a gateway with a publisher, and from the queue of a connection to an ERP."""

import asyncio
import json
from pathlib import Path

import pytest

from holdfast.cli import run
from holdfast.client import Client, Retry
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.erp.store import directory_of, opened
from tests.support.served import Api, level, places, serving


async def published(port: int, count: int) -> None:
    """Until so many events are published; the publisher may still be starting."""
    async with asyncio.timeout(60):
        while True:
            async with Client(f"http://127.0.0.1:{port}", retry=Retry(total_s=30)) as client:
                try:
                    found = [event async for event in client.events(after=0, follow=False)]
                except Exception:  # noqa: BLE001 - asked again until the deadline
                    found = []
            if len(found) >= count:
                return
            await asyncio.sleep(0.1)


async def test_an_order_is_followed_from_the_hold_to_the_erp(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, "--set", "publisher.enabled=true") as served:
        gateway = f"http://127.0.0.1:{served.port}"
        api = Api(served.port)
        await api.policies(*places("W1"), {"kind": "channel", "channel": "web", "locations": "*"})
        await api.facts(level("MUG", 10))
        async with Client(gateway, retry=Retry(total_s=30)) as client:
            for name in ("cart-1", "cart-2"):
                cart = ReservationRequest(channel="web", ttl_ms=60_000, lines=[ReservationLine(sku="MUG", quantity=2)])
                await client.reserve(name, cart)
                await client.confirm(name, f"A-{name}")
        await published(served.port, 4)
        data = tmp_path / "store"
        with opened(directory_of(data, "acme")) as store:
            store._db.execute(
                "INSERT INTO entry (key, body, wish, state, tries, document, number, changed_ms) "
                "VALUES ('cart-1', '{}', 'export', 'acknowledged', 2, 'SO-77', 1, 32503680000000)"
            )
        status = await asyncio.to_thread(run, ["trace", "A-cart-1", "--data", str(data), "--json"])
        found = json.loads(capfd.readouterr().out)
        assert status == 0
        assert found["missing"] == []
        assert [(one["system"], one["what"]) for one in found["steps"]] == [
            ("holdfast", "held"),
            ("holdfast", "confirmed"),
            ("erp acme", "acknowledged"),
            ("holdfast", "is committed now"),
        ]
        assert {one["reservation"] for one in found["steps"]} == {"cart-1"}
        assert "document SO-77" in found["steps"][2]["detail"]
        assert "2 MUG" in found["steps"][3]["detail"]
        by_id = await asyncio.to_thread(run, ["trace", "cart-2", "--gateway", gateway])
        out = capfd.readouterr().out
        assert by_id == 0
        assert "confirmed" in out
        assert "cart-1" not in out
        assert await asyncio.to_thread(run, ["trace", "nothing", "--gateway", gateway]) == 1


async def test_where_nothing_is_published_it_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path) as served:
        api = Api(served.port)
        await api.policies(*places("W1"), {"kind": "channel", "channel": "web", "locations": "*"})
        await api.facts(level("MUG", 10))
        gateway = f"http://127.0.0.1:{served.port}"
        async with Client(gateway, retry=Retry(total_s=30)) as client:
            cart = ReservationRequest(channel="web", ttl_ms=60_000, lines=[ReservationLine(sku="MUG", quantity=2)])
            await client.reserve("cart-1", cart)
        assert await asyncio.to_thread(run, ["trace", "cart-1", "--gateway", gateway]) == 0
        captured = capfd.readouterr()
        assert "is held now" in captured.out
        assert "No events" in captured.err
