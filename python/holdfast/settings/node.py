"""Settings of one process's part in a scope.

In: nothing. Out: NodeSettings. Always: each queue has a bound and each wait an end.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import GIB, KIB, MIB, MINUTE_MS, SECOND_MS

_QUEUED_MAX = 10_000_000


@section("node", "One process's part in a scope: queues, deadlines, the lease.")
@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One process's part in a scope: queues, batches, deadlines, clocks."""

    # Queues. A full one answers 503 overloaded, outcome not-done.
    commands_queued_max: int = public(
        20_000,
        "Commands that wait in the leader for the next batch. Beyond it: 503 `overloaded`.",
        lowest=1,
        highest=_QUEUED_MAX,
        unit="commands",
    )
    reads_waiting_max: int = public(
        20_000,
        "Reads that wait in one process. Beyond it: 503 `overloaded`.",
        lowest=1,
        highest=_QUEUED_MAX,
        unit="reads",
    )
    facts_waiting_max: int = public(
        10_000,
        "Messages with facts that wait in one process until the leader took them in. Beyond it: 503 `overloaded`.",
        lowest=1,
        highest=_QUEUED_MAX,
        unit="messages",
    )
    facts_remembered_max: int = 10_000
    incoming_queued_max: int = 256
    incoming_queued_bytes_max: int = 8 * MIB

    # What one decide takes at most. The core closes a batch at its own bounds.
    decide_commands_max: int = 1_000
    decide_incoming_max: int = 64

    # An append: identical bytes are sent again until there is evidence, at most this long.
    append_deadline_ms: int = 30 * SECOND_MS
    append_timeout_ms: int = 1_500
    append_retry_ms: int = 100
    append_full_retry_ms: int = 1 * SECOND_MS
    read_back_retry_ms: int = 75

    # Clients. Beyond these they get a 503 that says what is known.
    command_deadline_ms: int = public(
        2 * SECOND_MS,
        "How long a command may take. After it: 503 with what is known of its outcome.",
        lowest=100,
        highest=MINUTE_MS,
    )
    facts_deadline_ms: int = public(
        30 * SECOND_MS,
        "How long a call with facts may take. After it: 503 with what is known of its outcome.",
        lowest=SECOND_MS,
        highest=10 * MINUTE_MS,
    )
    read_wait_ms: int = public(
        250,
        "How long a read waits for the batch under way. After it, availability answers with mode `degraded`.",
        lowest=0,
        highest=10 * SECOND_MS,
    )
    read_deadline_ms: int = public(
        2 * SECOND_MS,
        "How long a read waits for the sequence that it asked for (`min_sequence`). After it: 503.",
        lowest=100,
        highest=MINUTE_MS,
    )
    retry_after_s: int = 1

    # Following: commands are forwarded to the leader, those of one turn together, each at most once. A full queue
    # answers 503 overloaded, outcome not-done.
    forward_queued_max: int = public(
        20_000,
        "Commands that wait in a follower to be sent to the leader. Beyond it: 503 `overloaded`.",
        lowest=1,
        highest=_QUEUED_MAX,
        unit="commands",
    )
    forward_queued_bytes_max: int = public(
        64 * MIB,
        "Their bytes together. Beyond it: 503 `overloaded`.",
        lowest=MIB,
        highest=16 * GIB,
    )
    forward_commands_max: int = 500
    forward_bytes_max: int = 256 * KIB
    forwards_in_flight_max: int = 32
    # Over the socket of a leader on this machine. Few, so that what comes meanwhile travels together.
    local_forwards_in_flight_max: int = 2
    local_retry_ms: int = 500
    forward_margin_ms: int = 100  # the leader gives up this much earlier, so that its answer still arrives
    forward_apply_wait_ms: int = 1 * SECOND_MS  # for this process to hold what the leader answered
    facts_ask_again_ms: int = 50
    answer_part_bytes_max: int = 256 * KIB
    answer_bytes_max: int = 64 * MIB

    # Each process's heartbeat; by it others know how far they are behind, and compare digests.
    heartbeat_ms: int = 1 * SECOND_MS
    heartbeat_peers_max: int = 256
    heartbeat_silent_ms: int = 10 * SECOND_MS  # then a process is forgotten
    digest_every: int = 64  # sequences
    digests_sent_max: int = 32
    digests_kept_max: int = 1_024
    live_age_ms_max: int = public(
        2_500,
        "How old a follower's state may be and still count as live: beyond it the follower is not ready, and its reads "
        "are marked `stale`. Below the heartbeat of 1 s nothing would be live.",
        lowest=1_500,
        highest=10 * MINUTE_MS,
    )

    # Clocks.
    tick_ms: int = 25
    lead_step_ms_max: int = 1 * SECOND_MS
    wall_jump_ms: int = 5 * SECOND_MS

    # The lease: which process may lead. It is for liveness; the fence is for safety.
    lease_ttl_ms: int = public(
        3 * SECOND_MS,
        "How long the lease of the leader lasts; renewed after a third of it. A leader that died is replaced within "
        "this time and a second. The same on every process of a scope.",
        lowest=2_500,
        highest=5 * MINUTE_MS,
    )
    lease_margin_ms: int = 500  # a leader counts on it for this much less than its time
    lease_call_ms: int = 1 * SECOND_MS
    lease_retry_ms: int = 250
    lease_poll_ms: int = 500
    lease_poll_late_ms: int = 100  # once its holder has missed a renewal
    lease_jitter_ms_max: int = 300
    lease_unused_ms: int = 10 * SECOND_MS  # a holder that cannot lead lets another try

    # What other processes and the streams report, before leading and while quarantined.
    peers_gather_ms: int = 250
    peers_max: int = 64
    chains_remembered_max: int = 1_024
    evidence_fresh_ms: int = 2 * SECOND_MS
    evidence_every_ms: int = 5 * SECOND_MS
    evidence_again_ms: int = 3 * SECOND_MS
    evidence_retry_ms: int = 500
    evidence_call_ms: int = 2 * SECOND_MS
    tail_check_retry_ms: int = 250  # after a reconnection: is LOG's newest message still the same?
    evidence_patience_ms: int = 3 * SECOND_MS

    # Taking the lead again after stepping down.
    lead_retry_first_ms: int = 50
    lead_retry_ms_max: int = 5 * SECOND_MS
    rebuild_retry_ms: int = 500

    # Replaying: how much goes to the core in one call, off the event loop.
    replay_chunk_bytes_max: int = 4 * MIB
    replay_chunk_messages_max: int = 256
    replay_progress_ms: int = 500

    # Stopping.
    drain_ms: int = public(
        10 * SECOND_MS,
        "How long a worker that stops waits for batches that are under way.",
        lowest=0,
        highest=10 * MINUTE_MS,
    )
