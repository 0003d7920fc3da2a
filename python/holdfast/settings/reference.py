"""The documents that are made from the definitions: the table of docs/settings.md, and a file to start from.

In: the definitions. Out: Markdown, TOML. Always: the same text for the same definitions; the file, unchanged and with
every setting uncommented, is a valid one.
"""

from collections.abc import Iterator

from holdfast.settings.catalogue import DEFINITIONS, NAMED, SECTIONS, TEMPLATES
from holdfast.settings.definition import Definition, section_summary
from holdfast.settings.units import readable
from holdfast.settings.values import allowed, bounds, one_of

TABLE_BEGINS = "<!-- The tables from here on are generated: `make settings-docs`. -->"
_COLUMNS = ("setting", "type", "default", "bounds", "what it does", "set by")
_OPENING = """\
# Settings of holdfast. Each line that is commented out has the default; remove the `#` in front of the name to change
# it. Check the file with: holdfast config check FILE. Use it with: holdfast serve --config FILE
"""
_RULES_NOTE = (
    "# Replicated: they take effect, on every process, when a process that was started with them leads next.\n"
)


def page(text: str) -> str:
    """docs/settings.md with its tables renewed; the text before the marker stays."""
    before, marker, _ = text.partition(TABLE_BEGINS)
    if not marker:
        raise ValueError(f"the page lacks the line {TABLE_BEGINS}")
    return f"{before}{marker}\n\n{tables()}"


def tables() -> str:
    """One table for each section."""
    parts = []
    for name, (cls, definitions) in _sections().items():
        rows = [_row(one) for one in definitions]
        lines = [f"## `[{name}]`", "", section_summary(cls), "", _line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
        parts.append("\n".join([*lines, *map(_line, rows)]))
    return "\n\n".join(parts) + "\n"


def _sections() -> dict[str, tuple[type, list[Definition]]]:
    """Each section with its definitions; the named ones last, as `[erp.NAME]`."""
    found = {
        name: (cls, [one for one in DEFINITIONS.values() if one.section == name]) for name, cls in SECTIONS.items()
    }
    for name, cls in NAMED.items():
        table = f"{name}.NAME"
        found[table] = (cls, [one for one in TEMPLATES.values() if one.section == table])
    return found


def _line(cells: Iterator[str] | list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(one: Definition) -> list[str]:
    kind = f"{one.kind}, {one.unit}" if one.unit else one.kind
    flag = f", `{one.flag}`" if one.flag else ""
    variables = ", ".join(f"`{name}`" for name in one.variables) or f"`--set {one.section}.{one.name}=`"
    limits = (one_of(one.choices) if one.choices else one.form) or bounds(one).removeprefix("from ")
    return [f"`{one.name}`", kind, _default(one), limits, one.doc, variables + flag]


def _default(one: Definition) -> str:
    if one.unset:
        return one.unset
    value = one.default
    if isinstance(value, bool):
        return str(value).lower()
    text = readable(value, one.unit) if isinstance(value, int) else ""
    return f"{value} ({text})" if text else f"{value}"


def starting_file() -> str:
    """A TOML file with every setting commented out."""
    parts = [_OPENING]
    for name, (cls, definitions) in _sections().items():
        summary = _without_links(section_summary(cls)).removesuffix(" Replicated: see below.")
        header = f"#[{name}]\n" if name not in SECTIONS else f"[{name}]\n"
        lines = [f"# {summary}\n", _RULES_NOTE if name == "rules" else "", header]
        lines += [_commented(one, "#" if name in SECTIONS else "#  ") for one in definitions]
        parts.append("".join(lines))
    return "\n".join(parts)


def _commented(one: Definition, mark: str) -> str:
    unset = f" Default: {one.unset}." if one.unset else ""
    about = f"# {one.doc}{unset}\n# {_first_upper(allowed(one))}.\n"
    value = one.default
    if value is None:
        written = "false"
    elif isinstance(value, bool):
        written = str(value).lower()
    elif isinstance(value, int):
        text = readable(value, one.unit)
        written = f"{value}  # {text}" if text else str(value)
    else:
        written = f'"{value}"'
    return f"\n{about}{mark}{one.name} = {written}\n"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _without_links(text: str) -> str:
    """`([journal.md](journal.md))` as `(docs/journal.md)`."""
    before, opening, rest = text.partition("[")
    if not opening:
        return text
    _, _, after = rest.partition("](")
    target, _, end = after.partition(")")
    return f"{before}docs/{target}{_without_links(end)}"
