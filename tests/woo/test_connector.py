"""A shop, a gateway and the connector between them, all running."""

import asyncio
import time
from pathlib import Path

import pytest

from holdfast.woo.lease import OvertakenError
from tests.support.served import level
from tests.support.woo_running import Running, running, until

MOMENT = "2025-01-01T00:00:00Z"


async def sold(one: Running, sku: str) -> int:
    return await one.api.sellable(sku)


async def stocked(one: Running, **skus: int) -> None:
    for sku, quantity in skus.items():
        one.model.add(sku, 0)
        await one.api.facts(level(sku, quantity, "W1", MOMENT))


async def test_a_day_of_a_shop(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await stocked(one, MUG=10, TEE=10)
        parent = one.model.add("", 0, type="variable", manages=False)
        one.model.add("TEE-M", 0, parent=parent.id, type="variation")
        await one.api.facts(level("TEE-M", 7, "W1", MOMENT), level("NOWHERE", 3, "W1", MOMENT))
        await one.begin()
        # Out: what there is, variations too; what the shop lacks is said.
        await until(lambda: (one.stock("MUG"), one.stock("TEE"), one.stock("TEE-M")) == (10, 10, 7))
        await until(lambda: "NOWHERE" in one.connector.reported().push_problems)
        # The webhooks were made, pinged and are active.
        await until(lambda: one.connector.reported().webhooks_active == 4)
        assert {hook.status for hook in one.store.webhooks.all.values()} == {"active"}
        # In: an order, which WooCommerce takes off its own stock, and holdfast off what can be sold.
        order = one.model.place([("MUG", 2)], "processing")
        assert one.stock("MUG") == 8
        assert await one.deliver() == 1
        await until(lambda: _is(one, "MUG", 8))
        await until(lambda: one.stock("MUG") == 8)
        one.model.change(order, "cancelled")
        await one.deliver()
        await until(lambda: _is(one, "MUG", 10))
        await until(lambda: one.stock("MUG") == 10)
        # Lost: the webhook is ended by the shop, and nobody says what happens.
        for hook in one.store.webhooks.all.values():
            hook.status = "disabled"
        one.model.place([("TEE", 3)], "on-hold")
        assert await one.deliver() == 0
        await until(lambda: {hook.status for hook in one.store.webhooks.all.values()} == {"active"})
        await until(lambda: _is(one, "TEE", 7))
        report = one.connector.reported()
        assert (report.webhooks_ended_by_shop, report.errors) == (4, [])
        assert set(one.store.webhooks.statuses) == {200}
        # Sold past the checkout beyond what there is: the report says which SKU, and how much.
        one.model.place([("TEE", 50)], "processing")
        await one.deliver()
        one.connector.read_since(None)
        await until(lambda: one.connector.reported().short == {"TEE": 43})


async def _is(one: Running, sku: str, quantity: int) -> bool:
    return await one.api.sellable(sku) == quantity


async def test_a_kill_in_the_middle_loses_nothing_and_repeats_no_write(tmp_path: Path) -> None:
    async with running(tmp_path, plugin=True) as one:
        await stocked(one, MUG=10, TEE=10)
        await one.begin()
        await until(lambda: (one.stock("MUG"), one.stock("TEE")) == (10, 10))
        await until(lambda: one.connector.reported().figures_done > 0)
        one.model.place([("MUG", 2)], "processing")
        await one.deliver()
        await one.end()
        # While nothing runs: an order whose webhook is stored, one that nobody delivers, and figures that change.
        one.model.place([("TEE", 1)], "processing")
        await one.deliver()
        one.model.place([("TEE", 1)], "processing")
        one.model.events.clear()
        await one.api.facts(level("MUG", 20, "W1", "2025-01-02T00:00:00Z"))
        await asyncio.sleep(0.3)
        await one.begin()
        await until(lambda: _is(one, "TEE", 8))
        await until(lambda: (one.stock("MUG"), one.stock("TEE")) == (18, 8))
        writes = {one.sku: one.writes for one in one.model.products.values()}
        assert all(len(set(found)) == len(found) for found in writes.values()), writes


async def test_of_two_connectors_one_works_and_the_other_goes_on_when_it_ends(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await stocked(one, MUG=10)
        await one.begin()
        first = one.task
        waiting = asyncio.create_task(one.begin())
        await asyncio.sleep(1.0)
        assert not waiting.done()
        first.cancel()
        await waiting
        await until(lambda: one.stock("MUG") == 10)
        one.connector.lease._place -= 1  # as if it had slept while another worked
        other = one.connector.reported()
        other.run = "another"
        with pytest.raises(OvertakenError):
            await one.connector.lease.write(other, b"{}")


async def test_what_the_shop_lacks_holds_nothing_back_and_is_written_once_the_product_is_there(tmp_path: Path) -> None:
    async with running(tmp_path, plugin=True) as one:
        await stocked(one, MUG=10)
        await one.api.facts(level("NOWHERE", 3, "W1", MOMENT))
        await one.begin()
        await until(lambda: (one.stock("MUG"), one.connector.reported().push_set_aside) == (10, 1))
        await one.api.facts(level("MUG", 11, "W1", "2025-01-02T00:00:00Z"))
        await until(lambda: one.stock("MUG") == 11)
        report = one.connector.reported()
        assert report.figures_done == report.figures_taken, "NOWHERE does not hold the place back"
        assert (report.figures_open, report.push_waiting) == (["NOWHERE"], 0)
        await until(lambda: one.connector.pusher is not None and one.connector.pusher.lag.take_ms() == 0)
        await one.end()
        one.model.add("NOWHERE", 0)
        await one.begin()
        await until(lambda: one.stock("NOWHERE") == 3)
        await until(lambda: not one.connector.reported().figures_open)
        assert one.model.by_sku("MUG")[0].writes == [10, 11]


@pytest.mark.parametrize("plugin", [True, False])
async def test_stock_of_parents_is_summed_and_errors_of_items_concern_them_alone(tmp_path: Path, plugin: bool) -> None:
    async with running(tmp_path, plugin=plugin) as one:
        parent = one.model.add("", 0, type="variable", manages=True)
        for size, quantity in {"S": 3, "M": 4, "L": 0}.items():
            one.model.add(f"CAP-{size}", 0, parent=parent.id, type="variation", manages="parent")
            await one.api.facts(level(f"CAP-{size}", quantity, "W1", MOMENT))
        one.model.add("TWICE", 0)
        one.model.add("TWICE", 0)
        await one.api.facts(level("TWICE", 5, "W1", MOMENT), level("A,B", 5, "W1", MOMENT))
        await stocked(one, MUG=10)
        await one.begin()
        await until(lambda: parent.stock == 7)
        await until(lambda: one.stock("MUG") == 10)
        found = one.connector.reported().push_problems
        assert "several products" in found["TWICE"]
        assert plugin or "comma" in found["A,B"]
        await until(lambda: one.connector.reported().push_waiting == 0)
        await one.end()
        await one.begin()  # the figures of the other variations do not come again
        await one.api.facts(level("CAP-S", 1, "W1", "2025-01-02T00:00:00Z"))
        await until(lambda: parent.stock == 5)
        assert parent.writes == [7, 5]
        del one.model.products[one.model.by_sku("MUG")[0].id]
        await one.api.facts(level("MUG", 4, "W1", "2025-01-02T00:00:00Z"))
        await until(lambda: "MUG" in one.connector.reported().push_problems)


async def test_a_shop_that_is_down_gets_the_newest_figures_when_it_is_back(tmp_path: Path) -> None:
    async with running(tmp_path, plugin=True) as one:
        await stocked(one, MUG=10)
        await one.begin()
        await until(lambda: one.stock("MUG") == 10)
        one.store.faults.down, one.store.faults.retry_after = True, "1"
        for day in range(2, 6):
            await one.api.facts(level("MUG", day, "W1", f"2025-01-0{day}T00:00:00Z"))
        await until(lambda: one.connector.reported().push_waiting == 1)
        one.model.place([("MUG", 1)], "processing")
        one.model.events.clear()
        one.connector.read_since(None)
        await until(lambda: any("reading" in why for why in one.connector.errors))
        began = time.monotonic()
        one.store.faults.down = False
        await until(lambda: one.stock("MUG") in {4, 5})
        assert time.monotonic() - began < 10
        await until(lambda: one.stock("MUG") == 4, 60)  # the orders that could not be read then are read at once
        assert one.model.by_sku("MUG")[0].writes in ([10, 5, 4], [10, 4]), "what it was meanwhile is not written"
