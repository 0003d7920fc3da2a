"""What a call can end in besides its answer: one exception per problem of the contract.

In: a problem body. Out: the exception for its name, with the parsed problem.
Always: an unknown problem is a ProblemError, so that a newer server's problems still reach the caller.
"""

from holdfast.contracts.problems import URN, Problem


class ClientError(Exception):
    """Any failure of a call."""


class InvalidAddressError(ClientError):
    """The gateway's address is not the address of anything."""


class UnreachableError(ClientError):
    """No answer: not connected, cut off, or too late. Whether the request was done is not known; send it again."""


class ProblemError(ClientError):
    """The server refused. `problem` has the reason; its detail, what to do next."""

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        super().__init__(f"{problem.name}: {problem.detail}")
        self.problem = problem
        self.retry_after_s = retry_after_s

    @property
    def name(self) -> str:
        """The problem's name."""
        return self.problem.name

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status


class MalformedError(ProblemError):
    """400: the body is not JSON, or the request is not HTTP."""


class UnauthenticatedError(ProblemError):
    """401: no key, or none that is in force."""


class ForbiddenError(ProblemError):
    """403: the key does not allow this operation or channel."""


class NotFoundError(ProblemError):
    """404: no such path, SKU or reservation."""


class UnknownSkuError(NotFoundError):
    """404: no fact named this SKU yet."""


class UnknownChannelError(NotFoundError):
    """404: the channel is not declared, and others are."""


class UnknownReservationError(NotFoundError):
    """404: no such reservation, or none that this key may see."""


class ConflictError(ProblemError):
    """409: the request does not fit the stored state."""


class InsufficientStockError(ConflictError):
    """409: `problem.lines` has what each line could have."""


class ReservationClosedError(ConflictError):
    """409: the reservation's state does not allow this any more."""


class StaleRevisionError(ConflictError):
    """409: a newer revision is stored."""


class OwnerLimitError(ConflictError):
    """409: the owner would hold too many units."""


class RenewalsExhaustedError(ConflictError):
    """409: renewed as often as the settings allow."""


class OversoldError(ConflictError):
    """409: confirmed after the hold ended, and the stock is sold; may be tried again."""


class DeficitError(ConflictError):
    """409: nothing covers some of the held units any more, and `rules.confirm_deficit` is `refuse`; still held."""


class IdempotencyConflictError(ConflictError):
    """409: the idempotency key was used for another request."""


class TooLargeError(ProblemError):
    """413: split the body."""


class InvalidError(ProblemError):
    """422: `problem.errors` lists the fields."""


class RateLimitedError(ProblemError):
    """429: wait for `retry_after_s`."""


class UnavailableError(ProblemError):
    """503: nothing is wrong with the request; send it again after `retry_after_s`, unchanged."""

    @property
    def outcome(self) -> str:
        """`not-done`, or `unknown`: it may have been done."""
        outcome = self.problem.outcome
        return outcome if isinstance(outcome, str) else "unknown"


_BY_NAME: dict[str, type[ProblemError]] = {
    "malformed-json": MalformedError,
    "malformed-request": MalformedError,
    "unauthenticated": UnauthenticatedError,
    "forbidden": ForbiddenError,
    "not-found": NotFoundError,
    "unknown-sku": UnknownSkuError,
    "unknown-channel": UnknownChannelError,
    "unknown-reservation": UnknownReservationError,
    "idempotency-conflict": IdempotencyConflictError,
    "insufficient-stock": InsufficientStockError,
    "reservation-closed": ReservationClosedError,
    "stale-revision": StaleRevisionError,
    "owner-limit": OwnerLimitError,
    "renewals-exhausted": RenewalsExhaustedError,
    "oversold": OversoldError,
    "deficit": DeficitError,
    "too-large": TooLargeError,
    "invalid": InvalidError,
    "rate-limited": RateLimitedError,
    "overloaded": UnavailableError,
    "no-leader": UnavailableError,
    "log-unavailable": UnavailableError,
}


def error_for(problem: Problem, retry_after_s: float | None = None) -> ProblemError:
    """The exception for `problem`."""
    return _BY_NAME.get(problem.name, ProblemError)(problem, retry_after_s)


def unreadable(status: int, body: bytes) -> ProblemError:
    """An answer that does not come from holdfast: something else listens there, or stands between."""
    said = " ".join(body[:200].decode("utf-8", "replace").split())
    detail = f"what answers there is not a holdfast gateway (HTTP status {status}: {said[:100]!r})"
    kind = UnavailableError if status == 503 else ProblemError
    return kind(Problem(type=URN + "unreadable", title="Not an answer of holdfast", status=status, detail=detail))
