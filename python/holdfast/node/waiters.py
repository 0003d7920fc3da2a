"""Those who wait for what becomes of their commands.

In: answers and rejections from the protocol. Out: futures resolved. Always: each once; one that was given up, because
its client went, is passed over.
"""

from holdfast.node.report import Counters
from holdfast.protocol import messages as e
from holdfast.protocol.errors import Unavailable


class Waiters:
    """Tells them, and counts."""

    def __init__(self, counted: Counters, retry_after_s: int) -> None:
        self._counted = counted
        self._retry_after_s = retry_after_s

    def answer(self, effect: e.Answer) -> None:
        """LOG has what these became."""
        sequence = effect.sequence
        for command, (status, body) in zip(effect.commands, effect.answers, strict=True):
            future = command.waiter
            if not future.done():
                future.set_result((status, body, sequence))
        self._counted.answered += len(effect.commands)

    def reject(self, effect: e.Reject) -> None:
        """These were not decided, or it is not known what became of them."""
        for command in effect.commands:
            if not command.waiter.done():
                command.waiter.set_exception(Unavailable.of(effect.problem, effect.outcome, self._retry_after_s))
        self._counted.rejected += len(effect.commands)
