"""Settings that decide what a batch means (docs/rules.md).

In: nothing. Out: RuleSettings. Always: they are replicated, names and values as the core has them
(rust/core/src/state/rules.rs).
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import DAY_MS, GIB, MIB, MINUTE_MS


@section("rules", "What a batch means ([rules.md](rules.md)). Replicated: see below.")
@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Settings that decide what a batch means. They are replicated: each lead batch carries them.

    Here they are what this node would set; in force on every node are those of the newest lead batch.
    """

    create_unknown_skus: bool = public(
        default=True, doc="A stock fact that names an unknown SKU creates it; else it is rejected."
    )
    create_unknown_locations: bool = public(
        default=False, doc="Likewise for locations. With true, a mistyped code counts stock twice."
    )
    undeclared_channels: str = public(
        "refuse",
        "Whether a channel that is not declared is refused or served once any channel is declared.",
        choices=("refuse", "serve"),
    )
    confirm_deficit: str = public(
        "accept",
        "Whether a hold can be confirmed while no stock, supply or policy covers some of its units any more.",
        choices=("accept", "refuse"),
    )
    clock_skew_ms: int = public(
        5 * MINUTE_MS,
        "A fact whose `as_of` is a time so much later than now is rejected.",
        lowest=0,
        highest=365 * DAY_MS,
    )
    presume_receipts: bool = public(
        default=True,
        doc="A level that rose by more than movements explain is taken to count open supply that arrived, until "
        "that is stated again. With false, a level that comes before its supply line counts twice meanwhile.",
    )
    supply_confidence_min: int = public(
        50, "Supply below this confidence is listed and not sold.", lowest=0, highest=100, unit="per cent"
    )
    overdue_grace_days: int = public(
        3, "Overdue supply still counts for this long after its due day.", lowest=0, highest=3_650
    )
    overdue_slip_days: int = public(1, "Overdue supply counts as due this long from today.", lowest=0, highest=3_650)
    promise_horizon_days: int = public(180, "How far a promise by date looks ahead.", lowest=0, highest=3_650)
    owner_units_max: int = public(
        0, "Units that one owner may hold at a time. 0: no bound.", lowest=0, highest=1_000_000_000_000, unit="units"
    )
    owner_holds_max: int = public(
        100,
        "Holds that one owner may have at a time on one channel. 0: no bound.",
        lowest=0,
        highest=1_000_000,
        unit="holds",
    )
    renewals_max: int = public(
        5, "How often a hold may be extended or replaced.", lowest=0, highest=1_000_000, unit="times"
    )
    expire_batch_max: int = public(
        10_000,
        "Holds that one batch expires, and closed reservations that it forgets.",
        lowest=1,
        highest=1_000_000,
        unit="holds",
    )
    remember_closed_ms: int = public(
        2 * DAY_MS,
        "How long a closed reservation is remembered, on the lead clock.",
        lowest=MINUTE_MS,
        highest=3_650 * DAY_MS,
    )
    closed_max: int = public(
        2_000_000,
        "Closed reservations that are remembered; the channel that has most of them forgets its oldest first.",
        lowest=1,
        highest=1_000_000_000,
        unit="reservations",
    )
    identities_max: int = public(
        1_000_000,
        "Movements, closed documents and early order facts that are remembered, of each kind; the source that "
        "has most of them forgets its own first.",
        lowest=1,
        highest=1_000_000_000,
        unit="entries",
    )
    answers_kept_ms: int = public(
        DAY_MS,
        "How long an answer is remembered under its idempotency key, on the lead clock.",
        lowest=MINUTE_MS,
        highest=3_650 * DAY_MS,
    )
    answers_max: int = public(
        500_000,
        "Answers that are remembered under idempotency keys; the API key that has most loses its oldest first.",
        lowest=1,
        highest=1_000_000_000,
        unit="answers",
    )
    answers_bytes_max: int = public(
        128 * MIB, "Memory that they take, 128 bytes for each beside its text.", lowest=MIB, highest=64 * GIB
    )
