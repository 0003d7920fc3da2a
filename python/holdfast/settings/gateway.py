"""Settings of the process that `serve` is, of its HTTP side, and of how it keeps its children running.

In: nothing. Out: ServeSettings, GatewaySettings, SupervisorSettings. Always: units last; each bound inclusive.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import GIB, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS

# Scope and node are parts of NATS subjects.
_NAME = "[A-Za-z0-9_-]{1,64}"
_PORT = r"(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_NATS = rf"(nats|tls)://([^\s,/@]*@)?([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:{_PORT})?/?"
_NAME_FORM = "1 to 64 letters, digits, '_' and '-'"


@section("serve", "What `holdfast serve` runs, and where. Each has its own option.")
@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `holdfast serve` runs, and where."""

    data: str = public(
        "",
        "Data directory: the log, the keys, the owner key, the journal and the snapshots. Required.",
        path=True,
        unset="none",
        also="HOLDFAST_DATA",
        flag="--data",
    )
    host: str = public("127.0.0.1", "Address to listen on.", flag="--host")
    port: int = public(8080, "Port to listen on. 0 takes a free one.", lowest=0, highest=65_535, flag="--port")
    auth: str = public(
        "on",
        "Whether calls need an API key. `off` is for an address of this machine's loopback only.",
        choices=("on", "off"),
        flag="--auth",
    )
    probes: str = public(
        "",
        "Address and port of a separate listener for `/livez`, `/readyz` and `/metrics`, such as `127.0.0.1:8081`: no "
        "number of connections or requests elsewhere keeps it from answering. The main port has them, too.",
        pattern=rf"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):{_PORT}",
        form="an address and a port, such as 127.0.0.1:8081 or [::1]:8081",
        unset="none",
        flag="--probes",
    )
    workers: int = public(
        1,
        "Processes that share the port. Each holds the whole state; one leads.",
        lowest=1,
        highest=64,
        unit="processes",
        flag="--workers",
    )
    nats: str = public(
        "",
        "NATS with JetStream, `nats://user:password@host:4222[,...]`; or `@FILE`, which has that and is for its "
        "owner alone. With a password it is not taken from the command line.",
        pattern=rf"\s*{_NATS}(\s*,\s*{_NATS})*\s*,?\s*",
        form="an address such as nats://127.0.0.1:4222, or several with commas between them",
        unset="none: `serve` starts its own nats-server",
        also="HOLDFAST_NATS",
        flag="--nats",
        secret=True,
    )
    scope: str = public("main", "Inventory universe.", flag="--scope", pattern=_NAME, form=_NAME_FORM)
    node: str = public(
        "n1",
        "Name of this machine in the log, another one on each.",
        pattern=_NAME,
        form=_NAME_FORM,
        also="HOLDFAST_NODE",
        flag="--node",
    )
    log_level: str = public(
        "info", "What is logged.", choices=("debug", "info", "warning", "error"), flag="--log-level"
    )
    loop: str = public("uvloop", "Event loop of the workers.", choices=("uvloop", "asyncio"), flag="--loop")


