"""The protocol is pure: nothing below `holdfast.protocol` can reach a network, a clock, a file or an event loop."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "python" / "holdfast"
# What takes in or gives out anything but values. `random.Random` is given a seed, so it is no source of chance.
FORBIDDEN = {
    *{"nats", "ssl", "asyncio", "aiohttp", "socket", "selectors", "threading", "multiprocessing", "subprocess"},
    *{
        "os",
        "io",
        "pathlib",
        "shutil",
        "tempfile",
        "sqlite3",
        "time",
        "secrets",
        "uuid",
        "signal",
        "structlog",
        "logging",
    },
}
FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import, `from a import b` as both a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def file_of(module: str) -> Path | None:
    place = PACKAGE.joinpath(*module.split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def reached() -> dict[str, set[str]]:
    """Each of holdfast's own files that the protocol runs, and what it imports."""
    waiting = sorted((PACKAGE / "protocol").glob("*.py"))
    seen: dict[str, set[str]] = {}
    while waiting:
        path = waiting.pop()
        name = str(path.relative_to(PACKAGE))
        if name in seen:
            continue
        seen[name] = imports(path)
        own = [file_of(module) for module in seen[name] if module.startswith("holdfast.")]
        waiting += [found for found in own if found is not None]
    return seen


def test_nothing_that_the_protocol_runs_imports_the_world() -> None:
    wrong = {
        name: bad for name, found in reached().items() if (bad := {one.split(".")[0] for one in found} & FORBIDDEN)
    }
    assert wrong == {}


def test_no_part_of_holdfast_above_the_protocol_is_reached() -> None:
    parts = {name.split("/")[0].removesuffix(".py") for name in reached()}
    assert parts <= {"protocol", "settings"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "protocol").glob("*.py")), ids=lambda path: path.stem)
def test_no_module_of_the_protocol_calls_out(path: Path) -> None:
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & FORBIDDEN_CALLS


def test_what_is_forbidden_exists() -> None:
    assert {"asyncio", "pathlib", "socket", "time"} <= FORBIDDEN & sys.stdlib_module_names
