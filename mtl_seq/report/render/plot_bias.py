"""Bias by propensity decile, and metrics with their intervals."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mtl_seq._files import atomic_path
from mtl_seq.report.compute.metrics import Estimate
from mtl_seq.report.compute.result import CEILING, ReportResult
from mtl_seq.report.render.style import (
    FAINT,
    GREY,
    INK,
    SIZE,
    WIDE,
    Layout,
    Style,
    canvas,
    legend,
    legend_height,
    panels,
    signed_percent,
    styles,
)

__all__ = ["Panel", "decile_figure", "interval_figure", "main_figure", "save"]


class Panel(NamedTuple):
    """One panel of estimates with intervals.

    Attributes:
        title: Its title: the space.
        label: Label of its axis.
        lookup: Estimate by model; NaN where it is undefined.
        reference: Position of a reference line; None for none.
        form: Format of its ticks; None for plain numbers.
        ranked: Whether each model's rank is written beside its estimate, the highest first.
    """

    title: str
    label: str
    lookup: Callable[[str], Estimate]
    reference: float | None
    form: Callable[[float], str] | None = None
    ranked: bool = False


def main_figure(report: ReportResult) -> Figure:
    """Main figure of a report."""
    if report.has_truth:
        return decile_figure(report, WIDE)
    panel = Panel(
        "pCTCVR, all impressions",
        "predicted over observed (PCOC)",
        lambda name: report.estimate(name, "pctcvr", "all", "pcoc"),
        1.0,
    )
    return interval_figure(report.models, [panel], WIDE)


def decile_figure(report: ReportResult, layout: Layout) -> Figure:
    """Relative bias of predicted CVR by decile of the true propensity, one line per model."""
    assert report.deciles is not None
    deciles = report.deciles
    place = np.arange(1, len(deciles.propensity) + 1)
    shown = styles(report.models)
    extra = legend_height([*report.models, f"ceiling: {CEILING}"], layout)
    figure, axes = canvas(layout, 3.9 if layout is WIDE else 3.6 + extra)
    for index, style in enumerate(shown):
        # Side by side, so that intervals do not overlap.
        at = place + 0.5 * (index - (len(shown) - 1) / 2) / len(shown)
        low, high = deciles.low[style.name], deciles.high[style.name]
        axes.vlines(at, low, high, color=style.colour, lw=1.2, alpha=0.55)
        value = deciles.relative_bias[style.name]
        axes.plot(
            at, value, color=style.colour, lw=1.3, marker=style.marker, ms=4.5, label=style.label
        )
    ceiling = deciles.relative_bias.get(CEILING, np.zeros(len(place)))
    if not np.allclose(ceiling, 0, atol=1e-9):
        axes.plot(place, ceiling, color=INK, ls=":", lw=1.6, label=f"ceiling: {CEILING}")
    axes.axhline(0, color=INK, lw=1)
    narrow = layout.columns == 1
    marks = [
        f"{p:.0%}" if narrow else f"{i}\n{p:.1%}"
        for i, p in zip(place, deciles.propensity, strict=True)
    ]
    axes.set_xticks(place, marks)
    decile = "decile of the true propensity P(click | x), and its mean"
    axes.set_xlabel("mean propensity of the decile" if narrow else decile)
    axes.set_ylabel("relative bias of pCVR, all impressions")
    axes.yaxis.set_major_formatter(_formatter(signed_percent))
    legend(figure, axes, layout)
    return figure


def interval_figure(models: Sequence[str], shown: Sequence[Panel], layout: Layout) -> Figure:
    """Estimates with their intervals, a row per model, a panel each."""
    height = 0.85 + 0.27 * len(models)
    figure, grid = panels(layout, len(shown), height, rows=True)
    drawn = styles(models)
    for index, (axes, panel) in enumerate(zip(grid, shown, strict=True)):
        estimates = [panel.lookup(style.name) for style in drawn]
        for row, (style, estimate) in enumerate(zip(drawn, estimates, strict=True)):
            _mark(axes, row, style, estimate)
        if panel.ranked:
            _ranks(axes, [estimate.value for estimate in estimates])
        if panel.reference is not None:
            axes.axvline(panel.reference, color=INK, lw=1, zorder=1)
        axes.set_ylim(len(models) - 0.5, -0.5)
        if index % layout.columns == 0:
            axes.set_yticks(range(len(models)), [style.label for style in drawn])
        axes.tick_params(axis="y", length=0)
        axes.set_title(panel.title, loc="left", fontsize=SIZE + 0.5, fontweight="bold")
        axes.set_xlabel(panel.label)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        if panel.form is not None:
            axes.xaxis.set_major_formatter(_formatter(panel.form))
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=FAINT, lw=0.5)
        axes.spines["left"].set_visible(False)
    if shown[0].reference is not None:
        _one_scale(grid)
    return figure


def save(figure: Figure, path: str | Path | None) -> Figure:
    """Write a figure atomically, PNG or SVG by the suffix, and return it; None writes nothing."""
    if path is not None:
        undated = {"Date": None} if Path(path).suffix == ".svg" else {}
        with atomic_path(path) as aside:
            figure.savefig(aside, dpi=160, bbox_inches="tight", metadata=undated)
    return figure


def _formatter(form: Callable[[float], str]) -> FuncFormatter:
    return FuncFormatter(lambda value, _: form(value))


def _mark(axes: Axes, row: int, style: Style, estimate: Estimate) -> None:
    if np.isnan(estimate.value):
        axes.annotate(
            "n/a", (0.02, row), xycoords=("axes fraction", "data"), color=GREY, fontsize=SIZE,
            va="center",
        )  # fmt: skip
        return
    ends = [estimate.low, estimate.high]
    axes.plot(ends, [row, row], color=style.colour, lw=2.2, solid_capstyle="round")
    axes.plot([estimate.value], [row], color=style.colour, marker=style.marker, ms=6)


def _one_scale(grid: Sequence[Axes]) -> None:
    """Give every panel the same limits, so that distances compare."""
    ends = [axes.get_xlim() for axes in grid]
    for axes in grid:
        axes.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))


def _ranks(axes: Axes, values: Sequence[float]) -> None:
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 0.1 * (high - low))
    order = sorted((value for value in values if not np.isnan(value)), reverse=True)
    for row, value in enumerate(values):
        if not np.isnan(value):
            axes.annotate(
                f"#{order.index(value) + 1}", (1.0, row), xycoords=("axes fraction", "data"),
                color=GREY, fontsize=SIZE, va="center", ha="right",
            )  # fmt: skip
