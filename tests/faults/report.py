"""The table, for people.

In: results. Out: Markdown. Always: what was not run is in it, with the reason.
"""

from collections.abc import Sequence
from statistics import median

from tests.faults.rounds import Result

HEAD = """\
| fault | times | acknowledged | lost | oversold | longest gap (median, worst) | sent again | epochs | digests |
|---|---|---|---|---|---|---|---|---|
"""


def table(results: Sequence[Result]) -> str:
    """One line for each round, and the sums."""
    lines = [_line(result) for result in results]
    done = [result for result in results if not result.skipped]
    total = [
        "**all**",
        f"{sum(result.done for result in done):,}",
        f"{sum(result.verdict.acknowledged for result in done):,}",
        f"**{sum(result.verdict.lost for result in done)}**",
        f"**{sum(result.verdict.oversold for result in done)}**",
        f"{max((max(result.gaps_s, default=0.0) for result in done), default=0.0):.1f} s at most",
        f"{sum(result.repeats for result in done):,}",
        "",
        "equal" if all(result.ok for result in done) else "see below",
    ]
    return HEAD + "\n".join([*lines, "| " + " | ".join(total) + " |"]) + "\n"


def _line(result: Result) -> str:
    one, verdict = result.round, result.verdict
    if result.skipped:
        return f"| {one.what} | not run: {result.skipped} | | | | | | | |"
    gaps = f"{median(result.gaps_s):.1f} s, {max(result.gaps_s):.1f} s" if result.gaps_s else ""
    cells = [
        one.what,
        str(result.done),
        f"{verdict.acknowledged:,}",
        str(verdict.lost),
        str(verdict.oversold),
        gaps,
        f"{result.repeats:,}",
        str(verdict.epochs),
        "equal" if not any(text.startswith("I5") for text in verdict.complaints) else "DIFFER",
    ]
    return "| " + " | ".join(cells) + " |"


def complaints(results: Sequence[Result]) -> list[str]:
    """Everything that did not hold."""
    return [f"{result.round.name}: {text}" for result in results for text in result.verdict.complaints]
