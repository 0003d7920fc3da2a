"""A MariaDB server of the tests' own.

In: a directory. Out: a socket that answers.
Always: no TCP port, nothing outside the directory, ended with the block; made for speed, not to last.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 30.0
USER, PASSWORD, NAME = "shop", "shop", "shop"
_MADE_FOR_SPEED = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=128M",
    "--skip-log-bin",
    "--sync-binlog=0",
    "--max-connections=300",
    "--skip-networking",
    "--skip-name-resolve",
)


def program(name: str) -> str | None:
    """Where a program of MariaDB is: servers are often beside the PATH."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


@contextmanager
def database(directory: Path) -> Iterator[Path]:
    """Until the end of the block; the path of its socket."""
    store, socket, scratch = directory / "mariadb", directory / "db.sock", directory / "scratch"
    store.mkdir(parents=True)
    scratch.mkdir()  # of two servers that are made at once in /tmp, one removes the files of the other
    install, server, client = (program(name) for name in ("mariadb-install-db", "mariadbd", "mariadb"))
    assert install
    assert server
    assert client
    user = ["--user=root"] if os.geteuid() == 0 else []
    made = subprocess.run(
        [
            install,
            "--no-defaults",
            f"--datadir={store}",
            f"--tmpdir={scratch}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *user,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    with (directory / "mariadb.log").open("wb") as log:
        child = subprocess.Popen(
            [
                *(server, "--no-defaults", f"--datadir={store}", f"--tmpdir={scratch}", f"--socket={socket}"),
                *(f"--pid-file={directory}/db.pid", *_MADE_FOR_SPEED, *user),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        _prepare(client, socket, child, directory / "mariadb.log")
        yield socket
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _prepare(client: str, socket: Path, child: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it answers, and make the shop's database and user."""
    statements = (
        f"CREATE DATABASE {NAME} CHARACTER SET utf8mb4; "
        f"CREATE USER {USER}@localhost IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON {NAME}.* TO {USER}@localhost;"
    )
    deadline = time.monotonic() + START_S
    while True:
        tried = subprocess.run(
            [client, "--no-defaults", f"--socket={socket}", "-uroot", "-e", statements],
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode == 0:
            return
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < deadline, tried.stderr + log.read_text()
        time.sleep(0.1)
