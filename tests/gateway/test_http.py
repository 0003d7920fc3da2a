"""The gateway's HTTP manners: paths, methods, encodings, sizes, the order of answers, what every answer carries."""

from types import SimpleNamespace

import pytest

from holdfast.settings import GatewaySettings
from tests.support.gateway import StubNode, ask, connected, listening, raw

PUT = b'{"channel":"web","ttl_ms":1000,"lines":[{"sku":"A","quantity":1}]}'


def engine_of(status: int, body: bytes) -> SimpleNamespace:
    def read(*_: object) -> tuple[int, bytes]:
        return status, body

    return SimpleNamespace(
        availability=read, availabilities=read, validate=read, reservation=read, explain=read, scope="main"
    )


async def test_every_answer_names_a_sequence_and_a_type() -> None:
    async with listening() as (_, port):
        made = await ask(port, "PUT", "/v1/reservations/a", PUT)
        assert made.status == 201
        assert made.headers["content-type"] == "application/json"
        assert made.headers["holdfast-sequence"] == "8"
        lost = await ask(port, "GET", "/nowhere")
        assert lost.problem == "not-found"
        assert lost.headers["holdfast-sequence"] == "8", "a refusal tells what was told before, never less"


async def test_the_sequence_never_falls() -> None:
    sequences = iter([12, 9, 13])
    async with listening(StubNode(answer=lambda _: (201, b"{}", next(sequences)))) as (_, port):
        told = [(await ask(port, "PUT", f"/v1/reservations/{n}", PUT)).headers["holdfast-sequence"] for n in range(3)]
        assert told == ["12", "12", "13"]


@pytest.mark.parametrize(
    ("target", "reservation"),
    [
        ("/v1/reservations/cart-1", "cart-1"),
        ("/v1/reservations/a%2Fb", "a/b"),
        ("/v1/reservations/a%20b%C3%A9", "a bé"),
        ("/v1/reservations/%2E%2E", ".."),
        ("/v1/reservations/a+b", "a+b"),
        ("/v1/reservations/confirm", "confirm"),
        ("http://127.0.0.1/v1/reservations/x", None),
    ],
)
async def test_ids_are_percent_decoded_once(target: str, reservation: str | None) -> None:
    node = StubNode()
    async with listening(node) as (_, port):
        answer = await ask(port, "PUT", target, PUT)
        if reservation is None:
            assert answer.problem == "forbidden"
        else:
            assert answer.status == 201
            assert node.submitted[0].reservation == reservation


@pytest.mark.parametrize("target", ["/v1/reservations/%FF", "/v1/reservations/%ED%A0%80", "/v1/availability/%C3%28"])
async def test_a_path_that_is_not_utf8_is_refused(target: str) -> None:
    async with listening() as (_, port):
        answer = await ask(port, "GET", target)
        assert (answer.status, answer.problem) == (400, "malformed-request")


@pytest.mark.parametrize(
    "target",
    [
        "//",
        "/v1",
        "/v1/reservation",
        "/v1/reservations/",
        "/v1/reservations//confirm",
        "/v1/reservations/a/",
        "/v1/reservations/a/b/c",
        "/v1/reservations/a/explode",
        "/v1/availability/",
        "/v1/availability/a/explain/more",
        "/v2/availability/a",
        "/docs/../openapi.json",
        "/nowhere",
    ],
)
async def test_a_path_of_no_call_is_not_found(target: str) -> None:
    async with listening() as (_, port):
        answer = await ask(port, "GET", target)
        assert (answer.status, answer.problem) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("DELETE", "/v1/reservations/a", "GET, HEAD, PUT"),
        ("GET", "/v1/reservations/a/confirm", "POST"),
        ("GET", "/v1/reservations:batch", "POST"),
        ("PUT", "/v1/availability", "POST"),
        ("POST", "/v1/availability/a", "GET, HEAD"),
        ("PATCH", "/v1/facts", "POST"),
        ("OPTIONS", "/v1/state", "GET, HEAD"),
        ("TRACE", "/livez", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_which_ones_there_are(method: str, target: str, allow: str) -> None:
    async with listening() as (_, port):
        answer = await ask(port, method, target)
        assert (answer.status, answer.problem) == (405, "method-not-allowed")
        assert answer.headers["allow"] == allow


async def test_head_answers_as_get_without_the_body() -> None:
    async with listening() as (_, port):
        async with connected(port) as connection:
            await connection.send(raw("HEAD", "/livez") + raw("GET", "/livez"))
            head = await connection.receive(head=True)
            get = await connection.receive()
        assert head.status == get.status == 200
        assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))


