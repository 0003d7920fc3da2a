"""What a comparison finds: differences with their type, evidence and correction, and the report of a run.

In: nothing. Out: Structs, as `holdfast reconcile --json` writes them. Always: a difference has one `id` in every run,
so that its age is known; every difference has exactly one type.
"""

from typing import Any, Literal, get_args

import msgspec

Type = Literal[
    "missing-event", "duplicate", "not-counted-yet", "manual-edit", "rounding", "deleted-sku", "late", "unknown"
]
TYPES: tuple[str, ...] = get_args(Type)
CORRECTED: tuple[str, ...] = ("missing-event", "manual-edit", "deleted-sku")
"""Types for which there may be a correction."""
Pair = Literal["erp-holdfast", "shop-holdfast", "erp-shop"]
What = Literal["level", "order", "stock"]


class Correction(msgspec.Struct, frozen=True, omit_defaults=True):
    """What would put it right: facts in the name of a source, or something that the shop's connector is asked for.

    `push`: compare every figure with the shop; `read_since`: read its orders again, from this second on.
    """

    connection: str
    facts: list[dict[str, Any]] = []
    push: bool = False
    read_since_s: int | None = None


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rule concludes: the type, and why."""

    type: Type
    evidence: tuple[str, ...]
    correction: Correction | None = None


class Difference(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One. `figures` by system, where None is "has none"; `units` is by how many they differ."""

    id: str
    pair: Pair
    what: What
    type: Type
    connection: str
    sku: str = ""
    location: str = ""
    order: str = ""
    figures: dict[str, str]
    units: float = 0
    evidence: list[str]
    advice: str
    first_ms: int = 0
    age_ms: int = 0
    correction: Correction | None = None


class Compared(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One comparison of a run. `moving` changed in every reading; `remarks` say what was left out, and why."""

    pair: Pair
    what: What
    connection: str
    compared: int = 0
    differing: int = 0
    moving: list[str] = []
    read_at: dict[str, str] = {}
    """The moment of each system that was read: a sequence, or a time on its clock."""
    remarks: list[str] = []
    by_location: dict[str, tuple[int, int]] = {}
    """How many cells were compared at a location, and how many differ."""
    failed: str = ""
    """Why it could not be made."""


class Applied(msgspec.Struct, omit_defaults=True):
    """A correction that was sent, and what became of it."""

    id: str
    type: str
    sent: Correction
    result: str
    run: int = 0
    at_ms: int = 0


class Report(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A run. `trend` has it and the runs before it: by location, cells compared and cells that differ. `applied` has
    the newest corrections, of earlier runs too.
    """

    run: int = 0
    began_ms: int
    took_ms: int = 0
    comparisons: list[Compared] = []
    differences: list[Difference] = []
    applied: list[Applied] = []
    trend: list[dict[str, Any]] = []

    @property
    def is_clean(self) -> bool:
        """Whether all that could be compared agrees; parts of units alone are no difference to act on."""
        failed = any(one.failed for one in self.comparisons)
        return not failed and all(one.type == "rounding" for one in self.differences)


ADVICE: dict[str, str] = {
    "missing-event": "A statement was lost. The correction states it again.",
    "duplicate": "It counts twice. Cancel one of the two where it was entered by mistake.",
    "not-counted-yet": "holdfast deducts it meanwhile. Why: `holdfast erp parked`, or the order there.",
    "manual-edit": "Somebody changed it past the connection. The correction states what its owner has.",
    "rounding": "Nothing to do: holdfast counts whole units.",
    "deleted-sku": "Give the SKU back, or have its stock set to nothing.",
    "late": "It comes when the connection works again: `holdfast erp status`, `holdfast woo status`.",
    "unknown": "Nothing explains it. Look at the evidence, in both systems.",
}
