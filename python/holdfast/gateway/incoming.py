"""Facts over HTTP: a body becomes messages on IN, and the leader's verdict becomes the answer.

In: a body of facts. Out: 202 with what was accepted and what was not.
Always: facts reach LOG through IN alone, in the order of the body, whoever sends them; the key that sent them is noted.
"""

import orjson

from holdfast._core import split_facts, well_formed
from holdfast.gateway.counters import Counters
from holdfast.gateway.keyring import Key
from holdfast.gateway.ports import Answer, Family, Node
from holdfast.gateway.queries import fields
from holdfast.gateway.refusals import invalid
from holdfast.gateway.router import Handler
from holdfast.settings import GatewaySettings

_WAIT = frozenset({"wait"})
POLICY_SOURCE = "policy"
"""What the core calls the source of a body that names none; no body may name it."""


def receive(node: Node, settings: GatewaySettings, counters: Counters, family: Family) -> Handler:
    """The handler for bodies of facts of `family`."""
    message_bytes_max = settings.facts_message_bytes_max

    async def handle(parameter: str, query: str, body: bytes, key: Key) -> Answer:  # noqa: ARG001
        wait = fields(query, _WAIT).get("wait", "log")
        if wait not in {"log", "received"}:
            raise invalid("wait", "must be log or received")
        source, messages = split_facts(body, message_bytes_max, key.id)
        if (source == POLICY_SOURCE) != (family == "policy"):
            raise invalid("source", "is missing" if source == POLICY_SOURCE else "is unknown")
        outcome = await node.facts(family, source, messages, "received" if wait == "received" else "log")
        accepted, rejected = outcome.accepted, list(outcome.rejected)
        if wait == "received":
            accepted, rejected = _by_form(messages)
        counters.facts_accepted += accepted
        counters.facts_rejected += len(rejected)
        answer = {
            "accepted": accepted,
            "rejected": [{"index": index, "reason": reason} for index, reason in rejected],
            "sequence": outcome.sequence,
        }
        return 202, orjson.dumps(answer), outcome.sequence if wait == "log" else 0

    return handle


def _by_form(messages: list[bytes]) -> tuple[int, list[tuple[int, str]]]:
    """How many facts are well formed, and which are not, by their index in the whole body."""
    accepted, rejected, before = 0, [], 0
    for message in messages:
        good, bad = well_formed(message)
        rejected += [(before + index, reason) for index, reason in bad]
        accepted += good
        before += good + len(bad)
    return accepted, rejected
