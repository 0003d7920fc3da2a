"""Policies: facts of the policy kinds, by operators; each is stored with the key that sent it."""

from holdfast.contracts.answers import FactsAnswer
from holdfast.contracts.requests import PoliciesRequest
from holdfast.gateway.counters import Counters
from holdfast.gateway.incoming import receive
from holdfast.gateway.keyring import Operation
from holdfast.gateway.ports import Node
from holdfast.gateway.router import Route
from holdfast.gateway.specification import DRY_RUN, WAIT, Specification
from holdfast.settings import GatewaySettings


def routes(node: Node, settings: GatewaySettings, counters: Counters) -> list[Route]:
    """POST /v1/policies."""
    handler = receive(node, settings, counters, "policy")
    return [
        Route(
            name="policies",
            method="POST",
            path="/v1/policies",
            handler=handler,
            keyed=handler,
            operation=Operation.POLICIES,
            rank=2,
            body_bytes_max=settings.facts_body_bytes_max,
            body_timeout_s=settings.facts_body_timeout_ms / 1000,
            specification=Specification(
                summary="Facts of the policy kinds: items, locations, channels, allocations, caps and other rules",
                tag="facts",
                request=PoliciesRequest,
                answers={200: FactsAnswer, 202: FactsAnswer},
                query=(WAIT, DRY_RUN),
            ),
        )
    ]
