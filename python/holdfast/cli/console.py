"""How every verb prints: results on stdout, everything else on stderr.

In: text, tables, values. Out: lines on the two streams. Always: `--json` writes one JSON document to stdout and nothing
else there; an expected failure is a CouldNotRunError with what to do next, never a traceback.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

DONE, FOUND_WRONG, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130

Json = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Write the result as one JSON document.")
]

results = Console(highlight=False, soft_wrap=True)
remarks = Console(stderr=True, highlight=False, soft_wrap=True)


class CouldNotRunError(Exception):
    """The verb could not do its work. The message has the reason; `advice`, what to do next."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


def write_json(value: Any) -> None:
    """Writes the result as JSON."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    results.file.write(text.decode())
    results.file.flush()


def progress(unit: str) -> Progress:
    """A live line on stderr: done of total, rate, time left. Where stderr is not a terminal it writes nothing."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
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