async def test_the_colon_of_a_path_may_be_encoded() -> None:
    async with listening() as (_, port):
        answer = await ask(port, "POST", "/v1/reservations%3Abatch", b"{")
        assert answer.problem == "malformed-json"


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "identity, gzip", "nonsense"])
async def test_an_encoded_body_is_refused(coding: str) -> None:
    async with listening() as (_, port):
        answer = await ask(port, "PUT", "/v1/reservations/a", b"\x1f\x8b", content_encoding=coding)
        assert (answer.status, answer.problem) == (415, "unsupported-encoding")


@pytest.mark.parametrize("headers", [{"content_encoding": "identity"}, {"content_type": "text/plain"}, {}])
async def test_any_or_no_content_type_is_taken(headers: dict[str, str]) -> None:
    async with listening() as (_, port):
        assert (await ask(port, "PUT", "/v1/reservations/a", PUT, **headers)).status == 201


async def test_a_chunked_body_is_taken() -> None:
    node = StubNode()
    async with listening(node) as (_, port):
        chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, PUT[:10], len(PUT) - 10, PUT[10:])
        answer = await ask(port, "PUT", "/v1/reservations/a", chunks, transfer_encoding="chunked")
        assert answer.status == 201
        assert node.submitted[0].body == PUT


async def test_the_largest_body_is_taken_and_one_byte_more_is_not() -> None:
    node = StubNode()
    settings = GatewaySettings()
    async with listening(node, settings=settings) as (_, port):
        full = PUT + b" " * (settings.body_bytes_max - len(PUT))
        assert (await ask(port, "PUT", "/v1/reservations/a", full)).status == 201
        assert node.submitted[0].body == full
        answer = await ask(port, "PUT", "/v1/reservations/a", full + b" ")
        assert (answer.status, answer.problem) == (413, "too-large")


async def test_a_huge_body_is_refused_before_it_is_sent() -> None:
    async with listening() as (_, port), connected(port) as connection:
        await connection.send(raw("POST", "/v1/facts", content_length="99999999999"))
        assert (await connection.receive()).problem == "too-large"


async def test_a_chunked_body_without_end_is_refused_at_the_bound() -> None:
    async with listening() as (_, port), connected(port) as connection:
        await connection.send(raw("PUT", "/v1/reservations/a", transfer_encoding="chunked"))
        for _ in range(20):
            await connection.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        assert (await connection.receive()).problem == "too-large"


async def test_expect_100_continue_is_answered() -> None:
    async with listening() as (_, port), connected(port) as connection:
        request = raw("PUT", "/v1/reservations/a", PUT, expect="100-continue")
        await connection.send(request[: -len(PUT)])
        assert (await connection.receive()).status == 100
        await connection.send(PUT)
        assert (await connection.receive()).status == 201


async def test_expect_100_continue_of_too_much_is_refused_at_once() -> None:
    async with listening() as (_, port), connected(port) as connection:
        await connection.send(raw("PUT", "/v1/reservations/a", expect="100-continue", content_length="5000000"))
        assert (await connection.receive()).problem == "too-large"


async def test_pipelined_requests_are_answered_in_order() -> None:
    node = StubNode(answer=lambda c: (201, b'{"id":"%b"}' % c.reservation.encode(), 8), delay_s=0.02)
    async with listening(node) as (_, port), connected(port) as connection:
        many = [raw("PUT", f"/v1/reservations/{n}", PUT) if n % 2 else raw("GET", "/livez") for n in range(40)]
        await connection.send(b"".join(many))
        answers = [await connection.receive() for _ in many]
        assert [answer.json.get("id") for answer in answers] == [str(n) if n % 2 else None for n in range(40)]


