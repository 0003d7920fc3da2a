"""What documents and messages say of settings is true: the tables are current, and what is advised can be done."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from holdfast.settings import Settings
from holdfast.settings.catalogue import DEFINITIONS, SECTIONS
from holdfast.settings.definition import Definition
from holdfast.settings.reference import TABLE_BEGINS, page, starting_file
from holdfast.settings.resolve import resolve
from holdfast.settings.units import readable

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "python" / "holdfast"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FIELDS = {f"{name}.{one.name}" for name, cls in SECTIONS.items() for one in fields(cls)}
INTERNAL = {key.partition(".")[2] for key in FIELDS - set(DEFINITIONS)} - {one.name for one in DEFINITIONS.values()}
KEY = re.compile(rf"\b({'|'.join(SECTIONS)})\.([a-z][a-z_]*_[a-z_]+)\b")
ADVICE = re.compile(r"\b(?:raise|lower|set|setting)\s+`?([a-z]+(?:\.[a-z_]+)+)`?")
VARIABLE = re.compile(r"\bHOLDFAST_[A-Z_]+\b")


def test_the_tables_in_the_documents_are_current() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    assert text == page(text), "make settings-docs"
    with pytest.raises(ValueError, match="lacks the line"):
        page(text.replace(TABLE_BEGINS, ""))


def test_the_file_to_start_from_changes_nothing_and_has_every_default(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(starting_file())
    assert resolve(path, {}).changed() == {}
    uncommented = re.sub(r"(?m)^#(?=[a-z_]+ = )", "", starting_file())
    tables = tomllib.loads(uncommented)
    found = {f"{section}.{name}": value for section, table in tables.items() for name, value in table.items()}
    assert list(found) == list(DEFINITIONS)
    for key, value in found.items():
        default = DEFINITIONS[key].default
        assert value == (False if default is None else default), key
    path.write_text(uncommented)
    assert resolve(path, {}).settings.node == Settings().node


@pytest.mark.parametrize("one", DEFINITIONS.values(), ids=lambda one: one.key)
def test_each_setting_says_what_a_user_must_know(one: Definition) -> None:
    assert re.fullmatch(r"[A-Z][^|\n]*\.", one.doc)
    if one.kind == "integer":
        assert one.lowest is not None
        assert one.highest is not None
        assert one.unit or one.name in {"port", "server_port", "metrics_port"}
    assert one.choices == () or one.default in one.choices


def test_a_larger_unit_is_used_where_it_is_exact() -> None:
    assert [readable(value, "ms") for value in (999, 1_000, 90_000, 172_800_000, 86_400_000)] == [
        *("", "1 s", "90 s", "2 days", "1 day")
    ]
    assert [readable(value, "bytes") for value in (1_000, 4_096, 1 << 30)] == ["", "4 KiB", "1 GiB"]
    assert readable(5, "times") == ""


def messages() -> Iterator[tuple[str, str]]:
    """Every text in the product, docstrings too, and every document: its place, and itself."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value
    for path in sorted((ROOT / "rust").rglob("*.rs")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            for text in re.findall(r'"(?:[^"\\]|\\.)*"', line):
                yield f"{path.relative_to(ROOT)}:{number}", text
    for path in DOCUMENTS:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def test_every_setting_that_a_message_names_can_be_set() -> None:
    wrong = []
    for where, text in messages():
        named = {match[0] for match in KEY.finditer(text)} | {match[1] for match in ADVICE.finditer(text)}
        wrong += [
            f"{where}: {key}"
            for key in named
            if key not in DEFINITIONS and key.split(".")[0] in (*SECTIONS, "settings")
        ]
    assert wrong == []


def test_no_document_names_what_cannot_be_set() -> None:
    wrong = []
    for path in DOCUMENTS:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            named = set(re.findall(r"`([a-z_.]+)`", line))
            wrong += [f"{path.name}:{number}: {name}" for name in named if name in INTERNAL]
    assert wrong == []


def test_every_variable_that_is_named_exists() -> None:
    from holdfast.settings.catalogue import BY_VARIABLE, OTHER_VARIABLES

    known = set(BY_VARIABLE) | OTHER_VARIABLES
    examples = {"HOLDFAST_", "HOLDFAST_GATEWAY_SERVICE_HOST"}
    examples |= {"HOLDFAST_API_KEY", "HOLDFAST_URL"}  # constants of the plugin for WooCommerce
    examples |= {"HOLDFAST_CHANNEL", "HOLDFAST_SKUS", "HOLDFAST_KEY"}  # of the rehearsals with locust
    wrong = [
        f"{where}: {name}"
        for where, text in messages()
        for name in VARIABLE.findall(text)
        if name not in known | examples and not where.startswith("rust/")  # those are of builds and benchmarks
    ]
    assert wrong == []
