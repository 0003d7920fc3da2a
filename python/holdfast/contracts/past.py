"""What calls about the past answer (docs/http.md, "The past"), and what is sent about dead letters.

In: nothing. Out: the shapes of audit, changes of a SKU, refusals, dead letters. Always: a page has `items` and `next`
(null at the end); facts are as LOG has them.
"""

from typing import Annotated, Any, Generic, TypeVar

from msgspec import Meta

from holdfast.contracts.fields import Answer, Request, Time

EntryT = TypeVar("EntryT")
RAW_CHARS_MAX = 65_536


class PastPage(Answer, Generic[EntryT], frozen=True, kw_only=True):
    """Entries. `next`: what `after` must be for the following page; null: there is none."""

    items: list[EntryT]
    next: str | None


class AuditEntry(Answer, frozen=True, kw_only=True):
    """A rule was changed. `kind`: of the fact; `settings`: replicated settings of a process that took the
    lead; `key`: an API key that was made or revoked (its `sequence` is 0).

    `by`: the key that brought it, or that process. `before` is null where there was no such rule; `before_known` is
    false where what was before is no longer kept.
    """

    sequence: int
    at: Time
    kind: str
    sku: str | None
    channel: str | None
    location: str | None
    by: str | None
    source: str | None
    trace: str | None = None
    before: dict[str, Any] | None
    before_known: bool
    after: dict[str, Any]


class AuditPage(PastPage[AuditEntry], frozen=True, kw_only=True):
    """GET /v1/audit: changes of rules, in the order of LOG."""


class LevelThen(Answer, frozen=True, kw_only=True):
    """What a location had of a SKU."""

    location: str
    on_hand: int
    at_hand: int
    held: int
    committed: int


class FiguresThen(Answer, frozen=True, kw_only=True):
    """A SKU after one message of LOG. `sellable`: by channel, the first 50; null: no bound."""

    sequence: int
    at: Time
    levels: list[LevelThen]
    sellable: dict[str, int | None]


class ChangeEntry(Answer, frozen=True, kw_only=True):
    """A fact that touched the SKU; of a cart the lines that did."""

    sequence: int
    at: Time
    kind: str
    fact: dict[str, Any]


class SkuChanges(PastPage[ChangeEntry], frozen=True, kw_only=True):
    """GET /v1/skus/{sku}/changes: figures before and after, and the facts between. Null: it was not known then."""

    sku: str
    before: FiguresThen | None
    after: FiguresThen | None


class RefusedLine(Answer, frozen=True, kw_only=True):
    """A line that did not fit."""

    sku: str | None
    requested: int | None
    sellable: int | None
    reason: str | None


class RefusalEntry(Answer, frozen=True, kw_only=True):
    """A command that was refused. `sequence`: of LOG then. `more_lines`: lines that did not fit, beyond 20."""

    at: Time
    sequence: int | None
    verb: str
    reservation: str
    channel: str | None
    by: str | None
    reason: str
    trace: str | None
    lines: list[RefusedLine]
    more_lines: int


class RefusalsPage(PastPage[RefusalEntry], frozen=True, kw_only=True):
    """GET /v1/refusals: the newest first. `left_out`: those that were only counted; `kept_since`: the oldest kept."""

    left_out: int
    kept_since: Time | None


class DeadLetter(Answer, frozen=True, kw_only=True):
    """A fact (`index`) or a whole message (`index` -1) of IN that was rejected, or a correction of one (`corrects`).

    `raw`: its text as it came, at most 65,536 characters (`raw_cut`).
    """

    letter: int
    stored_at: Time
    source: str
    subject: str
    reason: str
    in_sequence: int
    index: int
    corrects: int | None
    trace: str | None
    raw: str
    raw_cut: bool


class DeadLettersPage(PastPage[DeadLetter], frozen=True, kw_only=True):
    """GET /v1/dead-letters: the oldest first; one that was corrected is shown as its correction."""


class CorrectionRequest(Request, frozen=True, kw_only=True):
    """PUT /v1/dead-letters/{letter}/correction: the corrected fact or message, as JSON text."""

    raw: Annotated[str, Meta(min_length=2, max_length=262_144)]


class CorrectionStored(Answer, frozen=True, kw_only=True):
    """A correction: its number, and which letter it corrects."""

    letter: int
    corrects: int


class DeadLetterSent(Answer, frozen=True, kw_only=True):
    """Sent again: the message of IN that it became, and the letters that were removed for it."""

    in_sequence: int
    letters: list[int]


class DeadLetterRemoved(Answer, frozen=True, kw_only=True):
    """A letter that is not there any more; `removed`: it was until now."""

    letter: int
    removed: bool
