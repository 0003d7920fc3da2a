"""Draws latency against throughput: one panel a workload, one line a server, one point for each number of connections.

In: figures. Out: one SVG. Always: it names no font file, picture or script of another host.
"""

from matplotlib import rc_context
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter

from benchmarks.peers.measure import WORKLOADS
from benchmarks.peers.report import US, Figure
from benchmarks.svg import STYLE, svg

COLOURS = ("#8a8f98", "#b9bdc4", "#d9822b", "#2f6fb3", "#0f8a4b")


def drawn(found: list[Figure], names: list[str]) -> str:
    """All panels beside each other."""
    workloads = [workload for workload in WORKLOADS if any(figure.workload == workload for figure in found)]
    with rc_context(STYLE):
        picture = Picture(figsize=(5 * len(workloads), 4.2), layout="constrained")
        panels = picture.subplots(1, len(workloads), squeeze=False)[0]
        for panel, workload in zip(panels, workloads, strict=True):
            for name, colour in zip(names, COLOURS, strict=False):
                own = sorted(
                    (f for f in found if (f.peer, f.workload) == (name, workload)), key=lambda f: f.connections
                )
                panel.plot(
                    [figure.rate for figure in own],
                    [figure.p99_ms for figure in own],
                    marker="o",
                    color=colour,
                    label=name,
                    linewidth=2.6 if name == US else 1.3,
                    markersize=5 if name == US else 3.5,
                )
                for figure in own if name == US else []:
                    panel.annotate(
                        str(figure.connections), (figure.rate, figure.p99_ms), (4, 5), textcoords="offset points"
                    )
            panel.set_title(WORKLOADS[workload], fontsize=10)
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.minorticks_off()
            panel.set_xlabel("answers a second (log); further right is better")
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panels[0].set_ylabel("99 of 100 within, ms (log); lower is better")
        picture.legend(
            *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(names), frameon=False
        )
        return svg(picture)
