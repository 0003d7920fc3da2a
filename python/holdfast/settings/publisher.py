"""Settings of the publisher and of the streams that it writes.

In: nothing. Out: PublisherSettings. Always: sizes and ages count when a stream is made; later they are changed in NATS.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import DAY_MS, GIB, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS, TIB


@section("publisher", "The process that publishes events and figures ([events.md](events.md)).")
@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """The process that writes OUT and AVAILABLE (docs/events.md)."""

    enabled: bool = public(
        False,  # noqa: FBT003 - the default of a setting
        "Whether `serve` runs a publisher. It is a separate process with its own state, as large as a worker's; of "
        "several machines one is enough, and a second one takes over from it.",
    )
    out_bytes_max: int = public(
        4 * GIB,
        "Size of the stream OUT when it is made. A full one drops its oldest events.",
        lowest=16 * MIB,
        highest=1024 * TIB,
    )
    out_age_ms_max: int = public(
        7 * DAY_MS, "How long an event stays, when OUT is made.", lowest=MINUTE_MS, highest=3650 * DAY_MS
    )
    available_bytes_max: int = public(
        2 * GIB,
        "Size of the stream AVAILABLE when it is made: about 500 bytes a channel and SKU.",
        lowest=16 * MIB,
        highest=1024 * TIB,
    )
    flush_ms: int = public(
        100,
        "A figure that changes again and again is written once in this time.",
        lowest=10,
        highest=HOUR_MS,
    )
    thresholds: str = public(
        "",
        "Figures whose crossing, down or up, is as urgent as coming to zero, and an event, with commas: `5,1`. The "
        "same for all publishers of a scope.",
        unset="none",
        pattern=r"[0-9]{1,9}( *, *[0-9]{1,9}){0,7}",
        form="up to eight whole numbers with commas between them",
    )
    lag_ms: int = public(
        0,
        "How late shops learn of a figure, for channels whose connector does not measure it: what sells in such a time "
        "is withheld, where it is more than the channel's buffer. 0: nothing is.",
        lowest=0,
        highest=10 * MINUTE_MS,
    )
    takeover_ms: int = public(
        3 * SECOND_MS,
        "How long a second publisher waits for the first one to go on before it goes on itself.",
        lowest=500,
        highest=HOUR_MS,
    )
    metrics_port: int = public(
        0, "Port of 127.0.0.1 with the publisher's own metrics. 0: none.", lowest=0, highest=65_535
    )
    niceness: int = public(
        10, "Niceness of the publisher, added to that of `serve`.", lowest=0, highest=19, unit="nice"
    )
    message_bytes_max: int = 1 * MIB
    window: int = 256  # messages under way at once
    chunk_messages_max: int = 64  # of LOG between two looks at the figures
    chunk_bytes_max: int = 512 * KIB
    figures_max: int = 4_096  # written at once
    checkpoint_ms: int = 1 * SECOND_MS
    first_batches_max: int = (
        100_000  # of a LOG that was never published, from its first batch on; a longer one from its end
    )
    ack_timeout_ms: int = 5 * SECOND_MS
    retry_ms: int = 500
    lag_ms_max: int = 10 * MINUTE_MS  # a connector that measures more is believed so much
    lag_kept_ms: int = 1 * MINUTE_MS  # a measure that is older counts no more
    pace_ms: int = 1 * MINUTE_MS  # in which sales are counted
    paces_max: int = 100_000  # figures whose sales are counted at a time
    paces_renew_ms: int = 1 * SECOND_MS
