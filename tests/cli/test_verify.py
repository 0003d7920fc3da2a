"""`holdfast verify`: the log alone gives the state, with the gateway running or stopped."""

import asyncio
import json
from pathlib import Path

import pytest

from holdfast.client import Client
from holdfast.demonstration import catalogue
from tests.support.serving import holdfast, running_gateway


async def fill(url: str) -> None:
    async with Client(url) as client:
        await client.policies(catalogue.policies())
        await client.facts(catalogue.SOURCE, catalogue.stock())


async def digest_of(url: str) -> str:
    async with Client(url) as client:
        return (await client.state()).digest


@pytest.mark.slow
def test_running_or_stopped_the_log_gives_the_same_digest(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        asyncio.run(fill(gateway.url))
        digest = asyncio.run(digest_of(gateway.url))
        done = holdfast("verify", "--data", str(tmp_path), "--gateway", gateway.url, "--json")
        assert done.returncode == 0, done.stderr
        running = json.loads(done.stdout)
    assert running["ok"]
    assert running["digest"] == digest
    assert running["compared_at"] == running["sequence"]
    done = holdfast("verify", "--data", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    stopped = json.loads(done.stdout)
    assert (stopped["digest"], stopped["chain"]) == (digest, running["chain"])
    assert stopped["compared_at"] is None


@pytest.mark.slow
def test_a_gateway_on_another_log_is_found_different(tmp_path: Path) -> None:
    with running_gateway(tmp_path / "one") as one, running_gateway(tmp_path / "other") as other:
        asyncio.run(fill(one.url))
        done = holdfast("verify", "--data", str(tmp_path / "one"), "--gateway", other.url)
    assert done.returncode == 1
    assert "DIFFERENT" in done.stdout


def test_a_directory_without_a_log_is_said_so(tmp_path: Path) -> None:
    done = holdfast("verify", "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no log" in done.stderr
    assert "Traceback" not in done.stderr
