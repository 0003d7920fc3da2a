"""Every limit of the system, by name.

Role: one place where a bound on a queue, batch, body, page, cache or wait is found and changed.
In: what the command line, the environment or a file overrides. Out: frozen values that the other modules read.
Always: units come last in a name; each default is a value that works on one small machine; nothing here is mutable.
"""

from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
DAY_MS = 24 * 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The streams, the connection to NATS, and the embedded server."""

    # Streams: bounds of one scope. A full IN or LOG refuses (503 log-unavailable); it never drops what is old.
    replicas: int = 1
    in_bytes_max: int = 16 * GIB
    log_bytes_max: int = 64 * GIB
    dead_bytes_max: int = 1 * GIB
    in_message_bytes_max: int = 512 * KIB
    log_message_bytes_max: int = 1 * MIB
    dead_message_bytes_max: int = 1 * MIB
    in_duplicate_window_ms: int = 10 * MINUTE_MS
    dead_duplicate_window_ms: int = 10 * MINUTE_MS
    dead_kept_ms: int = 30 * DAY_MS

    # The way to a NATS of one's own: files, where it asks for them. Empty: none.
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    credentials: str = ""

    # What a NATS server must be.
    server_version_min: tuple[int, int] = (2, 10)
    server_version_replicas_min: tuple[int, int] = (2, 11)  # before: two fenced writers could both be acknowledged
    server_version_wanted: tuple[int, int] = (2, 14)

    # The connection. Short pings find a dead server; reconnecting never gives up.
    connect_timeout_ms: int = 2 * SECOND_MS
    connect_patience_ms: int = 10 * SECOND_MS
    reconnect_wait_ms: int = 100
    ping_interval_ms: int = 2 * SECOND_MS
    pings_outstanding_max: int = 2
    request_timeout_ms: int = 1_500
    api_timeout_ms: int = 5 * SECOND_MS
    stream_patience_ms: int = 30 * SECOND_MS  # at a start: a cluster that came up elects a leader for each stream

    # Reading a stream: what may be on its way or wait here, not yet taken.
    read_ahead_messages_max: int = 512
    read_ahead_bytes_max: int = 16 * MIB
    pull_messages_max: int = 128
    pull_expires_ms: int = 30 * SECOND_MS
    pull_heartbeat_ms: int = 1 * SECOND_MS
    reader_silence_ms: int = 4 * SECOND_MS
    reader_retry_ms: int = 200
    consumer_idle_ms: int = 60 * SECOND_MS

    # Publishing to IN and to the dead letters.
    in_publish_deadline_ms: int = 5 * SECOND_MS
    dead_queued_max: int = 10_000
    dead_retry_ms: int = 1_500

    # The embedded server.
    server_payload_bytes_max: int = 1 * MIB
    server_memory_bytes_max: int = 64 * MIB
    server_log_bytes_max: int = 8 * MIB
    server_log_files_max: int = 3
    server_start_timeout_ms: int = 5 * MINUTE_MS  # a large store that was not closed cleanly is read through
    server_stop_timeout_ms: int = 10 * SECOND_MS
    server_watch_ms: int = 50
    server_health_ms: int = 2 * SECOND_MS
    server_health_failures_max: int = 5
    server_restart_first_ms: int = 50
    server_restart_wait_ms_max: int = 5 * SECOND_MS
    server_restarts_max: int = 20  # in a row, none of which lasted
    server_free_bytes_min: int = 4 * MIB
    orphan_timeout_ms: int = 10 * SECOND_MS


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One process's part in a scope: queues, batches, deadlines, clocks."""

    # Queues. A full one answers 503 overloaded, outcome not-done.
    commands_queued_max: int = 20_000
    reads_waiting_max: int = 20_000
    facts_waiting_max: int = 10_000
    facts_remembered_max: int = 10_000
    incoming_queued_max: int = 256
    incoming_queued_bytes_max: int = 8 * MIB

    # A batch. The core closes it at these bounds; one decide takes at most so many commands.
    batch_bytes_max: int = 256 * KIB
    batch_facts_max: int = 2_000
    decide_commands_max: int = 1_000
    decide_incoming_max: int = 64
    appends_in_flight_max: int = 1  # The fence is sound for one alone (docs/adr). Stated here, not to be raised.

    # An append: identical bytes are sent again until there is evidence, at most so long.
    append_deadline_ms: int = 30 * SECOND_MS
    append_timeout_ms: int = 1_500
    append_retry_ms: int = 100
    append_full_retry_ms: int = 1 * SECOND_MS
    read_back_retry_ms: int = 75

    # Clients. Beyond these they get a 503 that says what is known.
    command_deadline_ms: int = 2 * SECOND_MS
    facts_deadline_ms: int = 30 * SECOND_MS
    read_patience_ms: int = 250
    read_deadline_ms: int = 2 * SECOND_MS
    retry_after_s: int = 1

    # Following: commands go on to the leader, several of one moment together, each at most once. A full queue answers
    # 503 overloaded, outcome not-done.
    forward_queued_max: int = 20_000
    forward_queued_bytes_max: int = 64 * MIB
    forward_commands_max: int = 500
    forward_bytes_max: int = 256 * KIB
    forwards_in_flight_max: int = 32
    forward_margin_ms: int = 100  # the leader gives up so much earlier, so that its word still arrives
    forward_apply_wait_ms: int = 1 * SECOND_MS  # for this process to hold what the leader answered
    facts_ask_again_ms: int = 50
    answer_part_bytes_max: int = 256 * KIB
    answer_bytes_max: int = 64 * MIB

    # Each process's pulse; by it others know how far they are behind, and compare digests.
    pulse_ms: int = 1 * SECOND_MS
    pulse_peers_max: int = 256
    pulse_silent_ms: int = 10 * SECOND_MS  # then a process is forgotten
    digest_every: int = 64  # sequences
    digests_sent_max: int = 32
    digests_kept_max: int = 1_024
    live_age_ms_max: int = 2_500

    # Clocks.
    tick_ms: int = 25
    lead_step_ms_max: int = 1 * SECOND_MS
    wall_jump_ms: int = 5 * SECOND_MS

    # The lease: who is to lead. The same on every process of a scope. It is for liveness; the fence is what is safe.
    lease_ttl_ms: int = 3 * SECOND_MS  # renewed after a third of it
    lease_margin_ms: int = 500  # a leader counts on it for so much less than its time
    lease_call_ms: int = 1 * SECOND_MS
    lease_retry_ms: int = 250
    lease_poll_ms: int = 500
    lease_poll_late_ms: int = 100  # once its holder has missed a renewal
    lease_jitter_ms_max: int = 300
    lease_unused_ms: int = 10 * SECOND_MS  # whoever holds it and cannot lead lets another try

    # What other processes and the streams say, before leading and while quarantined.
    peers_gather_ms: int = 250
    peers_max: int = 64
    chains_remembered_max: int = 1_024
    evidence_fresh_ms: int = 2 * SECOND_MS
    evidence_every_ms: int = 5 * SECOND_MS
    evidence_again_ms: int = 3 * SECOND_MS
    evidence_retry_ms: int = 500
    evidence_call_ms: int = 2 * SECOND_MS
    footing_retry_ms: int = 250  # after a reconnection: is LOG's newest message still what it was?
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
    drain_ms: int = 10 * SECOND_MS


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """A node's own copy of LOG (docs/journal.md)."""

    segment_bytes_max: int = 64 * MIB
    bytes_max: int = 64 * GIB  # beyond it nothing more is kept, which is alarmed; LOG has the same bound
    write_ms: int = 50  # what comes within this time goes out in one write; shorter costs the event loop its CPU
    sync_ms: int = 1 * SECOND_MS  # fsynced this long after a write at the latest; 0: after every write
    queued_bytes_max: int = 32 * MIB  # waiting to be written; beyond it the journal lags and catches up from LOG
    group_bytes_max: int = 4 * MIB
    retry_ms: int = 2 * SECOND_MS  # after the disk refused
    archive_bytes_max: int = 256 * MIB  # of messages in one file of the archive, before compression
    archive_look_ms: int = 1 * MINUTE_MS  # how often segments that are archived are let go of


