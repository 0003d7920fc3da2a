"""Settings reach every process of a gateway: real ones, started with a file, variables and options."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.settings import NodeSettings, Settings
from holdfast.supervisor.control_pipe import Assignment, Failed, encoded, fingerprint_of
from tests.support.gateway import ask
from tests.support.served import Api, serving
from tests.support.serving import holdfast

TEXT = """\
[gateway]
body_bytes_max = 2_000
facts_body_bytes_max = 3_000

[log]
log_bytes_max = 70_000_000
server_log_files_max = 2

[rules]
renewals_max = 1
"""


def events(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


async def test_file_variable_and_option_are_in_effect_in_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(TEXT)
    monkeypatch.setenv("HOLDFAST_CONFIG", str(path))
    monkeypatch.setenv("HOLDFAST_GATEWAY_FACTS_BODY_BYTES_MAX", "4000")
    monkeypatch.setenv("HOLDFAST_SERVE_WORKERS", "2")
    with serving(tmp_path, "--set", "gateway.body_bytes_max=2500") as served:
        # The workers: the option over the file, the variable over the file. Which of the two answers does not matter.
        for method, target, most in (("PUT", "/v1/reservations/r", 2_500), ("POST", "/v1/facts", 4_000)):
            for size in (most, most + 1) * 6:
                answer = await ask(served.port, method, target, b"x" * size)
                assert (answer.status == 413) == (size > most), answer.body
        # The nats-server: the file, in its own configuration; and the stream that was made.
        configuration = next((tmp_path / "store" / "nats").glob("*.conf")).read_text()
        assert re.search(r"logfile_max_num\D+2\b", configuration), configuration
        # The log: a rule of the file is replicated, and decides.
        await until_a_worker_leads(served.port)
        api = Api(served.port)
        await api.policies({"kind": "location", "location": "W1", "type": "warehouse"})
        sku = await api.stocked(10)
        name = await api.held((sku, 1))
        first = await api("POST", f"/v1/reservations/{name}/extend", {"ttl_ms": 600_000})
        second = await api("POST", f"/v1/reservations/{name}/extend", {"ttl_ms": 600_000})
        assert (first.status, second.status) == (200, 409), (first.body, second.body)
        # And it is said where all that comes from.
        [said] = [event for event in events(served.log) if event["event"] == "settings"]
        assert said["file"] == str(path)
        changed = said["changed"]
        assert isinstance(changed, dict)
        assert changed["gateway.body_bytes_max"] == "--set gateway.body_bytes_max"
        assert changed["gateway.facts_body_bytes_max"] == "HOLDFAST_GATEWAY_FACTS_BODY_BYTES_MAX"
        assert changed["rules.renewals_max"] == f"{path}:10"
        assert served.stop() == 0


async def until_a_worker_leads(port: int) -> None:
    deadline = time.monotonic() + 30
    while (await ask(port, "POST", "/v1/reservations/r/release", b"{}")).status == 503:
        assert time.monotonic() < deadline, "nobody leads"
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gateway]\nkeepalive = 3\n", "holdfast.toml:2: gateway.keepalive is not a setting; did you mean"),
        ("[gateway]\nkeepalive_ms = 3\n", "holdfast.toml:2: gateway.keepalive_ms cannot be 3"),
        ("[supervisor]\nstop_ms = 3000\n", "together: workers would be killed while they finish"),
    ],
)
def test_nothing_is_started_with_settings_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(text)
    done = holdfast("serve", "--config", str(path), "--data", str(tmp_path / "data"), "--auth", "off")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_serve_without_a_data_directory_says_how_to_name_one() -> None:
    done = holdfast("serve", "--auth", "off")
    assert done.returncode == 2
    assert "--data DIR, HOLDFAST_DATA, or `data` in section [serve]" in done.stderr


@pytest.mark.parametrize("module", ["holdfast.gateway.worker", "holdfast.recovery.snapshot_process"])
def test_a_child_that_reads_other_settings_than_were_sent_does_not_start(tmp_path: Path, module: str) -> None:
    settings = Settings(node=NodeSettings(drain_ms=1))
    other = fingerprint_of(Settings())
    assert other != fingerprint_of(settings)
    assignment = Assignment(node="n1", directory=str(tmp_path), nats="nats://x", settings=settings, fingerprint=other)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = subprocess.Popen(
            [sys.executable, "-m", module, "n1", str(tmp_path)], stdin=theirs.fileno(), env=os.environ.copy()
        )
        theirs.close()
        ours.sendall(encoded(assignment))
        said = b"".join(iter(lambda: ours.recv(65_536), b""))
        assert child.wait(30) == 2
    assert said[4:].startswith(b'{"type":"Failed"')
    assert b"other settings than the supervisor has" in said
    assert encoded(Failed("x"))[4:].startswith(b'{"type":"Failed"')
