"""Reliability curves, and the propensities of clicks and non-clicks."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
    PercentFormatter,
)

from mtl_seq.report.compute.result import ReportResult
from mtl_seq.report.render.style import (
    ACCENT,
    FAINT,
    GREY,
    INK,
    SIZE,
    WIDE,
    Layout,
    canvas,
    legend,
    legend_height,
    panels,
    styles,
)

__all__ = ["overlap_figure", "reliability_figure"]

_TARGETS = {"pctr": "pCTR", "pcvr": "pCVR", "pctcvr": "pCTCVR"}
_SPACES = {"all": "all impressions", "clicks": "clicks", "non-clicks": "non-clicks"}


def reliability_figure(report: ReportResult, layout: Layout) -> Figure:
    """Mean target against mean prediction in tenths of the prediction, a panel per space."""
    curves = report.reliability.groupby(["quantity", "space"], sort=False)
    extra = legend_height(report.models, layout) / max(1, len(curves))
    figure, grid = panels(layout, len(curves), 3.1 if layout is WIDE else 3.0 + extra)
    for axes, ((quantity, space), rows) in zip(grid, curves, strict=True):
        for style in styles(report.models):
            bins = rows[rows["model"] == style.name]
            kept = (bins["predicted"] > 0) & (bins["observed"] > 0)
            axes.plot(
                bins["predicted"][kept], bins["observed"][kept], color=style.colour, lw=1.2,
                marker=style.marker, ms=4, label=style.label,
            )  # fmt: skip
        _diagonal(axes)
        axes.set_title(
            f"{_TARGETS[quantity]}, {_SPACES[space]}", loc="left", fontsize=SIZE + 0.5,
            fontweight="bold",
        )  # fmt: skip
        axes.set_xlabel("mean prediction", fontsize=SIZE)
        target = "mean true probability" if report.has_truth else "observed rate"
        axes.set_ylabel(target, fontsize=SIZE)
        axes.grid(axis="x", color=FAINT, lw=0.5)
    legend(figure, grid[0], layout, below=True)
    return figure


def overlap_figure(report: ReportResult, layout: Layout) -> Figure:
    """Propensities of clicks and non-clicks, each as a share of its space."""
    overlap = report.overlap
    assert overlap is not None
    figure, axes = canvas(layout, 2.7 if layout is WIDE else 3.0)
    for counts, colour, name in (
        (overlap.others, GREY, "non-clicks"),
        (overlap.clicks, "#0072B2", "clicks"),
    ):
        if counts.sum():
            share = counts / counts.sum()
            axes.stairs(share, overlap.edges, fill=True, color=colour, alpha=0.25)
            axes.stairs(
                share, overlap.edges, color=colour, lw=1.4, label=f"{name} ({counts.sum():,.0f})"
            )
    row = overlap.weights[overlap.weights["propensity"] == overlap.source].iloc[0]
    floor = float(row["floor"])
    if overlap.edges[0] < floor:
        axes.axvline(floor, color=ACCENT, lw=1.2, ls="--", label=f"1% quantile ({floor:.2%})")
    axes.set_xscale("log")
    _log_ticks(axes, "x", float(overlap.edges[0]), float(overlap.edges[-1]))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel(f"propensity P(click | x): {overlap.source}", fontsize=SIZE)
    axes.set_ylabel("share of the space", fontsize=SIZE)
    legend(figure, axes, layout)
    return figure


def _diagonal(axes: Axes) -> None:
    """Equal logarithmic axes, and the line of perfect calibration."""
    values = np.concatenate([line.get_xydata().ravel() for line in axes.get_lines()] or [[]])  # type: ignore[union-attr]
    if values.size == 0:
        axes.text(0.5, 0.5, "nothing to draw", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    low, high = float(values.min()) / 1.15, float(values.max()) * 1.15
    axes.plot([low, high], [low, high], color=INK, lw=1, zorder=1)
    for axis in ("x", "y"):
        getattr(axes, f"set_{axis}scale")("log")
        getattr(axes, f"set_{axis}lim")(low, high)
        _log_ticks(axes, axis, low, high)


def _log_ticks(axes: Axes, name: str, low: float, high: float) -> None:
    axis = axes.xaxis if name == "x" else axes.yaxis
    decades = np.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
