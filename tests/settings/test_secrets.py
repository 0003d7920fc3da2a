"""Passwords: from files and variables, never from arguments, and no child has them in its environment."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.guarded import bare_environment
from holdfast.settings.resolve import InvalidSettingsError, resolve
from tests.support.served import serving
from tests.support.serving import holdfast

ADDRESS = "nats://node:s3cret@127.0.0.1:4222,nats://127.0.0.1:4223"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "address"
    found.touch(mode=0o600)
    found.write_text(ADDRESS + "\n")
    return found


def test_an_argument_with_a_password_is_refused_and_not_repeated() -> None:
    for verb in (
        ("serve", "--data", "/nowhere/x"),
        ("serve", "--data", "/nowhere/x", "--set", f"serve.nats={ADDRESS}"),
    ):
        arguments = verb if "--set" in verb else (*verb, "--nats", ADDRESS)
        done = holdfast(*arguments)
        assert done.returncode == 2
        assert "@FILE" in done.stderr
        assert "s3cret" not in done.stderr + done.stdout


def test_a_file_gives_it_to_options_variables_and_settings(file: Path, tmp_path: Path) -> None:
    written = tmp_path / "holdfast.toml"
    written.write_text(f'[serve]\nnats = "@{file.name}"\n')
    for found in (
        resolve(None, options={"serve.nats": f"@{file}"}, environment={}),
        resolve(None, environment={"HOLDFAST_NATS": f"@{file}"}),
        resolve(written, environment={}),
        resolve(None, environment={"HOLDFAST_NATS": ADDRESS}),
    ):
        assert found.serve.nats == ADDRESS


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o606])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(InvalidSettingsError, match="chmod go-rwx"):
        resolve(None, environment={"HOLDFAST_NATS": f"@{file}"})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingsError, match="nothing-here"):
        resolve(None, environment={"HOLDFAST_NATS": f"@{tmp_path / 'nothing-here'}"})


@given(
    st.dictionaries(
        st.from_regex(r"(HOLDFAST_|holdfast_|PATH|HOME_HOLDFAST_)[A-Z_]{0,6}", fullmatch=True), st.text(max_size=5)
    )
)
def test_a_child_gets_all_variables_but_holdfasts(environment: dict[str, str]) -> None:
    left = {name: value for name, value in environment.items() if name[:9] != "HOLDFAST_"}
    assert bare_environment(environment) == left


def test_no_child_of_serve_has_a_secret_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_KEY", "hf_aaaaaaaaaa_s3cret")
    with serving(tmp_path) as served:
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(served.child.pid)], capture_output=True, check=True)
        children = [int(pid) for pid in found.stdout.split()]
        assert len(children) >= 2, "a worker and the nats-server"
        for pid in children:
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
            except ProcessLookupError:
                continue
            assert b"s3cret" not in environment + arguments
            assert os.environ["PATH"].encode() in environment or not environment


def test_an_own_nats_server_runs_where_it_is_named(tmp_path: Path) -> None:
    done = holdfast(
        "serve",
        "--data",
        str(tmp_path / "d"),
        "--auth",
        "off",
        "--port",
        "0",
        "--set",
        "log.server_binary=/nowhere/nats",
    )
    assert done.returncode == 2
    assert "log.server_binary" in done.stderr
