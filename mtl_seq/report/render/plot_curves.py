"""Curves: reliability, propensities of clicks and non-clicks, mean CVR by odds ratio."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, PercentFormatter

from mtl_seq.report.compute.result import TRUTH, ReportResult
from mtl_seq.report.compute.sensitivity import Sensitivity
from mtl_seq.report.render.formatting import format_target
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
    write_empty,
)

__all__ = ["draw_sensitivity", "overlap_figure", "reliability_figure", "sensitivity_figure"]

_TICKS = {0.2: "1/5", 1 / 3: "1/3", 0.5: "1/2", 1.0: "1", 2.0: "2", 3.0: "3", 5.0: "5"}


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
            format_target(quantity, space), loc="left", fontsize=SIZE + 0.5,
            fontweight="bold",
        )  # fmt: skip
        target = "mean true probability" if report.has_truth else "observed rate"
        axes.set(xlabel="mean prediction", ylabel=target)
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
    axes.set(xscale="log", ylim=(0, None), ylabel="share of the space")
    _log_ticks(axes.xaxis, float(overlap.edges[0]), float(overlap.edges[-1]))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel(f"propensity P(click | x): {overlap.source}")
    legend(figure, axes, layout)
    return figure


def sensitivity_figure(curve: Sensitivity, layout: Layout = WIDE, *, title: str = "") -> Figure:
    """Draw the curve, its ranges, and each model's mean pCVR."""
    figure, axes = canvas(layout, 4.2 if layout is WIDE else 3.2)
    draw_sensitivity(axes, curve)
    if title:
        axes.set_title(title, loc="left", fontsize=SIZE + 1, pad=18)
    labels = axes.get_legend_handles_labels()[1]
    figure.set_figheight(figure.get_figheight() + legend_height(labels, layout))
    legend(figure, axes, layout)
    return figure


def draw_sensitivity(
    axes: Axes, curve: Sensitivity, *, truth: tuple[float, float] | None = None
) -> None:
    """Draw one curve into a panel, with a band of psi in [1/G, G] below each G.

    In a simulation, `truth` is the odds ratio and the mean CVR that are true.
    """
    low, high = float(curve.psi[0]), float(curve.psi[-1])
    for gamma in sorted(curve.ranges, reverse=True):
        axes.axvspan(1 / gamma, gamma, color=FAINT, alpha=0.22, lw=0, zorder=0)
        axes.text(
            gamma, 1.01, f"{gamma:g}", transform=axes.get_xaxis_transform(), ha="center",
            va="bottom", fontsize=SIZE - 1, color=GREY,
        )  # fmt: skip
    reference = curve.models["model"] == TRUTH
    models = curve.models[~reference]
    for style, row in zip(styles(list(models["model"])), models.itertuples(), strict=True):
        axes.axhline(row.mean_pcvr, color=style.colour, lw=1.0, ls="--", alpha=0.7)
        psi = row.psi_unbiased
        inside = math.isfinite(psi) and low <= psi <= high
        text = f"unbiased at psi = {psi:.2f}" if math.isfinite(psi) else "unbiased at no psi"
        axes.plot(
            [psi] if inside else [], [row.mean_pcvr] if inside else [], color=style.colour,
            marker=style.marker, ms=7, ls="--", lw=1.2, label=f"{style.label}: {text}",
        )  # fmt: skip
    for mean in curve.models.loc[reference, "mean_pcvr"]:
        axes.axhline(mean, color=INK, lw=1.2, ls=":", label="true mean CVR")
    axes.plot(curve.psi, curve.mean, color=INK, lw=2.2, label="mean CVR at psi")
    if truth is not None:
        axes.plot(*truth, ls="", marker="*", ms=15, color=ACCENT, label="truth", zorder=5)
    axes.set(xscale="log", xlim=(low, high))
    axes.xaxis.set_minor_locator(NullLocator())
    ticks = {tick: text for tick, text in _TICKS.items() if low * 0.999 <= tick <= high * 1.001}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.yaxis.set_major_formatter(_percent)
    axes.set(xlabel="assumed odds ratio psi", ylabel="mean CVR, all impressions")


def _diagonal(axes: Axes) -> None:
    """Equal logarithmic axes, and the line of perfect calibration."""
    values = np.concatenate([line.get_xydata().ravel() for line in axes.get_lines()] or [[]])  # type: ignore[union-attr]
    if values.size == 0:
        write_empty(axes, "nothing to draw")
        return
    low, high = float(values.min()) / 1.15, float(values.max()) * 1.15
    axes.plot([low, high], [low, high], color=INK, lw=1, zorder=1)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    for axis in (axes.xaxis, axes.yaxis):
        _log_ticks(axis, low, high)


def _log_ticks(axis: Axis, low: float, high: float) -> None:
    decades = np.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(_percent)
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _percent(value: float, _: float | None) -> str:
    return f"{100 * value:.3g}%"
