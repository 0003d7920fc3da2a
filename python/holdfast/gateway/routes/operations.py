"""Operations: is the process alive, should it get requests, and its figures."""

import re
from collections.abc import Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST

from holdfast.contracts.answers import Liveness, Readiness
from holdfast.gateway.keyring import Key, Operation
from holdfast.gateway.ports import Node
from holdfast.gateway.queries import reject_query
from holdfast.gateway.refusals import Refusal
from holdfast.gateway.replies import Reply
from holdfast.gateway.router import Handled, Handler, Route
from holdfast.gateway.specification import Specification

_PATH = re.compile(r"(?<![\w/:.])/[^\s/:;,'\"()]+(?:/[^\s:;,'\"()]*)*")
"""A path of this machine: everybody may ask, and only the log of this process has it."""


def routes(
    node: Node, *, sequence: Callable[[], int], draining: Callable[[], bool], render_metrics: Callable[[], bytes]
) -> list[Route]:
    """GET /livez, /readyz, /metrics."""
    return [
        Route(
            name="livez",
            method="GET",
            path="/livez",
            handler=_livez,
            operation=None,
            rank=0,
            specification=Specification(summary="The process answers", tag="operations", answers={200: Liveness}),
        ),
        Route(
            name="readyz",
            method="GET",
            path="/readyz",
            handler=_readyz(node, draining),
            operation=None,
            rank=0,
            specification=Specification(
                summary="Whether requests should be sent here",
                tag="operations",
                answers={200: Readiness},
                problems=("no-leader", "log-unavailable"),
            ),
        ),
        Route(
            name="metrics",
            method="GET",
            path="/metrics",
            handler=_metrics(sequence, render_metrics),
            operation=Operation.METRICS,
            rank=2,  # alerts are about such times
            specification=Specification(
                summary="Figures in Prometheus' text format", tag="operations", answers={200: "text/plain"}
            ),
        ),
    ]


async def _livez(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001 - a handler's shape
    reject_query(query)
    return 200, b'{"status":"alive"}', 0


def _readyz(node: Node, draining: Callable[[], bool]) -> Handler:
    async def readyz(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001
        reject_query(query)
        reasons = without_paths(node.ready())
        reasons += ["draining: this process is about to stop"] if draining() else []
        if not reasons:
            return 200, b'{"ready":true,"reasons":[]}', 0
        log_unwritable = any("the log" in reason for reason in reasons)
        name = "no-leader" if not log_unwritable and any("lead" in reason for reason in reasons) else "log-unavailable"
        raise Refusal(
            name,
            "Send requests elsewhere, or wait.",
            headers=b"Retry-After: 1\r\n",
            outcome="not-done",
            ready=False,
            reasons=reasons,
        )

    return readyz


def without_paths(reasons: Iterable[str]) -> list[str]:
    """Without paths of this machine."""
    return [_PATH.sub("(a file)", reason) for reason in reasons]


def _metrics(sequence: Callable[[], int], render_metrics: Callable[[], bytes]) -> Handler:
    content_type = CONTENT_TYPE_LATEST.encode()

    async def metrics(parameter: str, query: str, body: bytes, key: Key) -> Handled:  # noqa: ARG001
        reject_query(query)
        return Reply(200, render_metrics(), sequence(), content_type=content_type)

    return metrics
