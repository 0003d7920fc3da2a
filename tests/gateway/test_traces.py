"""The trace of a request: what is carried on of it, and that its problem and its log lines name it."""

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from holdfast.protocol.errors import Unavailable
from holdfast.traces import carried, header_of, id_of, is_trace, trace_of_rejected
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
    assert id_of(carried(header)) == found


@given(st.text(max_size=80))
def test_whatever_comes_is_a_trace_or_nothing(header: str) -> None:
    assert carried(header) == "" or is_trace(carried(header))


@given(st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
def test_what_is_carried_on_is_the_same_trace_and_recorded_only_where_it_was(header: str) -> None:
    trace = carried(header)
    if not trace:
        return
    onward = header_of(trace)
    assert id_of(carried(onward)) == id_of(trace)
    assert (int(header[-2:], 16) & 1) == (int(onward[-2:], 16) & 1)
    assert onward[-2:] == "00" or carried(onward) == trace


@given(st.text(max_size=150))
def test_a_word_that_a_sender_chose_is_no_header(word: str) -> None:
    assert header_of(word) == "" or is_trace(word)


@pytest.mark.parametrize(
    ("message", "raw", "found"),
    [
        (f'{{"source":"acme","trace":"{TRACE}","facts":[{{}}]}}', "{}", TRACE),
        (f'{{"source":"acme","by":"k","trace":"{TRACE}-00f067aa0ba902b7","facts":[{{}}]}}', "{}", TRACE),
        (f'{{"source":"acme","trace":"{TRACE}","facts":[{{"trace":"own"}}]}}', '{"trace":"own"}', "own"),
        ('{"facts":[{"trace":"own"}]}', '{"facts":[{"trace":"own"}]}', ""),
        ("no JSON", "no JSON", ""),
    ],
)
def test_a_rejected_fact_has_its_own_trace_or_that_of_its_request(message: str, raw: str, found: str) -> None:
    assert trace_of_rejected(message.encode(), raw.encode()) == found
