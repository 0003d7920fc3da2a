"""The house style, as a test: what CONTRIBUTING.md asks of a file is checked here, with the line that breaks it."""

import ast
import contextlib
import graphlib
import io
import os
import re
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "holdfast"
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
BANNED_NAMES = {"data", "info", "manager", "helper", "helpers", "util", "utils"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\btodo!\(|\bunimplemented!\(|raise NotImplementedError")
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|Users|root|work|opt)/\w")
SKIPPED = {
    ".git",
    ".venv",
    "target",
    "dist",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "__pycache__",
}
TEXT = {".py", ".pyi", ".rs", ".md", ".toml", ".sh", ".yml", ".yaml", ".json", ".js", ".css", ".html", ".php", ""}

# Words that are out, and what to write instead (docs/glossary.md has the words that are in).
OUT: dict[str, str] = {
    r"told": "reported, answered, notified, stated",
    r"whoever": "any client that, the process that",
    r"footing|liaison|candidacy": "tail check, cluster, election",
    r"mend(?:s|ed|ing)?": "repair, correct",
    r"(?<![.-])pulses?(?!-)": "heartbeat",
    r"(?:is|are|was|were) gone": "has ended, is lost, was removed",
    r"let(?:s|ting)? go(?: of)?": "release, remove, cut",
    r"of (?:its|their|your|our|my|one's) own": "its own ..., a separate ...",
    r"anew": "again; of a digest: recounted",
    r"in (?:plain )?words": "as text",
    r"hears?|heard|hearing": "receive, get",
    r"speaks?|speaking": "call, send, connect",
    r"what is no(?:ne)?|(?:is|are) none of (?:ours?|it|them|LOG|this)": "what is not ..., does not belong to",
    r"the safe side": "what errs on the low side, and why",
    r"(?:the )?way to (?:NATS|the log)": "connection to",
    r"(?:as|where|how) (?:it|he|they|things) stands?": "its present state, its position",
    r"very (?:same|bytes|words|sequence)": "the same, exactly",
    r"kept up(?! to date)": "maintained",
    r"word (?:for|by) word|true answer|last words?": "byte for byte, its one answer, last message",
}
OUT_WORDS = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in OUT), re.IGNORECASE)
# A document, or a source file by its path: what looks like one must be a file of the project.
CITED = re.compile(
    r"(?<![\w./<>*{}-])((?:[\w.-]+/)*[\w-]+\.md|(?:python|rust|tests|docs|benchmarks|deploy|tools)/[\w./-]+\.\w+)"
)

# Who may import whom: a part names the parts below it. What is not named here is above everything else (cli).
BELOW: dict[str, set[str]] = {
    "_core": set(),
    "contracts": set(),
    "errors": set(),
    "guarded": set(),
    "logs": {"visible"},
    "visible": set(),
    "macs": {"_core"},
    "metrics_port": set(),
    "secret_files": {"guarded", "macs", "_core"},
    "settings": {"guarded"},
    "tasks": set(),
    "traces": set(),
    "systems": set(),
    "spans": {"settings", "traces"},
    "protocol": {"settings"},
    "nats": {"protocol", "errors", "macs", "settings", "tasks", "traces"},
    "nats_server": {"nats", "errors", "guarded", "settings", "tasks"},
    "storage": {"errors", "macs", "settings", "_core"},
    "supervisor": {"nats_server", "errors", "guarded", "logs", "secret_files", "settings", "spans", "tasks"},
    "peers": {"nats", "protocol", "errors", "macs", "settings", "spans", "tasks", "_core"},
    "node": {"peers", "nats", "storage", "protocol", "errors", "macs", "settings", "tasks", "spans", "traces", "_core"},
    "recovery": {
        *{"supervisor", "node", "peers", "nats", "nats_server", "storage", "protocol"},
        *{"errors", "logs", "macs", "secret_files", "settings", "tasks", "_core"},
    },
    "hindsight": {
        *{"recovery", "peers", "nats", "storage", "errors", "macs", "settings", "traces", "_core"},
    },
    "events": {"nats", "errors", "settings", "tasks"},
    "webhooks": {
        "events",
        "supervisor",
        "nats",
        "errors",
        "guarded",
        "settings",
        "spans",
        "systems",
        "tasks",
        "traces",
    },
    "publisher": {
        *{"supervisor", "node", "nats", "protocol", "errors", "secret_files", "settings", "tasks"},
        *{"metrics_port", "_core"},
    },
    "woo": {
        *{"master", "client", "contracts", "supervisor", "nats", "protocol"},
        *{"errors", "guarded", "metrics_port", "settings", "systems", "tasks", "traces"},
    },
    "gateway": {
        *{"woo", "supervisor", "hindsight", "node", "events", "nats", "nats_server", "protocol", "contracts"},
        *{"errors", "guarded", "logs", "macs", "spans", "systems", "tasks", "traces"},
        *{"secret_files", "settings", "_core"},
    },
    "client": {"contracts", "settings", "traces"},
    "adapters": {"client", "contracts", "settings"},
    "master": {"client", "contracts", "guarded"},
    "erp": {
        *{"adapters", "master", "client", "contracts", "supervisor", "nats", "nats_server"},
        *{"errors", "guarded", "settings", "spans", "systems", "tasks", "traces"},
    },
    "degraded": {
        *{"erp", "client", "contracts", "supervisor", "guarded", "settings"},
    },
    "reconcile": {
        *{"erp", "woo", "client", "contracts", "supervisor", "nats"},
        *{"errors", "guarded", "settings", "tasks"},
    },
    "rehearsal": {"client", "nats_server", "contracts", "guarded", "settings"},
    "demonstration": {
        *{"rehearsal", "client", "node", "nats", "nats_server"},
        *{"contracts", "errors", "secret_files", "settings", "_core"},
    },
}


