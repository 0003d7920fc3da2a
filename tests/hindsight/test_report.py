"""`holdfast report` and GET /v1/report, of a gateway that runs: the same numbers in every form, and the right ones."""

import asyncio
import csv
import io
import re
from html import escape
from pathlib import Path
from typing import Any

import orjson

from holdfast.cli.report_view import rows
from tests.support.gateway import ask
from tests.support.served import cart, serving
from tests.support.serving import holdfast
from tests.support.shown_shop import Gateway, ago

RANGE = ("2026-01-01T00:00:00Z", "2060-01-01T00:00:00Z")
PATIENCE_S = 60.0


async def traded(api: Gateway) -> None:
    """Five units: two carts bought, one given up, one refused twice, one bought after it was given up."""
    await api.facts({"kind": "location", "location": "dc", "type": "warehouse"}, source="erp")
    level = {
        "kind": "stock.level",
        "sku": "MUG",
        "location": "dc",
        "on_hand": 5,
        "basis": "gross",
        "as_of": ago(hours=1),
    }
    await api.facts(level, source="erp")
    for name, units, then in (
        ("a", 2, "confirm"),
        ("b", 1, "release"),
        ("c", 2, "confirm"),
        ("d", 4, ""),
        ("d", 3, ""),
    ):
        status = await api.surely("PUT", f"/v1/reservations/{name}", cart(("MUG", units)))
        assert status in ({200, 201} if then else {409}), (name, status)
        if then:
            body = {"order_ref": f"W-{name}"} if then == "confirm" else {}
            assert await api.surely("POST", f"/v1/reservations/{name}/{then}", body) == 200
    assert await api.surely("POST", "/v1/reservations/b/confirm", {"order_ref": "W-b"}) == 200
    await api.facts({**level, "on_hand": 4, "as_of": ago(seconds=0)}, source="erp")


async def report_of(port: int) -> dict[str, Any]:
    """Once the refusals are there, which are written a moment after their answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await ask(port, "GET", f"/v1/report?from={RANGE[0]}&upto={RANGE[1]}")
            if answer.status == 200 and answer.json["refused"] and answer.json["accuracy"]["levels"]:
                return dict(answer.json)
            assert answer.status in {200, 503}, answer.body
            await asyncio.sleep(0.3)


async def test_every_form_of_a_report_has_the_same_numbers_and_they_are_right(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as served:
        await traded(Gateway(served.port))
        found = await report_of(served.port)
        wrong = await ask(served.port, "GET", "/v1/report?from=2026-01-01T00:00:10Z&upto=2060-01-01T00:00:00Z")
        assert (wrong.status, wrong.problem) == (422, "invalid")
    assert found["carts"] == {"held": 3, "released": 1, "superseded": 0, "expired": 0, "oversold": 0}
    assert found["orders"] == {"all": 3, "held": 2, "late": 1, "direct": 0, "cancelled": 0, "shipped": 0}
    assert (found["units"]["reserved"], found["units"]["ordered"], found["units"]["released"]) == (5, 5, 1)
    assert found["hold_to_purchase"] == {"part": 3, "all": 3, "share": 1.0}
    assert found["refused"] == [{"reason": "insufficient-stock", "carts": 1}]
    assert (found["units_lost"], found["units_would_have_oversold"]) == (3, 3), "1 was free, and 5 were counted"
    assert found["accuracy"] | {"units_expected": 0} == {
        "levels": 1,
        "exact": 0,
        "share": 0.0,
        "units_expected": 0,
        "units_up": 0,
        "units_down": 1,
    }
    line = ("report", "--data", str(tmp_path / "store"), "--from", RANGE[0][:10], "--to", RANGE[1][:10])
    again = await asyncio.to_thread(holdfast, *line, "--json", "--html", str(tmp_path / "page.html"))
    assert orjson.loads(again.stdout) == found, again.stderr
    listed = csv.DictReader(io.StringIO((await asyncio.to_thread(holdfast, *line, "--csv")).stdout))
    values = {row["figure"]: row["value"] for row in listed}
    assert values == {one.name: "" if one.value is None else str(one.value) for one in rows(found)}
    page = (tmp_path / "page.html").read_text()
    shown = (await asyncio.to_thread(holdfast, *line)).stdout
    for one in rows(found):
        assert f">{escape(one.words)}</th><td>{escape(one.shown)}<" in page, one
        assert re.search(rf"{re.escape(one.words)} +{re.escape(one.shown)}", shown), one
