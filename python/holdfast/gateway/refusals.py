"""Refusals: a problem on its way to the client.

In: a problem's name and what is particular about this occurrence. Out: an exception that the dispatcher answers.
Always: the text of a refusal is safe to show: it never carries a secret, a stack or a path of this machine.
"""

from typing import Any

from holdfast.contracts.problems import render_problem
from holdfast.gateway.paces import seconds


class Refusal(Exception):  # noqa: N818 - it is not a fault of the program
    """The request is answered with a problem.

    `name` is one of contracts.problems.PROBLEMS; `headers` are ready lines, each ended by CRLF; `close` ends the
    connection after the answer, for when the rest of the request is not worth reading; `queue` is the bound that was
    reached (bounds.py), where that is the cause.
    """

    __slots__ = ("body", "close", "headers", "queue", "status")

    def __init__(
        self,
        name: str,
        detail: str | None = None,
        *,
        headers: bytes = b"",
        close: bool = False,
        queue: str = "",
        **members: Any,
    ) -> None:
        super().__init__(name)
        self.queue = queue
        self.status, self.body = render_problem(name, detail, **members)
        self.headers = headers
        self.close = close


def invalid(path: str, reason: str) -> Refusal:
    """422 because of one field or query parameter."""
    return Refusal("invalid", errors=[{"path": path, "reason": reason}])


def overloaded(detail: str, *, retry_after_s: int, queue: str = "", close: bool = False) -> Refusal:
    """503 because the bound `queue` of this process is reached; nothing was done."""
    headers = b"Retry-After: %d\r\n" % retry_after_s
    return Refusal("overloaded", detail, headers=headers, close=close, queue=queue, outcome="not-done")


def rate_limited(wait_s: float) -> Refusal:
    """429 because the key has asked for more than its rate; it may ask again `wait_s` from now."""
    return Refusal("rate-limited", headers=b"Retry-After: %d\r\n" % seconds(wait_s))


def effective_problem(problem: str, *, log_unwritable: bool) -> str:
    """While the log accepts no append nobody can lead: `log-unavailable` names the cause to remove."""
    return "log-unavailable" if problem == "no-leader" and log_unwritable else problem
