"""Settings of the files of a node on its own disk: the journal, the archive and the snapshots.

In: nothing. Out: JournalSettings, SnapshotSettings, RetentionSettings. Always: none of it is needed to rebuild
the state from a whole log.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import DAY_MS, GIB, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS, TIB


@section("journal", "Each node's own copy of LOG ([journal.md](journal.md)).")
@dataclass(frozen=True, slots=True)
class JournalSettings:
    """A node's own copy of LOG (docs/journal.md)."""

    segment_bytes_max: int = public(64 * MIB, "Size of one file of the journal.", lowest=MIB, highest=GIB)
    bytes_max: int = public(
        64 * GIB,
        "Size of the journal. Beyond it nothing more is written to it, which raises an alarm; the log goes on.",
        lowest=64 * MIB,
        highest=1024 * TIB,
    )
    write_ms: int = public(
        50,
        "Messages that arrive within this time are written together. Shorter costs CPU time.",
        lowest=1,
        highest=SECOND_MS,
    )
    sync_ms: int = public(
        1 * SECOND_MS,
        "How long after a write the file is fsynced, at the latest. 0: after every write.",
        lowest=0,
        highest=MINUTE_MS,
    )
    queued_bytes_max: int = public(
        32 * MIB,
        "Memory for messages that wait to be written. Beyond it the journal lags and catches up from LOG.",
        lowest=8 * MIB,
        highest=16 * GIB,
    )
    group_bytes_max: int = 4 * MIB
    retry_ms: int = 2 * SECOND_MS  # after the disk refused
    archive_bytes_max: int = 256 * MIB  # of messages in one file of the archive, before compression
    archive_look_ms: int = 1 * MINUTE_MS  # how often segments that are archived are removed


@section("snapshots", "Snapshots of the state, and the process that takes them ([snapshots.md](snapshots.md)).")
@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """Snapshots of the state, and the process that makes them (docs/snapshots.md)."""

    every_batches: int = public(
        50_000,
        "A snapshot is taken after this many batches. 0: none is taken, and no process is started for it.",
        lowest=0,
        highest=1_000_000_000,
    )
    every_ms: int = public(
        15 * MINUTE_MS,
        "A snapshot is taken after this time, if there was a batch.",
        lowest=10 * SECOND_MS,
        highest=30 * DAY_MS,
    )
    start_ms: int = 5 * SECOND_MS  # not while a gateway starts
    look_ms: int = 1 * SECOND_MS
    retry_ms: int = public(
        60 * SECOND_MS,
        "How long after a snapshot that failed the next one is tried; twice as long after each further failure, up to "
        "15 minutes, and never sooner than 20 times what the attempt took.",
        lowest=SECOND_MS,
        highest=15 * MINUTE_MS,
    )
    retry_ms_max: int = 15 * MINUTE_MS
    retry_rest_factor: int = 20  # so that failing attempts cost at most one part in 21 (5 %) of a core
    niceness: int = public(
        10, "Niceness of the process that takes them, added to that of `serve`.", lowest=0, highest=19, unit="nice"
    )
    # Reading LOG at full speed keeps the nats-server and a core busy for seconds: checkouts beside it waited 60 ms.
    replay_rest: float = 3.0
    heartbeat_wait_ms: int = 3 * SECOND_MS  # for another process to report its digest of the same state

    retained: int = public(3, "Newest snapshots that stay.", lowest=1, highest=1_000, unit="files")
    damaged_retained: int = public(
        1, "Damaged snapshots that stay, so that their cause can be found.", lowest=0, highest=1_000, unit="files"
    )
    header_bytes_max: int = 64 * KIB

    trim_batches_min: int = public(
        50_000,
        "LOG and IN are cut below the second newest snapshot once this many batches lie below it, or after a day, when "
        "they are in the archive. 0: never; nor where no snapshots are taken, or fewer than two stay.",
        lowest=0,
        highest=1_000_000_000_000,
    )
    trim_ms_max: int = 1 * DAY_MS

    shared: bool | None = public(
        None,
        "Whether snapshots also go through NATS, so that a new node can start from one.",
        unset="true where `serve.nats` is set, else false",
    )
    shared_retained: int = public(2, "Newest shared snapshots that stay.", lowest=1, highest=100, unit="snapshots")
    shared_bytes_max: int = public(
        8 * GIB,
        "Size of the object store of shared snapshots when it is made.",
        lowest=64 * MIB,
        highest=TIB,
    )
    shared_part_bytes: int = 128 * KIB
    shared_part_pause_ms: int = 5  # between uploaded parts: the log has priority
    shared_timeout_ms: int = public(
        10 * MINUTE_MS,
        "How long putting or getting one shared snapshot may take.",
        lowest=SECOND_MS,
        highest=6 * HOUR_MS,
    )

    @property
    def cut_after_batches(self) -> int:
        """How many batches must lie below the second newest snapshot before LOG is cut there; 0: it never is."""
        return self.trim_batches_min if self.every_batches > 0 and self.retained > 1 else 0


@section("retention", "How much of the past stays on the disk ([retention.md](retention.md)).")
@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How much of the past stays on the disk (docs/retention.md)."""

    keep_days: int = public(
        30,
        "Days of the past that stay in the archive. What is older is removed, and with it the order numbers and "
        "reservations in it.",
        lowest=1,
        highest=36_500,
        unit="days",
    )
    keep_bytes: int = public(
        0,
        "Bytes that LOG, IN, journals, archive and snapshots of this machine may take together. Beyond it the archive "
        "keeps fewer days. 0: half of what the disk of the data directory has free, what is kept counted as free.",
        lowest=0,
        highest=1024 * TIB,
    )
    # A state that stays in the archive, from which the past is rebuilt: after a day, or so much archive, sooner.
    root_ms: int = 1 * DAY_MS
    root_bytes: int = 256 * MIB
    # Of the budget: what a LOG, and an IN, that is made here may take, at most.
    log_part: int = 4
    in_part: int = 8
    measured_ms: int = 1 * MINUTE_MS
    free_bytes_min: int = 256 * MIB  # of the disk; less raises an alarm
