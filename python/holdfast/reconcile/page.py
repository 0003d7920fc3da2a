"""A report as one HTML page.

In: a report. Out: a page that needs nothing else: no script, no picture, no font from elsewhere. Always: every text of
another system is escaped; colours never say anything alone.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import Any

from holdfast.reconcile.findings import TYPES, Applied, Compared, Difference, Report

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1b1b1b;
  background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #d6d6d6 }
th { background: #f3f3f3 } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.type { font-weight: 600; white-space: nowrap } .quiet { color: #595959 }
code { font-size: .9em; word-break: break-all }
.ok { color: #14662b } .wrong { color: #9b1c1c } svg { vertical-align: middle }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #eee } th { background: #262626 }
  th, td { border-color: #444 } .quiet { color: #b0b0b0 } .ok { color: #7fd492 } .wrong { color: #ff9c9c } }
"""
_WIDTH, _HEIGHT = 180, 28


def page_of(report: Report) -> str:
    """The whole page."""
    state = '<span class="ok">All that was compared agrees.</span>'
    if not report.is_clean:
        state = '<span class="wrong">There is something to look at.</span>'
    body = [
        f"<h1>Reconciliation, run {report.run}</h1>",
        f"<p>{_time(report.began_ms)}, {report.took_ms / 1000:.1f} s. {state}</p>",
        _counts(report.differences),
        _differences(report.differences),
        _comparisons(report.comparisons),
        _trend(report.trend),
        _applied(report.applied),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
    title = f"<title>Reconciliation, run {report.run}</title>"
    return f'<!doctype html><html lang="en"><head>{head}{title}</head><body>{"".join(body)}</body></html>\n'


def _counts(differences: list[Difference]) -> str:
    counts = [(name, sum(one.type == name for one in differences)) for name in TYPES]
    shown = [f"{count} {escape(name)}" for name, count in counts if count]
    return f"<p>{', '.join(shown)}</p>" if shown else ""


def _differences(differences: list[Difference]) -> str:
    if not differences:
        return ""
    rows = []
    for one in sorted(differences, key=lambda one: (TYPES.index(one.type), one.id)):
        what = " ".join(part for part in (one.sku, f"at {one.location}" if one.location else "") if part) or one.order
        figures = "<br>".join(f"{escape(name)}: {escape(value)}" for name, value in one.figures.items())
        why = "<br>".join(escape(text) for text in one.evidence)
        rows.append(
            (
                f'<span class="type">{escape(one.type)}</span>',
                f"{escape(one.pair)}, {escape(one.what)}<br><span class=quiet>{escape(one.connection)}</span>",
                escape(what),
                figures,
                f"{why}<br><span class=quiet>{escape(one.advice)}</span>",
                _age(one.age_ms),
                _correction(one),
            )
        )
    return "<h2>Differences</h2>" + _table(("type", "between", "of", "figures", "why", "age", "correction"), rows)


def _correction(one: Difference) -> str:
    if one.correction is None:
        return '<span class="quiet">none</span>'
    if one.correction.facts:
        return "<br>".join(f"<code>{escape(str(fact))}</code>" for fact in one.correction.facts)
    return "have the connector write" if one.correction.push else "have the connector read"


def _comparisons(comparisons: list[Compared]) -> str:
    rows = []
    for one in comparisons:
        remarks = [one.failed] if one.failed else list(one.remarks)
        if one.moving:
            remarks.append(f"{len(one.moving)} changed while they were compared")
        rows.append(
            (
                f"{escape(one.pair)}, {escape(one.what)}",
                escape(one.connection),
                f"{one.compared:,}",
                '<span class="wrong">not compared</span>' if one.failed else f"{one.differing:,}",
                "<br>".join(f"{escape(name)}: {escape(value)}" for name, value in one.read_at.items()),
                "<br>".join(escape(text) for text in remarks),
            )
        )
    names = ("between", "connection", "compared", "differ", "as of", "remarks")
    return "<h2>What was compared</h2>" + _table(names, rows, numbers={2, 3})


def _trend(trend: list[dict[str, Any]]) -> str:
    places: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in trend:
        places.setdefault((one["connection"], one["location"]), []).append(one)
    rows = [
        (escape(location), escape(connection), str(runs[-1]["compared"]), str(runs[-1]["differing"]), _bars(runs))
        for (connection, location), runs in sorted(places.items())
    ]
    if not rows:
        return ""
    names = ("location", "connection", "cells", "differ", "cells that differ, run by run")
    return "<h2>Trend by location</h2>" + _table(names, rows, numbers={2, 3})


def _bars(runs: list[dict[str, Any]]) -> str:
    most = max(1, *(one["differing"] for one in runs))
    step = _WIDTH / max(len(runs), 10)
    bars = []
    for at, one in enumerate(runs):
        height = one["differing"] / most * (_HEIGHT - 2)
        where = f'x="{at * step:.1f}" y="{_HEIGHT - 1 - height:.1f}" width="{step * 0.8:.1f}" height="{height + 1:.1f}"'
        bars.append(f'<rect {where} fill="currentColor"><title>run {one["run"]}: {one["differing"]}</title></rect>')
    label = ", ".join(str(one["differing"]) for one in runs)
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{label}">{"".join(bars)}</svg>'


def _applied(applied: list[Applied]) -> str:
    if not applied:
        return ""
    rows = [(_time(one.at_ms), str(one.run), escape(one.type), escape(one.id), escape(one.result)) for one in applied]
    return "<h2>Corrections that were sent</h2>" + _table(("time", "run", "type", "of", "result"), rows)


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]], numbers: set[int] | None = None) -> str:
    marks = [' class="n"' if at in (numbers or set()) else "" for at in range(len(names))]
    head = "".join(f"<th{mark}>{name}</th>" for mark, name in zip(marks, names, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{mark}>{cell}</td>' for mark, cell in zip(marks, row, strict=True))}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _age(age_ms: int) -> str:
    if not age_ms:
        return "new"
    minutes = age_ms // 60_000
    return f"{minutes // 1_440} d" if minutes >= 1_440 else f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"
