"""Draws docs/pictures/demo.svg: what a terminal shows of `holdfast demo`, as it ran here a moment ago.

In: the installed command. Out: the picture, of real output; times and digests are those of this run.
Always: a run that found something wrong is not drawn; the picture names no font, picture or script of another host.
"""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "demo.svg"
COMMAND = ("demo", "--exit", "--seconds", "10", "--carts", "200")
COLUMNS = 108
# rich's own frame loads its font from another host; this one takes the reader's.
FRAME = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
 aria-label="What holdfast demo shows on a terminal">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-family: system-ui, sans-serif; font-size: 18px; font-weight: bold; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def shown() -> str:
    """What the command writes: its remarks, then its results with their styles."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "holdfast", *COMMAND]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as child:
        os.close(theirs)
        assert child.stderr is not None
        remarks = child.stderr.read().decode()
        results = b""
        try:
            while piece := os.read(ours, 65_536):
                results += piece
        except OSError:  # a pseudo-terminal whose other end has closed
            pass
    if child.returncode:
        sys.exit(f"nothing is drawn: the demonstration ended with {child.returncode}\n{remarks}")
    return remarks + results.decode().replace("\r\n", "\n")


def drawn(text: str) -> str:
    """The picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    console.print(Text(f"$ holdfast {' '.join(COMMAND)}", style="bold green"))
    console.print(Text.from_ansi(re.sub(r"/\S*/holdfast-demo-\w+", "a temporary directory", text.rstrip())))
    return console.export_svg(title="holdfast demo", theme=MONOKAI, code_format=FRAME, unique_id="demo")


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(re.sub(r"[ \t]+$", "", drawn(shown()), flags=re.MULTILINE))
    print(f"wrote {PICTURE.name}, {PICTURE.stat().st_size:,} bytes")
