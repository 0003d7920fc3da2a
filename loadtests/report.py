"""The report of a rehearsal: one HTML file with its charts and nothing from elsewhere; the same in a few lines.

In: what was played, and the promises. Out: text. Always: what was missed comes first; every text from outside is
escaped.
"""

from collections.abc import Mapping
from html import escape
from itertools import islice
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.svg import STYLE, svg
from loadtests.accounts import Accounts, Millis, percentile
from loadtests.curve import FLASH_AT
from loadtests.promises import CALLS, Promise
from loadtests.rehearsal import Played

COLOURS = ("#2f6fb3", "#8a5fbf", "#0f8a4b", "#d9822b", "#8a8f98", "#b04a4a")
MISFITS_SHOWN = 20
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
td, th {{ border-bottom: 1px solid #ddd; padding: .25rem .9rem .25rem 0; text-align: left; }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums; }}
.missed {{ color: #a40000; font-weight: 600; }} .kept {{ color: #0a6b38; }}
svg {{ max-width: 100%; height: auto; }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def verdict(promises: list[Promise], played: Played) -> list[str]:
    """What was missed; nothing when all was kept."""
    missed = [f"{one.name}: {one.found:g}, promised at most {one.most:g}" for one in promises if not one.kept]
    return missed if played.log_ok else [*missed, f"LOG: {played.log}"]


def as_text(played: Played, promises: list[Promise]) -> str:
    """For a terminal."""
    accounts, books = played.accounts, played.books
    there, confirmed = len(books.opening), len(accounts.ended("confirmed"))
    lines = [
        f"carts: {books.carts_offered:,} offered, {books.carts_sold:,} sold with {books.sold.total():,} units",
        f"carts: {len(accounts.ended('refused')):,} refused, {books.carts_late:,} confirmed too late",
        f"facts beside them: {accounts.facts:,}",
        f"oversold: {sum(books.oversold().values())}; SKUs that do not add up: {len(played.misfits)} of {there}",
        f"confirmed and not there: {len(played.missing)} of {confirmed:,}",
    ]
    if played.away_s is not None:
        lines.append(f"leader killed; the next write was answered after {played.away_s:.1f} s")
    if played.log:
        lines.append(f"LOG {played.log}")
    missed = verdict(promises, played)
    return "\n".join([*lines, *(f"MISSED  {one}" for one in missed)] + ([] if missed else ["Every promise was kept."]))


def as_html(played: Played, promises: list[Promise]) -> str:
    """The whole page."""
    missed = verdict(promises, played)
    choice = played.choice
    summary = (
        f'<p class="missed">Missed: {escape("; ".join(missed))}.</p>'
        if missed
        else '<p class="kept">Every promise was kept.</p>'
    )
    played_text = (
        f"{choice.shape}, {choice.seconds:g} s, {choice.peak} shoppers at the height of it, "
        f"{choice.erp_per_s:,} facts a second beside them; {played.gateway}"
    )
    body = [
        summary,
        f"<p>{escape(played_text)}</p>",
        "<h2>Promises</h2>",
        _promises(promises),
        "<h2>Units</h2>",
        _units(played),
        "<h2>What shoppers waited</h2>",
        waits(played),
        _calls(played.accounts),
        "<h2>From hold to purchase</h2>",
        purchases(played.accounts.hold_to_purchase),
        "<h2>Refused, and why</h2>",
        _counts(played.accounts.refused, "reason", "lines"),
        "<h2>Calls that had to be sent again</h2>",
        _counts(played.accounts.repeated, "call", "times"),
        "<h2>Answers that nobody foresaw</h2>",
        _counts(played.accounts.unexpected, "call and status", "times"),
        "<h2>Carts that nobody finished</h2>",
        _counts(played.settled, "state when asked at the end; held ones were then released", "carts"),
    ]
    return PAGE.format(title=f"Rehearsal {escape(played.run)}", body="\n".join(body))


def _table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th>{escape(one)}</th>" for one in head)
    lines = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _number(value: float) -> str:
    return f'<td class="n">{value:,.10g}</td>'


def _promises(promises: list[Promise]) -> str:
    def kept(one: Promise) -> str:
        return '<td class="kept">kept</td>' if one.kept else '<td class="missed">missed</td>'

    rows = [[_cell(one.name), _number(one.found), _number(one.most), kept(one)] for one in promises]
    return _table(["", "found", "at most", ""], rows)


def _units(played: Played) -> str:
    accounts, books = played.accounts, played.books
    figures: list[tuple[str, float]] = [
        ("units at the beginning", sum(books.opening.values())),
        ("units returned", books.returned.total()),
        ("units sold", books.sold.total()),
        ("units oversold", sum(books.oversold().values())),
        ("SKUs", len(books.opening)),
        ("SKUs that do not add up: beginning + returned - sold = left", len(played.misfits)),
        ("carts offered", books.carts_offered),
        ("carts sold", books.carts_sold),
        ("carts sold that the gateway does not have as sold", len(played.missing)),
        ("carts refused", len(accounts.ended("refused"))),
        ("carts confirmed too late", books.carts_late),
        ("facts of the ERP", accounts.facts),
    ]
    rows = [[_cell(name), _number(value)] for name, value in figures]
    text = _table(["", ""], rows)
    if played.log:
        text += f"<p>LOG, {escape(played.log)}.</p>"
    if played.misfits:
        wrong = [
            [_cell(one.sku), *(_number(value or 0) for value in one[1:])]
            for one in islice(played.misfits, MISFITS_SHOWN)
        ]
        text += _table(["SKU", "beginning", "sold", "returned", "must be left", "is left"], wrong)
    return text


def _calls(accounts: Accounts) -> str:
    rows = []
    for call in CALLS:
        millis = accounts.overall(call)
        if millis:
            figures = [percentile(millis, share) for share in (0.5, 0.9, 0.99, 0.999, 1.0)]
            rows.append([_cell(call), _number(sum(millis.values())), *(_number(value) for value in figures)])
    return _table(["call", "answers", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "most"], rows)


def _counts(counts: Mapping[str, int], what: str, unit: str) -> str:
    if not counts:
        return "<p>None.</p>"
    rows = [[_cell(name), _number(times)] for name, times in sorted(counts.items(), key=lambda item: -item[1])]
    return _table([what, unit], rows)


def waits(played: Played) -> str:
    """Answers a second and percentiles over time, with T0 of a flash sale and the kill marked."""
    waited = played.accounts.waited
    every = [second for seconds in waited.values() for second in seconds]
    if not every:
        return "<p>Nothing was answered.</p>"
    began = min(every)
    with rc_context(STYLE):
        picture = Figure(figsize=(10, 8.5), layout="constrained")
        rates, middle, slow = picture.subplots(3, 1, sharex=True)
        for call, colour in zip(CALLS, COLOURS, strict=True):
            seconds = sorted(waited.get(call, {}))
            if not seconds:
                continue
            # A second without an answer is a gap of the line, not a line across it.
            whole = range(seconds[0], seconds[-1] + 1)
            each: list[Millis] = [waited[call].get(second, {}) for second in whole]
            times = [second - began for second in whole]
            rates.plot(times, [sum(millis.values()) for millis in each], color=colour, label=call)
            for panel, share in ((middle, 0.5), (slow, 0.99)):
                panel.plot(
                    times,
                    [percentile(millis, share) if millis else float("nan") for millis in each],
                    color=colour,
                    marker=".",
                    markersize=3,
                )
        for panel, title in ((rates, "answers a second"), (middle, "p50, ms"), (slow, "p99, ms")):
            panel.set_ylabel(title)
            panel.grid(alpha=0.25)
            _marks(panel, played, began)
        for panel in (middle, slow):
            panel.set_yscale("log")
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        slow.set_xlabel("seconds")
        picture.legend(loc="outside upper center", ncols=len(CALLS), frameon=False)
        return svg(picture)


def _marks(panel: Any, played: Played, began: int) -> None:
    moments = {}
    if played.choice.shape == "flash":
        moments["T0"] = played.choice.seconds * FLASH_AT
    if played.killed_at is not None:
        moments["leader killed"] = played.killed_at - began
    for text, at in moments.items():
        panel.axvline(at, color="#555555", linestyle="--", linewidth=1)
        panel.annotate(text, (at, 0.98), (4, -8), xycoords=("data", "axes fraction"), textcoords="offset points")


def purchases(millis: Millis) -> str:
    """How long carts were held before they were bought."""
    if not millis:
        return "<p>Nothing was bought.</p>"
    with rc_context(STYLE):
        picture = Figure(figsize=(10, 2.6), layout="constrained")
        panel = picture.subplots()
        panel.hist(list(millis), weights=list(millis.values()), bins=40, color=COLOURS[2])
        panel.set_xlabel("ms from the answer of the hold to the answer of the confirmation, thinking included")
        panel.set_ylabel("carts")
        return svg(picture)
