"""Writes the tables of docs/settings.md from the definitions of the settings.

In: the definitions (python/holdfast/settings). Out: the page, its own text unchanged, the tables after the marker
renewed.
Always: tests/settings/test_reference.py says when it has to be run.
"""

from pathlib import Path

from holdfast.settings.reference import page

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    print(f"wrote {PAGE.name}")
