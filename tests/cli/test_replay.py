"""`holdfast replay` on a log that a gateway wrote: the digest, other rules, and another scope."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast._core import Engine
from holdfast.cli import run
from holdfast.client import Client, ClientError
from holdfast.contracts.requests import ReservationLine, ReservationRequest
from holdfast.nats.appender import get_message
from holdfast.secret_files import scope_macs
from tests.support.servers import connected, embedded
from tests.support.serving import running_gateway

LIMIT = {"kind": "oversell", "channel": "web", "policy": "limit", "limit": 5}
UNTIL_WRITTEN_S = 20


async def traded(url: str) -> str:
    """Some stock, three carts that fit and two that do not; the digest then."""
    async with Client(url) as client:
        await client.policies(
            [{"kind": "location", "location": "PAR"}, {"kind": "channel", "channel": "web", "locations": "*"}]
        )
        level = {"kind": "stock.level", "sku": "MUG", "location": "PAR", "on_hand": 6, "basis": "net", "as_of": 1}
        await client.facts("erp", [level])
        for name, units in (("a", 2), ("b", 2), ("c", 3), ("d", 2), ("e", 4)):
            lines = [ReservationLine(sku="MUG", quantity=units)]
            with contextlib.suppress(ClientError):
                await client.reserve(name, ReservationRequest(channel="web", ttl_ms=600_000, owner=name, lines=lines))
        with contextlib.suppress(ClientError):
            await client.confirm("a", order_ref="1001")
        await asyncio.sleep(1.5)  # the journal is at most a second behind
        return (await client.state()).digest


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    directory = tmp_path_factory.mktemp("gateway")
    with running_gateway(directory) as gateway:
        yield directory, asyncio.run(traded(gateway.url))


def asked(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> dict[str, Any]:
    assert run(["replay", "--json", *arguments]) == status, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_fresh_core_has_the_digest_of_the_gateway(past: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    directory, digest = past
    whole = asked(capsys, "--data", str(directory))
    assert (whole["from"], whole["digest"]) == (1, digest)
    part = asked(capsys, "--data", str(directory), "--upto", str(whole["upto"] - 1))
    assert part["upto"] == whole["upto"] - 1
    assert part["digest"] != digest
    rest = asked(capsys, "--data", str(directory), "--from", "3")
    assert (rest["from"], rest["batches"], rest["digest"]) == (3, whole["batches"] - 2, digest)
    assert run(["replay", "--data", str(directory), "--upto", "99999"]) == 2
    assert "is not kept here" in capsys.readouterr().err


def test_other_rules_show_what_would_have_been_sold(
    past: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "limit.json").write_text(json.dumps({"facts": [LIMIT]}))
    (tmp_path / "prices.csv").write_text("sku,price\nMUG,2.50\n")
    line = ["--data", str(past[0]), "--policy", str(tmp_path / "limit.json"), "--prices", str(tmp_path / "prices.csv")]
    until = time.monotonic() + UNTIL_WRITTEN_S
    while (found := asked(capsys, *line))["refusals"]["decided_again"] < 2 and time.monotonic() < until:
        time.sleep(0.1)
    # 6 and 5 beyond: c (3) fits then; d had its 2 already, and depended on it; e does not fit.
    assert found["gained"] == {"units": 3, "money": "7.50"}
    assert [(one["reservation"], one["certain"], one["became"]) for one in found["list"]] == [("c", True, "refused")]
    assert found["unsourced"] == {"was": 0, "would_be": 3}
    assert run(["replay", *line]) == 0
    shown = capsys.readouterr().out
    assert "3 units sold in addition, worth 7.50" in shown
    same = asked(capsys, "--data", str(past[0]), "--policy", str(limit_of(tmp_path, 0)))
    assert (same["differ"], same["refusals"]["decided_again"]) == (0, 2)


def test_refusals_are_decided_again(past: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["refusals", "--data", str(past[0]), "--what-if", str(limit_of(tmp_path, 5)), "--json"]
    for chosen, carts in (([], ["c"]), (["--sku", "MUG"], ["c"]), (["--sku", "CUP"], []), (["--channel", "pos"], [])):
        until = time.monotonic() + UNTIL_WRITTEN_S
        while True:
            assert run([*line, *chosen]) == 0
            found = json.loads(capsys.readouterr().out)
            if found["refusals"]["decided_again"] == 2 or time.monotonic() > until:
                break
            time.sleep(0.1)
        assert [one["reservation"] for one in found["list"]] == carts
        assert found["gained"]["units"] == 3 * len(carts)


def limit_of(directory: Path, units: int) -> Path:
    path = directory / f"limit-{units}.json"
    path.write_text(json.dumps({"facts": [LIMIT | {"limit": units}]}))
    return path


def test_another_scope_gets_the_log_and_has_the_digest(
    past: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "rehearsal"
    line = ["--data", str(past[0]), "--onto", "rehearsal", "--into", str(into), "--speed", "1000"]
    found = asked(capsys, *line)
    assert (found["equal"], found["digest"]) == (True, past[1])
    assert run(["verify", "--data", str(into), "--scope", "rehearsal", "--json"]) == 0
    proven = json.loads(capsys.readouterr().out)
    assert (proven["ok"], proven["digest"], proven["sequence"]) == (True, past[1], found["batches"])
    assert run(["replay", *line]) == 2
    assert "is not an empty directory" in capsys.readouterr().err


async def test_another_scope_on_a_server_that_runs_gets_the_log(
    past: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with embedded(tmp_path) as server:
        capsys.readouterr()  # the server's own lines
        there = ["--data", str(past[0]), "--nats", server.url]
        line = [*there, "--onto", "rehearsal", "--speed", "flat-out"]
        found = await asyncio.to_thread(asked, capsys, *line)
        assert (found["equal"], found["digest"]) == (True, past[1])
        core = Engine("rehearsal", None, scope_macs(past[0]).keys)
        async with connected(server.endpoint) as connection:
            for sequence in range(1, found["batches"] + 1):
                message = await get_message(connection, "HF_rehearsal_LOG", sequence)
                assert message is not None
                core.apply(sequence, message)
        assert core.digest() == past[1]
        assert await asyncio.to_thread(run, ["replay", *line]) == 2
        assert "rehearsal" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not JSON"),
        ("[]", 'is not {"facts"'),
        ('{"facts": []}', 'is not {"facts"'),
        ('{"facts": [{"kind": "oversell", "policy": "limit"}]}', "fact 0: malformed: limit"),
        ("{" + " " * 600_000 + "}", "is larger than 512 KiB"),
    ],
)
def test_a_file_that_is_no_rules_is_said(
    past: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    (tmp_path / "rules.json").write_text(text)
    assert run(["replay", "--data", str(past[0]), "--policy", str(tmp_path / "rules.json")]) == 2
    assert why in capsys.readouterr().err
