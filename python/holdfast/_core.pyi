"""
The compiled core of holdfast: the class `Engine`, its decisions, its errors, and the scope's keys. JSON is always bytes.
"""

from collections.abc import Sequence
from typing import Final, SupportsIndex, final

build_profile: Final[str]
"""
The Cargo profile that the extension was compiled with: only the figures of "release" are those of what is shipped.
"""

debug_build: Final[bool]
"""
True when the extension was compiled without optimisation: its figures mean nothing.
"""

snapshot_format: Final[int]
"""
The format of the snapshots that the extension writes; it reads this one and all before it.
"""

@final
class Carts:
    """
    Some of its carts, which go into one batch of LOG; and what became of them, once they were decided.
    """
    def __len__(self, /) -> int: ...
    def refused(self, /) -> "list[tuple[tuple[str, str, bytes, None, str | None], bytes]]":
        """
        What the state refused of what was decided: the command each, and its answer. Once.
        """

@final
class CartsBody:
    """
    The body of a POST /v1/reservations:batch. Raises `RequestError`.
    """
    def __len__(self, /) -> int: ...
    def __new__(cls, /, body: bytes) -> CartsBody: ...
    def end_of(self, /, start: SupportsIndex, carts_max: SupportsIndex, bytes_max: SupportsIndex) -> int:
        """
        Where a part ends that begins at `start` and has at most so many carts and (beyond the first) bytes of bodies.
        """
    def part(self, /, start: "int", end: "int", channels: "tuple[str, ...] | None", by: "str | None") -> "Carts":
        """
        The carts from `start` to `end`, as somebody asks for them.
        """
    def requests(self, /, start: "int", end: "int") -> "list[tuple[str, bytes]]":
        """
        `(id, PUT body)` of each cart from `start` to `end`.
        """
    def results(self, /, start: "int", answers: "Sequence[tuple[int, bytes]]") -> "bytes":
        """
        The results of the carts from `start` on, one for each answer, as members of a JSON list.
        """

@final
class Decision:
    """
    What one call of `Engine.decide` came to.
    """
    @property
    def answers(self, /) -> list[tuple[int, bytes]]:
        """
        (HTTP status, JSON body) for each command taken, in order.
        """
    @property
    def commands_taken(self, /) -> int:
        """
        How many of the commands, from the first, were decided; the rest stays queued.
        """
    @property
    def dead(self, /) -> list[tuple[int, int, str, bytes]]:
        """
        (IN sequence, index or -1, reason, raw bytes) of each fact or message for the dead letters.
        """
    @property
    def incoming_taken(self, /) -> int:
        """
        How many of the IN messages, from the first, were taken.
        """
    @property
    def message(self, /) -> bytes | None:
        """
        The batch to append; None: nothing changed, the answers may go out at once.
        """
    @property
    def received(self, /) -> list[tuple[int, int, list[tuple[int, str]], bytes]]:
        """
        (IN sequence, accepted, [(index, reason)], report) for each IN message taken; index -1 is the whole message. The
        report is a JSON object: what was ignored, what was created, the sequence of the batch that took it.
        """

