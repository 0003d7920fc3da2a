"""Why a node gives no answer.

Role: the one exception that the gateway turns into a 503. Always: it carries what is known about the request.
"""

from holdfast.protocol.messages import Outcome, Problem


class Unavailable(Exception):  # noqa: N818 - the name of a state
    """No answer from the state machine.

    `problem` is "no-leader", "log-unavailable" or "overloaded"; `outcome` is "not-done" (it certainly was not and
    never will be) or "unknown" (it may be; the same request sent again gets its one answer). `detail` has more
    than the problem's default one.
    """

    def __init__(
        self, problem: str, outcome: str = "not-done", retry_after_s: float = 1.0, detail: str | None = None
    ) -> None:
        super().__init__(f"{problem} ({outcome})")
        self.problem = problem
        self.outcome = outcome
        self.retry_after_s = retry_after_s
        self.detail = detail

    @classmethod
    def of(cls, problem: Problem, outcome: Outcome, retry_after_s: float) -> "Unavailable":
        """From the protocol's own values."""
        return cls(problem.value, outcome.value, retry_after_s)
