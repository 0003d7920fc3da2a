"""`holdfast config` says what is in force and where it comes from, and names every fault."""

import json
import stat
from pathlib import Path

import pytest

from holdfast.settings.catalogue import DEFINITIONS
from tests.support.serving import holdfast


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "holdfast.toml"
    path.write_text('[serve]\nnats = "nats://node:s3cret@a:4222,nats://b:4222"\n[gateway]\nkeepalive_ms = 30_000\n')
    path.chmod(0o600)
    return path


def test_show_names_every_setting_its_value_and_where_it_comes_from(file: Path) -> None:
    done = holdfast("config", "show", "--config", str(file), "--set", "node.drain_ms=5000")
    assert done.returncode == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(rows) == list(DEFINITIONS)
    assert (
        rows["gateway.keepalive_ms"].split(None, 1)[1]
        == f"30000 (30 s){rows['gateway.keepalive_ms'].partition('s)')[2]}"
    )
    assert rows["gateway.keepalive_ms"].endswith(f"{file}:4")
    assert rows["node.drain_ms"].endswith("--set node.drain_ms")
    assert rows["log.replicas"].endswith("derived from serve.nats")
    assert rows["gateway.backlog"].endswith("default")
    assert "s3cret" not in done.stdout + done.stderr
    assert "[rules] are replicated" in done.stderr


def test_show_for_machines(file: Path) -> None:
    done = holdfast("config", "show", "--config", str(file), "--changed", "--json")
    found = json.loads(done.stdout)
    assert found["file"] == str(file)
    assert set(found["settings"]) == {"serve.nats", "gateway.keepalive_ms", "log.replicas", "snapshots.shared"}
    assert found["settings"]["serve.nats"]["value"] == "nats://node:***@a:4222,nats://b:4222"
    assert found["settings"]["gateway.keepalive_ms"] == {
        "value": 30_000,
        "from": "file",
        "where": f"{file}:4",
        "default": 15_000,
        "unit": "ms",
        "lowest": 100,
        "highest": 3_600_000,
        "replicated": False,
    }


def test_the_defaults_are_a_file_that_check_finds_right(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(holdfast("config", "show", "--defaults").stdout)
    done = holdfast("config", "check", str(path))
    assert done.returncode == 0, done.stdout
    assert done.stdout == f"The settings are valid: 0 from {path}, 0 from the environment.\n"


def test_check_names_every_fault_and_exits_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text("[gateway]\nkeepalive_msx = 1\nbacklog = 0\n")
    monkeypatch.setenv("HOLDFAST_RULES_RENEWALS_MAX", "-1")
    done = holdfast("config", "check", str(path))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines] == [f"{path}:2:", f"{path}:3:", "HOLDFAST_RULES_RENEWALS_MAX:"]
    as_json = holdfast("config", "check", "--config", str(path), "--json")
    assert (as_json.returncode, len(json.loads(as_json.stdout)["faults"])) == (1, 3)


def test_check_of_a_file_that_cannot_be_read_could_not_run(tmp_path: Path) -> None:
    for arguments in ((str(tmp_path / "absent.toml"),), (str(tmp_path / "a"), "--config", str(tmp_path / "b"))):
        done = holdfast("config", "check", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Traceback" not in done.stderr


def test_a_password_that_others_may_read_is_remarked(file: Path) -> None:
    assert "chmod 600" not in holdfast("config", "check", str(file)).stderr
    file.chmod(file.stat().st_mode | stat.S_IROTH)
    assert "chmod 600" in holdfast("config", "check", str(file)).stderr


def test_a_variable_that_is_ignored_is_remarked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_IMAGE_TAG", "7")
    done = holdfast("config", "check")
    assert (done.returncode, "HOLDFAST_IMAGE_TAG is not a setting; it is ignored" in done.stderr) == (0, True)


@pytest.mark.parametrize("verb", ["verify", "snapshots", "repair"])
def test_verbs_on_a_data_directory_take_it_from_the_same_file(tmp_path: Path, verb: str) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text('[serve]\ndata = "absent"\n')
    done = holdfast(verb, "--config", str(path))
    assert "no data directory" not in done.stderr
    path.write_text('[serve]\ndta = "absent"\n')
    done = holdfast(verb, "--config", str(path))
    assert done.returncode == 2
    assert "did you mean serve.data" in done.stderr
    bare = holdfast(verb)
    assert bare.returncode == 2
    assert "no data directory" in bare.stderr


def test_each_part_explains_itself() -> None:
    for part in ("show", "check"):
        done = holdfast("config", part, "--help")
        assert done.returncode == 0
        assert f"holdfast config {part}" in done.stdout