@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """Snapshots of the state, and the process that makes them (docs/snapshots.md)."""

    # One is taken after so many batches, or after so long if there was any; 0 batches: none is taken by itself.
    every_batches: int = 50_000
    every_ms: int = 15 * MINUTE_MS
    start_ms: int = 5 * SECOND_MS  # not while a gateway starts
    look_ms: int = 1 * SECOND_MS
    retry_ms: int = 60 * SECOND_MS
    niceness: int = 10
    pulse_wait_ms: int = 3 * SECOND_MS  # for another process to say its digest of the same state

    kept: int = 3
    set_aside_kept: int = 1  # damaged ones, for whoever wants to know why
    header_bytes_max: int = 64 * KIB

    # LOG and IN are cut below the second newest snapshot once so much lies below it, after it is in the archive.
    # 0: never. On several machines each has an archive of its own: there it is an operator's to decide.
    trim_batches_min: int = 0

    # Shared through NATS, so that a new node can start from one. None: where NATS is not this machine's own.
    shared: bool | None = None
    shared_kept: int = 2
    shared_bytes_max: int = 8 * GIB
    shared_part_bytes: int = 128 * KIB
    shared_part_pause_ms: int = 5  # between parts on their way up: the log goes first
    shared_timeout_ms: int = 10 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The HTTP side."""

    body_bytes_max: int = 1 * MIB
    facts_body_bytes_max: int = 8 * MIB
    facts_message_bytes_max: int = 256 * KIB
    body_timeout_ms: int = 5 * SECOND_MS
    facts_body_timeout_ms: int = 30 * SECOND_MS
    bodies_bytes_max: int = 128 * MIB  # all bodies that are still on their way, together
    header_line_bytes_max: int = 4 * KIB
    header_field_bytes_max: int = 4 * KIB
    headers_max: int = 64
    keepalive_ms: int = 15 * SECOND_MS
    lingering_ms: int = 2 * SECOND_MS
    connections_max: int = 4_096
    connections_refused_max: int = 256  # beyond `connections_max`: told 503; beyond these, closed without a word
    requests_in_flight_max: int = 8_192
    retry_after_s: int = 1
    backlog: int = 1_024
    keys_max: int = 10_000
    key_name_chars_max: int = 128
    key_channels_max: int = 1_000
    shutdown_ms: int = 10 * SECOND_MS


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """The process that keeps the others running."""

    workers_max: int = 64
    watch_ms: int = 50
    message_bytes_max: int = 64 * KIB

    # A child that dies is started again at once; the next time after a wait that doubles, until one has lasted.
    restart_first_ms: int = 100
    restart_wait_ms_max: int = 5 * SECOND_MS
    lasting_ms: int = 10 * SECOND_MS
    deaths_until_loud: int = 3

    # Longer than a gateway's shutdown and a node's drain together; then it is killed.
    stop_ms: int = 22 * SECOND_MS


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Settings that decide what a batch means. They are replicated: each lead batch carries them.

    Here they are this node's wish; in force is what the newest lead batch says, on every node alike.
    """

    create_unknown_skus: bool = True
    create_unknown_locations: bool = False
    supply_confidence_min: int = 50  # per cent
    overdue_grace_days: int = 3
    overdue_slip_days: int = 1
    promise_horizon_days: int = 180
    owner_units_max: int = 0  # 0: no bound on what one owner may hold
    renewals_max: int = 5
    expire_batch_max: int = 10_000
    remember_closed_ms: int = 2 * DAY_MS
    identities_max: int = 1_000_000
    answers_kept_ms: int = DAY_MS  # under their idempotency keys, on the lead clock
    answers_max: int = 500_000
    answers_bytes_max: int = 128 * MIB


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them."""

    log: LogSettings = field(default_factory=LogSettings)
    node: NodeSettings = field(default_factory=NodeSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    supervisor: SupervisorSettings = field(default_factory=SupervisorSettings)
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)
    rules: RuleSettings = field(default_factory=RuleSettings)
