"""Nonsense for every option of every verb: exit status 2, one line that says why, nothing started, nothing written."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from cyclopts import App

from holdfast.cli import VERBS, made, run

DATA = "tests/data/online-retail-3-days.csv.gz"
LONG_NUMBER = "9" * 5_000

# What each verb needs besides the option under test. EMPTY is a directory without anything in it, NEW is not there yet,
# USED looks like a data directory.
COMPLETE: dict[str, list[str]] = {
    "demo": [],
    "serve": ["--data", "NEW", "--auth", "off", "--port", "0"],
    "keys add": ["shop", "--data", "NEW"],
    "keys change": ["shop", "--source", "acme", "--data", "EMPTY"],
    "keys list": ["--data", "EMPTY"],
    "keys revoke": ["shop", "--data", "EMPTY"],
    "keys rotate": ["shop", "--data", "EMPTY"],
    "import": ["FILE", "--source", "acme", "--gateway", "http://127.0.0.1:9"],
    "state": [],
    "explain": ["MUG", "--channel", "web"],
    "rehearse": [DATA],
    "verify": ["--data", "USED"],
    "publish": ["--data", "USED"],
    "repair": ["--data", "USED"],
    "snapshots": ["--data", "USED"],
    "config show": [],
    "config check": [],
    **{
        f"get {name}": []
        for name in (
            *("anomalies", "channels", "deficits", "demands", "locations"),
            *("policies", "reservations", "skus", "sources", "supplies"),
        )
    },
    "get sku": ["MUG"],
    "handover": ["PAR", "--to", "wms"],
    "diff": ["MUG", "--data", "USED"],
    "audit": ["--data", "USED"],
    "refusals": ["--data", "USED"],
    "report": ["--data", "USED"],
    "export": ["--data", "USED", "--into", "NEW"],
    "replay": ["--data", "USED"],
    "events": [],
    "trace": ["A-1001"],
    "webhooks run": ["--data", "USED"],
    "webhooks list": ["--data", "USED"],
    "webhooks parked": ["shop", "--data", "USED"],
    "webhooks replay": ["shop", "--after", "0", "--data", "USED"],
    "webhooks resume": ["shop", "--data", "USED"],
    "backup": ["NEW", "--data", "USED"],
    "restore": ["EMPTY", "--data", "NEW"],
    "nats-context": ["--data", "USED", "--output", "NEW"],
    "nats-user add": ["operator-anna", "--data", "USED"],
    "nats-user list": ["--data", "USED"],
    "nats-user remove": ["operator-anna", "--data", "USED"],
    "cluster": ["--data", "NEW"],
    **{
        f"erp {name}": ["acme", *(["7"] if name == "skip" else []), "--data", "USED"]
        for name in ("run", "check", "status", "parked", "resume", "skip")
    },
    "woo connect": ["shop", "--url", "http://127.0.0.1:9", "--rest-key", "FILE", "--data", "NEW"],
    "woo run": ["--data", "USED"],
    "woo status": ["--data", "USED"],
    "woo push": ["shop", "--all", "--data", "USED"],
    "woo backfill": ["shop", "--data", "USED"],
    "api diff": ["FILE", "FILE"],
    "reconcile": ["--data", "USED"],
    **{f"master {name}": ["--data", "USED"] for name in ("lint", "show", "maps", "history", "apply")},
    "dlq list": ["--data", "USED"],
    "dlq show": ["7", "--data", "USED"],
    "dlq edit": ["7", "--file", "FILE", "--data", "USED"],
    "dlq retry": ["--until", "2030-01-01T00:00:00Z", "--data", "USED"],
    "dlq discard": ["--until", "2030-01-01T00:00:00Z", "--data", "USED"],
}
URLS = [
    *(
        "nonsense",
        "",
        "http://",
        "ftp://x",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://[::1",
        "http://a b",
    ),
    *("127.0.0.1:8080", "http://x?y=1", "http://x#y", "http://a..b", "http://x:y", "http://\udcff", "HTTP//x"),
]
NATS = [
    "nonsense",
    "http://a:4222",
    "nats://",
    "nats://a:99999",
    "nats://a,b",
    ",",
    "nats://a:4222,,tls//b",
    "nats://[::1",
]
FILES = ["", "missing.csv", "EMPTY", "FILE/below"]
NUMBERS = ["x", "nan", "inf", "-inf", "-1", LONG_NUMBER, "1e400", "--1"]
NEW_DIRECTORIES = ["", "FILE", "FILE/below", "/proc/nowhere"]
DIRECTORIES = ["", "missing", "FILE", "FILE/below"]
MOMENTS = ["x", "2026-13-01", "2026-01-01T00:00:00", "1.5", "-1", LONG_NUMBER]
NAMES = ["", "a/b", "a b", "a.b", "x" * 65, "caf\u00e9"]
NONSENSE: dict[str, list[str]] = {
    "--apply": ["", "everything", "late", "missing-event,", "missing-event manual-edit"],
    "--as-of": ["soon", "2026-13-01T00:00:00Z", "2026-01-01", LONG_NUMBER],
    "--auth": ["maybe"],
    "--carts": [*NUMBERS, "0"],
    "--channels": ["", "a" * 129, "a\nb", "caf\udcff"],
    "--config": FILES,
    "--connections": [*NUMBERS, "0", "4097"],
    "--connections-max": [*NUMBERS, "0"],
    "--expires": ["soon", "2001-01-01T00:00:00Z", "99999999d", LONG_NUMBER + "d", "-1d"],
    "--file": FILES,
    "--from": MOMENTS,
    "--gateway": URLS,
    "--into": ["", "FILE", "FILE/below", "USED"],
    "--html": ["", "EMPTY", "missing/report.html", "FILE/below"],
    "--host": ["", "nowhere.invalid", "a b", "192.0.2.1", "[", "x" * 300, "caf\udcff"],
    "--key": ["", "a b", "caf\u00e9", "a\r\nHost: b", "\udcff"],
    "--kind": ["level"],
    "--kinds": ["", "sold", "held,", "held confirmed"],
    "--limit": [*NUMBERS, "0"],
    "--locations": [*NUMBERS, "0", "101"],
    "--log-level": ["loud"],
    "--loop": ["fast"],
    "--nats": NATS,
    "--nats-ca": FILES,
    "--nats-cert": FILES,
    "--nats-creds": FILES,
    "--nats-key": FILES,
    "--at": MOMENTS,
    "--by": ["nonsense", "", "sku,channel"],
    "--hours": [*NUMBERS, "0", "87601"],
    "--most": [*NUMBERS, "0"],
    "--name": ["", "a/b", "a b", "x" * 65, "caf\u00e9", ".hidden"],
    "--node": NAMES,
    "--onto": NAMES,
    "--operations": ["fly", "read,fly"],
    "--overlap": ["some", "99999999d", "1.5h", LONG_NUMBER + "s"],
    "--patience": [*NUMBERS, "0"],
    "--probes": ["nonsense", "127.0.0.1", "127.0.0.1:0x", "127.0.0.1:99999", ":", "a b:80"],
    "--policy": FILES,
    "--prices": FILES,
    "--port": [*(number for number in NUMBERS), "65536", "99999"],
    "--rate": NUMBERS,
    "--rate-per-s": [*NUMBERS, "0"],
    "--reason": ["", "Unknown location", "a\nb", "a" * 65],
    "--replicas": [*NUMBERS, "0", "2"],
    "--report": ["", "EMPTY", "missing/report.json", "FILE/below"],
    "--rows": [*NUMBERS, "0"],
    "--scope": NAMES,
    "--seconds": [*NUMBERS, "0", "1e9"],
    "--servers": [*NUMBERS, "0", "2", "4", "7"],
    "--speed": ["", "fast", "0", "-1", "nan", "inf", "1e9", LONG_NUMBER],
    "--set": ["nonsense", "gateway.nonsense=1", "gateway.backlog=x", "=", "gateway.backlog"],
    "--short": [*NUMBERS, "101"],
    "--source": ["", "a" * 129, "a\nb"],
    "--invoice-column": ["nonsense"],
    "--since": ["", "soon", "2026-13-01T00:00:00Z", LONG_NUMBER],
    "--then": ["", "cries"],
    "--upto": MOMENTS,
    "--until": ["", "soon", "2026-13-01T00:00:00Z", LONG_NUMBER],
    "--sku-column": ["nonsense"],
    "--quantity-column": ["nonsense"],
    "--delivery-url": ["nonsense", "ftp://x", "127.0.0.1:8080"],
    "--rest-key": FILES,
    "--store": ["nothing", "", "a/b", "a b"],
    "--url": ["nonsense", "", "http://", "ftp://x", "http://a b", "http://x?y=1", "http://x#y", "http://u:p@x"],
    "--user": ["", "erp", "erp.", "erp.a b", "ERP.acme", "Gateway", "../operator", "operator.x", "x" * 65, "caf\u00e9"],
    "--what-if": FILES,
    "--workers": [*NUMBERS, "0", "65"],
}
# By verb, where an option means something else.
OF_VERB: dict[tuple[str, str], list[str]] = {
    ("config check", "--config"): ["", "missing.csv", "EMPTY", "FILE/below"],
    **{
        (verb, "--data"): NEW_DIRECTORIES
        for verb in ("serve", "demo", "cluster", "rehearse", "keys add", "nats-user add", "woo connect")
    },
    **{
        (verb, "--data"): DIRECTORIES
        for verb in ("keys change", "keys list", "keys revoke", "keys rotate", "nats-user list", "nats-user remove")
    },
    **{
        (verb, "--data"): [*DIRECTORIES, "EMPTY"]
        for verb in (
            *(
                "state",
                "explain",
                "import",
                "repair",
                "verify",
                "snapshots",
                "nats-context",
                "handover",
                "refusals",
                "report",
                "export",
                "diff",
                "audit",
                "replay",
                "events",
                "trace",
                "publish",
                "reconcile",
            ),
            *(
                name
                for name in COMPLETE
                if name.startswith(("get ", "webhooks ", "dlq ", "erp ", "master ", "woo ")) and name != "woo connect"
            ),
        )
    },
    ("backup", "--data"): [*DIRECTORIES, "EMPTY"],
    ("restore", "--data"): NEW_DIRECTORIES,
    ("export", "--into"): ["", "FILE", "FILE/below", "missing/below"],
    ("report", "--to"): [*MOMENTS, "2026-01-01T00:00:30Z", "1970-01-01T24:00:00Z"],
    ("replay", "--nats"): [*NATS, "nats://127.0.0.1:4222"],
    ("nats-context", "--output"): ["", "FILE/below", "EMPTY"],
    **{(verb, "--after"): ["", "x", "-1", "1:x", "1:2:3", LONG_NUMBER] for verb in ("events", "webhooks replay")},
}
# Any text is right: it is looked up by the gateway or in the log, and is not there.
ANY_TEXT = {
    *("--channel", "--region", "--no-goods", "--trust", "--after", "--sku", "--location", "--order-ref", "--owner"),
    *("--status", "--state", "--to", "--reason", "--ships-from", "--rule", "--who"),
}
# Naming another data directory or gateway takes these out of the complete line.
INSTEAD = {"--data": ("--gateway", "--data"), "--gateway": ("--gateway",), "--port": ("--port",), "--auth": ("--auth",)}


def lines(app: App, path: str = "") -> Iterator[tuple[str, App]]:
    """Every verb, and every verb below it."""
    for name in app:
        if name.startswith("-"):
            continue
        below = [word for word in app[name] if not word.startswith("-")]
        whole = f"{path} {name}".strip()
        yield from lines(app[name], whole) if below else ((whole, app[name]),)


def options(verb: App) -> Iterator[tuple[str, bool]]:
    """Its options, and whether they take a value."""
    for argument in verb.assemble_argument_collection(parse_docstring=True):
        names = [name for name in argument.names if name.startswith("--")]
        if names and argument.parse and argument.field_info.kind is not argument.field_info.POSITIONAL_ONLY:
            yield names[0], argument.hint is not bool


def cases() -> list[Any]:
    found = []
    for name, verb in lines(made(overview=False)):
        for option, takes_value in options(verb):
            if not takes_value or (option in ANY_TEXT and (name, option) not in OF_VERB):
                continue
            values = OF_VERB.get((name, option)) or NONSENSE[option]
            found.append(pytest.param(name, option, values, id=f"{name} {option}"))
    return found


def complete(name: str, option: str) -> list[str]:
    """The rest of the line."""
    rest, found, out = COMPLETE[name], [], INSTEAD.get(option, ())
    for at, word in enumerate(rest):
        if word not in out and (at == 0 or rest[at - 1] not in out):
            found.append(word)
    return found


def everything(directory: Path) -> list[tuple[str, bytes]]:
    return sorted((str(path), path.read_bytes() if path.is_file() else b"") for path in directory.rglob("*"))


def children() -> str:
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()


def test_every_verb_is_here() -> None:
    found = [name for name, _ in lines(made(overview=False))]
    assert sorted(found) == sorted(COMPLETE)
    assert {name.split()[0] for name in found} == set(VERBS)


@pytest.mark.parametrize(("name", "option", "values"), cases())
def test_nonsense_is_said_in_one_line_and_nothing_happens(
    name: str,
    option: str,
    values: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOLDFAST_GATEWAY", raising=False)
    (tmp_path / "empty").mkdir()
    (tmp_path / "used" / "nats").mkdir(parents=True)
    (tmp_path / "file").write_text("sku,location,on_hand\nMUG,paris,1\n")
    places = {
        "EMPTY": tmp_path / "empty",
        "NEW": tmp_path / "new",
        "FILE": tmp_path / "file",
        "USED": tmp_path / "used",
    }

    def placed(word: str) -> str:
        head, slash, rest = word.partition("/")
        return f"{places[head]}{slash}{rest}" if head in places else word

    before, running = everything(tmp_path), children()
    for value in values:
        line = [*name.split(), *map(placed, complete(name, option)), f"{option}={placed(value)}"]
        status = run(line)
        out, err = capfd.readouterr()
        assert (status, out) == (2, ""), line
        assert err.count("\n") == 1, f"{line}: {err}"
        assert err.startswith("holdfast: "), line
        assert "Traceback" not in err
        assert everything(tmp_path) == before, line
        assert children() == running, line


@pytest.fixture
def nobody() -> Iterator[None]:
    """Root reads everything, so that this process is another user meanwhile."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65_534)
    yield
    os.seteuid(before)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in COMPLETE
        if ("--data" in COMPLETE[name] or name in {"state", "demo"}) and name != "restore"  # it reads the backup first
    ],
)
def test_a_directory_that_may_not_be_read_is_said(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with TemporaryDirectory() as made_here:
        directory = Path(made_here)
        directory.chmod(0)
        try:
            status = run([*name.split(), *complete(name, "--data"), f"--data={directory}"])
        finally:
            directory.chmod(0o700)
    out, err = capfd.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert str(directory) in err
