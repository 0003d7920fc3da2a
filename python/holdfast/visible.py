"""Text that others chose, made safe for a terminal.

In: any text. Out: the same with each character that shows nothing, moves the cursor or turns the direction of writing
round written as an escape. Always: line feeds and tabs stay; what is visible stays as it is, `[` and `:` too.
"""

from unicodedata import category

_KEPT = "\n\t\u200c\u200d"  # letters of Persian, and of pictures, need the two joiners
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str) -> str:
    """Escaped as JSON does it, so that the result may also stand in JSON."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or character in _KEPT or category(character) not in _HIDDEN:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
