"""Snapshots of the core on random histories: a restored engine is the engine that was written, and stays so.

The histories are those that the core plays beside the oracle (all fact kinds, all commands). After a restore at some
point both engines are given the rest; every batch, answer and digest must be the same, and so must a snapshot of both
at the end, which holds what neither answers nor digests show. The rules of damage are tried in Rust
(snapshot/tests.rs).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast._core import Engine, PendingError, SnapshotError
from holdfast.storage.snapshot_files import FORMAT_MAX
from tests.support.histories import PickBySeed
from tests.support.oracle.beside import NOON, Beside, Told
from tests.support.playing import History

OWNER_KEY = b"0123456789abcdef0123456789abcdef"


def played(seed: int, steps: int) -> Beside:
    """A history of so many steps."""
    history, pick = History(), PickBySeed(seed)
    history.opening(pick)
    for _ in range(steps):
        pick.one(history.moves(pick))()
    return history.beside


def opened(beside: Beside) -> Engine:
    engine = Engine("main", OWNER_KEY)
    engine.apply(1, engine.lead_batch("n1", NOON, json.dumps(beside.rules).encode()))
    return engine


def told(engine: Engine, told: Told) -> tuple[bytes | None, list[tuple[int, bytes]]]:
    """One batch; what LOG gets, and the answers."""
    now_ms, lead_ms, commands, incoming = told
    decision = engine.decide(now_ms, lead_ms, commands, incoming)
    if decision.message is not None:
        engine.commit(engine.sequence + 1)
    return decision.message, decision.answers


def written(engine: Engine, path: Path) -> bytes:
    engine.snapshot(str(path))
    return path.read_bytes()


@pytest.mark.parametrize("seed", range(12))
def test_a_restored_engine_goes_on_exactly_as_the_one_that_was_written(seed: int, tmp_path: Path) -> None:
    history = played(seed, 40).told
    cuts = range(seed % 7, len(history), 9)
    for cut in cuts:
        engine = opened(Beside(renewals_max=2))
        for step in history[:cut]:
            told(engine, step)
        there = tmp_path / f"{cut}.hfsnap"
        before = written(engine, there)
        restored = Engine.restore("main", OWNER_KEY, str(there))
        assert written(restored, tmp_path / f"{cut}-again.hfsnap") == before
        assert restored.check_thoroughly() == []
        assert restored.totals() == engine.totals()
        for step in history[cut:]:
            assert told(restored, step) == told(engine, step)
            assert restored.digest() == engine.digest()
        assert written(restored, tmp_path / f"{cut}-a.hfsnap") == written(engine, tmp_path / f"{cut}-b.hfsnap")


def test_a_follower_writes_the_bytes_of_another_follower(tmp_path: Path) -> None:
    batches = played(99, 30).batches
    one, other = Engine("main", OWNER_KEY), Engine("main", b"another key of owners, of any size")
    for engine in (one, other):
        assert engine.apply_many(1, batches) == 0
    assert written(one, tmp_path / "one") == written(other, tmp_path / "other")


def test_the_header_says_where_in_log_it_stands_and_needs_no_engine_to_be_read(tmp_path: Path) -> None:
    beside = played(5, 20)
    assert beside.follower is not None
    engine = beside.follower
    header = json.loads(engine.snapshot(str(tmp_path / "s")))
    assert header["scope"] == "main"
    assert (header["sequence"], header["batch"], header["epoch"]) == (engine.sequence, engine.batch, 1)
    assert (header["chain"], header["digest"], header["in_upto"]) == (engine.chain, engine.digest(), engine.in_upto)
    assert dict(header["tables"])["skus"] > 0
    raw = (tmp_path / "s").read_bytes()
    assert raw[:8] == b"HFSNAP\r\n"
    length = int.from_bytes(raw[12:16], "little")
    assert json.loads(raw[16 : 16 + length]) == header


def test_a_snapshot_is_a_new_file_and_waits_for_the_batch_under_way(tmp_path: Path) -> None:
    engine = opened(Beside())
    there = str(tmp_path / "s")
    engine.snapshot(there)
    with pytest.raises(FileExistsError):
        engine.snapshot(there)
    assert engine.decide(NOON + 86_400_000, 0, [], []).message is not None
    with pytest.raises(PendingError):
        engine.snapshot(str(tmp_path / "t"))


def test_what_is_no_snapshot_is_told_in_words(tmp_path: Path) -> None:
    there = tmp_path / "s"
    opened(Beside()).snapshot(str(there))
    raw = there.read_bytes()
    there.write_bytes(raw[:8] + (FORMAT_MAX + 1).to_bytes(4, "little") + raw[12:])
    with pytest.raises(SnapshotError, match=f"format {FORMAT_MAX + 1}, this build reads up to {FORMAT_MAX}"):
        Engine.restore("main", None, str(there))
    there.write_bytes(raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:])
    with pytest.raises(SnapshotError, match="damaged"):
        Engine.restore("main", None, str(there))
    there.write_bytes(raw)
    with pytest.raises(SnapshotError, match="of scope"):
        Engine.restore("other", None, str(there))
    with pytest.raises(FileNotFoundError):
        Engine.restore("main", None, str(tmp_path / "nowhere"))