@final
class Engine:
    """
    The state machine of one scope. `owner_key`: a secret under which owners are hashed; `scope_keys`: what batches are signed
    with. Neither is part of the state.
    """
    def __new__(cls, /, scope: str, owner_key: bytes | None = None, scope_keys: ScopeKeys | None = None) -> Engine: ...
    def apply(self, /, sequence: SupportsIndex, message: bytes) -> bool:
        """
        Applies a stored message; False: it is void, skipped and counted. Raises `GapError`, `LogError`.
        """
    def apply_many(self, /, first_sequence: "int", messages: "Sequence[bytes]") -> "int":
        """
        Applies stored messages from `first_sequence` on, while other threads run; how many were void.
        """
    def availabilities(self, /, body: "bytes", channels: "tuple[str, ...] | None", as_of: "bytes") -> "tuple[int, bytes]":
        """
        POST /v1/availability.
        """
    def availability(self, /, sku: "str", channel: "str", region: "str | None", quantity: "int | None", as_of: "bytes", location: "str | None" = None, by_location: "bool" = False, published: "bool" = False) -> "tuple[int, bytes]":
        """
        GET /v1/availability/{sku}. `location`: what it alone can give; `by_location`: each location's figure, too.
        """
    @property
    def batch(self, /) -> int:
        """
        Batches that took effect.
        """
    @property
    def chain(self, /) -> str:
        """
        The hash of the newest batch, 64 hex digits.
        """
    def check(self, /) -> list[str]:
        """
        Broken invariants, one sentence each; cheap enough after every batch.
        """
    def check_thoroughly(self, /) -> list[str]:
        """
        Broken invariants, one sentence each, with everything recomputed.
        """
    def commit(self, /, sequence: SupportsIndex) -> None:
        """
        The pending message is stored at `sequence`. Raises `GapError`, `PendingError`.
        """
    def decide(self, /, now_ms: "int", lead_ms: "int", requests: "Sequence[tuple[str, str, bytes, tuple[str, ...] | None, str | None] | tuple[str, str, bytes, tuple[str, ...] | None, str | None, str | None] | tuple[str, str, bytes, tuple[str, ...] | None, str | None, str | None, str | None] | Carts]", incoming: "Sequence[tuple[int, str, bytes] | tuple[int, str, bytes, bool]]") -> "Decision":
        """
        Decides incoming facts, then commands, until the batch is full; changes the state ahead of LOG. Raises `PendingError`.
        An incoming message is `(IN sequence, subject, payload)`, and perhaps whether a gateway sealed it; without that, yes.
        """
    def digest(self, /) -> str:
        """
        Of the state, 32 hex digits: the same for the same LOG on every machine.
        """
    def dry_run(self, /, now_ms: "int", source: "str", policies_only: "bool", messages: "Sequence[bytes]") -> "tuple[int, list[tuple[int, str]], bytes]":
        """
        What would become of IN messages of one body now: `(accepted, [(index, reason)], report)`. Changes nothing.
        """
    @property
    def epoch(self, /) -> int:
        """
        Of the newest lead batch.
        """
    def explain(self, /, sku: "str", channel: "str", region: "str | None", as_of: "bytes", channels: "tuple[str, ...] | None" = None) -> "tuple[int, bytes]":
        """
        GET /v1/availability/{sku}/explain.
        """
    @property
    def in_upto(self, /) -> int:
        """
        The last IN sequence taken.
        """
    def lacks_code(self, /, message: bytes) -> bool:
        """
        Whether no process of the scope can have written a message of LOG, by its code. Raises `LogError`.
        """
    def lead_batch(self, /, node: str, now_ms: SupportsIndex, rules: bytes | None = None) -> bytes:
        """
        The bytes of a `lead` batch (epoch + 1) on the present state, which stays as it is. `rules`: the settings to change.
        """
    @property
    def lead_ms(self, /) -> int:
        """
        Lead time of the newest batch.
        """
    def listing(self, /, kind: "str", after: "str | None", limit: "int", filters: "Sequence[tuple[str, str]]", channels: "tuple[str, ...] | None", as_of: "bytes", now_ms: "int | None" = None) -> "tuple[int, bytes]":
        """
        One page of a list: GET /v1/skus and so on. `filters`: (name, value).
        """
    @property
    def mac_keys(self, /) -> list[str]:
        """
        The names of the keys that batches of LOG are signed with from here on; none: they need no code.
        """
    def next_due_lead_ms(self, /) -> int | None:
        """
        When, on the lead clock, the earliest hold is due.
        """
    @property
    def node(self, /) -> str:
        """
        Who appended the newest lead batch.
        """
    @property
    def now_ms(self, /) -> int:
        """
        Wall time of the newest batch.
        """
    @property
    def pending(self, /) -> bool:
        """
        Whether a decided batch waits for `commit`.
        """
    def prove(self, /) -> bool:
        """
        Whether the maintained digest equals the recounted one. Where it does not, the next batch decided here records that, and
        every process recounts its digest there. Other threads run meanwhile.
        """
    def recount(self, /) -> str:
        """
        The digest computed from the whole state; changes nothing.
        """
    def reservation(self, /, id: "str", channels: "tuple[str, ...] | None", as_of: "bytes") -> "tuple[int, bytes]":
        """
        GET /v1/reservations/{id}.
        """
    @staticmethod
    def restore(scope: "str", owner_key: "bytes | None", path: "str", scope_keys: "ScopeKeys | None" = None) -> "Engine":
        """
        The engine that a snapshot of `scope` was written from, proven by its digest; other threads run meanwhile.
        Raises `SnapshotError`, `OSError`.
        """
    @property
    def scope(self, /) -> str:
        """
        The inventory universe that this is the state of.
        """
    def sellable(self, /, sku: str, channel: str, region: str | None = None) -> int | None:
        """
        What a channel can sell, for tests and benches; None: unknown SKU.
        """
    @property
    def sequence(self, /) -> int:
        """
        Of the newest LOG message that was applied or committed.
        """
    @property
    def signed(self, /) -> bool:
        """
        Whether batches of LOG are signed from here on.
        """
    def skip_unsigned(self, /, sequence: SupportsIndex, message: bytes) -> bool:
        """
        Whether a message where the pending batch should stand has no right code; if so it is skipped and counted, and the
        pending batch follows it. Raises `GapError`, `LogError`.
        """
    def sku(self, /, sku: "str", channels: "tuple[str, ...] | None", as_of: "bytes") -> "tuple[int, bytes]":
        """
        GET /v1/skus/{sku}.
        """
    def snapshot(self, /, path: "str") -> "bytes":
        """
        Writes the whole state to a new file at `path`, durably, while other threads run; its header as a JSON object.
        Raises `SnapshotError`, `OSError` (also where `path` exists).
        """
    def totals(self, /) -> bytes:
        """
        Counts, as a JSON object.
        """
    def validate(self, /, body: "bytes", channels: "tuple[str, ...] | None", as_of: "bytes") -> "tuple[int, bytes]":
        """
        POST /v1/carts/validate.
        """
    @property
    def void_total(self, /) -> int:
        """
        Messages of LOG that did not fit the chain and were skipped.
        """
    def wants_tick(self, /, now_ms: SupportsIndex) -> bool:
        """
        Whether a batch without facts is needed because the day changed.
        """

