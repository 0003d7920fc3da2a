"""Three servers on loopback are one log: it survives the loss of any one of them, and no answer is lost."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.nats.streams import Names, ensure_streams
from holdfast.nats_server.cluster import LocalCluster
from holdfast.protocol.errors import Unavailable
from holdfast.settings import LogSettings, Settings
from tests.support.servers import connected, leading, put, stocked, until

THREE = Settings(log=LogSettings(replicas=3))


@asynccontextmanager
async def cluster_of_three(directory: Path) -> AsyncIterator[LocalCluster]:
    cluster = LocalCluster(directory, THREE.log)
    await cluster.start()
    try:
        yield cluster
    finally:
        await cluster.stop()


async def test_every_stream_has_three_replicas_and_survives_kill_9_of_its_leading_server(tmp_path: Path) -> None:
    async with cluster_of_three(tmp_path) as cluster, leading(cluster.endpoint, THREE) as node:
        await stocked(node)
        async with connected(cluster.endpoint) as connection:
            for stream in (node.names.incoming, node.names.log, node.names.dead):
                info = await connection.api(f"STREAM.INFO.{stream}")
                assert info["config"]["num_replicas"] == 3
                assert len(info["cluster"]["replicas"]) == 2
        for name in cluster.servers:
            assert "sync_interval: always" in (tmp_path / name / "nats" / "nats-server.conf").read_text()
        held = [await put(node, f"before-{at}", (f"S{at}", 1)) for at in range(5)]
        async with connected(cluster.endpoint) as connection:
            info = await connection.api(f"STREAM.INFO.{node.names.log}")
        leader = cluster.servers[info["cluster"]["leader"]]
        killed = leader.pid
        assert killed is not None
        began = time.monotonic()
        os.kill(killed, signal.SIGKILL)
        status = 0
        while status not in {200, 201}:  # the same request until there is an answer
            try:
                status = (await put(node, "during", ("S1", 1)))[0]
            except Unavailable:
                await asyncio.sleep(0.1)
            assert time.monotonic() - began < 30, "the log did not come back"
        for at, (_, _, sequence) in enumerate(held):
            again = await put(node, f"before-{at}", (f"S{at}", 1))
            assert again[0] == 200, "an acknowledged reservation is there"
            assert again[2] >= sequence
        await until(lambda: leader.pid not in {None, killed}, 30)


async def test_a_server_that_comes_back_keeps_its_store_and_name(tmp_path: Path) -> None:
    async with cluster_of_three(tmp_path) as cluster, leading(cluster.endpoint, THREE) as node:
        await stocked(node)
        await put(node, "a", ("S1", 1))
    async with cluster_of_three(tmp_path) as cluster, leading(cluster.endpoint, THREE) as node:
        assert (await put(node, "a", ("S1", 1)))[0] == 200, "the reservation of before is still there"


async def test_two_of_three_gone_refuse_and_lose_nothing(tmp_path: Path) -> None:
    async with cluster_of_three(tmp_path) as cluster, leading(cluster.endpoint, THREE) as node:
        await stocked(node)
        await put(node, "a", ("S1", 1))
        stopped = [cluster.servers[name].pid for name in ("s1", "s2")]
        for pid in stopped:
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable) as refused:
                await put(node, "b", ("S1", 1))
            assert refused.value.outcome == "unknown", "a minority acknowledges nothing, and knows nothing"
        finally:
            for pid in stopped:
                if pid is not None:
                    os.kill(pid, signal.SIGCONT)
        began = time.monotonic()
        while time.monotonic() - began < 30:
            try:
                assert (await put(node, "b", ("S1", 1)))[0] in {200, 201}
                break
            except Unavailable:
                await asyncio.sleep(0.2)
        assert (await put(node, "a", ("S1", 1)))[0] == 200


async def test_a_start_waits_for_servers_that_are_still_electing(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path, THREE.log)
    cluster.users.add_lasting()
    first, *others = cluster.servers.values()
    await first.start()
    try:
        async with connected(first.endpoint, Settings(log=LogSettings(api_timeout_ms=500))) as connection:
            ensuring = asyncio.create_task(ensure_streams(connection, Names("main"), THREE.log))
            await asyncio.sleep(1.5)
            assert not ensuring.done(), "one of three servers elects nobody"
            await asyncio.gather(*(server.start() for server in others))
            await asyncio.wait_for(ensuring, 30)
            assert (await connection.api("STREAM.INFO.HF_main_LOG"))["config"]["num_replicas"] == 3
    finally:
        await cluster.stop()
