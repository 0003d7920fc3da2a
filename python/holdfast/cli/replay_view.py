"""How `holdfast replay` shows what it found.

In: results. Out: tables. Always: what is uncertain is marked in every row.
"""

from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from holdfast.cli.console import number, print_whole, results
from holdfast.hindsight.replaying import Replayed


def show_replayed(found: Replayed) -> None:
    """The state at the end."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    void = f", {number(found.void)} of the messages void" if found.void else ""
    rate = number(found.batches / found.seconds) if found.seconds > 0 else "-"
    table.add_row("replayed", f"messages {number(found.began + 1)} to {number(found.sequence)}{void}")
    table.add_row("batches", f"{number(found.batches)} in {found.seconds:.1f} s, {rate}/s")
    table.add_row("digest", found.digest)
    results.print(table)


def show_differences(found: dict[str, Any], rows_max: int) -> None:
    """The decisions that differ, the SKUs, and the sums."""
    _decisions(found["list"], rows_max)
    _skus(found["by_sku"], rows_max)
    results.print(
        f"{number(found['decided_again'])} decisions in {found['seconds']:.1f} s: {number(found['differ'])} carts "
        f"would have gone another way ({number(found['certain'])} for certain, {number(found['uncertain'])} depend on "
        f"an earlier one); {number(found['same_after'])} that depend on one came out the same.",
        markup=False,
    )
    for name, text in (
        ("gained", "sold in addition"),
        ("lost", "not sold that were ordered"),
        ("held_only", "not held that were never ordered"),
    ):
        money = f", worth {found[name]['money']}" if "money" in found[name] else ""
        results.print(f"{number(found[name]['units'])} units {text}{money}.", markup=False)
    beyond = found["unsourced"]
    results.print(
        f"Sold beyond stock and supply at the end: {number(beyond['was'])} units; would be {number(beyond['would_be'])}"
    )
    refused = found["refusals"]
    left = refused["other_reason"] + refused["without_cart"] + refused["place_unclear"]
    if refused["kept_since_ms"] is not None:
        since = datetime.fromtimestamp(refused["kept_since_ms"] / 1000, UTC).isoformat(timespec="seconds")
        results.print(
            f"Refusals are kept since {since}: {number(refused['decided_again'])} of them were decided again, "
            f"{number(left)} could not be. What was refused before is not known.",
            markup=False,
        )
    else:
        results.print("No refusals are kept: only what was accepted could be decided again.")


def _decisions(found: list[dict[str, Any]], rows_max: int) -> None:
    if not found:
        return
    table = Table(box=None, padding=(0, 2))
    for title in ("message", "reservation", "channel", "decision", "became"):
        table.add_column(title)
    table.add_column("units", justify="right")
    if "money" in found[0]:
        table.add_column("money", justify="right")
    table.add_column("lines")
    table.add_column("")
    for one in found[:rows_max]:
        lines = ", ".join(f"{line['sku']} {line['was']} -> {line['would_be']}" for line in one["lines"][:3])
        more = f" and {len(one['lines']) - 3} more" if len(one["lines"]) > 3 else ""
        table.add_row(
            *(number(one["sequence"]), one["reservation"], one["channel"] or "-", one["verb"], one["became"]),
            f"{one['units']:+,}",
            *([one["money"]] if "money" in one else []),
            lines + more,
            "" if one["certain"] else "uncertain",
        )
    print_whole(table)
    if len(found) > rows_max:
        results.print(f"and {number(len(found) - rows_max)} more: --rows shows them, --json has all", markup=False)


def _skus(found: list[dict[str, Any]], rows_max: int) -> None:
    if not found:
        return
    table = Table(box=None, padding=(0, 2))
    table.add_column("SKU")
    for title in ("sold in addition", "orders lost", "holds lost"):
        table.add_column(title, justify="right")
    for row in found[:rows_max]:
        table.add_row(row["sku"], number(row["gained"]), number(row["lost"]), number(row["held_only"]))
    results.print(table, markup=False)
    if len(found) > rows_max:
        results.print(f"and {number(len(found) - rows_max)} SKUs more", markup=False)
