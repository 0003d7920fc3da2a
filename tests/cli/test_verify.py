"""`holdfast verify`: the log alone gives the state, with the gateway running or stopped."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from holdfast.client import Client
from holdfast.demonstration import catalogue
from holdfast.nats_server.server import runtime_of
from holdfast.secret_files import SCOPE_KEY_FILE
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
def test_a_log_elsewhere_is_rebuilt_with_the_keys_of_the_directory(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir(mode=0o700)
    with running_gateway(tmp_path / "there") as gateway:
        asyncio.run(fill(gateway.url))
        address = here / "address"
        runtime = runtime_of(tmp_path / "there")
        assert runtime is not None
        address.touch(mode=0o600)
        address.write_text(runtime.url)
        arguments = ("verify", "--data", str(here), "--nats", f"@{address}", "--gateway", gateway.url, "--json")
        without = holdfast(*arguments)
        assert without.returncode != 0, "the batches have codes, and only the scope key can tell whether they are right"
        shutil.copy(tmp_path / "there" / SCOPE_KEY_FILE, here)
        done = holdfast(*arguments)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["ok"], found["digest"]) == (True, asyncio.run(digest_of(gateway.url)))


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
