"""docs/nats.md with the official CLI, built from its Go module; and what `holdfast nats-context` writes and refuses."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.gateway import ask
from tests.support.pages import ROOT, blocks, installed, played
from tests.support.ports import free_port
from tests.support.served import Served, serving
from tests.support.serving import holdfast

CLI = "github.com/nats-io/natscli/nats@v0.5.1"
BUILT = ROOT / "target" / "tools"


@pytest.fixture(scope="session")
def nats_cli() -> Path:
    """The CLI: that of the machine, or built once."""
    if found := shutil.which("nats"):
        return Path(found)
    if not (BUILT / "nats").exists():
        if shutil.which("go") is None:
            pytest.skip("there is no nats CLI, and no Go to build it with")
        environment = os.environ | {"GOBIN": str(BUILT), "GOFLAGS": "-p=1"}
        subprocess.run(["go", "install", CLI], check=True, env=environment, timeout=800)
    return BUILT / "nats"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_command_of_the_page_works(nats_cli: Path, tmp_path: Path) -> None:
    (installed(tmp_path) / "nats").symlink_to(nats_cli)
    with serving(tmp_path) as served:
        # The CLI takes its contexts from there, or from the home of the system's user.
        text = f"set -eu\nexport XDG_CONFIG_HOME={tmp_path}\n" + "".join(blocks(ROOT / "docs" / "nats.md"))
        done = played(text, tmp_path, {"/var/lib/holdfast": str(served.directory / "store")})
        assert done.returncode == 0, done.stdout + done.stderr
        assert "HF_main_LOG" in done.stdout
        assert "Holdfast-Subject: hf.main.in.erp.acme" in done.stdout
        assert "stock.guess" in done.stdout
        answer = await ask(served.port, "GET", "/v1/availability/MUG?channel=web")
        assert answer.json["sellable"] == 15


def context(served: Served, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return holdfast("nats-context", "--data", str(served.directory / "store"), *arguments)


def test_a_context_is_private_written_again_and_replaces_no_other(tmp_path: Path) -> None:
    file = tmp_path / "contexts" / "shop.json"
    with serving(tmp_path) as served:
        done = context(served, "--output", str(file))
        assert (done.returncode, done.stderr) == (0, "")
        found = json.loads(file.read_text())
        nats = served.directory / "store" / "nats"
        runtime = json.loads((nats / "runtime.json").read_text())
        assert found["url"] == f"nats://127.0.0.1:{runtime['port']}"
        assert found["nkey"] == str(nats / "users" / "operator.nk"), "never a gateway's"
        assert found["inbox_prefix"] == "_INBOX_operator"
        assert Path(found["nkey"]).read_text().strip() not in done.stdout + file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert context(served, "--output", str(file)).returncode == 0, "its own context is renewed"
        for text in ('{"description": "production", "url": "nats://prod"}', "not JSON", "[]", ""):
            file.write_text(text)
            refused = context(served, "--output", str(file))
            assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
            assert "--force" in refused.stderr
            assert file.read_text() == text
        assert context(served, "--output", str(file), "--force").returncode == 0
        assert json.loads(file.read_text()) == found
        for name in ("../escape", "", ".hidden", "a b"):
            assert context(served, "--name", name).returncode == 2
        assert context(served, "--output", str(tmp_path / "g.json"), "--user", "gateway").returncode == 0
        seed = Path(json.loads((tmp_path / "g.json").read_text())["nkey"])
        assert stat.S_IMODE(seed.stat().st_mode) == 0o600
        assert seed.read_text().strip() == runtime["seed"]
        for name in ("erp.acme", "gateways", "../operator", ""):
            assert context(served, "--output", str(file), "--user", name).returncode == 2
    stopped = context(served, "--output", str(file))
    assert (stopped.returncode, stopped.stderr.count("\n")) == (2, 1)
    assert "no nats-server runs" in stopped.stderr


def test_servers_that_run_elsewhere_are_named_with_their_user_and_files(tmp_path: Path) -> None:
    (tmp_path / "data" / "journal").mkdir(parents=True)
    file, authority, address = tmp_path / "cluster.json", tmp_path / "ca.pem", tmp_path / "address"
    address.touch(mode=0o600)
    address.write_text("tls://operator:s%2Fecret@nats-1:4222,tls://nats-2:4222\n")
    authority.write_text("")
    done = holdfast(
        *("nats-context", "--data", str(tmp_path / "data"), "--output", str(file), "--nats-ca", str(authority)),
        *("--nats", f"@{address}"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert found.pop("description").startswith("holdfast, ")
    assert found == {
        "url": "tls://nats-1:4222,tls://nats-2:4222",
        "user": "operator",
        "password": "s/ecret",
        "inbox_prefix": "_INBOX_operator",
        "ca": str(authority),
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_reader_views_a_stream_on_a_terminal(nats_cli: Path, tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert context(served, "--output", str(tmp_path / "reader.json"), "--user", "reader").returncode == 0
        command = f"{nats_cli} --context {tmp_path / 'reader.json'} stream view HF_main_LOG"
        done = subprocess.run(  # in a terminal: the tool views on nothing else
            ["script", "--quiet", "--command", command, "/dev/null"], stdout=subprocess.PIPE, timeout=60, check=True
        )
        assert b'"kind":"lead"' in done.stdout
        assert b"Reached apparent end of data" in done.stdout


def test_users_are_made_listed_and_ended(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    added = holdfast("nats-user", "add", "erp.acme", *data)
    file = tmp_path / "data" / "nats" / "users" / "erp.acme.nk"
    assert (added.returncode, added.stdout.strip()) == (0, str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() not in added.stdout + added.stderr
    assert holdfast("nats-user", "add", "erp.acme", *data).returncode == 2, "it is there"
    for name in ("erp", "erp.a.b", "../x", "policy", "gateway"):
        refused = holdfast("nats-user", "add", name, *data)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    listed = json.loads(holdfast("nats-user", "list", "--json", *data).stdout)
    assert [(one["name"], one["role"]) for one in listed] == [("erp.acme", "source")]
    assert holdfast("nats-user", "remove", "erp.acme", *data).returncode == 0
    assert holdfast("nats-user", "remove", "erp.acme", *data).returncode == 2
    assert not file.exists()


def test_the_port_can_be_one_that_stays(tmp_path: Path) -> None:
    port = free_port()
    for _ in range(2):
        with serving(tmp_path, "--set", f"log.server_port={port}") as served:
            runtime = json.loads((served.directory / "store" / "nats" / "runtime.json").read_text())
            assert runtime["port"] == port
            second = holdfast(
                *("serve", "--data", str(tmp_path / "other"), "--port", str(free_port()), "--auth", "off"),
                *("--set", f"log.server_port={port}"),
            )
            assert second.returncode == 2
            assert f"another program listens on port {port} (`log.server_port`)" in second.stderr