@section("gateway", "The HTTP side of each worker.")
@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The HTTP side."""

    body_bytes_max: int = public(1 * MIB, "Body of a command. Beyond it: 413.", lowest=KIB, highest=MIB)
    facts_body_bytes_max: int = public(
        8 * MIB, "Body of a call with facts or policies. Beyond it: 413.", lowest=KIB, highest=256 * MIB
    )
    facts_body_max: int = public(
        20_000, "Facts or policies of one call. Beyond it: 413.", lowest=1, highest=100_000, unit="facts"
    )
    facts_message_bytes_max: int = 256 * KIB
    body_timeout_ms: int = public(
        5 * SECOND_MS, "How long the body of a command may take to arrive. After it: 408.", lowest=100, highest=HOUR_MS
    )
    facts_body_timeout_ms: int = public(
        30 * SECOND_MS,
        "How long the body of a call with facts or policies may take to arrive. After it: 408.",
        lowest=100,
        highest=HOUR_MS,
    )
    bodies_bytes_max: int = public(
        128 * MIB,
        "Memory for all bodies that are still arriving, together. Beyond it: 503 `overloaded`.",
        lowest=MIB,
        highest=64 * GIB,
    )
    header_line_bytes_max: int = public(
        4 * KIB, "Length of the request line. Beyond it: 400.", lowest=KIB, highest=64 * KIB
    )
    header_field_bytes_max: int = public(4 * KIB, "Length of one header. Beyond it: 400.", lowest=KIB, highest=64 * KIB)
    headers_max: int = public(64, "Headers of one request. Beyond it: 400.", lowest=16, highest=1_000, unit="headers")
    keepalive_ms: int = public(15 * SECOND_MS, "How long an idle connection stays open.", lowest=100, highest=HOUR_MS)
    lingering_ms: int = 2 * SECOND_MS
    connections_max: int = public(
        4_096,
        "Connections of one worker. Beyond it, new ones are answered 503.",
        lowest=1,
        highest=1_000_000,
        unit="connections",
        flag="--connections-max",
    )
    connections_per_address_max: int = public(
        1_024,
        "Connections of one address (of IPv6: one /64 network) with one worker. Beyond it, new ones are answered 503. "
        "A proxy in front is one address.",
        lowest=1,
        highest=1_000_000,
        unit="connections",
    )
    # Beyond `connections_max`: answered 503, or as a probe. Of more than these the oldest is closed without an answer.
    connections_refused_max: int = 256
    requests_in_flight_max: int = public(
        8_192,
        "Requests under way in one worker; `connections_max` where that is less. Background calls are refused (503 "
        "`overloaded`) at half of it, order flow at 90 %, checkout beyond it.",
        lowest=1,
        highest=1_000_000,
        unit="requests",
    )
    late_ms: int = public(
        5,
        "How late timers of a worker's event loop may be. While they are later and the thread is busy, background "
        "calls are limited to what it can do beside the checkouts; the others are refused (503 `overloaded`).",
        lowest=1,
        highest=HOUR_MS,
    )
    background_least: int = public(
        20, "Background calls a second that a worker takes even then.", lowest=1, highest=1_000_000, unit="calls"
    )
    refusal_hold_ms: int = public(
        250,
        "How long the refusal of a background call is held back while they are limited, up to eight times as long "
        "where a worker refuses more than 100 a second: refusing is work, too, and a connection has one request under "
        "way, so clients that do not wait by themselves are slowed.",
        lowest=0,
        highest=10 * SECOND_MS,
    )
    background_at_once_max: int = public(
        8,
        "Background calls under way in a worker while they are limited. Beyond it: 503 `overloaded`.",
        lowest=1,
        highest=1_000_000,
        unit="calls",
    )
    order_flow_least: int = public(
        50,
        "Calls of order flow a second that a worker takes even where limiting background calls is not enough.",
        lowest=1,
        highest=1_000_000,
        unit="calls",
    )
    requests_per_key_max: int = public(
        4_096,
        "Requests of one key under way in one worker. Beyond it: 503 `overloaded`.",
        lowest=1,
        highest=1_000_000,
        unit="requests",
    )
    batches_at_once_max: int = 2
    batch_step_max: int = 100
    batch_step_bytes_max: int = 256 * KIB
    batches_waiting_per_key_max: int = public(
        64,
        "Bodies of `reservations:batch` of one key that wait for their turn in a worker. Beyond it: 503 `overloaded`.",
        lowest=1,
        highest=100_000,
        unit="requests",
    )
    past_waiting_max: int = public(
        4,
        "Questions about the past (`at`, changes, audit, refusals, dead letters) that one worker has under way: one is "
        "answered, the others wait. Beyond it: 503 `overloaded`.",
        lowest=1,
        highest=1_000,
        unit="requests",
    )
    past_timeout_ms: int = public(
        30 * SECOND_MS,
        "How long such a question may take, with its waiting. After it: 503 `overloaded`.",
        lowest=SECOND_MS,
        highest=HOUR_MS,
    )
    retry_after_s: int = 1
    backlog: int = public(
        1_024,
        "Connections that the kernel holds until a worker accepts them.",
        lowest=1,
        highest=65_535,
        unit="connections",
    )
    shutdown_ms: int = public(
        10 * SECOND_MS,
        "How long a worker that stops waits for requests that are under way.",
        lowest=0,
        highest=10 * MINUTE_MS,
    )


@section("supervisor", "The process that keeps the workers and the nats-server running.")
@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """The process that keeps the others running."""

    watch_ms: int = 50
    message_bytes_max: int = 64 * KIB

    # A child that dies is started again at once; the next time after a wait that doubles, until one has stayed alive.
    restart_first_ms: int = 100
    restart_wait_ms_max: int = public(
        5 * SECOND_MS,
        "Longest wait before a worker that keeps dying is started again.",
        lowest=100,
        highest=10 * MINUTE_MS,
    )
    lasting_ms: int = 10 * SECOND_MS
    deaths_until_loud: int = 3

    stop_ms: int = public(
        22 * SECOND_MS,
        "How long a worker may take to stop; then it is killed. Longer than `gateway.shutdown_ms` and `node.drain_ms` "
        "together; what stops `serve` (systemd, a container) has to wait longer than this.",
        lowest=SECOND_MS,
        highest=HOUR_MS,
    )
