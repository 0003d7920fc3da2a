"""Facts over HTTP: a body becomes messages on IN, and the leader's verdict becomes the answer.

In: a body of facts. Out: 202 with what was accepted and what was not.
Always: facts reach LOG through IN alone, in the order of the body, from any sender; the key that sent them is recorded.
An idempotency key goes with them: the leader that takes them in checks whether they came before.
"""

import time
from collections.abc import Callable

import orjson

from holdfast._core import Engine, split_facts, well_formed
from holdfast.gateway.counters import Counters
from holdfast.gateway.idempotency import CONFLICT_REASON
from holdfast.gateway.keyring import Key
from holdfast.gateway.ports import Answer, Family, Node
from holdfast.gateway.queries import fields
from holdfast.gateway.refusals import Refusal, invalid
from holdfast.gateway.router import CommandHandler
from holdfast.settings import GatewaySettings

_QUERY = frozenset({"wait", "dry_run"})
POLICY_SOURCE = "policy"
"""The source of policy bodies, which name none; no body may name it."""


def receive(node: Node, settings: GatewaySettings, counters: Counters, family: Family) -> CommandHandler:
    """The handler for bodies of facts of `family`."""
    message_bytes_max = settings.facts_message_bytes_max

    async def handle(parameter: str, query: str, body: bytes, key: Key, name: str | None = None, /) -> Answer:  # noqa: ARG001
        asked = fields(query, _QUERY)
        wait = asked.get("wait", "log")
        if wait not in {"log", "received"}:
            raise invalid("wait", "must be log or received")
        dry_run = asked.get("dry_run", "false")
        if dry_run not in {"true", "false"}:
            raise invalid("dry_run", "must be true or false")
        source, messages = split_facts(body, message_bytes_max, key.id, name)
        if (source == POLICY_SOURCE) != (family == "policy"):
            raise invalid("source", "is missing" if source == POLICY_SOURCE else "is unknown")
        if dry_run == "true":
            return await node.read(lambda engine, _: (200, _tried(engine, source, family == "policy", messages)))
        outcome = await node.facts(family, source, messages, "received" if wait == "received" else "log")
        accepted, rejected = outcome.accepted, list(outcome.rejected)
        if name is not None and any(reason.startswith(CONFLICT_REASON) for _, reason in rejected):
            raise Refusal("idempotency-conflict")
        if wait == "received":
            accepted, rejected = _by_message(messages, well_formed)
        counters.facts_accepted += accepted
        counters.facts_rejected += len(rejected)
        return 202, _answer(accepted, rejected, outcome.sequence), outcome.sequence if wait == "log" else 0

    return handle


def _answer(accepted: int, rejected: list[tuple[int, str]], sequence: int) -> bytes:
    reasons = [{"index": index, "reason": reason} for index, reason in rejected]
    return orjson.dumps({"accepted": accepted, "rejected": reasons, "sequence": sequence})


def _tried(engine: Engine, source: str, policies_only: bool, messages: list[bytes]) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    accepted, rejected = _by_message(messages, lambda message: engine.dry_run(now_ms, source, policies_only, message))
    return _answer(accepted, rejected, engine.sequence)


def _by_message(
    messages: list[bytes], judge: Callable[[bytes], tuple[int, list[tuple[int, str]]]]
) -> tuple[int, list[tuple[int, str]]]:
    """How many facts pass, and which do not, by their index in the whole body."""
    accepted, rejected, before = 0, [], 0
    for message in messages:
        good, bad = judge(message)
        rejected += [(before + index, reason) for index, reason in bad]
        accepted += good
        before += good + len(bad)
    return accepted, rejected
