"""The dashboard as files: what is served, under which policy, and that it needs no other host; and the overview."""

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from holdfast.contracts.overview import Overview
from holdfast.gateway.gate import KeyGate
from holdfast.gateway.keyring import Keyring, KeyStore, Operation
from holdfast.gateway.routes.dashboard import PAGES
from holdfast.gateway.static_files import type_of
from tests.support.gateway import StubNode, ask, connected, listening, raw

STATIC = Path(str(files("holdfast.gateway"))) / "static"
TEXTS = {path: (STATIC / file).read_text() for path, file in PAGES.items()}
SCRIPTS = sorted(path for path in PAGES if path.endswith(".js"))


async def test_each_part_is_served_to_everybody_under_a_policy_that_allows_no_other_host() -> None:
    async with listening() as (_, port):
        for path, file in PAGES.items():
            answer = await ask(port, "GET", path)
            assert (answer.status, answer.headers["content-type"]) == (200, type_of(file)), path
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["x-content-type-options"] == "nosniff"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
            assert "unsafe" not in policy
            assert answer.body.decode() == TEXTS[path]


def test_every_file_is_served_and_every_part_that_is_named_is_a_file() -> None:
    assert {Path(file).name for file in PAGES.values()} == {one.name for one in (STATIC / "dashboard").iterdir()}
    named = set(re.findall(r'(?:src|href)="(/[^"]+)"', TEXTS["/dashboard"]))
    for path in SCRIPTS:
        named |= {f"/dashboard/{part}" for part in re.findall(r'from "\./([\w.]+)"', TEXTS[path])}
    assert named == set(PAGES) - {"/dashboard"}


@pytest.mark.parametrize("path", sorted(PAGES))
def test_nothing_comes_from_elsewhere_is_inline_or_becomes_markup(path: str) -> None:
    text = TEXTS[path].replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|//[a-z0-9-]+\.[a-z]", text), "another host"
    assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b|new Function", text)
    assert not re.search(r"@import|url\(", text)
    if path == "/dashboard":
        assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", text)
    assert text.count("\n") < 400


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: the scripts are not parsed")
def test_the_scripts_are_modules_that_can_be_parsed() -> None:
    for path in SCRIPTS:
        command = ["node", "--input-type=module", "--check"]
        done = subprocess.run(command, input=TEXTS[path], capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, (path, done.stderr)


async def test_the_overview_needs_no_log_and_closes_its_connection_so_that_the_next_one_may_reach_another_process() -> (
    None
):
    behind = StubNode(busy=True, ails=True, reasons=["the log is full: see /var/lib/holdfast/store"])
    async with listening(behind) as (_, port):
        await ask(port, "GET", "/nothing")
        async with connected(port) as connection:
            await connection.send(raw("GET", "/v1/overview"))
            answer = await connection.receive()
            assert answer.headers["connection"] == "close"
        found = msgspec.json.decode(answer.body, type=Overview)
        assert (found.node, found.role, found.ready) == ("n1", "leader", False)
        assert found.reasons == ["the log is full: see (a file)"]
        assert found.refusals == {"not-found": 1}
        assert found.calls["unrouted"].answered == {"4xx": 1}
        assert sum(found.calls["unrouted"].within) == 1
        assert len(found.calls["unrouted"].within) == len(found.bounds_s) + 1
        assert found.figures == {"batches": 3, "commands_waiting": 0}
        assert found.tallies == {"reservations": {"held": 2}}
        assert (await ask(port, "GET", "/v1/overview?a=b")).status == 422


async def test_the_overview_reaches_over_all_channels_and_so_needs_the_operation_that_does(tmp_path: Path) -> None:
    _, reader = KeyStore(tmp_path).add("reader", [Operation.READ])
    _, screen = KeyStore(tmp_path).add("screen", [Operation.READ, Operation.METRICS])
    gate = KeyGate(Keyring(tmp_path))
    await gate.open()
    async with listening(gate=gate) as (_, port):
        tokens = {"": 401, reader: 403, screen: 200}
        for token, status in tokens.items():
            headers = {"authorization": f"Bearer {token}"} if token else {}
            answer = await ask(port, "GET", "/v1/overview", b"", **headers)
            assert answer.status == status
            if status == 403:
                assert answer.json["operation"] == "metrics"
