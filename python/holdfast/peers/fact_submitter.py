"""Facts through IN, from any process of the scope.

Role: publish messages of facts, and get the outcome of each fact, from this process when it leads, else from the
one that does. In: messages. Out: counts, refusals by index in the whole body, and a sequence. Always: bounded; asking
again is harmless, so it is repeated across a change of leaders; once a message may be in IN, the outcome of a failure
is unknown.
"""

import asyncio
from collections.abc import Callable

import msgspec

from holdfast._core import well_formed
from holdfast.errors import LogError, UnreachableError
from holdfast.nats.fact_publisher import FactPublisher, InFullError
from holdfast.peers.forwarding import held
from holdfast.peers.freshness import AppliedIndex
from holdfast.peers.receipts import Receipts
from holdfast.peers.rpc import Rpc
from holdfast.peers.wire import STILL_WAITING, Taken, decode_reply, encode
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.facts_outcome import FactsOutcome, MessageOutcome, combined
from holdfast.settings import NodeSettings


class FactSubmitter:
    """Sends facts and awaits their outcome."""

    def __init__(
        self,
        publisher: FactPublisher,
        receipts: Receipts,
        rpc: Rpc,
        applied_index: AppliedIndex,
        leads: Callable[[], bool],
        leader_subject: Callable[[], str | None],
        settings: NodeSettings,
    ) -> None:
        self._publisher = publisher
        self._receipts = receipts
        self._rpc = rpc
        self._applied_index = applied_index
        self._leads = leads
        self._leader_subject = leader_subject
        self._settings = settings
        self._waiting = 0
        self.stopping = False

    def __len__(self) -> int:
        return self._waiting

    async def send(self, subject: str, messages: list[bytes], *, await_log: bool) -> FactsOutcome:
        """Publish in order; wait for LOG if asked to. Raises Unavailable."""
        if self._waiting + len(messages) > self._settings.facts_waiting_max:
            raise self._unavailable("overloaded", "not-done")
        self._waiting += len(messages)
        try:
            sequences = await self._publish(subject, messages)
            if not await_log:
                return _only_received(messages, sequences[-1] if sequences else 0)
            return await self._await_log(sequences)
        finally:
            self._waiting -= len(messages)

    async def _publish(self, subject: str, messages: list[bytes]) -> list[int]:
        sequences: list[int] = []
        try:
            for message in messages:
                sequences += [await self._publisher.publish(subject, message)]
        except InFullError as fault:
            raise self._unavailable("log-unavailable", "unknown" if sequences else "not-done") from fault
        except UnreachableError as fault:
            raise self._unavailable("log-unavailable", "unknown") from fault
        return sequences

    async def _await_log(self, sequences: list[int]) -> FactsOutcome:
        if not sequences:
            return combined([], self._applied_index.sequence)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._settings.facts_deadline_ms / 1000
        why = "log-unavailable"
        while (left_s := deadline_s - loop.time()) > 0:
            try:
                results, sequence = await self._ask(sequences, left_s)
            except TimeoutError:
                why = "log-unavailable"
            except Unavailable as fault:
                why = fault.problem
                if why != "no-leader" or self.stopping:
                    raise self._unavailable(why, "unknown") from fault
                await asyncio.sleep(min(left_s, self._settings.facts_ask_again_ms / 1000))
            else:
                await held(self._applied_index, sequence, self._settings.forward_apply_wait_ms / 1000)
                return combined(results, sequence)
        raise self._unavailable(why, "unknown")

    async def _ask(self, sequences: list[int], within_s: float) -> tuple[list[MessageOutcome], int]:
        """Ask the process that leads now. Raises Unavailable."""
        if self._leads():
            stored = await self._receipts.taken(sequences, within_s)
            return [(accepted, rejected, report) for (_, accepted, rejected, report), _ in stored], stored[-1][1]
        subject = self._leader_subject()
        if subject is None:
            raise self._unavailable("no-leader", "unknown")
        # A leader that died does not answer: ask again once it should have answered that it still waits.
        patience_s = min(within_s, self._settings.command_deadline_ms / 1000)
        question = Taken(max(1, int(patience_s * 1000) - self._settings.forward_margin_ms), sequences)
        try:
            reply = decode_reply(await self._rpc.ask(subject, encode(question), patience_s))
        except (LogError, msgspec.MsgspecError, UnicodeDecodeError) as fault:
            raise self._unavailable("no-leader", "unknown") from fault
        if reply.problem == STILL_WAITING:
            raise TimeoutError
        if reply.problem or len(reply.receipts) != len(sequences):
            raise self._unavailable(reply.problem or "log-unavailable", "unknown")
        outcomes = [(one.accepted, one.rejected, one.report) for one in reply.receipts]
        return outcomes, reply.receipts[-1].sequence

    def _unavailable(self, problem: str, outcome: str) -> Unavailable:
        return Unavailable(problem, outcome, self._settings.retry_after_s)


def _only_received(messages: list[bytes], sequence: int) -> FactsOutcome:
    outcome = combined([(*well_formed(message), b"{}") for message in messages], sequence)
    return FactsOutcome(outcome.accepted, outcome.rejected, sequence)
