"""docs/recipes: each page's commands, in order, on a real gateway with keys."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.pages import ROOT, blocks, played, systemctl
from tests.support.ports import free_port

RECIPES = ROOT / "docs" / "recipes"
PAGES = sorted(path for path in RECIPES.glob("*.md") if path.name != "README.md")
STOCKED = """
export HOLDFAST_DATA=/var/lib/holdfast
systemctl start holdfast
export HOLDFAST_KEY=$(holdfast keys add me --operations all)
send() { curl -sS --fail-with-body -H "Authorization: Bearer $HOLDFAST_KEY" "localhost:8080$1" -d "$2" >&2; }
send /v1/facts '{"source":"erp","facts":[{"kind":"location","location":"paris","type":"warehouse"},
  {"kind":"stock.level","sku":"MUG-BLUE","location":"paris","on_hand":12,"basis":"net","as_of":"2026-01-01T00:00:00Z"}]}'
send /v1/reservations:batch '{"requests":[{"id":"cart-1","channel":"web","ttl_ms":600000,
  "lines":[{"sku":"MUG-BLUE","quantity":2}]}]}'
sleep 1.5
"""
"""Before pages that are about a gateway which is there already."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_the_page_works(page: Path, tmp_path: Path) -> None:
    port = free_port()
    unit = systemctl(tmp_path, port)
    here = {
        "/var/lib/holdfast": str(tmp_path / "data"),
        "/var/backups/holdfast": str(tmp_path / "backup"),
        "8080": str(port),
    }
    text = "set -eu\n" + ("" if page.stem == "go-live" else STOCKED) + "".join(blocks(page))
    text += "\nholdfast explain MUG-BLUE --channel web --json\n"
    try:
        done = played(text, tmp_path, here, timeout_s=60.0)
    finally:
        subprocess.run([unit, "stop"], check=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    sellable = 118 if page.stem == "go-live" else 10
    assert f'"sellable": {sellable}' in done.stdout, done.stdout


def test_the_machine_has_what_the_pages_use() -> None:
    assert shutil.which("curl")
    assert [page.name for page in PAGES if f"]({page.name})" not in (RECIPES / "README.md").read_text()] == []
