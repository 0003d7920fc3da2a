"""The first page: what a stranger pastes works, unchanged."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.support.pages import ROOT, blocks, played
from tests.support.ports import free_port

README = ROOT / "README.md"


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_five_calls_work_when_pasted_as_one_block(tmp_path: Path, shell: str) -> None:
    [block] = [text for text in blocks(README) if "holdfast serve" in text]
    here = {"8080": str(free_port()), "--auth off": "--auth off --port 8080", "mktemp -d": f"mktemp -d -p {tmp_path}"}
    done = played(f"{block}kill $! && wait $!\n", tmp_path, dict(reversed(here.items())), shell)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    ready, facts, sellable, held, confirmed, explained = (
        json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")
    )
    assert ready["ready"]
    assert (facts["accepted"], facts["rejected"]) == (2, [])
    assert sellable["sellable"] == 12
    assert held["state"] == "held"
    assert confirmed["state"] == "committed"
    assert explained["sellable"] == 10
    assert sum(term["quantity"] for term in explained["terms"]) == 10


def test_its_pictures_are_there_small_and_load_nothing() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README.read_text())
    assert pictures
    for picture in pictures:
        text = (ROOT / picture).read_text()
        assert len(text) < 64 * 1024
        assert ET.fromstring(text).tag.endswith("svg")
        addresses = re.findall(r"https?://[\w.:/-]+", text)
        assert {address.rstrip(".") for address in addresses} <= {"http://www.w3.org/2000/svg", "http://127.0.0.1:8080"}
