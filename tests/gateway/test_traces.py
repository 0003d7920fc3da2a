"""The trace of a request: in its problem and in its log lines, and nowhere else."""

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from holdfast.gateway.traces import trace_id
from holdfast.protocol.errors import Unavailable
from tests.support.gateway import StubNode, ask, connected, listening, raw

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(RuntimeError("broken"), 500), (Unavailable("no-leader", "not-done", 1), 503), ((409, b'{"x":1}', 8), 409)],
)
async def test_a_failure_names_the_trace_and_an_answer_of_the_state_does_not(outcome: object, status: int) -> None:
    async with listening(StubNode(answer=lambda _: outcome)) as (_, port):  # type: ignore[arg-type, return-value]
        answer = await ask(port, "PUT", "/v1/reservations/a", PUT, traceparent=PARENT)
    assert answer.status == status
    assert answer.json.get("trace") == (None if status == 409 else TRACE)


async def test_log_lines_name_it_and_the_next_request_of_the_connection_does_not_inherit_it() -> None:
    def broken(_: object) -> Exception:
        return RuntimeError("broken")

    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        async with listening(StubNode(answer=broken)) as (_, port):
            await ask(port, "PUT", "/v1/reservations/a", PUT, traceparent=PARENT)
            await ask(port, "PUT", "/v1/reservations/a", PUT)
            async with connected(port) as connection:
                for parent in (PARENT, "nonsense"):
                    await connection.send(raw("GET", "/nowhere", traceparent=parent))
                    answer = await connection.receive()
                    assert answer.problem == "not-found"
                    assert answer.json.get("trace") == (TRACE if parent == PARENT else None)
    faults = [line for line in lines if line["event"] == "fault"]
    assert [line.get("trace") for line in faults] == [TRACE, None]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (PARENT, TRACE),
        (PARENT.replace("00-", "01-", 1) + "-more", TRACE),
        (PARENT + "-more", ""),
        (PARENT.upper(), ""),
        (PARENT.replace("00-", "ff-", 1), ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-{TRACE}-{'0' * 16}-01", ""),
        ("", ""),
        ("x" * 4_000, ""),
    ],
)
def test_headers_as_the_standard_has_them(header: str, found: str) -> None:
    assert trace_id(header) == found


@given(st.text(max_size=80))
def test_whatever_comes_is_a_trace_or_nothing(header: str) -> None:
    assert trace_id(header) == "" or len(trace_id(header)) == 32
