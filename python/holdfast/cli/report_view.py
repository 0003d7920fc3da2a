"""A report as rows, and as a page.

In: the document of `holdfast report --json`. Out: rows with names and words; HTML. Always: every number of the
document is in a row, once; the page needs no other file, and no name in it can become markup.
"""

from dataclasses import dataclass
from html import escape
from typing import Any

WORDS = {
    "carts": "Carts",
    "orders": "Orders",
    "units": "Units",
    "hold_to_purchase": "Hold to purchase",
    "fallout": "Order fallout",
    "open_orders": "Open orders now",
    "times": "How long it took",
    "refused": "Carts refused, by reason",
    "lost": "Lost demand",
    "accuracy": "Inventory accuracy",
    "channels": "By channel",
    "skus_lost": "SKUs most asked for in vain",
}
_NAMES = {
    "hold_to_order": "from the hold to the order",
    "order_to_erp": "from the order to the ERP's acknowledgement",
    "order_to_first_shipment": "from the order to the first parcel",
    "order_to_shipped": "from the order to the last parcel",
    "direct": "without a hold",
    "late": "after the hold had ended",
    "all": "all",
    "part": "of them",
    "levels": "levels compared",
    "exact": "as expected",
    "units_expected": "units expected",
    "units_up": "units found",
    "units_down": "units missing",
    "units_lost": "units asked for in vain",
    "units_would_have_oversold": "of them, units that raw quantities would have sold",
    "refusals_left_out": "refusals that were only counted",
    "lines_left_out": "lines that were not kept",
}
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "body{color:#191d1b;background:#fff}"
    "h1{font-size:1.4rem}h2{font-size:1rem;margin:1.6rem 0 .3rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.25rem 0;border-top:1px solid #dde1dd;font-weight:400}td{text-align:right}"
    "p{color:#59625e}@media(prefers-color-scheme:dark){body{color:#e7ebe9;background:#121514}th,td{border-color:#2e3432}}"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: of which part, its name in the document, the same as text, its value."""

    part: str
    name: str
    words: str
    value: Any

    @property
    def shown(self) -> str:
        """As people read it."""
        if self.value is None:
            return "-"
        if self.name.endswith("_ms"):
            return _duration(self.value)
        if self.name.endswith("share"):
            return f"{100 * self.value:.2f} %"
        return f"{self.value:,}" if isinstance(self.value, int) else str(self.value)


def rows(found: dict[str, Any]) -> list[Row]:
    """Every figure, in order."""
    lines = [
        _row(part, f"{part}.{name}", value)
        for part in ("carts", "orders", "units", "hold_to_purchase", "fallout", "open_orders")
        for name, value in found[part].items()
    ]
    for one in found["times"]:
        words = _NAMES[one["name"]]
        lines += [
            _row("times", f"{one['name']}.{name}", value, f"{words}: {'how many' if name == 'count' else name[:3]}")
            for name, value in one.items()
            if name != "name"
        ]
    lines += [_row("refused", f"refused.{one['reason']}", one["carts"], one["reason"]) for one in found["refused"]]
    lost = ("units_lost", "units_would_have_oversold", "refusals_left_out", "lines_left_out")
    lines += [_row("lost", name, found[name]) for name in lost]
    lines += [_row("accuracy", f"accuracy.{name}", value) for name, value in found["accuracy"].items()]
    return lines + [
        _row(part, f"{part}.{one[key]}.{name}", value, f"{one[key]}: {_words(name)}")
        for part, key in (("channels", "channel"), ("skus_lost", "sku"))
        for one in found[part]
        for name, value in one.items()
        if name != key
    ]


def _row(part: str, name: str, value: Any, words: str | None = None) -> Row:
    return Row(WORDS[part], name, words or _words(name.rpartition(".")[2]), value)


def _words(name: str) -> str:
    return _NAMES.get(name, name.replace("_", " "))


def page(found: dict[str, Any]) -> str:
    """A page that stands alone."""
    parts: list[str] = []
    before = ""
    for row in rows(found):
        if row.part != before:
            parts += [*(["</table>"] if before else []), f"<h2>{escape(row.part)}</h2><table>"]
            before = row.part
        parts.append(f'<tr><th scope="row">{escape(row.words)}</th><td>{escape(row.shown)}</td></tr>')
    title = f"{found['scope']}: {found['from']} until {found['upto']}"
    gaps = "".join(
        f"<p>Not counted, for LOG was no longer kept: {one['from']} until {one['upto']}.</p>" for one in found["gaps"]
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1><p>Counted from LOG, up to {found['counted_upto']}.</p>{gaps}{''.join(parts)}"
        "</table></html>\n"
    )


def _duration(ms: int) -> str:
    seconds = ms / 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"
