"""A snapshot of each format version that was ever written still gives the state that it gave then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast._core import Engine
from holdfast.settings import SnapshotSettings
from holdfast.storage.snapshot_files import FORMAT_MAX, read_header
from tests.support.golden import PLACE

FILES = sorted(PLACE.glob("*.hfsnap"))
ADVICE = (
    "the format or the digest changed: raise FORMAT (rust/core/src/snapshot.rs), read the old one too, and write "
    "golden files of the new version (python -m tests.support.golden); before the first release, anew is enough"
)


def test_there_is_one_of_each_version() -> None:
    versions = {path.name.partition("-")[0] for path in FILES}
    assert versions == {f"v{version}" for version in range(1, FORMAT_MAX + 1)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_still_gives_its_digest_and_can_go_on(path: Path, tmp_path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    engine = Engine.restore("main", None, str(path))
    assert engine.digest() == expected["digest"], ADVICE
    assert (engine.sequence, engine.chain) == (expected["sequence"], expected["chain"])
    totals = json.loads(engine.totals())  # newer versions count more
    assert {name: totals[name] for name in expected["totals"]} == expected["totals"], ADVICE
    assert engine.check_thoroughly() == []
    assert engine.apply(engine.sequence + 1, engine.lead_batch("n2", engine.now_ms))
    engine.snapshot(str(tmp_path / "next"))
    assert Engine.restore("main", None, str(tmp_path / "next")).digest() == engine.digest()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_header_is_still_read_without_an_engine(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    header = read_header(path, SnapshotSettings().header_bytes_max)
    assert (header.sequence, header.digest) == (expected["sequence"], expected["digest"])
    assert [list(table) for table in header.tables] == expected["tables"]


def test_the_history_among_them_fills_every_table() -> None:
    newest = PLACE / f"v{FORMAT_MAX}-history.hfsnap"
    header = read_header(newest, SnapshotSettings().header_bytes_max)
    assert [name for name, entries in header.tables if entries == 0] == []
