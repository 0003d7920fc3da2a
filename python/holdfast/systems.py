"""What processes beside a gateway say of the systems that they talk to: ERPs, shops, endpoints of webhooks.

In: states, from the process that knows them. Out: the states of all, to the gateways of the same data directory, which
show them. Always: a file of each process, replaced whole; one that is not renewed says that its process does not run;
it is forgotten a day later; what cannot be read is passed over.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = "systems"
STALE_MS = 15_000
FORGOTTEN_MS = 86_400_000
FILES_MAX, SYSTEMS_MAX = 100, 1_000
_WHY_CHARS_MAX = 300

State = Literal["working", "failing", "resting", "stopped"]
"""resting: nobody calls it any more until a person resumes it; stopped: the process that talks to it does not run."""


class System(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of them. `name` is like `erp acme`; `why` says what is wrong; `waiting` and `parked` are its messages."""

    name: str
    state: State
    why: str = ""
    waiting: int = 0
    parked: int = 0


class _Said(msgspec.Struct):
    at_ms: int
    systems: list[System]


_decode = msgspec.json.Decoder(_Said).decode


def _now_ms() -> int:
    return int(time.time() * 1000)


def file_of(directory: Path, process: str) -> Path:
    """Where a process says it."""
    return directory / FOLDER / f"{process}.json"


def say(directory: Path, process: str, systems: Sequence[System]) -> None:
    """Once a second or so. A disk that takes nothing is no reason to end."""
    file = file_of(directory, process)
    shown = [msgspec.structs.replace(one, why=one.why[:_WHY_CHARS_MAX]) for one in systems[:SYSTEMS_MAX]]
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = file.with_name(f"{file.name}.{os.getpid()}")
        temporary.write_bytes(msgspec.json.encode(_Said(_now_ms(), shown)))
        temporary.chmod(0o600)
        temporary.replace(file)


def end(directory: Path, process: str) -> None:
    """The process was asked to stop: nothing is wrong."""
    with contextlib.suppress(OSError):
        file_of(directory, process).unlink()


def said(directory: Path, now_ms: int | None = None) -> list[System]:
    """All of them, by name."""
    now_ms = _now_ms() if now_ms is None else now_ms
    found: list[System] = []
    try:
        files = sorted((directory / FOLDER).glob("*.json"))[:FILES_MAX]
    except OSError:
        return []
    for file in files:
        try:
            one = _decode(file.read_bytes())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            continue
        silent_ms = now_ms - one.at_ms
        if silent_ms > FORGOTTEN_MS:
            continue
        if silent_ms > STALE_MS:
            why = f"the process that talks to it does not run, or does not go on, since {silent_ms // 1000} s"
            found += [msgspec.structs.replace(system, state="stopped", why=why) for system in one.systems]
        else:
            found += one.systems
    return sorted(found, key=lambda one: one.name)[:SYSTEMS_MAX]
