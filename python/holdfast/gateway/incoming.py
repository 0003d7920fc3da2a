"""Facts over HTTP: a body becomes messages on IN, and the leader's verdict becomes the answer.

In: a body of facts. Out: 202 with what was accepted and what was not; 422 where every fact was rejected.
Always: facts reach LOG through IN alone, in the order of the body, from any sender; the key that sent them is recorded.
An idempotency key goes with them: the leader that takes them in checks whether they came before.
"""

import time
from typing import Any

import msgspec
import orjson

from holdfast._core import Engine, first_beyond, split_facts
from holdfast.gateway.counters import Counters
from holdfast.gateway.idempotency import CONFLICT_REASON
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.ports import Answer, Family, Node
from holdfast.gateway.queries import fields
from holdfast.gateway.refusals import Refusal, invalid
from holdfast.gateway.router import CommandHandler
from holdfast.protocol.facts_outcome import FactsOutcome, combined
from holdfast.settings import GatewaySettings
from holdfast.traces import CURRENT

_QUERY = frozenset({"wait", "dry_run"})
POLICY_SOURCE = "policy"
"""The source of policy bodies, which name none; no body may name it."""
ALL_REJECTED = "Every fact was rejected, and nothing was taken. Correct what `errors` lists and send the request again."
ERRORS_MAX = 100
"""Entries of `errors`; `rejected` has every fact."""


class _Counted(msgspec.Struct):
    facts: list[msgspec.Raw]


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
        source, messages = split_facts(
            body, message_bytes_max, key.id, name, settings.facts_body_max, CURRENT.get() or None
        )
        if (source == POLICY_SOURCE) != (family == "policy"):
            raise invalid("source", "is missing" if source == POLICY_SOURCE else "is unknown")
        check_rights(source, messages, key, policies=family == "policy" or Operation.POLICIES in key.operations)
        quota = key.quota(Operation.POLICIES if family == "policy" else Operation.FACTS)
        if quota is not None:  # it was counted as one when it came; each fact counts
            quota.charge(len(msgspec.json.decode(body, type=_Counted).facts) - 1)
        if dry_run == "true":
            return await node.read(lambda engine, _: (200, _tried(engine, source, family == "policy", messages)))
        outcome = await node.facts(family, source, messages, "received" if wait == "received" else "log")
        if name is not None and any(reason.startswith(CONFLICT_REASON) for _, reason in outcome.rejected):
            raise Refusal("idempotency-conflict")
        counters.facts_accepted += outcome.accepted
        counters.facts_rejected += len(outcome.rejected)
        if outcome.rejected and not outcome.accepted:
            raise _all_rejected(outcome)
        return 202, orjson.dumps(_answer(outcome)), outcome.sequence if wait == "log" else 0

    return handle


def check_rights(source: str, messages: list[bytes], key: Key, *, policies: bool) -> None:
    """That the key may say this in this name. Raises Refusal 403, which names what it lacks."""
    if source != POLICY_SOURCE and key.sources is not None and source not in key.sources:
        detail = (
            f"This key may not send facts in the name of {source!r}. Use a key of that source; the operator of the "
            "gateway makes one (`holdfast keys add`), or changes this one (`holdfast keys change`)."
        )
        raise Refusal("forbidden", detail, source=source)
    if policies and key.locations is None:
        return
    beyond = first_beyond(messages, policies, key.locations)
    if beyond is None:
        return
    index, lack, what = beyond
    if lack == "policies":
        detail = (
            f"facts[{index}] is of the kind {what!r}, which needs a key with the operation `policies`. Use one "
            "that has it; the operator of the gateway makes one (`holdfast keys add`)."
        )
        raise Refusal("forbidden", detail, operation=str(Operation.POLICIES))
    if lack == "location":
        detail = f"facts[{index}] is about the location {what!r}, which is not among this key's. Use a key that may."
        raise Refusal("forbidden", detail, location=what)
    detail = (
        f"facts[{index}], of the kind {what!r}, names no location, so it may concern any; this key is for some "
        "locations. Name the location in each line, or use a key for all."
    )
    raise Refusal("forbidden", detail)


def _answer(outcome: FactsOutcome) -> dict[str, Any]:
    """What the sender gets; while only IN has the facts, nothing is known of what they come to."""
    rejected = [{"index": index, "reason": reason} for index, reason in outcome.rejected]
    answer: dict[str, Any] = {"accepted": outcome.accepted, "rejected": rejected}
    if outcome.report is None:
        return answer | {"sequence": outcome.sequence}
    report: dict[str, Any] = msgspec.to_builtins(outcome.report)
    return answer | report


def _all_rejected(outcome: FactsOutcome) -> Refusal:
    """422: nothing of the body was taken."""
    errors = [{"path": f"facts[{index}]", "reason": reason} for index, reason in outcome.rejected[:ERRORS_MAX]]
    return Refusal("invalid", ALL_REJECTED, errors=errors, **_answer(outcome))


def _tried(engine: Engine, source: str, policies_only: bool, messages: list[bytes]) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    judged = engine.dry_run(now_ms, source, policies_only, messages)
    return orjson.dumps(_answer(combined([judged], engine.sequence)))
