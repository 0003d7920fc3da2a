"""Settings of the streams, of the connection to NATS, and of the nats-server that `serve` starts.

In: nothing. Out: LogSettings. Always: sizes of streams count when a stream is made; later they are changed in NATS.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import DAY_MS, GIB, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS, TIB

_STREAM_BYTES_MAX = 1024 * TIB


@section("log", "The streams, the connection to NATS, and the nats-server that `serve` starts.")
@dataclass(frozen=True, slots=True)
class LogSettings:
    """The streams, the connection to NATS, and the embedded server."""

    # Streams: bounds of one scope. A full IN or LOG refuses (503 log-unavailable); it never drops what is old.
    replicas: int = public(
        1,
        "Copies of each stream when it is made; an existing one is changed with `nats stream edit`. "
        "1 where `serve` starts its own nats-server.",
        lowest=1,
        highest=5,
        unit="copies",
        unset="1, or 3 where `serve.nats` names several servers",
        flag="--replicas",
    )
    in_bytes_max: int = public(
        16 * GIB,
        "Size of the stream IN when it is made. A full IN refuses facts; checkout goes on.",
        lowest=16 * MIB,
        highest=_STREAM_BYTES_MAX,
    )
    log_bytes_max: int = public(
        64 * GIB,
        "Size of the stream LOG when it is made. A full LOG refuses everything that changes the state.",
        lowest=64 * MIB,
        highest=_STREAM_BYTES_MAX,
    )
    dead_bytes_max: int = public(
        1 * GIB,
        "Size of the stream of dead letters when it is made.",
        lowest=16 * MIB,
        highest=_STREAM_BYTES_MAX,
    )
    dead_age_ms_max: int = public(
        30 * DAY_MS,
        "How long a dead letter stays. The same on every process of a scope; an existing stream is changed with "
        "`nats stream edit` first.",
        lowest=MINUTE_MS,
        highest=3650 * DAY_MS,
    )
    refused_bytes_max: int = public(
        256 * MIB,
        "Size of the stream of refusals when it is made; the oldest make room.",
        lowest=16 * MIB,
        highest=_STREAM_BYTES_MAX,
    )
    refused_age_ms_max: int = public(
        7 * DAY_MS,
        "How long a refusal stays. The same on every process of a scope; an existing stream is changed with "
        "`nats stream edit` first.",
        lowest=MINUTE_MS,
        highest=3650 * DAY_MS,
    )
    refused_per_s_max: int = public(
        2_000,
        "Refusals a second that are kept; beyond, they are only counted. 0: none is kept.",
        lowest=0,
        highest=100_000,
        unit="refusals",
    )
    in_messages_per_source_max: int = public(
        16_384,
        "Messages of one source that IN holds; beyond, it refuses those of that source. Never so many that one source "
        "could fill more than half of IN. An existing IN that has no such bound gets it at the next start.",
        lowest=100,
        highest=10_000_000,
        unit="messages",
    )
    in_room_check_ms: int = 1 * SECOND_MS
    in_kept_ms: int = 6 * SECOND_MS  # longer than a publish is repeated: what is repeated has to be there still
    in_duplicate_window_ms: int = public(
        2 * MINUTE_MS,
        "How long IN remembers message ids when it is made: a message of the same id within this time is dropped, "
        "also when another source sent it.",
        lowest=SECOND_MS,
        highest=DAY_MS,
    )
    in_message_bytes_max: int = 512 * KIB
    log_message_bytes_max: int = 1 * MIB
    dead_message_bytes_max: int = 1 * MIB
    dead_duplicate_window_ms: int = 10 * MINUTE_MS

    # An external NATS: files, where it asks for them. Empty: none.
    tls_ca: str = public(
        "",
        "Certificate authority that signs the NATS servers' certificates (PEM file).",
        path=True,
        unset="none",
        also="HOLDFAST_NATS_CA",
        flag="--nats-ca",
    )
    tls_certificate: str = public(
        "",
        "Client certificate, where the NATS servers ask for one (PEM file).",
        path=True,
        unset="none",
        also="HOLDFAST_NATS_CERT",
        flag="--nats-cert",
    )
    tls_key: str = public(
        "",
        "Private key of the client certificate (PEM file).",
        path=True,
        unset="none",
        also="HOLDFAST_NATS_KEY",
        flag="--nats-key",
    )
    credentials: str = public(
        "",
        "NATS credentials file, instead of a user in `serve.nats`.",
        path=True,
        unset="none",
        also="HOLDFAST_NATS_CREDS",
        flag="--nats-creds",
    )

    # What a NATS server must be.
    server_version_min: tuple[int, int] = (2, 12)  # before: an acknowledgement could be made an API call
    server_version_wanted: tuple[int, int] = (2, 14)

    # The connection. Short pings find a dead server; reconnecting never gives up.
    connect_timeout_ms: int = 2 * SECOND_MS
    connect_deadline_ms: int = public(
        10 * SECOND_MS,
        "How long a start waits for NATS to accept the connection before it gives up.",
        lowest=SECOND_MS,
        highest=HOUR_MS,
    )
    reconnect_wait_ms: int = 100
    ping_interval_ms: int = 2 * SECOND_MS
    pings_outstanding_max: int = 2
    request_timeout_ms: int = 1_500
    api_timeout_ms: int = 5 * SECOND_MS
    stream_leader_deadline_ms: int = public(
        30 * SECOND_MS,
        "How long a start waits for a NATS cluster to elect a leader for each stream.",
        lowest=SECOND_MS,
        highest=HOUR_MS,
    )

    # Reading a stream: what may be in transit or wait here, not yet taken.
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
    server_room_bytes: int = 0  # that streams may have reserved, where that is more than they are made with now
    server_payload_bytes_max: int = 1 * MIB
    server_memory_bytes_max: int = 64 * MIB
    server_binary: str = public(
        "",
        "The nats-server to run, for one that you built or checked yourself.",
        path=True,
        unset="the one that was installed with holdfast, else the one on PATH",
    )
    server_port: int = public(
        0,
        "Port of the own nats-server, on loopback, for the nats CLI and adapters; 0: a free one at each start.",
        lowest=0,
        highest=65_535,
    )
    server_log_bytes_max: int = public(
        8 * MIB,
        "Size at which the log file of the own nats-server is rotated.",
        lowest=64 * KIB,
        highest=GIB,
    )
    server_log_files_max: int = public(
        3, "Log files of the own nats-server that stay.", lowest=1, highest=100, unit="files"
    )
    server_start_timeout_ms: int = public(
        5 * MINUTE_MS,
        "How long the own nats-server may take to start. A large store that was not closed cleanly is read through.",
        lowest=SECOND_MS,
        highest=DAY_MS,
    )
    server_stop_timeout_ms: int = 10 * SECOND_MS
    server_watch_ms: int = 50
    server_health_ms: int = 2 * SECOND_MS
    server_health_failures_max: int = 5
    server_restart_first_ms: int = 50
    server_restart_wait_ms_max: int = 5 * SECOND_MS
    server_restarts_max: int = 20  # in a row, none of which stayed alive
    server_free_bytes_min: int = public(
        4 * MIB,
        "Free disk space below which the own nats-server is not restarted: it could not write.",
        lowest=MIB,
        highest=TIB,
    )
    orphan_timeout_ms: int = 10 * SECOND_MS

    @property
    def streams_bytes(self) -> int:
        """What the streams of a scope may grow to together."""
        return self.in_bytes_max + self.log_bytes_max + self.dead_bytes_max + self.refused_bytes_max
