"""How every verb prints: results on stdout, everything else on stderr.

In: text, tables, values. Out: lines on the two streams. Always: `--json` writes one JSON document to stdout and nothing
else there; an expected failure is a CouldNotRunError with what to do next, never a traceback.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
from cyclopts import Parameter, Token
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from holdfast.guarded import OpenToOthersError, require_guarded
from holdfast.visible import visible

DONE, FOUND_WRONG, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130

Json = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Write the result as one JSON document.")
]


def _path_of(_: type, tokens: Sequence[Token]) -> Path:
    text = tokens[0].value
    if not text:  # as `--data "$DIR"` has it where nothing is in DIR: not the current directory
        raise ValueError("an empty text is not a path.")
    return Path(text)


PATH = Parameter(converter=_path_of)
"""For options that name a file or a directory."""

UNBROKEN = 100_000
"""Columns that no table reaches."""


class PlainConsole(Console):
    """Prints text as it is: nothing in it is markup, and what a terminal would act on is shown as an escape.

    Names come from everybody who may send facts. Styles are given beside the text, never in it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """See Console. Escaped here, a cell is as wide as what is shown."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See Console. Whatever made the text, no part of it but the console's own codes moves the cursor."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control or text.isprintable() else Segment(visible(text), style, control)


results = PlainConsole(soft_wrap=True)
remarks = PlainConsole(stderr=True, soft_wrap=True)


class CouldNotRunError(Exception):
    """The verb could not do its work. The message has the reason; `advice`, what to do next."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


def reason_of(error: OSError) -> str:
    """What the system says, and of which file."""
    why = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {why}" if error.filename is not None else why


def existing_directory(directory: Path) -> Path:
    """A data directory that is there and can be read. Raises CouldNotRunError."""
    if not directory.is_dir():
        raise CouldNotRunError(f"{directory} is not a directory", "Give the one that `serve --data` was given.")
    if not os.access(directory, os.R_OK | os.X_OK, effective_ids=True):
        raise CouldNotRunError(f"{directory} cannot be read", "Run this as the user that `serve` runs as.")
    guarded(directory)
    return directory


def guarded(directory: Path) -> None:
    """That no other user can change what is in it. Raises CouldNotRunError."""
    try:
        require_guarded(directory)
    except OpenToOthersError as error:
        raise CouldNotRunError(str(error)) from error


def usable_directory(directory: Path) -> None:
    """That a data directory can be used, or made. Raises CouldNotRunError; nothing is made."""
    nearest = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise CouldNotRunError(f"{nearest} is not a directory", "Name another one with --data.")
    if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=True):
        raise CouldNotRunError(f"{nearest} cannot be written to", "Name another one with --data.")
    if directory.exists():
        guarded(directory)


def write_json(value: Any) -> None:
    """Writes the result as JSON."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    results.file.write(visible(text.decode()))
    results.file.flush()


def print_whole(part: RenderableType) -> None:
    """Prints a table. Its lines are broken for a terminal only: what reads a pipe wants an entry on one line."""
    console = results if results.is_terminal else PlainConsole(file=results.file, width=UNBROKEN)
    console.print(part)


def progress(unit: str) -> Progress:
    """A live line on stderr: done of total, rate, time left. Where stderr is not a terminal it writes nothing."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit, markup=False),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=remarks,
        transient=True,
        disable=not remarks.is_terminal,
    )


def number(value: float) -> str:
    """1234567 as 1,234,567."""
    return f"{value:,.0f}"


def program() -> str:
    """How this program is called from here: by its name where the shell finds it, else by its path."""
    called = sys.argv[0]
    if called.endswith("__main__.py"):
        return "python -m holdfast"
    found = shutil.which("holdfast")
    return "holdfast" if found and Path(found).samefile(called) else os.path.relpath(called)
