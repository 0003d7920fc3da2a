"""Attacks on the person at the terminal: names that are commands to it, in every verb that shows names.

In: an arena. Out: what was seen. Always: the verbs run on a pseudo-terminal each, and what they write is searched for
anything but text and the program's own colours.
"""

import asyncio
import contextlib
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

from holdfast.gateway.key_file import KeyringError, Operation
from holdfast.gateway.key_store import KeyStore
from tests.attacks.attack import Arena, Seen, attack
from tests.attacks.stage import Stage, cart, level, stage
from tests.support.servers import ROOT

NAMES = (
    "[red]x[/red]",
    "[/nothing]",
    "[link=http://evil.example]x[/link]",
    "[bold",
    "x[/]",
    ":warning:",
    "x\u202egnp",
    "x\u009b31mred",
)
# Colours and styles are the program's own; whatever else begins with ESC or CSI, a link or a title, is not.
COMMAND = re.compile(r"\x1b(?!\[[0-9;]*m)(?!\[\?25[hl])(?!\[[0-9]*[KAJG])|\x9b|\x1b\]8;|\x07")


def on_a_terminal(command: list[str], variables: dict[str, str], within_s: float = 20.0) -> tuple[int, str]:
    """Run a program on a pseudo-terminal; its exit status, and all that it wrote."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | variables)
    os.close(theirs)
    os.set_blocking(ours, False)
    written = b""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        with contextlib.suppress(BlockingIOError):
            try:
                more = os.read(ours, 65_536)
            except BlockingIOError:
                raise
            except OSError:  # the other side has closed
                break
            if not more:
                break
            written += more
        time.sleep(0.01)
    os.close(ours)
    if child.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(5)
    if child.poll() is None:
        child.kill()
    return child.wait(), written.decode(errors="replace")


def judged(verb: str, name: str, status: int, written: str, *, taken: bool = True) -> str:
    """What broke; empty where nothing did. `taken`: the name is one that facts may give."""
    if status == 2 and taken:  # it did not run, so that nothing is proven
        return f"{verb} could not run: {written[-200:]}"
    if "Traceback" in written or "MarkupError" in written:
        return f"{verb} crashes on {name!r}"
    if found := COMMAND.search(written):
        return f"{verb} sends {found[0]!r} for {name!r}"
    if "\u202e" in written:
        return f"{verb} turns the text around for {name!r}"
    if name.isascii() and status in {0, 1} and not _shown(name, written):
        return f"{verb} does not show {name!r} as it is"
    return ""


def _shown(name: str, written: str) -> bool:
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written)
    return re.sub(r"[\s│]", "", name) in re.sub(r"[\s│]", "", plain)


async def _verbs(found: Stage, directory: Path, name: str) -> list[str]:
    program = [sys.executable, "-m", "holdfast"]
    variables = {
        "HOLDFAST_GATEWAY": f"http://127.0.0.1:{found.port}",
        "HOLDFAST_KEY": found.admin,
        "PYTHONPATH": str(ROOT / "python"),
        "COLUMNS": "400",
        "TERM": "xterm-256color",
    }
    taken = (await found.facts(level(name, 3))).status == 202
    assert taken == name.isascii(), "refused at the border is what a terminal obeys, and nothing else"
    await found.ask("PUT", "/v1/reservations/shown", cart(sku=name))
    table = directory / "levels.csv"
    table.write_text(f'sku,location,on_hand,as_of\n"{name}",w1,"{name}",2\n', encoding="utf-8")
    commands = {
        "explain": [*program, "explain", name, "--channel", "web"],
        "get": [*program, "get", "skus"],
        "import": [*program, "import", str(table), "--kind", "levels", "--source", "acme"],
    }
    broke = []
    for verb, command in commands.items():
        status, written = await asyncio.to_thread(on_a_terminal, command, variables)
        broke.append(judged(verb, name, status, written, taken=taken))
    return broke


@attack(
    done="markup, links and control characters in SKUs, in `explain`, `get` and `import`",
    right="plain text always",
)
async def names_of_skus(arena: Arena) -> Seen:
    async with stage(arena) as found:
        broke = []
        names = NAMES if arena.full else NAMES[1:2]
        for name in names:
            broke += await _verbs(found, arena.directory, name)
        broke = [text for text in broke if text]
        return Seen(not broke, "; ".join(broke[:4]) or "shown as text", f"{len(names)} names")


@attack(done="markup and control characters in names of keys, in `keys list`", right="plain text always")
async def names_of_keys(arena: Arena) -> Seen:
    store = arena.directory / "store"
    store.mkdir(mode=0o700)
    keys = KeyStore(store)
    broke = []
    for name in NAMES:
        with contextlib.suppress(KeyringError):
            keys.add(name, [Operation.READ], ["[/nothing]", "[link=http://evil.example]x[/link]"])
            command = [sys.executable, "-m", "holdfast", "keys", "list", "--data", str(store)]
            variables = {"PYTHONPATH": str(ROOT / "python"), "COLUMNS": "400", "TERM": "xterm-256color"}
            status, written = await asyncio.to_thread(on_a_terminal, command, variables)
            broke.append(judged("keys list", name, status, written))
            if not arena.full and any(broke):
                break
    broke = [text for text in broke if text]
    return Seen(not broke, "; ".join(broke[:4]) or "shown as text", f"{len(NAMES)} names")
