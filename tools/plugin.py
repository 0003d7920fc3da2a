"""The WooCommerce plugin as WordPress takes it: its texts to translate, and the zip.

In: plugins/woocommerce, and `pot` or `zip` as an argument. Out: the template of translations in `languages`, or the zip
in target/.
Always: the same sources give the same bytes, so that a zip can be compared with one that another machine made.
"""

import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = ROOT / "plugins" / "woocommerce"
NAME = "holdfast-woocommerce"
POT = PLUGIN / "languages" / f"{NAME}.pot"
ZIP = ROOT / "target" / f"{NAME}.zip"
# The earliest time that a zip can state.
LONG_AGO = (1980, 1, 1, 0, 0, 0)

_TEXT = r"(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")"
_ONE = re.compile(rf"\b(?:esc_html__|esc_attr__|__|esc_html_e|_e)\(\s*{_TEXT}\s*,\s*'{NAME}'")
_MANY = re.compile(rf"\b_n\(\s*{_TEXT}\s*,\s*{_TEXT}\s*,[^;]*?'{NAME}'")
_FOR_TRANSLATORS = re.compile(r"/\* translators: (.*?) \*/")


_HEAD = f"""msgid ""
msgstr ""
"Project-Id-Version: {NAME}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"X-Domain: {NAME}\\n"
"""


def sources() -> list[Path]:
    return sorted(PLUGIN.rglob("*.php"))


def _plain(single: str | None, double: str | None) -> str:
    """The text that PHP makes of a literal."""
    if single is not None:
        return single.replace("\\'", "'").replace("\\\\", "\\")
    return (double or "").replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def texts() -> Iterator[tuple[str, str | None, str, str | None]]:
    """Each text, its plural where it has one, where it is, and what translators should know."""
    for path in sources():
        code = path.read_text()
        found: list[tuple[int, str, str | None]] = [
            (one.start(), _plain(one[1], one[2]), None) for one in _ONE.finditer(code)
        ]
        found += [(one.start(), _plain(one[1], one[2]), _plain(one[3], one[4])) for one in _MANY.finditer(code)]
        for place, text, plural in sorted(found, key=lambda one: one[0]):
            line = code.count("\n", 0, place) + 1
            before = _FOR_TRANSLATORS.findall("\n".join(code.splitlines()[max(0, line - 2) : line - 1]))
            yield text, plural, f"{path.relative_to(PLUGIN)}:{line}", before[-1] if before else None


def pot() -> str:
    """The template of translations: each text once, in the order of the sources."""
    entries: dict[tuple[str, str | None], tuple[list[str], str | None]] = {}
    for text, plural, place, note in texts():
        places, kept = entries.setdefault((text, plural), ([], None))
        places.append(place)
        entries[text, plural] = (places, kept or note)
    parts = [_HEAD]
    for (text, plural), (places, note) in entries.items():
        lines = [f"#. translators: {note}"] if note else []
        lines += [f"#: {' '.join(places)}"]
        lines += ["#, php-format"] if "%" in text else []
        lines += [f"msgid {_quoted(text)}"]
        lines += [f"msgid_plural {_quoted(plural)}", 'msgstr[0] ""', 'msgstr[1] ""'] if plural else ['msgstr ""']
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def write_zip(target: Path) -> None:
    """The plugin's folder as one archive, with the licence."""
    target.parent.mkdir(parents=True, exist_ok=True)
    files = {f"{NAME}/{path.relative_to(PLUGIN)}": path for path in PLUGIN.rglob("*") if path.is_file()}
    files[f"{NAME}/LICENSE"] = ROOT / "LICENSE"
    with zipfile.ZipFile(target, "w") as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes(), compresslevel=9)


def main() -> None:
    """The command."""
    if sys.argv[1:] == ["pot"]:
        POT.write_text(pot())
    elif sys.argv[1:] == ["zip"]:
        write_zip(ZIP)
        print(ZIP.relative_to(ROOT))
    else:
        sys.exit("usage: tools/plugin.py pot | zip")


if __name__ == "__main__":
    main()
