"""Webhooks of shops: signed by the shop, stored as they came.

In: a delivery of WooCommerce. Out: 200 once the stream of deliveries has it, or for its unsigned ping. Always: only who
signs is let in; what is signed is taken whatever it says, for WooCommerce ends a webhook after seven answers that are
not a success, and sends nothing again.
"""

from collections.abc import Mapping

import structlog

from holdfast.errors import LogError
from holdfast.gateway.keyring import Key
from holdfast.gateway.ports import Deliveries
from holdfast.gateway.refusals import Refusal
from holdfast.gateway.router import Handled, Route
from holdfast.gateway.specification import Specification
from holdfast.settings import GatewaySettings

log = structlog.get_logger()

_SUMMARY = "A delivery of a WooCommerce webhook, answered once it is stored; and its unsigned ping"
_REFUSED = {
    "no-store": ("not-found", "There is no store of this name: `holdfast woo connect` makes it."),
    "unsigned": ("unauthenticated", "A delivery is signed in X-WC-Webhook-Signature."),
    "forged": (
        "unauthenticated",
        "The signature is made with another secret: `holdfast woo connect` gives the webhooks the right one.",
    ),
}


def routes(deliveries: Deliveries | None, body_bytes_max: int, settings: GatewaySettings) -> list[Route]:
    """POST /v1/webhooks/woocommerce/{store}."""

    async def take(parameter: str, query: str, body: bytes, headers: Mapping[str, str]) -> Handled:  # noqa: ARG001
        if deliveries is None:
            raise Refusal("not-found")
        try:
            verdict = await deliveries.take(parameter, headers, body)
        except LogError as fault:
            log.warning("delivery-not-stored", store=parameter, why=str(fault))
            raise Refusal("log-unavailable", headers=b"Retry-After: 1\r\n", outcome="unknown") from fault
        refused = _REFUSED.get(verdict)
        if refused is not None:
            raise Refusal(refused[0], refused[1])
        return 200, b'{"taken":true}' if verdict == "taken" else b'{"taken":false}', 0

    async def unsigned(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001
        raise Refusal("unauthenticated")

    return [
        Route(
            name="woo_delivery",
            method="POST",
            path="/v1/webhooks/woocommerce/{store}",
            handler=unsigned,
            signed=take,
            operation=None,
            rank=2,
            body_bytes_max=body_bytes_max,
            body_timeout_s=settings.facts_body_timeout_ms / 1000,
            specification=Specification(
                summary=_SUMMARY,
                tag="webhooks",
                answers={200: "application/json"},
                problems=("not-found", "unauthenticated"),
                documented=False,  # the body is WooCommerce's own, and no client of this contract sends it
            ),
        )
    ]
