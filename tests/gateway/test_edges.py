"""The edges of HTTP: which Host is believed, what an answer must have, what a client that hangs up leaves behind."""

import asyncio
import logging
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from holdfast.gateway.gate import KeyGate, is_loopback, is_loopback_origin
from holdfast.gateway.keyring import Keyring, KeyStore, Operation
from tests.support.gateway import StubNode, ask, connected, listening, raw

PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'
PARTS = [
    "127",
    "0",
    "1",
    "localhost",
    ".",
    ":",
    "[",
    "]",
    "::1",
    "@",
    "/",
    "evil",
    "255",
    "256",
    "8080",
    "0x7f",
    "%2e",
    " ",
    "\u0661",
]


def by_hand(host: str) -> bool:
    """The grammar, once more and without a pattern."""
    name, colon, port = host, "", ""
    if host.startswith("["):
        name, bracket, rest = host.partition("]")
        name += bracket
        colon, port = rest[:1], rest[1:]
        if rest and colon != ":":
            return False
    elif ":" in host:
        name, colon, port = host.partition(":")
    if colon and not (port.isascii() and port.isdigit() and port == str(int(port)) and 0 < int(port) < 65_536):
        return False
    if name.lower() in {"localhost", "[::1]"}:
        return True
    numbers = name.split(".")
    plain = all(one.isascii() and one.isdigit() and one == str(int(one)) and int(one) < 256 for one in numbers)
    return len(numbers) == 4 and plain and numbers[0] == "127"


@given(st.lists(st.sampled_from(PARTS), max_size=10).map("".join) | st.text(max_size=30))
@example("127.0.0.1.evil")
@example("127.0.0.1:8080")
def test_a_host_outside_the_grammar_is_refused(host: str) -> None:
    assert is_loopback(host) == by_hand(host)
    assert is_loopback_origin(f"http://{host}") == by_hand(host)
    assert not is_loopback_origin(host)


async def test_two_hosts_are_none() -> None:
    async with listening() as (_, port), connected(port) as connection:
        await connection.send(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert (await connection.receive()).status in {400, 403}


async def test_every_answer_says_that_its_type_is_meant() -> None:
    async with listening() as (_, port):
        for target in ("/livez", "/docs", "/openapi.json", "/metrics", "/nothing"):
            answer = await ask(port, "GET", target)
            assert answer.headers["x-content-type-options"] == "nosniff", target


async def test_two_keys_are_none(tmp_path: Path) -> None:
    _, token = KeyStore(tmp_path).add("shop", list(Operation))
    keyring = Keyring(tmp_path)
    keyring.reload()
    async with listening(gate=KeyGate(keyring)) as (_, port), connected(port) as connection:
        twice = f"Authorization: Bearer {token}\r\n".encode() * 2
        await connection.send(b"GET /v1/state HTTP/1.1\r\nHost: h\r\n" + twice + b"\r\n")
        answer = await connection.receive()
        assert (answer.status, answer.problem) == (400, "malformed-request")


@pytest.mark.parametrize(
    "reason",
    [
        "the log cannot be used: /var/lib/holdfast/nats/jetstream: no space left",
        "quarantined, x: see `holdfast repair --data /srv/data`; reads go on",
        "open '/srv/shop/data/keys.json' failed",
    ],
)
async def test_readiness_tells_no_paths(reason: str) -> None:
    async with listening(StubNode(reasons=[reason])) as (_, port):
        answer = await ask(port, "GET", "/readyz")
    assert answer.status == 503
    assert not re.search(r"/(var|srv|home)", answer.body.decode())
    assert answer.json["reasons"][0].startswith(reason.partition("/")[0])


@pytest.mark.parametrize(
    "sent", [b"", b"GET /livez HT", raw("PUT", "/v1/reservations/a", PUT)[:-9], raw("PUT", "/v1/reservations/a", PUT)]
)
async def test_a_client_that_hangs_up_leaves_no_traceback(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with capture_logs() as logged, caplog.at_level(logging.WARNING):
        async with listening(StubNode(delay_s=0.1)) as (_, port):
            for abort in (True, False):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(sent)
                await writer.drain()
                await asyncio.sleep(0.03)
                writer.transport.abort() if abort else writer.close()
            await asyncio.sleep(0.2)
    assert [entry for entry in logged if entry["log_level"] in {"warning", "error", "critical"}] == []
    assert caplog.records == []
