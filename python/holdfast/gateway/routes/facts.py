"""Facts: what an ERP, a shop or an operator reports; and policies, the facts of the policy kinds.

Always: policies have their own operation, and each is stored with the key that sent it.
"""

from holdfast.contracts.answers import FactsAnswer
from holdfast.contracts.requests import FactsRequest, PoliciesRequest
from holdfast.gateway.counters import Counters
from holdfast.gateway.incoming import receive
from holdfast.gateway.keyring import Operation
from holdfast.gateway.ports import Family, Node
from holdfast.gateway.router import Route
from holdfast.gateway.specification import DRY_RUN, WAIT, Specification
from holdfast.settings import GatewaySettings

_FACTS = "Facts of any kind, each accepted or rejected separately; sent again unchanged, they count once"
_POLICIES = "Facts of the policy kinds: items, locations, channels, allocations, caps and other rules"


def routes(node: Node, settings: GatewaySettings, counters: Counters) -> list[Route]:
    """POST /v1/facts, POST /v1/policies."""

    def route(name: str, family: Family, operation: Operation, summary: str, request: type) -> Route:
        handler = receive(node, settings, counters, family)
        return Route(
            name=name,
            method="POST",
            path=f"/v1/{name}",
            handler=handler,
            keyed=handler,
            operation=operation,
            rank=2,
            body_bytes_max=settings.facts_body_bytes_max,
            body_timeout_s=settings.facts_body_timeout_ms / 1000,
            specification=Specification(
                summary=summary,
                tag="facts",
                request=request,
                answers={200: FactsAnswer, 202: FactsAnswer},
                query=(WAIT, DRY_RUN),
            ),
        )

    return [
        route("facts", "erp", Operation.FACTS, _FACTS, FactsRequest),
        route("policies", "policy", Operation.POLICIES, _POLICIES, PoliciesRequest),
    ]
