"""A snapshot of which the disk kept something else: said to be unreadable, whatever it became."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast._core import Engine, SnapshotError
from holdfast.errors import SnapshotTooNewError, SnapshotUnreadableError
from holdfast.storage.snapshot_files import read_header

HEADER_BYTES_MAX = 1 << 20


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    engine = Engine("main")
    engine.apply(1, engine.lead_batch("n1", 1_790_000_000_000))
    path = tmp_path_factory.mktemp("snapshots") / "whole"
    engine.snapshot(str(path))
    return path


@given(st.integers(0, 1 << 16), st.integers(0, 7), st.booleans())
def test_a_flipped_bit_or_a_torn_file_is_found(snapshot: Path, at: int, bit: int, torn: bool) -> None:
    content = snapshot.read_bytes()
    at %= len(content)
    damaged = content[:at] if torn else content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]
    path = snapshot.with_name("damaged")
    path.write_bytes(damaged)
    try:
        read_header(path, HEADER_BYTES_MAX)
    except (SnapshotUnreadableError, SnapshotTooNewError):
        return
    with pytest.raises(SnapshotError):
        Engine.restore("main", None, str(path))


def test_a_header_that_is_no_text_is_unreadable(snapshot: Path) -> None:
    """The simulation found it: the fault of the text escaped, and the node halted as it started."""
    path = snapshot.with_name("no-text")
    path.write_bytes(snapshot.read_bytes().replace(b'"n1"', b'"\xee1"'))
    with pytest.raises(SnapshotUnreadableError):
        read_header(path, HEADER_BYTES_MAX)
