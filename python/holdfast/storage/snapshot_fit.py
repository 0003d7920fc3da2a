"""Whether a snapshot belongs to a LOG.

Role: judge a snapshot by its header, before it is restored. In: the header, where LOG begins and ends, LOG's message at
the snapshot's sequence. Out: why it does not belong there, and whether it never will. Always: no I/O; what LOG can
show is checked, and where LOG has the message its chain hash decides.
"""

from dataclasses import dataclass

from holdfast.storage.chain import chain_hash
from holdfast.storage.snapshot_files import SnapshotHeader


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a snapshot does not belong to this LOG, and whether it never will."""

    why: str
    permanent: bool


def misplaced(header: SnapshotHeader, scope: str, first_sequence: int, last_sequence: int) -> Mismatch | None:
    """By where LOG begins and ends, as reported. None: it may belong there."""
    sequence = header.sequence
    if header.scope != scope:
        return Mismatch(f"it is of scope {header.scope}", permanent=True)
    if sequence > last_sequence:
        why = f"the log ends at {last_sequence}, before its sequence {sequence}: did the log lose its end?"
        return Mismatch(why, permanent=False)
    if first_sequence > sequence + 1:
        return Mismatch(f"the log begins at {first_sequence}, after its sequence {sequence}", permanent=True)
    return None


def estranged(header: SnapshotHeader, message: bytes) -> Mismatch | None:
    """By LOG's message at its sequence. None: it is the one that the snapshot was made after."""
    if chain_hash(message) == header.chain:
        return None
    why = f"the log has another message at {header.sequence} than the one that the snapshot was made after"
    return Mismatch(why, permanent=True)
