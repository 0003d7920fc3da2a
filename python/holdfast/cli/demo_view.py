"""What the demonstration shows: the sale while it runs, the sums afterwards, and requests to try."""

from collections.abc import Mapping
from time import monotonic
from typing import Any, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from holdfast.cli.console import number, program, remarks, results
from holdfast.demonstration import catalogue
from holdfast.demonstration.shoppers import Sale
from holdfast.demonstration.show import Moment, Story
from holdfast.rehearsal.own_gateway import OwnGateway
from holdfast.rehearsal.percentiles import Percentiles

LINE_EVERY_S = 5.0
DRAW_EVERY_S = 0.1
SKUS_SHOWN = 6


class SaleScreen:
    """The sale, live on stderr."""

    def __init__(self, carts: int) -> None:
        self._progress = Progress(
            TextColumn("flash sale"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} carts"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[figures]}"),
            console=remarks,
            disable=not remarks.is_terminal,
        )
        self._task = self._progress.add_task("", total=carts, figures="")
        self._drawn = self._said = monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def report(self, sale: Sale) -> None:
        """One more shopper has finished."""
        now = monotonic()
        if now - self._drawn < DRAW_EVERY_S:
            return
        self._drawn = now
        figures = f"sold {number(sale.units_sold)} units, refused {number(sale.refused.total())} carts"
        self._progress.update(self._task, completed=sale.offered, figures=figures)
        if not remarks.is_terminal and now - self._said >= LINE_EVERY_S:
            self._said = now
            remarks.print(f"  {number(sale.offered)} carts: {figures}")

    def remark(self, text: str) -> None:
        """Something happened."""
        remarks.print(text, markup=False, style="bold")


def show_story(story: Story, rebuilt: Mapping[int, str]) -> None:
    """Writes the summary to stdout."""
    results.print()
    results.print(_sums(story))
    results.print()
    results.print(_raw(story))
    results.print()
    results.print(_kill(story, rebuilt))
    results.print()
    results.print(_latencies(story))


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    return table


def _sums(story: Story) -> Table:
    sale = story.sale
    table = _table("The sale")
    table.add_row(
        "offered", f"{number(sale.offered)} carts, {number(sale.units_offered)} units, in {story.seconds:.0f} s"
    )
    channels = ", ".join(f"{channel} {number(units)}" for channel, units in sale.sold_on.most_common())
    table.add_row("sold", f"{number(sale.confirmed)} orders, {number(sale.units_sold)} units ({channels})")
    table.add_row("refused", f"{number(sale.refused.total())} carts: not enough could be sold")
    short = ", ".join(f"{sku} {number(count)}" for sku, count in sale.refused_skus.most_common(SKUS_SHOWN))
    table.add_row("short of", short or "nothing")
    table.add_row("not bought", f"{number(sale.released)} released, {number(sale.abandoned)} still held")
    return table


def _raw(story: Story) -> Table:
    raw = story.sale.raw.oversold()
    here = story.sale.oversold()
    table = _table("Oversold: units sold beyond the stock")
    skus = ", ".join(
        f"{sku} {number(units)}" for sku, units in sorted(raw.items(), key=lambda item: -item[1])[:SKUS_SHOWN]
    )
    table.add_row("raw ERP quantity", f"{number(sum(raw.values()))} units ({skus or 'none'})")
    table.add_row("", "the same carts, had each channel sold what the ERP's on-hand figure said at the start")
    table.add_row("here", f"{number(sum(here.values()))} units")
    return table


def _kill(story: Story, rebuilt: Mapping[int, str]) -> Table:
    table = _table("kill -9 in the middle")
    table.add_row("gateway down", f"{story.away_s:.1f} s; {number(story.repeated)} requests were sent again unchanged")
    acknowledged, missing = len(story.sale.states), len(story.missing)
    table.add_row("acknowledged", f"{number(acknowledged - missing)} of {number(acknowledged)} reservations are there")
    for name, moment in (("before the kill", story.before_kill), ("at the end", story.end)):
        again = rebuilt.get(moment.sequence, "nothing")
        same = "equal" if again == moment.digest else "NOT EQUAL"
        table.add_row(f"digest {name}", moment.digest)
        table.add_row("  rebuilt from log", f"{again} {same}, at log sequence {number(moment.sequence)}")
    return table


def _latencies(story: Story) -> Table:
    table = Table("ms", "calls", "p50", "p90", "p99", "max", title="Latency, the gateway's restart included")
    table.title_justify, table.title_style, table.box = "left", "bold", None
    for name, took in _percentiles(story).items():
        figures = (took.p50_ms, took.p90_ms, took.p99_ms, took.max_ms)
        table.add_row(name, number(took.calls), *(f"{figure:.1f}" for figure in figures))
    return table


def _percentiles(story: Story) -> dict[str, Percentiles]:
    sale = story.sale
    kinds = {"look": sale.look, "reserve": sale.reserve, "confirm": sale.confirm}
    return {name: took.percentiles() for name, took in kinds.items()}


def curl_lines(gateway: OwnGateway) -> str:
    """Requests to try against the gateway that stays up."""
    url, sku, kit = gateway.url, "MUG-BLUE", catalogue.KIT
    body = '{"channel":"web","ttl_ms":600000,"lines":[{"sku":"CANDLE-FIG","quantity":2}]}'
    holdfast = program()
    return f"""
The gateway stays up on {url} until Ctrl-C. Try:

  curl '{url}/v1/availability/{sku}?channel=web'
  curl '{url}/v1/availability/{kit}?channel=marketplace'
  curl '{url}/v1/availability/LAMP-WALNUT/explain?channel=web'
  curl -X PUT '{url}/v1/reservations/mine' -d '{body}'
  curl -X POST '{url}/v1/reservations/mine/confirm' -d '{{"order_ref":"order-1"}}'
  curl '{url}/v1/state'

  {holdfast} explain {sku} --channel web --gateway {url}
  {holdfast} verify --data {gateway.directory} --gateway {url}
  {url}/docs
"""


def document(story: Story, rebuilt: Mapping[int, str]) -> dict[str, Any]:
    """The summary as JSON has it."""
    sale = story.sale

    def moment(at: Moment) -> dict[str, Any]:
        again = rebuilt.get(at.sequence)
        return {"sequence": at.sequence, "digest": at.digest, "rebuilt": again, "equal": again == at.digest}

    return {
        "seconds": round(story.seconds, 3),
        "carts_offered": sale.offered,
        "units_offered": sale.units_offered,
        "orders_sold": sale.confirmed,
        "units_sold": sale.units_sold,
        "units_sold_by_channel": dict(sale.sold_on),
        "carts_refused": dict(sale.refused),
        "released": sale.released,
        "still_held": sale.abandoned,
        "oversold": sale.oversold(),
        "oversold_units": sum(sale.oversold().values()),
        "raw_erp_oversold": sale.raw.oversold(),
        "raw_erp_oversold_units": sum(sale.raw.oversold().values()),
        "acknowledged": len(sale.states),
        "missing": story.missing,
        "gateway_away_s": round(story.away_s, 3),
        "requests_repeated": story.repeated,
        "before_kill": moment(story.before_kill),
        "end": moment(story.end),
        "milliseconds": {name: took._asdict() for name, took in _percentiles(story).items()},
    }
