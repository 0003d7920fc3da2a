"""Every figure of /metrics: its name, kind, labels, meaning, and when it should worry somebody.

In: nothing. Out: a table that metrics.py renders by, and from which docs/metrics.md is written (tools/metrics_docs.py).
Always: base units, in the name (`_seconds`, `_bytes`); counters end in `_total`; label sets are bounded: calls and
problems are those of the contract, states and reasons those of the core, alarms those of the sources.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Figure:
    """`name` without `_total`; `divisor` turns what the process counts into the base unit; `alert` may be empty."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    alert: str = ""
    divisor: int = 1

    @property
    def served(self) -> str:
        """The name that Prometheus stores."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


BUILD = Figure("holdfast_build_info", "gauge", "Always 1; the label is the version that runs.", ("version",))
REQUESTS = Figure(
    "holdfast_requests", "counter", "Requests answered, by call and by hundreds of their status.", ("call", "status")
)
DURATIONS = Figure(
    "holdfast_request_seconds",
    "histogram",
    "Time from the headers of a request to its answer, by call. Of a write it includes the fsync of the log.",
    ("call",),
    "p99 of `reserve` above what a checkout may wait",
)
REFUSALS = Figure(
    "holdfast_refusals",
    "counter",
    "Requests refused, by the name of the problem that they were answered. Parts of a batch are not counted here.",
    ("problem",),
    "`insufficient-stock` or `unknown-sku` far above their usual share; any `internal`",
)
IN_FLIGHT = Figure("holdfast_requests_in_flight", "gauge", "Requests that are being answered at this moment.")
CONNECTIONS = Figure("holdfast_connections", "gauge", "Connections that are open at this moment.")
CONNECTIONS_REFUSED = Figure(
    "holdfast_connections_refused", "counter", "Connections refused because too many were open.", alert="grows"
)
SHED = Figure("holdfast_requests_shed", "counter", "Requests refused because too many were under way.", alert="grows")
AT_BOUNDS = Figure(
    "holdfast_refused_at_bound",
    "counter",
    "Requests refused because a bound was reached, by what is bounded: requests under way by rank (`background` is "
    "refused first, `checkout` last), those of one key, what waits for LOG, and so on. `late-background`, "
    "`late-order-flow`: refused because the process had more work than it can do.",
    ("queue",),
    "`checkout` or `commands` grows: carts are refused; any other grows for long",
)
BOUNDS = Figure(
    "holdfast_bound", "gauge", "What is bounded, and its bound; those of `late-...` in seconds.", ("queue",)
)
LATE = Figure(
    "holdfast_late_seconds",
    "gauge",
    "How late timers of the event loop are, the middle one of five looks in 0.1 s: how long everything waits.",
    alert="above 0.25: this process has more work than it can do",
)
BUSY = Figure(
    "holdfast_busy_ratio", "gauge", "Share of the time for which the event loop's thread ran or waited for a core."
)
LIMIT = Figure(
    "holdfast_limit_per_second",
    "gauge",
    "Calls a second that are begun of a rank, because the process has too much work; `+Inf` while there is no limit.",
    ("rank",),
)
FAULTS = Figure("holdfast_faults", "counter", "Requests answered 500: a fault in holdfast.", alert="grows")
FACTS_ACCEPTED = Figure("holdfast_facts_accepted", "counter", "Facts accepted over HTTP by this process.")
FACTS_REJECTED = Figure(
    "holdfast_facts_rejected", "counter", "Facts rejected over HTTP by this process.", alert="grows"
)
EVENT_STREAMS = Figure("holdfast_event_streams", "gauge", "Event streams that are open at this moment.")
EVENTS_SENT = Figure("holdfast_events_sent", "counter", "Events sent on event streams by this process.")
EVENT_STREAMS_ENDED = Figure(
    "holdfast_event_streams_ended",
    "counter",
    "Event streams that ended, by the reason; `disconnected`: the client ended it.",
    ("reason",),
    "`slow` or `unreadable` grows",
)
TOKENS_REFUSED = Figure(
    "holdfast_tokens_refused",
    "counter",
    "Tokens of the identity provider that were refused, by why ([http.md](http.md#tokens)).",
    ("reason",),
    "`signature` or `key` grows: somebody tries, or the provider has changed its keys",
)
TOKEN_KEYS = Figure("holdfast_token_keys", "gauge", "Public keys of the identity provider, by id and algorithm.")
TOKEN_KEYS_AGE = Figure(
    "holdfast_token_keys_age_seconds",
    "gauge",
    "Time since the provider's keys were read; 0 where no tokens are taken.",
    alert="above 1 hour: `tokens.keys` cannot be read, and a new key of the provider is not known",
)
KEYS_EXCHANGED_AGE = Figure(
    "holdfast_keys_exchanged_age_seconds",
    "gauge",
    "Time since API keys were exchanged with the scope's other machines; 0 in a process that does not do it.",
    alert="above 1 minute: what is made or revoked elsewhere is not known here",
)
SYSTEM_WORKING = Figure(
    "holdfast_system_working",
    "gauge",
    "1 while a system that a process beside this gateway talks to is reached, else 0: `erp NAME`, `shop NAME`, "
    "`webhook NAME`.",
    ("system",),
    "is 0",
)
SYSTEM_WAITING = Figure(
    "holdfast_system_waiting", "gauge", "Messages that wait for a system: orders, events, figures.", ("system",)
)
SYSTEM_PARKED = Figure(
    "holdfast_system_parked",
    "gauge",
    "Messages that a system does not take, which wait for a person.",
    ("system",),
    "above 0",
)
DISK_FREE = Figure("holdfast_disk_free_bytes", "gauge", "What is free on the disk of the data directory.")
DISK_WANTED = Figure(
    "holdfast_disk_wanted_bytes",
    "gauge",
    "What must stay free there.",
    alert="above holdfast_disk_free_bytes",
)
BESIDE = (SYSTEM_WORKING, SYSTEM_WAITING, SYSTEM_PARKED, DISK_FREE, DISK_WANTED)
GATEWAY: tuple[Figure, ...] = (
    *(BUILD, REQUESTS, DURATIONS, REFUSALS, IN_FLIGHT, CONNECTIONS),
    *(CONNECTIONS_REFUSED, SHED, AT_BOUNDS, BOUNDS, LATE, BUSY, LIMIT, FAULTS, FACTS_ACCEPTED, FACTS_REJECTED),
    *(EVENT_STREAMS, EVENTS_SENT, EVENT_STREAMS_ENDED),
    *(TOKENS_REFUSED, TOKEN_KEYS, TOKEN_KEYS_AGE, KEYS_EXCHANGED_AGE),
    *BESIDE,
)

ALARMS = Figure(
    "holdfast_alarms",
    "counter",
    "Alarms raised by this process, by name; the log line of each has the detail. docs/operations.md says what to do.",
    ("alarm",),
    "grows",
)
TALLIES: dict[str, Figure] = {
    "reservations": Figure(
        "holdfast_reservations",
        "gauge",
        "Reservations in the state, by their own state; closed ones are remembered for two days and then forgotten.",
        ("state",),
    ),
    "units": Figure(
        "holdfast_units",
        "gauge",
        "Units that reservations take: of stock at a location, of incoming supply, or of nothing yet (unsourced).",
        ("where",),
    ),
    "names": Figure(
        "holdfast_names",
        "gauge",
        "Names that the scope knows, by kind. Where a table is full, facts about known names are still taken.",
        ("kind",),
        "above 80 % of `holdfast_names_max`: a source invents names",
    ),
    "names_max": Figure("holdfast_names_max", "gauge", "Names of a kind that there may be.", ("kind",)),
    "anomalies": Figure(
        "holdfast_anomalies",
        "counter",
        "Facts that changed nothing, or less than they said, since the log began; by kind.",
        ("kind",),
        "`conflicting-body` or `level-conflict` grows: a source sends two figures for one document or one moment",
    ),
    "source_age": Figure(
        "holdfast_source_age_seconds",
        "gauge",
        "Time since the newest `as_of` of a source whose facts bear times; of the first 100 sources that LOG named.",
        ("source",),
        "longer than the source's usual pause: it has stopped, or its messages do not arrive",
    ),
    "source_silent": Figure(
        "holdfast_source_silent_seconds",
        "gauge",
        "For how long a source has stated nothing, while its `freshness` rule says that this is too long.",
        ("source",),
        "is there: its rule is carried out",
    ),
    "unproven_messages": Figure(
        "holdfast_unproven_messages",
        "counter",
        "Messages that no process of the scope wrote (no right code under the scope key), ignored, by kind.",
        ("kind",),
        "grows: somebody writes where only gateways should, or a gateway has another scope key",
    ),
    "dead_letters": Figure(
        "holdfast_dead_letters",
        "counter",
        "Facts and messages that were rejected and stored in the dead letters by this process, by reason.",
        ("reason",),
        "grows",
    ),
    "kept_bytes": Figure(
        "holdfast_kept_bytes",
        "gauge",
        "What LOG, IN, journals, archive and snapshots take on the disk of the data directory, by part (retention).",
        ("part",),
        "the sum is above holdfast_node_kept_budget_bytes",
    ),
}
"""By what the node calls it: figures with one label."""


def _node(name: str, kind: Kind, text: str, alert: str = "") -> Figure:
    return Figure(f"holdfast_node_{name}", kind, text, alert=alert)


NODE: dict[str, Figure] = {
    "leading": _node("leading", "gauge", "1 while this process leads and decides the writes, else 0.", "sum is not 1"),
    "quarantined": _node("quarantined", "gauge", "1 while this process is in quarantine, else 0.", "is 1"),
    "sequence": _node("sequence", "gauge", "The LOG sequence that this process has applied."),
    "epoch": _node("epoch", "gauge", "The term of the leader that LOG names; each new leader has a higher one."),
    "lag": _node("lag", "gauge", "LOG messages that this process has not applied yet.", "above 1,000 for a minute"),
    "age_ms": Figure(
        "holdfast_node_age_seconds",
        "gauge",
        "Time since this process was known to hold all of LOG; 0 on the leader.",
        alert="above 2.5",
        divisor=1000,
    ),
    "append_waiting_ms": Figure(
        "holdfast_node_append_waiting_seconds",
        "gauge",
        "How long the batch under way has waited for the log; 0 when there is none.",
        alert="above 1",
        divisor=1000,
    ),
    "batches_total": _node("batches", "counter", "Batches of this process that LOG has acknowledged."),
    "void_total": _node("void", "counter", "Batches in LOG that were skipped because they did not fit.", "grows"),
    "appends_refused_total": _node("appends_refused", "counter", "Appends that the log refused.", "grows"),
    "commands_answered_total": _node("commands_answered", "counter", "Writes that were decided and answered."),
    "commands_rejected_total": _node("commands_rejected", "counter", "Writes answered 503, undecided or unknown."),
    "commands_waiting": _node("commands_waiting", "gauge", "Writes that wait for the next batch."),
    "incoming_waiting": _node("incoming_waiting", "gauge", "Messages of facts that wait for the next batch."),
    "reads_waiting": _node("reads_waiting", "gauge", "Reads that wait for the batch under way to be stored."),
    "sequence_waits": _node("sequence_waits", "gauge", "Requests that wait for a LOG sequence to be applied here."),
    "times_leading_total": _node("times_leading", "counter", "How often this process began to lead.", "grows often"),
    "dead_letters_total": _node("dead_letters", "counter", "Dead letters of this process that were stored."),
    "dead_letters_lost_total": _node("dead_letters_lost", "counter", "Dead letters that were not stored.", "grows"),
    "dead_letters": Figure(
        "holdfast_dead_letters_stored",
        "gauge",
        "Dead letters, with their corrections, that wait for somebody: measured once a minute.",
        alert="above 0, where every fact has to be taken",
    ),
    "dead_age_ms": Figure(
        "holdfast_dead_letters_age_seconds",
        "gauge",
        "How long the oldest dead letter has waited; 0 where there is none.",
        alert="above 1 day: a source sends what nobody corrects",
        divisor=1000,
    ),
    "dead_letters_waiting": _node("dead_letters_waiting", "gauge", "Dead letters that are not stored yet."),
    "refusals_kept_total": _node("refusals_kept", "counter", "Refused commands that this process wrote to ASK."),
    "refusals_left_out_total": _node(
        "refusals_left_out", "counter", "Refused commands that were not written to ASK: too many, or no connection."
    ),
    "snapshots_taken_total": _node("snapshots_taken", "counter", "Snapshots taken since `serve` began."),
    "snapshots_failed_total": _node("snapshots_failed", "counter", "Snapshots that could not be taken.", "grows"),
    "snapshot_failures_in_a_row": _node(
        "snapshot_failures_in_a_row", "gauge", "Snapshots that failed since the last one that was taken.", "above 3"
    ),
    "kept_budget_bytes": _node("kept_budget_bytes", "gauge", "The budget of what is kept on the disk."),
    "kept_since_ms": Figure(
        "holdfast_node_kept_since_seconds",
        "gauge",
        "The time (since 1970) from which the past can be rebuilt; 0 while nothing is archived.",
        alert="time() less this is far below `retention.keep_days`",
        divisor=1000,
    ),
    "kept_left_seconds": _node(
        "kept_left_seconds",
        "gauge",
        "Time until the budget is used up, at the archive's pace; then the archive keeps fewer days. A hundred years "
        "while that is not known.",
        "below 3 days, where days must not be lost",
    ),
    "journal_sequence": _node("journal_sequence", "gauge", "The last LOG sequence in this node's journal."),
    "journal_lag": _node("journal_lag", "gauge", "LOG messages that the journal does not have yet.", "above 1,000"),
    "journal_bytes": _node("journal_bytes", "gauge", "The size of this node's journal."),
    "peers": _node("peers", "gauge", "Other processes of the scope whose heartbeats came lately."),
    "heartbeats_received_total": _node("heartbeats_received", "counter", "Heartbeats of other processes."),
    "digest_comparisons_total": _node(
        "digest_comparisons", "counter", "How often this process compared its digest with another's."
    ),
    "digest_differences_total": _node(
        "digest_differences", "counter", "Comparisons in which the digests differed.", "grows"
    ),
    "digest_differs": _node("digest_differs", "gauge", "1 while the state here is not the leader's, else 0.", "is 1"),
    "commands_forwarded_total": _node("commands_forwarded", "counter", "Writes that were sent on to the leader."),
    "commands_forwarded_locally_total": _node(
        "commands_forwarded_locally", "counter", "Of these, over the socket of a leader on the same machine."
    ),
    "commands_forwarded_unknown_total": _node(
        "commands_forwarded_unknown", "counter", "Writes sent on to the leader that brought no answer.", "grows"
    ),
    "commands_taken_from_others_total": _node(
        "commands_taken_from_others", "counter", "Writes that other processes sent to this one, which leads."
    ),
    "commands_too_late_total": _node(
        "commands_too_late", "counter", "Writes of other processes that came after their deadline.", "grows"
    ),
    "questions_again_total": _node(
        "questions_again", "counter", "Messages of other processes that came a second time, and were dropped.", "grows"
    ),
    "forwards_in_flight": _node("forwards_in_flight", "gauge", "Writes at the leader whose answer is awaited."),
    "forwards_waiting": _node("forwards_waiting", "gauge", "Writes that wait to be sent to the leader."),
    "facts_waiting": _node("facts_waiting", "gauge", "Requests with facts that wait for LOG to have them."),
    "facts_awaited_by_others": _node(
        "facts_awaited_by_others", "gauge", "Messages of facts whose outcome other processes wait for."
    ),
}
"""By what the node calls it: figures without a label."""
ALARM_PREFIX = "alarm_"
CATALOGUE: tuple[Figure, ...] = (*GATEWAY, *TALLIES.values(), ALARMS, *NODE.values())
