"""Retention: the disk stays flat under trade, what is left is whole, and what is old ends."""

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast._core import Engine
from holdfast.nats.streams import stream_state
from holdfast.nats_server.server import EmbeddedServer
from holdfast.protocol.errors import Unavailable
from holdfast.recovery.past import NotKeptError, Past, made_ms
from holdfast.recovery.retention import Retention
from holdfast.recovery.snapshot_schedule import Schedule
from holdfast.recovery.snapshotter import Snapshotter
from holdfast.recovery.verify import verify
from holdfast.settings import JournalSettings, RetentionSettings, Settings, SnapshotSettings
from holdfast.storage.archive import Archive
from holdfast.storage.budget import budget_bytes, within_budget
from holdfast.storage.chain import START, Position
from holdfast.storage.snapshot_files import SnapshotStore
from tests.support.journals import NAMES, leads, node_with_journal, scratch
from tests.support.servers import OWNER_KEY, connected, embedded, put, stocked, until

DAY_MS = 86_400_000
BEGAN_MS = 1_790_000_000_000
SMALL = Settings(
    journal=JournalSettings(segment_bytes_max=4_000, archive_look_ms=0, sync_ms=0),
    snapshots=SnapshotSettings(heartbeat_wait_ms=0, trim_batches_min=1, retained=2),
    retention=RetentionSettings(root_ms=0, root_bytes=0, keep_bytes=60_000, measured_ms=0),
)


class Trade:
    """A shop's batches on a clock that the test sets, archived a day at a time, each day with its root."""

    def __init__(self, directory: Path, bounds: RetentionSettings) -> None:
        self.settings = replace(SMALL, retention=bounds)
        self.engine = Engine("main", OWNER_KEY)
        self.archive = Archive(directory / "archive", "main")
        self.retention = Retention(directory, "main", self.settings)
        self.store = SnapshotStore(directory / "snapshots", "main", self.settings.snapshots)
        self.messages: list[bytes] = []
        self.answers: dict[int, tuple[str, bytes]] = {}
        self.position: Position = START
        self.now_ms = BEGAN_MS

    def add(self, message: bytes) -> None:
        self.messages.append(message)
        if self.engine.pending:
            self.engine.commit(len(self.messages))
        else:
            self.engine.apply(len(self.messages), message)
        self.answers[len(self.messages)] = (self.engine.digest(), self.explained(self.engine))

    def explained(self, engine: Engine) -> bytes:
        return engine.explain("MUG", "web", None, b"{}")[1]

    def facts(self, *facts: dict[str, object]) -> None:
        body = json.dumps({"facts": facts}).encode()
        incoming = [(self.engine.in_upto + 1, "hf.main.in.erp.acme", body)]
        message = self.engine.decide(self.now_ms, self.engine.lead_ms + 1_000, [], incoming).message
        assert message is not None
        self.add(message)

    def open(self) -> None:
        self.add(self.engine.lead_batch("n1", self.now_ms))

    def day(self, levels: list[int]) -> None:
        for number, level in enumerate(levels):
            self.now_ms += DAY_MS // (len(levels) + 1)
            as_of = f"2026-11-23T15:00:00.{len(self.messages):06d}Z"
            fact = {"kind": "stock.level", "sku": "MUG", "location": "lyon", "on_hand": level, "as_of": as_of}
            self.facts(fact | ({"sku": f"CUP-{level}"} if number % 3 == 2 else {}))
        self.now_ms += DAY_MS // (len(levels) + 1)

    def night(self) -> None:
        """What the snapshot process does."""
        at = len(self.messages)
        with self.store.taking():
            part = self.store.part(at)
            self.engine.snapshot(str(part))
            snapshot = self.store.admit(part, at)
        new = [(n, one) for n, one in enumerate(self.messages, start=1) if n > self.position.sequence]
        self.position = self.archive.add(self.position, iter(new), 1 << 20)
        self.retention.keep_root(snapshot)


@settings(max_examples=25)
@given(
    days=st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=4), min_size=2, max_size=7),
    keep_days=st.integers(1, 6),
    keep_bytes=st.one_of(st.just(0), st.integers(2_000, 40_000)),
    looks=st.sets(st.integers(0, 6)),
)
def test_after_any_cut_by_the_rule_every_kept_moment_is_what_it_was(
    days: list[list[int]], keep_days: int, keep_bytes: int, looks: set[int]
) -> None:
    with scratch() as directory:
        bounds = RetentionSettings(keep_days=keep_days, keep_bytes=keep_bytes, root_ms=0, root_bytes=0)
        trade = Trade(directory, bounds)
        trade.open()
        for number, levels in enumerate(days):
            trade.day(levels)
            trade.night()
            if number in looks:
                kept = trade.retention.look(0, 0, trade.now_ms)
                assert kept.removed_upto < len(trade.messages)
        past = Past(directory, "main", trade.settings)
        oldest = past.oldest()
        began = oldest.header.sequence if oldest is not None else 0
        assert past.last == len(trade.messages), "the newest is never removed"
        for sequence in range(max(began, 1), len(trade.messages) + 1):
            core = past.core(sequence, owner_key=OWNER_KEY)
            assert (core.digest(), trade.explained(core)) == trade.answers[sequence]
            assert past.core(before_ms=made_ms(trade.messages[sequence - 1])).sequence >= sequence
        if began > 1:
            with pytest.raises(NotKeptError, match="before what is kept"):
                past.core(began - 1)
        with pytest.raises(NotKeptError, match="ends at"):
            past.core(len(trade.messages) + 1)


