"""Writes the table of docs/metrics.md from the catalogue of figures.

In: python/holdfast/gateway/metric_catalogue.py. Out: the page, its own text unchanged, the table renewed.
Always: tests/documents/test_metrics.py says when it has to be run.
"""

from pathlib import Path

from holdfast.gateway.metric_catalogue import CATALOGUE

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"
RULE = "|---|---|---|---|---|\n"


def page(text: str) -> str:
    """The page with the table as it has to be."""
    rows = [
        f"| `{figure.served}` | {figure.kind} | {', '.join(figure.labels)} | {figure.text} | {figure.alert} |\n"
        for figure in CATALOGUE
    ]
    return text.partition(RULE)[0] + RULE + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    print(f"wrote {PAGE.name}")
