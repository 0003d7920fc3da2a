"""The database that a Tryton of the tests is on: SQLite, or a PostgreSQL that is started for it.

In: TRYTON_ON (`sqlite`, the default, or `postgresql`). Out: its address in Tryton's configuration, a copy of a filled
one, answers to SQL. Always: a PostgreSQL listens on loopback alone, keeps its files in the directory that it is
given, and has ended when the test has.
"""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tests.support.ports import free_port

NAME = "shop"
ON = os.environ.get("TRYTON_ON", "sqlite")
_USER = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root


class Database(Protocol):
    """Of one server."""

    uri: str

    def begin(self) -> None:
        """Be there."""

    def end(self) -> None:
        """Let its files be copied, or go."""

    def by_sql(self, statement: str) -> list[Any]:
        """What it holds."""
        ...


class Sqlite:
    """A file in the directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.uri = "sqlite://"

    def begin(self) -> None:
        (self._directory / f"{NAME}.sqlite").touch()

    def end(self) -> None:
        """A file needs no end."""

    def by_sql(self, statement: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self._directory / f"{NAME}.sqlite")) as database:
            return database.execute(statement).fetchall()


def postgres_program(name: str) -> str | None:
    """The newest that is installed; Debian keeps them out of PATH."""
    found = [path for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}") if path.parts[-3].isdigit()]
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    return str(newest) if newest else shutil.which(name)


def missing() -> list[str]:
    """What a Tryton on this database lacks here."""
    if ON == "sqlite":
        return []
    lacking = [name for name in ("initdb", "postgres") if postgres_program(name) is None]
    try:
        import psycopg  # noqa: F401 - it loads the library of the distribution, which may be missing
    except ImportError as fault:
        lacking.append(f"psycopg ({fault})")
    return lacking


class Postgresql:
    """A cluster in the directory."""

    def __init__(self, directory: Path) -> None:
        self._files = directory / "cluster"
        self._log = directory / "postgresql.log"
        self._port = free_port()
        self._child: subprocess.Popen[bytes] | None = None
        self.uri = f"postgresql://postgres@127.0.0.1:{self._port}/"

    def begin(self) -> None:
        if not self._files.exists():
            initdb = [str(postgres_program("initdb")), "-D", str(self._files), "-A", "trust", "-U", "postgres"]
            initdb += ["--locale=C", "--encoding=UTF8", "--no-sync"]
            subprocess.run(initdb, check=True, capture_output=True, cwd="/", user=_USER, group=_USER)
        options = {"listen_addresses": "127.0.0.1", "port": self._port, "unix_socket_directories": "", "fsync": "off"}
        command = [str(postgres_program("postgres")), "-D", str(self._files)]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", user=_USER, group=_USER)
        self._made()

    @staticmethod
    def owned(directory: Path) -> None:
        """By the user as whom it runs."""
        if _USER:
            shutil.chown(directory, _USER, _USER)

    def _made(self) -> None:
        """Once it answers, the database is there."""
        import psycopg

        deadline = time.monotonic() + 60
        while True:
            try:
                with psycopg.connect(f"{self.uri}postgres", autocommit=True) as connection:
                    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,)).fetchone():
                        connection.execute(f"CREATE DATABASE {NAME}")
                    return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, self._log.read_text()[-2_000:]
                time.sleep(0.1)

    def end(self) -> None:
        if self._child is not None:
            self._child.send_signal(signal.SIGINT)
            self._child.wait(60)
            self._child = None

    def by_sql(self, statement: str) -> list[Any]:
        import psycopg

        with psycopg.connect(f"{self.uri}{NAME}") as connection:
            return connection.execute(statement.encode()).fetchall()


def database_in(directory: Path) -> Database:
    """As TRYTON_ON says."""
    return Postgresql(directory) if ON == "postgresql" else Sqlite(directory)


def _cluster(since: Path, to: Path) -> None:
    if (since / "cluster").exists():
        subprocess.run(["cp", "-a", str(since / "cluster"), str(to)], check=True)


def copied(filled: Path, directory: Path) -> Path:
    """The files of a filled one that has ended, to where a server of it may be: its directory."""
    if ON == "sqlite":
        shutil.copy(filled / f"{NAME}.sqlite", directory / f"{NAME}.sqlite")
        return directory
    place = Path(tempfile.mkdtemp(prefix="postgresql-"))  # a user who is not root has no way into the test's own
    Postgresql.owned(place)
    _cluster(filled, place)
    return place


def given_up(directory: Path, place: Path) -> None:
    """Its files go with it."""
    if place != directory:
        shutil.rmtree(place)


@contextlib.contextmanager
def working(kept: Path, since: Path | None = None) -> Iterator[tuple[Database, Path]]:
    """One that is changed once and kept: that of `since`, or a new one. Its directory while it runs is the second."""
    if ON == "sqlite":
        if since is not None:
            shutil.copy(since / f"{NAME}.sqlite", kept / f"{NAME}.sqlite")
        database: Database = Sqlite(kept)
        database.begin()
        yield database, kept
        return
    place = copied(since if since is not None else kept, kept)
    database = Postgresql(place)
    database.begin()
    try:
        yield database, place
    finally:
        database.end()
    _cluster(place, kept)
    shutil.rmtree(place)
