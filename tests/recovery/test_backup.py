"""Backups: taken under load, whole, proven, and never restored over something else."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast._core import Engine
from holdfast.node.bootstrap import Bootstrap
from holdfast.node.node import Node
from holdfast.recovery.backup import BackupError, back_up, record_of, restore
from holdfast.recovery.snapshotter import Snapshotter
from holdfast.recovery.verify import verify
from holdfast.settings import JournalSettings, Settings, SnapshotSettings
from tests.support.journals import NAMES, leads, node_with_journal
from tests.support.servers import OWNER_KEY, embedded, put, stocked, until

SMALL = replace(
    Settings(),
    journal=JournalSettings(segment_bytes_max=4_000, archive_look_ms=0, sync_ms=0),
    snapshots=SnapshotSettings(heartbeat_wait_ms=0, trim_batches_min=1, retained=2),
)


async def test_a_backup_under_load_restores_to_the_digest_that_it_records_and_goes_on(tmp_path: Path) -> None:
    data, backup, fresh = tmp_path / "data", tmp_path / "backup", tmp_path / "fresh"
    async with embedded(data) as server:
        snapshotter = Snapshotter(data, "main", server.endpoint, SMALL, shared=False)
        await snapshotter.open()
        async with node_with_journal(server.endpoint, data, SMALL) as node:
            await leads(node)
            await stocked(node)
            for turn in range(3):
                for number in range(20):
                    await put(node, f"t{turn}-{number}", ("S1", 1))
                await until(lambda: node.counters()["journal_lag"] == 0)
                await snapshotter.take()
                await snapshotter.trim()

            async def load() -> None:
                for number in range(100_000):
                    await put(node, f"load-{number}", ("S2", 1))

            loading = asyncio.create_task(load())
            await asyncio.sleep(0.2)
            record = await asyncio.to_thread(back_up, data, backup, "main", SMALL)
            await asyncio.sleep(0.1)
            assert node.state()["sequence"] > record.sequence, "it went on selling"
            loading.cancel()
        await snapshotter.close()
    assert record == record_of(backup)
    report = await restore(backup, fresh, SMALL)
    assert (report.sequence, report.digest, report.chain) == (record.sequence, record.digest, record.chain)
    starting = Bootstrap(
        fresh,
        NAMES,
        SMALL,
        lambda: Engine("main", OWNER_KEY),
        lambda path: Engine.restore("main", OWNER_KEY, path),
        shared=False,
    )
    async with embedded(fresh) as server:
        node = Node("main", server.endpoint, starting._new, SMALL, bootstrap=starting, directory=fresh)
        await node.start()
        await leads(node)
        assert node.state()["digest"] == record.digest
        assert (await put(node, "after", ("S1", 1)))[0] == 201
        await node.stop(drain=False)
    assert (await verify(fresh)).ok
    assert {path.stat().st_mode & 0o777 for path in fresh.rglob("main-*") if path.is_file()} == {0o600}


async def test_nothing_is_restored_over_something_nor_from_half_a_backup(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    async with embedded(data) as server, node_with_journal(server.endpoint, data) as node:
        await leads(node)
        await stocked(node)
        await until(lambda: node.counters()["journal_lag"] == 0)
        await asyncio.to_thread(back_up, data, backup, "main", SMALL)
        with pytest.raises(BackupError, match="not empty"):
            await asyncio.to_thread(back_up, data, backup, "main", SMALL)
    with pytest.raises(BackupError, match="not empty"):
        await restore(backup, data, SMALL)
    (backup / "backup.json").unlink()
    with pytest.raises(BackupError, match="no backup that was finished"):
        await restore(backup, tmp_path / "new", SMALL)
    assert not (tmp_path / "new").exists()