@pytest.mark.parametrize(
    "content",
    [
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 5_000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_ends(content: bytes) -> None:
    async with listening() as (_, port), connected(port) as connection:
        await connection.send(content)
        answer = await connection.receive()
        assert (answer.status, answer.problem) == (400, "malformed-request")
        assert answer.headers["connection"] == "close"
        assert answer.headers["holdfast-sequence"] == "7"
        assert await connection.ended()


async def test_http_1_0_is_answered_and_closed() -> None:
    async with listening() as (_, port), connected(port) as connection:
        await connection.send(b"GET /livez HTTP/1.0\r\n\r\n")
        answer = await connection.receive()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await connection.ended()


async def test_a_client_that_closes_is_closed() -> None:
    async with listening() as (_, port), connected(port) as connection:
        await connection.send(raw("GET", "/livez", connection="close"))
        assert (await connection.receive()).headers["connection"] == "close"
        assert await connection.ended()


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("", "channel"),
        ("?channel=", "channel"),
        ("?channel=a&channel=b", "channel"),
        ("?channel=web&color=red", "color"),
        ("?channel=web&quantity=0", "quantity"),
        ("?channel=web&quantity=1000000001", "quantity"),
        ("?channel=web&quantity=3.0", "quantity"),
        ("?channel=web&quantity=-1", "quantity"),
        ("?channel=web&quantity=%D9%A3", "quantity"),
        ("?channel=" + "x" * 129, "channel"),
        ("?channel=a%0Ab", "channel"),
        ("?channel=web&region=", "region"),
    ],
)
async def test_query_parameters_have_bounds(query: str, path: str) -> None:
    async with listening(StubNode(engine=engine_of(200, b"{}"))) as (_, port):
        answer = await ask(port, "GET", "/v1/availability/A" + query)
        assert (answer.status, answer.problem) == (422, "invalid")
        assert [error["path"] for error in answer.json["errors"]] == [path]


async def test_query_values_are_decoded() -> None:
    seen: list[tuple[object, ...]] = []

    def availability(*given: object) -> tuple[int, bytes]:
        seen.append(given)
        return 200, b"{}"

    async with listening(StubNode(engine=SimpleNamespace(availability=availability))) as (_, port):
        await ask(port, "GET", "/v1/availability/a%2Fb?channel=web+1&region=%C3%89&quantity=3")
        assert seen[0][:4] == ("a/b", "web 1", "É", 3)


async def test_reads_wait_for_the_batch_under_way() -> None:
    async with listening(StubNode(engine=engine_of(200, b'{"ok":true}'), busy=True)) as (_, port):
        assert (await ask(port, "GET", "/v1/availability/A?channel=web")).status == 200
        assert (await ask(port, "GET", "/v1/reservations/a")).status == 200
        assert (await ask(port, "POST", "/v1/carts/validate", b"{}")).status == 200


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip"])
async def test_an_encoded_transfer_is_refused(coding: str) -> None:
    async with listening() as (_, port), connected(port) as connection:
        await connection.send(raw("PUT", "/v1/reservations/a", b"0\r\n\r\n", transfer_encoding=coding))
        assert (await connection.receive()).problem in {"unsupported-encoding", "malformed-request"}


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
async def test_an_upgrade_is_declined_and_the_connection_goes_on(upgrade: str) -> None:
    async with listening() as (_, port), connected(port) as connection:
        asked = raw(
            "GET", "/livez", connection="upgrade", upgrade=upgrade, sec_websocket_key="x", sec_websocket_version="13"
        )
        await connection.send(asked)
        assert (await connection.receive()).status == 200
        await connection.send(raw("GET", "/livez"))
        assert (await connection.receive()).status == 200


async def test_nobody_is_connected_through() -> None:
    async with listening() as (_, port), connected(port) as connection:
        await connection.send(b"CONNECT shop.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert (await connection.receive()).status in {400, 404, 405}
