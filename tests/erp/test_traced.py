"""One id leads from a checkout to the ERP's document and back: through two workers, LOG, events, a webhook, a file.

In: requests that name their trace, on a gateway whose processes are all the real ones. Out: where the id is found.
"""

import asyncio
import csv
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from holdfast.cli import run
from holdfast.client import Client, Retry
from holdfast.erp.events import POSITION
from holdfast.erp.store import directory_of, opened
from holdfast.traces import following
from tests.erp.test_csv_folder import name_of, put
from tests.support.gateway import Response, ask
from tests.support.receiver import Receiver, receiving
from tests.support.served import cart, level, serving

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "11111111111111111111111111111111"
SPAN = "00f067aa0ba902b7"
PATIENCE_S = 60.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONFIG = """
[publisher]
enabled = true

[webhook.shop]
url = "http://127.0.0.1:{port}/hook"
secrets = "shop.secrets"
kinds = "held,confirmed"
allow = "127.0.0.0/8"

[erp.acme]
kind = "csv"
directory = "{folder}"
every_ms = 200
"""


class Traced:
    """Calls under a trace; one that comes while something starts is sent again."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(self, method: str, target: str, body: Any = None, trace: str = TRACE) -> Response:
        content = b"" if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = await ask(self._port, method, target, content, traceparent=f"00-{trace}-{SPAN}-01")
            if answer.status != 503 or time.monotonic() > deadline:
                return answer
            await asyncio.sleep(0.1)


async def becomes(found: Callable[[], Awaitable[Any]]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (value := await found()):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)
    return value


def exported(folder: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted((folder / "out").glob("*.csv")):
        with path.open() as file:
            rows += csv.DictReader(file)
    return rows


async def told(capfd: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capfd.readouterr()
    await asyncio.to_thread(run, [*arguments, "--json"])
    return json.loads(capfd.readouterr().out)


async def test_one_id_leads_from_the_checkout_to_the_erp_and_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parents: dict[str, str] = {}

    async def noted(request: web.BaseRequest, event: dict[str, Any]) -> web.StreamResponse:
        parents[f"{event['kind']} {event['reservation']['id']}"] = request.headers.get("traceparent", "")
        return web.Response(status=204)

    folder, data = tmp_path / "folder", tmp_path / "store"
    folder.mkdir()
    async with receiving(Receiver((SECRET,), noted)) as receiver:
        (tmp_path / "shop.secrets").write_text(SECRET)
        (tmp_path / "shop.secrets").chmod(0o600)
        config = tmp_path / "holdfast.toml"
        config.write_text(CONFIG.format(port=receiver.port, folder=folder))
        with serving(tmp_path, "--workers", "2", "--config", str(config)) as served:
            shop = Traced(served.port)
            place = {"kind": "location", "location": "W1", "type": "warehouse"}
            channel = {"kind": "channel", "channel": "web", "locations": "*"}
            assert (await shop("POST", "/v1/policies", {"facts": [place, channel]}, OTHER)).status == 202
            wrong = [level("MUG", 10), level("MUG", 5, "NOWHERE")]
            assert (await shop("POST", "/v1/facts", {"source": "tills", "facts": wrong}, OTHER)).status == 202
            await becomes(lambda: reads_events(data))  # orders of before are listed, and lists name no trace
            await becomes(lambda: sends_events(capfd, data, config))
            for name in ("a", "b", "c", "d"):  # more than one connection: both workers are asked, and one forwards
                held = await shop("PUT", f"/v1/reservations/{name}", cart(("MUG", 1)))
                assert held.status in {200, 201}
            assert (await shop("POST", "/v1/reservations/a/confirm", {"order_ref": "W-1"})).status == 200
            assert (await shop("PUT", "/v1/reservations/much", cart(("MUG", 99)))).status == 409
            async with Client(f"http://127.0.0.1:{served.port}", retry=Retry(total_s=PATIENCE_S)) as client:
                with following(OTHER):
                    await client.confirm("b", "W-2")

            # out: the ERP's file, the webhook
            rows = await becomes(lambda: those(exported(folder), 2))
            assert {row["order_ref"]: row["trace"] for row in rows} == {"W-1": TRACE, "W-2": OTHER}
            await becomes(lambda: those(parents, 6))
            assert {parents[f"held {name}"] for name in "abcd"} == {f"00-{TRACE}-{SPAN}-01"}
            assert parents["confirmed a"] == f"00-{TRACE}-{SPAN}-01"
            assert parents["confirmed b"].startswith(f"00-{OTHER}-")

            # and back: the ERP says that it has the order; the id of its document finds all of it
            put(folder, name_of("acme", "acks", 1), "order_ref,channel\nW-1,web\n")
            await becomes(lambda: acknowledged(capfd, data))
            found = await told(capfd, "trace", TRACE, "--data", str(data))
            steps = [(one["system"], one["what"]) for one in found["steps"] if one["reservation"] == "a"]
            assert steps[:2] == [("holdfast", "held"), ("holdfast", "confirmed")]
            assert ("erp acme", "acknowledged") in steps
            assert {one["reservation"] for one in found["steps"]} == set("abcd")
            assert {one["trace"] for one in found["steps"] if one["what"] == "held"} == {TRACE}

            # what was refused, rejected and changed has it, too
            letters = (await shop("GET", "/v1/dead-letters")).json["items"]
            assert [(one["trace"], one["index"]) for one in letters] == [(OTHER, 1)]
            refused = await becomes(lambda: items(shop, "/v1/refusals"))
            assert [(one["trace"], one["reservation"]) for one in refused] == [(TRACE, "much")]
            changes = await becomes(lambda: items(shop, "/v1/audit?kind=channel"))
            assert [one["trace"] for one in changes] == [OTHER]


async def those(found: Any, count: int) -> Any:
    return found if len(found) >= count else None


async def reads_events(data: Path) -> bool:
    try:
        with opened(directory_of(data, "acme"), reads=True) as store:
            return store.position(POSITION) is not None
    except (OSError, sqlite3.Error):
        return False


async def sends_events(capfd: pytest.CaptureFixture[str], data: Path, config: Path) -> bool:
    """A new webhook begins with what is published from then on."""
    listed = await told(capfd, "webhooks", "list", "--data", str(data), "--config", str(config))
    return bool(listed and listed[0]["upto"])


async def items(shop: Traced, target: str) -> Any:
    return (await shop("GET", target)).json.get("items")


async def acknowledged(capfd: pytest.CaptureFixture[str], data: Path) -> bool:
    steps = (await told(capfd, "trace", "W-1", "--data", str(data)))["steps"]
    return any(one["what"] == "acknowledged" for one in steps)
