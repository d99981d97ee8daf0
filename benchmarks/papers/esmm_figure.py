"""Figure of the ESMM paper's comparison."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.lib.metrics import Pair
from benchmarks.papers.esmm_summary import ALL, BASE, CLICKS, COMMON, Summary, published

LOSS = "log loss, all"
# A panel's title, its metric, the column of the published one, and the limits of its axis: far
# outliers would leave no width to the rest, and are written at the edge.
COLUMNS = (
    ("CVR AUC, clicks", CLICKS, 0, (-6.5, 8.5)),
    ("CVR AUC, all impressions", ALL, None, (-6.5, 8.5)),
    ("CTCVR AUC, all impressions,\ncommon pCTR", COMMON, 1, (-4.5, 5.5)),
    ("log loss of pCVR, all impressions,\nnats / 1000 (left is better)", LOSS, None, (-5, 10)),
)


def gaps_figure(table: Summary) -> Figure:
    """Draw differences to BASE: the paper's two metrics with the published ones, and the truth."""
    methods = [method for method in table.methods if method != BASE]
    figure = Figure(figsize=(12.5, 1.2 + 2.9 * len(table.scenarios)), layout="constrained")
    axes = figure.subplots(
        len(table.scenarios), len(COLUMNS), sharey=True, sharex="col", squeeze=False
    )
    for row, scenario in enumerate(table.scenarios):
        for column, (title, name, published_column, bounds) in enumerate(COLUMNS):
            panel = axes[row, column]
            gaps = [table.gap(scenario, name, method) for method in methods]
            if name == LOSS:
                gaps = [gap.times(1000) for gap in gaps]
            theirs = [
                None if published_column is None else published(m, published_column)
                for m in methods
            ]
            _panel(panel, gaps, theirs, bounds)
            if not row:
                panel.set_title(title, fontsize=9)
        axes[row, 0].set_ylabel(f"{scenario}, {table.seeds(scenario)} seeds", fontsize=10)
        axes[row, 0].set_yticks(range(len(methods)), methods, fontsize=9)
    for panel, (_, name, _, _) in zip(axes[-1], COLUMNS, strict=True):
        unit = "nats / 1000 above BASE" if name == LOSS else "points above BASE"
        panel.set_xlabel(unit, fontsize=8.5)
    axes[0, 0].set_ylim(len(methods) - 0.5, -0.5)
    figure.suptitle(
        "The ESMM paper's comparison where the true CVR is known. Dot and line: mean paired "
        "difference to BASE, two standard errors; cross: the paper's, on Ali-CCP",
        fontsize=10.5,
    )
    return figure


def _panel(
    axes: Axes,
    gaps: Sequence[Pair],
    theirs: Sequence[float | None],
    bounds: tuple[float, float],
) -> None:
    low, high = bounds
    for place, (gap, paper) in enumerate(zip(gaps, theirs, strict=True)):
        # The last two are what the paper lacks.
        colour = "#D55E00" if place >= len(gaps) - 2 else "#0072B2"
        if low < gap.mean < high:
            axes.plot(gap.mean, place, "o", color=colour, ms=5)
            reach = (gap.mean - 2 * gap.error, gap.mean + 2 * gap.error)
            if gap.seeds > 1:
                axes.plot(reach, [place, place], color=colour, lw=1.6)
        else:
            right = gap.mean > high
            axes.text(
                high if right else low, place,
                f"{gap.text('+.1f')} \u25ba" if right else f"\u25c4 {gap.text('+.1f')}",
                ha="right" if right else "left", va="center", color=colour, fontsize=8,
            )  # fmt: skip
        if paper is not None:
            axes.plot(paper, place, "x", color="#222222", ms=6, mew=1.6)
    axes.set_xlim(bounds)
    axes.axvline(0, color="#222222", lw=1)
    axes.grid(axis="x", color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