def test_what_is_older_than_the_days_to_keep_is_removed_and_the_names_in_it_with_it(tmp_path: Path) -> None:
    trade = Trade(tmp_path, RetentionSettings(keep_days=3, root_ms=DAY_MS, root_bytes=1 << 30))
    trade.open()
    sizes = []
    for _ in range(30):
        trade.day([5, 6, 7, 8])
        trade.night()
        kept = trade.retention.look(0, 0, trade.now_ms)
        sizes.append(kept.used_bytes)
        assert kept.since_ms is not None
        assert trade.now_ms - kept.since_ms <= 5 * DAY_MS
    assert max(sizes[10:]) <= 1.2 * sizes[9], "the disk stays flat"
    first = trade.archive.first
    assert first > 60
    assert not [n for n, _ in trade.archive.messages() if n < first]
    assert trade.archive.check().sequence == len(trade.messages)


def test_a_machine_that_was_away_begins_its_archive_again_and_keeps_the_old_part_as_long_as_the_rest(
    tmp_path: Path,
) -> None:
    trade = Trade(tmp_path, RetentionSettings(keep_days=3, root_ms=0, root_bytes=0))
    trade.open()
    trade.day([1, 2])
    trade.night()
    aside = trade.archive.set_aside()
    assert aside is not None
    assert trade.archive.first == 0
    assert trade.archive.aside() == [aside]
    assert trade.retention.look(0, 0, int(time.time() * 1000)).bytes_by_part["archive"] > 0
    trade.retention.look(0, 0, int(time.time() * 1000) + 4 * DAY_MS)
    assert trade.archive.aside() == []


def test_the_budget_is_half_of_the_disk_whatever_is_on_it_already_and_streams_fit_in(tmp_path: Path) -> None:
    assert budget_bytes(0, 1_000, 0) == budget_bytes(0, 400, 600) == 500
    assert budget_bytes(77, 1_000, 0) == 77
    bounded = within_budget(replace(Settings(), retention=RetentionSettings(keep_bytes=1 << 30)), tmp_path / "new")
    assert bounded.log.log_bytes_max == 1 << 28
    assert bounded.log.in_bytes_max == 1 << 27
    least = within_budget(replace(Settings(), retention=RetentionSettings(keep_bytes=1 << 26)), tmp_path)
    assert least.log.log_bytes_max == 1 << 26


async def snapshots(server: EmbeddedServer, directory: Path, bounds: Settings) -> Snapshotter:
    snapshotter = Snapshotter(directory, "main", server.endpoint, bounds, shared=False)
    await snapshotter.open()
    return snapshotter


async def test_under_trade_the_disk_stays_flat_and_verify_says_from_where_it_proved(tmp_path: Path) -> None:
    async with embedded(tmp_path) as server:
        snapshotter = await snapshots(server, tmp_path, SMALL)
        used, digest, kept = [], "", None
        try:
            async with node_with_journal(server.endpoint, tmp_path, SMALL) as node:
                await leads(node)
                await stocked(node)
                for turn in range(16):
                    for number in range(30):
                        assert (await put(node, f"t{turn}-{number}", ("S1", 1)))[0] == 201
                    await until(lambda: node.counters()["journal_lag"] == 0)
                    await snapshotter.take()
                    await snapshotter.trim()
                    kept = await snapshotter.keep_within()
                    used.append(kept.used_bytes)
                digest = node.state()["digest"]
        finally:
            await snapshotter.close()
        assert kept is not None
        assert kept.budget_bytes == 60_000
        assert max(used) <= 1.3 * 60_000
        assert kept.bytes_by_part["archive"] > 0
        async with connected(server.endpoint) as connection:
            assert (await stream_state(connection, NAMES.log)).first_sequence > 100
    archive = Archive(tmp_path / "archive", "main")
    assert archive.first > 1, "the beginning was removed"
    report = await verify(tmp_path)
    assert report.ok, report.differences
    assert (report.digest, report.from_sequence) == (digest, archive.first - 1)


async def test_a_log_that_is_full_refuses_loses_nothing_and_goes_on_when_it_was_cut(tmp_path: Path) -> None:
    bounds = replace(SMALL, log=replace(SMALL.log, log_bytes_max=60_000, api_timeout_ms=2_000))
    async with embedded(tmp_path, bounds) as server, node_with_journal(server.endpoint, tmp_path, bounds) as node:
        await leads(node)
        await stocked(node)
        snapshotter = await snapshots(server, tmp_path, bounds)
        answered, refused = 0, ""
        while not refused:
            try:
                assert (await put(node, f"r{answered}", ("S1", 1)))[0] == 201
                answered += 1
                if answered == 60:
                    await snapshotter.take()
            except Unavailable as problem:
                refused = str(problem)
        assert answered > 60
        assert refused == "log-unavailable (unknown)"
        schedule = Schedule(snapshotter, bounds)
        asked = asyncio.create_task(put(node, f"r{answered}", ("S1", 1)))  # the same again: it gets its one answer
        try:
            assert await snapshotter.fill_since() > 0.5, "a snapshot is due, however few batches there are"
            await schedule._attempt()
            await until(lambda: node.counters()["sequence"] > answered, 5)
        finally:
            await snapshotter.close()
        with contextlib.suppress(Unavailable):
            await asked
        for number in range(answered + 3):
            assert (await put(node, f"r{number}", ("S1", 1)))[0] in {200, 201}
        await until(lambda: node.counters()["journal_lag"] == 0)
    report = await verify(tmp_path)
    assert report.ok, report.differences
