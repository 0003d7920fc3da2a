"""Settings of a webhook: a table `[webhook.NAME]` for each endpoint that events are sent to.

In: nothing. Out: WebhookSettings. Always: the defaults suit an endpoint that answers within seconds and may be down for
hours.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import DAY_MS, HOUR_MS, KIB, MINUTE_MS, SECOND_MS


@section(
    "webhook",
    "An endpoint that events are sent to ([events.md](events.md#webhooks)). NAME is its name; a file may have many.",
)
@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """One endpoint."""

    enabled: bool = public(
        True,  # noqa: FBT003 - the default of a setting
        "Whether `serve` runs it, in one separate process for all webhooks. `holdfast webhooks run` runs it by hand.",
    )
    url: str = public(
        "",
        "Where events are sent. `http` is for addresses of `allow` alone.",
        unset="none",
        pattern=r"https?://[^\s/?#@]+(/[^\s#]*)?(\?[^\s#]*)?",
        form="an address such as https://example.com/holdfast",
    )
    secrets: str = public(
        "",
        "File with the secrets, for its owner alone: one a line, as `whsec_` and base64. Each signs; to change one, "
        "add the new one, let the receiver take it, and remove the old one.",
        unset="none",
        path=True,
    )
    kinds: str = public("", "Kinds of events that are sent, with commas; a `gap` in any case.", unset="all")
    channels: str = public("", "Channels whose events are sent, with commas.", unset="all")
    allow: str = public(
        "",
        "Networks beside the public ones that may be called, with commas, such as `10.1.0.0/16`. Loopback, private and "
        "link-local addresses, and whatever else is not public, are refused without it.",
        unset="none",
        pattern=r"[0-9A-Fa-f.:/]+(\s*,\s*[0-9A-Fa-f.:/]+)*",
        form="networks such as 10.1.0.0/16, with commas between them",
    )
    ca: str = public(
        "", "File with the authority of the endpoint's certificate, in PEM.", unset="those of the system", path=True
    )
    timeout_ms: int = public(
        15 * SECOND_MS, "How long an answer is waited for, connecting included.", lowest=100, highest=10 * MINUTE_MS
    )
    at_once: int = public(
        8,
        "Requests under way at once; those about one reservation, or one SKU of a channel, never are.",
        lowest=1,
        highest=256,
        unit="requests",
    )
    tries_max: int = public(100, "Tries of one event before it is parked.", lowest=1, highest=10_000, unit="tries")
    retry_first_ms: int = public(
        SECOND_MS,
        "Wait before the second try; it doubles from try to try, and each is drawn at random up to it.",
        lowest=1,
        highest=HOUR_MS,
    )
    retry_wait_ms_max: int = public(5 * MINUTE_MS, "The longest such wait.", lowest=1, highest=DAY_MS)
    parked_max: int = public(
        10_000,
        "Parked events that are kept; with so many the endpoint rests, and its place stays where it is.",
        lowest=1,
        highest=1_000_000,
        unit="events",
    )
    window: int = 256  # events between the oldest that is not done and the newest that was read
    save_ms: int = 500
    renew_ms: int = 2 * SECOND_MS  # its runner writes at least so often
    takeover_ms: int = 10 * SECOND_MS
    look_ms: int = 500  # how often it looks for what `replay` and `resume` ask
    answer_bytes_max: int = 64 * KIB
    bytes_max: int = 256 * KIB * KIB  # of the stream with the places and what is parked
