"""Facts: what an ERP, a shop or an operator says happened (policies.py has the policy kinds' own door)."""

from holdfast.contracts.answers import FactsAnswer
from holdfast.contracts.requests import FactsRequest
from holdfast.gateway.counters import Counters
from holdfast.gateway.incoming import receive
from holdfast.gateway.keyring import Operation
from holdfast.gateway.ports import Node
from holdfast.gateway.router import Route
from holdfast.gateway.specification import DRY_RUN, WAIT, Specification
from holdfast.settings import GatewaySettings


def routes(node: Node, settings: GatewaySettings, counters: Counters) -> list[Route]:
    """POST /v1/facts."""
    handler = receive(node, settings, counters, "erp")
    return [
        Route(
            name="facts",
            method="POST",
            path="/v1/facts",
            handler=handler,
            keyed=handler,
            operation=Operation.FACTS,
            rank=2,
            body_bytes_max=settings.facts_body_bytes_max,
            body_timeout_s=settings.facts_body_timeout_ms / 1000,
            specification=Specification(
                summary="Facts of any kind, each taken or rejected on its own; sent again unchanged, they count once",
                tag="facts",
                request=FactsRequest,
                answers={200: FactsAnswer, 202: FactsAnswer},
                query=(WAIT, DRY_RUN),
            ),
        )
    ]