@cache
def everything() -> list[Path]:
    """The project's own files; what a build or a tool left beside them is not walked through."""
    found: list[Path] = []
    for directory, folders, files in os.walk(ROOT):
        folders[:] = [folder for folder in folders if folder not in SKIPPED]
        found += [Path(directory, name) for name in files if name not in SKIPPED]
    return sorted(found)


def sources(*suffixes: str) -> list[Path]:
    return [path for path in everything() if path.suffix in suffixes]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def written_by_hand(path: Path) -> bool:
    return path.name != "_core.pyi" and "static" not in path.parts


def python_files() -> list[Path]:
    return [path for path in sources(".py") if written_by_hand(path)]


def test_files_stay_short_enough_to_read() -> None:
    long = {
        named(path): lines
        for path in sources(".py", ".rs", ".php")
        if written_by_hand(path) and (lines := path.read_text().count("\n")) >= FILE_LINES_MAX
    }
    assert long == {}, f"look for the two things in each of these (under {FILE_LINES_MAX} lines): {long}"


def test_functions_stay_short_enough_to_read() -> None:
    long = [
        f"{named(path)}:{node.lineno} {node.name}"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert long == []


def test_every_module_says_its_role_first() -> None:
    python = [named(path) for path in python_files() if not ast.get_docstring(ast.parse(path.read_text()))]
    rust = [named(path) for path in sources(".rs") if not path.read_text().startswith("//!")]
    assert python + rust == []


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_names_say_what_a_thing_is() -> None:
    modules = [named(path) for path in sources(".py", ".rs") if words(path.stem) & BANNED_NAMES]
    classes = [
        f"{named(path)}:{node.lineno} {node.name}"
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and words(node.name) & BANNED_NAMES
    ]
    types = [
        f"{named(path)}: {match}"
        for path in sources(".rs")
        for match in re.findall(r"\b(?:struct|enum|trait|mod)\s+(\w+)", path.read_text())
        if words(match) & BANNED_NAMES
    ]
    assert modules + classes + types == [], f"these words say nothing: {sorted(BANNED_NAMES)}"


def lines_with(pattern: re.Pattern[str]) -> Iterator[str]:
    for path in sources(*TEXT):
        if path == Path(__file__) or not written_by_hand(path):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if pattern.search(line):
                yield f"{named(path)}:{number}: {line.strip()}"


def test_nothing_is_left_unfinished() -> None:
    assert list(lines_with(UNFINISHED)) == []


def test_no_path_of_one_machine() -> None:
    assert list(lines_with(MACHINE_PATH)) == []


def prose_of_a_test(path: Path) -> Iterator[tuple[int, str]]:
    """Comments and docstrings alone: the names and the data of tests are not read as sentences."""
    text = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            documented := ast.get_docstring(node, clean=False)
        ):
            yield from enumerate(documented.splitlines(), start=node.body[0].lineno)


