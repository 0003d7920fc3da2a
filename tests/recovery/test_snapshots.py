"""Snapshots on a real server: taken beside a node, proven, started from, passed over when they are damaged, shared."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast._core import Engine, ScopeKeys
from holdfast.client import Client
from holdfast.demonstration import catalogue
from holdfast.errors import SnapshotStoreError
from holdfast.macs import Macs
from holdfast.nats.connection import Endpoint
from holdfast.nats.shared_snapshots import SharedSnapshots
from holdfast.nats.streams import Names
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.bootstrap import Bootstrap
from holdfast.node.node import Node
from holdfast.node.replay import rebuild
from holdfast.peers.wire import encode_peer_state
from holdfast.protocol.membership import PeerState
from holdfast.protocol.messages import Alarm
from holdfast.recovery.snapshot_schedule import Schedule
from holdfast.recovery.snapshotter import Digests, SnapshotDiffersError, Snapshotter
from holdfast.recovery.verify import verify
from holdfast.settings import Settings, SnapshotSettings
from holdfast.storage.snapshot_files import FORMAT_MAX, SnapshotStore, read_header
from holdfast.tasks import cancel_and_wait
from tests.support.servers import OWNER_KEY, connected, embedded, put, stocked, until
from tests.support.serving import holdfast, running_gateway

NAMES = Names("main")
SETTINGS = replace(Settings(), snapshots=replace(SnapshotSettings(), heartbeat_wait_ms=1_500))


def starting(directory: Path, *, shared: bool = False) -> Bootstrap[Engine]:
    def restore(path: str) -> Engine:
        return Engine.restore("main", OWNER_KEY, path)

    return Bootstrap(directory, NAMES, SETTINGS, lambda: Engine("main", OWNER_KEY), restore, shared=shared)


@asynccontextmanager
async def leading(endpoint: Endpoint, directory: Path, *, shared: bool = False) -> AsyncIterator[Node[Engine]]:
    """A node that starts from snapshots, and leads."""
    node = Node(
        "main",
        endpoint,
        lambda: Engine("main", OWNER_KEY),
        SETTINGS,
        directory=directory,
        bootstrap=starting(directory, shared=shared),
    )
    await node.start()
    try:
        async with asyncio.timeout(30):
            await node.wait_ready()
        yield node
    finally:
        await node.stop(drain=False)


@asynccontextmanager
async def taking(endpoint: Endpoint, directory: Path, *, shared: bool = False) -> AsyncIterator[Snapshotter]:
    snapshotter = Snapshotter(directory, "main", endpoint, SETTINGS, shared=shared)
    await snapshotter.open()
    try:
        yield snapshotter
    finally:
        await snapshotter.close()


async def worked(node: Node[Engine], name: str, holds: int = 5) -> None:
    for number in range(holds):
        assert (await put(node, f"{name}-{number}", (f"S{number}", 2)))[0] == 201


async def rebuilt(endpoint: Endpoint, directory: Path, alarms: list[Alarm], *, shared: bool = False) -> Engine:
    async with connected(endpoint) as connection:
        return await starting(directory, shared=shared).core(connection, alarms.append)


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


async def test_a_node_that_starts_from_a_snapshot_has_the_state_that_all_of_the_log_gives(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    endpoint, directory = server.endpoint, tmp_path / "n1"
    async with leading(endpoint, directory) as node, taking(endpoint, directory) as snapshotter:
        await stocked(node)
        await worked(node, "before")
        taken = await snapshotter.take()
        assert taken is not None
        await worked(node, "after")
    async with leading(endpoint, directory) as again:
        assert again.replay_progress is not None
        assert again.replay_progress.facts == 5, "only what came after the snapshot was replayed"
        await worked(again, "later")
    async with connected(endpoint) as connection:
        short = await starting(directory).core(connection, lambda _: None)
        assert short.sequence == taken.snapshot.header.sequence
        long = Engine("main", OWNER_KEY)
        for core in (short, long):
            await rebuild(connection, NAMES.log, core, SETTINGS)
    assert (short.sequence, short.digest(), short.chain) == (long.sequence, long.digest(), long.chain)
    assert short.totals() == long.totals()
    for core, path in ((short, tmp_path / "short"), (long, tmp_path / "long")):
        core.snapshot(str(path))
    assert (tmp_path / "short").read_bytes() == (tmp_path / "long").read_bytes()


async def test_a_snapshot_is_compared_with_what_a_running_process_says(server: EmbeddedServer, tmp_path: Path) -> None:
    async with leading(server.endpoint, tmp_path / "n1") as node, taking(server.endpoint, tmp_path) as snapshotter:
        await stocked(node)
        first = await snapshotter.take()
        assert first is not None
        assert first.compared_with == ("n1",)
        await worked(node, "more")
        second = await snapshotter.take()
        assert second is not None
        assert second.from_sequence == first.snapshot.header.sequence
        assert second.compared_with == ("n1",)


async def test_a_digest_that_differs_is_told_and_nothing_is_written(server: EmbeddedServer, tmp_path: Path) -> None:
    async with leading(server.endpoint, tmp_path / "n1") as node, taking(server.endpoint, tmp_path) as snapshotter:
        await stocked(node)
        sequence = node.state()["sequence"]
        wrong = PeerState("n9", "0" * 16, "following", 1, sequence, digests=((sequence, "f" * 32),))
        async with connected(server.endpoint) as connection:
            await connection.publish(NAMES.heartbeat_subject, encode_peer_state(wrong))
            await asyncio.sleep(0.2)
            with pytest.raises(SnapshotDiffersError, match="n9"):
                await snapshotter.take()
        assert snapshotter.bootstrap.store.sequences() == []


async def test_nothing_new_is_no_reason_for_another_one(server: EmbeddedServer, tmp_path: Path) -> None:
    async with leading(server.endpoint, tmp_path / "n1") as node, taking(server.endpoint, tmp_path) as snapshotter:
        await stocked(node)
        assert await snapshotter.take() is not None
        assert await snapshotter.take() is None
        assert await snapshotter.batches_since() == 0


async def test_they_are_taken_by_themselves_and_the_oldest_go(server: EmbeddedServer, tmp_path: Path) -> None:
    often = replace(SETTINGS.snapshots, every_batches=5, look_ms=20, heartbeat_wait_ms=0, retained=2)
    settings = replace(SETTINGS, snapshots=often)
    snapshotter = Snapshotter(tmp_path, "main", server.endpoint, settings, shared=False)
    await snapshotter.open()
    keeping: asyncio.Task[None] | None = None
    store = snapshotter.bootstrap.store
    try:
        async with leading(server.endpoint, tmp_path / "n1") as node:
            await stocked(node)
            keeping = asyncio.create_task(Schedule(snapshotter, settings).run())
            seen: set[int] = set()
            for round_number in range(4):
                newest = max(seen, default=0)
                await worked(node, f"r{round_number}", 8)
                await until(lambda: max(store.sequences(), default=0) > newest)  # noqa: B023 - awaited here
                seen |= set(store.sequences())
        assert len(seen) >= 4
        assert len(store.sequences()) == 2
    finally:
        await cancel_and_wait(keeping)
        await snapshotter.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: flip(path, path.stat().st_size // 2),
        lambda path: flip(path, path.stat().st_size - 1),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"nothing of the kind" * 100),
    ],
    ids=["a bit in a block", "a bit at the end", "cut off", "empty", "something else"],
)
async def test_a_damaged_one_is_passed_over_for_an_older_one(
    server: EmbeddedServer, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async with leading(server.endpoint, tmp_path / "n1") as node, taking(server.endpoint, tmp_path) as snapshotter:
        await stocked(node)
        older = await snapshotter.take()
        await worked(node, "more")
        newer = await snapshotter.take()
    assert older is not None
    assert newer is not None
    damage(newer.snapshot.path)
    alarms: list[Alarm] = []
    core = await rebuilt(server.endpoint, tmp_path, alarms)
    assert core.sequence == older.snapshot.header.sequence
    assert core.digest() == older.snapshot.header.digest
    damage(older.snapshot.path)
    core = await rebuilt(server.endpoint, tmp_path, alarms)
    assert core.sequence == 0, "LOG alone, then"
    assert [alarm.name for alarm in alarms] == ["snapshot-damaged"] * 2
    left = {path.suffix for path in (tmp_path / "snapshots").iterdir() if path.name != "lock"}
    assert left == {".damaged"}


async def test_one_of_another_history_is_not_used(server: EmbeddedServer, tmp_path: Path) -> None:
    engine = Engine("main", OWNER_KEY)
    engine.apply(1, engine.lead_batch("somebody-else", 1_790_000_000_000))
    store = SnapshotStore(tmp_path / "snapshots", "main", SETTINGS.snapshots)
    with store.taking():
        part = store.part(1)
        engine.snapshot(str(part))
        store.admit(part, 1)
    async with leading(server.endpoint, tmp_path / "n1") as node:
        await stocked(node)
    alarms: list[Alarm] = []
    core = await rebuilt(server.endpoint, tmp_path, alarms)
    assert core.sequence == 0
    assert [alarm.name for alarm in alarms] == ["snapshot-does-not-fit"]
    assert "another message at 1" in alarms[0].detail


async def test_one_that_lies_beyond_the_end_of_the_log_is_not_used(server: EmbeddedServer, tmp_path: Path) -> None:
    async with leading(server.endpoint, tmp_path / "n1") as node, taking(server.endpoint, tmp_path) as snapshotter:
        await stocked(node)
        await worked(node, "more")
        assert await snapshotter.take() is not None
    async with embedded(tmp_path / "other") as other:
        async with leading(other.endpoint, tmp_path / "other"):
            pass
        alarms: list[Alarm] = []
        core = await rebuilt(other.endpoint, tmp_path, alarms)
    assert core.sequence == 0
    assert "did the log lose its end" in alarms[0].detail


async def test_a_new_node_on_an_empty_disk_starts_from_a_shared_one(server: EmbeddedServer, tmp_path: Path) -> None:
    endpoint = server.endpoint
    async with leading(endpoint, tmp_path / "n1") as node, taking(endpoint, tmp_path, shared=True) as snapshotter:
        await stocked(node)
        taken = [await snapshotter.take()]
        for number in range(3):
            await worked(node, f"more-{number}")
            taken.append(await snapshotter.take())
    newest = taken[-1]
    assert newest is not None
    async with connected(endpoint) as connection:
        shared = SharedSnapshots(connection, NAMES, SETTINGS.snapshots, SETTINGS.log)
        assert len(await shared.names()) == SETTINGS.snapshots.shared_retained
        assert (await shared.names())[0] == newest.snapshot.path.name
    alarms: list[Alarm] = []
    core = await rebuilt(endpoint, tmp_path / "new", alarms, shared=True)
    assert (core.sequence, core.digest()) == (newest.snapshot.header.sequence, newest.snapshot.header.digest)
    assert alarms == []
    local = SnapshotStore(tmp_path / "new" / "snapshots", "main", SETTINGS.snapshots)
    assert local.sequences() == [newest.snapshot.header.sequence], "and has it of its own now"


@pytest.mark.parametrize("other", [Macs(), Macs(ScopeKeys([b"g" * 32]))], ids=["unsigned", "of another key"])
async def test_only_a_gateway_of_the_scope_can_share_one(server: EmbeddedServer, tmp_path: Path, other: Macs) -> None:
    gateway = Macs(ScopeKeys([b"s" * 32]))
    ours, theirs = (f"main-{number:020d}" for number in range(2))
    async with connected(server.endpoint) as connection:
        for name, macs in ((ours, gateway), (theirs, other)):
            (tmp_path / name).write_bytes(b"of " + name.encode())
            await SharedSnapshots(connection, NAMES, SETTINGS.snapshots, SETTINGS.log, macs).put(tmp_path / name)
        shared = SharedSnapshots(connection, NAMES, SETTINGS.snapshots, SETTINGS.log, gateway)
        into = tmp_path / "fetched"
        with pytest.raises(SnapshotStoreError, match="was not put there by a gateway"):
            await shared.fetch(theirs, into)
        await shared.fetch(ours, into)
        assert into.read_bytes() == b"of " + ours.encode()


async def test_without_any_shared_one_a_new_node_starts_from_the_log(server: EmbeddedServer, tmp_path: Path) -> None:
    async with leading(server.endpoint, tmp_path / "n1"):
        alarms: list[Alarm] = []
        core = await rebuilt(server.endpoint, tmp_path / "new", alarms, shared=True)
    assert core.sequence == 0
    assert alarms == []


async def test_what_is_heard_of_digests_is_bounded() -> None:
    class Message:
        def __init__(self, data: bytes) -> None:
            self.data = data

    digests = Digests(kept_max=10)
    for sequence in range(100):
        pulse = PeerState("n1", "0" * 16, "leading", 1, sequence, digests=((sequence, f"{sequence:032x}"),))
        await digests.receive(Message(encode_peer_state(pulse)))  # type: ignore[arg-type]
    await digests.receive(Message(b"no pulse"))  # type: ignore[arg-type]
    assert digests.first(0) == 90
    assert digests.first(100) is None
    assert digests.at(99) == {"n1": f"{99:032x}"}
    assert digests.at(89) == {}


def test_a_header_is_read_without_an_engine_and_its_format_is_the_one_that_the_engine_writes(tmp_path: Path) -> None:
    engine = Engine("main")
    engine.apply(1, engine.lead_batch("n1", 1_790_000_000_000))
    told = json.loads(engine.snapshot(str(tmp_path / "s")))
    header = read_header(tmp_path / "s", SETTINGS.snapshots.header_bytes_max)
    assert (header.sequence, header.digest, header.chain) == (told["sequence"], told["digest"], told["chain"])
    assert int.from_bytes((tmp_path / "s").read_bytes()[8:12], "little") == FORMAT_MAX


async def test_verify_compares_with_each_snapshot_that_it_passes(server: EmbeddedServer, tmp_path: Path) -> None:
    async with leading(server.endpoint, tmp_path / "n1") as node, taking(server.endpoint, tmp_path) as snapshotter:
        await stocked(node)
        taken = await snapshotter.take()
        await worked(node, "more")
    assert taken is not None
    assert (await verify(tmp_path)).ok
    path = taken.snapshot.path
    digest = taken.snapshot.header.digest.encode()
    path.write_bytes(path.read_bytes().replace(digest, b"0" * 32))
    found = await verify(tmp_path)
    assert [difference for difference in found.differences if path.name in difference], found.differences


async def test_the_log_is_cut_below_the_second_newest_one_and_nothing_is_lost(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, snapshots=replace(SETTINGS.snapshots, trim_batches_min=2, heartbeat_wait_ms=0))
    snapshotter = Snapshotter(tmp_path, "main", server.endpoint, settings, shared=False)
    await snapshotter.open()
    try:
        async with leading(server.endpoint, tmp_path) as node:
            await stocked(node)
            await worked(node, "one")
            first = await snapshotter.take()
            assert await snapshotter.trim() is None, "one alone proves too little"
            await worked(node, "two")
            await snapshotter.take()
            await until(lambda: node.journal_writer.lag == 0)
            trimmed = await snapshotter.trim()
            await worked(node, "three")
            end = node.state()["sequence"]
    finally:
        await snapshotter.close()
    assert first is not None
    assert trimmed is not None
    assert trimmed.log_first == first.snapshot.header.sequence
    async with leading(server.endpoint, tmp_path) as again:
        assert again.state()["sequence"] > end
    assert (await verify(tmp_path)).ok, "the archive has what was cut"


@pytest.mark.slow
def test_a_gateway_starts_again_from_a_snapshot_and_the_command_line_lists_and_proves_them(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        asyncio.run(filled(gateway.url))
        taken = holdfast("snapshots", "--data", str(tmp_path), "--take", "--prove", "--json")
        assert taken.returncode == 0, taken.stderr
        [listed] = json.loads(taken.stdout)["snapshots"]
        assert listed["proven"]
        assert "compared with n1" in taken.stderr
        asyncio.run(gateway.kill())
        asyncio.run(gateway.start())
        assert '"event":"snapshot-restored"' in gateway.log_file.read_text()
        verified = holdfast("verify", "--data", str(tmp_path), "--json")
        assert verified.returncode == 0, verified.stdout
        path = Path(listed["path"])
        flip(path, path.stat().st_size // 2)
        damaged = holdfast("snapshots", "--data", str(tmp_path), "--prove")
        assert damaged.returncode == 1
        assert "DAMAGED" in damaged.stdout
        asyncio.run(gateway.kill())
        asyncio.run(gateway.start())
        assert '"alarm":"snapshot-damaged"' in gateway.log_file.read_text()
        verified = holdfast("verify", "--data", str(tmp_path), "--json")
        assert verified.returncode == 0, verified.stdout


async def filled(url: str) -> None:
    async with Client(url) as client:
        await client.policies(catalogue.policies())
        await client.facts(catalogue.SOURCE, catalogue.stock())
