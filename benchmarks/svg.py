"""A chart as the text of one SVG that needs nothing from elsewhere, to stand in a page or in a file.

In: a figure of matplotlib. Out: text. Always: the same figure gives the same text; no metadata, no address but SVG's.
"""

import io
import re
from typing import Any

from matplotlib.figure import Figure

# For `with rc_context(STYLE)` around drawing and writing: text stays text, and ids do not change from run to run.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "holdfast",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


def svg(picture: Figure) -> str:
    """The picture."""
    written = io.StringIO()
    picture.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = text.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace("xlink:href", "href")
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