def prose() -> Iterator[tuple[Path, int, str]]:
    for path in sources(*TEXT):
        if path == Path(__file__) or not written_by_hand(path) or path.name == "LICENSE":
            continue
        if named(path).startswith("tests/") and path.suffix == ".py":
            yield from ((path, number, line) for number, line in prose_of_a_test(path))
            continue
        with contextlib.suppress(UnicodeDecodeError):
            yield from ((path, number, line) for number, line in enumerate(path.read_text().splitlines(), start=1))


def test_the_words_are_those_of_the_field() -> None:
    wrong = []
    for path, number, line in prose():
        for found in OUT_WORDS.finditer(line):
            instead = next(text for pattern, text in OUT.items() if re.fullmatch(pattern, found[0], re.IGNORECASE))
            wrong.append(f"{named(path)}:{number}: {found[0]!r}, write: {instead}")
    assert wrong == [], "\n".join(wrong)


def test_what_is_cited_is_a_file_of_the_project() -> None:
    """A reader has the project and nothing else. `rust/core/src/x.rs`, `docs/x.md` and `x.md` are looked for."""
    there = {named(path) for path in everything()}
    documents = {path.name for path in everything() if path.suffix == ".md"}
    wrong = [
        f"{named(path)}:{number}: {cited}"
        for path, number, line in prose()
        for cited in CITED.findall(line)
        if cited.removeprefix("../") not in there and Path(cited).name not in documents
    ]
    assert wrong == []


def test_a_cited_section_is_in_its_document() -> None:
    """`docs/rules.md, "A cart"`: the words in quotes are a heading, or the bold words that begin a paragraph."""
    wrong = []
    for path, number, line in prose():
        for document, section in re.findall(r"(docs/[\w-]+\.md)(?:, section \d)?, \"([^\"]+)\"", line):
            heads = re.findall(r"^#+ (.*)$|\*\*(.+?)\*\*", (ROOT / document).read_text(), re.MULTILINE)
            if not any(section.lower() in (heading + bold).lower() for heading, bold in heads):
                wrong.append(f"{named(path)}:{number}: {document} has no {section!r}")
    assert wrong == []


def test_the_file_of_each_rule_is_there() -> None:
    """docs/rules.md, section 5: two tables, each of files below a folder."""
    core, rest = (ROOT / "docs" / "rules.md").read_text().partition("## 5. ")[2].split("Rules that are not about stock")
    named_files = [ROOT / "rust/core/src" / file for file in re.findall(r"`([\w/]+\.rs)`", core)]
    named_files += [PACKAGE / file for file in re.findall(r"`([\w/]+\.py)`", rest)]
    assert len(named_files) > 40
    assert [str(file) for file in named_files if not file.is_file()] == []


def imported_parts(path: Path) -> set[str]:
    parts = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "holdfast":
            parts |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("holdfast."):
            parts.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            parts |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("holdfast.")}
    return parts


@pytest.mark.parametrize("part", sorted(BELOW))
def test_imports_run_one_way(part: str) -> None:
    files = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).with_suffix("").parts[0] == part]
    wrong = {named(path): extra for path in files if (extra := imported_parts(path) - BELOW[part] - {part})}
    assert wrong == {}, f"{part} may import only {sorted(BELOW[part])}"


def test_the_parts_are_in_no_circle() -> None:
    order = list(graphlib.TopologicalSorter(BELOW).static_order())
    assert set(order) == set(BELOW)


def test_every_part_of_the_package_has_its_place() -> None:
    parts = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }
    assert parts - set(BELOW) - {"__init__", "__main__", "cli"} == set()


def locked() -> dict[str, tuple[str, list[str]]]:
    """Each package of requirements.lock: its version, and the hashes of its files."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    entries = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {
        canonicalize_name(name): (version, [word for word in rest if word.startswith("--hash=sha256:")])
        for first, *rest in entries
        for name, _, version in [first.partition("==")]
    }


def test_the_lock_pins_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [text for one in project["project"]["optional-dependencies"].values() for text in one]
    asked = [
        Requirement(text) for text in project["project"]["dependencies"] + extras + project["dependency-groups"]["dev"]
    ]
    pinned = locked()
    unmet = [
        str(one) for one in asked if not one.specifier.contains(pinned.get(canonicalize_name(one.name), ("0",))[0])
    ]
    assert unmet == [], "make lock"


def test_the_lock_has_hashes_of_every_package_and_names_no_index() -> None:
    assert [name for name, (version, hashes) in locked().items() if not version or not hashes] == [], "make lock"
    assert "://" not in (ROOT / "requirements.lock").read_text()