@final
class Publication:
    """
    Has an engine gather, from here on, what its batches change: events, and the figures that channels publish. At first all
    figures count as changed.
    """
    def __new__(cls, /, engine: Engine) -> Publication: ...
    def again(self, /, key: "tuple[int, int]") -> "None":
        """
        A figure that was taken, and is not published, waits again.
        """
    def events(self, /) -> "list[tuple[int, int, str, str, bytes]]":
        """
        The events gathered since the last call, in order: (sequence, index, kind, channel, body).
        """
    def figures(self, /, most: "int") -> "list[tuple[tuple[int, int], str, str, bytes]]":
        """
        Up to so many figures that changed, those that came to zero or left it first: (key, channel, SKU, body).
        """
    def known(self, /, channel: "str", sku: "str", published: "int", sellable: "int", unlimited: "bool", gone: "bool") -> "tuple[int, int] | None":
        """
        What was published before: where it is right it need not be taken. The key; None: no such channel or SKU is known.
        """
    def lags(self, /, lags_ms: "list[tuple[str, int]]", other_ms: "int", now_ms: "int") -> "None":
        """
        How late each channel's shop learns of a figure, and those of all others. Of some figures more or less is withheld then;
        these wait.
        """
    def pace(self, /, window_ms: "int", most: "int") -> "None":
        """
        In which time sales are counted, and of how many figures at most.
        """
    def thresholds(self, /, units: "list[int]", after: "int") -> "None":
        """
        Crossing one of these figures is as urgent as coming to zero, and an event, in batches behind `after`.
        """
    @property
    def waiting(self, /) -> int:
        """
        How many figures wait to be taken.
        """

@final
class ScopeKeys:
    """
    The secrets of the scope key file: the first signs, all are believed. Raises `ValueError` without a secret.
    """
    def __new__(cls, /, secrets: "list[bytes]") -> ScopeKeys: ...
    def ids(self, /) -> list[str]:
        """
        The names of the keys; they say nothing about the secrets.
        """
    def key_of_json(self, /, purpose: str, context: bytes, message: bytes) -> tuple[str, bool] | None:
        """
        Which key signed a JSON object: `(its name, True)`; `(name, False)` where that key is not known here; None: it has no
        code, or a wrong one.
        """
    def open(self, /, purpose: str, context: bytes, signed: bytes) -> bytes | None:
        """
        The message behind its code; None: the code is not right.
        """
    def sign(self, /, purpose: str, context: bytes, message: bytes) -> bytes:
        """
        Any message, behind its code.
        """
    def sign_json(self, /, purpose: str, context: bytes, message: bytes) -> bytes:
        """
        A JSON object with its code as the last member. Raises `ValueError` for anything but an object with a member.
        """

def first_beyond(messages: "Sequence[bytes]", policies: "bool", locations: "frozenset[str] | None") -> "tuple[int, str, str] | None":
    """
    The first fact of a body's IN messages that its sender may not send: `(index, right, what)`, `right` being `policies`,
    `location` or `locations`. `locations`: those that its facts may be about; None: all.
    """

def split_facts(body: bytes, limit: SupportsIndex, by: str | None = None, key: str | None = None, facts_max: SupportsIndex = ..., trace: str | None = None) -> tuple[str, list[bytes]]:
    """
    The source, and the IN messages of at most `limit` bytes, of a POST /v1/facts or /v1/policies; `by` is the API key,
    `key` the idempotency key, `trace` the request's. Raises `RequestError`, also for more than `facts_max` facts.
    """

def well_formed(message: bytes) -> tuple[int, list[tuple[int, str]]]:
    """
    How many facts of an IN message are well formed, and which are not: `(count, [(index, reason)])`; index -1: the whole.
    """

class HoldfastError(Exception):
    """
    Anything that the core refuses or cannot do.
    """

class LogError(HoldfastError):
    """
    The log cannot be followed: stop, and rebuild.
    """

class RequestError(HoldfastError):
    """
    A body was refused: args are the problem's JSON body and its HTTP status.
    """

class SnapshotError(HoldfastError):
    """
    A snapshot cannot be used: use an older one, or replay LOG.
    """

class GapError(LogError):
    """
    A sequence came that was not due.
    """

class PendingError(LogError):
    """
    A batch is pending, or none is where one should be.
    """

class ScopeKeyError(LogError):
    """
    Batches are signed with a key that is not known here.
    """

__all__ = ['Carts', 'CartsBody', 'Decision', 'Engine', 'GapError', 'HoldfastError', 'LogError', 'PendingError', 'Publication', 'RequestError', 'ScopeKeyError', 'ScopeKeys', 'SnapshotError', 'build_profile', 'debug_build', 'first_beyond', 'snapshot_format', 'split_facts', 'well_formed']

