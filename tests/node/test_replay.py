"""A replay that nobody waits for leaves the log and the processor to others most of the time."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast._core import Engine
from holdfast.nats.streams import Names
from holdfast.node.replay import Replay
from holdfast.settings import NodeSettings, Settings
from tests.support.servers import OWNER_KEY, connected, embedded, put, stocked, together

REST = 4.0
REALLY = asyncio.sleep


async def test_it_rests_after_each_chunk_for_a_multiple_of_what_that_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with embedded(tmp_path) as server, together(server.endpoint, names=("n1",)) as (node,):
        await stocked(node)
        for number in range(30):
            assert (await put(node, f"r{number}", ("S1", 1)))[0] == 201
        digest = node.state()["digest"]
        async with connected(server.endpoint) as connection:
            settings = replace(Settings(), node=NodeSettings(replay_chunk_messages_max=5))
            rests: list[float] = []

            async def sleep(seconds: float) -> None:
                rests.append(seconds)
                await REALLY(seconds)

            core = Engine("main", OWNER_KEY)
            replay = Replay(connection, Names("main").log, core, settings, rest=REST)
            await replay.open()
            monkeypatch.setattr("holdfast.node.replay.asyncio.sleep", sleep)
            began_s = time.monotonic()
            await replay.to_end()
            took_s = time.monotonic() - began_s
            await replay.close()
    assert core.digest() == digest
    assert len(rests) >= 5
    worked_s = took_s - sum(rests)
    assert sum(rests) > 0.5 * REST * worked_s, "most of the time, but for the last chunk"
