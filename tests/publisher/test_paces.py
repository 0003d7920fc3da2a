"""Thresholds and lags: what crosses one is an event, and what sells while a figure is on its way is withheld."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from holdfast.nats.connection import Connection
from holdfast.nats.streams import stream_state
from holdfast.publisher.lags import Lags
from holdfast.settings import PublisherSettings, Settings
from holdfast.tasks import cancel_and_wait
from holdfast.woo.lag import LagMeter, report_lag
from tests.publisher.test_publisher import OUTLETS, SETTINGS, published, publisher_of, read, shop, trading
from tests.support.ports import free_port
from tests.support.servers import put
from tests.webhooks.test_webhooks import becomes


def of(**changes: object) -> Settings:
    return replace(SETTINGS, publisher=replace(SETTINGS.publisher, **changes))  # type: ignore[arg-type]


async def availability(connection: Connection) -> list[tuple[int, int]]:
    found = [body for _, _, body in await read(connection, OUTLETS.out) if body["kind"] == "availability"]
    return [(one["before"], one["published"]) for one in found if one["channel"] == "web" and one["sku"] == "S0"]


async def figure(connection: Connection, sku: str = "S0") -> tuple[int, int]:
    subject = OUTLETS.figure("web", sku)
    found = [body for _, one, body in await read(connection, OUTLETS.available) if one == subject]
    return found[-1]["published"], found[-1]["sellable"]


async def test_crossing_a_threshold_is_an_event_from_where_the_setting_was_changed_on(tmp_path: Path) -> None:
    async with trading(tmp_path, on_hand=12) as (node, connection, endpoint):
        await put(node, "r1", ("S0", 7))
        await published(publisher_of(tmp_path, endpoint))
        assert await availability(connection) == [], "10 to 3 crosses nothing yet"
        await put(node, "r2", ("S0", 1))
        await published(publisher_of(tmp_path, endpoint, of(thresholds="5,1")))
        await put(node, "r3", ("S0", 1))
        await published(publisher_of(tmp_path, endpoint, of(thresholds="1, 5")))
        await node.submit("release", "r1", b"{}", None, None)
        await published(publisher_of(tmp_path, endpoint, of(thresholds="1, 5")))
        await put(node, "r4", ("S0", 7))
        await published(publisher_of(tmp_path, endpoint))
        assert await availability(connection) == [(2, 1), (1, 8)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_thresholds_changed_at_each_kill_give_each_event_once(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    async with trading(tmp_path, on_hand=60) as (node, connection, endpoint):
        load = asyncio.create_task(shop(node, 100, seed))
        while not load.done():
            settings = of(thresholds=choose.choice(["", "5,1", "20,10,3", "30"]))
            running = asyncio.create_task(publisher_of(tmp_path, endpoint, settings).run())
            await asyncio.sleep(choose.uniform(0.05, 0.3))
            await cancel_and_wait(running)
        await published(publisher_of(tmp_path, endpoint))
        out = [body for _, _, body in await read(connection, OUTLETS.out)]
        places = [(one["sequence"], one["index"]) for one in out]
        assert places == sorted(set(places))
        by_batch: dict[int, list[int]] = {}
        for sequence, index in places:
            by_batch.setdefault(sequence, []).append(index)
        assert all(found == list(range(len(found))) for found in by_batch.values()), "none is missing in a batch"


async def test_a_measured_lag_withholds_what_sells_meanwhile(tmp_path: Path) -> None:
    settings = of(pace_ms=60_000, paces_renew_ms=50)
    async with trading(tmp_path, on_hand=100) as (node, connection, endpoint):
        await published(publisher_of(tmp_path, endpoint, settings))
        running = asyncio.create_task(publisher_of(tmp_path, endpoint, settings).run())
        try:

            async def withheld() -> bool:
                await report_lag(connection, OUTLETS, "web", 29_990)
                if len(sold) < 40:
                    sold.append(await put(node, f"r{len(sold)}", ("S0", 1)))
                at, sellable = await figure(connection)
                return sellable == 100 - len(sold) and sellable - at > 2

            sold: list[object] = []
            await becomes(withheld)
            at, sellable = await figure(connection)
            assert sellable - at <= -(-len(sold) // 2), "at most what sold, for half of the time"
        finally:
            await cancel_and_wait(running)


async def test_a_lag_that_nobody_reports_any_more_is_forgotten() -> None:
    lags = Lags(PublisherSettings(lag_kept_ms=50, flush_ms=100, lag_ms_max=1_000))

    class Got:
        def __init__(self, content: object) -> None:
            self.data = orjson.dumps(content)

    contents: tuple[object, ...] = (
        *({"channel": "web", "lag_ms": 5}, {"channel": "pos", "lag_ms": 10**12}),
        *({"channel": 7}, []),
    )
    for content in contents:
        await lags._on_message(Got(content))  # type: ignore[arg-type]
    assert lags.now() == [("pos", 1_000), ("web", 105)]
    await asyncio.sleep(0.06)
    assert lags.now() == []


async def test_a_lag_is_that_of_the_oldest_figure_which_the_shop_lacks() -> None:
    meter = LagMeter()
    meter.wants("A")
    await asyncio.sleep(0.03)
    meter.wants("A")
    meter.wants("B")
    assert meter.take_ms() >= 30, "nothing gets through, and it grows"
    meter.has("A", wrote=True)
    assert meter.take_ms() >= 30
    meter.has("B", wrote=False)
    meter.wants("C")
    meter.drop("C")
    assert meter.take_ms() == 0


async def test_its_metrics_say_how_far_it_is(tmp_path: Path) -> None:
    port = free_port()
    async with trading(tmp_path) as (node, connection, endpoint):
        running = asyncio.create_task(publisher_of(tmp_path, endpoint, of(metrics_port=port, paces_renew_ms=50)).run())
        try:
            for at in range(5):
                await put(node, f"r{at}", ("S0", 1))

            async def shown() -> dict[str, float]:
                try:
                    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                        text = await answer.text()
                except OSError:
                    return {}
                samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
                return {one.name + "".join(one.labels.values()): one.value for one in samples}

            async def is_level() -> bool:
                await report_lag(connection, OUTLETS, "web", 900)
                found = await shown()
                return found.get("holdfast_publisher_events_totalheld") == 5 and (
                    found["holdfast_publisher_lag"] == found["holdfast_publisher_lag_seconds"] == 0
                    and found["holdfast_publisher_sequence"]
                    == (await stream_state(connection, "HF_main_LOG")).last_sequence
                    and found.get("holdfast_publisher_channel_lag_secondsweb") == 0.91
                    and found["holdfast_publisher_figures_written_total"] >= 16
                )

            await becomes(is_level)
        finally:
            await cancel_and_wait(running)
