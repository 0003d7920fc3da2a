"""Webhooks: what is signed is stored, whatever it says; what is not signed changes nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats_server.server import EmbeddedServer
from holdfast.settings import Settings, WooSettings
from holdfast.woo.intake import Intake, is_signed, signature_of
from holdfast.woo.snapshots import order_of
from holdfast.woo.stores import Files
from tests.support.gateway import Response, connected, listening
from tests.support.servers import connected as to_nats
from tests.support.servers import embedded, messages_of

PATH = "/v1/webhooks/woocommerce/shop"
ORDER = orjson.dumps({"id": 7, "status": "processing", "line_items": []})


@dataclass
class Shop:
    port: int
    connection: Connection
    server: EmbeddedServer

    async def deliver(
        self, body: bytes = ORDER, secret: str | None = "new", topic: str = "order.updated", path: str = PATH
    ) -> Response:
        """As WooCommerce sends it: HTTP/1.0, and header names as PHP writes them."""
        lines = [f"POST {path} HTTP/1.0", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        if secret is not None:
            lines += [f"X-WC-Webhook-Topic: {topic}", f"X-WC-Webhook-Signature: {signature_of(body, secret)}"]
        async with connected(self.port) as wire:
            await wire.send("\r\n".join([*lines, "", ""]).encode() + body)
            return await wire.receive()

    async def stored(self) -> list[tuple[str, bytes]]:
        return [(subject, payload) for _, subject, payload in await messages_of(self.connection, "HF_main_WOO")]


@asynccontextmanager
async def taking(directory: Path, settings: WooSettings | None = None) -> AsyncIterator[Shop]:
    Files(directory, "shop").write(Files(directory, "shop").secrets, "# the newest first\nnew\nold\n")
    async with embedded(directory) as server, to_nats(server.endpoint) as connection:
        intake = Intake(directory, "main", server.endpoint, settings or WooSettings(secrets_ms=0), Settings().log)
        try:
            async with listening(deliveries=intake) as (_, port):
                yield Shop(port, connection, server)
        finally:
            await intake.close()


async def test_what_is_signed_is_stored_and_only_that(tmp_path: Path) -> None:
    async with taking(tmp_path) as shop:
        assert (await shop.deliver()).status == 200
        assert (await shop.deliver(secret="old")).status == 200, "both are in force while a secret is changed"
        for secret in ("wrong", None):
            refused = await shop.deliver(secret=secret)
            assert (refused.status, refused.problem) == (401, "unauthenticated")
        assert (await shop.deliver(path=PATH + "2")).problem == "not-found"
        assert (await shop.deliver(path=PATH + "%2F..")).problem == "not-found"
        assert (await shop.deliver(b"webhook_id=12", secret=None)).status == 200, "WooCommerce's ping"
        assert (await shop.deliver(b"webhook_id=12&x=1", secret=None)).status == 401
        subject = "hf.main.woo.in.shop.order%2Eupdated"
        stored = await shop.stored()
        assert [(one, order_of(kept)) for one, kept in stored] == [(subject, order_of(ORDER))] * 2, "repeats, too"


async def test_a_signed_body_is_never_refused_for_what_it_says(tmp_path: Path) -> None:
    bodies = [b"", b"\xff\x00", b"[" * 50_000, b"{}", b'{"id":"x"}', b"<b>Warning</b> in x.php" + ORDER]
    async with taking(tmp_path) as shop:
        for body in bodies:
            assert (await shop.deliver(body, topic="order.updated")).status == 200
            assert (await shop.deliver(body, topic="action.wc_some thing\t")).status == 200
        huge = orjson.dumps({"id": 99, "notes": "x" * 1_500_000})
        assert (await shop.deliver(huge)).status == 200
        *stored, hint = [payload for _, payload in await shop.stored()]
        assert stored == [b"{}"] * 2 * len(bodies), "no order, and nothing that another program would read"
        assert orjson.loads(hint) == {"id": 99}, "of what is no whole order: which one to read"


async def test_nothing_of_a_customer_is_stored(tmp_path: Path) -> None:
    person = {"first_name": "Ada", "email": "ada@example.com"}
    order = {"id": 7, "status": "processing", "billing": person, "customer_note": "Ring at Ada's", "number": "Ada-7"}
    order |= {"meta_data": [{"key": "_holdfast_state", "value": "held"}, {"key": "name", "value": "Ada"}]}
    line = {"id": 1, "quantity": 2, "sku": "MUG", "name": "Mug for Ada", "meta_data": [{"key": "gift", "value": "Ada"}]}
    order["line_items"] = [line]
    async with taking(tmp_path) as shop:
        assert (await shop.deliver(orjson.dumps(order))).status == 200
        assert (await shop.deliver(orjson.dumps(person | {"id": 5}), topic="customer.updated")).status == 200
        (_, kept), (_, other) = await shop.stored()
        assert (b"Ada" in kept, other) == (False, b"{}")
        assert order_of(kept) == order_of(orjson.dumps(order))


async def test_without_the_log_the_answer_is_503_within_a_second(tmp_path: Path) -> None:
    async with taking(tmp_path) as shop:
        assert (await shop.deliver()).status == 200
        await shop.server.stop()
        for _ in range(2):
            began = time.monotonic()
            refused = await shop.deliver()
            assert (refused.status, refused.problem) == (503, "log-unavailable")
            assert time.monotonic() - began < 1.0


async def test_many_at_once_are_all_stored(tmp_path: Path) -> None:
    async with taking(tmp_path, WooSettings(delivery_ms=20_000)) as shop:  # other tests may fill the machine
        answers = await asyncio.gather(*(shop.deliver(orjson.dumps({"id": n})) for n in range(1, 201)))
        assert {one.status for one in answers} == {200}
        assert sorted(orjson.loads(body)["id"] for _, body in await shop.stored()) == list(range(1, 201))


async def test_an_unreachable_log_ends_no_gateway(tmp_path: Path) -> None:
    Files(tmp_path, "shop").write(Files(tmp_path, "shop").secrets, "new\n")
    settings = WooSettings(delivery_ms=100)
    intake = Intake(tmp_path, "main", Endpoint(("nats://127.0.0.1:9",)), settings, Settings().log)
    await intake.warm()
    async with listening(deliveries=intake) as (_, port):
        shop = Shop(port, None, None)  # type: ignore[arg-type] # neither is there
        assert (await shop.deliver()).status == 503
    await intake.close()


@given(st.binary(max_size=200), st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4), st.text())
def test_only_who_has_a_secret_signs(body: bytes, secrets: list[str], forged: str) -> None:
    for secret in secrets:
        right = signature_of(body, secret)
        assert is_signed(body, right, secrets)
        assert not is_signed(body + b"x", right, secrets)
        assert not is_signed(body, right, ["x" + "".join(secrets)])
    assert not is_signed(body, forged, secrets) or forged in {signature_of(body, one) for one in secrets}


def test_a_file_of_secrets_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    files = Files(tmp_path, "shop")
    files.write(files.secrets, "s\n")
    files.secrets.chmod(0o644)
    with pytest.raises(ValueError, match="chmod go-rwx"):
        files.webhook_secrets()
