"""Mean CVR over all impressions by assumed odds ratio."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from mtl_seq.report.compute.result import TRUTH
from mtl_seq.report.compute.sensitivity import Sensitivity
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
    styles,
)

__all__ = ["draw_sensitivity", "sensitivity_figure"]

_TICKS = {0.2: "1/5", 1 / 3: "1/3", 0.5: "1/2", 1.0: "1", 2.0: "2", 3.0: "3", 5.0: "5"}


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

    Args:
        axes: The panel.
        curve: The curve, of at least one odds ratio.
        truth: In a simulation, the odds ratio and the mean CVR that are true.
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
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_minor_locator(NullLocator())
    ticks = {tick: text for tick, text in _TICKS.items() if low * 0.999 <= tick <= high * 1.001}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
    axes.set_xlabel("assumed odds ratio psi")
    axes.set_ylabel("mean CVR, all impressions")
