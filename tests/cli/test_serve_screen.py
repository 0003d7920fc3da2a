"""What `holdfast serve` shows: a person at a terminal reads a banner, a machine reads JSON lines and nothing else."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.gateway.keyring import KeyStore, Operation
from tests.support.ports import free_port
from tests.support.serving import holdfast

WAIT_S = 60.0


def on_a_terminal(*arguments: str, until: str) -> tuple[int, str]:
    """What a terminal shows up to `until`; then SIGTERM, the exit status, and all that was shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "holdfast", "serve", *arguments]
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as child:
        os.close(theirs)
        shown, deadline = "", time.monotonic() + WAIT_S
        os.set_blocking(ours, False)
        while child.poll() is None and time.monotonic() < deadline:
            try:
                shown += os.read(ours, 65_536).decode()
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:
                break
            if until in shown:
                child.send_signal(signal.SIGTERM)
                until = "\0"
    with contextlib.suppress(OSError):
        shown += os.read(ours, 65_536).decode()
    os.close(ours)
    return child.returncode, re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r\n", "\n")


def test_a_person_reads_where_it_listens_and_how_to_make_a_key(tmp_path: Path) -> None:
    port, store = free_port(), tmp_path / "store"
    status, shown = on_a_terminal("--data", str(store), "--port", str(port), until="Ctrl-C stops it")
    assert status == 0
    assert f"listens on http://127.0.0.1:{port}\n" in shown
    assert f"docs     http://127.0.0.1:{port}/docs\n" in shown
    assert f"look     http://127.0.0.1:{port}/dashboard\n" in shown
    assert f"data     {store}, scope main" in shown
    assert "keys     none in force" in shown
    assert f"keys add admin --operations all --data {store}" in shown
    assert not [line for line in shown.splitlines() if line.startswith("{")]
    KeyStore(store).add("admin", list(Operation))
    _, shown = on_a_terminal(
        "--data", str(store), "--port", str(port), "--log-level", "info", until="more.\n".replace("\n", "\r\n")
    )
    assert "keys     1 in force" in shown
    assert re.search(r"^\d\d:\d\d:\d\dZ info settings file=null ", shown, re.MULTILINE)
    assert not [line for line in shown.splitlines() if line.startswith("{")]


def test_without_keys_on_purpose_it_says_so_and_what_to_try(tmp_path: Path) -> None:
    port = free_port()
    _, shown = on_a_terminal("--data", str(tmp_path), "--port", str(port), "--auth", "off", until="Ctrl-C stops it")
    assert "keys     not needed (--auth off)" in shown
    assert f"try      curl http://127.0.0.1:{port}/v1/state\n" in shown


@pytest.mark.parametrize("already", [True, False])
def test_a_port_that_is_taken_is_said_and_nothing_is_made(tmp_path: Path, *, already: bool) -> None:
    import socket

    store = tmp_path / "store"
    if already:
        store.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = holdfast("serve", "--data", str(store), "--port", str(port), "--auth", "off")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"port {port}" in done.stderr
    assert store.exists() == already


def test_lines_for_machines_are_json_and_the_last_word_is_not(tmp_path: Path) -> None:
    (tmp_path / "owner.key").write_text("no key")
    done = holdfast("serve", "--data", str(tmp_path), "--port", "0", "--auth", "off")
    assert done.returncode == 2
    *lines, last = done.stderr.splitlines()
    assert all(json.loads(line)["process"] == "supervisor" for line in lines)
    assert last.startswith("holdfast: n1: ")
